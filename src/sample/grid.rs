//! The times at which steps start and end.
use crate::Problem;
use crate::timestep::TimeShift;
use serde::{Deserialize, Serialize};

/// Points of a grid at most.
const MOST_POINTS: usize = 100_000;

/// How the steps are laid out between noise and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TimesConfig {
    /// Steps of the same length.
    Uniform {},
    /// Uniform in `u`, then `t = u/(u + s(1 − u))`: finer near the data for s < 1, near the noise for s > 1.
    ///
    /// RAE uses the shift it trains with and stops at `u = 0.999`, a little before the data.
    Shifted {
        /// The shift.
        shift: TimeShift,
        /// The last `u`, in (0, 1]; t is then `u/(u + s(1 − u))`, 0.993 for RAE at 256 pixels.
        #[serde(default = "rae_last")]
        last: f64,
    },
    /// The noise levels of the Stable Diffusion 3.5 reference: σ from 1 down to the shifted 1/1000 in equal
    /// steps, shifted (so the low end is shifted twice), then 0.
    Sd3 {
        /// s; 3 in the reference. Finite, > 0.
        #[serde(default = "sd3_shift")]
        shift: f64,
    },
    /// `t = u^p` with uniform `u`: finer near the noise for p > 1, near the data for p < 1.
    Power {
        /// p. Finite, > 0.
        exponent: f64,
    },
    /// The noise levels of Karras et al. ([arXiv 2206.00364](https://arxiv.org/abs/2206.00364), equation 5) on the linear
    /// path, where `σ = (1 − t)/t`: equal steps of `σ^(1/ρ)` from `sigma_max` to `sigma_min`, then the data; moved and
    /// stretched a little so that the first time is that of the noise.
    Karras {
        /// ρ. Finite, > 0.
        #[serde(default = "karras_rho")]
        rho: f64,
        /// The least level above 0. Finite, > 0.
        #[serde(default = "karras_sigma_min")]
        sigma_min: f64,
        /// The largest level, above `sigma_min`. Finite.
        #[serde(default = "karras_sigma_max")]
        sigma_max: f64,
    },
    /// Any grid, for any number of steps: `t(u)` is a straight line between points that stand at equal distances of `u`.
    /// As many steps as there are intervals have exactly these times.
    Points {
        /// At least two times, the first 0, the last 1, each larger than the one before.
        points: Vec<f64>,
    },
}

impl Default for TimesConfig {
    fn default() -> Self {
        Self::Uniform {}
    }
}

/// What the number of steps counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepCount {
    /// The steps themselves.
    #[default]
    Intervals,
    /// The times between which they lie, the first and the last included: one more than the steps. So counts
    /// the official code of SiT and RAE, whose 250 "steps" of an ODE are 249.
    Points,
}

fn rae_last() -> f64 {
    0.999
}

fn sd3_shift() -> f64 {
    3.0
}

fn karras_rho() -> f64 {
    7.0
}

fn karras_sigma_min() -> f64 {
    0.002
}

fn karras_sigma_max() -> f64 {
    80.0
}

/// `steps + 1` equally spaced times from 0 (noise) to 1 (data).
pub fn uniform_times(steps: usize) -> Vec<f64> {
    (0..=steps).map(|i| if i == steps { 1.0 } else { i as f64 / steps as f64 }).collect()
}

impl TimesConfig {
    /// `steps + 1` increasing times from `start` to `end`, in [0, 1]; a shifted grid may end before `end`.
    pub fn times(&self, steps: usize, start: f64, end: f64) -> Vec<f64> {
        let between = |low: f64, high: f64, u: f64| if u == 1.0 { high } else { low + u * (high - low) };
        let unit = uniform_times(steps).into_iter();
        match self {
            Self::Uniform {} => unit.map(|u| between(start, end, u)).collect(),
            Self::Power { exponent } => unit.map(|u| between(start, end, u.powf(*exponent))).collect(),
            Self::Points { points } => unit.map(|u| between(start, end, interpolated(points, u))).collect(),
            Self::Karras { rho, sigma_min, sigma_max } => {
                karras_times(steps, *rho, *sigma_min, *sigma_max).into_iter().map(|u| between(start, end, u)).collect()
            }
            Self::Sd3 { shift } => sd3_times(steps, *shift).into_iter().map(|u| between(start, end, u)).collect(),
            Self::Shifted { shift, last } => {
                let inverse = TimeShift::Factor { factor: shift.factor().recip() };
                let (low, high) = (inverse.map(start), inverse.map(end).min(*last));
                unit.map(|u| shift.map(between(low, high, u))).collect()
            }
        }
    }

