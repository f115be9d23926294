//! Pictures of any size as the network sees them: bilinear to 299×299, then about [-1, 1].
use crate::{Error, Result};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows and columns that the network sees.
pub(super) const SIDE: usize = 299;
/// Colours of a pixel.
pub(super) const COLOURS: usize = 3;

/// What is done to pictures before the network sees them. FIDs of different conventions do not compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FidConvention {
    /// As the TensorFlow graph does, and so ADM's evaluator, torch-fidelity, and the papers of SiT, REPA and RAE: output
    /// pixel `i` lies at `i · input/299`, and `(x − 128) / 128`.
    #[default]
    TensorFlow,
    /// As pytorch-fid does: output pixel `i` lies at `(i + ½) · input/299 − ½`, and `x/127.5 − 1`.
    PytorchFid,
}

impl std::fmt::Display for FidConvention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TensorFlow => {
                "that of the TensorFlow graph (ADM's evaluator, torch-fidelity): TF1 bilinear resize, (x − 128)/128"
            }
            Self::PytorchFid => {
                "that of pytorch-fid: half-pixel bilinear resize, x/127.5 − 1; not that of ADM's evaluator"
            }
        })
    }
}

/// Between which two input pixels an output pixel lies.
struct Place {
    low: usize,
    high: usize,
    /// How far from the low one, in [0, 1).
    share: f32,
}

impl FidConvention {
    /// Where `outputs` pixels lie among `inputs`, at least 1, in one direction. No filter averages what is made smaller.
    fn places(self, inputs: usize, outputs: usize) -> Vec<Place> {
        let scale = (inputs as f64 / outputs as f64) as f32;
        let last = inputs - 1;
        let place = |i: usize| {
            let at = match self {
                Self::TensorFlow => i as f32 * scale,
                Self::PytorchFid => ((i as f32 + 0.5) * scale - 0.5).max(0.0),
            };
            let low = (at as usize).min(last);
            Place { low, high: (low + 1).min(last), share: at - low as f32 }
        };
        (0..outputs).map(place).collect()
    }

    fn scaled(self, value: f32) -> f32 {
        match self {
            Self::TensorFlow => (value - 128.0) / 128.0,
            Self::PytorchFid => value / 127.5 - 1.0,
        }
    }

    /// `[pictures, 3, 299, 299]` for pictures of `[height, width]`, none of them 0.
    ///
    /// `row` writes the values in [0, 255] of a row: of picture, colour and row in it.
    pub(super) fn prepare(
        self,
        pictures: usize,
        [height, width]: [usize; 2],
        row: impl Fn([usize; 3], &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let mut planes = self.resize_with(pictures * COLOURS, [height, width], [SIDE, SIDE], |plane, y, values| {
            row([plane / COLOURS, plane % COLOURS, y], values);
        });
        planes.par_chunks_mut(SIDE).for_each(|values| values.iter_mut().for_each(|v| *v = self.scaled(*v)));
        planes
    }

    /// Planes of `from` rows and columns, one after the other, each resized to `to`: what the network sees, before it is scaled.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a side is 0 or `planes` is no whole number of planes.
    pub fn resize(self, planes: &[f32], from: [usize; 2], to: [usize; 2]) -> Result<Vec<f32>> {
        let [height, width] = from;
        if from.contains(&0) || to.contains(&0) || !planes.len().is_multiple_of(height * width) {
            let message =
                format!("{} values in planes of {from:?} to {to:?}: must be whole planes, no side 0", planes.len());
            return Err(Error::Invalid(message));
        }
        Ok(self.resize_with(planes.len() / (height * width), from, to, |plane, y, row| {
            row.copy_from_slice(&planes[(plane * height + y) * width..][..width]);
        }))
    }

    /// Planes one after the other, each first in its rows and then across them.
    fn resize_with(
        self,
        planes: usize,
        [height, width]: [usize; 2],
        [rows, columns]: [usize; 2],
        row: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let (down, along) = (self.places(height, rows), self.places(width, columns));
        let mut resized = vec![0.0; planes * rows * columns];
        let scratch = || (vec![0.0; width], vec![0.0; height * columns]);
        let each = resized.par_chunks_mut(rows * columns).enumerate();
        each.for_each_init(scratch, |(values, narrow), (plane, resized)| {
            for (y, narrow) in narrow.chunks_exact_mut(columns).enumerate() {
                row(plane, y, values);
                for (out, place) in narrow.iter_mut().zip(&along) {
                    *out = between(values[place.low], values[place.high], place.share);
                }
            }
            for (out, place) in resized.chunks_exact_mut(columns).zip(&down) {
                let [low, high] = [place.low, place.high].map(|y| &narrow[y * columns..(y + 1) * columns]);
                for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                    *out = between(*low, *high, place.share);
                }
            }
        });
        resized
    }
}

#[inline(always)]
fn between(low: f32, high: f32, share: f32) -> f32 {
    low + (high - low) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_by_hand() {
        // Three pixels of two: at 0, 2/3 and 4/3 by the corner, at 1/6 − … by the middle.
        let found = FidConvention::TensorFlow.resize(&[0.0, 30.0], [1, 2], [1, 3]).unwrap();
        for (found, expected) in found.iter().zip([0.0, 20.0, 30.0]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let found = FidConvention::PytorchFid.resize(&[0.0, 30.0], [1, 2], [1, 3]).unwrap();
        for (found, expected) in found.iter().zip([0.0, 15.0, 30.0]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn a_picture_of_the_size_is_only_scaled() {
        let (pictures, sides) = (2, [SIDE, SIDE]);
        let byte =
            |picture: usize, colour: usize, y: usize, x: usize| ((picture * 7 + colour * 31 + y * 3 + x) % 256) as f32;
        for convention in [FidConvention::TensorFlow, FidConvention::PytorchFid] {
            let found = convention.prepare(pictures, sides, |[picture, colour, y], row| {
                row.iter_mut().enumerate().for_each(|(x, v)| *v = byte(picture, colour, y, x));
            });
            let expected = |i: usize| {
                let (plane, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
                convention.scaled(byte(plane / COLOURS, plane % COLOURS, y, x))
            };
            // The product that places a pixel may round it away from its own place.
            assert!(found.iter().enumerate().all(|(i, v)| (v - expected(i)).abs() < 1e-3));
        }
        assert_eq!((FidConvention::TensorFlow.scaled(0.0), FidConvention::PytorchFid.scaled(255.0)), (-1.0, 1.0));
    }
}
