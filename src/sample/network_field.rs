//! How a network becomes a velocity field.
use super::{At, GuidanceConfig, VelocityField, WeakGuidanceConfig};
use crate::network::{Condition, PredictionNetwork, WrongShape, predict};
use crate::path::{Path, PredictionKind};
use crate::{Error, Result};
use burn::tensor::{DType, Tensor, TensorData};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The velocity that a network predicts for a batch of conditions, guided if so configured.
///
/// The network sees states of f64 as f32, and is told timesteps `[batch]` in f32.
#[derive(Debug)]
pub struct NetworkField<'a, N: PredictionNetwork<D>, const D: usize> {
    network: &'a N,
    condition: N::Condition,
    prediction: PredictionKind,
    path: Arc<dyn Path>,
    guidance: Option<Guidance<N::Condition>>,
    weak: Option<(&'a N, WeakGuidanceConfig)>,
    evaluations: Cell<usize>,
    wrong: RefCell<Option<WrongShape>>,
}

#[derive(Debug)]
struct Guidance<C> {
    config: GuidanceConfig,
    null: C,
    /// The conditions, then as many null conditions, where they can be one batch.
    both: Option<C>,
}

/// Which predictions one evaluation of the field takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub conditional: bool,
    pub unconditional: bool,
    pub weak: bool,
}

impl Needs {
    /// What the two kinds of guidance need at `at`.
    pub(super) fn of(guidance: Option<&GuidanceConfig>, weak: Option<&WeakGuidanceConfig>, at: &At<'_>) -> Self {
        let (conditional, unconditional) = guidance.map_or((true, false), |config| config.needs(at));
        let weak = weak.filter(|config| config.is_active_at(at));
        let replaced = weak.is_some_and(WeakGuidanceConfig::replaces_the_network);
        let compared = weak.is_some_and(WeakGuidanceConfig::compares_the_conditional);
        Self { conditional: (conditional || compared) && !replaced, unconditional, weak: weak.is_some() }
    }

    /// Network evaluations per sample.
    pub(super) fn count(self) -> usize {
        [self.conditional, self.unconditional, self.weak].into_iter().filter(|needed| *needed).count()
    }
}

impl<'a, N: PredictionNetwork<D>, const D: usize> NetworkField<'a, N, D> {
    /// The unguided field for a batch of conditions; `network` outputs `prediction` of `path`.
    pub fn new(network: &'a N, condition: N::Condition, prediction: PredictionKind, path: Arc<dyn Path>) -> Self {
        let (evaluations, wrong) = (Cell::new(0), RefCell::new(None));
        Self { network, condition, prediction, path, guidance: None, weak: None, evaluations, wrong }
    }

    /// With classifier-free guidance for the `batch` conditions; guidance of scale 1 changes nothing.
    /// # Errors
    /// [`Error::Invalid`] for guidance of another scale if the network has no null condition.
    pub fn guided(mut self, config: GuidanceConfig, batch: usize) -> Result<Self> {
        self.guidance = None;
        if config.is_active() {
            let null = self.network.drop_condition(&self.condition, &vec![true; batch]).ok_or_else(|| {
                let scale = config.scale;
                Error::Invalid(format!("guidance of scale {scale}: must be 1, the network has no null condition"))
            })?;
            let both = self.condition.joins(&null).then(|| self.condition.clone().concat(null.clone()));
            self.guidance = Some(Guidance { config, null, both });
        }
        Ok(self)
    }

    /// With guidance away from what the `weak` network predicts for the same conditions.
    pub fn guided_by(mut self, weak: &'a N, config: WeakGuidanceConfig) -> Self {
        self.weak = Some((weak, config));
        self
    }

    /// Network evaluations spent on each sample so far; one of the weak network counts as one.
    pub fn evaluations(&self) -> usize {
        self.evaluations.get()
    }

    /// Whether all predictions so far were shaped like their inputs; after one that was not, the field is 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] with both shapes.
    pub fn check(&self) -> Result<()> {
        self.wrong.borrow().as_ref().map_or(Ok(()), |wrong| Err(Error::Invalid(wrong.to_string())))
    }

    fn predict(&self, network: &N, condition: &N::Condition, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let (dtype, device, batch) = (x.dtype(), x.device(), x.dims()[0]);
        let told = match at.told {
            None => Tensor::<1>::full([batch], at.time as f32, (&device, DType::F32)),
            Some(told) => {
                // Under guidance the same samples come twice.
                let told: Vec<f32> = told.iter().cycle().take(batch).map(|t| *t as f32).collect();
                Tensor::from_data(TensorData::new(told, [batch]), (&device, DType::F32))
            }
        };
        if self.wrong.borrow().is_some() {
            return x.zeros_like();
        }
        let output = match predict(network, single(x.clone()), told, condition) {
            Ok(prediction) => cast(prediction.output, dtype),
            Err(wrong) => {
                self.wrong.replace(Some(wrong));
                return x.zeros_like();
            }
        };
        if self.prediction == PredictionKind::Velocity {
            return output;
        }
        let (of_output, of_noisy) = self.prediction.weights(PredictionKind::Velocity, self.path.as_ref(), at.time);
        output.mul_scalar(of_output) + x.mul_scalar(of_noisy)
    }

    /// The conditional prediction and the one guided by the null condition, as far as they are needed.
    fn guide(&self, needs: Needs, x: Tensor<D>, at: At<'_>) -> (Option<Tensor<D>>, Option<Tensor<D>>) {
        let batch = x.dims()[0];
        match &self.guidance {
            Some(guidance) if needs.unconditional && needs.conditional => {
                let (conditional, unconditional) = match &guidance.both {
                    Some(both) => {
                        let twice = Tensor::cat(vec![x.clone(), x], 0);
                        let both = self.predict(self.network, both, twice, at);
                        (both.clone().narrow(0, 0, batch), both.narrow(0, batch, batch))
                    }
                    None => {
                        let conditional = self.predict(self.network, &self.condition, x.clone(), at);
                        (conditional, self.predict(self.network, &guidance.null, x, at))
                    }
                };
                let guided = guidance.config.combine(conditional.clone(), unconditional);
                (Some(conditional), Some(guided))
            }
            Some(guidance) if needs.unconditional => (None, Some(self.predict(self.network, &guidance.null, x, at))),
            _ if needs.conditional => {
                let conditional = self.predict(self.network, &self.condition, x, at);
                (Some(conditional.clone()), Some(conditional))
            }
            _ => (None, None),
        }
    }
}

impl<N: PredictionNetwork<D>, const D: usize> VelocityField<D> for NetworkField<'_, N, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let weak = self.weak.as_ref();
        let needs = Needs::of(self.guidance.as_ref().map(|g| &g.config), weak.map(|(_, config)| config), &at);
        self.evaluations.set(self.evaluations.get() + needs.count());
        let (conditional, guided) = self.guide(needs, x.clone(), at);
        match weak {
            Some((network, config)) if needs.weak => {
                let weak = self.predict(network, &self.condition, x, at);
                match (conditional, guided) {
                    (Some(conditional), Some(guided)) => config.combine(conditional, guided, weak),
                    // Only autoguidance, which does not look at the conditional one.
                    (None, Some(guided)) => config.combine(guided.clone(), guided, weak),
                    _ => weak,
                }
            }
            // Without a weak prediction one of the others is needed, so `x` is never returned.
            _ => guided.unwrap_or(x),
        }
    }
}

/// f64 as f32, anything else as it is.
pub(super) fn single<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.dtype() == DType::F64 { x.cast(DType::F32) } else { x }
}

/// `x` in `dtype`; free if it is so already.
pub(super) fn cast<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}
