//! Random damage to each kind of file: never a panic, and an error names the file.
use super::data_listed::{latents, name, npy, with_all};
use super::{classes, encoded, flat, folder, images, vectors, write};
use burn_mixflow::data::DataConfig;
use burn_mixflow::random::{Purpose, SampleKey};
use image::{ImageFormat, Rgb, RgbImage};
use rand::{Rng, RngExt};
use serde_json::json;
use tempfile::TempDir;

/// Damage of each file; nightly runs may ask for more by `MIXFLOW_DAMAGE`.
fn rounds() -> u64 {
    std::env::var("MIXFLOW_DAMAGE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60)
}

/// `bytes` cut, lengthened, with some bytes or a whole run replaced.
fn damaged(bytes: &[u8], rng: &mut dyn Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut below = |n: usize| rng.random_range(0..n.max(1) as u32) as usize;
    match below(5) {
        0 => bytes.truncate(below(bytes.len())),
        1 => bytes.extend((0..1 + below(40)).map(|_| below(256) as u8)),
        2 => {
            for _ in 0..1 + below(8) {
                // Headers are short, and most is decided there.
                let end = if below(2) == 0 { bytes.len().min(120) } else { bytes.len() };
                bytes[below(end)] = below(256) as u8;
            }
        }
        3 => {
            let start = below(bytes.len());
            let end = bytes.len().min(start + 1 + below(64));
            bytes[start..end].fill([0, 0xFF, b'9'][below(3)]);
        }
        _ => {
            let (start, length) = (below(bytes.len()), 1 + below(16));
            bytes.drain(start..(start + length).min(bytes.len()));
        }
    }
    bytes
}

/// Damages `file` again and again; what opens and reads it must not panic, and an error must name the file.
fn damage(folder: &TempDir, file: &str, config: &DataConfig) {
    let whole = std::fs::read(folder.path().join(file)).expect("a file");
    let mut refused = 0;
    for position in 0..rounds() {
        let mut rng = SampleKey { seed: 11, epoch: whole.len() as u64, position }.rng(Purpose::Data);
        write(folder, file, damaged(&whole, &mut rng));
        let read = config.open().and_then(|split| {
            split.fingerprint(None, &mut |_| ())?;
            split.verify(None, &mut |_| ())
        });
        if let Err(error) = read {
            let (error, name) = (error.to_string(), file.rsplit('/').next().unwrap_or(file));
            assert!(error.contains(name), "round {position}: {error}");
            refused += 1;
        }
    }
    assert!(refused > rounds() / 10, "{file}: only {refused} of {} were refused", rounds());
    write(folder, file, whole);
    config.open().expect("whole again");
}

#[test]
fn damaged_latents_features_and_prompts_are_errors() {
    let folder = latents();
    let config = with_all(folder.path(), json!({}));
    let first = format!("vae/{}", name(0));
    for file in [first.as_str(), "features/img-feature-00000003.npy", "text/img-text-00000004.safetensors"] {
        damage(&folder, file, &config);
    }
    damage(&folder, "text/null.safetensors", &config);
}

#[test]
fn damaged_lists_and_tables_are_errors() {
    let folder = latents();
    damage(&folder, "vae/dataset.json", &with_all(folder.path(), json!({})));
    let rows: String = (0..40).map(|i| format!("{i},{},\"{}\"\n", i * 7 % 5, ["a", "b"][i % 2])).collect();
    write(&folder, "t.csv", format!("one,two,class\n{rows}"));
    damage(&folder, "t.csv", &vectors(&folder, "t.csv", json!({"label": "class"})));
    write(&folder, "t.npy", npy(&[30, 3], (0..90).map(|v| (v * v % 17) as f32)));
    damage(&folder, "t.npy", &vectors(&folder, "t.npy", json!({})));
}

#[test]
fn damaged_pictures_and_their_labels_are_errors() {
    let folder = classes();
    let noise = RgbImage::from_fn(48, 40, |x, y| Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8]));
    let config = images(&folder, json!({}));
    for (file, format) in
        [("cat/a.jpg", ImageFormat::Jpeg), ("cat/b.png", ImageFormat::Png), ("cat/c.webp", ImageFormat::WebP)]
    {
        write(&folder, file, encoded(noise.clone(), format));
        damage(&folder, file, &config);
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    let pictures = self::folder();
    let rows: String = (0..6).map(|i| format!("{i}.png,{}\n", i % 2)).collect();
    for i in 0..6 {
        write(&pictures, &format!("{i}.png"), encoded(flat(8, 8, [i; 3]), ImageFormat::Png));
    }
    write(&pictures, "labels.csv", &rows);
    damage(&pictures, "labels.csv", &images(&pictures, json!({"labels": {"file": "labels.csv"}})));
}

#[test]
fn claims_of_any_size_cost_nothing() {
    let folder = latents();
    let config = with_all(folder.path(), json!({}));
    let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1048576), }\n";
    let npy = [b"\x93NUMPY\x01\0", (huge.len() as u16).to_le_bytes().as_slice(), huge.as_bytes(), &[0; 64]].concat();
    let header =
        r#"{"context":{"dtype":"F32","shape":[1099511627776,1048576],"data_offsets":[0,4611686018427387904]}}"#;
    let tensors = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 64]].concat();
    let long = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let second = format!("vae/{}", name(2));
    for (file, bytes) in [
        (second.as_str(), &npy),
        ("features/img-feature-00000003.npy", &npy),
        ("text/img-text-00000004.safetensors", &tensors),
        ("text/img-text-00000004.safetensors", &long),
    ] {
        let whole = std::fs::read(folder.path().join(file)).unwrap();
        write(&folder, file, bytes);
        let error = config.open().unwrap().verify(None, &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains(file.rsplit('/').next().unwrap()), "{error}");
        write(&folder, file, whole);
    }
    // A PNG of 100 bytes that claims 100,000 × 100,000 pixels, and a JPEG of 65,535 × 65,535.
    let pictures = classes();
    let mut png = encoded(flat(8, 8, [7; 3]), ImageFormat::Png);
    png[16..24].copy_from_slice(&[100_000u32.to_be_bytes(), 100_000u32.to_be_bytes()].concat());
    let sum = crc32(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&sum);
    write(&pictures, "cat/huge.png", png);
    let mut jpeg = encoded(flat(8, 8, [7; 3]), ImageFormat::Jpeg);
    let frame = (0..jpeg.len()).find(|at| jpeg[*at..].starts_with(&[0xFF, 0xC0])).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    write(&pictures, "cat/huge.jpg", jpeg);
    let error = images(&pictures, json!({})).open().unwrap_err().to_string();
    assert!(
        error.contains("2 of 45") && error.contains("huge.png: says that it has 100000 × 100000 pixels"),
        "{error}"
    );
    assert!(
        error.contains("huge.jpg: says that it has 65535 × 65535 pixels, 12287 MiB: must be at most 512"),
        "{error}"
    );
}

/// The checksum of a PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}
