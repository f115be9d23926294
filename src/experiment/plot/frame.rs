//! Where a panel's axes stand, and what they span.
use super::axis::{Extent, Tick};
use super::canvas::FINE;
use super::text::{self, Weight};
use super::{Panel, Point};

/// A place in pixels, [`FINE`] to a pixel of the layout.
pub(super) type Spot = (i32, i32);

/// The size of the numbers beside an axis.
pub(super) const TICK_EM: f64 = 13.0;
const PANEL_TITLE_HEIGHT: i32 = 30;
/// Room for the numbers and the label below the horizontal axis.
const BELOW: i32 = 52;

/// Where a panel stands, in pixels of the layout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub left: i32,
    pub top: i32,
    pub width: i32,
    pub height: i32,
}

/// Room beside the axes of the panels of a column, so that they stand in line, in pixels of the layout.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Margins {
    pub left: i32,
    pub right: i32,
}

impl Margins {
    /// What the widest numbers and guides of any panel need.
    pub fn of<'a>(panels: impl Iterator<Item = &'a Panel>, height: i32) -> Self {
        panels.fold(Self::default(), |margins, panel| {
            let numbers = panel.y_ticks(height).iter().map(|tick| size(&tick.label)).fold(0.0, f64::max);
            let name = if panel.y.label.is_empty() { 0 } else { 26 };
            let guides = panel.guides.iter().map(|guide| size(&guide.label)).fold(0.0, f64::max);
            Self {
                left: margins.left.max(numbers.ceil() as i32 + 12 + name),
                right: margins.right.max(guides.ceil() as i32 + 14),
            }
        })
    }
}

/// The length of a number beside an axis.
pub(super) fn size(label: &str) -> f64 {
    f64::from(text::width(label, Weight::Regular, TICK_EM as f32))
}

impl Panel {
    fn drawable(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points).filter(|point| self.shows(point))
    }

    pub(super) fn x_extent(&self) -> Extent {
        self.x.extent(self.drawable().filter_map(|point| self.x.scale.place(point.x)))
    }

    pub(super) fn y_extent(&self) -> Extent {
        let points = self.drawable().flat_map(|point| [point.y, point.low, point.high]);
        let values = points.chain(self.references.iter().map(|reference| reference.y));
        self.y.extent(values.filter_map(|value| self.y.scale.place(value)))
    }

    pub(super) fn y_ticks(&self, height: i32) -> Vec<Tick> {
        self.y.ticks(self.y_extent(), f64::from(self.plot_height(height)), |_| 14.0)
    }

    fn above(&self) -> i32 {
        if self.title.is_empty() { 24 } else { PANEL_TITLE_HEIGHT }
    }

    fn plot_height(&self, height: i32) -> i32 {
        (height - self.above() - BELOW).max(1)
    }
}

/// The axes of a panel in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: i32,
    pub top: i32,
    pub width: i32,
    pub height: i32,
    pub x: Extent,
    pub y: Extent,
}

impl Frame {
    /// The axes of `panel`, which stands at `place`.
    pub fn of(panel: &Panel, place: Place, margins: Margins) -> Self {
        let width = (place.width - margins.left - margins.right).max(1);
        let (left, top) = (place.left + margins.left, place.top + panel.above());
        let height = panel.plot_height(place.height);
        Self { left, top, width, height, x: panel.x_extent(), y: panel.y_extent() }
    }

    /// Pixels of places on the axes; what lies outside is moved to the border.
    pub fn spot(&self, x: f64, y: f64) -> Spot {
        let part = |v: f64, of: Extent| ((v - of.low) / (of.high - of.low)).clamp(0.0, 1.0);
        let dx = part(x, self.x) * f64::from(self.width * FINE);
        let dy = (1.0 - part(y, self.y)) * f64::from(self.height * FINE);
        (self.left * FINE + dx.round() as i32, self.top * FINE + dy.round() as i32)
    }
}
