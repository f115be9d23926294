//! `t ~ density`, shifted, then `m ~ slowing given t`.
use super::{Density, Slowing, TimeShift, TimestepStrategy, Timesteps, Truncation};
use crate::{Error, Result};
use rand::RngExt;

/// A strategy that draws `t` from a density, truncated or not, shifts it, and draws `m` given the shifted `t`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product {
    density: Density,
    /// With the levels of the density at its ends.
    truncation: Option<(Truncation, [f64; 2])>,
    slowing: Slowing,
    shift: Option<TimeShift>,
}

impl Product {
    /// The product of the two laws; [`Error::Config`] lists every parameter out of its range.
    pub fn new(density: Density, slowing: Slowing, shift: Option<TimeShift>) -> Result<Self> {
        let mut problems = density.problems("density");
        problems.extend(slowing.problems("slowing"));
        problems.extend(shift.iter().flat_map(|s| s.problems("time_shift")));
        Error::if_any(problems)?;
        Ok(Self { density, truncation: None, slowing, shift })
    }

    /// The same with the density conditioned on an interval; [`Error::Config`] if the two do not fit.
    pub fn truncated(self, truncation: Truncation) -> Result<Self> {
        Error::if_any(truncation.problems(&self.density, "truncate"))?;
        let levels = truncation.levels(&self.density);
        Ok(Self { truncation: levels.map(|levels| (truncation, levels)), ..self })
    }

    /// The same law of `t` with another slowing, which is not checked.
    pub(super) fn with_slowing(self, slowing: Slowing) -> Self {
        Self { slowing, ..self }
    }

    fn draw(&self, rng: &mut dyn rand::Rng) -> f64 {
        let Some((truncation, levels)) = self.truncation else { return self.density.sample(rng) };
        let u = rng.random();
        truncation.within(&self.density, levels, u).unwrap_or(u)
    }
}

impl TimestepStrategy for Product {
    fn sample(&self, rng: &mut dyn rand::Rng) -> Timesteps {
        let t = self.draw(rng);
        let t = self.shift.map_or(t, |shift| shift.map(t));
        let training = t.clamp(0.0, 1.0) as f32;
        Timesteps { training, slowed: self.slowing.sample(training, rng) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestep::statistics::{kolmogorov_smirnov, stream};

    fn mixflow(gamma: f64) -> Product {
        Product::new(Density::BETA_2_1, Slowing::Range { gamma }, None).unwrap()
    }

    #[test]
    fn mixflow_has_the_papers_laws() {
        let (strategy, gamma) = (mixflow(0.4), 0.4);
        let mut rng = stream(31);
        let pairs: Vec<_> = (0..200_000).map(|_| strategy.sample(&mut rng)).collect();
        let t = |p: &Timesteps| f64::from(p.training);
        kolmogorov_smirnov("t", pairs.iter().map(t), |x| x * x);
        let relative = |p: &Timesteps| (t(p) - f64::from(p.slowed)) / (gamma * t(p));
        kolmogorov_smirnov("(t - m)/(gamma t)", pairs.iter().map(relative), |x| x);
        // Independence: the same law among the small t alone.
        let small = pairs.iter().filter(|p| p.training < 0.5).map(relative);
        kolmogorov_smirnov("(t - m)/(gamma t) below 0.5", small, |x| x);
    }

    #[test]
    fn mixflow_pairs_are_uniform_on_the_wedge() {
        for gamma in [0.4, 0.8] {
            const SIDE: usize = 25;
            const DRAWS: usize = 400_000;
            let (strategy, mut rng) = (mixflow(gamma), stream(32));
            let mut counts = vec![[0_u32; SIDE]; SIDE];
            for _ in 0..DRAWS {
                let pair = strategy.sample(&mut rng);
                let cell = |x: f32| ((x * SIDE as f32) as usize).min(SIDE - 1);
                counts[cell(pair.training)][cell(pair.slowed)] += 1;
            }
            // Cells that lie wholly in the wedge have equal probability: area over the wedge's area γ/2.
            let inside = |i: usize, j: usize| j < i && j as f64 >= (1.0 - gamma) * (i + 1) as f64;
            let expected = DRAWS as f64 * 2.0 / (gamma * (SIDE * SIDE) as f64);
            let cells: Vec<f64> = (0..SIDE)
                .flat_map(|i| (0..SIDE).map(move |j| (i, j)))
                .filter(|(i, j)| inside(*i, *j))
                .map(|(i, j)| f64::from(counts[i][j]))
                .collect();
            let chi2: f64 = cells.iter().map(|c| (c - expected).powi(2) / expected).sum();
            // Wilson-Hilferty at 4.75 standard deviations: false-alarm rate 1e-6.
            let n = cells.len() as f64;
            let limit = n * (1.0 - 2.0 / (9.0 * n) + 4.75 * (2.0 / (9.0 * n)).sqrt()).powi(3);
            assert!(n > 80.0 && chi2 < limit, "gamma {gamma}: chi2 {chi2} over {n} cells, limit {limit}");
        }
    }

    #[test]
    fn the_shift_acts_on_t_before_m_is_drawn() {
        let shift = TimeShift::Factor { factor: 3.0 };
        let shifted = Product::new(Density::BETA_2_1, Slowing::Range { gamma: 0.8 }, Some(shift)).unwrap();
        for seed in 0..1000 {
            let plain = mixflow(0.0).sample(&mut stream(seed)).training;
            let pair = shifted.sample(&mut stream(seed));
            assert!((f64::from(pair.training) - shift.map(f64::from(plain))).abs() < 1e-6);
            assert!((1.0 - 0.8_f32) * pair.training <= pair.slowed && pair.slowed <= pair.training);
        }
    }

    #[test]
    fn a_truncated_density_is_the_density_given_the_interval() {
        let (low, high) = (0.2, 0.7);
        let plain = Product::new(Density::LogitNormal { mean: 0.3, std: 1.5 }, Slowing::None {}, None).unwrap();
        let cut = plain.truncated(Truncation([low, high])).unwrap();
        let draws = |strategy: &Product, count| {
            let mut rng = stream(33);
            (0..count).map(move |_| f64::from(strategy.sample(&mut rng).training)).collect::<Vec<_>>()
        };
        // Against rejection: the share below x of those draws of the plain law that fall into the interval.
        let mut kept: Vec<f64> = draws(&plain, 4_000_000).into_iter().filter(|t| (low..=high).contains(t)).collect();
        kept.sort_by(f64::total_cmp);
        let share = |x: f64| kept.partition_point(|t| *t <= x) as f64 / kept.len() as f64;
        kolmogorov_smirnov("truncated", draws(&cut, 50_000).into_iter(), share);
        let refused = plain.truncated(Truncation([0.7, 0.2]));
        assert!(matches!(refused, Err(Error::Config(problems)) if problems[0].path == "truncate"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let error = Product::new(
            Density::Beta { a: -1.0, b: 1.0 },
            Slowing::Range { gamma: f64::NAN },
            Some(TimeShift::Factor { factor: 0.0 }),
        );
        let Err(Error::Config(problems)) = error else { panic!("{error:?}") };
        assert_eq!(problems.len(), 3);
    }
}
