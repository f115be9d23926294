//! The law of the training timestep `t`.
use super::Heights;
use super::normal::normal_quantile;
use crate::Problem;
use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

/// The largest [`Density::Mode`] scale that keeps its map increasing, 2/(π − 2).
const MAX_MODE_SCALE: f64 = 2.0 / (std::f64::consts::PI - 2.0);

/// The law of the training timestep `t` in this crate's time (0 noise, 1 data).
///
/// Stable Diffusion 3 ([arXiv 2403.03206](https://arxiv.org/abs/2403.03206), section 3.1) states
/// its laws for the noise level `σ = 1 − t`; each variant says how its parameters relate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Density {
    /// U\[0, 1\].
    Uniform {},
    /// Beta(a, b), density proportional to `t^(a−1) (1−t)^(b−1)`; Beta(2, 1) is the paper's, drawn as √u.
    Beta {
        /// Above 1 favours the data end. Finite, > 0.
        a: f64,
        /// Above 1 favours the noise end. Finite, > 0.
        b: f64,
    },
    /// `ln(t/(1−t)) ~ N(mean, std²)`; SD3's rf/lognorm(m, s) is `mean = −m`, `std = s`.
    LogitNormal {
        /// Above 0 favours the data end. Finite.
        #[serde(default)]
        mean: f64,
        /// Finite, > 0.
        #[serde(default = "one")]
        std: f64,
    },
    /// `ln tan(πt/2) ~ N(mean, std²)`: on the GVP path `α/σ` is log-normal, as it is under the logit-normal law on the
    /// linear path. Both with mean 0 and std 1 are REPA's "lognormal" weighting, of its cosine and its linear path.
    GvpLogNormal {
        /// Above 0 favours the data end. Finite.
        #[serde(default)]
        mean: f64,
        /// Finite, > 0.
        #[serde(default = "one")]
        std: f64,
    },
    /// `σ = 1 − u − s(cos²(πu/2) − 1 + u)`, so `t = u + s(cos²(πu/2) − 1 + u)`; SD3's rf/mode(s).
    Mode {
        /// SD3's `s`: above 0 favours the middle, below 0 the ends. In [−1, 2/(π−2)].
        scale: f64,
    },
    /// `t = 1 − 1/(tan(πu/2) + 1)`, SD3's rf/cosmap; symmetric, so the same law in either direction of time.
    Cosmap {},
    /// Piecewise constant: equal intervals of [0, 1], each with a density proportional to its value.
    Table {
        /// One value per interval, 1 to 32 of them, from the noise end to the data end. Finite, at least 0, not all 0.
        values: Heights,
    },
}

