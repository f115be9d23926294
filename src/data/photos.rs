//! Grey patches of two photos: x = (luma of a 2×2 box average) / 127.5 − 1.
//!
//! Square tiles of 1.5 patches, on a staggered lattice over each photo (320×213 after scaling down), belong to
//! the held-out set. A held-out patch lies inside one tile and a training patch touches none, so the two sets
//! share no pixel; because tiles are everywhere, both sets show similar content. With patches of 16, the mean is
//! −0.20 in training and −0.15 held out (vertical bands instead of tiles: −0.10 and −0.28), the deviation 0.60 and
//! 0.62. A Fréchet distance between the two sets is still not zero: it is the floor to compare with.
//!
//! Patches overlap and are drawn with replacement, from 45,120 places in training and 4,212 held out.
use super::memory::Names;
use super::set::Unit;
use super::{DataSet, DataSplit};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Problem, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const FILES: [(&str, &[u8]); 2] = [
    ("data/china.jpg", include_bytes!("../../data/china.jpg")),
    ("data/flower.jpg", include_bytes!("../../data/flower.jpg")),
];
const SMALLEST_PATCH: usize = 5;
const LARGEST_PATCH: usize = 32;
const MOST_PATCHES: usize = 200_000;
/// Keeps the streams of held-out patches apart from those of training patches, whatever their number.
const HELD_OUT: u64 = 1 << 63;

/// How many patches to cut, and how large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PhotosConfig {
    /// Side of a patch in pixels, in 5..=32: the features need 5×5.
    pub patch: usize,
    /// Number of training patches, in 1..=200000.
    pub train: usize,
    /// Number of held-out patches, in 1..=200000.
    pub held_out: usize,
    /// Seed of the positions of the patches.
    pub seed: u64,
}

impl Default for PhotosConfig {
    fn default() -> Self {
        Self { patch: 16, train: 20_000, held_out: 4_000, seed: 0 }
    }
}

impl PhotosConfig {
    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut within = |key: &str, n: usize, range: std::ops::RangeInclusive<usize>| {
            Problem::unless(&mut problems, range.contains(&n), path, key, n, format!("must be in {range:?}"));
        };
        within("patch", self.patch, SMALLEST_PATCH..=LARGEST_PATCH);
        within("train", self.train, 1..=MOST_PATCHES);
        within("held_out", self.held_out, 1..=MOST_PATCHES);
        problems
    }
}

/// A grey photo with values in `[-1, 1]`.
struct Photo {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Where a patch is cut: which photo, and the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Corner {
    photo: usize,
    x: usize,
    y: usize,
}

/// The patches of a set, called by their corners.
#[derive(Debug)]
struct Corners {
    corners: Vec<Corner>,
    patch: usize,
}

impl Names for Corners {
    fn name(&self, number: usize) -> String {
        let Corner { photo, x, y } = self.corners[number];
        format!("{} at ({x}, {y})", FILES[photo].0)
    }

