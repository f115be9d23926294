//! DINOv2 against numbers of timm and transformers (`tests/python/record_encoders/dinov2.py`).
use crate::formula::weight;
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use burn_mixflow::Error;
use burn_mixflow::models::encoders::dinov2::{DinoV2, DinoV2Config, DinoV2Layout, RaeEncoder, RepaFeatures, pixels};
use burn_mixflow::models::encoders::resample::{Bicubic, bicubic};
use burn_mixflow::models::weights::ImportReport;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LAYOUTS: [DinoV2Layout; 3] = [DinoV2Layout::Hub, DinoV2Layout::Timm, DinoV2Layout::Transformers];

type Named = Vec<(String, Vec<usize>, Vec<f32>)>;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Shape and values of an array of a golden file.
fn recorded(file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(golden(file)).expect(file);
    let stored = SafeTensors::deserialize(&bytes).expect(file);
    let view = stored.tensor(name).expect(name);
    let (numbers, rest) = view.data().as_chunks::<4>();
    assert!(view.dtype() == Dtype::F32 && rest.is_empty(), "{name}");
    (view.shape().to_vec(), numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The largest difference from an array of the golden file, over its largest entry.
fn difference<const D: usize>(name: &str, found: Tensor<D>) -> f32 {
    let (shape, expected) = recorded("encoders/dinov2.safetensors", name);
    assert_eq!(found.dims().to_vec(), shape, "{name}");
    let found = found.into_data().try_to_vec::<f32>().unwrap();
    let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    found.iter().zip(&expected).fold(0.0, |most: f32, (f, e)| {
        let apart = (f - e).abs() / largest;
        assert!(apart.is_finite(), "{name}: {f} instead of {e}");
        most.max(apart)
    })
}

/// Fails unless `found` is an array of the golden file to 1e-5 of its largest entry.
fn check<const D: usize>(name: &str, found: Tensor<D>) {
    let apart = difference(name, found);
    assert!(f64::from(apart) <= 1e-5 * crate::device::slack(), "{name}: {apart:e} of the largest entry");
}

/// Numbers in [−0.5, 0.5).
fn numbers(name: &str, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(weight(name, &shape, true), shape), &crate::device::device())
}

/// Bytes: the first image a pattern, the others noise.
fn images(name: &str, shape: [usize; 4]) -> Vec<u8> {
    let [_, channels, height, width] = shape;
    let one = channels * height * width;
    let noise = weight(name, &shape, true);
    let byte = |(k, value): (usize, &f32)| {
        let (c, i, j) = (k / (height * width), k / width % height, k % width);
        match k < one {
            true => ((7 * i + 13 * j + 29 * c) % 256) as u8,
            false => ((f64::from(*value) + 0.5) * 256.0).floor().min(255.0) as u8,
        }
    };
    noise.iter().enumerate().map(byte).collect()
}

fn picture(name: &str, shape: [usize; 4]) -> Tensor<4> {
    pixels(&images(name, shape), shape, &crate::device::device()).unwrap()
}

/// Every so many entries along each side.
fn subset<const D: usize>(mut values: Tensor<D>, steps: [usize; D]) -> Tensor<D> {
    for (side, step) in steps.into_iter().enumerate() {
        let kept: Vec<i32> = (0..values.dims()[side]).step_by(step).map(|i| i as i32).collect();
        let device = values.device();
        values = values.select(side, Tensor::from_ints(kept.as_slice(), &device));
    }
    values
}

fn small(registers: usize, image_size: usize) -> DinoV2Config {
    DinoV2Config { width: 24, depth: 2, heads: 2, image_size, registers, ..DinoV2Config::base() }
}

/// Two blocks of full width.
fn wide(registers: usize) -> DinoV2Config {
    DinoV2Config { depth: 2, registers, ..DinoV2Config::base() }
}

/// The tensors that a file of `layout` has, by formula.
fn tensors(config: &DinoV2Config, layout: DinoV2Layout) -> Named {
    // Tokens and positions, large enough to matter beside patches.
    const TABLES: [&str; 5] = ["cls_token", "pos_embed", "position_embeddings", "reg_token", "register_tokens"];
    let is_table = |name: &str| TABLES.iter().any(|end| name.ends_with(end));
    let list = config.parameters(layout).into_iter();
    list.map(|(name, shape)| (name.clone(), shape.clone(), weight(&name, &shape, is_table(&name)))).collect()
}

fn load_from(config: &DinoV2Config, tensors: &Named) -> Result<(DinoV2, ImportReport), Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.safetensors");
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes"))
    });
    safetensors::serialize_to_file(views, None, &file).expect("a file");
    DinoV2::load(config, &file, &crate::device::device())
}