fn one() -> f64 {
    1.0
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Density {
    /// The paper's Beta(2, 1).
    pub const BETA_2_1: Self = Self::Beta { a: 2.0, b: 1.0 };

    /// The increasing map from `u` in [0, 1] to `t` (the inverse distribution function), where there is a closed
    /// form: every law but Beta(a, b) with a and b both different from 1.
    pub fn map(&self, u: f64) -> Option<f64> {
        let t = match *self {
            Self::Uniform {} => u,
            Self::Beta { a: 2.0, b: 1.0 } => u.sqrt(),
            Self::Beta { a, b: 1.0 } => u.powf(a.recip()),
            Self::Beta { a: 1.0, b } => 1.0 - (1.0 - u).powf(b.recip()),
            Self::Beta { .. } => return None,
            Self::LogitNormal { .. } | Self::GvpLogNormal { .. } => self.map_normal(normal_quantile(u))?,
            Self::Mode { scale } => u + scale * ((FRAC_PI_2 * u).cos().powi(2) - 1.0 + u),
            Self::Cosmap {} => 1.0 - 1.0 / ((FRAC_PI_2 * u).tan() + 1.0),
            Self::Table { values } => values.quantile(u),
        };
        Some(t.clamp(0.0, 1.0))
    }

    /// The increasing map from a standard normal `z` to `t`, for the laws that are drawn so.
    pub fn map_normal(&self, z: f64) -> Option<f64> {
        match *self {
            Self::LogitNormal { mean, std } => Some(logistic(mean + std * z)),
            Self::GvpLogNormal { mean, std } => Some((mean + std * z).exp().atan() / FRAC_PI_2),
            _ => None,
        }
    }

    /// Every parameter out of its range, with `path` in front of its name.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut positive = |key, value: f64| {
            Problem::unless(
                &mut problems,
                value > 0.0 && value.is_finite(),
                path,
                key,
                value,
                "must be finite and > 0",
            );
        };
        match *self {
            Self::Uniform {} | Self::Cosmap {} => {}
            Self::Beta { a, b } => {
                positive("a", a);
                positive("b", b);
            }
            Self::LogitNormal { mean, std } | Self::GvpLogNormal { mean, std } => {
                positive("std", std);
                Problem::unless(&mut problems, mean.is_finite(), path, "mean", mean, "must be finite");
            }
            Self::Table { values } => problems.extend(values.problems(path)),
            Self::Mode { scale } => {
                let fulfilled = (-1.0..=MAX_MODE_SCALE).contains(&scale);
                Problem::unless(&mut problems, fulfilled, path, "scale", scale, "must be in [-1, 2/(pi - 2)]");
            }
        }
        problems
    }

    /// One `t` in [0, 1]. A density with [problems](Self::problems) draws from the uniform law.
    pub fn sample(&self, rng: &mut dyn Rng) -> f64 {
        match *self {
            Self::LogitNormal { .. } | Self::GvpLogNormal { .. } => {
                let z: f64 = StandardNormal.sample(rng);
                self.map_normal(z).unwrap_or(z)
            }
            Self::Beta { a, b } if a != 1.0 && b != 1.0 => match Beta::new(a, b) {
                Ok(law) => law.sample(rng),
                Err(_) => rng.random(),
            },
            _ => {
                let u = rng.random();
                self.map(u).unwrap_or(u)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestep::statistics::{kolmogorov_smirnov, stream};

    fn check(density: Density, cdf: impl Fn(f64) -> f64) {
        let mut rng = stream(11);
        kolmogorov_smirnov(&format!("{density:?}"), (0..200_000).map(|_| density.sample(&mut rng)), cdf);
    }

    #[test]
    fn draws_follow_their_distribution_functions() {
        check(Density::Uniform {}, |t| t);
        check(Density::BETA_2_1, |t| t * t);
        check(Density::Beta { a: 1.0, b: 3.0 }, |t| 1.0 - (1.0 - t).powi(3));
        check(Density::Beta { a: 2.0, b: 2.0 }, |t| t * t * (3.0 - 2.0 * t));
        check(Density::Cosmap {}, |t| (t / (1.0 - t)).atan() / FRAC_PI_2);
    }

    #[test]
    fn a_table_is_piecewise_constant() {
        let table = |json: &str| serde_json::from_str::<Density>(&format!(r#"{{"kind": "table", "values": {json}}}"#));
        check(table("[1]").unwrap(), |t| t);
        // Masses 1/8, 0, 2/8 and 5/8 of four quarters.
        check(table("[0.5, 0, 1, 2.5]").unwrap(), |t| {
            let part = |mass: f64, i: f64| mass * (4.0 * t - i).clamp(0.0, 1.0);
            part(0.125, 0.0) + part(0.25, 2.0) + part(0.625, 3.0)
        });
        let text = |json: &str| table(json).unwrap().problems("p").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text("[1, -2, 3]"), ["p.values[1] = -2: must be finite and at least 0"]);
        assert_eq!(text("[0, 0]"), ["p.values = [0.0, 0.0]: must not all be 0"]);
        assert_eq!(text("[]"), ["p.values = []: must not all be 0"]);
        assert!(table(&format!("{:?}", vec![1; 33])).unwrap_err().to_string().contains("at most 32 values, found 33"));
    }

    /// Φ(z), Abramowitz and Stegun 7.1.26, right to 1e-7.
    fn normal_cdf(z: f64) -> f64 {
        let x = z.abs() / std::f64::consts::SQRT_2;
        let t = 1.0 / (1.0 + 0.327_591_1 * x);
        let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
        let upper = 0.5 * series.iter().fold(0.0, |sum, c| sum * t + c) * t * (-x * x).exp();
        if z < 0.0 { upper } else { 1.0 - upper }
    }

    #[test]
    fn laws_of_a_normal_follow_their_distribution_functions() {
        for (mean, std) in [(0.0, 1.0), (0.7, 0.5), (-1.0, 1.5)] {
            let standard = |log_ratio: f64| normal_cdf((log_ratio - mean) / std);
            check(Density::LogitNormal { mean, std }, |t| standard((t / (1.0 - t)).ln()));
            check(Density::GvpLogNormal { mean, std }, |t| standard((FRAC_PI_2 * t).tan().ln()));
        }
    }

    #[test]
    fn both_laws_of_a_normal_make_alpha_over_sigma_log_normal() {
        use crate::path::{Gvp, Linear, Path};
        let (mean, std) = (0.3, 1.2);
        let pairs: [(Density, &dyn Path); 2] =
            [(Density::LogitNormal { mean, std }, &Linear), (Density::GvpLogNormal { mean, std }, &Gvp)];
        for (density, path) in pairs {
            for z in [-2.0, 0.0, 1.5] {
                let c = path.coefficients(density.map_normal(z).unwrap());
                assert!(((c.alpha / c.sigma).ln() - (mean + std * z)).abs() < 1e-12, "{density:?} at {z}");
            }
        }
    }

    #[test]
    fn sd3_modes_are_sd3s_noise_level_seen_from_the_other_end() {
        for scale in [-1.0, -0.3, 0.81, 1.29, MAX_MODE_SCALE] {
            let density = Density::Mode { scale };
            assert!(density.problems("").is_empty());
            let mut last = 0.0;
            for u in (0..=1000).map(|i| f64::from(i) / 1000.0) {
                let sigma = 1.0 - u - scale * ((FRAC_PI_2 * u).cos().powi(2) - 1.0 + u);
                let t = density.map(u).unwrap();
                assert!((t - (1.0 - sigma)).abs() < 1e-15);
                assert!(t >= last, "{scale}: not increasing at {u}");
                last = t;
            }
            assert_eq!(last, 1.0);
        }
    }

    #[test]
    fn parameters_out_of_range_are_all_reported() {
        let text = |d: Density| d.problems("p").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            text(Density::Beta { a: 0.0, b: f64::NAN }),
            ["p.a = 0: must be finite and > 0", "p.b = NaN: must be finite and > 0"]
        );
        assert_eq!(text(Density::LogitNormal { mean: f64::INFINITY, std: -1.0 }).len(), 2);
        assert_eq!(text(Density::GvpLogNormal { mean: f64::NAN, std: 0.0 }).len(), 2);
        assert_eq!(text(Density::Mode { scale: 1.8 }), ["p.scale = 1.8: must be in [-1, 2/(pi - 2)]"]);
        assert!(text(Density::Uniform {}).is_empty());
    }
}