    /// The cells that the patch touches: it shares pixels with no patch that touches none of them.
    fn units(&self, number: usize) -> Vec<Unit> {
        let (Corner { photo, x, y }, last) = (self.corners[number], self.patch - 1);
        let ends = [(x, y), (x + last, y), (x, y + last), (x + last, y + last)];
        let mut cells = ends.map(|(x, y)| cell(x, y, self.patch)).to_vec();
        cells.sort_unstable();
        cells.dedup();
        let unit = |(row, column)| Unit {
            name: format!("{} cell ({row}, {column})", FILES[photo].0),
            stratum: Some(photo as i64),
        };
        cells.into_iter().map(unit).collect()
    }
}

/// Row and column of the cell of a pixel: three patches wide and high, with one held-out tile in its upper left corner.
fn cell(x: usize, y: usize, patch: usize) -> (isize, isize) {
    let (x, y, patch) = (x as isize, y as isize, patch as isize);
    let step = 3 * patch;
    let row = (y - patch).div_euclid(step);
    (row, (x - patch / 2 - row.rem_euclid(2) * step / 2).div_euclid(step))
}

/// Side and upper left corners of the held-out tiles of a photo.
fn tiles(photo: &Photo, patch: usize) -> (usize, Vec<(usize, usize)>) {
    let (side, step) = (patch + patch / 2, 3 * patch);
    let fits = |&(x, y): &(usize, usize)| x + side <= photo.width && y + side <= photo.height;
    let row = |(row, y)| {
        let start = patch / 2 + row % 2 * step / 2;
        (start..photo.width).step_by(step).map(move |x| (x, y))
    };
    (side, (patch..photo.height).step_by(step).enumerate().flat_map(row).filter(fits).collect())
}

/// Every place where a patch of one of the two sets can be cut from a photo.
fn places(photo: usize, photos: &[Photo], patch: usize, held_out: bool) -> Vec<Corner> {
    let Photo { width, height, .. } = photos[photo];
    let (side, tiles) = tiles(&photos[photo], patch);
    let inside = |x: usize, y: usize, (left, top): (usize, usize)| {
        x >= left && y >= top && x + patch <= left + side && y + patch <= top + side
    };
    let touches = |x: usize, y: usize, (left, top): (usize, usize)| {
        x < left + side && y < top + side && left < x + patch && top < y + patch
    };
    let belongs = |corner: &Corner| match held_out {
        true => tiles.iter().any(|tile| inside(corner.x, corner.y, *tile)),
        false => !tiles.iter().any(|tile| touches(corner.x, corner.y, *tile)),
    };
    let corner = |y| (0..=width - patch).map(move |x| Corner { photo, x, y });
    (0..=height - patch).flat_map(corner).filter(belongs).collect()
}

/// A uniformly random photo for every patch, then a uniformly random place in it.
fn corners(photos: &[Photo], config: &PhotosConfig, held_out: bool) -> Vec<Corner> {
    let places: Vec<_> = (0..photos.len()).map(|photo| places(photo, photos, config.patch, held_out)).collect();
    let (count, offset) = if held_out { (config.held_out, HELD_OUT) } else { (config.train, 0) };
    let draw = |index: u64| {
        let mut rng = SampleKey { seed: config.seed, epoch: 0, position: offset + index }.rng(Purpose::Data);
        let mut below = |n: usize| rng.random_range(0..n as u32) as usize;
        let places = &places[below(photos.len())];
        places[below(places.len())]
    };
    (0..count as u64).map(draw).collect()
}

fn decode(name: &str, bytes: &[u8]) -> Result<Photo> {
    let photo = image::load_from_memory(bytes).map_err(|e| Error::format(name, e.to_string()))?.into_rgb8();
    let (width, height) = (photo.width() as usize / 2, photo.height() as usize / 2);
    if width < 8 * LARGEST_PATCH || height < 6 * LARGEST_PATCH {
        return Err(Error::format(name, format!("{width}×{height} after scaling down is too small to cut")));
    }
    let luma = |x: usize, y: usize| {
        let [r, g, b] = photo.get_pixel(x as u32, y as u32).0.map(f32::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let mut values = Vec::with_capacity(width * height);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (2 * y, 2 * x))) {
        let mean = (luma(x, y) + luma(x + 1, y) + luma(x, y + 1) + luma(x + 1, y + 1)) / 4.0;
        values.push((mean / 127.5 - 1.0).clamp(-1.0, 1.0));
    }
    Ok(Photo { width, height, values })
}

fn photos() -> Result<Vec<Photo>> {
    FILES.iter().map(|(name, bytes)| decode(name, bytes)).collect()
}

/// Cuts the patches. `config` has no problems.
pub(super) fn load(config: &PhotosConfig) -> Result<DataSplit> {
    let photos = photos()?;
    let (patch, shape) = (config.patch, [1, config.patch, config.patch]);
    let set = |held_out| {
        let corners = corners(&photos, config, held_out);
        let mut pixels = Vec::with_capacity(corners.len() * patch * patch);
        for Corner { photo, x, y } in &corners {
            let photo = &photos[*photo];
            for row in *y..y + patch {
                pixels.extend_from_slice(&photo.values[row * photo.width + x..][..patch]);
            }
        }
        let (count, names) = (corners.len(), Arc::new(Corners { corners, patch }));
        DataSet::named(shape, pixels, vec![0; count], (0..count).collect(), names)
    };
    Ok(DataSplit::new(set(false)?, set(true)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| *v as f64).sum::<f64>() / n;
        (mean, (values.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn no_held_out_pixel_is_in_a_training_patch() {
        let photos = photos().unwrap();
        for patch in [5, 7, 16, 32] {
            let config = PhotosConfig { patch, ..Default::default() };
            let touched = |held_out| {
                let mut touched: Vec<_> = photos.iter().map(|p| vec![false; p.values.len()]).collect();
                for Corner { photo, x, y } in corners(&photos, &config, held_out) {
                    assert!(x + patch <= photos[photo].width && y + patch <= photos[photo].height);
                    for row in y..y + patch {
                        touched[photo][row * photos[photo].width + x..][..patch].fill(true);
                    }
                }
                touched.concat()
            };
            let (train, held_out) = (touched(false), touched(true));
            assert!(!train.iter().zip(&held_out).any(|(a, b)| *a && *b), "patch {patch} overlaps");
        }
    }

    #[test]
    fn no_pixel_that_is_set_aside_is_in_a_training_patch() {
        for patch in [5, 8, 16, 32] {
            let split = load(&PhotosConfig { patch, train: 600, held_out: 10, seed: 0 }).unwrap();
            let cut = split.set_aside().unwrap();
            let touched = |set: &DataSet| {
                let mut pixels = std::collections::HashSet::new();
                for index in 0..set.len() {
                    let name = set.name(index);
                    let (photo, place) = name.trim_end_matches(')').split_once(" at (").unwrap();
                    let (x, y) = place.split_once(", ").unwrap();
                    let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
                    let rows = (y..y + patch).flat_map(|y| (x..x + patch).map(move |x| (x, y)));
                    pixels.extend(rows.map(|(x, y)| (photo.len(), x, y)));
                }
                pixels
            };
            let (stay, aside) = (touched(&cut.train), touched(&cut.held_out));
            assert!(stay.is_disjoint(&aside), "patch {patch}");
            let share = |set: &DataSet| set.len() as f64 / 600.0;
            // The rest lies across a border.
            let shares = (share(&cut.train), share(&cut.held_out));
            assert!(shares.0 > 0.6 && shares.1 > 0.05, "patch {patch}: {shares:?}");
            assert!(cut.held_out.in_memory().is_some());
        }
    }

    #[test]
    fn a_cell_holds_one_held_out_tile_whole() {
        for (photo, patch) in photos().unwrap().iter().flat_map(|photo| [(photo, 5), (photo, 16), (photo, 32)]) {
            let (side, tiles) = tiles(photo, patch);
            let mut cells: Vec<_> = tiles.iter().map(|(x, y)| cell(*x, *y, patch)).collect();
            let ends: Vec<_> = tiles.iter().map(|(x, y)| cell(x + side - 1, y + side - 1, patch)).collect();
            assert_eq!(cells, ends);
            cells.dedup();
            assert_eq!(cells.len(), tiles.len());
        }
    }

    #[test]
    fn both_sets_have_similar_statistics() {
        let split = load(&PhotosConfig::default()).unwrap();
        let ((mean_a, sd_a), (mean_b, sd_b)) =
            (moments(split.train.in_memory().unwrap()), moments(split.held_out.in_memory().unwrap()));
        assert!((mean_a - mean_b).abs() < 0.1, "means {mean_a} and {mean_b}");
        assert!((sd_a / sd_b - 1.0).abs() < 0.1, "deviations {sd_a} and {sd_b}");
    }

    #[test]
    fn shapes_and_range() {
        let split = load(&PhotosConfig { train: 50, held_out: 30, ..Default::default() }).unwrap();
        assert_eq!((split.train.len(), split.held_out.len(), split.shape, split.classes), (50, 30, [1, 16, 16], 0));
        assert_eq!(split.train.get(49).unwrap().data.len(), 256);
        assert!(split.train.in_memory().unwrap().iter().all(|v| (-1.0..=1.0).contains(v)));
    }

    #[test]
    fn a_seed_gives_one_split_and_a_prefix_does_not_depend_on_the_count() {
        let config = PhotosConfig { train: 20, held_out: 5, ..Default::default() };
        let pixels = |config: &PhotosConfig| load(config).unwrap().train.in_memory().unwrap().to_vec();
        let first = pixels(&config);
        assert_eq!(first, pixels(&config));
        assert_eq!(first[..], pixels(&PhotosConfig { train: 40, ..config.clone() })[..first.len()]);
        assert_ne!(first, pixels(&PhotosConfig { seed: 1, ..config }));
    }
}
