//! Which latent is the mirror of which: the numbers at the ends of their names differ by the number of pictures.
use super::labels::Entry;
use super::pairs::number;
use std::collections::HashMap;

/// For each latent the name of the one that is not mirrored; its own where there is none. Mirrors are those numbered `from`
/// or more.
pub(super) fn originals(entries: &[Entry], from: usize) -> Vec<String> {
    let numbered = |name: &str| number(name).parse::<usize>().ok();
    let by_number: HashMap<usize, &str> =
        entries.iter().filter_map(|(name, _)| Some((numbered(name)?, name.as_str()))).collect();
    let original = |name: &str| by_number.get(&numbered(name)?.checked_sub(from)?).copied();
    entries.iter().map(|(name, _)| original(name).unwrap_or(name).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_the_name_of_its_picture() {
        let entries = ["0/a-0.npy", "0/a-1.npy", "0/a-3.npy", "0/a-4.npy", "0/b.npy"];
        let entries: Vec<Entry> = entries.iter().map(|name| (name.to_string(), 0)).collect();
        // Picture 2 could not be read: its mirror 5 is not there either.
        assert_eq!(originals(&entries, 3), ["0/a-0.npy", "0/a-1.npy", "0/a-0.npy", "0/a-1.npy", "0/b.npy"]);
    }
}
