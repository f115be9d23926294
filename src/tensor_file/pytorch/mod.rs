//! What `torch.save` writes. Nothing that a pickle names is ever looked for, let alone called.
//!
//! The ZIP archives that PyTorch writes since version 1.6 have a reader of their own here. Burn's refuses a whole file for
//! one dictionary of a class of its own, as Lightning's `hyper_parameters` are, for one object that holds a tensor, and for
//! one tensor in fp8: none of which need be the weights. Here such objects are skipped, and numbers that nobody reads are an
//! error where someone asks for them. What came before 1.6 goes through Burn's reader, in `legacy`.
//!
//! `archive` has the pickle, `machine` makes a `heap` of it, `names` finds the `tensors` there; `stored` reads their numbers
//! from the archive when they are asked for.
mod archive;
mod bytes;
mod elements;
mod heap;
mod holders;
mod inside;
mod legacy;
mod machine;
mod names;
mod opcodes;
mod scalars;
mod stored;
mod tensors;
mod view;

use super::Stored;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What to do about a file whose objects are in the way.
const ALONE: &str = "save the tensors alone: in PyTorch, `torch.save(torch.load(FILE, weights_only=False)[\"ema\"], NEW)`, \
                     which runs what the file names, so only for files that you trust";

/// The tensors of a file that `torch.save` wrote.
///
/// # Errors
/// What is wrong with the file, and what to do about it.
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    let mut head = Vec::new();
    let opened = File::open(file).map_err(|e| e.to_string())?;
    opened.take(2).read_to_end(&mut head).map_err(|e| e.to_string())?;
    let read = if head == b"PK" { stored::open } else { legacy::open };
    // The readers have limits of their own; should one of the libraries below them panic, the file is to blame all the same.
    let read = catch_unwind(AssertUnwindSafe(|| read(file)));
    read.map_err(|_| "cannot be read: it is damaged, get it again".to_string())?
}

#[cfg(test)]
mod tests;
