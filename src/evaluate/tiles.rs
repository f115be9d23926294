//! All inner products of two sample sets, one tile at a time: memory is a square of the tile, not of the sets.
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, get_global_parallelism};

/// Vectors of each set in one tile: the products fill half a megabyte, which stays in a core's cache.
const TILE: usize = 256;
/// Running sums kept apart, so that they can be added in one vector instruction.
const LANES: usize = 8;

/// Finite vectors of equal length, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a, T> {
    values: &'a [T],
    dim: usize,
}

impl<'a, T: Copy + Into<f64>> Samples<'a, T> {
    /// Checks that there are at least `least` vectors of `dim` finite values; `name` is for the message.
    pub fn new(name: &str, values: &'a [T], dim: usize, least: usize) -> Result<Self> {
        let count = values.len();
        if dim == 0 || !count.is_multiple_of(dim) || count / dim < least {
            let message = format!("{name} set of {count} values: must hold at least {least} vectors of {dim} each");
            return Err(Error::Invalid(message));
        }
        // The bound keeps squares and cubes of products finite for values given in f64.
        if !values.iter().all(|value| (*value).into().abs() <= f64::from(f32::MAX)) {
            return Err(Error::Invalid(format!("{name} set: every value must be finite and in the range of f32")));
        }
        Ok(Self { values, dim })
    }

    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Subtracting a common centre keeps `|x|² + |y|² − 2 x·y` from cancelling.
    pub fn mean(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dim];
        for row in self.values.chunks_exact(self.dim) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += (*x).into());
        }
        let count = self.count() as f64;
        sums.iter().map(|sum| sum / count).collect()
    }

    /// The vectors with these numbers.
    pub fn select(&self, numbers: &[usize]) -> Vec<T> {
        let dim = self.dim;
        numbers.iter().flat_map(|i| &self.values[i * dim..(i + 1) * dim]).copied().collect()
    }

    fn blocks(&self) -> impl Iterator<Item = &'a [T]> {
        self.values.chunks(TILE * self.dim)
    }

    /// `|x − center|²` of each vector.
    pub fn squares(&self, center: &[f64]) -> Vec<f64> {
        let mut row = Vec::new();
        let square = |values: &[T]| {
            centred(values, center, &mut row);
            sum_of(&row, &row, |x, _| x * x)
        };
        self.values.chunks_exact(self.dim).map(square).collect()
    }
}

/// Inner products of consecutive vectors of two sets, after subtraction of a common centre.
pub(super) struct Tile<'a> {
    /// Number of the first vector of either set.
    pub first: [usize; 2],
    /// `|x|²` of each vector of the first set in the tile.
    pub rows: &'a [f64],
    /// `|y|²` of each vector of the second set in the tile.
    pub columns: &'a [f64],
    /// Whether both are the same vectors of one set; `x·x` then equals `|x|²` exactly.
    pub diagonal: bool,
    products: &'a [f64],
}

impl<'a> Tile<'a> {
    /// The products of all rows with column `j`.
    pub fn column(&self, j: usize) -> &'a [f64] {
        &self.products[j * self.rows.len()..(j + 1) * self.rows.len()]
    }
}

