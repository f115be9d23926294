//! Generates samples from a network as its JSON says.
use super::{GuidanceConfig, NetworkField, SolverKind, solve, uniform_times};
use crate::network::{Condition, PredictionNetwork};
use crate::path::{Path, PredictionKind, TrainingInterval};
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Problem, Result};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How samples are generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// The solver of the differential equation.
    #[serde(default)]
    pub solver: SolverKind,
    /// Steps from noise to data, all of the same length. At least 1.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Classifier-free guidance; none if left out.
    #[serde(default)]
    pub guidance: Option<GuidanceConfig>,
    /// Samples generated together. Their values do not depend on it. At least 1.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
}

impl SamplerConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, count) in [("steps", self.steps), ("batch_size", self.batch_size)] {
            Problem::unless(&mut problems, count > 0, path, key, count, "must be at least 1");
        }
        problems.extend(self.guidance.iter().flat_map(|guidance| guidance.problems(&format!("{path}.guidance"))));
        problems
    }

    /// Network evaluations per sample (NFE): steps × stages, twice that under guidance.
    pub fn evaluations(&self) -> usize {
        self.steps * self.evaluations_per_step()
    }

    fn evaluations_per_step(&self) -> usize {
        let guided = self.guidance.as_ref().is_some_and(GuidanceConfig::is_active);
        self.solver.tableau().stages() * if guided { 2 } else { 1 }
    }
}

/// How far a [`Sampler`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Samples finished.
    pub samples: usize,
    /// Samples asked for.
    pub total: usize,
    /// Steps done of the batch in work.
    pub step: usize,
    /// Steps of each batch.
    pub steps: usize,
    /// Network evaluations spent on each sample of the batch in work.
    pub evaluations: usize,
}

/// Generates samples: noise from keys, then the solver, batch by batch.
#[derive(Debug, Clone)]
pub struct Sampler {
    config: SamplerConfig,
    path: Arc<dyn Path>,
    prediction: PredictionKind,
    interval: TrainingInterval,
}

impl Sampler {
    /// A sampler for networks trained on `path` that output `prediction`, integrating over `interval`.
    ///
    /// [`TrainingInterval::sampling`] is the interval that keeps away from the singular ends of the path.
    /// # Errors
    /// [`Error::Config`] with everything that [`SamplerConfig::problems`] finds; [`Error::Invalid`]
    /// for an interval that is not `0 <= start < end <= 1`.
    pub fn new(
        config: SamplerConfig,
        path: Arc<dyn Path>,
        prediction: PredictionKind,
        interval: TrainingInterval,
    ) -> Result<Self> {
        Error::if_any(config.problems("sampler"))?;
        let TrainingInterval { start, end } = interval;
        if !(0.0 <= start && start < end && end <= 1.0) {
            return Err(Error::Invalid(format!("sampling from {start} to {end}: must be 0 <= start < end <= 1")));
        }
        Ok(Self { config, path, prediction, interval })
    }

