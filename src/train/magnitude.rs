//! Magnitude-aware loss: `L = L_FM + λ (1 − m)^p (‖v‖ − ‖v*‖)²/D`.
use super::Objective;
use super::pass::Predicted;
use crate::Problem;
use crate::path::{PathConfig, PredictionKind, per_sample};
use crate::timestep::Timesteps;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// A loss on the magnitude of the velocity, after Magnitude-Aware Flow Matching of *The Velocity Deficit*
/// ([arXiv 2605.14819](https://arxiv.org/abs/2605.14819)), as a further loss beside that of flow matching:
/// `L = L_FM + λ (1 − m)^p (‖v‖ − ‖v*‖)²/D` with the target `v* = x1 − x0`, norms over the D elements of a sample, and the
/// slowed timestep m.
///
/// The squared error alone is least at the mean of the targets, which is shorter than they are. Among all velocities of its
/// direction, this sum is least at the length `(‖E v*‖ + Λ E‖v*‖)/(1 + Λ)`, `Λ = λ (1 − m)^p`: it goes from that of the mean
/// to the mean of the lengths, so the trained field is deliberately not that of flow matching.
///
/// Known of the paper are its abstract, that the magnitude is supervised explicitly, and that a short velocity harms at the
/// noise and helps at the data. The square of the difference of norms, the factor `(1 − m)^p`, and both defaults are this
/// crate's reading; no code is published.
///
/// For the linear path; every prediction is converted to its velocity first. Weights of elements count in the norms. With a
/// changed `input` the target is that input's. Validation is without it. No further pass of the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MagnitudeConfig {
    /// λ. Finite, above 0. The default is this crate's choice.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// p, how soon it fades on the way to the data; 0 is the same at all times. In [0, 100]. The default is this crate's choice.
    #[serde(default = "default_power")]
    pub power: f64,
}

fn default_weight() -> f64 {
    0.1
}

fn default_power() -> f64 {
    1.0
}

/// The least mean square of which a root is taken: below it the loss has no gradient.
const LEAST_SQUARE: f64 = 1e-16;

impl MagnitudeConfig {
    /// Every value out of its range, with keys below `key`, and what the path rules out.
    pub fn problems(&self, key: &str, path: PathConfig) -> Vec<Problem> {
        self.problems_on(key, path == PathConfig::Linear)
    }

    /// The same for a path of which only this is known.
    pub(crate) fn problems_on(&self, key: &str, linear: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = (self.weight as f32).is_finite() && self.weight > 0.0;
        Problem::unless(&mut problems, valid, key, "weight", self.weight, "must be finite and greater than 0");
        let fades = (0.0..=100.0).contains(&self.power);
        Problem::unless(&mut problems, fades, key, "power", self.power, "must be in [0, 100]");
        if !linear {
            let message =
                ": needs the path \"linear\", whose velocity to one point of the data has one length all the way";
            problems.push(Problem { path: key.into(), message: message.into() });
        }
        problems
    }

    /// `λ (1 − m)^p (‖v‖ − ‖v*‖)²/D` `[batch]` for data `x1`, their weights, and what the network said.
    pub(super) fn loss<const D: usize>(
        &self,
        objective: &Objective,
        data: Tensor<D>,
        weight: Option<Tensor<D>>,
        predicted: Predicted<D>,
        timesteps: &[Timesteps],
    ) -> Tensor<1> {
        let Predicted { noisy, noise, output } = predicted;
        let Objective { path, prediction, .. } = objective;
        let slowed: Vec<f32> = timesteps.iter().map(|t| t.slowed).collect();
        let weights: Vec<f64> =
            slowed.iter().map(|m| self.weight * (1.0 - f64::from(*m)).max(0.0).powf(self.power)).collect();
        let target = PredictionKind::Velocity.target(path.as_ref(), data, noise, &slowed);
        let velocity = prediction.to_velocity(path.as_ref(), output, noisy, &slowed);
        let apart = length(velocity, weight.clone()) - length(target, weight);
        apart.clone().square() * per_sample(&weights, &apart)
    }
}

