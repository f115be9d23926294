//! Distance by network evaluations for every arm, and beside it the change against the control.
use super::axis::{Axis, Scale};
use super::{Chart, Ink, Panel, Point, Series};

/// What an arm is to the comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArmRole {
    /// The weights before post-training; drawn in grey.
    Untrained,
    /// What all others are compared with; drawn in black.
    Control,
    /// Any other.
    #[default]
    Other,
}

/// One arm at one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPoint {
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// The mean distance over the seeds.
    pub distance: f64,
    /// Its standard deviation over the seeds.
    pub deviation: Option<f64>,
    /// The mean paired change against the control, as a fraction: −0.1 is a tenth less.
    pub change: Option<f64>,
    /// The standard error of the change.
    pub change_error: Option<f64>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmCurve {
    /// Its name in the table.
    pub name: String,
    /// What it is to the comparison.
    pub role: ArmRole,
    /// γ of its strategy, if it has one. Where more than four arms have one, their colours run from dark to light by γ.
    pub gamma: Option<f64>,
    /// Its budgets, from few to many evaluations.
    pub points: Vec<BudgetPoint>,
}

/// Left the distances on logarithmic axes with the floor, right the change of every arm against the control ± its
/// standard error, where any arm has one.
///
/// `distance` names the distance, with its unit if it has one. `floor` is the distance of real samples.
pub fn distance_curves(title: &str, distance: &str, floor: Option<f64>, arms: &[ArmCurve]) -> Chart {
    let budgets = arms.iter().flat_map(|arm| arm.points.iter().map(|point| point.evaluations as f64)).collect();
    let budgets = Axis::new("network evaluations per sample", Scale::Log).with_ticks(budgets);
    let mut left = Panel::new("Distance", budgets.clone(), Axis::new(distance, Scale::Log));
    let change = Axis::new("change against the control", Scale::Change);
    let mut right = Panel::new("Change against the control (± standard error)", budgets, change);
    for (arm, ink) in arms.iter().zip(inks(arms)) {
        let at = |p: &BudgetPoint| p.evaluations as f64;
        let distances = arm.points.iter().map(|p| Point::new(at(p), p.distance).give_or_take(p.deviation)).collect();
        left = left.with_series(Series::new(&arm.name, distances).with_ink(ink));
        let changes = arm.points.iter().filter_map(|p| Some(Point::new(at(p), p.change?).give_or_take(p.change_error)));
        right = right.with_series(Series::new(&arm.name, changes.collect()).with_ink(ink));
    }
    if let Some(floor) = floor {
        left = left.with_reference("floor: real training samples", floor);
    }
    let changes = arms.iter().any(|arm| arm.points.iter().any(|point| point.change.is_some()));
    let chart = Chart::new(title).with_panel(left);
    if changes { chart.with_panel(right.with_reference("control", 0.0)) } else { chart }
}

fn inks(arms: &[ArmCurve]) -> Vec<Ink> {
    let mut gammas: Vec<f64> = arms.iter().filter(|a| a.role == ArmRole::Other).filter_map(|arm| arm.gamma).collect();
    gammas.sort_by(f64::total_cmp);
    gammas.dedup();
    let place = |gamma: f64| {
        let below = gammas.iter().filter(|other| **other < gamma).count();
        Ink::Ramp(below as f64 / (gammas.len() - 1) as f64)
    };
    let ink = |arm: &ArmCurve| match (arm.role, arm.gamma) {
        (ArmRole::Untrained, _) => Ink::Grey,
        (ArmRole::Control, _) => Ink::Black,
        (ArmRole::Other, Some(gamma)) if gammas.len() > 4 => place(gamma),
        (ArmRole::Other, _) => Ink::InTurn,
    };
    arms.iter().map(ink).collect()
}
