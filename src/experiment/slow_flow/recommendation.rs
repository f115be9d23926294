//! `argmin_γ E|u_γ(x_m, t) − v(x_m, m)|²`: a mixture range γ from the probe alone, without training.
use super::{Measurement, Tolerance};
use crate::{Error, Result};
use serde::Serialize;

/// One γ of the curve. Errors are squared velocity errors relative to the squared velocity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GammaPoint {
    /// The mixture range.
    pub gamma: f64,
    /// The velocity error expected at the states that sampling meets.
    pub error: f64,
    /// The change of that error against γ = 0.
    pub change: f64,
    /// Its standard error over samples.
    pub change_standard_error: f64,
    /// The error that this γ would bring if no state were slow.
    pub bias: f64,
}

/// A recommended γ, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// The steps it is for.
    pub steps: usize,
    /// The mixture range; none if MixFlow is not expected to help.
    pub gamma: Option<f64>,
    /// The γ that do as well within one standard error: least and largest.
    pub range: Option<[f64; 2]>,
    /// Why, in plain words.
    pub reasons: Vec<String>,
    /// The whole curve.
    pub curve: Vec<GammaPoint>,
}

/// The γ with the least expected velocity error at the states that sampling meets: `argmin_γ E|u_γ(x_m, t) − v(x_m, m)|²`
/// over times t and their measured slowed timesteps m.
///
/// A γ too small leaves the network told t at a state of level m < t; one too large averages over levels that the state
/// does not have. Refuses where no slowness is beyond chance, and where no γ lowers the error by two standard errors. A
/// pure function of the measurements.
///
/// # Errors
/// [`Error::Invalid`] if the tolerance has no γ = 0 or its lists have different lengths, or for a measurement by a
/// definition that is not zero for an exact field.
pub fn recommend(measured: &Measurement, tolerance: &Tolerance) -> Result<Recommendation> {
    if !measured.definition.is_zero_for_an_exact_field() {
        let name = measured.definition.name();
        return Err(Error::Invalid(format!("definition {name}: not zero for an exact field, so it cannot choose γ")));
    }
    let count = tolerance.gammas.len();
    let lengths = [tolerance.error.len(), tolerance.bias.len(), tolerance.change_standard_error.len()];
    let Some(zero) = tolerance.gammas.iter().position(|gamma| *gamma == 0.0) else {
        return Err(Error::Invalid("tolerance: must hold γ = 0".into()));
    };
    if lengths.iter().any(|length| *length != count) {
        return Err(Error::Invalid("tolerance: must hold one error, bias and standard error for each γ".into()));
    }
    let curve: Vec<GammaPoint> = (0..count)
        .map(|i| GammaPoint {
            gamma: tolerance.gammas[i],
            error: tolerance.error[i],
            change: tolerance.error[i] - tolerance.error[zero],
            change_standard_error: tolerance.change_standard_error[i],
            bias: tolerance.bias[i],
        })
        .collect();
    let (steps, slow) = (measured.steps, is_slow(measured));
    let mut reasons = vec![slowness(measured), sharpness(tolerance)];
    let refuse = |mut reasons: Vec<String>, why: String, curve| {
        reasons.push(why);
        Ok(Recommendation { steps, gamma: None, range: None, reasons, curve })
    };
    if !slow {
        let why = format!("measured no slow flow at {steps} steps; MixFlow is not expected to help");
        return refuse(reasons, why, curve);
    }
    let best = curve.iter().fold(&curve[zero], |best, point| if point.error < best.error { point } else { best });
    if best.change >= -2.0 * best.change_standard_error || best.gamma == 0.0 {
        let why = format!(
            "the states are slow at {steps} steps, but they do not tell their own noise level well enough: every γ would \
             bring about as much error as it removes; MixFlow is not expected to help"
        );
        return refuse(reasons, why, curve);
    }
    let alike = |point: &&GammaPoint| point.gamma > 0.0 && point.error <= best.error + best.change_standard_error;
    let range =
        curve.iter().filter(alike).fold([best.gamma; 2], |[low, high], p| [low.min(p.gamma), high.max(p.gamma)]);
    let removed = -100.0 * best.change / curve[zero].error.max(f64::MIN_POSITIVE);
    reasons.push(format!(
        "γ = {} is expected to remove {removed:.0} % of the squared velocity error at the states that {steps} steps meet; \
         from {} to {} it does as well within one standard error",
        best.gamma, range[0], range[1]
    ));
    let cost = 100.0 * best.bias.max(0.0).sqrt();
    reasons.push(format!("where states are not slow, this γ moves the velocity by {cost:.1} % of its size"));
    if let Some(largest) = curve.last().filter(|last| last.error > best.error + 2.0 * last.change_standard_error) {
        reasons.push(format!(
            "γ = {} would be too much: it leaves {:.1} times that error",
            largest.gamma,
            largest.error / best.error
        ));
    }
    let gamma = Some(best.gamma);
    Ok(Recommendation { steps, gamma, range: Some(range), reasons, curve })
}

/// Whether the mean over times is slow, or one time beyond what the largest of as many chances reaches.
fn is_slow(measured: &Measurement) -> bool {
    let count = measured.points.len().max(1) as f64;
    // P(max of n normals > z) ≤ n exp(−z²/2)/2 ≤ 2.5 %.
    let beyond = (2.0 * (count / 0.05).ln()).sqrt();
    let inner = measured.points.iter().filter(|point| point.t < 1.0 - 1e-9);
    measured.mean.low > 0.0
        || inner.map(|point| &point.slowness).any(|s| s.standard_error > 0.0 && s.value > beyond * s.standard_error)
}

/// How far the states lag behind, in words.
fn slowness(measured: &Measurement) -> String {
    let mean = &measured.mean;
    let most = measured
        .points
        .iter()
        .filter(|p| p.t < 1.0 - 1e-9)
        .max_by(|a, b| a.slowness.value.total_cmp(&b.slowness.value));
    let most = most.map_or(String::new(), |p| format!(", at most {:.3} at t = {:.2}", p.slowness.value, p.t));
    format!(
        "at {} steps the states lag behind by t − m = {:.3} on average, interval [{:.3}, {:.3}]{most}",
        measured.steps, mean.value, mean.low, mean.high
    )
}

/// How well the data tell their own level, in words.
fn sharpness(tolerance: &Tolerance) -> String {
    let spreads: Vec<f64> = tolerance.points.iter().map(|point| point.spread).collect();
    let (least, most) = spreads.iter().fold((f64::MAX, 0.0_f64), |(low, high), s| (low.min(*s), high.max(*s)));
    match (format!("{least:.3}"), format!("{most:.3}")) {
        (least, most) if least == most => format!("a state tells its own noise level to within {least}"),
        (least, most) => {
            format!("a state tells its own noise level to within {least} to {most}, depending on the time")
        }
    }
}
