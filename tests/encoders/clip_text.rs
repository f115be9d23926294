//! The text encoders of CLIP against transformers and OpenCLIP, in every layout of files.
use crate::device::device;
use crate::text_support::{Golden, Part, close, distance, names, parts, values, write};
use burn::tensor::{DType, Device, TensorData};
use burn_mixflow::Error;
use burn_mixflow::models::encoders::TextPrecision::{self, Bf16, F32};
use burn_mixflow::models::encoders::clip_text::{ClipText, ClipTextConfig};
use burn_mixflow::models::weights::ImportReport;
use std::path::Path;

const TOLERANCE: f64 = 1e-5;

fn is_table(name: &str) -> bool {
    name.contains("token_embedding") || name.contains("position_embedding") || name == "positional_embedding"
}

/// The full width, two layers, and the vocabulary of the recorded numbers.
fn recorded(whole: ClipTextConfig) -> ClipTextConfig {
    ClipTextConfig { num_hidden_layers: 2, vocab_size: 1000, ..whole }
}

fn small() -> ClipTextConfig {
    ClipTextConfig {
        vocab_size: 50,
        max_position_embeddings: 9,
        hidden_size: 12,
        intermediate_size: 20,
        num_hidden_layers: 3,
        num_attention_heads: 3,
        projection_dim: Some(5),
        ..ClipTextConfig::g()
    }
}

fn load(config: &ClipTextConfig, file: &Path, precision: TextPrecision) -> (ClipText, ImportReport) {
    ClipText::load(config, file, precision, &device()).unwrap_or_else(|e| panic!("{e}"))
}

/// Tensors that no encoder needs.
fn extras() -> Vec<Part> {
    let part = |name: &str, data| Part { name: name.into(), data };
    vec![
        part("logit_scale", TensorData::new(vec![4.6_f32], [1])),
        part("text_model.embeddings.position_ids", TensorData::new((0..77_i64).collect(), [1, 77])),
        part("vision_model.post_layernorm.weight", TensorData::new(vec![1.0_f32; 3], [3])),
    ]
}

fn equals_transformers(whole: ClipTextConfig, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.safetensors");
    let (config, golden) = (recorded(whole), Golden::read());
    write(&file, &[parts(&names(name), is_table, DType::F32), extras()].concat_parts());
    let (encoder, report) = load(&config, &file, F32);
    let projection = usize::from(config.projection_dim.is_none());
    assert_eq!((report.loaded, report.unused.len()), (config.parameters().len(), 3 + projection), "{report}");
    let found = encoder.encode(&golden.tokens(&format!("{name}.tokens"))).unwrap();
    golden.check_hidden(&format!("{name}.penultimate"), found.penultimate, TOLERANCE);
    golden.check(&format!("{name}.pooled"), found.pooled, TOLERANCE);
    assert_eq!(found.projected.is_some(), config.projection_dim.is_some());
    if let Some(projected) = found.projected {
        golden.check(&format!("{name}.projected"), projected, TOLERANCE);
    }
}

trait Concatenated {
    fn concat_parts(self) -> Vec<Part>;
}

impl<const N: usize> Concatenated for [Vec<Part>; N] {
    fn concat_parts(self) -> Vec<Part> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn l_equals_transformers() {
    equals_transformers(ClipTextConfig::l(), "clip_l");
}

#[test]
fn g_equals_transformers() {
    equals_transformers(ClipTextConfig::g(), "clip_g");
}

#[test]
fn g_equals_open_clip_by_the_names_of_open_clip() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("open_clip_pytorch_model.safetensors");
    let golden = Golden::read();
    let beside = ["logit_scale", "visual.ln_post.weight"];
    let beside = beside.map(|name| Part { name: name.into(), data: TensorData::new(vec![1.0_f32; 4], [4]) });
    write(&file, &[parts(&names("open_clip"), is_table, DType::F32), beside.into()].concat_parts());
    let (encoder, report) = load(&recorded(ClipTextConfig::g()), &file, F32);
    assert_eq!((report.loaded, report.unused.len()), (names("open_clip").len(), 2), "{report}");
    let found = encoder.encode(&golden.tokens("open_clip.tokens")).unwrap();
    golden.check_hidden("open_clip.penultimate", found.penultimate, TOLERANCE);
    golden.check("open_clip.projected", found.projected.unwrap(), TOLERANCE);
}

#[test]
fn names_and_shapes_are_those_of_transformers() {
    assert_eq!(recorded(ClipTextConfig::g()).parameters(), names("clip_g"));
    let l = ClipTextConfig { projection_dim: Some(768), ..recorded(ClipTextConfig::l()) };
    assert_eq!(l.parameters(), names("clip_l"));
}

#[test]
fn counts_are_those_of_the_released_models() {
    let (l, g) = (ClipTextConfig::l(), ClipTextConfig::g());
    assert_eq!((l.parameters().len(), l.parameter_count()), (196, 123_060_480));
    assert_eq!((g.parameters().len(), g.parameter_count()), (517, 694_659_840));
}

