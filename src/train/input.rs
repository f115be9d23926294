//! What the network is shown in training besides the exact interpolation: rivals of MixFlow on the training side; [`super::AntiDriftConfig`]
//! and [`super::MagnitudeConfig`] are others, as further losses.
use super::pass::{Given, Shown};
use super::{Fault, Objective};
use crate::Problem;
use crate::network::{PredictionNetwork, predict};
use crate::path::{interpolate, per_sample};
use crate::random::{Purpose, normal};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// A change of the training input at the slowed timestep `m`; the network is told `t` as ever.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputConfig {
    /// Input Perturbation ([arXiv 2301.11706](https://arxiv.org/abs/2301.11706)): `x̃ = α x1 + σ (x0 + γ ξ)`, ξ ~ N(0, 1).
    /// The target keeps the unperturbed `x0`.
    Perturbation {
        /// γ; 0.1 in the official code, 0.15 for CIFAR. Finite, at least 0.
        gamma: f64,
    },
    /// Scheduled rollout: the exact interpolation at `s = m − span·min(m, 1 − m)`, carried to `m` by `steps` Euler steps
    /// of the EMA without gradients, each told its own time.
    Rollout {
        /// Euler steps k, each a further forward pass. In 1..=1000.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
        steps: usize,
        /// The part that is rolled out of the way to the nearer end, noise or data, in (0, 1]. Near the data it vanishes,
        /// or the state's own target would grow without bound.
        span: f64,
        /// What the state is trained towards.
        #[serde(default)]
        target: RolloutTarget,
    },
}

/// The regression target of a rolled-out state `x̂`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RolloutTarget {
    /// The state's own: that of the noise `x̂0 = (x̂ − α x1)/σ` that leads to it, `(x1 − x̂)/(1 − m)` for a velocity on
    /// the linear path.
    #[default]
    Own,
    /// That of the noise the rollout started from.
    Unperturbed,
}

/// Forward passes of a rollout at most.
const MOST_STEPS: usize = 1000;

/// The least σ by which the displacement of a rolled-out state is divided; both vanish at the data.
const LEAST_SIGMA: f64 = 1e-3;

