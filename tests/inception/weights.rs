//! Files of weights: what is read, and what is said of others.
use crate::{Tensors, narrow, save, tensors};
use burn::tensor::Device;
use burn_mixflow::models::encoders::inception::{Inception, InceptionConfig};

const NARROW: InceptionConfig = InceptionConfig { width_divisor: 16 };

fn load(change: impl FnOnce(&mut Tensors)) -> Result<Inception, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let mut tensors = tensors(&NARROW);
    change(&mut tensors);
    save(&file, &tensors);
    Inception::load(&file, &Device::flex()).map_err(|e| e.to_string())
}

#[test]
fn the_width_is_read_off_the_file_and_what_is_unused_may_be_missing() {
    let whole = narrow();
    assert_eq!(whole.config(), NARROW);
    let without = load(|tensors| drop(tensors.remove("fc.bias"))).unwrap();
    assert_eq!(whole.weights_hash(), without.weights_hash());
    assert_eq!(whole.weights_hash().len(), 64);
    let counted = load(|tensors| {
        tensors.insert("Mixed_5b.branch1x1.bn.num_batches_tracked".into(), (vec![], vec![0.0]));
    });
    assert_eq!(counted.unwrap().weights_hash(), whole.weights_hash());
}

#[test]
fn a_changed_weight_changes_the_hash() {
    let other = load(|tensors| tensors.get_mut("Mixed_7c.branch_pool.bn.bias").unwrap().1[0] += 1.0).unwrap();
    assert_ne!(other.weights_hash(), narrow().weights_hash());
}

#[test]
fn other_files_are_named() {
    let says = |change: &dyn Fn(&mut Tensors), words: &[&str]| {
        let message = load(|tensors| change(tensors)).unwrap_err();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(message.contains("weights.safetensors"), "{message}");
    };
    let of_torchvision = |tensors: &mut Tensors| drop(tensors.insert("AuxLogits.fc.bias".into(), (vec![1], vec![0.0])));
    says(&of_torchvision, &["torchvision's Inception v3", "pt_inception-2015-12-05-6726825d.pth"]);
    let thousand = |tensors: &mut Tensors| {
        tensors.insert("fc.weight".into(), (vec![1000, 128], vec![0.0; 128_000]));
    };
    says(&thousand, &["torchvision's Inception v3", "1000 rows instead of 1008"]);
    says(&Tensors::clear, &["has no `Conv2d_1a_3x3.conv.weight`"]);
    let missing = |tensors: &mut Tensors| tensors.retain(|name, _| !name.starts_with("Mixed_6e"));
    says(&missing, &["`Mixed_6e.branch1x1.bn.bias` is missing", "and 42 more"]);
    let unknown = |tensors: &mut Tensors| drop(tensors.insert("head.weight".into(), (vec![1], vec![0.0])));
    says(&unknown, &["`head.weight` is no tensor of this network"]);
    let shape = |tensors: &mut Tensors| tensors.get_mut("Mixed_7a.branch3x3_1.bn.weight").unwrap().0 = vec![1, 12];
    says(&shape, &["`Mixed_7a.branch3x3_1.bn.weight` has shape [1, 12]: must be [12]"]);
    let first = |tensors: &mut Tensors| {
        tensors.insert("Conv2d_1a_3x3.conv.weight".into(), (vec![5, 3, 3, 3], vec![0.0; 135]));
    };
    says(&first, &["has shape [5, 3, 3, 3]: must be [32, 3, 3, 3]"]);
    let infinite = |tensors: &mut Tensors| tensors.get_mut("fc.weight").unwrap().1[3] = f32::INFINITY;
    says(&infinite, &["`fc.weight` holds inf at 3"]);
    let negative = |tensors: &mut Tensors| tensors.get_mut("Mixed_7a.branch3x3_1.bn.running_var").unwrap().1[0] = -1.0;
    says(&negative, &["negative variance"]);
}
