//! The strokes that panels and legends are drawn with: letters, lines, bands, markers.
use super::canvas::{FINE, SIZE_PER_EM};
use super::frame::Spot;
use super::palette::{LineStyle, Marker};
use super::text::{self, FAMILY, Weight};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What drawing gives.
pub(super) type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;
pub(super) const GREY_LINE: RGBColor = RGBColor(0x60, 0x60, 0x60);
const LETTERS: RGBColor = RGBColor(0x26, 0x26, 0x26);
const RADIUS: f64 = 4.2;

/// How a line of letters looks.
#[derive(Clone, Copy)]
pub(super) struct Letters {
    pub em: f64,
    pub bold: bool,
    pub anchor: HPos,
    pub color: RGBColor,
}

impl Letters {
    pub fn left(em: f64) -> Self {
        Self { em, bold: false, anchor: HPos::Left, color: LETTERS }
    }

    /// As small as `line` must be to fit into `room` pixels of the layout, and at least half as large.
    pub fn within(self, line: &str, room: i32) -> Self {
        let weight = if self.bold { Weight::Bold } else { Weight::Regular };
        let part = f64::from(room) / f64::from(text::width(line, weight, self.em as f32)).max(1.0);
        Self { em: self.em * part.clamp(0.5, 1.0), ..self }
    }

    pub fn style(self) -> TextStyle<'static> {
        let font: FontDesc<'static> = (FAMILY, self.em * SIZE_PER_EM * f64::from(FINE)).into_font();
        let font = if self.bold { font.style(FontStyle::Bold) } else { font };
        font.color(&self.color).pos(Pos::new(self.anchor, VPos::Center))
    }
}

pub(super) fn write<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    line: &str,
    at: Spot,
    letters: Letters,
) -> Drawn<DB> {
    area.draw(&Text::new(line.to_string(), at, letters.style()))
}

pub(super) fn rgb(color: [u8; 3]) -> RGBColor {
    RGBColor(color[0], color[1], color[2])
}

pub(super) fn stroke(color: RGBColor, width: i32) -> ShapeStyle {
    // Half pixels of the layout.
    color.stroke_width((width * FINE / 2) as u32)
}

pub(super) fn dashed<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    places: Vec<Spot>,
    color: RGBColor,
    width: i32,
) -> Drawn<DB> {
    area.draw(&DashedPathElement::new(places, 6 * FINE, 4 * FINE, stroke(color, width)))
}

pub(super) fn line<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    places: Vec<Spot>,
    style: LineStyle,
) -> Drawn<DB> {
    let pen = stroke(rgb(style.color), 4);
    match style.dash {
        None => area.draw(&PathElement::new(places, pen)),
        Some((dash, gap)) => area.draw(&DashedPathElement::new(places, dash * FINE, gap * FINE, pen)),
    }
}

pub(super) fn band<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    corners: impl Into<Vec<Spot>>,
    style: LineStyle,
) -> Drawn<DB> {
    area.draw(&Polygon::new(corners.into(), rgb(style.color).mix(0.22)))
}

/// A marker with a thin white rim, so that it stands out from what it covers.
pub(super) fn marker<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, at: Spot, style: LineStyle) -> Drawn<DB> {
    for (radius, color) in [(RADIUS + 1.0, WHITE), (RADIUS, rgb(style.color))] {
        if style.marker == Marker::Circle {
            area.draw(&Circle::new(at, radius * f64::from(FINE), color.filled()))?;
            continue;
        }
        let corners = style.marker.corners(radius * f64::from(FINE)).into_iter();
        area.draw(&Polygon::new(corners.map(|(dx, dy)| (at.0 + dx, at.1 + dy)).collect::<Vec<_>>(), color.filled()))?;
    }
    Ok(())
}
