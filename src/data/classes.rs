//! Classes as numbers from 0, whatever they are called in a file.

/// Numbers above this are names: a network has a row for every class.
const MOST: i64 = 1_000_000;

/// The classes of some items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes {
    /// One per item.
    pub labels: Vec<i64>,
    /// The name of each class; empty where there are none.
    pub names: Vec<String>,
}

impl Classes {
    /// "3 classes: cat, dog, horse" for a person; `None` where there are none.
    pub fn note(&self) -> Option<String> {
        let shown: Vec<&str> = self.names.iter().take(12).map(String::as_str).collect();
        let more = if self.names.len() > shown.len() { ", …" } else { "" };
        (!shown.is_empty()).then(|| format!("{} classes: {}{more}", self.names.len(), shown.join(", ")))
    }
}

/// Whole numbers are classes as they are; anything else is sorted, and numbered in that order.
///
/// # Errors
/// What is wrong: an empty class, or numbers that are too large or negative.
pub(super) fn classes(found: &[&str]) -> Result<Classes, String> {
    if let Some(place) = found.iter().position(|class| class.trim().is_empty()) {
        return Err(format!("item {} has an empty class", place + 1));
    }
    let numbers: Option<Vec<i64>> = found.iter().map(|class| whole(class)).collect();
    if let Some(labels) = numbers {
        if let Some(label) = labels.iter().find(|label| !(0..MOST).contains(*label)) {
            return Err(format!("has the class {label}: must be in 0..{MOST}"));
        }
        let most = labels.iter().max().map_or(0, |most| *most as usize + 1);
        return Ok(Classes { labels, names: (0..most).map(|class| class.to_string()).collect() });
    }
    let mut names: Vec<String> = found.iter().map(|class| class.to_string()).collect();
    names.sort();
    names.dedup();
    let place = |class: &&str| names.binary_search_by(|name| name.as_str().cmp(class)).unwrap_or_default() as i64;
    Ok(Classes { labels: found.iter().map(place).collect(), names })
}

/// `3` and `3.0`, as tables write whole numbers.
fn whole(text: &str) -> Option<i64> {
    let value: f64 = text.trim().parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_names_are_sorted() {
        let found = classes(&["2", "0", "2.0"]).unwrap();
        assert_eq!((found.labels, found.names.len()), (vec![2, 0, 2], 3));
        let found = classes(&["dog", "cat", "dog"]).unwrap();
        assert_eq!(found.note().unwrap(), "2 classes: cat, dog");
        assert_eq!(found.labels, [1, 0, 1]);
        assert_eq!(classes(&["1", "b", "0.5"]).unwrap().labels, [1, 2, 0]);
        assert!(classes(&["-1"]).unwrap_err().contains("-1: must be in 0.."));
        assert!(classes(&["1", " "]).unwrap_err().contains("item 2 has an empty class"));
    }
}