fn loaded(config: &DinoV2Config, layout: DinoV2Layout) -> DinoV2 {
    load_from(config, &tensors(config, layout)).unwrap_or_else(|e| panic!("{e}")).0
}

fn facts() -> serde_json::Value {
    let text = std::fs::read(golden("encoders/dinov2.json")).expect("facts");
    serde_json::from_slice(&text).expect("facts")
}

#[test]
fn bicubic_is_pytorchs() {
    let to = |name: &str, from: [usize; 2], to: [usize; 2], kernel| {
        let image = numbers(name, [1, 2, from[0], from[1]]);
        bicubic(image, to, kernel).unwrap()
    };
    let mut worst = Vec::new();
    let down = to("bicubic.down", [256, 250], [224, 224], Bicubic::Interpolating);
    worst.push(("bicubic.down", difference("bicubic.down", subset(down, [1, 1, 16, 16]))));
    for (name, from, size) in [("bicubic.up", [11, 13], [20, 17]), ("bicubic.line", [1, 7], [3, 5])] {
        worst.push((name, difference(name, to(name, from, size, Bicubic::Interpolating))));
    }
    for (name, from, size) in [
        ("antialiased.down", [37, 37], [16, 16]),
        ("antialiased.near", [37, 37], [32, 32]),
        ("antialiased.up", [16, 16], [37, 20]),
        ("antialiased.far", [97, 41], [5, 3]),
        ("antialiased.line", [1, 7], [3, 5]),
    ] {
        worst.push((name, difference(name, to(name, from, size, Bicubic::Antialiased))));
    }
    assert!(worst.iter().all(|(_, apart)| *apart <= 1e-6), "{worst:?}");
}

#[test]
fn repas_preprocessing_is_the_official_one() {
    let (shape, given) = recorded("repa/preproc.safetensors", "dino_in_strided");
    let whole = [1, 3, 256, 256];
    let image = picture("pattern", whole);
    let bytes = subset(image.clone() * 255.0, [1, 1, 16, 16]);
    assert_eq!(bytes.dims().to_vec(), shape);
    assert_eq!(bytes.round().into_data().try_to_vec::<f32>().unwrap(), given);
    let read = subset(RepaFeatures::input(image).unwrap(), [1, 1, 16, 16]);
    let (shape, expected) = recorded("repa/preproc.safetensors", "dino_out_strided");
    assert_eq!(read.dims().to_vec(), shape);
    let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (found, expected) in read.into_data().try_to_vec::<f32>().unwrap().iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-6 * largest, "{found} instead of {expected}");
    }
}

#[test]
fn repas_features_of_bytes() {
    let features = RepaFeatures::new(loaded(&wide(0), DinoV2Layout::Timm));
    let found = features.of(picture("repa.256", [2, 3, 256, 256])).unwrap();
    assert_eq!(found.dims(), [2, 256, 768]);
    check("repa.256", subset(found.clone(), [1, 17, 8]));
    check("repa.256.of_tokens", found.clone().mean_dim(2).squeeze_dim::<2>(2));
    check("repa.256.of_channels", found.mean_dim(1).squeeze_dim::<2>(1));
}

#[test]
fn repas_features_of_512_pixels() {
    let features = RepaFeatures::new(loaded(&small(0, 518), DinoV2Layout::Hub));
    let image = picture("repa.512", [2, 3, 512, 512]).narrow(0, 1, 1);
    check("repa.512.input", subset(RepaFeatures::input(image.clone()).unwrap(), [1, 1, 29, 31]));
    let found = features.of(image).unwrap();
    assert_eq!(found.dims(), [1, 1024, 24]);
    check("repa.512", subset(found, [1, 7, 1]));
}

