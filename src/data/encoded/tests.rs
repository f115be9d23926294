//! Encodings that are interrupted anywhere end as those that are not.
use super::*;
use crate::data::to_encode::{Flips, PictureSource, PictureSourceConfig, Skipped};
use crate::data::{Array, HeldOut, ImageLabels, LatentsConfig, TextItem};
use crate::storage::faults;
use crate::{Error, Result};
use burn::data::dataset::Dataset;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const SIZE: usize = 8;
const POSTERIOR: EncodedPart = EncodedPart::Posterior { shape: [1, 2, 2] };
const FEATURES: EncodedPart = EncodedPart::Features { tokens: 2, width: 3 };
const TEXT: EncodedPart = EncodedPart::Text { tokens: 2, width: 2, pooled: 1, stored: StoredFloats::Bf16 };

/// Four pictures in two classes, the second of which is no picture.
fn pictures(folder: &Path) {
    for (name, colour) in [("cat/a.png", 10), ("cat/b.png", 0), ("dog/a.png", 30), ("dog/b.png", 40)] {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match colour {
            0 => std::fs::write(file, "no picture").unwrap(),
            colour => {
                image::RgbImage::from_fn(9, 8, |x, _| image::Rgb([colour, x as u8, 0])).save(file).unwrap();
            }
        }
    }
}

fn source(folder: &Path, flips: Flips) -> PictureSource {
    let labels = ImageLabels::Folders;
    PictureSource::open(PictureSourceConfig { labels, flips, ..PictureSourceConfig::new(folder, SIZE) }).unwrap()
}

fn identity(source: &PictureSource, parts: &[EncodedPart]) -> EncodingIdentity {
    let made_by = BTreeMap::from([("autoencoder".to_string(), json!("24c44b4c5e8998d6"))]);
    EncodingIdentity::new(source, parts.to_vec(), made_by)
}

fn text(value: f32) -> TextItem {
    let array = |shape: &[usize]| Array { shape: shape.to_vec(), values: vec![value; shape.iter().product()] };
    TextItem { context: array(&[2, 2]), pooled: array(&[1]) }
}

