use super::extra;
use crate::golden_checkpoints::rae_scaling;
use crate::{Arrays, path};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_mixflow::Error;
use burn_mixflow::models::rae::{DECODER_OFFICIAL_NAMES, RaeDecoder, RaeDecoderConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, import};

const FILE: &str = "rae/decoder.safetensors";
const NAMES: KeyMap<'static> = KeyMap(DECODER_OFFICIAL_NAMES);

/// The decoder under the name it has in the golden file.
#[derive(Module, Debug)]
struct Stored {
    decoder: RaeDecoder,
}

fn config() -> RaeDecoderConfig {
    let mut recorded = extra(FILE)["decoder_cfg"].clone();
    recorded.as_object_mut().expect("sizes").remove("act");
    serde_json::from_value(recorded).expect("sizes")
}

fn stored(device: &Device) -> Stored {
    let fresh = Stored { decoder: config().init(device).expect("a valid configuration") };
    let unused = ["latent_mean", "latent_var", "z", "logits", "image"].map(String::from);
    let options = ImportOptions { allow_unused: unused.to_vec(), ..Default::default() };
    let (stored, report) = import(&fresh, &path(FILE), &options, NAMES).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.missing.is_empty() && report.unused.len() == unused.len(), "{report:?}");
    stored
}

#[test]
fn latents_to_pixels() {
    let device = crate::device::device();
    let golden = Arrays::golden(FILE);
    let scaling = rae_scaling(&golden);
    let (decoder, z) = (stored(&device).decoder, golden.tensor::<4>("z", &device));
    let latents = scaling.to_stored(z);
    golden.check("z", scaling.to_network(latents.clone()));
    golden.check("logits", decoder.logits(latents.clone()).expect("latents of the right shape"));
    golden.check("image", decoder.decode(latents.clone()).expect("latents of the right shape"));
    let other: Tensor<4> = latents.narrow(2, 0, 1);
    assert!(matches!(decoder.decode(other), Err(Error::Invalid(message)) if message.contains("the decoder is for")));
}

#[test]
fn export_equals_the_official_file() {
    let found = crate::golden_support::exported(&stored(&crate::device::device()), NAMES).0;
    let mut expected = Arrays::golden(FILE).0;
    expected.retain(|name, _| name.starts_with("decoder."));
    assert_eq!(found, expected);
    let mut listed: Vec<_> = config().parameters().into_iter().map(|(n, s)| (format!("decoder.{n}"), s)).collect();
    listed.sort();
    assert_eq!(listed, expected.into_iter().map(|(name, array)| (name, array.shape)).collect::<Vec<_>>());
}

#[test]
fn fixed_positions_are_the_official_ones() {
    let fresh = Stored { decoder: config().init(&crate::device::device()).expect("a valid configuration") };
    let name = "decoder.decoder_pos_embed";
    let found = crate::golden_support::exported(&fresh, NAMES);
    crate::close(name, &found.get(name).values, &Arrays::golden(FILE).get(name).values, 1e-6);
}
