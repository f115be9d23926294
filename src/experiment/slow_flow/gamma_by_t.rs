//! γ(t) from the probe: the range whose mean slowed timestep is the measured one.
use super::Measurement;
use crate::timestep::{Gammas, StrategyConfig};

/// Places in [0, 1] at which γ is given.
const PLACES: usize = 11;

/// `measured`, MixFlow with γ(t) = 2 (t − m) / t held within [0, 1], for which U[(1−γ)t, t] has the mean m; 0 where t − m is
/// not beyond chance. Linear between the times that were measured, and constant before the first and after the last.
///
/// None for a definition that is not zero for an exact field, or where no time is slow. This is our reading of a schedule: the
/// paper has one γ.
pub fn gamma_by_t(measured: &Measurement) -> Option<StrategyConfig> {
    if !measured.definition.is_zero_for_an_exact_field() {
        return None;
    }
    let slow = measured.points.iter().filter(|point| point.t > 0.0).map(|point| {
        let gamma = if point.slowness.low > 0.0 { (2.0 * point.slowness.value / point.t).clamp(0.0, 1.0) } else { 0.0 };
        (point.t, gamma)
    });
    let slow: Vec<(f64, f64)> = slow.collect();
    if slow.iter().all(|(_, gamma)| *gamma == 0.0) {
        return None;
    }
    let at = |t: f64| {
        let after = slow.iter().position(|(time, _)| *time >= t).unwrap_or(slow.len() - 1);
        let ((t0, g0), (t1, g1)) = (slow[after.saturating_sub(1)], slow[after]);
        let part = if t1 > t0 { ((t - t0) / (t1 - t0)).clamp(0.0, 1.0) } else { 1.0 };
        (g0 + part * (g1 - g0)) as f32
    };
    // Three digits are more than the probe knows.
    let rounded = |gamma: f32| (gamma * 1000.0).round() / 1000.0;
    let gammas: Vec<f32> = (0..PLACES).map(|i| rounded(at(i as f64 / (PLACES - 1) as f64))).collect();
    Some(StrategyConfig::Measured { gammas: Gammas::try_from(gammas).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::slow_flow::{Definition, Estimate, Point};

    fn measured(points: &[(f64, f64, f64)]) -> Measurement {
        let estimate = |value, low| Estimate { value, low, high: 2.0 * value, standard_error: 0.0, draws: Vec::new() };
        Measurement {
            definition: Definition::Distribution,
            steps: 5,
            evaluations: Some(5),
            points: points
                .iter()
                .map(|&(t, slowness, low)| Point { t, m: t - slowness, slowness: estimate(slowness, low), bias: None })
                .collect(),
            mean: estimate(0.0, 0.0),
            bias: None,
        }
    }

    #[test]
    fn its_range_has_the_measured_mean() {
        let found = gamma_by_t(&measured(&[(0.2, 0.02, 0.01), (0.4, 0.1, 0.05), (0.8, 0.1, -0.01), (1.0, 0.0, -0.1)]));
        let Some(StrategyConfig::Measured { gammas }) = found else { panic!("{found:?}") };
        let close = |t: f32, gamma: f32| assert!((gammas.at(t) - gamma).abs() < 2e-3, "{t}: {}", gammas.at(t));
        close(0.0, 0.2);
        close(0.2, 0.2);
        close(0.3, 0.35);
        close(0.4, 0.5);
        close(0.8, 0.0);
        close(1.0, 0.0);
    }

    #[test]
    fn nothing_slow_is_nothing_to_slow() {
        assert_eq!(gamma_by_t(&measured(&[(0.5, 0.01, -0.01), (1.0, -0.1, -0.2)])), None);
        assert_eq!(gamma_by_t(&measured(&[])), None);
    }
}
