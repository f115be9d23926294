//! Resizing as Pillow resizes bytes: `out = ⌊(2²¹ + Σᵢ wᵢ·inᵢ) / 2²²⌋` in whole numbers, along rows, then along columns.
//!
//! Output o of n has its centre at `c = (o + ½)·m/n` of the m inputs. With `s = max(m/n, 1)`, input i has the weight
//! `f((i + ½ − c)/s)`, divided by the sum of all weights and rounded to a multiple of 2⁻²²: a filter that widens with the
//! reduction, and so averages what would alias. The pass along rows rounds to bytes before the pass along columns.
//!
//! Pillow did so up to version 12. Pillow 13 begins with the columns of some pictures that are twice as high as wide, which
//! gives other bytes than those of the papers.
use image::RgbImage;
use std::ops::Range;

/// Binary digits of a weight after the point.
const BITS: u32 = 22;

/// A half, so that the shift rounds.
const HALF: i32 = 1 << (BITS - 1);

/// The function that weights inputs by their distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// 1 in (−½, ½]: a mean.
    Box,
    /// The cubic convolution with a = −½.
    Bicubic,
}

impl Filter {
    /// Beyond this distance it is 0.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        match (self, x.abs()) {
            (Self::Box, _) => f64::from(x > -0.5 && x <= 0.5),
            (Self::Bicubic, x) if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            (Self::Bicubic, x) if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            (Self::Bicubic, _) => 0.0,
        }
    }
}

/// What one output is made of.
struct Window {
    /// The first input.
    first: usize,
    /// Of the inputs from there on, in units of 2⁻²².
    weights: Vec<i32>,
}

impl Window {
    /// The output at `place` of `to`, from `from` inputs.
    fn new(place: usize, from: usize, to: usize, filter: Filter) -> Self {
        let scale = from as f64 / to as f64;
        let widened = scale.max(1.0);
        let (support, centre) = (filter.support() * widened, (place as f64 + 0.5) * scale);
        // Numbers below 0 become 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|i| filter.at((i as f64 - centre + 0.5) * (1.0 / widened))).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << BITS) + 0.5f64.copysign(weight)) as i32;
        Self { first, weights: weights.into_iter().map(fixed).collect() }
    }

    fn inputs(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }
}

/// The pixels in `columns` and `rows` of `picture` resized to `width × height`; no other is computed.
pub(super) fn resize(
    picture: &RgbImage,
    [width, height]: [usize; 2],
    [columns, rows]: [Range<usize>; 2],
    filter: Filter,
) -> RgbImage {
    let [from_width, from_height] = [picture.width(), picture.height()].map(|side| side as usize);
    let across: Vec<Window> = columns.map(|column| Window::new(column, from_width, width, filter)).collect();
    let mut down: Vec<Window> = rows.map(|row| Window::new(row, from_height, height, filter)).collect();
    let start = down.iter().map(|window| window.first).min().unwrap_or(0);
    let end = down.iter().map(|window| window.inputs().end).max().unwrap_or(0);
    down.iter_mut().for_each(|window| window.first -= start);
    let narrowed = along_rows(picture, start..end, &across);
    let bytes = along_columns(&narrowed, 3 * across.len(), &down);
    // As many bytes as both lists of windows say.
    RgbImage::from_raw(across.len() as u32, down.len() as u32, bytes).unwrap_or_default()
}

fn along_rows(picture: &RgbImage, rows: Range<usize>, windows: &[Window]) -> Vec<u8> {
    let length = 3 * picture.width() as usize;
    let mut bytes = Vec::with_capacity(rows.len() * 3 * windows.len());
    for row in picture.as_raw()[rows.start * length..rows.end * length].chunks_exact(length) {
        for window in windows {
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[3 * window.first..].chunks_exact(3).zip(&window.weights) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * i32::from(*value));
            }
            bytes.extend(sums.map(byte));
        }
    }
    bytes
}

/// `length` bytes are a row.
fn along_columns(bytes: &[u8], length: usize, windows: &[Window]) -> Vec<u8> {
    let (mut sums, mut out) = (vec![HALF; length], Vec::with_capacity(windows.len() * length));
    for window in windows {
        sums.fill(HALF);
        for (row, weight) in bytes[window.first * length..].chunks_exact(length).zip(&window.weights) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * i32::from(*value));
        }
        out.extend(sums.iter().map(|sum| byte(*sum)));
    }
    out
}

fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(width: usize, height: usize) -> [Range<usize>; 2] {
        [0..width, 0..height]
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = RgbImage::from_fn(7, 5, |x, y| image::Rgb([(40 * x) as u8, (50 * y) as u8, 255]));
        for filter in [Filter::Box, Filter::Bicubic] {
            assert_eq!(resize(&picture, [7, 5], all(7, 5), filter), picture);
        }
    }

    #[test]
    fn a_box_of_two_is_the_mean_rounded_up_once_a_pass() {
        let picture = RgbImage::from_raw(2, 2, [0, 1, 3, 1, 2, 4, 255, 0, 0, 254, 0, 1].to_vec()).unwrap();
        // Along rows: 0.5, 1.5, 3.5 and 254.5, 0, 0.5 become 1, 2, 4 and 255, 0, 1.
        assert_eq!(resize(&picture, [1, 1], all(1, 1), Filter::Box).into_raw(), [128, 1, 3]);
    }

    #[test]
    fn weights_add_up_and_those_of_a_cubic_overshoot() {
        for (from, to) in [(9, 4), (4, 9), (1, 3), (1000, 7)] {
            for place in 0..to {
                let window = Window::new(place, from, to, Filter::Bicubic);
                let sum: i32 = window.weights.iter().sum();
                assert!((sum - (1 << BITS)).abs() <= window.weights.len() as i32, "{from} to {to}");
                assert!(window.inputs().end <= from && !window.weights.is_empty());
            }
        }
        let edge = RgbImage::from_fn(8, 1, |x, _| image::Rgb([if x < 4 { 20 } else { 235 }; 3]));
        let wide = resize(&edge, [32, 1], all(32, 1), Filter::Bicubic);
        let values = wide.pixels().map(|pixel| pixel.0[0]);
        assert!(values.clone().min() < Some(20) && values.max() > Some(235));
    }

    #[test]
    fn a_part_is_a_part_of_the_whole() {
        let picture = RgbImage::from_fn(13, 11, |x, y| image::Rgb([(x * 37 + y * 91) as u8, (x * y * 7) as u8, 9]));
        let whole = resize(&picture, [29, 17], all(29, 17), Filter::Bicubic);
        let part = resize(&picture, [29, 17], [5..23, 3..16], Filter::Bicubic);
        assert_eq!(part, image::imageops::crop_imm(&whole, 5, 3, 18, 13).to_image());
    }
}
