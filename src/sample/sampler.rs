//! Generates samples from a network as its configuration says.
use super::network_field::{cast, single};
use super::solve::solve_with;
use super::{
    CorrectionConfig, DifferentialCorrection, EpsilonScaling, NetworkField, Reached, SamplerConfig, SolverConfig,
    StatePrecision, StaticShift, Tableau, TimeShiftSampler, VelocityField, VelocityScale, solve_adaptive,
    solve_dpmpp_2m, solve_sde,
};
use crate::network::{Condition, PredictionNetwork};
use crate::path::{Linear, Path, PredictionKind, TrainingInterval, is_linear};
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use burn::tensor::{DType, Device, Tensor};
use std::cmp::Ordering;
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

/// Which noise samples are made of: sample `i` has that of `(seed, positions[i])`, whatever it is drawn together with.
#[derive(Debug, Clone, Copy)]
pub struct SampleNoise<'a> {
    /// The seed.
    pub seed: u64,
    /// The [position](SampleKey::position) of each sample.
    pub positions: &'a [u64],
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
    /// A sampler for networks that predict the velocity on the linear path, from noise at 0 to data at 1.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn linear_velocity(config: SamplerConfig) -> Result<Self> {
        let whole = TrainingInterval { start: 0.0, end: 1.0 };
        Self::new(config, Arc::new(Linear), PredictionKind::Velocity, whole)
    }

    /// A sampler for networks trained on `path` that output `prediction`, integrating over `interval`.
    ///
    /// [`TrainingInterval::sampling`] is the interval that keeps away from the singular ends of the path.
    /// # Errors
    /// [`Error::Config`] with everything that [`SamplerConfig::problems`] finds; [`Error::Invalid`]
    /// for an interval that is not `0 <= start < end <= 1`, times that do not increase within it, or DPM-Solver++ on
    /// another path than the linear one.
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
        let sampler = Self { config, path, prediction, interval };
        let times = sampler.times();
        if let Some(at) = times.windows(2).position(|ends| ends[0].partial_cmp(&ends[1]) != Some(Ordering::Less)) {
            let (one, next) = (times[at], times[at + 1]);
            let message = format!("sampling from {start} to {end}: the times must increase, {next} follows {one}");
            return Err(Error::Invalid(message));
        }
        Ok(sampler)
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
        match first {
            CorrectionConfig::EpsilonScaling(config) => {
                let scaled = EpsilonScaling::new(field, self.path.clone(), *config);
                self.correct(others, &scaled, start, noise, observe)
            }
            CorrectionConfig::TimeShiftSampler(config) => {
                let shifted = TimeShiftSampler::new(field, self.path.clone(), *config);
                self.correct(others, &shifted, start, noise, observe)
            }
            CorrectionConfig::StaticShift(config) => {
                self.correct(others, &StaticShift::new(field, *config), start, noise, observe)
            }
            CorrectionConfig::Differential(config) => {
                let (times, shape) = (self.times(), start.dims());
                let corrected = DifferentialCorrection::new(field, self.path.clone(), times, shape, *config)?;
                self.correct(others, &corrected, start, noise, observe)
            }
            CorrectionConfig::VelocityScale(config) => {
                self.correct(others, &VelocityScale::new(field, config.clone()), start, noise, observe)
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
    /// guidance without a null condition, a prediction that is not shaped like its input, a weak network without guidance by it or the other way round, or a state
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
        let positions: Vec<u64> = (0..shape.first().map_or(0, |count| *count as u64)).collect();
        self.sample_at(networks, condition, shape, SampleNoise { seed, positions: &positions }, device, progress)
    }

    /// As [`sample`](Self::sample), with a position for each sample: a part of many samples is what it is among all of them.
    /// # Errors
    /// As [`sample`](Self::sample); [`Error::Invalid`] unless there are `shape[0]` positions.
    pub fn sample_at<'a, N: PredictionNetwork<D> + 'a, const D: usize>(
        &self,
        networks: impl Into<Networks<'a, N>>,
        condition: &N::Condition,
        shape: [usize; D],
        noise: SampleNoise<'_>,
        device: &Device,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Tensor<D>> {
        let networks = networks.into();
        self.check(networks.weak.is_some(), condition.count(), &shape, device)?;
        let SampleNoise { seed, positions } = noise;
        if positions.len() != shape[0] {
            let (found, wanted) = (positions.len(), shape[0]);
            return Err(Error::Invalid(format!("{found} positions for {wanted} samples: must be one for each")));
        }
        let (total, batch_size) = (shape[0], self.config.batch_size);
        let mut batches = Vec::with_capacity(total.div_ceil(batch_size));
        for start in (0..total).step_by(batch_size) {
            let end = total.min(start.saturating_add(batch_size));
            let field = self.field(&networks, condition.slice(start..end), end - start)?;
            let draw = |epoch: usize, purpose| {
                let key = |position: &u64| SampleKey { seed, epoch: epoch as u64, position: *position };
                let keys: Vec<_> = positions[start..end].iter().map(key).collect();
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
            field.check()?;
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

    fn check(&self, has_weak: bool, conditions: Option<usize>, shape: &[usize], device: &Device) -> Result<()> {
        let wrong = if device.is_autodiff() {
            "sampling device: must not track gradients".into()
        } else if shape.contains(&0) {
            format!("shape {shape:?} of the samples: every dimension must be at least 1")
        } else if let Some(count) = conditions.filter(|count| *count != shape[0]) {
            format!("{count} conditions for {} samples: must be one for each", shape[0])
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

#[cfg(test)]
mod tests;
