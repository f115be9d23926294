//! a b, in tiles of the result that all cores share, each finished while it is in the caches.
//!
//! Burn's product clears its result, copies it to where it is aligned, and lets all cores work on one product in step.
//! Tiles need no step: each is a product of its own on one core. Where they are cut depends on the sizes alone, so the
//! bits do not depend on the number of threads.
use super::slices;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows and columns of the largest tile: what it reads stays in the L2 cache.
const MOST: [usize; 2] = [512, 384];
/// Tiles that a large product has at least.
const SHARED_BY: usize = 8;
/// Multiplications and additions that are worth a tile.
const WORTH: usize = 1 << 22;
/// Tiles end at multiples of so many rows or columns, where vectors end too.
const STEP: usize = 16;

/// A side in so many equal tiles, but for the last.
#[derive(Clone, Copy)]
struct Cut {
    side: usize,
    tile: usize,
}

impl Cut {
    fn new(side: usize, most: usize) -> Self {
        Self { side, tile: side }.into_parts(side.div_ceil(most))
    }

    fn into_parts(self, parts: usize) -> Self {
        let tile = self.side.div_ceil(parts.max(1)).next_multiple_of(STEP);
        Self { tile: tile.min(self.side), ..self }
    }

    fn parts(self) -> usize {
        self.side.div_ceil(self.tile)
    }

    fn halved(self) -> Self {
        self.into_parts(2 * self.parts())
    }
}

/// How a result of `rows` × `columns` is cut whose every number is a sum of `depth` products.
fn cuts(rows: usize, columns: usize, depth: usize) -> [Cut; 2] {
    let mut cuts = [Cut::new(rows, MOST[0]), Cut::new(columns, MOST[1])];
    loop {
        let tiles = cuts[0].parts() * cuts[1].parts();
        if tiles >= SHARED_BY || rows * columns * depth / tiles <= WORTH {
            return cuts;
        }
        let longer = usize::from(cuts[1].tile > cuts[0].tile);
        let next = cuts[longer].halved();
        if next.tile == cuts[longer].tile {
            return cuts;
        }
        cuts[longer] = next;
    }
}

/// `a` `b`, row after row. No side is 0.
///
/// `finish` changes the part of a row that a tile has, given the row and the column at which it begins.
pub(super) fn product(
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    finish: impl Fn([usize; 2], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut result = slices::cleared(a.nrows() * b.ncols());
    product_over(&mut result, a, b, finish);
    result
}

/// The same over whatever `result` holds.
pub(super) fn product_over(
    result: &mut [f32],
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    finish: impl Fn([usize; 2], &mut [f32]) + Sync,
) {
    let (rows, columns) = (a.nrows(), b.ncols());
    let [down, across] = cuts(rows, columns, a.ncols());
    let mut tiles = Vec::with_capacity(down.parts() * across.parts());
    let mut below = MatMut::from_row_major_slice_mut(result, rows, columns);
    for row in (0..rows).step_by(down.tile) {
        let (mut band, rest) = below.split_at_row_mut(down.tile.min(rows - row));
        below = rest;
        for column in (0..columns).step_by(across.tile) {
            let (tile, rest) = band.split_at_col_mut(across.tile.min(columns - column));
            band = rest;
            tiles.push((row, column, tile));
        }
    }
    let one = |(row, column, mut tile): (usize, usize, MatMut<'_, f32>)| {
        let (a, b) = (a.subrows(row, tile.nrows()), b.subcols(column, tile.ncols()));
        matmul(tile.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
        for i in 0..tile.nrows() {
            let numbers = tile.as_mut().row_mut(i).try_as_row_major_mut().expect("rows lie side by side");
            finish([row + i, column], numbers.as_slice_mut());
        }
    };
    match tiles.len() {
        1 => tiles.into_iter().for_each(one),
        _ => tiles.into_par_iter().with_max_len(1).for_each(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * 7919 % 101) as f32 / 50.0 - 1.0).collect()
    }

    #[test]
    fn tiles_are_those_that_were_measured() {
        let tile = |rows, columns, depth| cuts(rows, columns, depth).map(|cut| cut.tile);
        assert_eq!(tile(2048, 1536, 384), [512, 384]);
        assert_eq!(tile(1024, 384, 128), [256, 192]);
        assert_eq!(tile(128, 192, 256), [128, 96]);
        assert_eq!(tile(8, 2304, 384), [8, 384]);
        assert_eq!(tile(1, 1, 1), [1, 1]);
    }

    #[test]
    fn is_the_sum_of_products_wherever_tiles_end() {
        for (rows, columns, depth) in [(1, 1, 1), (3, 5, 2), (700, 33, 17), (17, 900, 5), (600, 401, 40), (1, 400, 3)] {
            let (a, b) = (numbers(rows * depth), numbers(depth * columns));
            let left = MatRef::from_row_major_slice(&a, rows, depth);
            for turned in [false, true] {
                let right = match turned {
                    true => MatRef::from_row_major_slice(&b, columns, depth).transpose(),
                    false => MatRef::from_row_major_slice(&b, depth, columns),
                };
                let found = product(left, right, |[row, column], numbers| {
                    numbers.iter_mut().enumerate().for_each(|(i, y)| *y += (row + column + i) as f32);
                });
                for (i, row) in found.chunks(columns).enumerate() {
                    for (j, y) in row.iter().enumerate() {
                        let exact: f32 = (0..depth).map(|k| left[(i, k)] * right[(k, j)]).sum();
                        let exact = exact + (i + j) as f32;
                        assert!((exact - y).abs() < 1e-4 * (1.0 + (i + j) as f32), "{i} {j}: {y}");
                    }
                }
            }
        }
    }
}
