//! The drawing itself: a panel's axes, guides, bands, lines, error bars and markers.
use super::axis::Tick;
use super::canvas::FINE;
use super::frame::{self, Frame, Margins, Place, Spot, TICK_EM};
use super::legend::Legend;
use super::palette::LineStyle;
use super::strokes::{Drawn, GREY_LINE, Letters, band, dashed, line, marker, rgb, stroke, write};
use super::{Panel, Point, Series, Spread};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

const GUIDE: RGBColor = RGBColor(0xA0, 0xA0, 0xA0);
const MESH: RGBColor = RGBColor(0xE9, 0xE9, 0xE9);
const AXIS_EM: f64 = 14.0;
const PANEL_EM: f64 = 15.0;
const TITLE_EM: f64 = 18.0;
/// How far apart error bars of neighbouring lines stand.
const BESIDE: f64 = 5.0;

/// The chart's title, centred in a line of `width` whose middle is at `y`, in pixels of the layout.
pub(super) fn title<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, line: &str, width: i32, y: i32) -> Drawn<DB> {
    let letters = Letters { bold: true, anchor: HPos::Center, ..Letters::left(TITLE_EM) }.within(line, width - 20);
    if line.is_empty() { Ok(()) } else { write(area, line, (width * FINE / 2, y * FINE), letters) }
}

pub(super) fn panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    panel: &Panel,
    place: Place,
    margins: Margins,
    legend: &Legend,
) -> Drawn<DB> {
    let drawable = |series: &Series| series.points.iter().copied().filter(|p| panel.shows(p)).collect::<Vec<_>>();
    let lines: Vec<(&Series, Vec<Point>)> = panel.series.iter().map(|series| (series, drawable(series))).collect();
    let frame = Frame::of(panel, place, margins);
    let (xs, ys, Frame { x, y, .. }) = (panel.x.scale, panel.y.scale, frame);
    let (x_ticks, y_ticks) = (panel.x.ticks(x, f64::from(frame.width), frame::size), panel.y_ticks(place.height));
    mesh(area, &frame, &x_ticks, &y_ticks)?;
    names(area, panel, place, &frame)?;
    for guide in &panel.guides {
        let ends = [guide.from, guide.to].map(|p| Some(frame.spot(xs.place(p.x)?, ys.place(p.y)?)));
        if let [Some(from), Some(to)] = ends {
            area.draw(&PathElement::new(vec![from, to], stroke(GUIDE, 2)))?;
            let letters = Letters { color: GREY_LINE, ..Letters::left(TICK_EM) };
            // A guide that leaves through the right side is named there, any other one above its end.
            if to.0 >= (frame.left + frame.width - 1) * FINE {
                write(area, &guide.label, (to.0 + 6 * FINE, to.1), letters)?;
            } else {
                let letters = Letters { anchor: HPos::Center, ..letters };
                write(area, &guide.label, (to.0, to.1 - 10 * FINE), letters)?;
            }
        }
    }
    for at in panel.references.iter().filter_map(|reference| ys.place(reference.y)) {
        dashed(area, vec![frame.spot(x.low, at), frame.spot(x.high, at)], GREY_LINE, 3)?;
    }
    let low = |p: &Point| ys.place(p.low).unwrap_or(y.low);
    let high = |p: &Point| ys.place(p.high).unwrap_or(y.high);
    for (series, points) in lines.iter().filter(|(series, _)| series.spread == Spread::Band) {
        let at = |p: &Point, v: f64| frame.spot(xs.place(p.x).unwrap_or(x.low), v);
        let corners = points.iter().map(|p| at(p, low(p))).chain(points.iter().rev().map(|p| at(p, high(p))));
        band(area, corners.collect::<Vec<_>>(), legend.style(&series.name))?;
    }
    let with_bars = |series: &Series| series.spread == Spread::Bars && series.points.iter().any(|p| p.low < p.high);
    let bars = lines.iter().filter(|(series, _)| with_bars(series)).count();
    let mut bar = 0;
    for (series, points) in &lines {
        let style = legend.style(&series.name);
        // Lines with bars stand a little beside each other, so that the bars do not cover each other.
        let aside = if with_bars(series) && bars > 1 { bar as f64 - 0.5 * (bars - 1) as f64 } else { 0.0 };
        bar += usize::from(with_bars(series));
        let aside = (aside * BESIDE.min(24.0 / bars.max(1) as f64) * f64::from(FINE)).round() as i32;
        let at = |p: &Point, v: f64| {
            let spot = frame.spot(xs.place(p.x).unwrap_or(x.low), v);
            (spot.0 + aside, spot.1)
        };
        let spots: Vec<Spot> = points.iter().map(|p| at(p, ys.place(p.y).unwrap_or(y.low))).collect();
        line(area, spots.clone(), style)?;
        if series.spread == Spread::Bars {
            for point in points.iter().filter(|p| p.low < p.high) {
                bar_of(area, at(point, low(point)), at(point, high(point)), style)?;
            }
            spots.into_iter().try_for_each(|spot| marker(area, spot, style))?;
        }
    }
    Ok(())
}