/// What the encoders of this test make of a picture.
fn encode(folder: &EncodedFolder, parts: &[EncodedPart], source: &PictureSource) -> Result<Vec<Skipped>> {
    let mut skipped = Vec::new();
    if parts.contains(&TEXT) {
        folder.write_null_text(&text(0.0))?;
    }
    for picture in source.read_many(&folder.pending()?) {
        let picture = match picture {
            Ok(picture) => picture,
            Err(one) => {
                skipped.push(one);
                continue;
            }
        };
        let (index, value) = (picture.index, f32::from(picture.rgb[0]) + f32::from(picture.rgb[1]));
        for part in parts {
            let content = match part {
                EncodedPart::Pictures { .. } => Encoded::Picture(&picture.rgb),
                EncodedPart::Posterior { .. } => Encoded::Posterior(&[value; 8]),
                EncodedPart::Features { .. } => Encoded::Features(&[-value; 6]),
                EncodedPart::Text { .. } => Encoded::Text(&text(value)),
                EncodedPart::Latents { .. } => Encoded::Latents(&[value; 4]),
            };
            folder.write(index, content)?;
        }
    }
    folder.finish(source.labels(), &skipped)?;
    Ok(skipped)
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/");
                    found.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

#[test]
fn what_is_written_is_read_as_latents() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pictures(from.path());
    let (source, parts) = (source(from.path(), Flips::Both), [POSTERIOR, FEATURES, TEXT]);
    let folder = EncodedFolder::open(to.path(), identity(&source, &parts)).unwrap();
    let skipped = encode(&folder, &parts, &source).unwrap();
    assert_eq!(
        skipped.iter().map(|one| (one.index, one.picture.as_str())).collect::<Vec<_>>(),
        [(1, "cat/b.png"), (5, "cat/b.png")]
    );
    let there = files(to.path());
    let list = String::from_utf8(there["vae-sd/dataset.json"].clone()).unwrap();
    let name = |index: usize| format!("00000/img-mean-std-{index:08}.npy");
    let labels = [(0, 0), (2, 1), (3, 1), (4, 0), (6, 1), (7, 1)].map(|(index, label)| json!([name(index), label]));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&list).unwrap(), json!({"labels": labels}));
    let report: Vec<Skipped> = serde_json::from_slice(&there["skipped.json"]).unwrap();
    assert_eq!(report, skipped);
    // The cropped picture begins with column 0, its mirror with column 7.
    let split = LatentsConfig {
        folder: folder.folder(&POSTERIOR),
        shape: [1, 2, 2],
        classes: 2,
        posterior: true,
        scale: 2.0,
        shift: 0.0,
        normalization: None,
        features: vec![folder.folder(&FEATURES)],
        text: Some(folder.folder(&TEXT)),
        held_out: HeldOut::Count(2),
        seed: 0,
        mirrors_from: None,
        max_bad_items: 0,
    }
    .open()
    .unwrap();
    let sets = [&split.train, &split.held_out];
    let mut found: Vec<_> = sets
        .iter()
        .flat_map(|set| (0..set.len()).map(|i| (set.name(i), set.get_many(vec![i]).unwrap().remove(0))))
        .map(|(name, item)| (name, item.label, item.data[3], item.features[0].values[0], item.text.unwrap().pooled))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let value = [(0, 0, 10.0), (2, 1, 30.0), (3, 1, 40.0), (4, 0, 17.0), (6, 1, 37.0), (7, 1, 47.0)];
    for ((index, label, value), found) in value.into_iter().zip(found) {
        assert_eq!(found, (name(index), label, 2.0 * value, -value, text(value).pooled));
    }
}

#[test]
fn whatever_fails_the_next_run_completes_it() {
    let from = tempfile::tempdir().unwrap();
    pictures(from.path());
    let parts = [EncodedPart::Pictures { size: SIZE }, POSTERIOR, FEATURES, TEXT];
    let source = source(from.path(), Flips::None);
    let run = |to: &Path| {
        EncodedFolder::open(to, identity(&source, &parts)).and_then(|folder| encode(&folder, &parts, &source))
    };
    let whole = tempfile::tempdir().unwrap();
    run(whole.path()).unwrap();
    let expected = files(whole.path());
    assert_eq!(expected.len(), 1 + 4 * 3 + 1 + 2 + 1, "{:?}", expected.keys());
    for at in 0.. {
        let to = tempfile::tempdir().unwrap();
        let fault = faults::walk(to.path(), at, || run(to.path()).is_err());
        run(to.path()).unwrap();
        assert_eq!(files(to.path()), expected, "after {fault:?}");
        match fault {
            Some(fault) => assert!(fault.told, "{fault:?}"),
            None => return assert!(at > 60, "{at}"),
        }
    }
}

#[test]
fn half_files_are_made_again_and_a_mended_picture_gets_its_place() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pictures(from.path());
    let parts = [POSTERIOR, FEATURES];
    let source = source(from.path(), Flips::None);
    let folder = EncodedFolder::open(to.path(), identity(&source, &parts)).unwrap();
    encode(&folder, &parts, &source).unwrap();
    let before = files(to.path());
    let file = |part: &EncodedPart, index| folder.folder(part).join(part.file(index));
    let bytes = std::fs::read(file(&FEATURES, 2)).unwrap();
    std::fs::write(file(&FEATURES, 2), &bytes[..bytes.len() - 1]).unwrap();
    std::fs::remove_file(file(&POSTERIOR, 3)).unwrap();
    let unfinished = folder.folder(&POSTERIOR).join("00000/img-mean-std-00000000.npy.4294967295-0.tmp");
    std::fs::write(&unfinished, "").unwrap();
    assert_eq!(folder.pending().unwrap(), [1, 2, 3]);
    assert!(
        folder.finish(source.labels(), &[]).unwrap_err().to_string().contains("3 file(s) are missing:\n  00000001")
    );
    encode(&folder, &parts, &source).unwrap();
    assert_eq!(files(to.path()), before);
    std::fs::copy(from.path().join("cat/a.png"), from.path().join("cat/b.png")).unwrap();
    assert_eq!(encode(&folder, &parts, &source).unwrap(), []);
    let after = files(to.path());
    assert!(!after.contains_key("skipped.json") && after.len() == before.len() + 1);
    let list = String::from_utf8(after["vae-sd/dataset.json"].clone()).unwrap();
    assert!(list.contains("[\"00000/img-mean-std-00000001.npy\",0]"), "{list}");
}

