//! Generates samples from a network as its configuration says.
use super::network_field::{cast, single};
use super::solve::solve_with;
use super::{
    CorrectionConfig, DifferentialCorrection, EpsilonScaling, NetworkField, Reached, SamplerConfig, SolverConfig,
    StatePrecision, StaticShift, Tableau, TimeShiftSampler, VelocityField, solve_adaptive, solve_dpmpp_2m, solve_sde,
};
use crate::network::{Condition, PredictionNetwork};
use crate::path::{Path, PredictionKind, TrainingInterval};
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use burn::tensor::{DType, Device, Tensor};
use std::sync::Arc;

/// The network that generates and, for guidance by a weaker one, that one.
#[derive(Debug)]
pub struct Networks<'a, N> {
    /// The network.
    pub main: &'a N,
    /// The weaker network, which sees the same conditions.
    pub weak: Option<&'a N>,
}

impl<'a, N> From<&'a N> for Networks<'a, N> {
    fn from(main: &'a N) -> Self {
        Self { main, weak: None }
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
    /// Network evaluations spent on each sample of the batch in work, those of a weak network included.
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
    /// for an interval that is not `0 <= start < end <= 1`, or DPM-Solver++ on another path than the linear one.
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
        if config.solver == SolverConfig::DpmPp2m && !is_linear(path.as_ref()) {
            return Err(Error::Invalid("solver dpmpp_2m: the path must be linear".into()));
        }
        Ok(Self { config, path, prediction, interval })
    }

    /// The increasing times between which the steps lie, without a last step of a stochastic solver.
    pub fn times(&self) -> Vec<f64> {
        self.config.times_within(self.interval, self.path.as_ref())
    }

    /// The state at the end of the integration of `field`, corrected as configured, from `start` `[batch, ...]`.
    ///
    /// `noise(step)` gives the standard normal values of a step of a stochastic solver, shaped like the state;
    /// `observe` is called after each step.
    /// # Errors
    /// As [`solve_adaptive`], if that is the solver; as [`DifferentialCorrection::new`], if that is a correction.
    pub fn integrate<const D: usize>(
        &self,
        field: &dyn VelocityField<D>,
        start: Tensor<D>,
        noise: &mut dyn FnMut(usize) -> Tensor<D>,
        observe: &mut dyn FnMut(Reached<'_, D>),
    ) -> Result<Tensor<D>> {
        self.correct(&self.config.corrections, field, start, noise, observe)
    }

    fn correct<const D: usize>(
        &self,
        corrections: &[CorrectionConfig],
        field: &dyn VelocityField<D>,
        start: Tensor<D>,
        noise: &mut dyn FnMut(usize) -> Tensor<D>,
        observe: &mut dyn FnMut(Reached<'_, D>),
    ) -> Result<Tensor<D>> {
        let Some((first, others)) = corrections.split_first() else {
            return self.solve(field, start, noise, observe);
        };
        match *first {
            CorrectionConfig::EpsilonScaling(config) => {
                let scaled = EpsilonScaling::new(field, self.path.clone(), config);
                self.correct(others, &scaled, start, noise, observe)
            }
            CorrectionConfig::TimeShiftSampler(config) => {
                let shifted = TimeShiftSampler::new(field, self.path.clone(), config);
                self.correct(others, &shifted, start, noise, observe)
            }
            CorrectionConfig::StaticShift(config) => {
                self.correct(others, &StaticShift::new(field, config), start, noise, observe)
            }
            CorrectionConfig::Differential(config) => {
                let (times, shape) = (self.times(), start.dims());
                let corrected = DifferentialCorrection::new(field, self.path.clone(), times, shape, config)?;
                self.correct(others, &corrected, start, noise, observe)
            }
        }
    }

    fn solve<const D: usize>(
        &self,
        field: &dyn VelocityField<D>,
        start: Tensor<D>,
        noise: &mut dyn FnMut(usize) -> Tensor<D>,
        observe: &mut dyn FnMut(Reached<'_, D>),
    ) -> Result<Tensor<D>> {
        let (times, solver) = (self.times(), &self.config.solver);
        Ok(match solver {
            SolverConfig::Dopri5(config) => solve_adaptive(field, start, &times, config, observe)?,
            SolverConfig::Sde(config) => solve_sde(field, start, &times, config, self.path.as_ref(), noise, observe),
            SolverConfig::DpmPp2m => solve_dpmpp_2m(field, start, &times, observe),
            fixed => {
                let tableau = |step: super::Step| fixed.tableau(step.index, step.count).unwrap_or(&Tableau::EULER);
                solve_with(field, start, &times, &tableau, observe)
            }
        })
    }

    /// The configuration.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// `shape[0]` samples of shape `shape[1..]` on `device`, one for each of the `shape[0]` conditions.
    ///
    /// Sample `i` starts from the noise of `(seed, epoch 0, position i)`, whatever the batch size, and the noise of
    /// step `n` of a stochastic solver is that of `(seed, epoch n, position i)` for [`Purpose::Diffusion`].
    /// `networks` is a network or [`Networks`]; they and `condition` must be on `device`, without autodiff
    /// (`Module::valid`).
    /// # Errors
    /// [`Error::Invalid`] for an autodiff device, a device without the precision of the state, an empty shape,
    /// guidance without a null condition, a weak network without guidance by it or the other way round, or a state
    /// that an adaptive solver cannot follow.
    pub fn sample<'a, N: PredictionNetwork<D> + 'a, const D: usize>(
        &self,
        networks: impl Into<Networks<'a, N>>,
        condition: &N::Condition,
        shape: [usize; D],
        seed: u64,
        device: &Device,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Tensor<D>> {
        let networks = networks.into();
        self.check(networks.weak.is_some(), &shape, device)?;
        let (total, batch_size) = (shape[0], self.config.batch_size);
        let mut batches = Vec::with_capacity(total.div_ceil(batch_size));
        for start in (0..total).step_by(batch_size) {
            let end = total.min(start.saturating_add(batch_size));
            let field = self.field(&networks, condition.slice(start..end), end - start)?;
            let draw = |epoch: usize, purpose| {
                let key = |i| SampleKey { seed, epoch: epoch as u64, position: i as u64 };
                let keys: Vec<_> = (start..end).map(key).collect();
                let values = Tensor::<D>::from_data(normal(&keys, purpose, &shape[1..]), device);
                if self.config.state == StatePrecision::F64 { cast(values, DType::F64) } else { values }
            };
            let mut observe = |reached: Reached<'_, D>| {
                let Reached { step, steps, .. } = reached;
                let samples = if step == steps { end } else { start };
                progress(Progress { samples, total, step, steps, evaluations: field.evaluations() });
            };
            let mut noise = |step| draw(step, Purpose::Diffusion);
            let state = self.integrate(&field, draw(0, Purpose::InitialState), &mut noise, &mut observe)?;
            batches.push(single(state));
        }
        Ok(Tensor::cat(batches, 0))
    }

    fn field<'a, N: PredictionNetwork<D>, const D: usize>(
        &self,
        networks: &Networks<'a, N>,
        condition: N::Condition,
        batch: usize,
    ) -> Result<NetworkField<'a, N, D>> {
        let mut field = NetworkField::new(networks.main, condition, self.prediction, self.path.clone());
        if let Some(guidance) = &self.config.guidance {
            field = field.guided(guidance.clone(), batch)?;
        }
        if let (Some(weak), Some(config)) = (networks.weak, &self.config.weak_guidance) {
            field = field.guided_by(weak, config.clone());
        }
        Ok(field)
    }

    fn check(&self, has_weak: bool, shape: &[usize], device: &Device) -> Result<()> {
        let wrong = if device.is_autodiff() {
            "sampling device: must not track gradients".into()
        } else if shape.contains(&0) {
            format!("shape {shape:?} of the samples: every dimension must be at least 1")
        } else if has_weak != self.config.weak_guidance.is_some() {
            let (there, missing) = if has_weak { ("network", "guidance") } else { ("guidance", "network") };
            format!("a weak {there} without a weak {missing}")
        } else if self.config.state == StatePrecision::F64 && !device.supports_dtype(DType::F64) {
            "state: the device does not compute in f64".into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(wrong))
    }
}

