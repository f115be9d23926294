//! Files that PyTorch wrote, and what it says is in them: `tests/pytorch/make.py`.
use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Expected {
    dtype: String,
    shape: Vec<usize>,
    numbers: Option<Vec<f64>>,
}

#[test]
fn files_of_pytorch_are_read_as_pytorch_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch");
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    let files: BTreeMap<String, BTreeMap<String, Expected>> = serde_json::from_slice(&text).unwrap();
    assert!(files.len() > 5);
    for (file, expected) in files {
        let stored = open(&folder.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(stored.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{file}");
        for ((name, tensor), expected) in stored.into_iter().zip(expected.into_values()) {
            assert_eq!(tensor.shape, expected.shape, "{file}: {name}");
            let Some(numbers) = expected.numbers else {
                let type_name = tensor.type_name.clone();
                let is_known = [expected.dtype.as_str(), "sparse", "meta"].contains(&type_name.as_str());
                assert!(is_known && tensor.read().is_err(), "{file}: {name}: {type_name}");
                continue;
            };
            let data = tensor.read().unwrap_or_else(|error| panic!("{file}: {name}: {error}"));
            let found: Vec<f64> = data.iter::<f64>().collect();
            assert_eq!(found, numbers, "{file}: {name}");
        }
    }
}
