//! Curves of the table as SVG: distance by evaluations for every arm, and change by γ for every budget.
use super::{Results, Row};
use crate::experiment::files::slug;
use crate::{Error, Result};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 560);
const LETTERS: (&str, i32) = ("sans-serif", 14);

/// A named line.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Every picture with the name of its file.
pub(super) fn draw(results: &Results) -> Result<Vec<(String, String)>> {
    let mut pictures = Vec::new();
    for floor in &results.floors {
        for sampler in results.config.samplers.iter().map(|s| s.name.as_str()) {
            let rows: Vec<&Row> =
                results.rows.iter().filter(|r| r.metric == floor.metric && r.sampler == sampler).collect();
            let name = format!("{}-{}", floor.metric, slug(sampler));
            let title = format!("{}, {sampler}", floor.title);
            let lines = by_evaluations(&rows);
            if lines.iter().any(|line| line.points.len() > 1) {
                let svg = chart(&title, ("network evaluations", "distance"), &lines, (true, true))?;
                pictures.push((format!("curves-{name}.svg"), svg));
            }
            let lines = by_gamma(&rows);
            if lines.iter().any(|line| line.points.len() > 2) {
                let svg = chart(&title, ("γ", "change against the control, %"), &lines, (false, false))?;
                pictures.push((format!("gamma-{name}.svg"), svg));
            }
        }
    }
    Ok(pictures)
}

fn by_evaluations(rows: &[&Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows.iter().filter(|r| r.mean.is_finite() && r.mean > 0.0) {
        push(&mut lines, row.arm.clone(), (row.evaluations as f64, row.mean));
    }
    lines
}

fn by_gamma(rows: &[&Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        if let (Some(gamma), Some(change)) = (row.gamma, row.paired_change) {
            push(&mut lines, format!("{} evaluations", row.evaluations), (gamma, 100.0 * change));
        }
    }
    lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    lines
}

fn push(lines: &mut Vec<Line>, name: String, point: (f64, f64)) {
    match lines.iter_mut().find(|line| line.name == name) {
        Some(line) => line.points.push(point),
        None => lines.push(Line { name, points: vec![point] }),
    }
}

/// One chart; `logarithmic` says which axes are.
fn chart(title: &str, axes: (&str, &str), lines: &[Line], logarithmic: (bool, bool)) -> Result<String> {
    let range = |values: Vec<f64>, logarithmic: bool| {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let margin = 0.05 * (high - low).max(1e-9);
        if logarithmic { low * 0.9..high * 1.1 } else { low - margin..high + margin }
    };
    let x = range(lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).collect(), logarithmic.0);
    let y = range(lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)).collect(), logarithmic.1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area);
        chart.caption(title, ("sans-serif", 18)).margin(12).x_label_area_size(42).y_label_area_size(64);
        if logarithmic.0 {
            let chart = chart.build_cartesian_2d(x.log_scale(), y.log_scale()).map_err(failed)?;
            finish(chart, axes, lines, SeriesLabelPosition::LowerLeft)?;
        } else {
            let chart = chart.build_cartesian_2d(x, y).map_err(failed)?;
            finish(chart, axes, lines, SeriesLabelPosition::UpperLeft)?;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

/// Draws axes, lines and the legend, which goes where distances that fall with the budget, and changes that grow with γ,
/// leave room.
fn finish<'a, DB, X, Y>(
    mut chart: ChartContext<'a, DB, Cartesian2d<X, Y>>,
    axes: (&str, &str),
    lines: &[Line],
    legend: SeriesLabelPosition,
) -> Result<()>
where
    DB: DrawingBackend + 'a,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    // The ticks are multiples of a step, with its rounding.
    let short = |v: &f64| format!("{}", (v * 1e6).round() / 1e6);
    chart
        .configure_mesh()
        .x_desc(axes.0)
        .y_desc(axes.1)
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .label_style(LETTERS)
        .light_line_style(WHITE)
        .draw()
        .map_err(failed)?;
    for (i, line) in lines.iter().enumerate() {
        // Hues a golden angle apart, so that neighbours in the table differ.
        let color = HSLColor((i as f64 * 0.381_966).fract(), 0.75, 0.40);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))
            .map_err(failed)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        let dots = line.points.iter().map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(legend)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(LETTERS)
        .draw()
        .map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("curves: {error}"))
}
