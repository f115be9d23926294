//! Nothing that happens to a file on its way panics.
use super::CHECKPOINTS;
use super::pickles::saved;
use crate::path;
use burn::nn::LinearConfig;
use burn_mixflow::Error;
use burn_mixflow::data::Array;
use burn_mixflow::models::weights::{ImportOptions, KeyMap, WeightSource, export_safetensors, import, tensor_shapes};
use burn_mixflow::random::{Purpose, SampleKey};
use rand::RngExt;
use std::path::Path;

/// A copy of a golden file, and its bytes.
fn copied(file: &str) -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join(Path::new(file).file_name().expect("a name"));
    (folder, target, std::fs::read(path(file)).expect(file))
}

#[test]
fn truncated_files_are_errors() {
    let safetensors = "sit/model_c.safetensors";
    for file in CHECKPOINTS.iter().map(|c| c.0).chain([safetensors]) {
        let (_folder, target, bytes) = copied(file);
        let lengths = (0..16).map(|part| bytes.len() * part / 16).chain([1, 4, 8, 30, bytes.len() - 1]);
        for length in lengths {
            std::fs::write(&target, &bytes[..length]).expect("a file");
            let error = tensor_shapes(&target, WeightSource::Auto).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{file} cut to {length}: {error}");
        }
    }
}

/// Every bit of the lengths, names, shapes and offsets of a small file, one at a time: an error, or a file that is read as
/// it now says, within its own size.
#[test]
fn no_bit_of_a_header_panics() {
    let linear = LinearConfig::new(3, 2).init(&crate::device::device());
    let folder = tempfile::tempdir().expect("a folder");
    let (safetensors, pickle) = (folder.path().join("w.safetensors"), folder.path().join("w.pt"));
    export_safetensors(&linear, &safetensors, KeyMap::default()).expect("a file");
    saved(&pickle, |pickle| pickle.entry("epoch", |value| value.int(7)));
    for file in [safetensors, pickle] {
        let bytes = std::fs::read(&file).expect("a file");
        let mut refused = 0;
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &damaged).expect("a file");
            let result = import(&linear, &file, &ImportOptions::default(), KeyMap::default());
            refused += usize::from(result.is_err());
            let _ = Array::read_named(&file, ["weight"]);
        }
        // The rest are bits of the numbers, of padding, and of names that nobody looks at.
        assert!(refused > 2 * bytes.len(), "{}: {refused} of {}", file.display(), 8 * bytes.len());
        for length in 0..bytes.len() {
            std::fs::write(&file, &bytes[..length]).expect("a file");
            let result = import(&linear, &file, &ImportOptions::default(), KeyMap::default());
            assert!(matches!(result, Err(Error::Format { .. })), "{} cut to {length}", file.display());
        }
    }
}

#[test]
fn flipped_bits_do_not_panic() {
    let linear = LinearConfig::new(2, 2).init(&crate::device::device());
    let rounds: u64 = std::env::var("MIXFLOW_FLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    for file in ["sit/ckpt.pt", "rae/ckpt.pt", "sit/model_c.safetensors"] {
        let (_folder, target, bytes) = copied(file);
        for round in 0..rounds {
            let mut rng = SampleKey { seed: 3, epoch: 0, position: round }.rng(Purpose::Data);
            let mut damaged = bytes.clone();
            for _ in 0..1 + round % 8 {
                // Mostly where the names and sizes are: at the two ends.
                let zone = bytes.len().min(8192);
                let at = match rng.random_range(0..4) {
                    0 => rng.random_range(0..bytes.len()),
                    1 => bytes.len() - 1 - rng.random_range(0..zone),
                    _ => rng.random_range(0..zone),
                };
                damaged[at] ^= 1 << rng.random_range(0..8);
            }
            std::fs::write(&target, &damaged).expect("a file");
            let _ = tensor_shapes(&target, WeightSource::Auto);
            let _ = import(&linear, &target, &ImportOptions::default(), KeyMap::default());
            let _ = Array::read_named(&target, ["ema.pos_embed"]);
        }
    }
}
