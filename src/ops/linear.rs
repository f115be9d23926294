//! x W + b: products on flattened rows, the bias added in place and its gradient summed by all cores.
//!
//! dx = dy Wᵀ, dW = xᵀ dy as one product over all rows, db = Σ dy in sums of a fixed number of rows.
use super::lanes;
use super::slices;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, module};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// x W + b for `x` of shape `[.., inputs]`, `weight` `[inputs, outputs]` and `bias` `[outputs]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    let (inputs, [of_weight, outputs]) = (x.dims()[D - 1], weight.dims());
    let some = x.dims().into_iter().all(|side| side > 0) && outputs > 0;
    let fits = D > 1 && some && inputs == of_weight && bias.dims() == [outputs];
    if fits && slices::fused([slices::side(&x), slices::side(&weight), slices::side(&bias)]) {
        let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return Tensor::from_dispatch(Dispatch::fused_linear(x, weight, bias));
    }
    module::linear(x, weight, Some(bias))
}

struct AddBias<'a> {
    y: &'a mut [f32],
    bias: &'a [f32],
}

impl WithSimd for AddBias<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for row in self.y.chunks_exact_mut(self.bias.len()) {
            lanes::map2(
                s,
                self.bias,
                row,
                #[inline(always)]
                |bias, y| s.add_f32s(y, bias),
            );
        }
    }
}

struct SumRows<'a> {
    rows: &'a [f32],
    sum: &'a mut [f32],
}

impl WithSimd for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for row in self.rows.chunks_exact(self.sum.len()) {
            lanes::map2(
                s,
                row,
                self.sum,
                #[inline(always)]
                |row, sum| s.add_f32s(sum, row),
            );
        }
    }
}

/// The tensor as `[rows, width]`.
fn flat(tensor: FlexTensor) -> FlexTensor {
    let tensor = slices::in_order(tensor);
    let width = tensor.layout().shape()[tensor.layout().num_dims() - 1];
    let rows = tensor.layout().num_elements() / width;
    tensor.reshape([rows, width].into())
}

fn forward(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let mut shape = x.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = weight.layout().shape()[1];
    let bias = slices::in_order(bias);
    let bias = slices::elements(&bias);
    let rows = (slices::CHUNK / bias.len()).max(1);
    let y = slices::changed(Flex::float_matmul(flat(x), weight), |y| {
        y.par_chunks_mut(rows * bias.len()).for_each(|y| arch.dispatch(AddBias { y, bias }));
    });
    y.reshape(shape)
}

/// The gradient of the bias.
fn summed(grad: &FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let width = grad.layout().shape()[1];
    let grad = slices::elements(grad);
    let rows = (2 * slices::CHUNK / width).clamp(32, 256);
    let parts = (grad.len() / width).div_ceil(rows);
    let mut sums = vec![0.0; parts * width];
    sums.par_chunks_mut(width)
        .zip(grad.par_chunks(rows * width))
        .for_each(|(sum, rows)| arch.dispatch(SumRows { rows, sum }));
    slices::tensor(slices::added(sums, parts, width), [width])
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = (NodeId, NodeId);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let [x, weight] = [ops.state.0, ops.state.1].map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        let [of_x, of_weight, of_bias] = ops.parents;
        let shape = x.layout().shape().clone();
        let grad = flat(grad);
        if let Some(bias) = of_bias {
            grads.register::<Flex>(bias.id, summed(&grad));
        }
        if let Some(parent) = of_weight {
            let d_weight = Flex::float_matmul(Flex::float_transpose(flat(x)), grad.clone());
            grads.register::<Flex>(parent.id, d_weight);
        }
        if let Some(parent) = of_x {
            let d_x = Flex::float_matmul(grad, Flex::float_transpose(weight));
            grads.register::<Flex>(parent.id, d_x.reshape(shape));
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedLinear: Backend {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedLinear for Flex {
    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        forward(x, weight, bias)
    }
}

impl<C: CheckpointStrategy> FusedLinear for Autodiff<Flex, C> {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        match Linear.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (prepared.checkpoint(&x), prepared.checkpoint(&weight));
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                prepared.finish(state, forward(x, weight, bias))
            }
            OpsKind::UnTracked(prepared) => {
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                prepared.finish(forward(x, weight, bias))
            }
        }
    }
}