/// Visits the tiles of all pairs of a vector of `a` and one of `b`.
pub(super) fn between<T: Copy + Into<f64>>(
    a: &Samples<T>,
    b: &Samples<T>,
    center: &[f64],
    visit: impl FnMut(&Tile<'_>),
) {
    tiles([a, b], [&a.squares(center), &b.squares(center)], center, false, visit);
}

/// Visits the tiles of all pairs of one set on and above the diagonal: a tile off it stands for its mirror image too.
pub(super) fn within<T: Copy + Into<f64>>(a: &Samples<T>, center: &[f64], visit: impl FnMut(&Tile<'_>)) {
    let squares = a.squares(center);
    tiles([a, a], [&squares, &squares], center, true, visit);
}

fn tiles<T: Copy + Into<f64>>(
    sets: [&Samples<T>; 2],
    squares: [&[f64]; 2],
    center: &[f64],
    same: bool,
    mut visit: impl FnMut(&Tile<'_>),
) {
    let dim = center.len();
    let (mut left, mut right, mut products) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (block, rows)) in sets[0].blocks().zip(squares[0].chunks(TILE)).enumerate() {
        centred(block, center, &mut left);
        let skip = if same { i } else { 0 };
        for (j, (block, columns)) in sets[1].blocks().zip(squares[1].chunks(TILE)).enumerate().skip(skip) {
            centred(block, center, &mut right);
            products.resize(rows.len() * columns.len(), 0.0);
            matmul(
                MatMut::from_column_major_slice_mut(&mut products, rows.len(), columns.len()),
                Accum::Replace,
                MatRef::from_column_major_slice(&left, dim, rows.len()).transpose(),
                MatRef::from_column_major_slice(&right, dim, columns.len()),
                1.0,
                get_global_parallelism(),
            );
            let diagonal = same && i == j;
            if diagonal {
                rows.iter().enumerate().for_each(|(k, square)| products[k * (rows.len() + 1)] = *square);
            }
            visit(&Tile { first: [i * TILE, j * TILE], rows, columns, diagonal, products: &products });
        }
    }
}

fn centred<T: Copy + Into<f64>>(values: &[T], center: &[f64], out: &mut Vec<f64>) {
    out.resize(values.len(), 0.0);
    for (out, row) in out.chunks_exact_mut(center.len()).zip(values.chunks_exact(center.len())) {
        out.iter_mut().zip(row.iter().zip(center)).for_each(|(out, (x, center))| *out = (*x).into() - center);
    }
}

/// `Σ f(a_i, b_i)`, in an order of addition that vectorises.
pub(super) fn sum_of(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for l in 0..LANES {
            lanes[l] += f(a[l], b[l]);
        }
    }
    lanes.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum::<f64>()
}

/// `|x − y|²` from `|x|²`, `|y|²` and `x·y`; rounding may make it slightly negative, which is cut off.
#[inline(always)]
pub(super) fn squared_distance(x: f64, y: f64, product: f64) -> f64 {
    let square = x + y - 2.0 * product;
    if square > 0.0 { square } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * i * i) % 1009) as f32 / 100.0).collect()
    }

    #[test]
    fn every_pair_is_visited_once_with_its_product() {
        let dim = 3;
        let (a, b) = (values(dim * (2 * TILE + 5), 1), values(dim * (TILE - 1), 2));
        let (left, right) = (Samples::new("a", &a, dim, 1).unwrap(), Samples::new("b", &b, dim, 1).unwrap());
        let center = left.mean();
        let product = |a: &[f32], i: usize, b: &[f32], j: usize| -> f64 {
            (0..dim).map(|k| (f64::from(a[i * dim + k]) - center[k]) * (f64::from(b[j * dim + k]) - center[k])).sum()
        };
        let mut seen = vec![0; left.count() * right.count()];
        between(&left, &right, &center, |tile| {
            for j in 0..tile.columns.len() {
                for (i, found) in tile.column(j).iter().enumerate() {
                    let (i, j) = (tile.first[0] + i, tile.first[1] + j);
                    assert!((found - product(&a, i, &b, j)).abs() < 1e-9);
                    seen[i * right.count() + j] += 1;
                }
            }
        });
        assert!(seen.iter().all(|n| *n == 1));
        let mut seen = vec![0; left.count() * left.count()];
        within(&left, &center, |tile| {
            for j in 0..tile.columns.len() {
                for (i, found) in tile.column(j).iter().enumerate() {
                    assert!(!(tile.diagonal && i == j) || *found == tile.rows[i]);
                    let (i, j) = (tile.first[0] + i, tile.first[1] + j);
                    assert!((found - product(&a, i, &a, j)).abs() < 1e-9);
                    seen[i * left.count() + j] += 1;
                    seen[j * left.count() + i] += usize::from(!tile.diagonal);
                }
            }
        });
        assert!(seen.iter().all(|n| *n == 1));
    }
}
