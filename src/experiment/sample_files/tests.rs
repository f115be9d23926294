//! Pictures that are written in any order and interrupted anywhere end as those that are not.
use super::*;
use crate::data::npy;
use crate::experiment::prompts::PromptSet;
use crate::storage::faults;
use crate::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const SIDES: [usize; 2] = [2, 3];

fn rgb(index: usize) -> Vec<u8> {
    (0..18).map(|i| (index * 40 + i) as u8).collect()
}

fn open(root: &Path, layout: SampleLayout, seed: u64) -> Result<SampleFolder> {
    SampleFolder::open(root, layout, SIDES, &json!({"seed": seed}))
}

fn draw(folder: &SampleFolder) -> Result<()> {
    folder.pending()?.into_iter().rev().try_for_each(|index| folder.write(index, &rgb(index)))?;
    folder.finish()
}

/// The names of all files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes))),
            false => drop(found.insert(name, std::fs::read(path).unwrap())),
        }
    }
    found
}

fn prompts(folder: &Path, name: &str, text: &str) -> SampleLayout {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    SampleLayout::Prompts { set: PromptSet::read(file).unwrap(), per_prompt: 2 }
}

#[test]
fn whatever_fails_the_next_run_completes_it() {
    let numbered = SampleLayout::Numbered { count: 3 };
    let run = |to: &Path| {
        let folder = open(to, numbered.clone(), 0)?;
        draw(&folder)?;
        folder.write_npz(Some(&[7, 8, 9])).map(drop)
    };
    let whole = tempfile::tempdir().unwrap();
    run(whole.path()).unwrap();
    let expected = files(whole.path());
    let names =
        ["pictures/000000.png", "pictures/000001.png", "pictures/000002.png", "samples.json", "samples_3x2x3x3.npz"];
    assert_eq!(expected.keys().collect::<Vec<_>>(), names);
    for at in 0.. {
        let to = tempfile::tempdir().unwrap();
        let fault = faults::walk(to.path(), at, || run(to.path()).is_err());
        run(to.path()).unwrap();
        assert_eq!(files(to.path()), expected, "after {fault:?}");
        match fault {
            Some(fault) => assert!(fault.told, "{fault:?}"),
            None => return assert!(at > 20, "{at}"),
        }
    }
}

#[test]
fn a_picture_that_was_cut_is_drawn_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), SampleLayout::Numbered { count: 4 }, 0).unwrap();
    draw(&folder).unwrap();
    let whole = files(root.path());
    for (index, length) in [(1, 0), (2, 30)] {
        let file = std::fs::File::options().write(true).open(folder.file(index)).unwrap();
        file.set_len(length).unwrap();
    }
    assert_eq!(folder.pending().unwrap(), [1, 2]);
    draw(&folder).unwrap();
    assert_eq!(files(root.path()), whole);
}

#[test]
fn the_archive_holds_the_pictures_one_after_the_other_and_their_classes() {
    let to = tempfile::tempdir().unwrap();
    let folder = open(to.path(), SampleLayout::Numbered { count: 4 }, 0).unwrap();
    assert!(
        folder.write_npz(None).unwrap_err().to_string().contains("4 picture(s) are missing:\n  pictures/000000.png")
    );
    draw(&folder).unwrap();
    let file = folder.write_npz(Some(&[3, 1, 4, 1])).unwrap();
    assert_eq!(file, to.path().join("samples_4x2x3x3.npz"));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let array = npy::parse(&read("arr_0.npy")).unwrap();
    assert_eq!(
        (array.shape().to_vec(), array.try_to_vec::<u8>().unwrap()),
        (vec![4, 2, 3, 3], (0..4).flat_map(rgb).collect())
    );
    let classes = read("arr_1.npy");
    let numbers: Vec<i64> = classes[128..].as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    assert_eq!(numbers, [3, 1, 4, 1]);
    image::RgbImage::new(2, 3).save(folder.file(2)).unwrap();
    let error = folder.write_npz(None).unwrap_err().to_string();
    assert!(error.contains("000002.png: has 2 × 3 pixels: must be 3 × 2"), "{error}");
}

#[test]
fn more_may_follow_and_fewer_or_others_may_not() {
    let to = tempfile::tempdir().unwrap();
    let numbered = |count| SampleLayout::Numbered { count };
    draw(&open(to.path(), numbered(2), 0).unwrap()).unwrap();
    let more = open(to.path(), numbered(4), 0).unwrap();
    assert_eq!(more.pending().unwrap(), [2, 3]);
    let error = open(to.path(), numbered(1), 0).unwrap_err().to_string();
    assert!(error.contains("holds picture 1 already: ask for 2 or more"), "{error}");
    let error = open(to.path(), numbered(4), 1).unwrap_err();
    assert!(matches!(error, Error::OtherData { .. }) && error.to_string().contains("made_of.seed: was 0, now 1"));
    std::fs::remove_file(to.path().join("samples.json")).unwrap();
    let error = open(to.path(), numbered(4), 0).unwrap_err().to_string();
    assert!(error.contains("holds pictures but no samples.json"), "{error}");
    assert!(open(&to.path().join("new"), numbered(0), 0).is_err());
    assert!(more.write(4, &rgb(4)).is_err() && more.write(3, &[0; 17]).is_err());
}

#[test]
fn geneval_finds_the_line_of_the_prompt_and_nothing_but_pictures() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lines =
        ["cat", "dog"].map(|word| json!({"tag": "a", "include": [{"class": word, "count": 1}], "prompt": word}));
    let layout = prompts(from.path(), "a.jsonl", &lines.each_ref().map(ToString::to_string).join("\n"));
    let folder = open(to.path(), layout, 0).unwrap();
    folder.write(0, &rgb(0)).unwrap();
    // GenEval would take it for a picture.
    std::fs::write(to.path().join("00000/samples/0001.png.4294967295-0.tmp"), "half").unwrap();
    draw(&folder).unwrap();
    let found = files(to.path());
    let of = |prompt: usize| {
        let file = |name: &str| format!("{prompt:05}/{name}");
        [file("metadata.jsonl"), file("samples/0000.png"), file("samples/0001.png")]
    };
    let expected = [of(0).as_slice(), &of(1), &["samples.json".to_string()]].concat();
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
    for (prompt, line) in lines.iter().enumerate() {
        assert_eq!(found[&format!("{prompt:05}/metadata.jsonl")], line.to_string().into_bytes());
    }
}

#[test]
fn t2i_compbench_finds_prompt_and_number_in_each_name() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = "n".repeat(244);
    let layout = prompts(from.path(), "a.txt", &format!("a green bench and a blue bowl\r\n{long}\r\n"));
    let position = |index| layout.noise_position(index);
    let mut positions: Vec<u64> = (0..4).map(position).collect();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), 4);
    draw(&open(to.path(), layout.clone(), 0).unwrap()).unwrap();
    let names = [
        "samples.json".to_string(),
        "samples/a green bench and a blue bowl_000000.png".into(),
        "samples/a green bench and a blue bowl_000001.png".into(),
        format!("samples/{long}_000002.png"),
        format!("samples/{long}_000003.png"),
    ];
    assert_eq!(files(to.path()).into_keys().collect::<Vec<_>>(), names);
    let bad = prompts(from.path(), "b.txt", "1/2 cats\n");
    let empty = tempfile::tempdir().unwrap();
    assert!(open(&empty.path().join("new"), bad, 0).unwrap_err().to_string().contains("holds '/'"));
    assert!(!empty.path().join("new").exists(), "named before anything is made");
}
