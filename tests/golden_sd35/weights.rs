use super::{MODELS, NAMES, file, network};
use crate::Arrays;
use crate::golden_support::exported;
use burn::tensor::DType;
use burn_mixflow::models::mmdit::CHECKPOINT_PREFIX;

#[test]
fn export_equals_the_official_file_without_its_prefix() {
    let device = crate::device::device();
    for model in MODELS {
        let mmdit = network(model, &device);
        assert_eq!(mmdit.pos_embed.val().dtype(), DType::F32, "half precision is read into f32");
        let official = Arrays::golden(&file(model)).0.into_iter();
        let official = official.map(|(name, array)| (name[CHECKPOINT_PREFIX.len()..].to_string(), array)).collect();
        assert_eq!(exported(&mmdit, NAMES).0, official, "{model}");
    }
}
