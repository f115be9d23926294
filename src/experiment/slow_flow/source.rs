//! Fields by batch: the condition of a network differs between samples.
use crate::Result;
use crate::network::{Condition, PredictionNetwork};
use crate::path::{Path, PredictionKind};
use crate::sample::{GuidanceConfig, NetworkField, VelocityField};
use burn::tensor::Tensor;
use std::ops::Range;
use std::sync::Arc;

/// What is measured: a field for any range of samples.
pub trait FieldSource<const D: usize> {
    /// The field for generated samples.
    ///
    /// # Errors
    /// As [`NetworkField::guided`].
    fn generating(&self, samples: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>>;

    /// The field for the data of the ground truth.
    ///
    /// # Errors
    /// As [`generating`](Self::generating).
    fn of_truth(&self, samples: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>>;
}

/// One field for all samples.
pub struct Exactly<'a, const D: usize>(
    /// The field.
    pub &'a dyn VelocityField<D>,
);

impl<const D: usize> FieldSource<D> for Exactly<'_, D> {
    fn generating(&self, _: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>> {
        Ok(Box::new(|x: Tensor<D>, t: f64| self.0.velocity(x, t)))
    }

    fn of_truth(&self, samples: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>> {
        self.generating(samples)
    }
}

/// A network with the conditions of both sets of samples.
#[derive(Debug)]
pub struct Networked<'a, N: PredictionNetwork<D>, const D: usize> {
    /// The network, without autodiff.
    pub network: &'a N,
    /// What it predicts.
    pub prediction: PredictionKind,
    /// The path it was trained on.
    pub path: Arc<dyn Path>,
    /// Classifier-free guidance.
    pub guidance: Option<GuidanceConfig>,
    /// The conditions of the generated samples.
    pub generated: N::Condition,
    /// The conditions of the data of the ground truth.
    pub truth: N::Condition,
}

impl<N: PredictionNetwork<D>, const D: usize> Networked<'_, N, D> {
    fn field(&self, condition: N::Condition, batch: usize) -> Result<Box<dyn VelocityField<D> + '_>> {
        let field = NetworkField::new(self.network, condition, self.prediction, self.path.clone());
        Ok(match &self.guidance {
            Some(guidance) => Box::new(field.guided(guidance.clone(), batch)?),
            None => Box::new(field),
        })
    }
}

impl<N: PredictionNetwork<D>, const D: usize> FieldSource<D> for Networked<'_, N, D> {
    fn generating(&self, samples: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>> {
        self.field(self.generated.slice(samples.clone()), samples.len())
    }

    fn of_truth(&self, samples: Range<usize>) -> Result<Box<dyn VelocityField<D> + '_>> {
        self.field(self.truth.slice(samples.clone()), samples.len())
    }
}
