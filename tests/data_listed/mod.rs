//! Everything listed is opened before the first step, what is bad is named or borne, and a listing has a fingerprint.
use super::{encoded, flat, folder, images, names, vectors, write};
use burn::data::dataset::Dataset;
use burn_mixflow::data::{DataConfig, DataFingerprint, DataSplit, Decoded};
use image::ImageFormat;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const NAN: [u8; 4] = f32::NAN.to_le_bytes();

/// Bytes of a `.npy` file of floats.
pub fn npy(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side},")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}\n");
    let mut bytes = [b"\x93NUMPY\x01\0", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes()].concat();
    bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
    bytes
}

/// Bytes of a `.safetensors` file of floats.
pub fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(name.to_string(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; end]].concat()
}

pub fn name(i: usize) -> String {
    format!("{:05}/img-mean-std-{i:08}.npy", i / 10)
}

/// 24 posteriors of six classes in the order of the files, with features and prompts beside them.
pub fn latents() -> TempDir {
    let folder = folder();
    for i in 0..24 {
        write(&folder, &format!("vae/{}", name(i)), npy(&[4, 2, 2], (0..16).map(|v| (v + i) as f32 / 20.0)));
        write(&folder, &format!("features/img-feature-{i:08}.npy"), npy(&[3, 5], (0..15).map(|v| v as f32)));
        write(&folder, &format!("text/img-text-{i:08}.safetensors"), text());
    }
    write(&folder, "text/null.safetensors", text());
    list(&folder, (0..24).map(|i| (i, i / 4)));
    folder
}

fn text() -> Vec<u8> {
    safetensors(&[("context", &[2, 3]), ("pooled", &[4])])
}

/// Writes `dataset.json` with these items and classes.
fn list(folder: &TempDir, items: impl Iterator<Item = (usize, usize)>) {
    let labels: Vec<Value> = items.map(|(i, class)| json!([name(i), class])).collect();
    write(folder, "vae/dataset.json", json!({ "labels": labels }).to_string());
}

pub fn config(folder: &Path, more: Value) -> DataConfig {
    let mut json = json!({"kind": "latents", "folder": folder.join("vae"), "shape": [2, 2, 2], "classes": 6,
        "posterior": true, "scale": 1.0, "held_out": 4});
    json.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value(json).expect("a configuration")
}

/// With everything that can stand beside latents.
pub fn with_all(folder: &Path, more: Value) -> DataConfig {
    let mut all = json!({"features": [folder.join("features")], "text": folder.join("text")});
    all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    config(folder, all)
}

fn verified(split: &DataSplit, cache: Option<&Path>) -> (Result<(), String>, usize) {
    let mut read = 0;
    let result = split.verify(cache, &mut |Decoded { done, .. }| read = done);
    (result.map_err(|e| e.to_string()), read)
}

/// Overwrites four bytes at the end of a file.
fn put(folder: &TempDir, name: &str, value: [u8; 4]) {
    let mut bytes = std::fs::read(folder.path().join(name)).expect("a file");
    let start = bytes.len() - 4;
    bytes[start..].copy_from_slice(&value);
    write(folder, name, bytes);
}