#[test]
fn other_settings_and_foreign_files_are_refused() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pictures(from.path());
    let source = source(from.path(), Flips::None);
    let first = identity(&source, &[POSTERIOR]);
    EncodedFolder::open(to.path(), first.clone()).unwrap();
    let size = EncodingIdentity { size: 16, ..first.clone() };
    let weights =
        EncodingIdentity { made_by: [("autoencoder".into(), json!("0123456789abcdef"))].into(), ..first.clone() };
    let parts = EncodingIdentity { parts: vec![POSTERIOR, FEATURES], ..first.clone() };
    for (other, says) in
        [(size, "size: was 8, now 16"), (weights, "made_by.autoencoder: differs"), (parts, "parts: was [")]
    {
        let error = EncodedFolder::open(to.path(), other).unwrap_err();
        assert!(matches!(error, Error::OtherData { .. }) && error.to_string().contains(says), "{error}");
    }
    std::fs::write(from.path().join("dog/c.png"), "").unwrap();
    let more = identity(&self::source(from.path(), Flips::None), &[POSTERIOR]);
    assert!(EncodedFolder::open(to.path(), more).unwrap_err().to_string().contains("listing: differs"));
    let foreign = tempfile::tempdir().unwrap();
    std::fs::create_dir(foreign.path().join("vae-sd")).unwrap();
    let error = EncodedFolder::open(foreign.path(), first.clone()).unwrap_err().to_string();
    assert!(error.contains("holds `vae-sd` but no encode.json"), "{error}");
    for wrong in [
        EncodingIdentity { parts: Vec::new(), ..first.clone() },
        EncodingIdentity { parts: vec![POSTERIOR, POSTERIOR], ..first.clone() },
        EncodingIdentity { pictures: 100_000_001, ..first.clone() },
    ] {
        assert!(EncodedFolder::open(to.path(), wrong).is_err());
    }
}

#[test]
fn numbers_that_do_not_fit_or_are_not_finite_name_their_file() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pictures(from.path());
    let source = source(from.path(), Flips::None);
    let parts = [POSTERIOR, TEXT, EncodedPart::Pictures { size: SIZE }];
    let folder = EncodedFolder::open(to.path(), identity(&source, &parts)).unwrap();
    let mut nan = [0.0; 8];
    nan[5] = f32::NAN;
    for (content, says) in [
        (Encoded::Posterior(&[0.0; 7]), "img-mean-std-00000003.npy: 7 numbers do not fill the shape [2, 2, 2]"),
        (Encoded::Posterior(&nan), "it holds NaN at place 5"),
        (Encoded::Text(&text(f32::INFINITY)), "context holds inf at place 0"),
        (Encoded::Picture(&[0; 5]), "5 bytes are no picture of 8 × 8 pixels"),
        (Encoded::Features(&[0.0; 6]), "no part of this kind"),
    ] {
        let error = folder.write(3, content).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(folder.write(4, Encoded::Posterior(&[0.0; 8])).is_err());
    assert_eq!(files(to.path()).len(), 1, "encode.json");
}
