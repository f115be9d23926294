use super::*;
use serde_json::json;
use std::path::PathBuf;

/// A safetensors file of a header and some bytes of numbers.
fn bytes(header: &serde_json::Value, numbers: usize) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &vec![0; numbers]].concat()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

fn tensor(dtype: &str, shape: &[usize], offsets: [usize; 2]) -> serde_json::Value {
    json!({"dtype": dtype, "shape": shape, "data_offsets": offsets})
}

fn message(file: &Path) -> String {
    open(file).unwrap_err().to_string()
}

#[test]
fn the_name_of_a_file_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let whole = bytes(&json!({"a": tensor("F32", &[2], [0, 8])}), 8);
    for name in ["w.safetensors", "w.SAFETENSORS", "w.sft", "w.ckpt", "w.bin", "w.pt", "w"] {
        let tensors = open(&written(folder.path(), name, &whole)).unwrap();
        assert_eq!((tensors["a"].shape.as_slice(), tensors["a"].dtype()), (&[2][..], Some(DType::F32)), "{name}");
    }
}

#[test]
fn types_that_nobody_reads_are_there_without_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let header = json!({"a": tensor("F8_E4M3", &[2, 2], [0, 4]), "b": tensor("BOOL", &[1], [4, 5])});
    let file = written(folder.path(), "w.safetensors", &bytes(&header, 5));
    let mut tensors = open(&file).unwrap();
    let a = tensors.remove("a").unwrap();
    assert_eq!((a.shape.as_slice(), a.dtype()), (&[2, 2][..], None));
    assert_eq!(a.read().unwrap_err(), "its numbers are F8_E4M3, which is not read");
    let mut odd = std::fs::read(&file).unwrap();
    // A byte that is no truth value in memory.
    *odd.last_mut().unwrap() = 7;
    std::fs::write(&file, odd).unwrap();
    let data = open(&file).unwrap().remove("b").unwrap().read().unwrap();
    assert_eq!(data.as_slice::<bool>().unwrap(), [true]);
}

#[test]
fn headers_that_claim_what_is_not_there_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let a = |shape: &[usize], offsets| json!({"a": tensor("F32", shape, offsets)});
    let two = |first, second| json!({"a": tensor("F32", &[2], first), "b": tensor("F32", &[2], second)});
    for (header, numbers, says) in [
        (a(&[2], [0, 8]), 7, "names 8 bytes of numbers, the file has 7"),
        (a(&[2], [0, 8]), 9, "names 8 bytes of numbers, the file has 9"),
        (a(&[1 << 58], [0, 1 << 60]), 8, "bytes of numbers, the file has 8"),
        (a(&[3], [0, 8]), 8, "header cannot be read"),
        (a(&[2], [8, 0]), 8, "header cannot be read"),
        (a(&[1 << 62, 4], [0, 8]), 8, "header cannot be read"),
        (two([0, 8], [4, 12]), 12, "header cannot be read"),
        (two([0, 8], [12, 20]), 20, "header cannot be read"),
        (json!({"a": tensor("F31", &[2], [0, 8])}), 8, "header cannot be read"),
        (json!({"a": 1}), 0, "header cannot be read"),
    ] {
        let text = message(&written(folder.path(), "w.safetensors", &bytes(&header, numbers)));
        assert!(text.contains(says) && text.contains("get it again"), "{header}: {text}");
    }
    for claimed in [1 << 60, u64::MAX, 100_000_001, 1000] {
        let mut whole = bytes(&a(&[2], [0, 8]), 8);
        whole[..8].copy_from_slice(&u64::to_le_bytes(claimed));
        let text = message(&written(folder.path(), "w.safetensors", &whole));
        assert!(text.contains(&format!("its header claims {claimed} bytes")), "{text}");
    }
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let whole = bytes(&json!({"a": tensor("F32", &[2000], [0, 8000])}), 8000);
    let file = written(folder.path(), "w.safetensors", &whole);
    let tensor = open(&file).unwrap().remove("a").unwrap();
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(100).unwrap();
    assert!(tensor.read().is_err());
}

