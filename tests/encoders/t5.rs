//! The encoder of T5 against transformers.
use crate::device::device;
use crate::text_support::{Golden, Part, distance, names, parts, values, write};
use burn::tensor::{DType, Device};
use burn_mixflow::models::encoders::TextPrecision::{self, Bf16, F32};
use burn_mixflow::models::encoders::t5::{T5Encoder, T5EncoderConfig};
use burn_mixflow::models::weights::ImportReport;
use serde_json::json;
use std::path::Path;

const TOLERANCE: f64 = 2e-4;
const EMBEDDED: &str = "encoder.embed_tokens.weight";

fn is_table(name: &str) -> bool {
    name == "shared.weight" || name.ends_with("relative_attention_bias.weight")
}

/// The sizes of the recorded small encoder.
fn small() -> T5EncoderConfig {
    T5EncoderConfig {
        vocab_size: 100,
        d_model: 48,
        d_kv: 16,
        d_ff: 96,
        num_layers: 3,
        num_heads: 4,
        ..T5EncoderConfig::xxl()
    }
}

fn load(config: &T5EncoderConfig, file: &Path, precision: TextPrecision) -> (T5Encoder, ImportReport) {
    T5Encoder::load(config, file, precision, &device()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_small_encoder_equals_transformers_near_and_far() {
    let folder = tempfile::tempdir().unwrap();
    let (file, golden) = (folder.path().join("t5.safetensors"), Golden::read());
    write(&file, &parts(&names("t5_small"), is_table, DType::F32));
    let (encoder, report) = load(&small(), &file, F32);
    assert_eq!((report.loaded, report.unused.len()), (small().parameters().len(), 0), "{report}");
    // Distances beyond 128 share a bias.
    for length in [77, 301] {
        let name = format!("t5_small.{length}");
        let found = encoder.encode(&golden.tokens(&format!("{name}.tokens"))).unwrap();
        golden.check_hidden(&name, found, TOLERANCE);
    }
}

#[test]
#[ignore = "one layer of full width: 193 million weights are made, written and read, which takes 3 GB of memory and a minute"]
fn a_layer_of_full_width_equals_transformers() {
    let golden = Golden::read();
    let name = "t5_full.77";
    assert!(golden.has(&format!("{name}.part")), "recorded with --full only");
    let config = T5EncoderConfig { num_layers: 1, vocab_size: 100, ..T5EncoderConfig::xxl() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t5.safetensors");
    write(&file, &parts(&config.parameters(), is_table, DType::F32));
    let (encoder, _) = load(&config, &file, F32);
    golden.check_hidden(name, encoder.encode(&golden.tokens(&format!("{name}.tokens"))).unwrap(), TOLERANCE);
}

#[test]
fn names_shapes_and_counts_are_those_of_transformers() {
    assert_eq!(small().parameters(), names("t5_small"));
    let xxl = T5EncoderConfig::xxl();
    assert_eq!((xxl.parameters().len(), xxl.parameter_count()), (219, 4_762_310_656));
    let listed = xxl.parameters();
    let last = listed.iter().find(|(name, _)| name == "encoder.block.23.layer.1.DenseReluDense.wi_1.weight");
    assert_eq!(last.map(|(_, shape)| shape.as_slice()), Some(&[10_240, 4096][..]));
}

/// The same numbers under the name that only the encoder has.
fn embedded(official: Vec<Part>) -> Vec<Part> {
    let name = |name: String| if name == "shared.weight" { EMBEDDED.into() } else { name };
    official.into_iter().map(|part| Part { name: name(part.name), data: part.data }).collect()
}

fn rows() -> Vec<Vec<u32>> {
    vec![vec![5, 6, 7, 1, 0, 0], vec![9, 99, 3, 2, 8, 1]]
}

#[test]
fn either_table_of_tokens_both_and_shards_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let whole = || parts(&small().parameters(), is_table, DType::F32);
    let encoded = |file: &Path| {
        let (encoder, report) = load(&small(), file, F32);
        (values(encoder.encode(&rows()).unwrap()), report)
    };
    write(&file("official"), &whole());
    let (expected, _) = encoded(&file("official"));
    write(&file("embedded"), &embedded(whole()));
    assert_eq!(encoded(&file("embedded")).0, expected);

    let table = |prefix: &str| {
        let mut both = embedded(whole());
        both.truncate(1);
        both.extend(whole());
        both.iter_mut().for_each(|part| part.name = format!("{prefix}{}", part.name));
        both
    };
    write(&file("both"), &table(""));
    let (found, report) = encoded(&file("both"));
    assert_eq!((found, report.unused), (expected.clone(), vec![EMBEDDED.to_string()]));
    write(&file("single"), &table("text_encoders.t5xxl.transformer."));
    let (found, report) = encoded(&file("single"));
    assert_eq!((found, report.under.as_str()), (expected.clone(), "text_encoders.t5xxl.transformer"));

    let shards = file("text_encoder_3");
    std::fs::create_dir(&shards).unwrap();
    let mut all = whole();
    let second = all.split_off(9);
    let mut places = serde_json::Map::new();
    for (number, shard) in [(1, all), (2, second)] {
        let name = format!("model-0000{number}-of-00002.safetensors");
        write(&shards.join(&name), &shard);
        places.extend(shard.iter().map(|part| (part.name.clone(), json!(name))));
    }
    let index = json!({"metadata": {}, "weight_map": places});
    std::fs::write(shards.join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::write(shards.join("config.json"), "{}").unwrap();
    assert_eq!(encoded(&shards).0, expected);
}

#[test]
fn bf16_is_near() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t5.safetensors");
    write(&file, &parts(&small().parameters(), is_table, DType::F16));
    let [exact, rounded] = [F32, Bf16].map(|precision| {
        let hidden = load(&small(), &file, precision).0.encode(&rows()).unwrap();
        assert_eq!(hidden.dtype(), if precision == F32 { DType::F32 } else { DType::BF16 });
        values(hidden)
    });
    let difference = distance(&rounded, &exact);
    assert!(difference > 1e-4 && difference < 0.1, "{difference}");
}

#[test]
fn padding_is_seen_as_in_the_reference() {
    let encoder = small().init(&device()).unwrap();
    let first = |row: &[u32]| values(encoder.encode(&[row.to_vec()]).unwrap().narrow(1, 0, 1));
    assert!(distance(&first(&[5, 6, 1, 0, 0, 0]), &first(&[5, 6, 1])) > 1e-3);
    // A text does not see those beside it.
    let both = values(encoder.encode(&rows()).unwrap().narrow(0, 1, 1));
    assert!(distance(&both, &values(encoder.encode(&rows()[1..]).unwrap())) < 1e-6);
}

#[test]
fn what_does_not_fit_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t5.safetensors");
    let message = |config: &T5EncoderConfig, parts: &[Part]| {
        write(&file, parts);
        match T5Encoder::load(config, &file, F32, &Device::flex()) {
            Ok(_) => panic!("the file fits"),
            Err(error) => error.to_string(),
        }
    };
    let whole = parts(&small().parameters(), is_table, DType::F32);
    let text = message(&T5EncoderConfig { num_layers: 4, ..small() }, &whole);
    assert!(text.contains("`encoder.block.3.layer.0.SelfAttention.k.weight` is missing"), "{text}");
    let text = message(&small(), &whole[1..]);
    assert!(text.contains("`shared.weight` is missing in the file"), "{text}");
    let encoder = small().init(&Device::flex()).unwrap();
    let text = encoder.encode(&[vec![4, 100]]).unwrap_err().to_string();
    assert!(text.contains("100 is none of 0..=99"), "{text}");
}
