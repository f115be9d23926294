//! In the place of the reader of PyTorch files, where it is not built in.
use super::Stored;
use std::path::Path;

pub(super) fn open(_: &Path) -> Result<Stored, String> {
    Err("reading PyTorch files needs the feature `pytorch`; or convert it to .safetensors".into())
}
