//! Stable Diffusion's autoencoder against diffusers': names, sizes, latents and pixels; and files in each layout.
use crate::formula::weight;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_mixflow::Error;
use burn_mixflow::models::encoders::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig, OFFICIAL_NAMES, Posterior};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, export_safetensors, tensor_shapes};
use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest accepted difference over the largest entry of the expected values.
const TOLERANCE: f64 = 1e-5;

fn golden(name: &str) -> PathBuf {
    let folder = std::env::var_os("MIXFLOW_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    folder.join("encoders").join(name)
}

fn facts() -> Value {
    serde_json::from_slice(&std::fs::read(golden("autoencoder_kl.json")).unwrap()).unwrap()
}

/// Names and shapes in the recorded order.
type Listed = Vec<(String, Vec<usize>)>;

fn config(case: &str) -> AutoencoderKlConfig {
    serde_json::from_value(facts()["cases"][case]["config"].clone()).unwrap()
}

fn small() -> AutoencoderKlConfig {
    config("small")
}

/// A file of tensors in `f32`.
fn written(folder: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> PathBuf {
    written_as(folder, Dtype::F32, tensors, |value| value.to_le_bytes().to_vec())
}

fn written_as(
    folder: &Path,
    dtype: Dtype,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    bytes: impl Fn(f32) -> Vec<u8>,
) -> PathBuf {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, _, v)| v.iter().flat_map(|v| bytes(*v)).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name.as_str(), TensorView::new(dtype, shape.clone(), bytes).expect("as many bytes"))
    });
    let file = folder.join("weights.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    file
}

/// The weights of the formula.
fn weights(config: &AutoencoderKlConfig) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let with_values = |(name, shape): (String, Vec<usize>)| {
        let values = weight(&name, &shape, false);
        (name, shape, values)
    };
    config.parameters().into_iter().map(with_values).collect()
}

fn loaded(config: &AutoencoderKlConfig, file: &Path) -> AutoencoderKl {
    let (network, report) =
        AutoencoderKl::load(config, file, &Default::default(), &Device::flex()).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.missing.is_empty() && report.loaded == config.parameters().len(), "{report:?}");
    network
}

