//! A labelled sheet of samples: a row for each arm, a column for each budget, one block below the other.
use super::Picture;
use super::grid::{Gap, spaced};
use super::text::{Style, Weight};
use crate::{Error, Result};

const INK: [u8; 3] = [0x1F; 3];
const SOFT: [u8; 3] = [0x59; 3];
const GROUND: [u8; 3] = [255; 3];
const CELL: [u8; 3] = [0xEC; 3];

/// The samples of one arm at one budget.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// `[N, C, H, W]`; none for an empty cell. The same place in every cell should show the same noise.
    pub samples: Vec<f32>,
    /// A line below the samples, for example a distance; empty for none.
    pub caption: String,
}

/// One arm.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetRow {
    /// Its name, left of the cells; it is broken at spaces.
    pub title: String,
    /// One for each column; fewer leave the last columns empty.
    pub cells: Vec<Cell>,
}

/// Rows below a common heading, for example "without guidance".
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The heading; empty for none.
    pub title: String,
    /// The arms.
    pub rows: Vec<SheetRow>,
}

/// A sheet of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The heading of the sheet; empty for none.
    pub title: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The blocks, from top to bottom.
    pub blocks: Vec<Block>,
    /// `[C, H, W]` of a sample; C is 1 (grey) or 3 (RGB).
    pub shape: [usize; 3],
    /// The value drawn black.
    pub black: f32,
    /// The value drawn white, above `black`.
    pub white: f32,
    /// Samples side by side in a cell.
    pub across: usize,
    /// The side of the square that a pixel of a sample becomes, in 1..=64. Letters grow with the sheet.
    pub enlarge: usize,
}

/// Sizes that follow from the sheet's width, in pixels.
struct Sizes {
    em: usize,
    margin: usize,
    gap: usize,
    title: Style,
    head: Style,
    row: Style,
    caption: Style,
}

impl Sizes {
    fn of(cells_width: usize) -> Self {
        // At a README's 900 pixels letters are about 15 high.
        let em = (cells_width / 52).clamp(13, 64);
        let style = |weight, part: f32, color| Style { weight, em: em as f32 * part, color };
        Self {
            em,
            margin: em,
            gap: em * 2 / 3,
            title: style(Weight::Bold, 1.25, INK),
            head: style(Weight::Bold, 1.0, INK),
            row: style(Weight::Regular, 1.0, INK),
            caption: style(Weight::Regular, 0.85, SOFT),
        }
    }
}

impl Sheet {
    /// Draws the sheet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no cell with samples, cells hold different numbers of samples, a row has more cells than
    /// there are columns, the samples are not whole images of `shape`, or `across`, `enlarge`, `black`, `white` are out of range.
    pub fn picture(&self) -> Result<Picture> {
        let rows = || self.blocks.iter().flat_map(|block| &block.rows);
        let filled = || rows().flat_map(|row| &row.cells).filter(|cell| !cell.samples.is_empty());
        let Some(first) = filled().next() else {
            return Err(Error::Invalid("sheet: there is no cell with samples".into()));
        };
        if let Some(other) = filled().find(|cell| cell.samples.len() != first.samples.len()) {
            let (a, b) = (first.samples.len(), other.samples.len());
            return Err(Error::Invalid(format!(
                "sheet: cells hold {a} and {b} values; must hold equal numbers of samples"
            )));
        }
        if let Some(row) = rows().find(|row| row.cells.len() > self.columns.len()) {
            let (cells, columns) = (row.cells.len(), self.columns.len());
            return Err(Error::Invalid(format!("sheet: row `{}` has {cells} cells for {columns} columns", row.title)));
        }
        let pad = self.enlarge.max(2);
        let (range, between) = ((self.black, self.white), Gap { pixels: pad, color: CELL });
        let draw = |cell: &Cell| spaced(&cell.samples, self.shape, self.across, self.enlarge, range, between);
        let Picture { width, height, .. } = draw(first)?;
        let (width, height) = (width + 2 * pad, height + 2 * pad);
        let sizes = Sizes::of(self.columns.len() * width);
        let Sizes { em, margin, gap, .. } = sizes;
        let line = em * 13 / 10;

        // Row names take as much room as they need, and at most a sixth of the cells'.
        let most = (self.columns.len() * width / 6).max(5 * em);
        let wrapped = |row: &SheetRow| sizes.row.wrap(&row.title, most);
        let names = rows().flat_map(wrapped).map(|line| sizes.row.width(&line)).max().unwrap_or(0);
        let left = margin + if names > 0 { names + gap } else { 0 };
        let right = left + self.columns.len() * (width + gap) - gap;
        let title = if self.title.is_empty() { 0 } else { sizes.title.em as usize * 17 / 10 };
        let row_height = |row: &SheetRow| {
            let captions = row.cells.iter().any(|cell| !cell.caption.is_empty());
            (height + if captions { line } else { 0 }).max(wrapped(row).len() * line) + gap
        };
        let block_height = |block: &Block| {
            let head = if block.title.is_empty() { 0 } else { em * 19 / 10 };
            head + block.rows.iter().map(row_height).sum::<usize>()
        };
        let blocks: usize = self.blocks.iter().map(block_height).sum();
        let least = margin + sizes.title.width(&self.title);
        let mut sheet =
            Picture::new(right.max(least) + margin, margin + title + line + gap / 2 + blocks + margin - gap, GROUND);

        let mut y = margin;
        sizes.title.draw(&mut sheet, left, y + title / 3, &self.title);
        y += title;
        for (column, name) in self.columns.iter().enumerate() {
            let middle = left + column * (width + gap) + width / 2;
            sizes.head.draw(&mut sheet, middle.saturating_sub(sizes.head.width(name) / 2), y + line / 2, name);
        }
        y += line + gap / 2;
        for block in &self.blocks {
            if !block.title.is_empty() {
                sizes.head.draw(&mut sheet, left, y + em, &block.title);
                y += em * 19 / 10;
            }
            for row in &block.rows {
                let lines = wrapped(row);
                let start = y + height / 2 - (lines.len() * line).min(height) / 2 + line / 2;
                for (i, name) in lines.iter().enumerate() {
                    let x = margin + names - sizes.row.width(name);
                    sizes.row.draw(&mut sheet, x, start + i * line, name);
                }
                for (column, cell) in row.cells.iter().enumerate().filter(|(_, cell)| !cell.samples.is_empty()) {
                    let x = left + column * (width + gap);
                    sheet.rectangle(x, y, width, height, CELL);
                    let samples = draw(cell)?;
                    sheet.paste(x + pad, y + pad, &samples);
                    let middle = (x + width / 2).saturating_sub(sizes.caption.width(&cell.caption) / 2);
                    sizes.caption.draw(&mut sheet, middle, y + height + line / 2, &cell.caption);
                }
                y += row_height(row);
            }
        }
        Ok(sheet)
    }
}