    /// The time of `u` in a shifted grid; `u` itself in any other.
    pub fn shifted(&self, u: f64) -> f64 {
        if let Self::Shifted { shift, .. } = self { shift.map(u) } else { u }
    }

    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match self {
            Self::Uniform {} => {}
            &Self::Shifted { shift, last } => {
                problems = shift.problems(&format!("{path}.shift"));
                Problem::unless(&mut problems, last > 0.0 && last <= 1.0, path, "last", last, "must be in (0, 1]");
            }
            &Self::Sd3 { shift } => {
                Problem::unless(&mut problems, positive(shift), path, "shift", shift, "must be finite and > 0");
            }
            &Self::Power { exponent } => {
                let valid = positive(exponent);
                Problem::unless(&mut problems, valid, path, "exponent", exponent, "must be finite and > 0");
            }
            &Self::Karras { rho, sigma_min, sigma_max } => {
                // Beyond it levels are equal, or too large for a number.
                let valid = (1.0..=1000.0).contains(&rho);
                Problem::unless(&mut problems, valid, path, "rho", rho, "must be in [1, 1000]");
                let valid = positive(sigma_min);
                Problem::unless(&mut problems, valid, path, "sigma_min", sigma_min, "must be finite and > 0");
                let valid = sigma_max.is_finite() && sigma_max > sigma_min;
                Problem::unless(&mut problems, valid, path, "sigma_max", sigma_max, "must be finite and > sigma_min");
            }
            Self::Points { points } => {
                let ends = points.first() == Some(&0.0) && points.last() == Some(&1.0);
                let increasing = points.windows(2).all(|pair| pair[0] < pair[1]);
                let valid = ends && increasing && (2..=MOST_POINTS).contains(&points.len());
                let must = format!("must be 2 to {MOST_POINTS} increasing times, the first 0, the last 1");
                Problem::unless(&mut problems, valid, path, "points", format!("{} times", points.len()), must);
            }
        }
        problems
    }
}

fn sd3_times(steps: usize, factor: f64) -> Vec<f64> {
    let shift = TimeShift::Factor { factor };
    let lowest = 1.0 - shift.map(1.0 - 1e-3);
    let level = |i: usize| 1.0 - (1.0 - lowest) * i as f64 / steps.saturating_sub(1).max(1) as f64;
    (0..=steps).map(|i| if i == steps { 1.0 } else { shift.map(1.0 - level(i)) }).collect()
}

/// The point at `u` in [0, 1] on straight lines between `points` at equal distances.
fn interpolated(points: &[f64], u: f64) -> f64 {
    let place = u * points.len().saturating_sub(1) as f64;
    let before = (place as usize).min(points.len().saturating_sub(2));
    match points.get(before..before + 2) {
        Some([low, high]) => low + (high - low) * (place - before as f64),
        _ => u,
    }
}

