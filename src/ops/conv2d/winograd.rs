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
/// Transformed numbers that a task holds: 8 MiB.
const HELD: usize = 1 << 21;
/// Cells are padded to multiples of the widest vector.
const LANES: usize = 16;

/// The result for an image `x`, `weight` and `bias`.
pub(super) fn convolved(x: &[f32], weight: &[f32], bias: &[f32], geometry: &Geometry) -> Vec<f32> {
    let arch = Arch::new();
    let (inputs, outputs) = (geometry.inputs, geometry.outputs);
    let weight = transformed(weight, geometry);
    let cells = Cells::new(geometry, 2);
    let most = HELD / (PLACES * (inputs + outputs));
    let mut result = slices::cleared(geometry.result_shape().into_iter().product());
    let blocks = blocks(&mut result, geometry, cells, most);
    let scratch = || Scratch::new(geometry, cells.largest(most).next_multiple_of(LANES));
    shared(blocks, scratch, |scratch, block| {
        let count = block.cells();
        let Scratch { rows, windows, products, width } = scratch;
        for channel in 0..inputs {
            gather(rows, x, channel, geometry, cells, &block);
            arch.dispatch(Windows { rows, windows: of_channel(windows, channel, inputs, *width) });
        }
        let all = windows.chunks_exact(inputs * *width).zip(products.chunks_exact_mut(outputs * *width));
        for ((windows, products), weight) in all.zip(weight.chunks_exact(outputs * inputs)) {
            let windows = MatRef::from_row_major_slice_with_stride(windows, inputs, count, *width);
            let to = MatMut::from_row_major_slice_with_stride_mut(products, outputs, count, *width);
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
        let [a, b, c, d] = array::<[&mut [f32]; 4], 4>(fours(self.windows));
        for (windows, [one, other], is_sum) in
            [(a, [0, 2], false), (b, [1, 2], true), (c, [2, 1], false), (d, [1, 3], false)]
        {
            let [w0, w1, w2, w3] = windows.map(|window| S::as_mut_simd_f32s(window).0);
            let both = #[inline(always)]
            |x: S::f32s, y: S::f32s| if is_sum { s.add_f32s(x, y) } else { s.sub_f32s(x, y) };
            let near = rows[one].iter().zip(rows[other]);
            let far = rows[4 + one].iter().zip(rows[4 + other]);
            let windows = w0.iter_mut().zip(w1).zip(w2.iter_mut().zip(w3));
            for ((near, far), ((w0, w1), (w2, w3))) in near.zip(far).zip(windows) {
                let pair = #[inline(always)]
                |(x, y): (&[S::f32s; 2], &[S::f32s; 2])| {
                    s.deinterleave_shfl_f32s([both(x[0], y[0]), both(x[1], y[1])])
                };
                let ([d0, d1], [d2, d3]) = (pair(near), pair(far));
                *w0 = s.sub_f32s(d0, d2);
                *w1 = s.add_f32s(d1, d2);
                *w2 = s.sub_f32s(d2, d1);
                *w3 = s.sub_f32s(d1, d3);
            }
        }
    }
}

fn fours<T>(items: [T; PLACES]) -> impl Iterator<Item = [T; 4]> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || Some([items.next()?, items.next()?, items.next()?, items.next()?]))
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
        let products = self.products.map(|place| S::as_simd_f32s(place).0);
        let [above, below] = self.rows.map(|row| as_arrays_mut::<2, _>(S::as_mut_simd_f32s(row).0).0);
        let bias = s.splat_f32s(self.bias);
        let sum = #[inline(always)]
        |x, y, z| s.add_f32s(s.add_f32s(x, y), z);
        let rest = #[inline(always)]
        |x, y, z| s.sub_f32s(s.sub_f32s(x, y), z);
        for (i, (above, below)) in above.iter_mut().zip(below).enumerate() {
            let m: [[S::f32s; 4]; 4] = std::array::from_fn(
                #[inline(always)]
                |row| std::array::from_fn(
                    #[inline(always)]
                    |column| products[4 * row + column][i]),
            );
            let upper: [S::f32s; 4] = std::array::from_fn(
                #[inline(always)]
                |j| sum(m[0][j], m[1][j], m[2][j]),
            );
            let lower: [S::f32s; 4] = std::array::from_fn(
                #[inline(always)]
                |j| rest(m[1][j], m[2][j], m[3][j]),
            );
            for (row, [y0, y1, y2, y3]) in [(above, upper), (below, lower)] {
                let pair = [s.add_f32s(sum(y0, y1, y2), bias), s.add_f32s(rest(y1, y2, y3), bias)];
                *row = s.interleave_shfl_f32s(pair);
            }
        }
    }
}

/// G g Gᵀ of all kernels, `[place, output, input]`.
fn transformed(weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (inputs, outputs) = (geometry.inputs, geometry.outputs);
    let mut places = slices::cleared(PLACES * outputs * inputs);
    let mut rows: Vec<_> = places.chunks_exact_mut(outputs * inputs).map(|place| place.chunks_exact_mut(inputs)).collect();
    let rows: Vec<[&mut [f32]; PLACES]> = (0..outputs).map(|_| array(rows.iter_mut().filter_map(Iterator::next))).collect();
    let kernels = weight.par_chunks_exact(9 * inputs);
    rows.into_par_iter().zip(kernels).with_min_len(slices::worth(9 * inputs)).for_each(|(mut rows, kernels)| {
        for (i, kernel) in kernels.as_chunks::<9>().0.iter().enumerate() {
            for (row, number) in rows.iter_mut().zip(of_kernel(kernel).as_flattened()) {
                row[i] = *number;
            }
        }
    });
    places
}

/// G g Gᵀ of one kernel.
fn of_kernel([a, b, c, d, e, f, g, h, i]: &[f32; 9]) -> [[f32; 4]; 4] {
    let [x, y, z] = [[a, d, g], [b, e, h], [c, f, i]].map(|column| longer(column.map(|number| *number)));
    std::array::from_fn(|row| longer([x[row], y[row], z[row]]))
}

/// G times three numbers.
fn longer([a, b, c]: [f32; 3]) -> [f32; 4] {
    let (outer, middle) = (0.5 * (a + c), 0.5 * b);
    [a, outer + middle, outer - middle, c]
}
