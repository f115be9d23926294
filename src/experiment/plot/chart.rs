//! Panels of lines below a title, with one legend: as SVG and as PNG, at the same layout.
use super::canvas::{Canvas, FINE};
use super::frame::{Margins, Place};
use super::legend::Legend;
use super::{Panel, Picture, draw};
use crate::{Error, Result};
use plotters::prelude::{DrawingBackend, IntoDrawingArea, SVGBackend};

/// A PNG has this many pixels for each pixel of the layout, for sharp screens.
const SHARP: i32 = 2;
const TITLE_HEIGHT: i32 = 40;
const MARGIN: i32 = 10;

/// A chart of one or more panels.
///
/// ```
/// use burn_mixflow::experiment::plot::{Axis, Chart, Panel, Point, Scale, Series};
/// let steps = Axis::new("steps", Scale::Log).with_ticks(vec![5.0, 10.0, 20.0]);
/// let panel = Panel::new("", steps, Axis::new("distance", Scale::Log))
///     .with_series(Series::new("control", vec![Point::new(5.0, 0.4), Point::new(10.0, 0.2), Point::new(20.0, 0.1)]));
/// let chart = Chart::new("Distance by steps").with_panel(panel);
/// assert!(chart.svg()?.contains("Distance by steps"));
/// assert_eq!(chart.png()?.width, 1800);
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    columns: usize,
    width: i32,
    panel_height: i32,
}

impl Chart {
    /// An empty chart of 900 pixels' width.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), panels: Vec::new(), columns: 2, width: 900, panel_height: 380 }
    }

    /// With one more panel.
    pub fn with_panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// With this many panels side by side, at least 1; 2 if this is not called.
    pub fn with_columns(self, columns: usize) -> Self {
        Self { columns: columns.max(1), ..self }
    }

    /// With panels of this height in pixels, axis labels included, held in 120..=2000.
    pub fn with_panel_height(self, pixels: u32) -> Self {
        Self { panel_height: pixels.clamp(120, 2000) as i32, ..self }
    }

    /// The chart as SVG, 900 pixels wide.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no panel has a point that can be drawn.
    pub fn svg(&self) -> Result<String> {
        let layout = self.layout()?;
        let (width, height) = (layout.width * FINE, layout.height * FINE);
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, (width as u32, height as u32)), &layout)?;
        // The drawing's own units stay in `viewBox`.
        let fine = format!("width=\"{width}\" height=\"{height}\"");
        Ok(svg.replacen(&fine, &format!("width=\"{}\" height=\"{}\"", layout.width, layout.height), 1))
    }

    /// The chart as pixels, 1800 wide.
    ///
    /// # Errors
    /// As [`Self::svg`].
    pub fn png(&self) -> Result<Picture> {
        let layout = self.layout()?;
        let mut picture = Picture::new((layout.width * FINE) as usize, (layout.height * FINE) as usize, [255; 3]);
        self.draw(Canvas(&mut picture), &layout)?;
        Ok(picture.shrink((FINE / SHARP) as usize))
    }

    fn layout(&self) -> Result<Layout> {
        let points = self.panels.iter().flat_map(|panel| panel.series.iter().map(move |series| (panel, series)));
        if !points.flat_map(|(panel, s)| s.points.iter().map(move |p| panel.shows(p))).any(|shown| shown) {
            return Err(Error::Invalid(format!("chart `{}`: there is no point that can be drawn", self.title)));
        }
        let legend = Legend::of(&self.panels, self.width - 2 * MARGIN);
        let columns = self.columns.min(self.panels.len()) as i32;
        let rows = (self.panels.len() as i32 + columns - 1) / columns;
        let top = if self.title.is_empty() { MARGIN } else { TITLE_HEIGHT };
        let height = top + rows * self.panel_height + legend.height() + MARGIN;
        let of_column = |column| self.panels.iter().skip(column).step_by(columns as usize);
        let margins = (0..columns as usize).map(|column| Margins::of(of_column(column), self.panel_height)).collect();
        Ok(Layout { width: self.width, height, top, columns, margins, legend })
    }

    fn draw<DB: DrawingBackend>(&self, backend: DB, layout: &Layout) -> Result<()>
    where
        DB::ErrorType: 'static,
    {
        let failed = |e: String| Error::Invalid(format!("chart `{}`: {e}", self.title));
        let area = backend.into_drawing_area();
        area.fill(&plotters::style::WHITE).map_err(|e| failed(e.to_string()))?;
        draw::title(&area, &self.title, layout.width, layout.top / 2).map_err(|e| failed(e.to_string()))?;
        let width = (layout.width - 2 * MARGIN) / layout.columns;
        for (i, panel) in self.panels.iter().enumerate() {
            let (column, row) = (i as i32 % layout.columns, i as i32 / layout.columns);
            let (left, top) = (MARGIN + column * width, layout.top + row * self.panel_height);
            let place = Place { left, top, width, height: self.panel_height };
            draw::panel(&area, panel, place, layout.margins[column as usize], &layout.legend)
                .map_err(|e| failed(e.to_string()))?;
        }
        let top = layout.height - MARGIN - layout.legend.height();
        layout.legend.draw(&area, layout.width, top).map_err(|e| failed(e.to_string()))?;
        area.present().map_err(|e| failed(e.to_string()))
    }
}

/// Sizes in pixels of the layout.
struct Layout {
    width: i32,
    height: i32,
    top: i32,
    columns: i32,
    /// Of each column.
    margins: Vec<Margins>,
    legend: Legend,
}