#[test]
fn every_bad_item_is_named_with_its_file_before_the_first_step() {
    let folder = latents();
    let (result, read) = verified(&with_all(folder.path(), json!({})).open().unwrap(), None);
    assert_eq!((result, read), (Ok(()), 24));
    let path = |i: usize| format!("vae/{}", name(i));
    let [split, doubled] = [1.0, 2.0].map(|scale| with_all(folder.path(), json!({"scale": scale})).open().unwrap());
    write(&folder, &path(3), npy(&[4, 2, 1], [0.0; 8]));
    put(&folder, &path(5), (-5.5f32).to_le_bytes());
    put(&folder, "features/img-feature-00000007.npy", NAN);
    put(&folder, "text/img-text-00000009.safetensors", NAN);
    std::fs::remove_file(folder.path().join(path(11))).unwrap();
    let bytes = std::fs::read(folder.path().join(path(13))).unwrap();
    write(&folder, &path(13), &bytes[..bytes.len() - 1]);
    write(&folder, &path(15), npy(&[4, 2, 2], [3e38; 16]));
    write(&folder, &path(17), [npy(&[4, 2, 2], [1.0; 16]), vec![0]].concat());
    write(&folder, &path(19), b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    let error = verified(&split, None).0.unwrap_err();
    for (file, says) in [
        (name(3), "has shape [4, 2, 1]: must be [4, 2, 2]"),
        (name(5), "go down to -5.5: they must be at least 0"),
        ("img-feature-00000007.npy".into(), "holds NaN at [2, 4]"),
        ("img-text-00000009.safetensors".into(), "holds NaN at [3]"),
        (name(11), "No such file"),
        (name(13), "do not fill the shape"),
        (name(17), "do not fill the shape"),
        (name(19), "git lfs pull"),
    ] {
        assert!(error.lines().any(|line| line.contains(&file) && line.contains(says)), "{file}: {says}: {error}");
    }
    assert!(
        error.starts_with("data: 8 of 24 items cannot be used (data.max_bad_items = 0: mend or remove them"),
        "{error}"
    );
    let error = verified(&doubled, None).0.unwrap_err();
    assert!(
        error.contains("data: 9 of 24") && error.contains("value 0 is too large for f32 once it is scaled"),
        "{error}"
    );
}

#[test]
fn files_that_have_not_changed_are_read_once() {
    let folder = latents();
    let cache = folder.path().join("cache");
    let verify = |config: &DataConfig| verified(&config.open().unwrap(), Some(&cache));
    let config = with_all(folder.path(), json!({}));
    assert_eq!(verify(&config), (Ok(()), 24));
    assert_eq!(verify(&config), (Ok(()), 0));
    // Neither the split nor the classes are of the verdict.
    assert_eq!(verify(&with_all(folder.path(), json!({"seed": 7, "held_out": 0.3}))), (Ok(()), 0));
    assert_eq!(verify(&with_all(folder.path(), json!({"shift": 0.5}))), (Ok(()), 24));
    for file in [format!("vae/{}", name(2)), "features/img-feature-00000002.npy".into()] {
        let bytes = std::fs::read(folder.path().join(&file)).unwrap();
        std::fs::remove_file(folder.path().join(&file)).unwrap();
        // A file system may count time in steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(30));
        write(&folder, &file, bytes);
        assert_eq!((verify(&config), verify(&config)), ((Ok(()), 24), (Ok(()), 0)), "{file}");
    }
    put(&folder, &format!("vae/{}", name(2)), NAN);
    for _ in 0..2 {
        assert!(verify(&config).0.unwrap_err().contains("holds NaN at [3, 1, 1]"));
    }
    // One may be bad: only that one is read again.
    let config = with_all(folder.path(), json!({"max_bad_items": 1}));
    assert_eq!((verify(&config), verify(&config)), ((Ok(()), 24), (Ok(()), 1)));
    // What an inspection has read is known too.
    std::fs::remove_dir_all(&cache).unwrap();
    config.open().unwrap().inspect_with(Some(&cache), &mut |_| ()).unwrap();
    assert_eq!(verify(&config), (Ok(()), 1));
    // A damaged verdict is none.
    for entry in std::fs::read_dir(cache.join("data")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"{").unwrap();
    }
    assert_eq!(verify(&config), (Ok(()), 24));
}

#[test]
fn few_bad_items_are_replaced_by_the_next_good_ones() {
    let folder = latents();
    let good = config(folder.path(), json!({"max_bad_items": 3})).open().unwrap();
    let all: Vec<_> = good.train.iter().map(|item| item.unwrap()).collect();
    let last = all.len() - 1;
    for index in [4, 5, last] {
        put(&folder, &format!("vae/{}", good.train.name(index)), NAN);
    }
    // In any order, alone or together.
    for order in [[4, 5, last, 0], [last, 4, 0, 5]] {
        let split = config(folder.path(), json!({"max_bad_items": 3})).open().unwrap();
        let expected = |index: usize| {
            if index == last {
                &all[0]
            } else if index == 4 || index == 5 {
                &all[6]
            } else {
                &all[index]
            }
        };
        for index in order {
            assert_eq!(&split.train.get(index).unwrap(), expected(index));
        }
        let together = split.train.get_many((0..=last).collect()).unwrap();
        assert!(together.iter().enumerate().all(|(index, item)| item == expected(index)));
        assert_eq!(verified(&split, None), (Ok(()), 24));
    }
    let split = config(folder.path(), json!({"max_bad_items": 2})).open().unwrap();
    let error = verified(&split, None).0.unwrap_err();
    assert!(error.starts_with("data: 3 of 24 items cannot be used (data.max_bad_items = 2"), "{error}");
    let error = split.train.get_many((0..=last).collect()).unwrap_err().to_string();
    assert!(error.contains(&split.train.name(last)) && error.contains("2 other item(s) are bad already"), "{error}");
    let error = config(folder.path(), json!({})).open().unwrap().train.get(4).unwrap_err().to_string();
    assert!(error.contains(&split.train.name(4)) && error.ends_with("holds NaN at [3, 1, 1]"), "{error}");
}

