//! Kernels of 3 × 3 that step by one: 2 × 2 results of a window of 4 × 4 with 16 multiplications instead of 36.
//!
//! y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A for a kernel g and a window d (Winograd 1980; Lavin and Gray, arXiv 1509.09308), with
//! Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1], G = [1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1], Aᵀ = [1 1 1 0; 0 1 −1 −1].
//! Summed over channels, each of the 16 places is a product of matrices: weights `[outputs, inputs]` times windows
//! `[inputs, cells]`. All factors are 1 and ½, so it rounds about as the sum itself does.
use super::blocks::{Block, Cells, blocks, copy_window, shared};
use super::geometry::Geometry;
use crate::ops::slices;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd, as_arrays, as_arrays_mut};
use rayon::prelude::*;

/// Places of a transformed window.
const PLACES: usize = 16;
/// Cells in a block: with 512 channels in and out a task holds 12 MiB of transformed numbers, with 128 it holds 3.
const MOST: usize = 192;
/// Cells are padded to multiples of the widest vector.
const LANES: usize = 16;

/// The result for an image `x`, `weight` and `bias`.
pub(super) fn convolved(x: &[f32], weight: &[f32], bias: &[f32], geometry: &Geometry) -> Vec<f32> {
    let arch = Arch::new();
    let (inputs, outputs) = (geometry.inputs, geometry.outputs);
    let weight = transformed(weight, geometry);
    let cells = Cells::new(geometry, 2);
    let mut result = slices::cleared(geometry.result_shape().into_iter().product());
    let blocks = blocks(&mut result, geometry, cells, MOST);
    let scratch = || Scratch::new(geometry, cells.largest(MOST).next_multiple_of(LANES));
    shared(blocks, scratch, |scratch, block| {
        let count = block.cells();
        let Scratch { rows, windows, products, width } = scratch;
        for channel in 0..inputs {
            gather(rows, x, channel, geometry, cells, &block);
            arch.dispatch(Windows { rows, windows: of_channel(windows, channel, inputs, *width) });
        }
        // Within a vector cells are not in order: those of the last one may lie anywhere in it.
        let whole = count.next_multiple_of(LANES);
        let all = windows.chunks_exact(inputs * *width).zip(products.chunks_exact_mut(outputs * *width));
        for ((windows, products), weight) in all.zip(weight.chunks_exact(outputs * inputs)) {
            let windows = MatRef::from_row_major_slice_with_stride(windows, inputs, whole, *width);
            // faer's own constructor of rows with a stride, `from_row_major_slice_with_stride_mut`, gives columns in 0.24.4.
            let to = MatMut::from_column_major_slice_with_stride_mut(products, whole, outputs, *width).transpose_mut();
            let weight = MatRef::from_row_major_slice(weight, outputs, inputs);
            matmul(to, Accum::Replace, weight, windows, 1.0, Par::Seq);
        }
        for (channel, pieces) in block.pieces.into_iter().enumerate() {
            let [above, below, ..] = rows;
            let products = products.chunks_exact(outputs * *width).map(|place| &place[channel * *width..][..*width]);
            let products = array(products);
            arch.dispatch(Results { products, bias: bias[channel], rows: [above, below] });
            let columns = 2 * block.columns.len();
            let mut pieces = pieces.into_iter();
            for (i, cell) in block.rows.clone().enumerate() {
                let last = 2 * (cell % cells.down) + 1 == geometry.result[0];
                for row in [&*above, &*below].into_iter().take(2 - usize::from(last)) {
                    let piece = pieces.next().expect("a piece for every row");
                    piece.copy_from_slice(&row[i * columns..][..piece.len()]);
                }
            }
        }
    });
    result
}

/// What one task works in.
struct Scratch {
    /// Four rows of the windows of a block from their first column on, and four from their third; later two rows of results.
    rows: [Vec<f32>; 8],
    /// `[place, input, cell]`.
    windows: Vec<f32>,
    /// `[place, output, cell]`.
    products: Vec<f32>,
    /// Cells of the largest block, padded.
    width: usize,
}

impl Scratch {
    fn new(geometry: &Geometry, width: usize) -> Self {
        Self {
            rows: std::array::from_fn(|_| vec![0.0; 2 * width]),
            windows: vec![0.0; PLACES * geometry.inputs * width],
            products: vec![0.0; PLACES * geometry.outputs * width],
            width,
        }
    }
}

