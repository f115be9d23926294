//! Any kernel: the windows of a block as the columns of a matrix, times the weights.
use super::blocks::{Cells, blocks, copy_window, shared};
use super::geometry::Geometry;
use crate::ops::slices;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Numbers of windows and results that a task holds: 2 MiB.
const HELD: usize = 1 << 19;

/// The result for an image `x`, `weight` and `bias`.
pub(super) fn convolved(x: &[f32], weight: &[f32], bias: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (depth, outputs) = (geometry.depth(), geometry.outputs);
    let cells = Cells::new(geometry, 1);
    let most = HELD / (depth + outputs);
    let largest = cells.largest(most);
    let weight = MatRef::from_row_major_slice(weight, outputs, depth);
    let mut result = slices::cleared(geometry.result_shape().into_iter().product());
    let blocks = blocks(&mut result, geometry, cells, most);
    let scratch = || [depth, outputs].map(|rows| vec![0.0; rows * largest]);
    shared(blocks, scratch, |[windows, products], block| {
        let count = block.cells();
        let (windows, products) = (&mut windows[..depth * count], &mut products[..outputs * count]);
        for (i, row) in windows.chunks_exact_mut(count).enumerate() {
            let [v, u] = [i / geometry.kernel[1] % geometry.kernel[0], i % geometry.kernel[1]];
            let channel = i / (geometry.kernel[0] * geometry.kernel[1]);
            for (places, cell) in row.chunks_exact_mut(block.columns.len()).zip(block.rows.clone()) {
                let (sample, y) = (cell / cells.down, cell % cells.down);
                let y = (y * geometry.stride[0] + v) as isize - geometry.before[0] as isize;
                let x0 = (block.columns.start * geometry.stride[1] + u) as isize - geometry.before[1] as isize;
                copy_steps(places, geometry.row(x, sample, channel, y), x0, geometry.stride[1]);
            }
        }
        let windows = MatRef::from_row_major_slice(windows, depth, count);
        let to = MatMut::from_row_major_slice_mut(products, outputs, count);
        matmul(to, Accum::Replace, weight, windows, 1.0, Par::Seq);
        for ((products, pieces), bias) in products.chunks_exact(count).zip(block.pieces).zip(bias) {
            for (piece, products) in pieces.into_iter().zip(products.chunks_exact(block.columns.len())) {
                piece.iter_mut().zip(products).for_each(|(y, product)| *y = product + bias);
            }
        }
    });
    result
}

/// Every `step`-th number of a row from `from` on; zeros outside, and everywhere without a row.
fn copy_steps(places: &mut [f32], row: Option<&[f32]>, from: isize, step: usize) {
    let Some(row) = row.filter(|_| step > 1) else {
        copy_window(places, row, from);
        return;
    };
    // The first place that lies inside, and the first behind.
    let place = |at: isize| (at - from).max(0).unsigned_abs().div_ceil(step).min(places.len());
    let (start, end) = (place(0), place(row.len() as isize));
    places[..start].fill(0.0);
    places[end..].fill(0.0);
    let inside = row.iter().skip((from + (start * step) as isize).max(0).unsigned_abs()).step_by(step);
    places[start..end].iter_mut().zip(inside).for_each(|(place, number)| *place = *number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_and_end_outside() {
        let row = [1.0, 2.0, 3.0, 4.0, 5.0];
        for (from, step, expected) in [
            (-1, 2, [0.0, 2.0, 4.0, 0.0]),
            (0, 2, [1.0, 3.0, 5.0, 0.0]),
            (-5, 3, [0.0, 0.0, 2.0, 5.0]),
            (-99, 2, [0.0; 4]),
            (5, 2, [0.0; 4]),
            (3, 2, [4.0, 0.0, 0.0, 0.0]),
            (1, 1, [2.0, 3.0, 4.0, 5.0]),
        ] {
            let mut places = [9.0; 4];
            copy_steps(&mut places, Some(&row), from, step);
            assert_eq!(places, expected, "{from} {step}");
            copy_steps(&mut places, None, from, step);
            assert_eq!(places, [0.0; 4]);
        }
    }
}