/// An input of the formula, in [−1, 1).
fn input(name: &str, shape: [usize; 4]) -> Tensor<4> {
    let values: Vec<f32> = weight(name, &shape, true).into_iter().map(|v| 2.0 * v).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn inputs(case: &str) -> [Tensor<4>; 2] {
    let config = config(case);
    let [batch, height, width]: [usize; 3] = serde_json::from_value(facts()["cases"][case]["latents"].clone()).unwrap();
    let side = config.pixels_per_latent();
    let pixels = input("pixels", [batch, config.in_channels, side * height, side * width]);
    [pixels, input("latents", [batch, config.latent_channels, height, width])]
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// The largest difference over the largest entry of what was recorded.
fn difference(name: &str, found: Tensor<4>) -> f64 {
    let bytes = std::fs::read(golden("autoencoder_kl.safetensors")).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let view = stored.tensor(name).unwrap();
    assert_eq!(view.shape(), found.dims(), "{name}");
    let expected = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    let pairs: Vec<(f64, f64)> = expected.zip(values(found)).map(|(a, b)| (f64::from(a), f64::from(b))).collect();
    let largest = pairs.iter().fold(0.0_f64, |most, (a, _)| most.max(a.abs()));
    pairs.iter().fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / largest
}

fn check(case: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(case);
    let network = loaded(&config, &written(folder.path(), &weights(&config)));
    let [pixels, latents] = inputs(case);
    let Posterior { mean, std } = network.encode(pixels).unwrap();
    let image = network.decode(latents).unwrap();
    for (what, found) in [("mean", mean), ("std", std), ("image", image)] {
        let name = format!("{case}.{what}");
        let difference = difference(&name, found);
        println!("{name}: {difference:.1e}");
        assert!(difference <= TOLERANCE, "{name}: {difference:e}");
    }
}

#[test]
fn f8d4_of_full_width_is_that_of_diffusers() {
    check("sd1");
}

#[test]
fn f8d16_of_full_width_is_that_of_diffusers() {
    check("sd3");
}

#[test]
fn small_ones_are_those_of_diffusers() {
    check("small");
    check("plain");
}

#[test]
fn names_and_shapes_are_those_of_diffusers_in_its_order() {
    let facts = facts();
    let recorded: Vec<(String, Vec<usize>, String, String)> = serde_json::from_value(facts["names"].clone()).unwrap();
    let mut expected: Listed = recorded.into_iter().map(|(name, shape, ..)| (name, shape)).collect();
    assert_eq!(config("sd1"), AutoencoderKlConfig::sd1());
    assert_eq!(AutoencoderKlConfig::sd1().parameters(), expected);

    let without: Vec<String> = serde_json::from_value(facts["sd3"]["without"].clone()).unwrap();
    let other: BTreeMap<String, Vec<usize>> =
        serde_json::from_value::<Listed>(facts["sd3"]["other"].clone()).unwrap().into_iter().collect();
    expected.retain(|(name, _)| !without.contains(name));
    for (name, shape) in &mut expected {
        if let Some(other) = other.get(name) {
            shape.clone_from(other);
        }
    }
    assert_eq!(config("sd3"), AutoencoderKlConfig::sd3());
    assert_eq!(AutoencoderKlConfig::sd3().parameters(), expected);
    assert_eq!((without.len(), other.len()), (4, 3));

    for case in ["sd1", "sd3", "small", "plain"] {
        assert_eq!(facts["cases"][case]["parameters"], config(case).parameter_count(), "{case}");
    }
}

#[test]
fn what_is_exported_has_the_official_names_and_shapes() {
    let config = config("plain");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.safetensors");
    export_safetensors(&config.init(&Device::flex()).unwrap(), &file, KeyMap(OFFICIAL_NAMES)).unwrap();
    let mut listed = config.parameters();
    listed.sort();
    let found: Listed = tensor_shapes(&file, Default::default()).unwrap().into_iter().collect();
    assert_eq!(found, listed);
    let again = loaded(&config, &file);
    let [pixels, _] = inputs("plain");
    let mean = |network: &AutoencoderKl| values(network.encode(pixels.clone()).unwrap().mean);
    assert_eq!(mean(&again), mean(&config.init(&Device::flex()).unwrap()));
}

/// What the old diffusers and CompVis call each tensor of `config`, which has as many levels as f8d4 or fewer: out of the
/// recorded names, so that nothing of this crate decides.
fn renamed(official: &str, column: usize, levels: usize) -> String {
    let names = facts()["names"].clone();
    // The levels of the decoder are counted from the last in CompVis' code: names of f8d4 with the same distance from it.
    let shift = 4 - levels;
    let of_f8d4 = match official.strip_prefix("decoder.up_blocks.") {
        Some(rest) => {
            let (level, rest) = rest.split_once('.').unwrap();
            format!("decoder.up_blocks.{}.{rest}", level.parse::<usize>().unwrap() + shift)
        }
        None => official.to_string(),
    };
    let names = names.as_array().unwrap();
    let entry = names.iter().find(|entry| entry[0] == of_f8d4.as_str()).unwrap_or_else(|| panic!("{of_f8d4}"));
    let found = entry[column].as_str().unwrap().to_string();
    if column == 2 { found.replace(&of_f8d4, official) } else { found }
}

/// The formula's weights of the small configuration as a file of a layout has them.
fn in_layout(column: usize, prefix: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let rename = |(name, mut shape, values): (String, Vec<usize>, Vec<f32>)| {
        let new = if column == 0 { name.clone() } else { renamed(&name, column, 2) };
        if column == 3 && shape.len() == 2 {
            shape.extend([1, 1]);
        }
        (format!("{prefix}{new}"), shape, values)
    };
    weights(&small()).into_iter().map(rename).collect()
}

fn outputs(network: &AutoencoderKl) -> [Vec<f32>; 3] {
    let [pixels, latents] = inputs("small");
    let Posterior { mean, std } = network.encode(pixels).unwrap();
    [mean, std, network.decode(latents).unwrap()].map(values)
}

#[test]
fn the_same_weights_in_every_layout_are_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let expected = outputs(&loaded(&small(), &written(folder.path(), &in_layout(0, ""))));
    for column in [0, 2, 3] {
        for prefix in ["", "first_stage_model.", "vae."] {
            let mut tensors = in_layout(column, prefix);
            if !prefix.is_empty() {
                let other = |name: &str| (name.to_string(), vec![2, 2], vec![1.0; 4]);
                tensors.push(other("model.diffusion_model.x_embedder.proj.weight"));
                tensors.push(other("text_encoders.clip_l.logit_scale"));
            }
            let found = outputs(&loaded(&small(), &written(folder.path(), &tensors)));
            assert!(found == expected, "{column} {prefix}");
        }
    }
}

#[test]
fn what_a_file_lacks_or_has_too_much_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let message = |tensors: &[(String, Vec<usize>, Vec<f32>)], config: &AutoencoderKlConfig| {
        let file = written(folder.path(), tensors);
        let error = AutoencoderKl::load(config, &file, &Default::default(), &Device::flex()).unwrap_err();
        assert!(matches!(error, Error::Weights(_)), "{error}");
        error.to_string()
    };
    let mut tensors = in_layout(3, "first_stage_model.");
    tensors.remove(0);
    let text = message(&tensors, &small());
    assert!(text.contains("`encoder.conv_in.weight` is missing") && text.contains("CompVis'"), "{text}");
    let without = AutoencoderKlConfig { use_quant_conv: false, ..small() };
    let text = message(&in_layout(2, ""), &without);
    assert!(text.contains("`post_quant_conv.bias` is in the file, not in the model"), "{text}");
    let other = AutoencoderKlConfig { latent_channels: 16, ..small() };
    let text = message(&in_layout(0, ""), &other);
    assert!(text.contains("`encoder.conv_out.weight` has shape [8, 64, 3, 3] in the file"), "{text}");
    let text = message(&[("blocks.0.attn.qkv.weight".into(), vec![1], vec![0.0])], &small());
    assert!(text.contains("is missing in the file"), "{text}");

    let mut tensors = in_layout(3, "state_dict.");
    tensors.push(("state_dict.loss.logvar".into(), vec![1], vec![0.0]));
    let (_, report) =
        AutoencoderKl::load(&small(), &written(folder.path(), &tensors), &Default::default(), &Device::flex()).unwrap();
    assert_eq!(report.unused, ["loss.logvar"]);
}

