//! Which latent is the mirror of which: the numbers at the ends of their names differ by the number of pictures.
use super::labels::Entry;
use super::pairs::number;
use crate::{Error, Problem, Result};
use std::collections::HashMap;

/// For each latent the name of the one that is not mirrored; its own where there is none. Mirrors are those numbered `from`
/// or more.
///
/// # Errors
/// [`Error::Config`] if nothing is numbered `from` or more, if two pictures have one number, so that a mirror could be of
/// either, or if a mirror has another label than its picture.
pub(super) fn originals(entries: &[Entry], from: usize) -> Result<Vec<String>> {
    let wrong = |message: String| Error::Config(vec![Problem { path: "data.mirrors_from".into(), message }]);
    let numbered = |name: &str| number(name).parse::<usize>().ok();
    let mut pictures: HashMap<usize, &Entry> = HashMap::new();
    for entry in entries {
        let Some(number) = numbered(&entry.0).filter(|number| *number < from) else { continue };
        if let Some(other) = pictures.insert(number, entry) {
            let names = format!("`{}` and `{}`", other.0, entry.0);
            return Err(wrong(format!("= {from}: {names} have one number, so that a mirror could be of either")));
        }
    }
    let mut mirrors = 0;
    let original = |entry: &Entry| {
        let Some(place) = numbered(&entry.0).and_then(|number| number.checked_sub(from)) else {
            return Ok(entry.0.clone());
        };
        mirrors += 1;
        match pictures.get(&place) {
            Some(picture) if picture.1 != entry.1 => Err(wrong(format!(
                "= {from}: `{}` would be the mirror of `{}`, but their labels differ",
                entry.0, picture.0
            ))),
            picture => Ok(picture.map_or(&entry.0, |picture| &picture.0).clone()),
        }
    };
    let all = entries.iter().map(original).collect::<Result<Vec<_>>>()?;
    match mirrors {
        0 => Err(wrong(format!("= {from}: no latent is numbered {from} or more; it is the number of pictures"))),
        _ => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_the_name_of_its_picture() {
        let entries = ["0/a-0.npy", "0/a-1.npy", "0/a-3.npy", "0/a-4.npy", "0/b.npy"];
        let entries: Vec<Entry> = entries.iter().map(|name| (name.to_string(), 0)).collect();
        // Picture 2 could not be read: its mirror 5 is not there either.
        let found = originals(&entries, 3).unwrap();
        assert_eq!(found, ["0/a-0.npy", "0/a-1.npy", "0/a-0.npy", "0/a-1.npy", "0/b.npy"]);
    }

    #[test]
    fn what_cannot_be_paired_is_named() {
        let said = |entries: &[(&str, usize)], from| {
            let entries: Vec<Entry> = entries.iter().map(|(name, label)| (name.to_string(), *label as _)).collect();
            originals(&entries, from).unwrap_err().to_string()
        };
        let twice = said(&[("a/x-1.npy", 0), ("b/y-1.npy", 1), ("a/x-4.npy", 0)], 3);
        assert!(twice.contains("data.mirrors_from = 3: `a/x-1.npy` and `b/y-1.npy` have one number"), "{twice}");
        let foreign = said(&[("a/x-1.npy", 0), ("b/y-4.npy", 1)], 3);
        assert!(foreign.contains("their labels differ"), "{foreign}");
        let none = said(&[("a/x-1.npy", 0)], 3);
        assert!(none.contains("no latent is numbered 3 or more"), "{none}");
    }
}
