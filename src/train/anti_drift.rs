//! Anti-drift: `L = L_FM + β ‖v̂/‖v̂‖ − a/‖a‖‖²` with `x̂ = x_t + (t1 − t) v(x_t, t)`, `v̂ = v(x̂, t1)`, `a = x1 − x̂`.
use super::pass::{Given, Predicted};
use super::{Fault, Objective};
use crate::Problem;
use crate::network::{PredictionNetwork, predict};
use crate::path::{PathConfig, per_sample};
use crate::random::{Purpose, SampleKey};
use crate::timestep::StrategyConfig;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Anti-drift rectification, the first part of DEFAR ([arXiv 2606.28226](https://arxiv.org/abs/2606.28226), algorithm 1),
/// as a further loss beside that of flow matching.
///
/// The network carries each training state by one Euler step to `t1 = t + (e − t) u`, u ~ U(0, 1), where `e` ends the
/// training interval, and its velocity there is turned towards the data:
/// `L = L_FM + β ‖v̂/‖v̂‖ − a/‖a‖‖²`, norms over a sample. The gradient goes through both passes and through `x̂`. The
/// added loss is `2β(1 − cos ∠(v̂, a))`, from 0 to 4β; only directions count.
///
/// For the linear path, on which the velocity to one `x1` points at it from every state, and for strategies with
/// `m = t`; every prediction is converted to its velocity first. With a changed `input` the step starts from
/// what the network was shown. The second pass has no auxiliary loss. Validation is without all of it.
///
/// The authors' code is not published: this follows a public restatement of the algorithm. DEFAR's second part, a
/// weight of the residual by frequency, is not here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AntiDriftConfig {
    /// β. Finite, above 0. The default is this crate's choice, not the paper's.
    #[serde(default = "default_weight")]
    pub weight: f64,
}

fn default_weight() -> f64 {
    0.01
}

/// A norm below this counts as 1, so that neither a loss nor a gradient is ever divided by 0.
const LEAST_NORM: f64 = 1e-8;

impl AntiDriftConfig {
    /// What it adds to a training sample in network evaluations: one forward and one backward pass, which counts twice.
    pub const EXTRA_EVALUATIONS: usize = 3;

    /// Every value out of its range, with keys below `key`, and what the stage's strategies and path rule out.
    pub fn problems(&self, key: &str, strategies: &[StrategyConfig], path: PathConfig) -> Vec<Problem> {
        self.problems_on(key, strategies, path == PathConfig::Linear)
    }

    /// The same for a path of which only this is known.
    pub(crate) fn problems_on(&self, key: &str, strategies: &[StrategyConfig], linear: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = (self.weight as f32).is_finite() && self.weight > 0.0;
        Problem::unless(&mut problems, valid, key, "weight", self.weight, "must be finite and greater than 0");
        let mut refuse = |message: &str| problems.push(Problem { path: key.into(), message: message.into() });
        if !strategies.iter().all(|strategy| strategy.factors().1.is_none()) {
            refuse(": needs a strategy whose slowed timestep is the training timestep");
        }
        if !linear {
            refuse(": needs the path \"linear\", where the velocity to one point of the data points at it");
        }
        problems
    }

    /// `β ‖v̂/‖v̂‖ − a/‖a‖‖²` `[batch]` for data `x1` and what the network said of the state it was shown.
    pub(super) fn loss<N: PredictionNetwork<D>, const D: usize>(
        &self,
        network: &N,
        objective: &Objective,
        data: Tensor<D>,
        predicted: Predicted<D>,
        given: &Given<'_, N::Condition>,
    ) -> Result<Tensor<1>, Fault> {
        let Predicted { noisy: state, output, .. } = predicted;
        let Given { condition, keys, timesteps } = *given;
        let Objective { path, prediction, interval, .. } = objective;
        let now: Vec<f32> = timesteps.iter().map(|t| t.slowed).collect();
        let next = later(keys, &now, interval.end);
        let widths: Vec<f64> = next.iter().zip(&now).map(|(b, a)| f64::from(b - a)).collect();
        let velocity = prediction.to_velocity(path.as_ref(), output, state.clone(), &now);
        let carried = state + velocity * per_sample(&widths, &data);
        let told = Tensor::from_data(TensorData::new(next.clone(), [next.len()]), &data.device());
        let output = predict(network, carried.clone(), told, condition)?.output;
        let found = prediction.to_velocity(path.as_ref(), output, carried.clone(), &next);
        let apart = direction(found) - direction(data - carried);
        Ok(apart.square().sum_dim(1).squeeze_dim::<1>(1).mul_scalar(self.weight))
    }
}

/// `t + (end − t) u` in f32, u ~ U(0, 1) from the key of each sample; never beyond `end`.
fn later(keys: &[SampleKey], now: &[f32], end: f64) -> Vec<f32> {
    let draw = |(key, t): (&SampleKey, &f32)| {
        let (u, t) = (key.rng(Purpose::AntiDrift).random::<f64>(), f64::from(*t));
        (t + (end - t).max(0.0) * u) as f32
    };
    keys.iter().zip(now).map(draw).collect()
}

/// `x/‖x‖` `[batch, elements]` of every sample.
fn direction<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let x = x.flatten::<2>(1, D - 1);
    let squares = x.clone().square().sum_dim(1);
    let none = squares.clone().lower_elem(LEAST_NORM * LEAST_NORM);
    x / squares.mask_fill(none, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Prediction;
    use crate::path::{Linear, PredictionKind, TrainingInterval, interpolate};
    use crate::timestep::Timesteps;
    use burn::module::{Module, Param};
    use burn::tensor::Device;

    const NOW: [f32; 2] = [0.25, 0.6];
    const BETA: AntiDriftConfig = AntiDriftConfig { weight: 1.0 };

    /// The exact field of data that are all `at`, as a prediction of `kind`, plus `more`.
    #[derive(Module, Debug)]
    struct Field {
        at: Param<Tensor<1>>,
        more: Param<Tensor<1>>,
        #[module(skip)]
        kind: PredictionKind,
    }

    impl PredictionNetwork<2> for Field {
        type Condition = ();
        fn predict(&self, x: Tensor<2>, t: Tensor<1>, _: &()) -> Prediction<2> {
            let times: Vec<f32> = t.to_data().iter().collect();
            let left = (t.neg() + 1.0).unsqueeze_dim::<2>(1);
            let velocity = (self.at.val().unsqueeze::<2>() - x.clone()) / left + self.more.val().unsqueeze::<2>();
            PredictionKind::Velocity.convert(self.kind, &Linear, velocity, x, &times).into()
        }
    }

    fn field(kind: PredictionKind, more: [f32; 2], device: &Device) -> Field {
        let param = |values| Param::from_tensor(Tensor::from_floats(values, device));
        Field { at: param([0.3, -0.4]), more: param(more), kind }
    }

    fn keys() -> Vec<SampleKey> {
        (0..2).map(|position| SampleKey { seed: 1, epoch: 0, position }).collect()
    }

    /// The loss for data at `at`; `detached` cuts the gradient through the first pass.
    fn loss(network: &Field, at: [f32; 2], detached: bool) -> Tensor<1> {
        let device = network.at.device();
        let prediction = network.kind;
        let interval = TrainingInterval { start: 0.001, end: 0.9 };
        let objective = Objective { prediction, interval, ..Objective::default() };
        let data = Tensor::<2>::from_floats([at, at], &device);
        let noise = Tensor::<2>::from_floats([[1.0, -0.5], [0.2, 2.0]], &device);
        let state = interpolate(&Linear, data.clone(), noise.clone(), &NOW);
        let output = network.predict(state.clone(), Tensor::from_floats(NOW, &device), &()).output;
        let output = if detached { output.detach() } else { output };
        let times = NOW.map(|t| Timesteps { training: t, slowed: t });
        let (predicted, keys) = (Predicted { noisy: state, noise, output }, keys());
        let given = Given { condition: &(), keys: &keys, timesteps: &times };
        BETA.loss(network, &objective, data, predicted, &given).unwrap()
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn the_exact_field_of_one_point_points_at_it() {
        use PredictionKind::{Data, Noise, Score, Velocity};
        for kind in [Velocity, Noise, Data, Score] {
            let found = values(loss(&field(kind, [0.0; 2], &Device::flex()), [0.3, -0.4], false));
            assert!(found.iter().all(|l| *l < 1e-9), "{kind:?}: {found:?}");
        }
    }

    #[test]
    fn it_grows_from_0_to_4_with_the_angle() {
        let at = |more| values(loss(&field(PredictionKind::Velocity, more, &Device::flex()), [0.3, -0.4], false));
        assert!(at([1.0, 0.5]).iter().all(|l| *l > 1e-3 && *l <= 4.0));
        // Far away on the wrong side of the data, with a velocity that still leads away.
        let away = values(loss(&field(PredictionKind::Velocity, [1e4; 2], &Device::flex()), [-1e4; 2], false));
        assert!(away.iter().all(|l| (*l - 4.0).abs() < 1e-2), "{away:?}");
    }

    #[test]
    fn the_gradient_goes_through_both_passes() {
        let (device, more) = (Device::flex().autodiff(), [0.7, 0.2]);
        let gradient = |detached: bool| {
            let network = field(PredictionKind::Velocity, more, &device);
            let grads = loss(&network, [0.3, -0.4], detached).sum().backward();
            values(network.more.val().grad(&grads).unwrap())
        };
        let (whole, cut) = (gradient(false), gradient(true));
        let step = 1e-2;
        for i in 0..2 {
            let moved = |by: f32| {
                let mut more = more;
                more[i] += by;
                let network = field(PredictionKind::Velocity, more, &Device::flex());
                f64::from(values(loss(&network, [0.3, -0.4], false)).iter().sum::<f32>())
            };
            let expected = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let error = (f64::from(whole[i]) - expected).abs();
            assert!(error < 2e-3 * expected.abs().max(0.1), "{}: {} is not {expected}", i, whole[i]);
            assert!((f64::from(cut[i]) - expected).abs() > 0.1 * expected.abs(), "{} beside {expected}", cut[i]);
        }
    }

    #[test]
    fn what_has_no_direction_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        for x in [[0.0, 0.0], [1e-12, 0.0], [3.0, 4.0]] {
            let x = Tensor::<2>::from_floats([x], &device).require_grad();
            let apart = direction(x.clone()) - Tensor::<2>::from_floats([[0.0, 1.0]], &device);
            let loss = apart.square().sum();
            let grads = loss.clone().backward();
            let found = values(x.grad(&grads).unwrap());
            assert!(loss.into_scalar::<f32>() <= 4.0 && found.iter().all(|g| g.abs() <= 2.0), "{found:?}");
        }
        assert_eq!(values(direction(Tensor::<2>::from_floats([[3.0, 4.0]], &device))), [0.6, 0.8]);
    }

    #[test]
    fn later_times_are_uniform_up_to_the_end_of_the_interval() {
        let keys: Vec<_> = (0..4000).map(|position| SampleKey { seed: 3, epoch: 0, position }).collect();
        let next = later(&keys, &vec![0.5; 4000], 0.9);
        assert!(next.iter().all(|t| (0.5..=0.9).contains(t)));
        // Four standard errors of the mean of a uniform.
        let mean = next.iter().map(|t| f64::from(*t)).sum::<f64>() / 4000.0;
        assert!((mean - 0.7).abs() < 4.0 * 0.4 / (12.0f64 * 4000.0).sqrt(), "{mean}");
        assert_eq!(later(&keys[7..9], &[0.5; 2], 0.9), next[7..9]);
        assert_eq!(later(&keys[..1], &[0.9], 0.9), [0.9]);
    }

    #[test]
    fn impossible_values_are_reported() {
        let parse = |json: &str| serde_json::from_str::<AntiDriftConfig>(json);
        assert_eq!(parse("{}").unwrap(), AntiDriftConfig { weight: default_weight() });
        assert!(parse(r#"{"wieght": 0.1}"#).is_err());
        let (standard, slowed) = (StrategyConfig::Standard {}, StrategyConfig::mixflow(0.1));
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let found = AntiDriftConfig { weight }.problems("anti_drift", &[standard], PathConfig::Linear);
            let expected = format!("anti_drift.weight = {weight}: must be finite and greater than 0");
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
        let same = StrategyConfig::mixflow(0.0);
        assert_eq!(BETA.problems("anti_drift", &[standard, same, StrategyConfig::Beta {}], PathConfig::Linear), []);
        let found = BETA.problems("anti_drift", &[standard, slowed], PathConfig::Gvp);
        assert!(found[0].to_string().contains("anti_drift : needs a strategy whose slowed timestep"));
        assert!(found[1].to_string().contains("anti_drift : needs the path \"linear\""));
    }
}