/// `t = 1/(1 + σ)` of Karras' levels, then 1, moved so that the first is 0.
fn karras_times(steps: usize, rho: f64, sigma_min: f64, sigma_max: f64) -> Vec<f64> {
    let (low, high) = (sigma_min.powf(rho.recip()), sigma_max.powf(rho.recip()));
    let level = |i: usize| (high + (low - high) * i as f64 / steps.saturating_sub(1).max(1) as f64).powf(rho);
    let time = |i: usize| if i == steps { 1.0 } else { 1.0 / (1.0 + level(i)) };
    let first = time(0);
    (0..=steps).map(|i| if i == steps { 1.0 } else { (time(i) - first) / (1.0 - first) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(json: &str) -> TimesConfig {
        let config: TimesConfig = serde_json::from_str(json).unwrap();
        assert!(config.problems("t").is_empty());
        config
    }

    const GRIDS: [&str; 8] = [
        r#"{"kind": "uniform"}"#,
        r#"{"kind": "power", "exponent": 2}"#,
        r#"{"kind": "sd3"}"#,
        r#"{"kind": "shifted", "shift": {"dim": 196608}, "last": 1}"#,
        r#"{"kind": "shifted", "shift": {"factor": 0.5}, "last": 1}"#,
        r#"{"kind": "karras"}"#,
        r#"{"kind": "points", "points": [0, 0.05, 0.3, 1]}"#,
        r#"{"kind": "points", "points": [0, 1]}"#,
    ];

    #[test]
    fn grids_increase_from_the_start_to_the_end() {
        for json in GRIDS {
            for (steps, start, end) in [(1, 0.0, 1.0), (7, 0.0, 1.0), (5, 1e-3, 0.96), (250, 0.0, 0.999)] {
                let times = grid(json).times(steps, start, end);
                assert_eq!(times.len(), steps + 1, "{json}");
                assert!((times[0] - start).abs() < 1e-15 && (times[steps] - end).abs() < 1e-15, "{json}: {times:?}");
                assert!(times.windows(2).all(|w| w[0] < w[1]), "{json}: {times:?}");
            }
        }
    }

    #[test]
    fn the_grid_of_rae_is_the_published_one_and_never_reaches_the_data() {
        // As printed by the official code for 50 points, from both ends.
        let times = grid(r#"{"kind": "shifted", "shift": {"dim": 196608}}"#).times(49, 0.0, 1.0);
        let reversed: Vec<f64> = times.iter().map(|t| 1.0 - t).collect();
        for (found, expected) in reversed.iter().zip([1.0, 0.997_005, 0.993_902, 0.990_684]) {
            assert!((found - expected).abs() < 1e-6);
        }
        for (found, expected) in reversed.iter().rev().zip([0.006_887, 0.131_505, 0.231_979, 0.314_705]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn points_are_the_times_of_as_many_steps_and_lines_between_them() {
        let points = grid(r#"{"kind": "points", "points": [0, 0.1, 0.4, 1]}"#);
        assert_eq!(points.times(3, 0.0, 1.0), [0.0, 0.1, 0.4, 1.0]);
        let six = points.times(6, 0.0, 1.0);
        for (found, expected) in six.iter().zip([0.0, 0.05, 0.1, 0.25, 0.4, 0.7, 1.0]) {
            assert!((found - expected).abs() < 1e-12, "{six:?}");
        }
    }

    /// Levels of the published code for 5 steps, ρ = 7, from 80 to 0.002.
    #[test]
    fn the_levels_are_those_of_karras() {
        let times = karras_times(5, 7.0, 0.002, 80.0);
        let first = 1.0 / 81.0;
        for (time, level) in times.iter().zip([80.0, 17.527_832, 2.515_219, 0.169_752_756, 0.002]) {
            let expected = (1.0 / (1.0 + level) - first) / (1.0 - first);
            assert!((time - expected).abs() < 1e-6, "{time} {expected}");
        }
        assert_eq!(times[5], 1.0);
    }

    #[test]
    fn impossible_values_are_reported_and_misspelt_keys_refused() {
        let path = |json: &str| serde_json::from_str::<TimesConfig>(json).unwrap().problems("t")[0].path.clone();
        assert_eq!(path(r#"{"kind": "shifted", "shift": {"factor": 0}}"#), "t.shift.factor");
        assert_eq!(path(r#"{"kind": "shifted", "shift": {"factor": 1}, "last": 0}"#), "t.last");
        assert_eq!(path(r#"{"kind": "sd3", "shift": -1}"#), "t.shift");
        assert_eq!(path(r#"{"kind": "power", "exponent": 0}"#), "t.exponent");
        assert_eq!(path(r#"{"kind": "karras", "rho": 0}"#), "t.rho");
        assert_eq!(path(r#"{"kind": "karras", "sigma_max": 0.001}"#), "t.sigma_max");
        for points in ["[]", "[0]", "[0, 0.9]", "[0.1, 1]", "[0, 0.5, 0.5, 1]"] {
            assert_eq!(path(&format!(r#"{{"kind": "points", "points": {points}}}"#)), "t.points", "{points}");
        }
        assert!(serde_json::from_str::<TimesConfig>(r#"{"kind": "power", "exponent": 1, "p": 2}"#).is_err());
    }
}
