//! The configurations that this crate ships.
use std::path::{Path, PathBuf};

/// Every experiment below `folder`, sorted: `.json` files but the schema and the encodings.
pub fn shipped(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let others = if path.ends_with("encode") { Vec::new() } else { shipped(&path) };
            found.extend(others);
        } else if path.extension().is_some_and(|e| e == "json") && !path.ends_with("schema.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}
