//! Every reader under random damage: an error or a value, never a panic, and no more memory than the file has reason for.
//!
//! ```console
//! MIXFLOW_FUZZ_SECONDS=600 cargo test --release --test readers -- --nocapture --test-threads 1
//! ```
//! Left out, each reader has two seconds. A file that ever failed belongs into `tests/readers/`, which all start from.
mod dice;

use burn::nn::LinearConfig;
use burn::tensor::Device;
use burn_mixflow::data::DataConfig;
use burn_mixflow::experiment::Experiment;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::sets::SampleSet;
use burn_mixflow::models::weights::{ImportOptions, KeyMap, export_safetensors, import};
use cap::Cap;
use dice::Dice;
use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// What a reader may take beside its file: buffers, a decoded picture of a claimed size, Burn's own.
const ROOM: usize = 640 << 20;

const STORED: zip::write::SimpleFileOptions =
    zip::write::SimpleFileOptions::DEFAULT.compression_method(zip::CompressionMethod::Stored);

/// A place below `end`.
fn below(dice: &mut Dice, end: usize) -> usize {
    dice.below(end as u64) as usize
}

/// One to eight changes of the kinds that readers are known to stumble over.
fn damaged(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=below(dice, 8) {
        // Headers are where readers believe what they read.
        let reach = if below(dice, 3) == 0 { bytes.len() } else { bytes.len().min(600) };
        let at = below(dice, reach);
        match below(dice, 7) {
            _ if bytes.is_empty() => break,
            0 => bytes[at] ^= 1 << below(dice, 8),
            1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, b'[', b'"', b'-'][below(dice, 8)],
            2 => bytes.truncate(at),
            3 => {
                let number = [0u64, 1, u64::MAX, 1 << 31, 1 << 40, i64::MAX as u64][below(dice, 6)].to_le_bytes();
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            4 => {
                let end = (at + below(dice, 40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = below(dice, bytes.len());
                bytes.splice(to..to, piece);
            }
            5 => drop(bytes.drain(at..(at + below(dice, 40)).min(bytes.len()))),
            _ => bytes.insert(at, [0, b'9', b'{', b',', 0xEF, 0xFE][below(dice, 6)]),
        }
    }
    bytes
}

/// The limit of memory is that of the process: one reader at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Damages `whole` for a time, and reads each; how often, and how often it was refused.
fn fuzz(name: &str, file: &Path, whole: &[u8], read: impl Fn(&Path) -> burn_mixflow::Result<()>) {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    std::fs::write(file, whole).unwrap();
    read(file).unwrap_or_else(|error| panic!("{name}: the whole file must be read: {error}"));
    let seconds = std::env::var("MIXFLOW_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let seed = std::env::var("MIXFLOW_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let (mut dice, started) = (Dice::new(seed), Instant::now());
    let (mut reads, mut refused) = (0usize, 0usize);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers");
    let corpus = std::fs::read_dir(kept).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut corpus: Vec<PathBuf> = corpus.filter(|path| path.extension() == file.extension()).collect();
    while started.elapsed() < Duration::from_secs(seconds) || !corpus.is_empty() {
        let bytes = corpus.pop().map_or_else(|| damaged(whole, &mut dice), |path| std::fs::read(path).unwrap());
        std::fs::write(file, &bytes).unwrap();
        MEMORY.set_limit(MEMORY.allocated() + bytes.len() * 16 + ROOM).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| read(file)));
        MEMORY.set_limit(usize::MAX).unwrap();
        reads += 1;
        match result {
            Ok(found) => refused += usize::from(found.is_err()),
            Err(_) => {
                let failed = std::env::temp_dir()
                    .join(format!("reader-{name}-{reads}"))
                    .with_extension(file.extension().unwrap_or_default());
                std::fs::write(&failed, &bytes).unwrap();
                panic!("{name}: seed {seed}, read {reads} panicked; the file is {}", failed.display());
            }
        }
    }
    println!("{name}: {reads} files, {refused} refused");
    assert!(
        reads > 20 && refused * 10 > reads,
        "{name}: {refused} of {reads} refused: the damage does not reach what is read"
    );
}

fn shipped(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn weights_of_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let config = ExperimentConfig::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sit/tiny.json")).unwrap();
    let network = config.network.init(0, &Device::flex()).unwrap();
    let read = |file: &Path| network.import(file, &ImportOptions::default()).map(drop);
    fuzz("pt", &folder.path().join("a.pt"), &shipped("data/tiny/sit/ckpt.pt"), read);
}

/// A dictionary of a class of its own, optimizer states, numpy and a hook beside the weights.
const LIGHTNING: &str = "tests/pytorch/lightning.pt";

#[test]
fn weights_of_lightning() {
    let folder = tempfile::tempdir().unwrap();
    let linear = LinearConfig::new(3, 2).init(&Device::flex());
    let read = |file: &Path| import(&linear, file, &ImportOptions::default(), KeyMap::default()).map(drop);
    fuzz("ckpt", &folder.path().join("a.ckpt"), &shipped(LIGHTNING), read);
}

/// The pickle alone, as the checksum of the archive hides most damage from its reader.
#[test]
fn weights_of_a_pickle() {
    let folder = tempfile::tempdir().unwrap();
    let linear = LinearConfig::new(3, 2).init(&Device::flex());
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(shipped(LIGHTNING))).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        entries.push((entry.name().unwrap().into_owned(), bytes));
    }
    let is_pickle = |entry: &&(String, Vec<u8>)| entry.0.ends_with("data.pkl");
    let pickle = entries.iter().find(is_pickle).unwrap().1.clone();
    let around = folder.path().join("around.ckpt");
    let read = |file: &Path| {
        let pickle = std::fs::read(file).unwrap();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in &entries {
            let bytes = if name.ends_with("data.pkl") { &pickle } else { bytes };
            zip.start_file(name.as_str(), STORED).unwrap();
            std::io::Write::write_all(&mut zip, bytes).unwrap();
        }
        std::fs::write(&around, zip.finish().unwrap().into_inner()).unwrap();
        import(&linear, &around, &ImportOptions::default(), KeyMap::default()).map(drop)
    };
    fuzz("pkl", &folder.path().join("a.pkl"), &pickle, read);
}

