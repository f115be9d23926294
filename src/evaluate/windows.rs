//! The mean of relu(w ∗ image) for many filters on a CPU: each core takes an image at a time, and multiplies all filters with
//! windows that stay in its caches.
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Windows that are put side by side at a time, about.
const WINDOWS: usize = 256;
/// Numbers that are added at a time.
const LANES: usize = 8;

/// Filters of `size` × `size` over all channels.
pub(super) struct Filters<'a> {
    /// `[filters, row × column × channel]`.
    pub values: &'a [f32],
    pub size: usize,
}

impl Filters<'_> {
    /// `[images, filters]` for `images` of `[channels, height, width]`, each side at least `size`.
    pub fn mean_responses(&self, images: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f32> {
        let depth = channels * self.size * self.size;
        let count = self.values.len() / depth;
        let (rows, columns) = (height + 1 - self.size, width + 1 - self.size);
        let together = (WINDOWS / columns).clamp(1, rows);
        let filters = MatRef::from_row_major_slice(self.values, count, depth);
        let scratch = || (vec![0.0; depth * together * columns], vec![0.0; count * together * columns]);
        let mut features = vec![0.0; images.len() / (channels * height * width) * count];
        let each = features.par_chunks_mut(count).zip(images.par_chunks(channels * height * width));
        each.for_each_init(scratch, |(windows, responses), (sums, image)| {
            for top in (0..rows).step_by(together) {
                let lines = together.min(rows - top);
                let places = lines * columns;
                for (i, windows) in windows[..depth * places].chunks_exact_mut(places).enumerate() {
                    let (place, channel) = (i / channels, i % channels);
                    let (down, right) = (top + place / self.size, place % self.size);
                    for (line, windows) in windows.chunks_exact_mut(columns).enumerate() {
                        let start = (channel * height + down + line) * width + right;
                        windows.copy_from_slice(&image[start..start + columns]);
                    }
                }
                let windows = MatRef::from_row_major_slice(&windows[..depth * places], depth, places);
                let responses = &mut responses[..count * places];
                let product = MatMut::from_row_major_slice_mut(&mut *responses, count, places);
                matmul(product, Accum::Replace, filters, windows, 1.0, Par::Seq);
                for (sum, responses) in sums.iter_mut().zip(responses.chunks_exact(places)) {
                    *sum += positive(responses);
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= (rows * columns) as f32);
        });
        features
    }
}

/// The sum of what is positive.
fn positive(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.max(0.0);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value.max(0.0)).sum::<f32>()
}