fn array<T, const N: usize>(mut items: impl Iterator<Item = T>) -> [T; N] {
    std::array::from_fn(|_| items.next().expect("as many"))
}

/// The numbers of a channel at every place.
fn of_channel(places: &mut [f32], channel: usize, channels: usize, width: usize) -> [&mut [f32]; PLACES] {
    array(places.chunks_exact_mut(channels * width).map(|place| &mut place[channel * width..][..width]))
}

/// Puts the rows of the windows of one channel side by side: pairs of columns 0 and 1 of each, and pairs of 2 and 3.
fn gather(rows: &mut [Vec<f32>; 8], x: &[f32], channel: usize, geometry: &Geometry, cells: Cells, block: &Block<'_>) {
    let columns = 2 * block.columns.len();
    let x0 = (2 * block.columns.start) as isize - geometry.before[1] as isize;
    for (i, places) in rows.iter_mut().enumerate() {
        let from = x0 + if i < 4 { 0 } else { 2 };
        for (places, cell) in places.chunks_exact_mut(columns).zip(block.rows.clone()) {
            let (sample, cell) = (cell / cells.down, cell % cells.down);
            let y = (2 * cell + i % 4) as isize - geometry.before[0] as isize;
            copy_window(places, geometry.row(x, sample, channel, y), from);
        }
    }
}

/// Bᵀ d B of all windows of a channel. Within a vector cells are in the order that taking pairs apart leaves them in.
struct Windows<'a> {
    rows: &'a [Vec<f32>; 8],
    windows: [&'a mut [f32]; PLACES],
}

impl WithSimd for Windows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let rows = self.rows.each_ref().map(|row| as_arrays::<2, _>(S::as_simd_f32s(row).0).0);
        let mut windows = self.windows.into_iter().map(|window| S::as_mut_simd_f32s(window).0);
        for (one, other, is_sum) in [(0, 2, false), (1, 2, true), (2, 1, false), (1, 3, false)] {
            let [w0, w1, w2, w3] = array(&mut windows);
            let near = rows[one].iter().zip(rows[other]);
            let far = rows[4 + one].iter().zip(rows[4 + other]);
            let to = w0.iter_mut().zip(w1).zip(w2.iter_mut().zip(w3));
            for (((x, y), (z, w)), ((w0, w1), (w2, w3))) in near.zip(far).zip(to) {
                let ([d0, d1], [d2, d3]) = (columns(s, is_sum, *x, *y), columns(s, is_sum, *z, *w));
                *w0 = s.sub_f32s(d0, d2);
                *w1 = s.add_f32s(d1, d2);
                *w2 = s.sub_f32s(d2, d1);
                *w3 = s.sub_f32s(d1, d3);
            }
        }
    }
}

/// Two neighbouring columns of x + y or x − y.
#[inline(always)]
fn columns<S: Simd>(s: S, is_sum: bool, x: [S::f32s; 2], y: [S::f32s; 2]) -> [S::f32s; 2] {
    let both = match is_sum {
        true => [s.add_f32s(x[0], y[0]), s.add_f32s(x[1], y[1])],
        false => [s.sub_f32s(x[0], y[0]), s.sub_f32s(x[1], y[1])],
    };
    s.deinterleave_shfl_f32s(both)
}

/// Aᵀ m A + b of the products of a channel: the rows of results above and below, cells side by side.
struct Results<'a> {
    products: [&'a [f32]; PLACES],
    bias: f32,
    rows: [&'a mut [f32]; 2],
}

impl WithSimd for Results<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let m = self.products.map(|place| S::as_simd_f32s(place).0);
        let [above, below] = self.rows.map(|row| as_arrays_mut::<2, _>(S::as_mut_simd_f32s(row).0).0);
        let bias = s.splat_f32s(self.bias);
        for (i, (above, below)) in above.iter_mut().zip(below).enumerate() {
            let [a, e] = shorter(s, [m[0][i], m[4][i], m[8][i], m[12][i]]);
            let [b, f] = shorter(s, [m[1][i], m[5][i], m[9][i], m[13][i]]);
            let [c, g] = shorter(s, [m[2][i], m[6][i], m[10][i], m[14][i]]);
            let [d, h] = shorter(s, [m[3][i], m[7][i], m[11][i], m[15][i]]);
            let ([y0, y1], [y2, y3]) = (shorter(s, [a, b, c, d]), shorter(s, [e, f, g, h]));
            *above = s.interleave_shfl_f32s([s.add_f32s(y0, bias), s.add_f32s(y1, bias)]);
            *below = s.interleave_shfl_f32s([s.add_f32s(y2, bias), s.add_f32s(y3, bias)]);
        }
    }
}

