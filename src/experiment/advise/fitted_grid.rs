//! A time grid fitted to a model: points where its own trajectories bend.
//!
//! A step of length h from t by a method of order p errs by about `C h^(p+1) ‖d^(p+1)x/dt^(p+1)‖`. For a given number of
//! steps the sum of these is least where every step errs alike, so that the points stand at equal distances of
//! `∫ ‖d^(p+1)x/dt^(p+1)‖^(1/(p+1)) dt` (equidistribution). The derivatives are differences of the velocity along
//! trajectories of many short Euler steps. That an early error grows or shrinks on its way to the data is left out.
use crate::sample::{VelocityField, uniform_times};
use burn::tensor::Tensor;

/// The least density, as a part of the mean one: no step becomes very long where a trajectory happens to be straight.
const LEAST: f64 = 0.1;

/// Σ of squares of `d²x/dt²` and of `d³x/dt³`, over samples and values, in each step of a fine uniform grid.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bending {
    second: Vec<f64>,
    third: Vec<f64>,
}

impl Bending {
    /// Adds what the trajectories from `start` show in `steps` steps over `[low, high]`.
    pub fn add<const D: usize>(
        &mut self,
        field: &dyn VelocityField<D>,
        start: Tensor<D>,
        [low, high]: [f64; 2],
        steps: usize,
    ) {
        self.second.resize(steps, 0.0);
        self.third.resize(steps, 0.0);
        let width = (high - low) / steps as f64;
        let square = |x: Tensor<D>| f64::from((x.clone() * x).sum().into_scalar::<f32>());
        let (mut x, mut before): (Tensor<D>, [Option<Tensor<D>>; 2]) = (start, [None, None]);
        for (step, time) in uniform_times(steps).into_iter().take(steps).enumerate() {
            let velocity = field.velocity(x.clone(), low + (high - low) * time);
            if let Some(last) = &before[1] {
                let change = velocity.clone() - last.clone();
                self.second[step - 1] += square(change.clone()) / width.powi(2);
                if let Some(first) = &before[0] {
                    self.third[step - 1] += square(change - (last.clone() - first.clone())) / width.powi(4);
                }
            }
            x = x + velocity.clone().mul_scalar(width);
            before = [before[1].take(), Some(velocity)];
        }
        // The ends have no difference of their own.
        if steps > 2 {
            (self.second[steps - 1], self.third[steps - 1]) = (self.second[steps - 2], self.third[steps - 2]);
            self.third[0] = self.third[1];
        }
    }

    /// The grid for methods of order 1 or 2: `points` times, the first 0 and the last 1.
    pub fn grid(&self, order: usize, points: usize) -> Vec<f64> {
        let squares = if order < 2 { &self.second } else { &self.third };
        let exponent = 0.5 / (order.min(2) + 1) as f64;
        equidistributed(&squares.iter().map(|square| square.powf(exponent)).collect::<Vec<_>>(), points)
    }
}

/// `points` times from 0 to 1 between which `density`, given on intervals of one length, has equal integrals.
fn equidistributed(density: &[f64], points: usize) -> Vec<f64> {
    let mean = density.iter().sum::<f64>() / density.len().max(1) as f64;
    if !(mean > 0.0 && mean.is_finite()) {
        return uniform_times(points.saturating_sub(1).max(1));
    }
    let raised: Vec<f64> = density.iter().map(|value| value.max(LEAST * mean)).collect();
    let (all, last) = (raised.iter().sum::<f64>(), points.saturating_sub(1).max(1));
    let (mut times, mut place, mut below) = (vec![0.0], 0, 0.0);
    for point in 1..last {
        let wanted = all * point as f64 / last as f64;
        while place + 1 < raised.len() && below + raised[place] < wanted {
            below += raised[place];
            place += 1;
        }
        let time = (place as f64 + (wanted - below) / raised[place]) / raised.len() as f64;
        times.push((time * 1e5).round() / 1e5);
    }
    times.push(1.0);
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Tableau, TimesConfig, solve};
    use burn::tensor::Device;

    #[test]
    fn equal_bending_makes_equal_steps_and_twice_the_density_half_of_them() {
        assert_eq!(equidistributed(&[3.0; 7], 5), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(equidistributed(&[0.0; 4], 3), [0.0, 0.5, 1.0]);
        assert_eq!(equidistributed(&[2.0, 2.0, 1.0, 1.0], 4), [0.0, 0.25, 0.5, 1.0]);
        let extreme = equidistributed(&[1e9, 0.0, 0.0, f64::MIN_POSITIVE], 30);
        assert!(extreme.windows(2).all(|pair| pair[0] < pair[1]), "{extreme:?}");
    }

    /// `x' = −6 e^(−8t) x`: fast in the beginning, slow after.
    #[test]
    fn the_fitted_grid_is_better_than_the_uniform_one_where_a_trajectory_bends() {
        let field = |x: Tensor<2>, t: f64| x.mul_scalar(-6.0 * (-8.0 * t).exp());
        let start = || Tensor::<2>::ones([4, 2], &Device::flex());
        let exact = (-6.0 / 8.0 * (1.0 - (-8.0f64).exp())).exp();
        for (order, tableau) in [(1, Tableau::EULER), (2, Tableau::HEUN)] {
            let mut bending = Bending::default();
            bending.add(&field, start(), [0.0, 1.0], 128);
            let points = bending.grid(order, 33);
            assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "{points:?}");
            let error = |times: &TimesConfig| {
                let end = solve(&field, start(), &times.times(8, 0.0, 1.0), &tableau, &mut |_| {});
                (f64::from(end.mean().into_scalar::<f32>()) - exact).abs()
            };
            let fitted = TimesConfig::Points { points };
            assert!(fitted.problems("t").is_empty());
            let (fitted, uniform) = (error(&fitted), error(&TimesConfig::default()));
            assert!(fitted < 0.6 * uniform, "order {order}: {fitted} {uniform}");
        }
    }
}
