//! Integrates `dx/dt = v(x, t)` over a grid of times with any [`Tableau`].
use super::{Tableau, VelocityField};
use burn::tensor::Tensor;

/// `steps + 1` equally spaced times from 0 (noise) to 1 (data).
pub fn uniform_times(steps: usize) -> Vec<f64> {
    (0..=steps).map(|i| if i == steps { 1.0 } else { i as f64 / steps as f64 }).collect()
}

/// The state at the last of `times`, starting from `noise` at the first: one step per interval.
///
/// `times` may run in either direction; with fewer than two of them `noise` comes back unchanged.
/// `progress` is called after each step with the number of steps done and their total.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_mixflow::sample::{SolverKind, solve, uniform_times};
///
/// let field = |x: Tensor<2>, _t: f64| -x;
/// let start = Tensor::<2>::ones([1, 2], &Device::flex());
/// let end = solve(&field, start, &uniform_times(10), SolverKind::Rk4.tableau(), &mut |_, _| {});
/// assert!((end.mean().into_scalar::<f32>() - (-1f32).exp()).abs() < 1e-5);
/// ```
pub fn solve<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    noise: Tensor<D>,
    times: &[f64],
    tableau: &Tableau,
    progress: &mut dyn FnMut(usize, usize),
) -> Tensor<D> {
    let steps = times.len().saturating_sub(1);
    let mut state = noise;
    for (done, interval) in times.windows(2).enumerate() {
        state = step(field, state, interval[0], interval[1] - interval[0], tableau);
        progress(done + 1, steps);
    }
    state
}

fn step<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    state: Tensor<D>,
    time: f64,
    width: f64,
    tableau: &Tableau,
) -> Tensor<D> {
    let mut slopes = Vec::<Tensor<D>>::with_capacity(tableau.stages());
    for (node, row) in tableau.nodes.iter().zip(tableau.matrix) {
        let stage = advance(state.clone(), &slopes, row, width);
        slopes.push(field.velocity(stage, time + node * width));
    }
    advance(state, &slopes, tableau.weights, width)
}

fn advance<const D: usize>(state: Tensor<D>, slopes: &[Tensor<D>], weights: &[f64], width: f64) -> Tensor<D> {
    slopes
        .iter()
        .zip(weights)
        .filter(|(_, weight)| **weight != 0.0)
        .fold(state, |sum, (slope, weight)| sum + slope.clone().mul_scalar(weight * width))
}

#[cfg(test)]
mod tests {
    use super::super::SolverKind;
    use super::*;
    use burn::tensor::{DType, Device};

    /// The error at time 1 of `dx/dt = x² cos t`, whose flow is `x0 / (1 − x0 sin t)`.
    /// In f64, so that rounding hides no order.
    fn error(tableau: &Tableau, steps: usize) -> f64 {
        let field = |x: Tensor<1>, t: f64| (x.clone() * x).mul_scalar(t.cos());
        let start = Tensor::<1>::full([1], 0.5, (&Device::flex(), DType::F64));
        let end = solve(&field, start, &uniform_times(steps), tableau, &mut |_, _| {});
        (end.into_scalar::<f64>() - 0.5 / (1.0 - 0.5 * 1f64.sin())).abs()
    }

    #[test]
    fn every_solver_converges_with_its_order() {
        for kind in SolverKind::ALL {
            let tableau = kind.tableau();
            let measured = (error(tableau, 40) / error(tableau, 80)).log2();
            assert!((measured - f64::from(tableau.order)).abs() < 0.1, "{}: {measured}", tableau.name);
        }
    }

    #[test]
    fn a_constant_field_is_solved_exactly_and_progress_counts_steps() {
        let mut seen = Vec::new();
        let start = Tensor::<1>::from_floats([0.25], &Device::flex());
        let field = |x: Tensor<1>, _: f64| x.ones_like();
        let end = solve(&field, start, &uniform_times(4), SolverKind::Rk4.tableau(), &mut |i, n| seen.push((i, n)));
        assert!((end.into_scalar::<f32>() - 1.25).abs() < 1e-6);
        assert_eq!(seen, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    }

    #[test]
    fn without_an_interval_nothing_moves() {
        let start = Tensor::<1>::from_floats([0.5], &Device::flex());
        let field = |x: Tensor<1>, _: f64| x.ones_like();
        let end = solve(&field, start, &[0.0], SolverKind::Heun.tableau(), &mut |_, _| {});
        assert_eq!(end.into_scalar::<f32>(), 0.5);
    }
}