#[test]
fn of_two_autoencoders_the_average_or_the_named_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let scaled = |by: f32, tensors: Vec<(String, Vec<usize>, Vec<f32>)>| -> Vec<_> {
        tensors.into_iter().map(|(n, s, v)| (n, s, v.into_iter().map(|v| v * by).collect())).collect()
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = in_layout(2, "ema.");
    tensors.extend(scaled(0.5, in_layout(2, "model.")));
    let file = written(folder.path(), &tensors);
    let of = |options: ImportOptions| {
        outputs(&AutoencoderKl::load(&small(), &file, &options, &Device::flex()).unwrap_or_else(|e| panic!("{e}")).0)
    };
    let [average, raw] = [1.0, 0.5].map(|by| {
        let folder = tempfile::tempdir().unwrap();
        outputs(&loaded(&small(), &written(folder.path(), &scaled(by, in_layout(0, "")))))
    });
    assert!(of(ImportOptions::default()) == average);
    assert!(of(ImportOptions { prefix: Some("model".into()), ..Default::default() }) == raw);
    assert!(average != raw);
}

#[test]
fn sixteen_bits_in_a_file_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in [Dtype::BF16, Dtype::F16] {
        // Both types hold numbers whose last 16 bits are zero, if they are not too small.
        let rounded: Vec<_> = in_layout(0, "")
            .into_iter()
            .map(|(name, shape, values)| {
                let short = |v: f32| if v.abs() < 1e-4 { 0.0 } else { f32::from_bits(v.to_bits() & 0xFFFF_0000) };
                (name, shape, values.into_iter().map(short).collect::<Vec<_>>())
            })
            .collect();
        let expected = outputs(&loaded(&small(), &written(folder.path(), &rounded)));
        let bytes = |value: f32| {
            let one = TensorData::new(vec![value], [1]);
            one.convert_dtype(if dtype == Dtype::F16 { DType::F16 } else { DType::BF16 }).as_bytes().to_vec()
        };
        let found = outputs(&loaded(&small(), &written_as(folder.path(), dtype, &rounded, bytes)));
        assert!(found == expected, "{dtype:?}");
    }
}

