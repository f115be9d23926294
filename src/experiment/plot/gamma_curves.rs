//! Change against the control by γ, a line for each budget.
use super::axis::{Axis, Scale};
use super::{Chart, Panel, Point, Series};

/// One γ at one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaPoint {
    /// The mixture range γ.
    pub gamma: f64,
    /// The mean paired change against the control, as a fraction: −0.1 is a tenth less.
    pub change: f64,
    /// Its standard error.
    pub error: Option<f64>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq)]
pub struct GammaCurve {
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// Its γ, in any order.
    pub points: Vec<GammaPoint>,
}

/// Below the line at 0 an arm is better than the control. Ticks stand at the γ that were tried.
pub fn gamma_curves(title: &str, budgets: &[GammaCurve]) -> Chart {
    let gammas = budgets.iter().flat_map(|budget| budget.points.iter().map(|point| point.gamma)).collect();
    let x = Axis::new("mixture range γ", Scale::Linear).with_ticks(gammas);
    let y = Axis::new("change against the control (± standard error)", Scale::Change);
    let mut panel = Panel::new("", x, y).with_reference("control", 0.0);
    for budget in budgets {
        let mut points: Vec<Point> =
            budget.points.iter().map(|p| Point::new(p.gamma, p.change).give_or_take(p.error)).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        panel = panel.with_series(Series::new(format!("{} evaluations", budget.evaluations), points));
    }
    Chart::new(title).with_panel(panel).with_panel_height(420)
}
