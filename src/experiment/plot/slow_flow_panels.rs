//! Slow Flow: the slowed timestep m over the sampling timestep t, and below it how far it lags, t − m.
use super::axis::{Axis, Scale};
use super::{Chart, Panel, Point, Series, Spread};

/// One time of one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowPoint {
    /// The sampling timestep t.
    pub t: f64,
    /// t − m: positive where the states are slow.
    pub slowness: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
}

/// One budget.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowCurve {
    /// Steps of the sampler.
    pub steps: usize,
    /// By increasing time.
    pub points: Vec<SlowPoint>,
}

/// One network: a column of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowPanel {
    /// Its name.
    pub title: String,
    /// Its budgets.
    pub curves: Vec<SlowCurve>,
}

/// Guides of the lower row, of which those that cross it are drawn: the slowest states that MixFlow trains on, t − m = γt.
const GAMMAS: [f64; 9] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8];
const TICKS: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];

/// Above, m over t with bands beside the diagonal m = t, below which the states are slow. Below, t − m over t, enlarged,
/// with a guide t − m = γt for some γ: post-training with that γ shows the network what lies between the guide and 0.
pub fn slow_flow_panels(title: &str, panels: &[SlowPanel]) -> Chart {
    let time = || Axis::new("sampling timestep t", Scale::Linear).within(0.0, 1.0).with_ticks(TICKS.into());
    let values =
        panels.iter().flat_map(|p| &p.curves).flat_map(|c| &c.points).flat_map(|p| [p.low, p.high, p.slowness]);
    let (low, high) = values.filter(|v| v.is_finite()).fold((0.0, 0.02), |(l, h), v: f64| (v.min(l), v.max(h)));
    let margin = 0.08 * (high - low);
    let (low, high) = (low - margin, high + margin);
    let mut chart = Chart::new(title).with_columns(panels.len()).with_panel_height(400);
    for network in panels {
        let m = Axis::new("slowed timestep m", Scale::Linear).within(0.0, 1.0).with_ticks(TICKS.into());
        let panel = Panel::new(&network.title, time(), m);
        let panel = panel.with_guide("m = t", Point::new(0.0, 0.0), Point::new(1.0, 1.0));
        chart = chart.with_panel(with_lines(panel, network, |p| {
            Point::new(p.t, p.t - p.slowness).between(p.t - p.high, p.t - p.low)
        }));
    }
    for network in panels {
        let lag = Axis::new("t − m", Scale::Linear).within(low, high);
        let mut panel = Panel::new("", time(), lag).with_guide("", Point::new(0.0, 0.0), Point::new(1.0, 0.0));
        for gamma in GAMMAS.into_iter().filter(|gamma| *gamma >= high / 6.0 && *gamma <= 1.6 * high) {
            let end = (high / gamma).min(1.0);
            let label = format!("γ = {gamma}");
            panel = panel.with_guide(label, Point::new(0.0, 0.0), Point::new(end, gamma * end));
        }
        chart = chart.with_panel(with_lines(panel, network, |p| Point::new(p.t, p.slowness).between(p.low, p.high)));
    }
    chart
}

/// Every line starts at time 0, where a state is noise and m = t.
fn with_lines(mut panel: Panel, network: &SlowPanel, point: impl Fn(&SlowPoint) -> Point) -> Panel {
    for curve in &network.curves {
        let points = std::iter::once(Point::new(0.0, 0.0)).chain(curve.points.iter().map(&point)).collect();
        panel = panel.with_series(Series::new(format!("{} steps", curve.steps), points).with_spread(Spread::Band));
    }
    panel
}