/// Rows of the small vocabulary, whose last token ends a text.
fn rows() -> Vec<Vec<u32>> {
    vec![vec![48, 3, 4, 49, 49, 49], vec![48, 49, 0, 0, 0, 0], vec![48, 7, 8, 9, 10, 49]]
}

fn embedded(encoder: &ClipText) -> Vec<f64> {
    let found = encoder.encode(&rows()).unwrap();
    let projected = found.projected.map(values).unwrap_or_default();
    [values(found.penultimate), values(found.pooled), projected].concat()
}

#[test]
fn layouts_and_prefixes_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let config = small();
    let whole = || parts(&config.parameters(), is_table, DType::F32);
    let renamed = |parts: Vec<Part>, rename: &dyn Fn(&str) -> String| -> Vec<Part> {
        parts.into_iter().map(|part| Part { name: rename(&part.name), data: part.data }).collect()
    };
    write(&file("official"), &whole());
    let expected = embedded(&load(&config, &file("official"), F32).0);
    assert!(expected.iter().all(|v| v.is_finite()) && expected.iter().any(|v| v.abs() > 0.1));

    let without = ClipTextConfig { projection_dim: None, ..config.clone() };
    let bare = |name: &str| name.trim_start_matches("text_model.").to_string();
    write(&file("bare"), &renamed(parts(&without.parameters(), is_table, DType::F32), &bare));
    let (encoder, report) = load(&without, &file("bare"), F32);
    assert_eq!(embedded(&encoder), expected[..embedded(&encoder).len()], "{report}");

    // Beside another of another width, and a network of another kind.
    let other = ClipTextConfig { hidden_size: 6, ..config.clone() };
    let l = renamed(parts(&other.parameters(), is_table, DType::F32), &|name| {
        format!("text_encoders.clip_l.transformer.{name}")
    });
    let g = renamed(whole(), &|name| format!("text_encoders.clip_g.transformer.{name}"));
    let scale = Part { name: "text_encoders.clip_g.logit_scale".into(), data: TensorData::new(vec![1.0_f32], [1]) };
    let unet = Part { name: "model.diffusion_model.x".into(), data: TensorData::new(vec![1.0_f32], [1]) };
    write(&file("single"), &[l, g, vec![scale, unet]].concat_parts());
    let (encoder, report) = load(&config, &file("single"), F32);
    assert_eq!(embedded(&encoder), expected, "{report}");
    assert_eq!(report.under, "text_encoders.clip_g.transformer");
    let (encoder, _) = load(&other, &file("single"), F32);
    assert_eq!(encoder.encode(&rows()).unwrap().pooled.dims(), [3, 6]);

    // The same of OpenCLIP's layout, put together from the official one.
    let open = open_clip(whole());
    write(&file("open"), &renamed(open, &|name| format!("conditioner.embedders.1.model.{name}")));
    assert_eq!(embedded(&load(&config, &file("open"), F32).0), expected);
}

/// Official tensors as OpenCLIP has them.
fn open_clip(official: Vec<Part>) -> Vec<Part> {
    let mut found: Vec<Part> = Vec::new();
    let mut take = official;
    take.sort_by_key(|part| ["q_proj", "k_proj", "v_proj"].iter().position(|name| part.name.contains(name)));
    for Part { name, data } in take {
        let (rest, kind) = name.rsplit_once('.').unwrap();
        let block = rest.strip_prefix("text_model.encoder.layers.").and_then(|rest| rest.split_once('.'));
        let name = match (rest, block) {
            (_, Some((block, layer))) => {
                let there = match layer {
                    "self_attn.q_proj" | "self_attn.k_proj" | "self_attn.v_proj" => format!("attn.in_proj_{kind}"),
                    "self_attn.out_proj" => format!("attn.out_proj.{kind}"),
                    "layer_norm1" => format!("ln_1.{kind}"),
                    "layer_norm2" => format!("ln_2.{kind}"),
                    "mlp.fc1" => format!("mlp.c_fc.{kind}"),
                    _ => format!("mlp.c_proj.{kind}"),
                };
                format!("transformer.resblocks.{block}.{there}")
            }
            ("text_model.embeddings.token_embedding", _) => "token_embedding.weight".into(),
            ("text_model.embeddings.position_embedding", _) => "positional_embedding".into(),
            ("text_model.final_layer_norm", _) => format!("ln_final.{kind}"),
            _ => "text_projection".into(),
        };
        let mut shape = data.shape().to_vec();
        let mut numbers: Vec<f32> = data.iter::<f32>().collect();
        if name == "text_projection" {
            let [rows, columns] = [shape[0], shape[1]];
            numbers = (0..rows * columns).map(|i| numbers[i % rows * columns + i / rows]).collect();
            shape.reverse();
        }
        match found.iter_mut().find(|part| part.name == name) {
            Some(part) => {
                let all: Vec<f32> = part.data.iter::<f32>().chain(numbers).collect();
                shape[0] += part.data.shape()[0];
                part.data = TensorData::new(all, burn::tensor::Shape::from(shape));
            }
            None => found.push(Part { name, data: TensorData::new(numbers, burn::tensor::Shape::from(shape)) }),
        }
    }
    found
}

