//! What `torch.save` writes. Nothing that a pickle names is ever looked for, let alone called.
//!
//! The ZIP archives that PyTorch writes since version 1.6 have a reader of their own here. Burn's refuses a whole file for
//! one dictionary of a class of its own, as Lightning's `hyper_parameters` are, for one object that holds a tensor, and for one
//! number in fp8: none of which need be the weights. Here such objects are skipped, and numbers that nobody reads are an
//! error where someone asks for them. What came before 1.6 goes through Burn's reader: [`legacy`].
//!
//! [`archive`] → the pickle → [`machine`] → [`heap`] → [`names`] → [`tensors`]; numbers are read from the archive when they are
//! asked for.
use super::Stored;
use std::path::Path;

#[cfg(feature = "pytorch")]
mod archive;
#[cfg(feature = "pytorch")]
mod bytes;
#[cfg(feature = "pytorch")]
mod elements;
#[cfg(feature = "pytorch")]
mod heap;
#[cfg(feature = "pytorch")]
mod holders;
#[cfg(feature = "pytorch")]
mod inside;
#[cfg(feature = "pytorch")]
mod legacy;
#[cfg(feature = "pytorch")]
mod machine;
#[cfg(feature = "pytorch")]
mod names;
#[cfg(feature = "pytorch")]
mod opcodes;
#[cfg(feature = "pytorch")]
mod stored;
#[cfg(feature = "pytorch")]
mod tensors;
#[cfg(feature = "pytorch")]
mod view;

/// What to do about a file whose objects are in the way.
#[cfg(feature = "pytorch")]
const ALONE: &str = "save the tensors alone: in PyTorch, `torch.save(torch.load(FILE, weights_only=False)[\"ema\"], NEW)`, \
                     which runs what the file names, so only for files that you trust";

#[cfg(feature = "pytorch")]
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    use std::io::Read;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let mut head = Vec::new();
    let opened = std::fs::File::open(file).map_err(|e| e.to_string())?;
    opened.take(2).read_to_end(&mut head).map_err(|e| e.to_string())?;
    let read = if head == b"PK" { stored::open } else { legacy::open };
    // The readers have limits of their own; should one of the libraries below them panic, the file is to blame all the same.
    let read = catch_unwind(AssertUnwindSafe(|| read(file)));
    read.map_err(|_| "cannot be read: it is damaged, get it again".to_string())?
}

#[cfg(not(feature = "pytorch"))]
pub(super) fn open(_: &Path) -> Result<Stored, String> {
    Err("reading PyTorch files needs the feature `pytorch`; or convert it to .safetensors".into())
}

#[cfg(all(test, feature = "pytorch"))]
mod tests;