/// Two shards and their index.
fn sharded(folder: &Path) -> [PathBuf; 3] {
    let one = bytes(&json!({"a": tensor("F32", &[2], [0, 8])}), 8);
    let two = bytes(&json!({"b.c": tensor("F16", &[1], [0, 2])}), 2);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let index = json!({"metadata": {"total_size": 10}, "weight_map": {"a": names[0], "b.c": names[1]}});
    [
        written(folder, "model.safetensors.index.json", index.to_string().as_bytes()),
        written(folder, names[0], &one),
        written(folder, names[1], &two),
    ]
}

#[test]
fn shards_are_found_by_index_by_shard_and_by_folder() {
    let folder = tempfile::tempdir().unwrap();
    let all = sharded(folder.path());
    std::fs::write(folder.path().join(".DS_Store"), "").unwrap();
    for named in [all[0].as_path(), &all[1], &all[2], folder.path()] {
        let tensors = open(named).unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["a", "b.c"]);
        assert_eq!(files(named).unwrap(), all);
        assert!(tensors.into_values().all(|tensor| tensor.read().is_ok()));
    }
}

#[test]
fn what_an_index_says_must_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let [index, one, two] = sharded(folder.path());
    let rewrite = |map: serde_json::Value| std::fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    rewrite(json!({"a": second, "b.c": second}));
    assert!(message(&index).contains("says that `a` is in"), "{}", message(&index));
    rewrite(json!({"a": second, "b.c": first}));
    assert!(message(&index).contains("holds `a`, which the index says is in"), "{}", message(&index));
    rewrite(json!({"a": first}));
    assert_eq!(open(&index).unwrap().len(), 1);
    rewrite(json!({"a": first, "b.c": second, "d": second}));
    assert!(message(&index).contains("says that `d` is in"), "{}", message(&index));
    rewrite(json!({"b.c": second, "d": second}));
    std::fs::write(&two, std::fs::read(&one).unwrap()).unwrap();
    assert!(message(&index).contains("holds `a`, which the index does not list"), "{}", message(&index));
    for outside in ["../w.safetensors", "/etc/passwd", "a/../../w", ""] {
        rewrite(json!({"a": outside}));
        assert!(message(&index).contains("not below its folder"), "{outside}: {}", message(&index));
    }
    rewrite(json!({}));
    assert!(message(&index).contains("names no shard"));
    rewrite(json!({"a": "model.safetensors.index.json"}));
    assert!(message(&index).contains("named in another index"), "{}", message(&index));
    std::fs::write(&index, "{\"weight_map\": 3}").unwrap();
    assert!(message(&index).contains("is no index of shards"), "{}", message(&index));
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [index, one, two] = sharded(folder.path());
    std::fs::remove_file(&two).unwrap();
    let text = message(&index);
    assert!(
        text.contains("1 of its 2 shards not there") && text.contains("`model-00002-of-00002.safetensors`"),
        "{text}"
    );
    assert!(files(&one).unwrap_err().to_string().contains("`model-00002-of-00002.safetensors`"));
    std::fs::remove_file(&index).unwrap();
    let text = message(&one);
    assert!(text.contains("`model.safetensors.index.json` is not beside it"), "{text}");

    std::fs::rename(&one, folder.path().join("x.pt")).unwrap();
    assert_eq!(open(folder.path()).unwrap().len(), 1);
    std::fs::write(folder.path().join("y.ckpt"), "").unwrap();
    let text = message(folder.path());
    assert!(text.contains("2 files of weights: name one of `x.pt`, `y.ckpt`"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    assert!(message(empty.path()).contains("without a file of weights"));
    std::fs::write(empty.path().join("model_index.json"), "{}").unwrap();
    assert!(message(empty.path()).contains("a folder of diffusers"));
    assert!(matches!(open(&empty.path().join("w.pt")), Err(Error::Io { .. })));
}