fn bar_of<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, low: Spot, high: Spot, style: LineStyle) -> Drawn<DB> {
    let pen = stroke(rgb(style.color), 2);
    let cap = |spot: Spot| [(spot.0 - 3 * FINE, spot.1), (spot.0 + 3 * FINE, spot.1), spot];
    area.draw(&PathElement::new([&cap(low)[..], &[high]].concat(), pen))?;
    area.draw(&PathElement::new(cap(high)[..2].to_vec(), pen))
}

/// Grid lines, axis lines and the numbers beside them.
fn mesh<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    frame: &Frame,
    x_ticks: &[Tick],
    y_ticks: &[Tick],
) -> Drawn<DB> {
    let Frame { x, y, .. } = *frame;
    let letters = Letters::left(TICK_EM);
    for tick in x_ticks {
        let foot = frame.spot(tick.place, y.low);
        area.draw(&PathElement::new(vec![foot, frame.spot(tick.place, y.high)], stroke(MESH, 2)))?;
        area.draw(&PathElement::new(vec![foot, (foot.0, foot.1 + 4 * FINE)], stroke(GREY_LINE, 2)))?;
        let letters = Letters { anchor: HPos::Center, ..letters };
        write(area, &tick.label, (foot.0, foot.1 + 14 * FINE), letters)?;
    }
    for tick in y_ticks {
        let foot = frame.spot(x.low, tick.place);
        area.draw(&PathElement::new(vec![foot, frame.spot(x.high, tick.place)], stroke(MESH, 2)))?;
        area.draw(&PathElement::new(vec![foot, (foot.0 - 4 * FINE, foot.1)], stroke(GREY_LINE, 2)))?;
        let letters = Letters { anchor: HPos::Right, ..letters };
        write(area, &tick.label, (foot.0 - 8 * FINE, foot.1), letters)?;
    }
    let corners = vec![frame.spot(x.low, y.high), frame.spot(x.low, y.low), frame.spot(x.high, y.low)];
    area.draw(&PathElement::new(corners, stroke(GREY_LINE, 2)))
}

/// The panel's title and the names of its axes.
fn names<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, panel: &Panel, place: Place, frame: &Frame) -> Drawn<DB> {
    let middle = Letters { anchor: HPos::Center, ..Letters::left(AXIS_EM) };
    let (x, y) = (frame.left + frame.width / 2, frame.top + frame.height / 2);
    if !panel.title.is_empty() {
        let room = 2 * (x - place.left).min(place.left + place.width - x);
        let letters = Letters { bold: true, em: PANEL_EM, ..middle }.within(&panel.title, room);
        write(area, &panel.title, (x * FINE, (place.top + 14) * FINE), letters)?;
    }
    write(
        area,
        &panel.x.label,
        (x * FINE, (frame.top + frame.height + 38) * FINE),
        middle.within(&panel.x.label, frame.width),
    )?;
    let turned = middle.within(&panel.y.label, place.height).style().transform(FontTransform::Rotate270);
    area.draw(&Text::new(panel.y.label.clone(), ((place.left + 10) * FINE, y * FINE), turned))
}