#[test]
fn bad_pictures_are_borne_too_whether_kept_or_not() {
    let folder = folder();
    for i in 0..12 {
        write(&folder, &format!("{i:02}.png"), encoded(flat(8, 8, [i; 3]), ImageFormat::Png));
    }
    write(&folder, "05.png", b"broken");
    let three = images(&folder, json!({"max_bad_items": 3}));
    for decoded in [12, 0] {
        let mut done = 0;
        let split = three.open_with(&mut |progress| done = progress.done).unwrap();
        assert_eq!((done, split.train.in_memory()), (decoded, None));
        let held_out = names(&split.held_out);
        let set = if held_out.contains(&"05.png".to_string()) { &split.held_out } else { &split.train };
        let index = names(set).iter().position(|name| name == "05.png").unwrap();
        assert_eq!(set.get(index).unwrap(), set.get((index + 1) % set.len()).unwrap());
        // Only the bad one is looked at.
        assert_eq!(verified(&split, None), (Ok(()), 1));
        assert_eq!(split.inspect().unwrap().unusable, 1);
    }
    let error = images(&folder, json!({})).open().unwrap_err().to_string();
    assert!(error.contains("1 of 12 pictures cannot be read") && error.contains("05.png"), "{error}");
    // Mended, it is decoded with all the others.
    write(&folder, "05.png", encoded(flat(8, 8, [5; 3]), ImageFormat::Png));
    assert!(three.open().unwrap().train.in_memory().is_some());
}