#[test]
fn raes_latents_of_bytes() {
    let encoder = RaeEncoder::new(loaded(&wide(4), DinoV2Layout::Transformers), 224).unwrap();
    let found = encoder.encode(picture("rae.256", [2, 3, 256, 256])).unwrap();
    assert_eq!(found.dims(), [2, 768, 16, 16]);
    check("rae.256", subset(found.clone(), [1, 16, 3, 3]));
    check("rae.256.of_channels", found.reshape([2, 768, 256]).mean_dim(2).squeeze_dim::<2>(2));
    let encoder = RaeEncoder::new(loaded(&small(4, 70), DinoV2Layout::Transformers), 56).unwrap();
    check("rae.oblong", encoder.encode(picture("rae.oblong", [2, 3, 61, 83])).unwrap());
}

#[test]
fn images_of_any_size_get_positions() {
    let config = small(4, 70);
    let pixels = |name, sides: [usize; 2]| numbers(name, [1, 3, sides[0], sides[1]]) * 4.0;
    let (table, other) = (pixels("pixels.table", [70, 70]), pixels("pixels.other", [28, 42]));
    let network = loaded(&config, DinoV2Layout::Transformers);
    check("registers.table", network.patch_features(table).unwrap());
    check("registers.other", network.patch_features(other.clone()).unwrap());
    check("timm_registers.other", loaded(&config, DinoV2Layout::Timm).patch_features(other).unwrap());
}

/// The same weights as `of` has, under the names of Meta's hub, as `layout` has them.
fn moved(config: &DinoV2Config, of: &Named, layout: DinoV2Layout) -> Named {
    let hub: BTreeMap<&str, &Vec<f32>> = of.iter().map(|(name, _, values)| (name.as_str(), values)).collect();
    let third = |name: &str, part: usize| {
        let all = hub[name];
        all[part * all.len() / 3..(part + 1) * all.len() / 3].to_vec()
    };
    let values = |name: &str| -> Vec<f32> {
        let name = name.trim_start_matches("embeddings.");
        let name = name.replace("encoder.layer", "blocks").replace("layer_scale", "ls").replace("lambda1", "gamma");
        let name = name.replace("position_embeddings", "pos_embed").replace("layernorm", "norm");
        let name = name.replace("patch_embeddings.projection", "patch_embed.proj");
        let name = name.replace("attention.output.dense", "attn.proj");
        let name = if name == "reg_token" { "register_tokens".into() } else { name };
        for (part, of) in ["query", "key", "value"].into_iter().enumerate() {
            if let Some((block, kind)) = name.split_once(&format!(".attention.attention.{of}.")) {
                return third(&format!("{block}.attn.qkv.{kind}"), part);
            }
        }
        if layout == DinoV2Layout::Timm && config.registers > 0 {
            let (table, width) = (hub["pos_embed"], config.width);
            match name.as_str() {
                "pos_embed" => return table[width..].to_vec(),
                "cls_token" => return hub["cls_token"].iter().zip(table).map(|(token, place)| token + place).collect(),
                _ => {}
            }
        }
        hub[name.as_str()].clone()
    };
    config.parameters(layout).into_iter().map(|(name, shape)| (name.clone(), shape, values(&name))).collect()
}

#[test]
fn a_network_is_the_same_in_every_layout() {
    for registers in [0, 4] {
        let config = small(registers, 70);
        let hub = tensors(&config, DinoV2Layout::Hub);
        let image = numbers("pixels.other", [1, 3, 28, 42]);
        let found = LAYOUTS.map(|layout| {
            let file = moved(&config, &hub, layout);
            let (network, report) = load_from(&config, &file).unwrap_or_else(|e| panic!("{e}"));
            let left_out = report.unused.len();
            assert_eq!(left_out, usize::from(layout != DinoV2Layout::Timm), "{layout:?}: {:?}", report.unused);
            assert!(report.missing.is_empty() && report.loaded + left_out == file.len(), "{layout:?}: {report:?}");
            network.patch_features(image.clone()).unwrap().into_data()
        });
        assert!(found[0] == found[1] && found[0] == found[2], "{registers} registers");
    }
}