/// Whether `path` is the straight one.
pub(crate) fn is_linear(path: &dyn Path) -> bool {
    [0.25, 0.5, 0.75].into_iter().all(|t| {
        let c = path.coefficients(t);
        (c.alpha - t).abs() < 1e-12 && (c.sigma - (1.0 - t)).abs() < 1e-12
    })
}

#[cfg(test)]
mod tests {
    use super::super::{GuidanceConfig, GuidancePer, SdeConfig, WeakGuidanceConfig};
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

    fn config(solver: SolverConfig, scale: Option<f64>, batch_size: usize) -> SamplerConfig {
        SamplerConfig { guidance: scale.map(GuidanceConfig::new), ..SamplerConfig::new(solver, 4, batch_size) }
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
        let with =
            |batch_size| run(&toy(true), config(SolverConfig::Heun, Some(1.5), batch_size), &mut vec![]).unwrap();
        assert_eq!(with(5), with(2));
        assert_eq!(with(5), with(64));
        assert_eq!(with(5), with(1));
    }

    #[test]
    fn guidance_of_scale_one_is_the_conditional_field_and_needs_no_null_condition() {
        let plain = run(&toy(false), config(SolverConfig::Euler, None, 2), &mut vec![]).unwrap();
        let one = run(&toy(false), config(SolverConfig::Euler, Some(1.0), 2), &mut vec![]).unwrap();
        let two = run(&toy(true), config(SolverConfig::Euler, Some(2.0), 2), &mut vec![]).unwrap();
        assert_eq!(plain, one);
        assert_ne!(plain, two);
    }

