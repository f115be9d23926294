//! The parts of the page: what is run for each, and in which folders its results lie.
use crate::place;
use std::path::{Path, PathBuf};

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its headline.
    pub title: &'static str,
    /// The file that describes it.
    pub config: &'static str,
    pub task: Task,
}

/// What is run for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `mixflow compare`.
    Table,
    /// The same, with so large a network that it is done only where it is named.
    Large,
    /// `mixflow slow-flow`.
    SlowFlow,
    /// Everything that is asked of a data set: advice, pilots, the sweep of γ, and the grids beside the advice.
    Set(Set),
}

/// A data set and its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// What it is called in tables of all sets.
    pub name: &'static str,
    /// Whether the velocity field is known, and nothing is trained.
    pub exact: bool,
    /// The folder of the measurement of Slow Flow; none where there is no such part.
    pub probe: Option<&'static str>,
    /// What `mixflow advise` has for three budgets by the first distance, and by the second, which finds most samples there; none
    /// where it is not asked.
    pub minutes: Option<[u32; 2]>,
    /// Whether the whole grid is searched by training data, too.
    pub search: bool,
}

impl Part {
    /// The name of its folders.
    pub fn folder(&self) -> String {
        let folder = self.results();
        folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Where the program leaves its results.
    pub fn results(&self) -> PathBuf {
        place::results_of(Path::new(self.config))
    }

    pub fn set(&self) -> Option<Set> {
        match self.task {
            Task::Set(set) => Some(set),
            _ => None,
        }
    }
}

const fn part(title: &'static str, config: &'static str, task: Task) -> Part {
    Part { title, config, task }
}

const fn set(title: &'static str, config: &'static str, set: Set) -> Part {
    part(title, config, Task::Set(set))
}

/// A third of what a user has who says nothing, and a little less for the second distance.
const MINUTES: [u32; 2] = [5, 4];

/// What most sets have.
const NETWORK: Set = Set { name: "", exact: false, probe: None, minutes: Some(MINUTES), search: true };
const EXACT: Set = Set { exact: true, ..NETWORK };

/// The network of the emoji costs a hundred times as much as the others: its grid takes twenty minutes.
const EMOJI: Set = Set { name: "emoji", minutes: Some([15, 8]), search: false, ..NETWORK };

/// In the order of the page.
pub const PARTS: [Part; 29] = [
    set(
        "Photos: which γ",
        "configs/photos/gamma.json",
        Set { name: "photos", probe: Some("photos-slow_flow"), ..NETWORK },
    ),
    part("Photos: rivals", "configs/photos/rivals.json", Task::Table),
    part("Photos: γ over time, and a loss on the magnitude", "configs/photos/gamma-by-time.json", Task::Table),
    part("Photos: the laws of t and m", "configs/photos/ablation.json", Task::Table),
    part("Photos: few steps and many", "configs/photos/few-steps.json", Task::Table),
    part("Photos: Slow Flow before and after", "configs/photos/slow_flow.json", Task::SlowFlow),
    set(
        "Digits at scale 0.25: which γ",
        "configs/digits/gamma-sweep.json",
        Set { name: "digits, scale 0.25", probe: Some("digits-slow_flow"), ..NETWORK },
    ),
    part("Digits at scale 0.25: rivals", "configs/digits/rivals.json", Task::Table),
    part("Digits at scale 0.25: Slow Flow", "configs/digits/slow_flow.json", Task::SlowFlow),
    set(
        "Digits at scale 1: which γ",
        "configs/digits/gamma-sweep-full-scale.json",
        Set { name: "digits, scale 1", probe: Some("digits-slow_flow-full-scale"), ..NETWORK },
    ),
    part("Digits at scale 1: Slow Flow", "configs/digits/slow_flow-full-scale.json", Task::SlowFlow),
    set(
        "The table: which γ",
        "configs/table/gamma.json",
        Set { name: "table", probe: Some("table-slow_flow"), ..NETWORK },
    ),
    part("The table: rivals", "configs/table/rivals.json", Task::Table),
    part("The table: Slow Flow", "configs/table/slow_flow.json", Task::SlowFlow),
    set("Emoji, a SiT with classes: which γ", "configs/emoji/gamma.json", EMOJI),
    set("Wine, a table of 178 rows: which γ", "configs/foreign/wine.json", Set { name: "wine", ..NETWORK }),
    set("Diabetes, a table of 442 rows: which γ", "configs/foreign/diabetes.json", Set { name: "diabetes", ..NETWORK }),
    set("Glyphs of a free font: which γ", "configs/foreign/glyphs.json", Set { name: "glyphs", ..NETWORK }),
    set(
        "Patches of other photographs: which γ",
        "configs/foreign/photos.json",
        Set { name: "other photographs", ..NETWORK },
    ),
    set("Exact fields on a ring, D = 2", "configs/ring/exact-2.json", Set { name: "exact ring, D = 2", ..EXACT }),
    set(
        "Exact fields on a ring, D = 8",
        "configs/ring/exact-8.json",
        Set { name: "exact ring, D = 8", minutes: None, ..EXACT },
    ),
    set("Exact fields on a ring, D = 32", "configs/ring/exact-32.json", Set { name: "exact ring, D = 32", ..EXACT }),
    set(
        "Exact fields on a ring, D = 128",
        "configs/ring/exact-128.json",
        Set { name: "exact ring, D = 128", minutes: None, ..EXACT },
    ),
    set("Networks on a ring, D = 2", "configs/ring/gamma-2.json", Set { name: "network on a ring, D = 2", ..NETWORK }),
    set(
        "Networks on a ring, D = 8",
        "configs/ring/gamma-8.json",
        Set { name: "network on a ring, D = 8", minutes: None, ..NETWORK },
    ),
    set(
        "Networks on a ring, D = 32",
        "configs/ring/gamma-32.json",
        Set { name: "network on a ring, D = 32", ..NETWORK },
    ),
    set(
        "Networks on a ring, D = 128",
        "configs/ring/gamma-128.json",
        Set { name: "network on a ring, D = 128", minutes: None, ..NETWORK },
    ),
    part("Photos: a γ chosen and used", "configs/photos/auto.json", Task::Table),
    part("Photos at 32×32, a SiT on a GPU: which γ", "configs/photos/sit.json", Task::Large),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_has_a_file_and_a_folder_of_its_own() {
        let folders: BTreeSet<String> = PARTS.iter().map(Part::folder).collect();
        assert_eq!(folders.len(), PARTS.len());
        for part in PARTS {
            assert!(Path::new(part.config).exists(), "{}", part.config);
            let probe = part.set().and_then(|set| set.probe);
            assert!(probe.is_none_or(|probe| folders.contains(probe)), "{probe:?}");
        }
    }
}