#[test]
fn padding_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip");
    let config = small();
    write(&file, &parts(&config.parameters(), is_table, DType::F32));
    let (encoder, _) = load(&config, &file, F32);
    let pooled = |row: &[u32]| values(encoder.encode(&[row.to_vec()]).unwrap().pooled);
    let text = pooled(&[48, 3, 4, 49]);
    close("pooled", &pooled(&[48, 3, 4, 49, 0, 0, 0]), &text, 1e-6);
    close("pooled", &pooled(&[48, 3, 4, 49, 49, 49, 49]), &text, 1e-6);
    assert!(distance(&pooled(&[48, 3, 5, 49]), &text) > 0.01);
}

#[test]
fn bf16_is_near_and_f16_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let [file, half] = ["clip", "half"].map(|name| folder.path().join(name));
    let config =
        recorded(ClipTextConfig { hidden_size: 96, intermediate_size: 384, num_attention_heads: 12, ..small() });
    write(&file, &parts(&config.parameters(), is_table, DType::F32));
    write(&half, &parts(&config.parameters(), is_table, DType::F16));
    let exact = embedded(&load(&config, &file, F32).0);
    let (encoder, _) = load(&config, &file, Bf16);
    assert_eq!(encoder.encode(&rows()).unwrap().penultimate.dtype(), DType::BF16);
    let rounded = embedded(&encoder);
    let difference = distance(&rounded, &exact);
    // A number of bf16 has 8 bits; a few layers add up their rounding.
    assert!(difference > 1e-4 && difference < 2e-2, "{difference}");
    close("f16", &embedded(&load(&config, &half, F32).0), &exact, 2e-3);
}

#[test]
fn weights_are_not_trained() {
    let device = Device::flex().autodiff();
    let encoder = small().init(&device).unwrap();
    let pooled = encoder.encode(&rows()).unwrap().pooled;
    assert!(!pooled.is_require_grad());
}

#[test]
fn files_that_do_not_fit_are_errors_that_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.safetensors");
    let config = small();
    let message = |config: &ClipTextConfig, parts: &[Part]| {
        write(&file, parts);
        match ClipText::load(config, &file, F32, &Device::flex()) {
            Ok(_) => panic!("the file fits"),
            Err(error) => error.to_string(),
        }
    };
    let whole = || parts(&config.parameters(), is_table, DType::F32);
    let mut lacking = whole();
    lacking.retain(|part| !part.name.ends_with("layers.1.mlp.fc1.bias"));
    let text = message(&config, &lacking);
    assert!(text.contains("`text_model.encoder.layers.1.mlp.fc1.bias` is missing in the file"), "{text}");
    assert!(text.contains("clip.safetensors"), "{text}");

    let wider = ClipTextConfig { hidden_size: 24, ..config.clone() };
    let text = message(&wider, &whole());
    assert!(text.contains("the network is of another size than the file"), "{text}");

    let mut deeper = whole();
    deeper.push(Part {
        name: "text_model.encoder.layers.3.mlp.fc1.bias".into(),
        data: TensorData::new(vec![0.0_f32; 20], [20]),
    });
    let text = message(&config, &deeper);
    assert!(text.contains("`text_model.encoder.layers.3.mlp.fc1.bias` is in the file, not in the model"), "{text}");

    let mut broken = whole();
    broken[3].data = TensorData::full(broken[3].data.shape().clone(), f32::NAN);
    let text = message(&config, &broken);
    assert!(text.contains(&broken[3].name) && text.contains("has NaN or infinity in"), "{text}");

    let text = message(&ClipTextConfig { projection_dim: Some(5), ..config.clone() }, &whole()[..whole().len() - 1]);
    assert!(text.contains("`text_projection.weight` is missing"), "{text}");
    let invalid = ClipTextConfig { num_attention_heads: 5, ..config };
    assert!(matches!(ClipText::load(&invalid, &file, F32, &Device::flex()), Err(Error::Config(_))));
}

#[test]
fn tokens_that_do_not_exist_are_errors() {
    let encoder = small().init(&Device::flex()).unwrap();
    let message = |rows: &[Vec<u32>]| encoder.encode(rows).unwrap_err().to_string();
    assert!(message(&[vec![48, 50]]).contains("50 is none of 0..=49"));
    assert!(message(&[vec![1; 10]]).contains("takes at most 9"));
    assert!(message(&[]).contains("at least one row"));
}
