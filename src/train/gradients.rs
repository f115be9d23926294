//! The global norm over all gradients, and clipping by it: `g ← g · min(1, c / (‖g‖₂ + 1e-6))`.
//!
//! Burn's own `GradientClippingConfig::Norm` clips each tensor by itself; this is the global norm of
//! PyTorch's `clip_grad_norm_`.
use super::norm::Norm;
#[cfg(feature = "fused")]
use crate::ops::times;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{ExecutionError, Tensor};

/// `‖g‖₂` over every gradient of `module`, shape `[1]`, f32; `None` if there is no gradient.
pub fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> Option<Tensor<1>> {
    struct Visit<'a> {
        gradients: &'a GradientsParams,
        norm: Norm,
    }
    impl ModuleVisitor for Visit<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.norm.add(gradient);
            }
        }
    }
    let mut visit = Visit { gradients, norm: Norm::default() };
    module.visit(&mut visit);
    visit.norm.value()
}

/// Every gradient times `factor`.
pub fn scale<M: Module>(module: &M, gradients: GradientsParams, factor: f64) -> GradientsParams {
    struct Scale {
        gradients: GradientsParams,
        scaled: GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.scaled.register(param.id, times(gradient, self.factor));
            }
        }
    }
    let mut scale = Scale { gradients, scaled: GradientsParams::new(), factor };
    module.visit(&mut scale);
    scale.scaled
}

#[cfg(not(feature = "fused"))]
fn times<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    x.mul_scalar(factor)
}

/// The factor that clips a gradient of norm `norm` to `max`, 1 where it is short enough.
fn clip_factor(norm: f64, max: f64) -> f64 {
    (max / (norm + 1e-6)).min(1.0)
}

/// Clips by the global norm, as PyTorch's `clip_grad_norm_`: every gradient times `min(1, max / (‖g‖₂ + 1e-6))`. Also the
/// norm before clipping, which is not finite if a gradient is not or the device fails, and 0 without any.
///
/// [`MixFlowTrainStep`](crate::train::MixFlowTrainStep) does it by itself; this is for a loop of one's own.
pub fn clip_by_global_norm<M: Module>(module: &M, gradients: GradientsParams, max: f64) -> (GradientsParams, f64) {
    let norm = read_norm(module, &gradients).map_or(f64::NAN, |norm| norm.unwrap_or(0.0));
    (clip_to(module, gradients, norm, max), norm)
}

/// The norm of the gradients on the host; none if there is no gradient.
///
/// # Errors
/// If the device fails to compute it, or anything before it.
pub(super) fn read_norm<M: Module>(module: &M, gradients: &GradientsParams) -> Result<Option<f64>, ExecutionError> {
    let norm = global_norm(module, gradients).map(Tensor::try_into_data).transpose()?;
    Ok(norm.and_then(|norm| norm.iter::<f64>().next()))
}

/// Gradients of a norm, clipped to `max`.
pub(super) fn clip_to<M: Module>(module: &M, gradients: GradientsParams, norm: f64, max: f64) -> GradientsParams {
    let factor = clip_factor(norm, max);
    if factor < 1.0 { scale(module, gradients, factor) } else { gradients }
}

/// The sum of two sets of gradients, on the devices and in the type of numbers of the first.
pub fn add<M: Module>(module: &M, first: GradientsParams, second: GradientsParams) -> GradientsParams {
    struct Add {
        first: GradientsParams,
        second: GradientsParams,
        sum: GradientsParams,
    }
    impl ModuleVisitor for Add {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let sum = match (self.first.remove::<D>(param.id), self.second.remove::<D>(param.id)) {
                (Some(a), Some(b)) => Some(b.to_device(&a.device()).cast(a.dtype()) + a),
                (a, b) => a.or(b),
            };
            if let Some(sum) = sum {
                self.sum.register(param.id, sum);
            }
        }
    }
    let mut add = Add { first, second, sum: GradientsParams::new() };
    module.visit(&mut add);
    add.sum
}
