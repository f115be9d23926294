//! What a step hands to the metrics.
use crate::timestep::Timesteps;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use burn::train::ItemLazy;
use burn::train::metric::{Adaptor, LossInput};

/// The result of one training or validation step. Holds no image.
#[derive(Debug, Clone)]
pub struct FlowOutput {
    /// The loss of each sample, `[batch]`; in training with the auxiliary loss added.
    pub loss: Tensor<1>,
    /// The timesteps each sample was trained at.
    pub timesteps: Vec<Timesteps>,
    /// The gradient norm of the newest update before this step, `None` before the first.
    pub gradient_norm: Option<f64>,
    /// `‖ema − network‖₂` at the newest update at which it was measured.
    pub ema_distance: Option<f64>,
    /// Optimizer steps done before this one, counted over resumed runs.
    pub step: u64,
}

impl ItemLazy for FlowOutput {
    /// Brings the losses here, so that a device is read once however many metrics look at them. Burn calls it on the thread of
    /// the metrics, which the next step does not wait for.
    fn sync(self) -> Result<Self, ExecutionError> {
        let (loss, here) = (self.loss.without_autodiff(), Device::flex());
        if loss.device() == here {
            return Ok(Self { loss, ..self });
        }
        let shape = loss.shape();
        // Each value is taken: numbers of a GPU are copied when they are first looked at.
        let values: Vec<f32> = loss.try_into_data()?.iter().collect();
        Ok(Self { loss: Tensor::from_data(TensorData::new(values, shape), &here), ..self })
    }
}

impl Adaptor<LossInput> for FlowOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<FlowOutput> for FlowOutput {
    fn adapt(&self) -> FlowOutput {
        self.clone()
    }
}