/// A few opcodes, over and over: the costliest pickles there are.
#[test]
fn a_pickle_takes_a_hundred_bytes_for_each_of_its_own() {
    const LONG: usize = 1 << 20;
    const BUFFERS: usize = 1 << 20;
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pt");
    for opcodes in [
        "N", "(", ")", "]", "}", "N\u{94}", "]\u{94}", "NNR", "(io\ns\n", "N\u{85}", "NN\u{86}", "NNRNb", "]Na", "}NNs",
    ] {
        let opcodes: Vec<u8> = opcodes.chars().map(|c| c as u8).collect();
        let begin = if opcodes == b"NNR" { b"N".as_slice() } else { b"" };
        let pickle = [begin, &opcodes.repeat(LONG / opcodes.len()), b"."].concat();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("a/data.pkl", STORED).unwrap();
        std::io::Write::write_all(&mut zip, &pickle).unwrap();
        std::fs::write(&file, zip.finish().unwrap().into_inner()).unwrap();
        let linear = LinearConfig::new(3, 2).init(&Device::flex());
        MEMORY.set_limit(MEMORY.allocated() + 100 * LONG + BUFFERS).unwrap();
        let result = import(&linear, &file, &ImportOptions::default(), KeyMap::default());
        MEMORY.set_limit(usize::MAX).unwrap();
        assert!(result.is_err());
    }
}

#[test]
fn weights_in_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let (linear, file) = (LinearConfig::new(3, 2).init(&Device::flex()), folder.path().join("a.safetensors"));
    export_safetensors(&linear, &file, KeyMap::default()).unwrap();
    let whole = std::fs::read(&file).unwrap();
    fuzz("safetensors", &file, &whole, |file| {
        import(&linear, file, &ImportOptions::default(), KeyMap::default()).map(drop)
    });
}

#[test]
fn arrays() {
    let folder = tempfile::tempdir().unwrap();
    let mut npy = b"\x93NUMPY\x01\0".to_vec();
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (16, 2), }");
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend((0..32).flat_map(|i| (i as f32 * 0.1).to_le_bytes()));
    let read = |file: &Path| SampleSet::read(file).map(drop);
    fuzz("npy", &folder.path().join("a.npy"), &npy, read);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &npy).unwrap();
    fuzz("npz", &folder.path().join("a.npz"), &zip.finish().unwrap().into_inner(), read);
}

#[test]
fn pictures() {
    let folder = tempfile::tempdir().unwrap();
    let picture = image::RgbImage::from_fn(24, 20, |x, y| image::Rgb([10 * x as u8, 12 * y as u8, 7]));
    for (format, ending) in
        [(image::ImageFormat::Png, "png"), (image::ImageFormat::Jpeg, "jpg"), (image::ImageFormat::WebP, "webp")]
    {
        let below = folder.path().join(ending);
        std::fs::create_dir(&below).unwrap();
        let mut whole = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut whole, format).unwrap();
        (0..3).for_each(|i| std::fs::write(below.join(format!("whole-{i}.{ending}")), whole.get_ref()).unwrap());
        let json =
            serde_json::json!({"kind": "images", "folder": below, "size": 8, "cache": folder.path().join("cache")});
        let config: DataConfig = serde_json::from_value(json).unwrap();
        fuzz(ending, &below.join(format!("victim.{ending}")), whole.get_ref(), |_| config.open().map(drop));
    }
}

#[test]
fn configurations() {
    let folder = tempfile::tempdir().unwrap();
    let read = |file: &Path| {
        let config = ExperimentConfig::read(file)?;
        let problems = config.problems();
        if problems.is_empty() { Ok(()) } else { Err(burn_mixflow::Error::Config(problems)) }
    };
    fuzz("json", &folder.path().join("a.json"), &shipped("configs/sit/tiny.json"), read);
}

#[test]
fn weights_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let json = serde_json::json!({
        "data": {"kind": "digits"},
        "network": {"kind": "residual_mlp", "width": 8, "depth": 1, "size": 8, "channels": 1, "num_classes": 10}
    });
    let config = ExperimentConfig::parse(&json.to_string()).unwrap();
    let network = config.network.init(0, &Device::flex()).unwrap();
    let file = folder.path().join("ema.bpk");
    use burn::module::Module;
    let whole = network.into_record().into_bytes().unwrap().to_vec();
    let experiment = Experiment::open(config, folder.path()).unwrap();
    fuzz("bpk", &file, &whole, |file| experiment.trained(file.parent().unwrap()).map(drop));
}
