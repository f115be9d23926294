//! The file in a folder that says what its results are made of, so that nothing else is ever put among them.
use crate::checkpoint::differences;
use crate::{Error, Result, storage};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Keeps `now` in `file`, unless that keeps something else already. The folder is created if missing.
///
/// # Errors
/// [`Error::OtherData`] with every value that differs; [`Error::Format`] if the file is not JSON; [`Error::Io`].
pub(crate) fn claim(file: &Path, now: &impl Serialize) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let now = serde_json::to_value(now).map_err(|e| Error::Invalid(e.to_string()))?;
    if !file.exists() {
        storage::create_folder(folder)?;
        let text = serde_json::to_string_pretty(&now).map_err(|e| Error::Invalid(e.to_string()))?;
        return storage::write(file, text.as_bytes());
    }
    let text = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    let damaged = |e: serde_json::Error| Error::format(file, format!("is damaged ({e}): remove the folder"));
    let kept: Value = serde_json::from_slice(&text).map_err(damaged)?;
    let mut found = Vec::new();
    differences(&kept, &now, "", &mut found);
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::OtherData { path: folder.to_path_buf(), differences: found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_same_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/encode.json");
        let of = |size: usize| json!({"size": size, "made_by": {"autoencoder": "24c44b4c5e8998d6", "scale": 0.18215}});
        claim(&file, &of(256)).unwrap();
        claim(&file, &of(256)).unwrap();
        let error = claim(&file, &of(512)).unwrap_err().to_string();
        assert!(error.contains("size: was 256, now 512") && error.contains("take another folder"), "{error}");
        assert!(claim(&file, &json!({"size": 256})).is_err());
        std::fs::write(&file, "{").unwrap();
        assert!(claim(&file, &of(256)).unwrap_err().to_string().contains("encode.json: is damaged"));
    }
}