#[test]
fn what_is_hidden_is_no_data_anywhere() {
    let folder = latents();
    let before = with_all(folder.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    for place in ["vae", "vae/00000", "features", "text"] {
        for hidden in [
            ".ipynb_checkpoints/a-checkpoint.npy",
            "._a.npy",
            ".DS_Store",
            "__MACOSX/._b.npy",
            "__MACOSX/b.npy",
            "Thumbs.db",
            "desktop.ini",
            ".a.safetensors",
        ] {
            write(&folder, &format!("{place}/{hidden}"), b"no data");
        }
    }
    for more in [json!({}), json!({"classes": 0})] {
        let split = with_all(folder.path(), more).open().unwrap();
        assert_eq!((split.train.len() + split.held_out.len(), split.notes.len()), (24, 0), "{:?}", split.notes);
        assert_eq!(verified(&split, None), (Ok(()), 24));
    }
    assert_eq!(with_all(folder.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap(), before);
    // Not even where the list names it.
    write(&folder, "vae/.a.npy", std::fs::read(folder.path().join("vae").join(name(0))).unwrap());
    let labels: Vec<Value> = (0..24).map(|i| json!([name(i), i / 4])).chain([json!([".a.npy", 0])]).collect();
    write(&folder, "vae/dataset.json", json!({ "labels": labels }).to_string());
    let error = config(folder.path(), json!({})).open().unwrap_err().to_string();
    assert!(error.contains("dataset.json: \n  .a.npy is hidden, and hidden files are no data"), "{error}");
    // Windows writes other separators, and some tools the folder itself.
    let labels: Vec<Value> = (0..24).map(|i| json!([format!(".\\{}", name(i).replace('/', "\\")), i / 4])).collect();
    write(&folder, "vae/dataset.json", format!("\u{FEFF}{}", json!({ "labels": labels })));
    assert_eq!(with_all(folder.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap(), before);

    let pictures = super::classes();
    for hidden in
        ["._a.png", ".git/a.png", "__MACOSX/a.png", "cat/Thumbs.db", "cat/.ipynb_checkpoints/0.png", "desktop.ini"]
    {
        write(&pictures, hidden, b"no picture");
    }
    let split = images(&pictures, json!({"labels": "folders"})).open().unwrap();
    assert_eq!((split.classes, split.train.len() + split.held_out.len()), (4, 43));
}

#[test]
fn every_class_is_trained_on_and_held_out_whatever_the_order_of_the_files() {
    let folder = latents();
    for more in
        [json!({}), json!({"held_out": 1}), json!({"held_out": 0.5}), json!({"held_out": 23}), json!({"seed": 3})]
    {
        let found = config(folder.path(), more.clone()).inspect().unwrap();
        assert!(
            found.labels.iter().all(|count| count.training > 0 && count.held_out > 0),
            "{more}: {:?}",
            found.labels
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    // In the opposite order, so that the new folder may list it so.
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    for entry in entries {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

#[test]
fn a_copied_folder_has_the_same_fingerprint_and_a_changed_one_says_how() {
    let (folder, other) = (latents(), self::folder());
    let print =
        |folder: &Path, more: Value| with_all(folder, more).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    let first = print(folder.path(), json!({}));
    assert_eq!(first.to_string(), "24 items, 6 of them held out, 6 classes");
    copy(folder.path(), other.path());
    assert_eq!(print(other.path(), json!({})), first);
    let says = |now: &DataFingerprint| first.differences(now).join("; ");
    assert_eq!(says(&print(folder.path(), json!({"seed": 5}))), "other items are held out");
    let one = "text/img-text-00000009.safetensors";
    write(&other, one, [std::fs::read(other.path().join(one)).unwrap(), vec![0]].concat());
    let longer = with_all(other.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    assert!(says(&longer).starts_with("the contents differ: other bytes in a file"), "{}", says(&longer));
    let one = format!("vae/{}", name(4));
    put(&other, &one, 0.5f32.to_le_bytes());
    let same_length = with_all(other.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    assert!(same_length != longer && says(&same_length).starts_with("the contents differ"), "{}", says(&same_length));
    // Half of the list, with other labels.
    list(&folder, (0..12).map(|i| (i, 5 - i / 4)));
    let now = config(folder.path(), json!({})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    let text = says(&now);
    assert!(text.starts_with("24 items then, 12 now; ") && text.contains("the labels differ"), "{text}");
    list(&folder, (0..24).map(|i| (i, (i + 1) % 24 / 4)));
    assert!(says(&print(folder.path(), json!({}))).contains("the labels differ"));
    assert_ne!(print(folder.path(), json!({})).hash(), first.hash());

    let split = config(other.path(), json!({})).open().unwrap();
    std::fs::remove_file(other.path().join("vae").join(name(3))).unwrap();
    assert!(split.fingerprint(None, &mut |_| ()).unwrap_err().to_string().contains(&name(3)));
}

#[test]
fn tables_and_shipped_sets_have_fingerprints() {
    let folder = folder();
    let print = |text: &str| {
        write(&folder, "t.csv", text);
        vectors(&folder, "t.csv", json!({"held_out": 1})).open().unwrap().fingerprint(None, &mut |_| ()).unwrap()
    };
    let first = print("a,b\n1,2\n3,4\n5,7\n");
    assert_eq!(first, print("a,b\r\n1,2\n3,4.0\n5,7\n"));
    assert!(first.differences(&print("a,b\n1,2\n3,4\n5,8\n"))[0].starts_with("the contents differ"));
    let shipped = |text: &str| -> DataFingerprint {
        serde_json::from_str::<DataConfig>(text).unwrap().open().unwrap().fingerprint(None, &mut |_| ()).unwrap()
    };
    let ring = r#"{"kind": "ring", "train": 50, "held_out": 10}"#;
    assert_eq!(shipped(ring), shipped(ring));
    assert!(!shipped(ring).differences(&shipped(&ring.replace('}', r#", "radius": 2}"#))).is_empty());
}

/// Numbers in memory have no file whose state could tell one table from another.
#[test]
fn tables_are_told_apart_with_a_cache_too() {
    let (folder, cache) = (folder(), self::folder());
    let print = |text: &str| {
        write(&folder, "t.csv", text);
        let split = vectors(&folder, "t.csv", json!({"held_out": 1})).open().unwrap();
        split.fingerprint(Some(cache.path()), &mut |_| ()).unwrap()
    };
    assert_ne!(print("a,b\n1,2\n3,4\n5,7\n"), print("a,b\n1,2\n3,4\n5,8\n"));
}

#[test]
fn a_fingerprint_is_kept_until_a_file_changes() {
    let (folder, cache) = (latents(), self::folder());
    let print = |more: Value| {
        let mut read = 0;
        let split = with_all(folder.path(), more).open().unwrap();
        split.fingerprint(Some(cache.path()), &mut |Decoded { done, .. }| read = done).map(|print| (print, read))
    };
    let (first, read) = print(json!({})).unwrap();
    assert_eq!((read, print(json!({})).unwrap()), (24, (first.clone(), 0)));
    put(&folder, "features/img-feature-00000007.npy", 0.25f32.to_le_bytes());
    let (changed, read) = print(json!({})).unwrap();
    assert_eq!((read, changed.names == first.names, changed.contents == first.contents), (24, true, false));
    // What is kept and is no hash is made again.
    for entry in std::fs::read_dir(cache.path().join("data")).unwrap() {
        std::fs::write(entry.unwrap().path(), "0123").unwrap();
    }
    assert_eq!(print(json!({})).unwrap(), (changed, 24));
}

#[test]
fn a_listed_file_that_is_lost_is_one_of_the_bad_items() {
    let folder = latents();
    std::fs::remove_file(folder.path().join("vae").join(name(11))).unwrap();
    let error = with_all(folder.path(), json!({})).open().unwrap_err().to_string();
    assert!(error.contains(&format!("{} is listed but not there", name(11))), "{error}");
    let split = with_all(folder.path(), json!({"max_bad_items": 1})).open().unwrap();
    assert_eq!(verified(&split, None).0, Ok(()));
    split.fingerprint(None, &mut |_| ()).unwrap();
    std::fs::remove_file(folder.path().join("vae").join(name(12))).unwrap();
    assert!(with_all(folder.path(), json!({"max_bad_items": 1})).open().is_err());
}