/// Aᵀ times four numbers.
#[inline(always)]
fn shorter<S: Simd>(s: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    [s.add_f32s(a, s.add_f32s(b, c)), s.sub_f32s(s.sub_f32s(b, c), d)]
}

/// G g Gᵀ of all kernels, `[place, output, input]`.
fn transformed(weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let arch = Arch::new();
    let (inputs, outputs) = (geometry.inputs, geometry.outputs);
    let mut places = slices::cleared(PLACES * outputs * inputs);
    let mut rows: Vec<_> =
        places.chunks_exact_mut(outputs * inputs).map(|place| place.chunks_exact_mut(inputs)).collect();
    let rows: Vec<[&mut [f32]; PLACES]> =
        (0..outputs).map(|_| array(rows.iter_mut().filter_map(Iterator::next))).collect();
    let all = rows.into_par_iter().zip(weight.par_chunks_exact(9 * inputs)).with_min_len(slices::worth(9 * inputs));
    all.for_each_init(
        || vec![0.0; 9 * inputs],
        |turned, (to, kernels)| {
            for (i, kernel) in kernels.as_chunks::<9>().0.iter().enumerate() {
                for (number, row) in kernel.iter().zip(turned.chunks_exact_mut(inputs)) {
                    row[i] = *number;
                }
            }
            arch.dispatch(Kernels { kernels: array(turned.chunks_exact(inputs)), to });
        },
    );
    places
}

/// G g Gᵀ of kernels whose numbers of one place stand side by side.
struct Kernels<'a> {
    kernels: [&'a [f32]; 9],
    to: [&'a mut [f32]; PLACES],
}

impl WithSimd for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { kernels: g, to } = self;
        for at in (0..g[0].len()).step_by(S::F32_LANES) {
            let end = g[0].len().min(at + S::F32_LANES);
            let x = longer(s, [number(s, g[0], at), number(s, g[3], at), number(s, g[6], at)]);
            let y = longer(s, [number(s, g[1], at), number(s, g[4], at), number(s, g[7], at)]);
            let z = longer(s, [number(s, g[2], at), number(s, g[5], at), number(s, g[8], at)]);
            for row in 0..4 {
                for (column, u) in longer(s, [x[row], y[row], z[row]]).into_iter().enumerate() {
                    s.partial_store_f32s(&mut to[4 * row + column][at..end], u);
                }
            }
        }
    }
}

/// As many numbers from `at` on as a vector has, or as there are.
#[inline(always)]
fn number<S: Simd>(s: S, row: &[f32], at: usize) -> S::f32s {
    s.partial_load_f32s(&row[at..row.len().min(at + S::F32_LANES)])
}

/// G times three numbers.
#[inline(always)]
fn longer<S: Simd>(s: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = s.splat_f32s(0.5);
    let (outer, middle) = (s.mul_f32s(half, s.add_f32s(a, c)), s.mul_f32s(half, b));
    [a, s.add_f32s(outer, middle), s.sub_f32s(outer, middle), c]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::windows;
    use burn::tensor::ops::ConvOptions;

    /// A few thousand numbers in [-1, 1) that repeat nowhere near.
    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + salt * 104_729) % 8191) as f32 / 4095.5 - 1.0).collect()
    }

    /// For every number of cells in the last vector; what is worked in held numbers before.
    #[test]
    fn any_number_of_cells_gives_what_windows_give() {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let (weight, bias) = (numbers(9 * 8 * 9, 1), numbers(9, 2));
        for width in 2..=70 {
            let geometry = Geometry::of([2, 8, 5, width], [9, 8, 3, 3], &options).unwrap();
            let x = numbers(2 * 8 * 5 * width, width);
            let found = convolved(&x, &weight, &bias, &geometry);
            let expected = windows::convolved(&x, &weight, &bias, &geometry);
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!((a - b).abs() <= 2e-5, "{width}, {i}: {a} and {b}");
            }
        }
    }
}
