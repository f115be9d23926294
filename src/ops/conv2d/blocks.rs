//! The result of a convolution in blocks of neighbouring places, each with the pieces of memory that it fills, and the cores
//! that share them.
use super::geometry::Geometry;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;

/// Blocks that a large result has at least.
const SHARED_BY: usize = 8;
/// Numbers side by side that a product keeps in registers on AVX2; with AVX-512 they are four times as many.
const REGISTERS: usize = 24;
/// Columns of a block: rows are better taken together, of which a product needs three for whole registers where
/// columns are a power of two.
const WIDEST: usize = 128;
/// Cells in a block from which products are fast.
const FEWEST: usize = 2 * REGISTERS;

/// Squares of `side` × `side` places of the result, the last ones of a row or column perhaps cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    pub side: usize,
    /// Rows of cells in one sample.
    pub down: usize,
    /// Cells in a row.
    pub across: usize,
    /// Rows of cells in all samples.
    pub rows: usize,
}

impl Cells {
    pub fn new(geometry: &Geometry, side: usize) -> Self {
        let [down, across] = geometry.result.map(|places| places.div_ceil(side));
        Self { side, down, across, rows: geometry.batch * down }
    }

    /// Rows and columns of cells in a block of at most about `most` cells, fewer where few would share the work.
    fn of_block(self, most: usize) -> [usize; 2] {
        let most = most.min((self.rows * self.across).div_ceil(SHARED_BY)).max(FEWEST);
        let columns = self.across.div_ceil(self.across.div_ceil(most.min(WIDEST / self.side)));
        let unused = |rows: &usize| (rows * columns).next_multiple_of(REGISTERS) as f64 / (rows * columns) as f64;
        let rows = (1..=(most / columns).clamp(1, self.rows)).rev().min_by(|a, b| unused(a).total_cmp(&unused(b)));
        [rows.unwrap_or(1), columns]
    }

    /// Cells in the largest block of [`blocks`].
    pub fn largest(self, most: usize) -> usize {
        self.of_block(most).into_iter().product()
    }
}

/// Some cells of all channels of the result.
pub(super) struct Block<'a> {
    /// Rows of cells, counted through all samples.
    pub rows: Range<usize>,
    /// Columns of cells.
    pub columns: Range<usize>,
    /// For each channel the pieces of rows that these cells cover, from above.
    pub pieces: Vec<Vec<&'a mut [f32]>>,
}

impl Block<'_> {
    pub fn cells(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

/// All of `result` in blocks. Where they are cut depends on the sizes alone.
pub(super) fn blocks<'a>(result: &'a mut [f32], geometry: &Geometry, cells: Cells, most: usize) -> Vec<Block<'a>> {
    let [down, across] = cells.of_block(most);
    let parts = cells.across.div_ceil(across);
    let ranges = |side: usize, step: usize| (0..side).step_by(step).map(move |from| from..side.min(from + step));
    let mut all: Vec<Block<'_>> = Vec::new();
    for rows in ranges(cells.rows, down) {
        for columns in ranges(cells.across, across) {
            let pieces = (0..geometry.outputs).map(|_| Vec::with_capacity(rows.len() * cells.side)).collect();
            all.push(Block { rows: rows.clone(), columns, pieces });
        }
    }
    let [height, width] = geometry.result;
    for (plane, numbers) in result.chunks_exact_mut(height * width).enumerate() {
        let (sample, channel) = (plane / geometry.outputs, plane % geometry.outputs);
        for (y, row) in numbers.chunks_exact_mut(width).enumerate() {
            let first = (sample * cells.down + y / cells.side) / down * parts;
            for (part, piece) in row.chunks_mut(across * cells.side).enumerate() {
                all[first + part].pieces[channel].push(piece);
            }
        }
    }
    all
}

/// Does `work` on all blocks, on all cores, each with its own `scratch`.
pub(super) fn shared<S>(
    blocks: Vec<Block<'_>>,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Block<'_>) + Sync,
) {
    let workers = rayon::current_num_threads().min(blocks.len());
    let queue = Mutex::new(blocks.into_iter());
    let next = || queue.lock().expect("no worker panics while it takes a block").next();
    (0..workers).into_par_iter().with_max_len(1).for_each(|_| {
        let mut own = None;
        while let Some(block) = next() {
            work(own.get_or_insert_with(&scratch), block);
        }
    });
}

/// `places` numbers of a row from `from` on, which may begin or end outside; zeros outside, and everywhere without a row.
pub(super) fn copy_window(places: &mut [f32], row: Option<&[f32]>, from: isize) {
    let Some(row) = row else {
        places.fill(0.0);
        return;
    };
    let count = places.len() as isize;
    let start = (-from).clamp(0, count);
    let end = (row.len() as isize - from).clamp(start, count);
    let [inside, after] = [start, end].map(|at| at as usize);
    places[..inside].fill(0.0);
    places[after..].fill(0.0);
    if inside < after {
        places[inside..after].copy_from_slice(&row[(from + start) as usize..][..after - inside]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvOptions;

    #[test]
    fn every_place_is_in_one_block_where_its_cell_says() {
        for (batch, image, side, most) in
            [(1, [7, 5], 2, 4), (3, [4, 6], 2, 1000), (2, [5, 700], 1, 100), (1, [64, 64], 2, 128), (9, [2, 2], 1, 3)]
        {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let geometry = Geometry::of([batch, 3, image[0], image[1]], [2, 3, 3, 3], &options).unwrap();
            let cells = Cells::new(&geometry, side);
            let mut result = vec![0.0; batch * 2 * image[0] * image[1]];
            let count = result.len();
            let blocks = blocks(&mut result, &geometry, cells, most);
            for mut block in blocks {
                assert!(block.cells() <= cells.largest(most));
                for (channel, pieces) in block.pieces.iter_mut().enumerate() {
                    let mut pieces = pieces.iter_mut();
                    for row in block.rows.clone() {
                        let (sample, cell) = (row / cells.down, row % cells.down);
                        for y in (cell * side..).take(side).filter(|y| *y < image[0]) {
                            let piece = pieces.next().unwrap();
                            for (i, place) in piece.iter_mut().enumerate() {
                                let x = block.columns.start * side + i;
                                *place += (((sample * 2 + channel) * image[0] + y) * image[1] + x) as f32;
                            }
                        }
                    }
                    assert!(pieces.next().is_none());
                }
            }
            assert!(result.iter().enumerate().all(|(i, place)| *place == i as f32), "{count} numbers");
        }
    }

    #[test]
    fn outside_are_zeros() {
        let row = [1.0, 2.0, 3.0];
        for (from, row, expected) in [
            (-1, Some(&row[..]), [0.0, 1.0, 2.0, 3.0]),
            (1, Some(&row[..]), [2.0, 3.0, 0.0, 0.0]),
            (-9, Some(&row[..]), [0.0; 4]),
            (9, Some(&row[..]), [0.0; 4]),
            (0, None, [0.0; 4]),
        ] {
            let mut places = [9.0; 4];
            copy_window(&mut places, row, from);
            assert_eq!(places, expected, "{from}");
        }
    }
}
