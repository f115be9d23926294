//! Colour pictures of 1906 emoji, 32×32, in the nine categories of Unicode: x = v / 127.5 − 1.
//!
//! [Noto Emoji](https://github.com/googlefonts/noto-emoji) v2.048 (Apache License 2.0), on white, one skin tone each;
//! names and categories of `emoji-datasource-google` 16.0.0 (MIT). Of each category the emoji with the least hashes of
//! their names are held out.
use super::{DataSet, DataSplit, HeldOut, hold_out};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const PICTURE: (&str, &[u8]) = ("data/emoji/noto-32.png", include_bytes!("../../data/emoji/noto-32.png"));
const LIST: (&str, &str) = ("data/emoji/noto-32.json", include_str!("../../data/emoji/noto-32.json"));
pub(super) const COUNT: usize = 1906;
pub(super) const SIDE: usize = 32;
pub(super) const CLASSES: usize = 9;

/// How the emoji are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EmojiConfig {
    /// The share of each category that is held out, in (0, 0.5].
    pub held_out: f64,
    /// Seed of the split.
    pub seed: u64,
}

impl Default for EmojiConfig {
    fn default() -> Self {
        Self { held_out: 0.1, seed: 0 }
    }
}

impl EmojiConfig {
    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let (mut problems, share) = (Vec::new(), self.held_out);
        Problem::unless(&mut problems, share > 0.0 && share <= 0.5, path, "held_out", share, "must be in (0, 0.5]");
        problems
    }
}

#[derive(Deserialize)]
struct List {
    columns: usize,
    categories: Vec<String>,
    /// Code, name, category, subcategory.
    emoji: Vec<[String; 4]>,
}

/// Decodes and splits the emoji. `config` has no problems.
pub(super) fn load(config: &EmojiConfig) -> Result<DataSplit> {
    let list: List = serde_json::from_str(LIST.1).map_err(|e| Error::format(LIST.0, e.to_string()))?;
    let sheet = image::load_from_memory(PICTURE.1).map_err(|e| Error::format(PICTURE.0, e.to_string()))?.into_rgb8();
    let (width, height) = (list.columns * SIDE, list.emoji.len().div_ceil(list.columns.max(1)) * SIDE);
    if list.emoji.len() != COUNT || (sheet.width() as usize, sheet.height() as usize) != (width, height) {
        return Err(Error::format(PICTURE.0, format!("is not {COUNT} emoji of {SIDE}×{SIDE}")));
    }
    let label = |category: &String| list.categories.iter().position(|name| name == category).map(|i| i as i64);
    let labels: Option<Vec<i64>> = list.emoji.iter().map(|[_, _, category, _]| label(category)).collect();
    let labels = labels.ok_or_else(|| Error::format(LIST.0, "has an emoji of no category"))?;

    let pixels = |place: usize| {
        let (left, top) = (place % list.columns * SIDE, place / list.columns * SIDE);
        let at = |i: usize| (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let (sheet, values) = (&sheet, 0..3 * SIDE * SIDE);
        values.map(at).map(move |(channel, y, x)| {
            f32::from(sheet.get_pixel((left + x) as u32, (top + y) as u32).0[channel]) / 127.5 - 1.0
        })
    };
    let codes: Vec<&str> = list.emoji.iter().map(|[code, ..]| code.as_str()).collect();
    let held_out = hold_out::by_hash(&codes, &labels, HeldOut::Share(config.held_out), config.seed);
    let names: Arc<Vec<String>> = Arc::new(list.emoji.iter().map(|[_, name, ..]| name.clone()).collect());
    let shape = [3, SIDE, SIDE];
    let set = |part: bool| {
        let places: Vec<usize> = (0..COUNT).filter(|place| held_out[*place] == part).collect();
        let values = places.iter().flat_map(|place| pixels(*place)).collect();
        let labels = places.iter().map(|place| labels[*place]).collect();
        DataSet::named(shape, values, labels, places, names.clone())
    };
    Ok(DataSplit::new(set(false)?, set(true)?, CLASSES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    #[test]
    fn all_emoji_are_there_and_every_category_in_both_sets() {
        let split = load(&EmojiConfig::default()).unwrap();
        assert_eq!(split.train.len() + split.held_out.len(), COUNT);
        assert_eq!((split.held_out.len(), split.shape, split.classes), (191, [3, 32, 32], 9));
        let count = |set: &DataSet, class: i64| set.labels().iter().filter(|label| **label == class).count();
        let sizes: Vec<usize> = (0..9).map(|c| count(&split.train, c) + count(&split.held_out, c)).collect();
        assert_eq!(sizes, [85, 159, 270, 131, 264, 386, 169, 224, 218]);
        assert!((0..9).all(|class| count(&split.held_out, class) >= 8));
    }

    #[test]
    fn the_first_emoji_is_a_yellow_face_on_white() {
        let sets = [0.1, 0.5].map(|held_out| load(&EmojiConfig { held_out, seed: 0 }).unwrap());
        for set in sets.iter().flat_map(|split| [&split.train, &split.held_out]) {
            assert!(set.in_memory().unwrap().iter().all(|v| (-1.0..=1.0).contains(v)));
        }
        let face = sets[0].train.get(0).unwrap().data;
        let at = |channel: usize, y: usize, x: usize| face[channel * 1024 + y * 32 + x];
        assert_eq!([at(0, 0, 0), at(1, 0, 0), at(2, 0, 0)], [1.0; 3]);
        assert!(at(0, 8, 16) > 0.8 && at(1, 8, 16) > 0.4 && at(2, 8, 16) < 0.0);
    }
}