impl InputConfig {
    /// Every value out of its range, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        match *self {
            Self::Perturbation { gamma } => {
                let valid = (gamma as f32).is_finite() && gamma >= 0.0;
                Problem::unless(&mut problems, valid, path, "gamma", gamma, "must be finite in f32 and at least 0");
            }
            Self::Rollout { steps, span, .. } => {
                let must = format!("must be in 1..={MOST_STEPS}");
                Problem::unless(&mut problems, (1..=MOST_STEPS).contains(&steps), path, "steps", steps, must);
                Problem::unless(&mut problems, span > 0.0 && span <= 1.0, path, "span", span, "must be in (0, 1]");
            }
        }
        problems
    }

    /// Forward passes per training sample besides the one that learns.
    pub fn extra_evaluations(&self) -> usize {
        if let Self::Rollout { steps, .. } = *self { steps } else { 0 }
    }

    /// The input and the noise of the target for data `x1` and noise `x0`; `network` rolls out.
    pub(super) fn show<N: PredictionNetwork<D>, const D: usize>(
        &self,
        network: &N,
        objective: &Objective,
        data: &Tensor<D>,
        noise: &Tensor<D>,
        given: &Given<'_, N::Condition>,
    ) -> Result<Shown<D>, Fault> {
        let Given { condition, keys, timesteps } = *given;
        let path = objective.path.as_ref();
        let slowed: Vec<f32> = timesteps.iter().map(|t| t.slowed).collect();
        match *self {
            Self::Perturbation { gamma } => {
                let extra = normal(keys, Purpose::InputPerturbation, &data.dims()[1..]);
                let extra = Tensor::<D>::from_data(extra, &data.device()).mul_scalar(gamma);
                let noisy = interpolate(path, data.clone(), noise.clone() + extra, &slowed);
                Ok(Shown { noisy, noise: noise.clone() })
            }
            Self::Rollout { steps, span, target } => {
                let first = f64::from(objective.interval.start as f32);
                let at = |step: usize| -> Vec<f32> {
                    let left = span * (1.0 - step as f64 / steps as f64);
                    let back = |m: f64| (m - left * m.min(1.0 - m)).max(first) as f32;
                    slowed.iter().map(|m| if step == steps { *m } else { back(f64::from(*m)) }).collect()
                };
                let mut state = interpolate(path, data.clone(), noise.clone(), &at(0));
                for step in 0..steps {
                    let (now, next) = (at(step), at(step + 1));
                    let told = Tensor::from_data(TensorData::new(now.clone(), [now.len()]), &data.device());
                    let output = predict(network, state.clone(), told, condition)?.output.detach();
                    let velocity = objective.prediction.to_velocity(path, output, state.clone(), &now);
                    let widths: Vec<f64> = next.iter().zip(&now).map(|(b, a)| f64::from(b - a)).collect();
                    state = state + velocity * per_sample(&widths, data);
                }
                let noise = match target {
                    RolloutTarget::Unperturbed => noise.clone(),
                    RolloutTarget::Own => {
                        // x̂0 = x0 + (x̂ − x_m)/σ: exact where the rollout changes nothing, even at σ = 0.
                        let exact = interpolate(path, data.clone(), noise.clone(), &slowed);
                        let sigma = |m: &f32| path.coefficients(f64::from(*m)).sigma.max(LEAST_SIGMA).recip();
                        let inverse: Vec<f64> = slowed.iter().map(sigma).collect();
                        noise.clone() + (state.clone() - exact) * per_sample(&inverse, data)
                    }
                };
                Ok(Shown { noisy: state.detach(), noise: noise.detach() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Prediction;
    use crate::path::Linear;
    use crate::random::SampleKey;
    use crate::timestep::Timesteps;
    use burn::module::{Module, Param};
    use burn::tensor::Device;

    /// The exact velocity field of data that are all `at`: `(at − x)/(1 − t)`.
    #[derive(Module, Debug)]
    struct Point {
        at: Param<Tensor<1>>,
    }

    impl PredictionNetwork<2> for Point {
        type Condition = ();
        fn predict(&self, x: Tensor<2>, t: Tensor<1>, _: &()) -> Prediction<2> {
            let left = (t.neg() + 1.0).unsqueeze_dim::<2>(1);
            ((self.at.val().unsqueeze::<2>() - x) / left).into()
        }
    }

    fn shown(input: InputConfig, at: f32) -> (Shown<2>, Tensor<2>, Tensor<2>) {
        let device = Device::flex();
        let network = Point { at: Param::from_tensor(Tensor::from_floats([at, at], &device)) };
        let data = Tensor::<2>::from_floats([[0.3, 0.3], [0.3, 0.3]], &device);
        let noise = Tensor::<2>::from_floats([[1.0, -0.5], [0.2, 2.0]], &device);
        let keys: Vec<_> = (0..2).map(|position| SampleKey { seed: 1, epoch: 0, position }).collect();
        let times = [0.5, 0.8].map(|slowed| Timesteps { training: 0.9, slowed });
        let given = Given { condition: &(), keys: &keys, timesteps: &times };
        let found = input.show(&network, &Objective::default(), &data, &noise, &given).unwrap();
        (found, data, noise)
    }

    fn distance(a: &Tensor<2>, b: &Tensor<2>) -> f32 {
        (a.clone() - b.clone()).abs().max().into_scalar()
    }

    #[test]
    fn a_rollout_of_the_exact_field_of_one_point_changes_nothing() {
        for target in [RolloutTarget::Own, RolloutTarget::Unperturbed] {
            let (found, data, noise) = shown(InputConfig::Rollout { steps: 3, span: 0.6, target }, 0.3);
            let exact = interpolate(&Linear, data, noise.clone(), &[0.5, 0.8]);
            assert!(distance(&found.noisy, &exact) < 1e-5);
            assert!(distance(&found.noise, &noise) < 1e-5);
        }
    }

    #[test]
    fn the_own_target_leads_a_rolled_out_state_to_its_data() {
        let input = InputConfig::Rollout { steps: 2, span: 0.5, target: RolloutTarget::Own };
        let (found, data, noise) = shown(input, 1.0);
        assert!(distance(&found.noise, &noise) > 0.01);
        let velocity = data.clone() - found.noise;
        let left = Tensor::<2>::from_floats([[0.5], [0.2]], &Device::flex());
        assert!(distance(&(found.noisy + velocity * left), &data) < 1e-5);
    }

    #[test]
    fn a_perturbation_adds_noise_to_the_input_alone() {
        let (none, data, noise) = shown(InputConfig::Perturbation { gamma: 0.0 }, 0.0);
        assert_eq!(distance(&none.noisy, &interpolate(&Linear, data, noise.clone(), &[0.5, 0.8])), 0.0);
        let (some, ..) = shown(InputConfig::Perturbation { gamma: 0.5 }, 0.0);
        assert!(distance(&some.noisy, &none.noisy) > 0.01);
        assert_eq!(distance(&some.noise, &noise), 0.0);
    }

    #[test]
    fn impossible_values_are_reported() {
        let paths = |json: &str| {
            let input: InputConfig = serde_json::from_str(json).unwrap();
            input.problems("input").into_iter().map(|p| p.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(r#"{"kind": "perturbation", "gamma": -0.1}"#), ["input.gamma"]);
        assert_eq!(paths(r#"{"kind": "rollout", "steps": 0, "span": 1.5}"#), ["input.steps", "input.span"]);
        assert!(serde_json::from_str::<InputConfig>(r#"{"kind": "perturbation", "gama": 0.1}"#).is_err());
    }
}