#[test]
fn a_file_may_have_a_prefix_and_must_have_every_tensor() {
    let config = small(4, 70);
    for layout in LAYOUTS {
        let mut file = tensors(&config, layout);
        file.iter_mut().for_each(|(name, _, _)| *name = format!("backbone.{name}"));
        let (_, report) = load_from(&config, &file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(report.prefix, "backbone.");
        let (lost, _, _) = file.remove(20);
        let error = load_from(&config, &file).unwrap_err().to_string();
        assert!(
            error.contains(lost.trim_start_matches("backbone.")) && error.contains("is missing in the file"),
            "{error}"
        );
    }
    let error = load_from(&small(0, 70), &tensors(&config, DinoV2Layout::Hub)).unwrap_err().to_string();
    assert!(error.contains("`register_tokens` is in the file, not in the model"), "{error}");
}

#[test]
fn names_shapes_and_counts_are_those_of_the_packages() {
    let facts = facts();
    for (name, registers, layout) in [
        ("timm", 0, DinoV2Layout::Timm),
        ("timm_registers", 4, DinoV2Layout::Timm),
        ("transformers", 0, DinoV2Layout::Transformers),
        ("transformers_registers", 4, DinoV2Layout::Transformers),
    ] {
        let recorded: BTreeMap<String, Vec<usize>> = serde_json::from_value(facts["small"][name].clone()).unwrap();
        let listed: BTreeMap<String, Vec<usize>> = small(registers, 70).parameters(layout).into_iter().collect();
        assert_eq!(listed, recorded, "{name}");
        let base = DinoV2Config { registers, ..DinoV2Config::base() };
        let count = |layout| base.parameters(layout).iter().map(|(_, s)| s.iter().product::<usize>()).sum::<usize>();
        assert_eq!(facts["base_counts"][name], count(layout), "{name}");
        assert_eq!(count(DinoV2Layout::Hub), base.parameter_count());
    }
    assert_eq!(DinoV2Config::base().parameter_count(), 86_580_480);
    assert_eq!(DinoV2Config::base_with_registers().parameter_count(), 86_580_480 + 3_072);
    assert_eq!(facts["base_counts"]["timm"], 86_580_480 - 768);
    assert_eq!(facts["base_counts"]["timm_registers"], 86_580_480 + 3_072 - 2 * 768);
}

#[test]
fn half_precision_is_near_and_comes_back_in_f32() {
    if !crate::device::computes_in(DType::BF16, "DINOv2 in half precision") {
        return;
    }
    let network = loaded(&small(4, 70), DinoV2Layout::Transformers).cast(FloatDType::BF16);
    let encoder = RaeEncoder::new(network, 56).unwrap();
    let latents = encoder.encode(picture("rae.oblong", [2, 3, 61, 83])).unwrap();
    let apart = difference("rae.oblong", latents);
    assert!(apart > 0.0 && apart < 0.03, "{apart}");
    let features = RepaFeatures::new(loaded(&small(0, 518), DinoV2Layout::Hub).cast(FloatDType::BF16));
    let found = features.of(picture("repa.512", [2, 3, 512, 512]).narrow(0, 1, 1)).unwrap();
    let apart = difference("repa.512", subset(found, [1, 7, 1]));
    assert!(apart > 0.0 && apart < 0.03, "{apart}");
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let device = crate::device::device();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &device);
    let network = small(0, 70).init(&device).unwrap();
    let said = |result: Result<Tensor<3>, Error>| result.unwrap_err().to_string();
    let error = said(network.patch_features(zeros([1, 3, 28, 30])));
    assert_eq!(error, "images of 30 × 28 pixels: both sides must be positive multiples of the patch, 14 pixels");
    let error = said(network.patch_features(zeros([1, 4, 28, 28])));
    assert_eq!(error, "images with 4 channels: DINOv2 reads 3, red, green and blue");
    assert!(RaeEncoder::new(network.clone(), 57).unwrap_err().to_string().starts_with("side = 57: must be a positive"));
    let features = RepaFeatures::new(network);
    for shape in [[1, 3, 256, 300], [1, 3, 255, 255]] {
        assert!(said(features.of(zeros(shape))).contains("square images of at least 256 pixels a side"));
    }
    let error = pixels(&[1, 2], [1, 3, 4, 4], &device).unwrap_err().to_string();
    assert_eq!(error, "2 bytes are no image of shape [1, 3, 4, 4]");
}
