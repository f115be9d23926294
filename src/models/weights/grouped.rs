//! Many names that differ only in their numbers, as one line: `blocks.0-27.attn.qkv.weight` (28 tensors).
use std::collections::{BTreeMap, BTreeSet};

/// Something that is true of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// The name.
    pub(super) name: String,
    /// What is true of it, such as "is missing in the file".
    pub(super) what: String,
}

/// Names of one form of which the same is true.
struct Group {
    form: String,
    what: String,
    /// The numbers in each name.
    numbers: Vec<Vec<u64>>,
}

/// One line for all names of one form of which the same is true, in the order of their first.
pub(super) fn grouped(all: impl IntoIterator<Item = Said>) -> Vec<String> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: BTreeMap<[String; 2], usize> = BTreeMap::new();
    for Said { name, what } in all {
        let (form, numbers) = form(&name);
        let place = *places.entry([form.clone(), what.clone()]).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.numbers.push(numbers),
            None => groups.push(Group { form, what, numbers: vec![numbers] }),
        }
    }
    let line = |Group { form, what, numbers }: Group| {
        let count = if numbers.len() == 1 { String::new() } else { format!(" ({} tensors)", numbers.len()) };
        format!("`{}`{count} {what}", filled(&form, &numbers))
    };
    groups.into_iter().map(line).collect()
}

/// A name with `#` for each segment that is a number, and these numbers.
fn form(name: &str) -> (String, Vec<u64>) {
    let mut numbers = Vec::new();
    let segment = |segment: &str| match segment.parse::<u64>() {
        // Only as it would be written again: `007` is a name.
        Ok(number) if number.to_string() == segment => {
            numbers.push(number);
            "#".to_string()
        }
        _ => segment.to_string(),
    };
    let segments: Vec<String> = name.split('.').map(segment).collect();
    (segments.join("."), numbers)
}

/// The form with the numbers of all names in it.
fn filled(form: &str, numbers: &[Vec<u64>]) -> String {
    let mut at = 0;
    let segment = |segment: &str| {
        if segment != "#" {
            return segment.to_string();
        }
        let here: BTreeSet<u64> = numbers.iter().filter_map(|numbers| numbers.get(at)).copied().collect();
        at += 1;
        ranges(&here)
    };
    form.split('.').map(segment).collect::<Vec<_>>().join(".")
}

/// `0-3,5`.
fn ranges(numbers: &BTreeSet<u64>) -> String {
    let mut runs: Vec<[u64; 2]> = Vec::new();
    for number in numbers.iter().copied() {
        match runs.last_mut() {
            Some([_, last]) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push([number; 2]),
        }
    }
    let run = |[first, last]: [u64; 2]| if first == last { first.to_string() } else { format!("{first}-{last}") };
    runs.into_iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, what: &str) -> Said {
        Said { name: name.into(), what: what.into() }
    }

    #[test]
    fn blocks_are_one_line_and_what_differs_is_not_joined() {
        let mut all: Vec<Said> = (0..28).map(|i| said(&format!("blocks.{i}.attn.qkv.weight"), "is missing")).collect();
        all.push(said("blocks.28.attn.qkv.weight", "has another shape"));
        all.push(said("pos_embed", "is missing"));
        all.extend([1, 2, 5].map(|i| said(&format!("t.{i}"), "is missing")));
        all.push(said("t.007", "is missing"));
        assert_eq!(
            grouped(all),
            [
                "`blocks.0-27.attn.qkv.weight` (28 tensors) is missing",
                "`blocks.28.attn.qkv.weight` has another shape",
                "`pos_embed` is missing",
                "`t.1-2,5` (3 tensors) is missing",
                "`t.007` is missing",
            ]
        );
    }
}