struct ToBf16;

impl ModuleMapper for ToBf16 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::BF16))
    }
}

#[test]
fn bf16_weights_compute_in_bf16_and_give_the_type_of_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let network = loaded(&small(), &written(folder.path(), &in_layout(0, "")));
    let half = network.clone().map(&mut ToBf16);
    let [pixels, latents] = inputs("small");
    let results = |network: &AutoencoderKl, dtype: DType| {
        let Posterior { mean, std } = network.encode(pixels.clone().cast(dtype)).unwrap();
        let image = network.decode(latents.clone().cast(dtype)).unwrap();
        assert!([&mean, &std, &image].into_iter().all(|tensor| tensor.dtype() == dtype));
        [mean, std, image].map(values)
    };
    let exact = results(&network, DType::F32);
    for dtype in [DType::F32, DType::BF16] {
        for (exact, found) in exact.iter().zip(results(&half, dtype)) {
            let largest = exact.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            let off = exact.iter().zip(&found).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest;
            // bf16 rounds to 2⁻⁹, in some ten layers one after the other.
            assert!(off < 0.04 && off > 1e-5, "{dtype:?}: {off}");
        }
    }
}

#[test]
fn the_logarithm_of_the_variance_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = in_layout(0, "");
    let (_, _, bias) = tensors.iter_mut().find(|(name, ..)| name == "quant_conv.bias").unwrap();
    bias.copy_from_slice(&[0.0, 0.0, 0.0, 0.0, -1e3, 1e3, -1e3, 1e3]);
    let network = loaded(&small(), &written(folder.path(), &tensors));
    let std = network.encode(inputs("small")[0].clone()).unwrap().std;
    let [batch, channels, height, width] = std.dims();
    for (i, std) in values(std).into_iter().enumerate() {
        let exact = [-15.0_f64, 10.0][i / (height * width) % channels % 2].exp();
        assert!((f64::from(std) / exact - 1.0).abs() < 1e-6, "{batch} {i}: {std} instead of {exact}");
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let config = small();
    let network = config.init(&Device::flex()).unwrap();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &Device::flex());
    for shape in [[1, 3, 7, 8], [1, 3, 8, 9], [1, 4, 8, 8], [1, 3, 0, 8], [0, 3, 8, 8]] {
        let error = network.encode(zeros(shape)).unwrap_err();
        assert!(matches!(&error, Error::Invalid(m) if m.contains("multiples of 2")), "{shape:?}: {error}");
    }
    for shape in [[1, 3, 4, 4], [1, 4, 0, 4], [0, 4, 4, 4]] {
        let error = network.decode(zeros(shape)).unwrap_err();
        assert!(matches!(&error, Error::Invalid(m) if m.contains("[batch, 4, height, width]")), "{shape:?}: {error}");
    }
    assert_eq!(network.decode(zeros([1, 4, 3, 5])).unwrap().dims(), [1, 3, 6, 10]);
}
