//! Every item read before the first step, so that a training does not end in its second week at a file that was always bad.
use super::listing::first;
use super::split::Placed;
use super::verdict::{self, Verdict};
use super::{DataSplit, Decoded, Item};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Items read together.
const CHUNK: usize = 64;
/// Bad items beyond those allowed after which no more are looked for.
const ENOUGH: usize = 100;

/// An item that cannot be used.
struct Bad {
    item: Placed,
    error: Error,
}

/// The item, if the network can use its numbers.
pub(super) fn usable(item: Result<Item>) -> Result<Item> {
    let item = item?;
    match item.data.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::Invalid(format!("holds {value}, which is not finite"))),
        None => Ok(item),
    }
}

impl DataSplit {
    /// Reads every item that was not read when the data were opened: shapes, types, every number, and what stands beside
    /// it. What was found is kept below `cache`, and files that have not changed since are not read again; `said` hears
    /// how far it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the files of the items that cannot be used, if they are more than
    /// [`max_bad_items`](Self::max_bad_items).
    pub fn verify(&self, cache: Option<&Path>, said: &mut dyn FnMut(Decoded)) -> Result<()> {
        let items = self.unread();
        if items.is_empty() {
            return Ok(());
        }
        let file = self.verdict_file(cache, &items);
        let total = items.len();
        let known = file.as_ref().and_then(|file| Verdict::read(file, total));
        let suspects = match &known {
            // Whoever may not read a file today may read it tomorrow, at the same time and length.
            Some(Verdict { bad, .. }) => {
                items.into_iter().filter(|item| bad.binary_search(&item.name).is_ok()).collect()
            }
            None => items,
        };
        let most = self.max_bad_items();
        let bad = self.bad_ones(&suspects, said);
        if bad.len() > most {
            return Err(too_many(&bad, total, most));
        }
        let names: Vec<String> = bad.iter().map(|bad| bad.item.name.clone()).collect();
        if let Some(file) = &file {
            self.keep_verdict(file, total, names);
        }
        bad.into_iter().try_for_each(|Bad { item, error }| self.set(&item).note_bad(item.index, error))
    }

    /// The items that were not read when the data were opened, sorted by their names.
    pub(super) fn unread(&self) -> Vec<Placed> {
        let mut items = self.by_name();
        items.retain(|item| !self.set(item).is_kept(item.index));
        items
    }

    /// Where the verdict on these items is kept; none without a cache, or if a file is not there.
    pub(super) fn verdict_file(&self, cache: Option<&Path>, items: &[Placed]) -> Option<PathBuf> {
        cache.and_then(|cache| verdict::file(cache, self, items).ok())
    }

    /// Keeps which of so many items are bad.
    pub(super) fn keep_verdict(&self, file: &Path, items: usize, mut bad: Vec<String>) {
        bad.sort_unstable();
        Verdict { items, bad }.keep(file);
    }

    fn bad_ones(&self, items: &[Placed], said: &mut dyn FnMut(Decoded)) -> Vec<Bad> {
        let (mut bad, mut done, total) = (Vec::new(), 0, items.len());
        for items in items.chunks(CHUNK) {
            said(Decoded { done, total });
            // Each set reads its own, on all cores.
            for held_out in [false, true] {
                let mine: Vec<&Placed> = items.iter().filter(|item| item.held_out == held_out).collect();
                let Some(one) = mine.first() else { continue };
                let indices: Vec<usize> = mine.iter().map(|item| item.index).collect();
                let read = self.set(one).each(&indices);
                let failed = mine.into_iter().zip(read).filter_map(|(item, read)| Some((item, usable(read).err()?)));
                bad.extend(failed.map(|(item, error)| Bad { item: item.clone(), error }));
            }
            done += items.len();
            if bad.len() > self.max_bad_items().saturating_add(ENOUGH) {
                break;
            }
        }
        said(Decoded { done, total });
        bad
    }
}

fn too_many(bad: &[Bad], total: usize, most: usize) -> Error {
    let list: Vec<String> = bad.iter().map(|bad| bad.error.to_string()).collect();
    let (count, list) = (list.len(), first(&list));
    let more = if count > most.saturating_add(ENOUGH) { " or more" } else { "" };
    let must = format!("data.max_bad_items = {most}: mend or remove them, or allow more");
    Error::Invalid(format!("data: {count}{more} of {total} items cannot be used ({must}):{list}"))
}