    /// The configuration.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// `shape[0]` samples of shape `shape[1..]` on `device`, one for each of the `shape[0]` conditions.
    ///
    /// Sample `i` starts from the noise of `(seed, epoch 0, position i)`, whatever the batch size.
    /// `network` and `condition` must be on `device`, without autodiff (`Module::valid`).
    /// # Errors
    /// [`Error::Invalid`] for an autodiff device, an empty shape, or guidance without a null condition.
    pub fn sample<N: PredictionNetwork<D>, const D: usize>(
        &self,
        network: &N,
        condition: &N::Condition,
        shape: [usize; D],
        seed: u64,
        device: &Device,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Tensor<D>> {
        if device.is_autodiff() {
            return Err(Error::Invalid("sampling device: must not track gradients".into()));
        }
        if shape.contains(&0) {
            return Err(Error::Invalid(format!("shape {shape:?} of the samples: every dimension must be at least 1")));
        }
        let SamplerConfig { solver, steps, batch_size, .. } = self.config;
        let total = shape[0];
        let times: Vec<f64> = uniform_times(steps).into_iter().map(|t| self.interval.map(t)).collect();
        let mut batches = Vec::with_capacity(total.div_ceil(batch_size));
        for start in (0..total).step_by(batch_size) {
            let end = total.min(start.saturating_add(batch_size));
            let field = NetworkField::new(
                network,
                condition.slice(start..end),
                end - start,
                self.prediction,
                self.path.clone(),
                self.config.guidance.clone(),
            )?;
            let keys: Vec<_> = (start..end).map(|i| SampleKey { seed, epoch: 0, position: i as u64 }).collect();
            let noise = Tensor::from_data(normal(&keys, Purpose::InitialState, &shape[1..]), device);
            batches.push(solve(&field, noise, &times, solver.tableau(), &mut |step, steps| {
                let samples = if step == steps { end } else { start };
                let evaluations = step * self.config.evaluations_per_step();
                progress(Progress { samples, total, step, steps, evaluations });
            }));
        }
        Ok(Tensor::cat(batches, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::GuidedChannels;
    use super::*;
    use crate::network::Prediction;
    use crate::path::Linear;
    use burn::module::{Module, Param};
    use burn::tensor::Int;

    /// Predicts `label - x * scale + t`; the null label is 0.
    #[derive(Module, Debug)]
    struct Toy {
        scale: Param<Tensor<1>>,
        has_null: bool,
    }

    impl PredictionNetwork<2> for Toy {
        type Condition = Tensor<1, Int>;
        fn predict(&self, x: Tensor<2>, t: Tensor<1>, labels: &Tensor<1, Int>) -> Prediction<2> {
            let offset = (labels.clone().float() + t).unsqueeze_dim::<2>(1);
            (offset - x * self.scale.val().unsqueeze()).into()
        }
        fn drop_condition(&self, labels: &Tensor<1, Int>, dropped: &[bool]) -> Option<Tensor<1, Int>> {
            assert_eq!(labels.dims()[0], dropped.len());
            self.has_null.then(|| labels.zeros_like())
        }
    }

    fn toy(has_null: bool) -> Toy {
        Toy { scale: Param::from_tensor(Tensor::from_floats([0.5], &Device::flex())), has_null }
    }

    fn config(solver: SolverKind, scale: Option<f64>, batch_size: usize) -> SamplerConfig {
        let guidance = scale.map(|scale| GuidanceConfig { scale, channels: GuidedChannels::All });
        SamplerConfig { solver, steps: 4, guidance, batch_size }
    }

    fn sampler(config: SamplerConfig) -> Result<Sampler> {
        let interval = TrainingInterval { start: 0.0, end: 1.0 };
        Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval)
    }

    fn run(network: &Toy, config: SamplerConfig, seen: &mut Vec<Progress>) -> Result<Vec<f32>> {
        let device = Device::flex();
        let labels = Tensor::<1, Int>::from_ints([1, 2, 3, 4, 5], &device);
        let sampler = sampler(config)?;
        let samples = sampler.sample(network, &labels, [5, 3], 11, &device, &mut |p| seen.push(p))?;
        Ok(samples.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn a_sample_does_not_depend_on_the_batch_size() {
        let with = |batch_size| run(&toy(true), config(SolverKind::Heun, Some(1.5), batch_size), &mut vec![]).unwrap();
        assert_eq!(with(5), with(2));
        assert_eq!(with(5), with(64));
        assert_eq!(with(5), with(1));
    }

    #[test]
    fn guidance_of_scale_one_is_the_conditional_field_and_needs_no_null_condition() {
        let plain = run(&toy(false), config(SolverKind::Euler, None, 2), &mut vec![]).unwrap();
        let one = run(&toy(false), config(SolverKind::Euler, Some(1.0), 2), &mut vec![]).unwrap();
        let two = run(&toy(true), config(SolverKind::Euler, Some(2.0), 2), &mut vec![]).unwrap();
        assert_eq!(plain, one);
        assert_ne!(plain, two);
    }

    #[test]
    fn guidance_without_a_null_condition_is_an_error() {
        let error = run(&toy(false), config(SolverKind::Euler, Some(2.0), 2), &mut vec![]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }

    #[test]
    fn progress_reports_every_step_and_the_evaluations_per_sample() {
        let mut seen = vec![];
        let config = config(SolverKind::Heun3, Some(2.0), 3);
        run(&toy(true), config.clone(), &mut seen).unwrap();
        assert_eq!(config.evaluations(), 4 * 3 * 2);
        assert_eq!(seen.len(), 2 * 4);
        assert_eq!(seen[3], Progress { samples: 3, total: 5, step: 4, steps: 4, evaluations: 24 });
        assert_eq!(seen[4], Progress { samples: 3, total: 5, step: 1, steps: 4, evaluations: 6 });
        assert_eq!(seen[7].samples, 5);
    }

    #[test]
    fn every_problem_is_reported() {
        let json = r#"{"steps": 0, "batch_size": 0, "guidance": {"scale": -1}}"#;
        let config: SamplerConfig = serde_json::from_str(json).unwrap();
        let paths: Vec<_> = config.problems("s").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["s.steps", "s.batch_size", "s.guidance.scale"]);
        assert_eq!(config.solver, SolverKind::Euler);
    }

    #[test]
    fn an_autodiff_device_is_refused() {
        let device = Device::flex().autodiff();
        let labels = Tensor::<1, Int>::from_ints([1], &device);
        let result = sampler(config(SolverKind::Euler, None, 1)).unwrap().sample(
            &toy(true),
            &labels,
            [1, 3],
            0,
            &device,
            &mut |_| {},
        );
        assert!(matches!(result, Err(Error::Invalid(_))));
    }

    #[test]
    fn a_noise_prediction_is_integrated_over_its_interval() {
        /// Always predicts noise 0, so that dx/dt = x/t and the state grows by `end / start`.
        #[derive(Module, Debug)]
        struct Zero {}
        impl PredictionNetwork<2> for Zero {
            type Condition = ();
            fn predict(&self, x: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
                x.zeros_like().into()
            }
        }
        let config = SamplerConfig { steps: 64, ..config(SolverKind::Rk4, None, 2) };
        let interval = TrainingInterval { start: 0.25, end: 0.75 };
        let sampler = Sampler::new(config, Arc::new(Linear), PredictionKind::Noise, interval).unwrap();
        let device = Device::flex();
        let found = sampler.sample(&Zero {}, &(), [2, 3], 5, &device, &mut |_| {}).unwrap();
        let keys = [0, 1].map(|position| SampleKey { seed: 5, epoch: 0, position });
        let noise = Tensor::<2>::from_data(normal(&keys, Purpose::InitialState, &[3]), &device);
        let error = (found - noise * 3.0).abs().max().into_scalar::<f32>();
        assert!(error < 1e-4, "{error}");
    }

    #[test]
    fn intervals_outside_of_zero_to_one_are_refused() {
        for (start, end) in [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1), (f64::NAN, 1.0)] {
            let config = config(SolverKind::Euler, None, 1);
            let interval = TrainingInterval { start, end };
            assert!(Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval).is_err());
        }
    }
}
