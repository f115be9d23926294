//! Rotary positions of a square grid: pairs of features turn by the row, then by the column, times 10000^(−2k/half).
use crate::models::layers::WeightInit;
use crate::ops;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Cosines and sines `[tokens, head]` of the angles; fixed, and part of official checkpoints.
///
/// A head of `head` features has `half = head / 2` for the row and as many for the column. Frequency k of
/// `half / 2` belongs to features 2k and 2k + 1 of its half.
#[derive(Module, Debug)]
pub struct Rope {
    freqs_cos: Param<Tensor<2>>,
    freqs_sin: Param<Tensor<2>>,
}

impl Rope {
    /// The table of a `grid` by `grid` image, row-major, for heads of `head` features; `head` is a multiple of 4.
    pub fn new(head: usize, grid: usize, init: &WeightInit) -> Self {
        let shape = [grid * grid, head];
        let angles = angles(head, grid);
        let table = |f: fn(f64) -> f64| init.constant(angles.iter().map(|a| f(*a) as f32).collect(), shape).no_grad();
        Self { freqs_cos: table(f64::cos), freqs_sin: table(f64::sin) }
    }

    /// Turns the features of `x` `[batch, heads, tokens, head]`: (a, b) to (a cos − b sin, b cos + a sin).
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        ops::rotate(x.swap_dims(1, 2), self.freqs_cos.val(), self.freqs_sin.val()).swap_dims(1, 2)
    }
}

/// The angle of each feature of each token, `[grid * grid, head]`.
fn angles(head: usize, grid: usize) -> Vec<f64> {
    let half = head / 2;
    let rate = |feature: usize| 10_000f64.powf(-((feature / 2 * 2) as f64) / half as f64);
    let mut values = Vec::with_capacity(grid * grid * head);
    for token in 0..grid * grid {
        for position in [token / grid, token % grid] {
            values.extend((0..half).map(|feature| position as f64 * rate(feature)));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};
    use burn::tensor::Device;

    #[test]
    fn scores_depend_on_the_offset_between_tokens_alone() {
        let device = Device::flex();
        let (head, grid) = (8, 3);
        let rope = Rope::new(head, grid, &WeightInit::new(0, &device));
        let same = |x: Tensor<4>| x.expand([1, 1, grid * grid, head]);
        let drawn = |seed| normal(&SampleKey::batch(seed, 0, 1), Purpose::Data, &[1, 1, head]);
        let [q, k] = [0, 1].map(|seed| rope.rotate(same(Tensor::from_data(drawn(seed), &device))));
        let scores = q.matmul(k.transpose()).into_data().try_to_vec::<f32>().unwrap();
        let score = |q: usize, k: usize| scores[q * grid * grid + k];
        // One row down and one column right, from two places.
        assert!((score(0, 4) - score(4, 8)).abs() < 1e-4);
        assert!((score(1, 3) - score(5, 7)).abs() < 1e-4);
        assert!((score(0, 4) - score(4, 0)).abs() > 1e-3);
    }
}
