//! What a panel shows: lines of points with intervals, reference lines, guides.
use super::Axis;

/// A point with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where it stands on the horizontal axis.
    pub x: f64,
    /// Its value.
    pub y: f64,
    /// The lower end of its interval; `y` if it has none.
    pub low: f64,
    /// The upper end of its interval; `y` if it has none.
    pub high: f64,
}

impl Point {
    /// A point without an interval.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }

    /// With the interval from `low` to `high`.
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { low, high, ..self }
    }

    /// With the interval y ± `error`; none if the error is not known.
    pub fn give_or_take(self, error: Option<f64>) -> Self {
        let error = error.filter(|error| error.is_finite()).unwrap_or(0.0).abs();
        Self { low: self.y - error, high: self.y + error, ..self }
    }
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spread {
    /// A vertical bar at each point; bars of several lines stand beside each other.
    #[default]
    Bars,
    /// A coloured band along the line, without markers.
    Band,
}

/// The colour of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Ink {
    /// The next colour of a palette that the colour-blind can tell apart, with its own marker.
    #[default]
    InTurn,
    /// Grey, for what stands outside the comparison.
    Grey,
    /// Black, for what the others are compared with.
    Black,
    /// A place in [0, 1] on a ramp from dark to light, for lines that have an order.
    Ramp(f64),
}

/// A named line. Lines of the same name in several panels share their look and their place in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    pub(super) spread: Spread,
    pub(super) ink: Ink,
}

impl Series {
    /// A line through the points in the order given. Points that are not finite, or that the axes cannot show, are left out.
    pub fn new(name: impl Into<String>, points: Vec<Point>) -> Self {
        Self { name: name.into(), points, spread: Spread::default(), ink: Ink::default() }
    }

    /// With another look of intervals.
    pub fn with_spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// With another colour.
    pub fn with_ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }
}

/// A horizontal line over the whole panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    pub name: String,
    pub y: f64,
}

/// A thin straight line, with its label at its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guide {
    pub label: String,
    pub from: Point,
    pub to: Point,
}

/// One pair of axes and what is drawn between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) references: Vec<Reference>,
    pub(super) guides: Vec<Guide>,
}

impl Panel {
    /// An empty panel.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new(), references: Vec::new(), guides: Vec::new() }
    }

    /// With one more line.
    pub fn with_series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// With a dashed horizontal line at `y`, named in the legend: a floor, or a baseline.
    pub fn with_reference(mut self, name: impl Into<String>, y: f64) -> Self {
        self.references.push(Reference { name: name.into(), y });
        self
    }

    /// With a thin grey line behind the data; the label stands at its end `to`. It does not widen the axes.
    pub fn with_guide(mut self, label: impl Into<String>, from: Point, to: Point) -> Self {
        self.guides.push(Guide { label: label.into(), from, to });
        self
    }

    /// Whether the axes can show a point.
    pub(super) fn shows(&self, point: &Point) -> bool {
        self.x.scale.place(point.x).is_some() && self.y.scale.place(point.y).is_some()
    }
}
