//! A density conditioned on an interval of times: t ~ density given low ≤ t ≤ high.
use super::Density;
use crate::Problem;
use serde::{Deserialize, Serialize};

/// The interval of times [low, high] a density is cut down to, before any shift. JSON: `[0.001, 1]`.
///
/// RAE keeps its reversed time s = 1 − t in [0, 0.999], which is t in [0.001, 1] here. The MixFlow patch of RAE takes
/// the root of a number in [0, 0.999]: Beta(2, 1) cut down to t in [0, √0.999].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Truncation(pub [f64; 2]);

impl Truncation {
    /// The time in the interval where the truncated distribution function of `density` is `u`, in [0, 1]; `None`
    /// where the [quantile](Density::map) of the density has no closed form.
    ///
    /// With F the distribution function and Q its inverse: Q(F(low) + u (F(high) − F(low))).
    /// ```
    /// use burn_mixflow::timestep::{Density, Truncation};
    /// let t = Truncation([0.2, 0.6]).map(&Density::Uniform {}, 0.5).unwrap();
    /// assert!((t - 0.4).abs() < 1e-15);
    /// ```
    pub fn map(&self, density: &Density, u: f64) -> Option<f64> {
        self.within(density, self.levels(density)?, u)
    }

    /// F(low) and F(high).
    pub(super) fn levels(&self, density: &Density) -> Option<[f64; 2]> {
        let [low, high] = self.0;
        Some([level(density, low)?, level(density, high)?])
    }

    /// The map, given the levels of `density`.
    pub(super) fn within(&self, density: &Density, [below, above]: [f64; 2], u: f64) -> Option<f64> {
        let [low, high] = self.0;
        Some(density.map(below + u * (above - below))?.clamp(low, high))
    }

    /// Everything wrong with this interval for `density`; `path` is the key it stands under.
    pub fn problems(&self, density: &Density, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let [low, high] = self.0;
        let mut must = |condition: &str| {
            problems.push(Problem { path: path.into(), message: format!("= [{low}, {high}]: {condition}") });
        };
        if !(0.0 <= low && low < high && high <= 1.0) {
            must("must be [low, high] with 0 <= low < high <= 1");
        } else if density.problems("").is_empty() {
            match self.levels(density) {
                None => must("needs a density with a closed quantile: not Beta(a, b) with a and b both not 1"),
                Some([below, above]) if below >= above => must("must hold some of the density"),
                Some(_) => {}
            }
        }
        problems
    }
}

/// F(t): the u in [0, 1] with map(u) = t, by halving.
fn level(density: &Density, t: f64) -> Option<f64> {
    let (mut below, mut above) = (0.0, 1.0);
    if t <= 0.0 {
        return density.map(0.0).map(|_| 0.0);
    }
    if t >= 1.0 {
        return density.map(1.0).map(|_| 1.0);
    }
    // 100 halvings keep all digits of levels down to 1e-14.
    for _ in 0..100 {
        let middle = 0.5 * (below + above);
        if density.map(middle)? < t {
            below = middle;
        } else {
            above = middle;
        }
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_distribution_functions() {
        let check = |density: Density, t: f64, expected: f64| {
            let found = level(&density, t).unwrap();
            assert!((found - expected).abs() <= 1e-9 * expected, "{density:?} at {t}: {found} {expected}");
        };
        check(Density::Uniform {}, 0.001, 0.001);
        check(Density::BETA_2_1, 0.999f64.sqrt(), 0.999);
        check(Density::Beta { a: 1.0, b: 3.0 }, 0.5, 0.875);
        check(Density::LogitNormal { mean: 0.0, std: 1.0 }, 0.5, 0.5);
        // Φ(ln(1/999)) by the continued fraction of Mills' ratio.
        let z: f64 = 999f64.ln();
        let mills = (1..60).rev().fold(z, |tail, k| z + f64::from(k) / tail).recip();
        let tail = mills * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        check(Density::LogitNormal { mean: 0.0, std: 1.0 }, 0.001, tail);
    }

    #[test]
    fn the_ends_are_reached_and_never_passed() {
        let (uniform, mode) = (Density::Uniform {}, Density::Mode { scale: 1.29 });
        let logit = Density::LogitNormal { mean: 0.4, std: 2.0 };
        for density in [uniform, Density::BETA_2_1, mode, logit, Density::Cosmap {}] {
            for (low, high) in [(0.001, 1.0), (0.0, 0.999), (0.3, 0.31), (0.0, 1.0)] {
                let cut = Truncation([low, high]);
                let t = |u: f64| cut.map(&density, u).unwrap();
                assert!((t(0.0) - low).abs() < 1e-9 && (t(1.0) - high).abs() < 1e-9, "{density:?} {cut:?}");
                let all: Vec<f64> = (0..=100).map(|i| t(f64::from(i) / 100.0)).collect();
                assert!(all.is_sorted() && all[0] >= low && all[100] <= high, "{density:?} {cut:?}");
            }
        }
    }

    #[test]
    fn intervals_that_cannot_be_are_refused() {
        let text = |cut: [f64; 2], d: Density| Truncation(cut).problems(&d, "p").first().map(ToString::to_string);
        let range = "must be [low, high] with 0 <= low < high <= 1";
        assert_eq!(text([0.5, 0.5], Density::Uniform {}), Some(format!("p = [0.5, 0.5]: {range}")));
        assert_eq!(text([f64::NAN, 0.5], Density::Uniform {}), Some(format!("p = [NaN, 0.5]: {range}")));
        assert!(text([0.1, 0.5], Density::Beta { a: 2.0, b: 2.0 }).unwrap().contains("closed quantile"));
        let narrow = Density::LogitNormal { mean: 0.0, std: 0.001 };
        assert!(text([0.9, 1.0], narrow).unwrap().contains("some of the density"));
        assert_eq!(text([0.1, 0.5], Density::Mode { scale: 0.3 }), None);
    }
}
