//! The legend: which look belongs to which name, and the lines of names below the panels.
use super::canvas::FINE;
use super::palette::LineStyle;
use super::strokes::{self, Drawn, GREY_LINE};
use super::text::{self, Weight};
use super::{Ink, Panel, Spread};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend};

const LINE_HEIGHT: i32 = 24;
const SWATCH: i32 = 30;
const GAP: i32 = 22;
pub(super) const EM: f64 = 14.0;

#[derive(Debug)]
enum Look {
    Line(LineStyle, Spread),
    Reference,
}

#[derive(Debug)]
struct Entry {
    name: String,
    look: Look,
}

#[derive(Debug)]
pub(super) struct Legend {
    entries: Vec<Entry>,
    columns: i32,
    entry_width: i32,
}

impl Legend {
    /// Every name of the panels once, in the order in which they first appear; references last.
    pub fn of(panels: &[Panel], width: i32) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut turn = 0;
        for series in panels.iter().flat_map(|panel| &panel.series) {
            if entries.iter().all(|entry| entry.name != series.name) {
                let style = LineStyle::of(series.ink, turn);
                turn += usize::from(series.ink == Ink::InTurn);
                entries.push(Entry { name: series.name.clone(), look: Look::Line(style, series.spread) });
            }
        }
        for reference in panels.iter().flat_map(|panel| &panel.references) {
            if entries.iter().all(|entry| entry.name != reference.name) {
                entries.push(Entry { name: reference.name.clone(), look: Look::Reference });
            }
        }
        entries.retain(|entry| !entry.name.is_empty());
        let letters = |entry: &Entry| text::width(&entry.name, Weight::Regular, EM as f32).ceil() as i32;
        let entry_width = SWATCH + 8 + GAP + entries.iter().map(letters).max().unwrap_or(0);
        let fit = (width / entry_width).clamp(1, (entries.len() as i32).max(1));
        // The same number of lines with the columns as even as can be.
        let lines = (entries.len() as i32 + fit - 1) / fit;
        let columns = if lines > 0 { (entries.len() as i32 + lines - 1) / lines } else { 1 };
        Self { entries, columns, entry_width }
    }

    fn lines(&self) -> i32 {
        (self.entries.len() as i32 + self.columns - 1) / self.columns
    }

    /// Pixels of the layout.
    pub fn height(&self) -> i32 {
        if self.entries.is_empty() { 0 } else { self.lines() * LINE_HEIGHT + 12 }
    }

    /// The look of a name.
    pub fn style(&self, name: &str) -> LineStyle {
        let found = self.entries.iter().find_map(|entry| match entry.look {
            Look::Line(style, _) if entry.name == name => Some(style),
            _ => None,
        });
        found.unwrap_or(LineStyle::of(Ink::InTurn, 0))
    }

    /// Draws the names, column by column, centred in `width`.
    pub fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, width: i32, top: i32) -> Drawn<DB> {
        let left = (width - self.columns * self.entry_width + GAP) / 2;
        for (i, entry) in self.entries.iter().enumerate() {
            let (column, line) = (i as i32 / self.lines(), i as i32 % self.lines());
            let x = (left + column * self.entry_width) * FINE;
            let y = (top + 12 + line * LINE_HEIGHT + LINE_HEIGHT / 2) * FINE;
            let end = x + SWATCH * FINE;
            match entry.look {
                Look::Line(style, spread) => {
                    if spread == Spread::Band {
                        strokes::band(
                            area,
                            [(x, y - 6 * FINE), (end, y - 6 * FINE), (end, y + 6 * FINE), (x, y + 6 * FINE)],
                            style,
                        )?;
                    }
                    strokes::line(area, vec![(x, y), (end, y)], style)?;
                    if spread == Spread::Bars {
                        strokes::marker(area, ((x + end) / 2, y), style)?;
                    }
                }
                Look::Reference => strokes::dashed(area, vec![(x, y), (end, y)], GREY_LINE, 2)?,
            }
            strokes::write(area, &entry.name, (end + 8 * FINE, y), strokes::Letters::left(EM))?;
        }
        Ok(())
    }
}
