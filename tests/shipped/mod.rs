//! The configurations that this crate ships.
use std::path::{Path, PathBuf};

/// Every `.json` below `folder`, sorted, without the schema.
pub fn shipped(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(shipped(&path));
        } else if path.extension().is_some_and(|e| e == "json") && !path.ends_with("schema.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}
