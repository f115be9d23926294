//! What a user's model implements: [`PredictionNetwork`].
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use std::fmt::Debug;
use std::ops::Range;

/// What a network returns for one batch.
#[derive(Debug, Clone)]
pub struct Prediction<const D: usize> {
    /// The predicted quantity (velocity unless the configuration says otherwise), shaped like the input.
    pub output: Tensor<D>,
    /// A further loss of shape `[1]`, already weighted, added to the regression loss (REPA's alignment).
    pub auxiliary_loss: Option<Tensor<1>>,
}

impl<const D: usize> From<Tensor<D>> for Prediction<D> {
    fn from(output: Tensor<D>) -> Self {
        Self { output, auxiliary_loss: None }
    }
}

/// A prediction that is not shaped like the input it was made for. Without a check `[batch, 1]` would broadcast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`predict` returned the shape {found:?} for an input of shape {expected:?}: its output must be shaped like `noisy`"
)]
pub struct WrongShape {
    /// The shape of the output.
    pub found: Vec<usize>,
    /// The shape of the input.
    pub expected: Vec<usize>,
}

/// `predict`, whose output must be shaped like its input.
pub(crate) fn predict<N: PredictionNetwork<D>, const D: usize>(
    network: &N,
    noisy: Tensor<D>,
    timestep: Tensor<1>,
    condition: &N::Condition,
) -> Result<Prediction<D>, WrongShape> {
    let expected = noisy.dims();
    let prediction = network.predict(noisy, timestep, condition);
    let found = prediction.output.dims();
    if found == expected {
        Ok(prediction)
    } else {
        Err(WrongShape { found: found.to_vec(), expected: expected.to_vec() })
    }
}

/// A network that predicts from a noisy input and the timestep it is told.
///
/// `D` is the rank of the data: 2 for vectors `[batch, features]`, 3 tokens, 4 images, 5 video.
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::Tensor;
/// use burn_mixflow::network::{Prediction, PredictionNetwork};
///
/// #[derive(Module, Debug)]
/// struct Mine { layer: Linear }
/// impl PredictionNetwork<2> for Mine {
///     type Condition = ();
///     fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
///         self.layer.forward(Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1)).into()
///     }
/// }
/// ```
pub trait PredictionNetwork<const D: usize>: Module {
    /// What the generation is conditioned on: `()`, class labels, text embeddings.
    type Condition: Condition;

    /// Paths of parameters (or their ends) that bf16 training must not round, such as frequencies of the timestep.
    const KEPT_IN_F32: &'static [&'static str] = &[];

    /// Predicts for `noisy` `[batch, ...]` at the told timestep `[batch]` in [0, 1] (0 noise, 1 data).
    fn predict(&self, noisy: Tensor<D>, timestep: Tensor<1>, condition: &Self::Condition) -> Prediction<D>;

    /// The condition with the marked samples replaced by the null condition, or `None` if this
    /// network has none. Needed for condition dropout and classifier-free guidance.
    fn drop_condition(&self, condition: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        let _ = (condition, dropped);
        None
    }
}

/// A batch of conditions, one per sample.
pub trait Condition: Clone + Debug + Send + Sync + 'static {
    /// Moves the batch to a device.
    fn to_device(self, device: &Device) -> Self;
    /// The conditions of the samples in `range`.
    fn slice(&self, range: Range<usize>) -> Self;
    /// Both batches, one after the other.
    fn concat(self, other: Self) -> Self;
    /// How many samples the batch is for; `None` if it fits any number.
    fn count(&self) -> Option<usize> {
        None
    }
    /// Whether the two can be one batch; prompts of different lengths cannot.
    fn joins(&self, other: &Self) -> bool {
        let _ = other;
        true
    }
}

impl Condition for () {
    fn to_device(self, _: &Device) -> Self {}
    fn slice(&self, _: Range<usize>) -> Self {}
    fn concat(self, _: Self) -> Self {}
}

/// Class labels of shape `[batch]`.
impl Condition for Tensor<1, Int> {
    fn to_device(self, device: &Device) -> Self {
        Tensor::to_device(self, device)
    }
    fn slice(&self, range: Range<usize>) -> Self {
        self.clone().slice([range])
    }
    fn concat(self, other: Self) -> Self {
        Tensor::cat(vec![self, other], 0)
    }
    fn count(&self) -> Option<usize> {
        Some(self.dims()[0])
    }
}
