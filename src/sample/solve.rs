//! Integrates `dx/dt = v(x, t)` over a grid of times with any [`Tableau`].
use super::{At, Step, Tableau, VelocityField};
use burn::tensor::Tensor;

/// A state on the way, given to observers.
#[derive(Debug)]
pub struct Reached<'a, const D: usize> {
    /// Steps done; for an adaptive solver, requested times reached.
    pub step: usize,
    /// Their total.
    pub steps: usize,
    /// The time of the state.
    pub time: f64,
    /// Evaluations of the velocity field so far.
    pub evaluations: usize,
    /// The state `[batch, ...]`.
    pub state: &'a Tensor<D>,
}

/// The state at the last of `times`, starting from `start` at the first: one step per interval.
///
/// `times` may run in either direction; with fewer than two of them `start` comes back unchanged.
/// `observe` is called after each step.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_mixflow::sample::{Tableau, solve, uniform_times};
///
/// let field = |x: Tensor<2>, _t: f64| -x;
/// let start = Tensor::<2>::ones([1, 2], &Device::flex());
/// let end = solve(&field, start, &uniform_times(10), &Tableau::RK4, &mut |_| {});
/// assert!((end.mean().into_scalar::<f32>() - (-1f32).exp()).abs() < 1e-5);
/// ```
pub fn solve<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    start: Tensor<D>,
    times: &[f64],
    tableau: &Tableau,
    observe: &mut dyn FnMut(Reached<'_, D>),
) -> Tensor<D> {
    solve_with(field, start, times, &|_| tableau, observe)
}

/// As [`solve`], with a tableau for each step.
pub(super) fn solve_with<'t, const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    start: Tensor<D>,
    times: &[f64],
    tableau: &dyn Fn(Step) -> &'t Tableau,
    observe: &mut dyn FnMut(Reached<'_, D>),
) -> Tensor<D> {
    let steps = times.len().saturating_sub(1);
    let (mut state, mut evaluations) = (start, 0);
    for (index, ends) in times.windows(2).enumerate() {
        let step = Step { index, count: steps, start: ends[0] };
        let tableau = tableau(step);
        let width = ends[1] - ends[0];
        let mut slopes = Vec::<Tensor<D>>::with_capacity(tableau.stages());
        for (node, row) in tableau.nodes.iter().zip(tableau.matrix) {
            let stage = advance(state.clone(), &slopes, row, width);
            slopes.push(field.velocity_at(stage, At::within(step, ends[0] + node * width)));
        }
        state = advance(state, &slopes, tableau.weights, width);
        evaluations += tableau.stages();
        observe(Reached { step: index + 1, steps, time: ends[1], evaluations, state: &state });
    }
    state
}

/// `state + width Σ weight · slope`.
pub(super) fn advance<const D: usize>(
    state: Tensor<D>,
    slopes: &[Tensor<D>],
    weights: &[f64],
    width: f64,
) -> Tensor<D> {
    slopes
        .iter()
        .zip(weights)
        .filter(|(_, weight)| **weight != 0.0)
        .fold(state, |sum, (slope, weight)| sum + slope.clone().mul_scalar(weight * width))
}

#[cfg(test)]
mod tests {
    use super::super::uniform_times;
    use super::*;
    use burn::tensor::{DType, Device};

    /// A velocity and the state it reaches at time 1 from 0.5. Two, as a method can do unusually well on one.
    type Flow = (fn(Tensor<1>, f64) -> Tensor<1>, f64);

    fn flows() -> [Flow; 2] {
        let square: Flow = (|x, t| (x.clone() * x).mul_scalar(t.cos()), 0.5 / (1.0 - 0.5 * 1f64.sin()));
        [square, (|x, t| x.mul_scalar(3.0 * (3.0 * t).cos()), 0.5 * 3f64.sin().exp())]
    }

    /// In f64, so that rounding hides no order.
    fn order<'t>(tableau: &dyn Fn(Step) -> &'t Tableau, (field, exact): Flow, steps: usize) -> f64 {
        let error = |steps: usize| {
            let start = Tensor::<1>::full([1], 0.5, (&Device::flex(), DType::F64));
            let end = solve_with(&field, start, &uniform_times(steps), tableau, &mut |_| {});
            (end.into_scalar::<f64>() - exact).abs()
        };
        (error(steps) / error(2 * steps)).log2()
    }

    #[test]
    fn every_solver_converges_with_its_order() {
        for tableau in Tableau::ALL {
            // On the first flow the errors of order 5 cancel down to rounding.
            let flow = flows()[usize::from(tableau.order > 4)];
            let measured = order(&|_| &tableau, flow, 40);
            assert!((measured - f64::from(tableau.order)).abs() < 0.1, "{}: {measured}", tableau.name);
        }
    }

    #[test]
    fn one_last_step_of_euler_keeps_the_order_of_heun() {
        let solver = super::super::SolverConfig::HeunThenEuler;
        let tableau = |step: Step| solver.tableau(step.index, step.count).unwrap();
        let measured = order(&tableau, flows()[0], 320);
        assert!((measured - 2.0).abs() < 0.1, "{measured}");
    }

    #[test]
    fn a_constant_field_is_solved_exactly_and_every_step_is_observed() {
        let mut seen = Vec::new();
        let start = Tensor::<1>::from_floats([0.25], &Device::flex());
        let field = |x: Tensor<1>, _: f64| x.ones_like();
        let end = solve(&field, start, &uniform_times(4), &Tableau::RK4, &mut |r| {
            seen.push((r.step, r.steps, r.time, r.evaluations, r.state.clone().into_scalar::<f32>()));
        });
        assert!((end.into_scalar::<f32>() - 1.25).abs() < 1e-6);
        assert_eq!(seen.len(), 4);
        assert_eq!((seen[1].0, seen[1].1, seen[1].2, seen[1].3), (2, 4, 0.5, 8));
        assert!((seen[1].4 - 0.75).abs() < 1e-6);
    }

    #[test]
    fn without_an_interval_nothing_moves() {
        let start = Tensor::<1>::from_floats([0.5], &Device::flex());
        let field = |x: Tensor<1>, _: f64| x.ones_like();
        let end = solve(&field, start, &[0.0], &Tableau::HEUN, &mut |_| {});
        assert_eq!(end.into_scalar::<f32>(), 0.5);
    }
}
