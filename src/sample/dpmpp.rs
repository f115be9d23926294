//! DPM-Solver++(2M) ([arXiv 2211.01095](https://arxiv.org/abs/2211.01095)) on the linear path.
use super::{At, Reached, Step, VelocityField};
use burn::tensor::Tensor;

/// The state at the last of `times`, starting from `start` at the first: one evaluation per interval.
///
/// With σ = 1 − t, λ = −ln σ and the predicted data `x̂1 = x + σ v`, a step is
/// `x ← x σ'/σ + (1 − σ'/σ) D`, where `D = x̂1 + (x̂1 − x̂1 of the step before)/(2r)` extrapolates by the ratio `r` of
/// the step before to this one in λ; `D = x̂1` in the first step and in a step to the data. `times` must increase
/// within [0, 1]. This is the reference sampler of Stable Diffusion 3.5.
pub fn solve_dpmpp_2m<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    start: Tensor<D>,
    times: &[f64],
    observe: &mut dyn FnMut(Reached<'_, D>),
) -> Tensor<D> {
    let steps = times.len().saturating_sub(1);
    let mut state = start;
    let mut before: Option<(Tensor<D>, f64)> = None;
    for (index, ends) in times.windows(2).enumerate() {
        let (sigma, next) = (1.0 - ends[0], 1.0 - ends[1]);
        let step = Step { index, count: steps, start: ends[0] };
        let velocity = field.velocity_at(state.clone(), At::within(step, ends[0]));
        let data = state.clone() + velocity.mul_scalar(sigma);
        let width = (sigma / next).ln();
        let target = match before {
            Some((earlier, last)) if next > 0.0 => {
                let weight = width / (2.0 * last);
                data.clone().mul_scalar(1.0 + weight) - earlier.mul_scalar(weight)
            }
            _ => data.clone(),
        };
        let ratio = next / sigma;
        state = state.mul_scalar(ratio) + target.mul_scalar(1.0 - ratio);
        before = Some((data, width));
        observe(Reached { step: index + 1, steps, time: ends[1], evaluations: index + 1, state: &state });
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};

    /// The error at time 0.9 for data N(0, s²), whose flow is `x0 √(t² s² + (1 − t)²)`.
    fn error(steps: usize) -> f64 {
        let variance = 0.3;
        let spread = |t: f64| t * t * variance + (1.0 - t) * (1.0 - t);
        let field = |x: Tensor<1>, t: f64| x.mul_scalar((t * variance - (1.0 - t)) / spread(t));
        let start = Tensor::<1>::full([1], 0.7, (&Device::flex(), DType::F64));
        let times: Vec<f64> = (0..=steps).map(|i| 0.9 * i as f64 / steps as f64).collect();
        let end = solve_dpmpp_2m(&field, start, &times, &mut |_| {});
        (end.into_scalar::<f64>() - 0.7 * spread(0.9).sqrt()).abs()
    }

    #[test]
    fn it_converges_with_order_two() {
        let measured = (error(400) / error(800)).log2();
        assert!((measured - 2.0).abs() < 0.1, "{measured}");
    }

    #[test]
    fn data_at_one_point_is_reached_exactly() {
        let field = |x: Tensor<1>, t: f64| (x.neg().add_scalar(2.0)).div_scalar(1.0 - t);
        let start = Tensor::<1>::full([1], 0.7, (&Device::flex(), DType::F64));
        let end = solve_dpmpp_2m(&field, start, &[0.0, 0.3, 0.8, 1.0], &mut |_| {});
        assert!((end.into_scalar::<f64>() - 2.0).abs() < 1e-12);
    }
}