/// `‖x‖/√D` `[batch]` of every sample; `√(Σ w x² / Σ w)` with weights.
fn length<const D: usize>(x: Tensor<D>, weight: Option<Tensor<D>>) -> Tensor<1> {
    let square = x.square();
    let flat = |x: Tensor<D>| x.flatten::<2>(1, D - 1);
    let mean = match weight {
        None => flat(square).mean_dim(1),
        Some(weight) => {
            let weight = weight.expand(square.dims());
            let total = flat(weight.clone()).sum_dim(1).clamp_min(f32::MIN_POSITIVE);
            flat(square * weight).sum_dim(1) / total
        }
    };
    mean.squeeze_dim::<1>(1).clamp_min(LEAST_SQUARE).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Linear, interpolate};
    use burn::tensor::Device;

    const TIMES: [f32; 2] = [0.25, 0.6];
    const DATA: [[f32; 2]; 2] = [[0.3, -0.4], [1.5, 0.5]];
    const NOISE: [[f32; 2]; 2] = [[1.0, -0.5], [0.2, 2.0]];
    const VELOCITY: [[f32; 2]; 2] = [[-0.2, 0.4], [3.0, -0.5]];

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    fn timesteps() -> [Timesteps; 2] {
        TIMES.map(|slowed| Timesteps { training: slowed + 0.1, slowed })
    }

    /// The loss of `velocity`, said as a prediction of `kind`.
    fn loss(
        config: MagnitudeConfig,
        kind: PredictionKind,
        velocity: Tensor<2>,
        weight: Option<Tensor<2>>,
    ) -> Tensor<1> {
        let device = velocity.device();
        let (data, noise) = (Tensor::<2>::from_floats(DATA, &device), Tensor::<2>::from_floats(NOISE, &device));
        let noisy = interpolate(&Linear, data.clone(), noise.clone(), &TIMES);
        let output = PredictionKind::Velocity.convert(kind, &Linear, velocity, noisy.clone(), &TIMES);
        let objective = Objective { prediction: kind, ..Objective::default() };
        config.loss(&objective, data, weight, Predicted { noisy, noise, output }, &timesteps())
    }

    /// ‖v‖, ‖v*‖ and λ (1 − m)^p of sample `i`, by hand.
    fn by_hand(config: MagnitudeConfig, i: usize) -> [f64; 3] {
        let norm = |x: [f64; 2]| x[0].hypot(x[1]);
        let wide = |x: [f32; 2]| x.map(f64::from);
        let target = [0, 1].map(|j| f64::from(DATA[i][j]) - f64::from(NOISE[i][j]));
        let weight = config.weight * (1.0 - f64::from(TIMES[i])).powf(config.power);
        [norm(wide(VELOCITY[i])), norm(target), weight]
    }

    #[test]
    fn loss_and_gradient_are_the_closed_form() {
        let device = Device::flex().autodiff();
        for config in [MagnitudeConfig { weight: 0.7, power: 0.0 }, MagnitudeConfig { weight: 0.3, power: 2.0 }] {
            let velocity = Tensor::<2>::from_floats(VELOCITY, &device).require_grad();
            let found = loss(config, PredictionKind::Velocity, velocity.clone(), None);
            let grads = found.clone().sum().backward();
            let (found, gradient) = (values(found), values(velocity.grad(&grads).unwrap()));
            for i in 0..2 {
                let [length, target, weight] = by_hand(config, i);
                let expected = weight * (length - target).powi(2) / 2.0;
                assert!((f64::from(found[i]) - expected).abs() < 1e-6, "{} is not {expected}", found[i]);
                for j in 0..2 {
                    // 2 Λ (‖v‖ − ‖v*‖) v/(‖v‖ D) with D = 2.
                    let expected = weight * (length - target) * f64::from(VELOCITY[i][j]) / length;
                    let found = gradient[2 * i + j];
                    assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
                }
            }
        }
    }

    #[test]
    fn every_prediction_counts_as_its_velocity() {
        use PredictionKind::{Data, Noise, Score, Velocity};
        let config = MagnitudeConfig { weight: 1.0, power: 1.0 };
        let of = |kind| values(loss(config, kind, Tensor::from_floats(VELOCITY, &Device::flex()), None));
        let expected = of(Velocity);
        for kind in [Noise, Data, Score] {
            for (found, expected) in of(kind).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5 * expected, "{kind:?}: {found} is not {expected}");
            }
        }
    }

    /// Two targets, as likely: the mean of the losses is least at the length that is promised.
    #[test]
    fn the_best_length_lies_between_that_of_the_mean_and_the_mean_length() {
        let (targets, weight) = ([[3.0_f64, 1.0], [1.0, -1.0]], 0.5);
        let mean = [2.0_f64, 0.0];
        let lengths = (10.0_f64.sqrt() + 2.0_f64.sqrt()) / 2.0;
        let best = (mean[0] + weight * lengths) / (1.0 + weight);
        let device = Device::flex();
        let total = |length: f64| -> f64 {
            let velocity = Tensor::<2>::from_floats([[length as f32, 0.0]], &device);
            let of = |target: [f64; 2]| {
                let data = Tensor::<2>::from_floats([target.map(|x| x as f32)], &device);
                let noise = Tensor::<2>::zeros([1, 2], &device);
                let predicted = Predicted { noisy: noise.clone(), noise: noise.clone(), output: velocity.clone() };
                let times = [Timesteps { training: 0.0, slowed: 0.0 }];
                let plain = Objective::default().loss(velocity.clone(), data.clone(), noise, &times);
                let config = MagnitudeConfig { weight, power: 1.0 };
                let added = config.loss(&Objective::default(), data, None, predicted, &times);
                f64::from(values(plain + added)[0])
            };
            targets.into_iter().map(of).sum()
        };
        assert!(best > mean[0] && best < lengths);
        assert!(total(best) < total(best - 0.05) && total(best) < total(best + 0.05));
        // A parabola: as high on both sides of its least value.
        assert!((total(best - 0.5) - total(best + 0.5)).abs() < 1e-4);
    }

    #[test]
    fn what_is_masked_does_not_count_and_no_velocity_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let config = MagnitudeConfig { weight: 1.0, power: 0.0 };
        let velocity = Tensor::<2>::from_floats(VELOCITY, &device);
        let mask = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 0.0]], &device);
        let found = values(loss(config, PredictionKind::Velocity, velocity, Some(mask)));
        // |−0.2| against |0.3 − 1|; nothing is left of the other sample.
        assert!((found[0] - 0.25).abs() < 1e-6 && found[1] == 0.0, "{found:?}");
        let none = Tensor::<2>::zeros([2, 2], &device).require_grad();
        let grads = loss(config, PredictionKind::Velocity, none.clone(), None).sum().backward();
        assert_eq!(values(none.grad(&grads).unwrap()), [0.0; 4]);
    }

    #[test]
    fn impossible_values_are_reported() {
        let parse = |json: &str| serde_json::from_str::<MagnitudeConfig>(json);
        assert_eq!(parse("{}").unwrap(), MagnitudeConfig { weight: 0.1, power: 1.0 });
        assert!(parse(r#"{"lambda": 0.1}"#).is_err());
        let said = |weight, power, path| -> Vec<String> {
            MagnitudeConfig { weight, power }.problems("magnitude", path).iter().map(ToString::to_string).collect()
        };
        assert_eq!(said(0.1, 0.0, PathConfig::Linear), [""; 0]);
        assert_eq!(
            said(0.0, f64::NAN, PathConfig::Linear),
            ["magnitude.weight = 0: must be finite and greater than 0", "magnitude.power = NaN: must be in [0, 100]"]
        );
        assert!(said(1.0, 1.0, PathConfig::Gvp)[0].contains("magnitude : needs the path \"linear\""));
    }
}
