//! Items that cannot be read: an error that names the file, or the next good item in their place while they are few.
//!
//! What replaces an item is a function of its index and of which items are bad, and of nothing else: not of the order in
//! which they are found, nor of the number of devices or threads.
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Which items of a source are known to be bad, and how many may be.
#[derive(Debug, Default)]
pub(super) struct BadItems {
    most: usize,
    found: Mutex<BTreeSet<usize>>,
}

impl BadItems {
    /// At most so many.
    pub fn at_most(most: usize) -> Self {
        Self { most, found: Mutex::default() }
    }

    /// How many may be bad.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Notes that the item at a place of the source cannot be used; the first time, with a line on the standard error
    /// stream.
    ///
    /// # Errors
    /// `error`, which names its file, if one more is too many.
    pub fn note(&self, place: usize, error: Error) -> Result<()> {
        if self.most == 0 {
            return Err(error);
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.contains(&place) {
            return Ok(());
        }
        let (count, most) = (found.len(), self.most);
        if count >= most {
            let message = format!("{error}; {count} other item(s) are bad already, and data.max_bad_items = {most}");
            return Err(Error::Invalid(message));
        }
        found.insert(place);
        let warning = format!("warning: {error}; the next item takes its place ({} of at most {most})", count + 1);
        // A closed stream is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{warning}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_item_counts_once_and_one_more_is_an_error_that_names_it() {
        let error = |name: &str| Error::format(name, "holds NaN");
        let none = BadItems::default().note(3, error("a.npy")).unwrap_err();
        assert_eq!(none.to_string(), "a.npy: holds NaN");
        let bad = BadItems::at_most(2);
        for place in [5, 5, 1, 1, 5] {
            bad.note(place, error("a.npy")).unwrap();
        }
        let text = bad.note(0, error("b.npy")).unwrap_err().to_string();
        assert_eq!(text, "b.npy: holds NaN; 2 other item(s) are bad already, and data.max_bad_items = 2");
        bad.note(1, error("a.npy")).unwrap();
    }
}