    #[test]
    fn guidance_without_a_null_condition_is_an_error() {
        let error = run(&toy(false), config(SolverConfig::Euler, Some(2.0), 2), &mut vec![]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }

    #[test]
    fn progress_reports_every_step_and_the_evaluations_per_sample() {
        let mut seen = vec![];
        let config = config(SolverConfig::Heun3, Some(2.0), 3);
        run(&toy(true), config.clone(), &mut seen).unwrap();
        assert_eq!(config.evaluations(), Some(4 * 3 * 2));
        assert_eq!(seen.len(), 2 * 4);
        assert_eq!(seen[3], Progress { samples: 3, total: 5, step: 4, steps: 4, evaluations: 24 });
        assert_eq!(seen[4], Progress { samples: 3, total: 5, step: 1, steps: 4, evaluations: 6 });
        assert_eq!(seen[7].samples, 5);
    }

    #[test]
    fn the_counted_evaluations_are_the_predicted_ones() {
        use SolverConfig::{BogackiShampine, DpmPp2m, Euler, HeunThenEuler, Midpoint, Rk4, Sde};
        let heun = SdeConfig { method: super::super::SdeMethod::Heun, ..SdeConfig::default() };
        for solver in
            [Euler, HeunThenEuler, Midpoint, BogackiShampine, Rk4, DpmPp2m, Sde(SdeConfig::default()), Sde(heun)]
        {
            for (scale, per) in [
                (0.0, GuidancePer::Evaluation),
                (1.0, GuidancePer::Step),
                (1.5, GuidancePer::Evaluation),
                (1.5, GuidancePer::Step),
            ] {
                let guidance = Some(GuidanceConfig { interval: Some([0.25, 0.5]), per, ..GuidanceConfig::new(scale) });
                let config = SamplerConfig { guidance, ..config(solver, None, 5) };
                let mut seen = vec![];
                run(&toy(true), config.clone(), &mut seen).unwrap();
                let expected = config.evaluations();
                assert_eq!(seen.last().map(|p| p.evaluations), expected, "{solver:?} {scale} {per:?}");
            }
        }
    }

    #[test]
    fn a_stochastic_sample_does_not_depend_on_the_batch_size_either() {
        let solver = SolverConfig::Sde(SdeConfig::default());
        let with = |batch_size| run(&toy(true), config(solver, Some(1.5), batch_size), &mut vec![]).unwrap();
        assert_eq!(with(5), with(2));
        assert_ne!(with(5), run(&toy(true), config(SolverConfig::Euler, Some(1.5), 5), &mut vec![]).unwrap());
    }

    #[test]
    fn a_state_in_f64_gives_nearly_the_same_samples_in_f32() {
        let with = |state| {
            let config = SamplerConfig { state, ..config(SolverConfig::Heun, Some(1.5), 5) };
            run(&toy(true), config, &mut vec![]).unwrap()
        };
        let (single, double) = (with(StatePrecision::F32), with(StatePrecision::F64));
        assert!(single.iter().zip(&double).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    fn weakly_guided(config: WeakGuidanceConfig, seen: &mut Vec<Progress>) -> Result<Vec<f32>> {
        let device = Device::flex();
        let weak = Toy { scale: Param::from_tensor(Tensor::from_floats([0.1], &device)), has_null: true };
        let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
        let config = SamplerConfig { weak_guidance: Some(config), ..self::config(SolverConfig::Euler, None, 2) };
        let networks = Networks { main: &toy(true), weak: Some(&weak) };
        let samples = sampler(config)?.sample(networks, &labels, [2, 3], 11, &device, &mut |p| seen.push(p))?;
        Ok(samples.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn autoguidance_extrapolates_away_from_the_weak_network_and_evaluates_only_what_matters() {
        let with = |scale| {
            let mut seen = vec![];
            let samples = weakly_guided(WeakGuidanceConfig::Autoguidance { scale, interval: None }, &mut seen).unwrap();
            (samples, seen.last().unwrap().evaluations)
        };
        // The field is linear in the network's weight, so guidance by 2 is the network of weight 0.9.
        let expected = Toy { scale: Param::from_tensor(Tensor::from_floats([0.9], &Device::flex())), has_null: true };
        let expected = run(&expected, config(SolverConfig::Euler, None, 5), &mut vec![]).unwrap();
        let (found, evaluations) = with(2.0);
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
        assert_eq!((evaluations, with(1.0).1, with(0.0).1), (8, 4, 4));
    }

    #[test]
    fn a_weak_network_needs_its_guidance_and_the_other_way_round() {
        let guided = WeakGuidanceConfig::Autoguidance { scale: 2.0, interval: None };
        let config = SamplerConfig { weak_guidance: Some(guided), ..config(SolverConfig::Euler, None, 5) };
        assert!(matches!(run(&toy(true), config, &mut vec![]), Err(Error::Invalid(_))));
    }

    #[test]
    fn dpm_solver_needs_the_linear_path() {
        let interval = TrainingInterval { start: 0.0, end: 1.0 };
        let config = config(SolverConfig::DpmPp2m, None, 5);
        let new = |path: Arc<dyn Path>| Sampler::new(config.clone(), path, PredictionKind::Velocity, interval);
        assert!(new(Arc::new(Linear)).is_ok() && new(Arc::new(crate::path::Gvp)).is_err());
    }

    #[test]
    fn an_autodiff_device_is_refused() {
        let device = Device::flex().autodiff();
        let labels = Tensor::<1, Int>::from_ints([1], &device);
        let result = sampler(config(SolverConfig::Euler, None, 1)).unwrap().sample(
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
        let config = SamplerConfig { steps: 64, ..config(SolverConfig::Rk4, None, 2) };
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
            let config = config(SolverConfig::Euler, None, 1);
            let interval = TrainingInterval { start, end };
            assert!(Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval).is_err());
        }
    }
}
