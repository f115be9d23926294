//! x W + b, and GELU of it: products on flattened rows, what follows done to each tile, the bias gradient summed by all
//! cores.
//!
//! dx = dy Wᵀ, dW = xᵀ dy as one product over all rows, db = Σ dy in sums of a fixed number of rows.
use super::gelu::{self, Gelu};
use super::pointwise::{self, Curve};
use super::product::{product, product_over};
use super::{lanes, slices};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, module};
use faer::MatRef;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::marker::PhantomData;

/// x W + b for `x` of shape `[.., inputs]`, `weight` `[inputs, outputs]` and `bias` `[outputs]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    if fits(&x, &weight, &bias) {
        let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return Tensor::from_dispatch(Dispatch::fused_linear(x, weight, bias));
    }
    module::linear(x, weight, Some(bias))
}

/// [`gelu_tanh`](super::gelu_tanh) of [`linear`], shapes as there.
pub fn linear_gelu<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    if fits(&x, &weight, &bias) {
        let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return Tensor::from_dispatch(Dispatch::fused_linear_gelu(x, weight, bias));
    }
    gelu::gelu_tanh(module::linear(x, weight, Some(bias)))
}

/// Whether sizes are as said, and numbers where they can be worked on here.
fn fits<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: &Tensor<1>) -> bool {
    let (inputs, [of_weight, outputs]) = (x.dims()[D - 1], weight.dims());
    let some = x.dims().into_iter().all(|side| side > 0) && outputs > 0;
    let fits = D > 1 && some && inputs == of_weight && bias.dims() == [outputs];
    fits && slices::fused([slices::side(x), slices::side(weight), slices::side(bias)])
}

/// Adds the bias to a part of a row, and takes a function of that.
struct Finish<'a, F> {
    y: &'a mut [f32],
    bias: &'a [f32],
    curve: PhantomData<F>,
}

impl<F: Curve> WithSimd for Finish<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        lanes::map2(
            s,
            self.bias,
            self.y,
            #[inline(always)]
            |bias, y| F::value(s, s.add_f32s(y, bias)),
        );
    }
}

/// The number itself.
#[derive(Debug)]
struct Same;

impl Curve for Same {
    #[inline(always)]
    fn value<S: Simd>(_: S, x: S::f32s) -> S::f32s {
        x
    }

    #[inline(always)]
    fn slope<S: Simd>(s: S, _: S::f32s) -> S::f32s {
        s.splat_f32s(1.0)
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

/// A tensor from [`slices::in_order`] as rows of its last dimension.
fn rows(tensor: &FlexTensor) -> MatRef<'_, f32> {
    let (numbers, width) = (slices::elements(tensor), width(tensor));
    MatRef::from_row_major_slice(numbers, numbers.len() / width, width)
}

fn width(tensor: &FlexTensor) -> usize {
    tensor.layout().shape()[tensor.layout().num_dims() - 1]
}

/// f(x W + b).
fn forward<F: Curve>(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let [x, weight, bias] = [x, weight, bias].map(slices::in_order);
    let mut shape = x.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = width(&weight);
    let bias = slices::elements(&bias);
    let y = product(rows(&x), rows(&weight), |[_, column], y| {
        let bias = &bias[column..column + y.len()];
        arch.dispatch(Finish { y, bias, curve: PhantomData::<F> });
    });
    slices::tensor(y, shape)
}

/// The gradient of the bias.
fn summed(grad: &FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let width = width(grad);
    let grad = slices::elements(grad);
    let rows = (2 * slices::CHUNK / width).clamp(32, 256);
    let parts = (grad.len() / width).div_ceil(rows);
    let mut sums = vec![0.0; parts * width];
    sums.par_chunks_mut(width)
        .zip(grad.par_chunks(rows * width))
        .with_min_len(slices::worth(rows * width))
        .for_each(|(sum, rows)| arch.dispatch(SumRows { rows, sum }));
    slices::tensor(slices::added(sums, parts, width), [width])
}

/// Rows of so many numbers begin in the same sets of the caches: a tile of xᵀ, which reads down the rows, would keep
/// pushing out what it needs next. Burn's product puts it together before.
const SAME_SETS: usize = 1024;

/// xᵀ dy.
fn weight_gradient(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let [inputs, outputs] = [x, grad].map(width);
    if inputs.is_multiple_of(SAME_SETS) {
        let [x, grad] = [(x, inputs), (grad, outputs)].map(|(tensor, width)| {
            let rows = tensor.layout().num_elements() / width;
            tensor.clone().reshape([rows, width].into())
        });
        return Flex::float_matmul(Flex::float_transpose(x), grad);
    }
    slices::tensor(product(rows(x).transpose(), rows(grad), |_, _| ()), [inputs, outputs])
}

/// Registers the gradients of x, W and b for that of x W + b.
fn backward(parents: [Option<NodeId>; 3], x: FlexTensor, weight: FlexTensor, grad: FlexTensor, grads: &mut Gradients) {
    let [of_x, of_weight, of_bias] = parents;
    let [mut x, weight, grad] = [x, weight, grad].map(slices::in_order);
    if let Some(parent) = of_bias {
        grads.register::<Flex>(parent, summed(&grad));
    }
    let nothing = |_: [usize; 2], _: &mut [f32]| ();
    if let Some(parent) = of_weight {
        grads.register::<Flex>(parent, weight_gradient(&x, &grad));
    }
    if let Some(parent) = of_x {
        let (grad, weight) = (rows(&grad), rows(&weight).transpose());
        // x is not needed any more: its place is already there, and need not be cleared.
        let d_x = match slices::own_elements(&mut x) {
            Some(place) => {
                product_over(place, grad, weight, nothing);
                x
            }
            None => slices::tensor(product(grad, weight, nothing), x.layout().shape().clone()),
        };
        grads.register::<Flex>(parent, d_x);
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let [x, weight] = ops.state.map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        backward(ops.parents.map(|parent| parent.map(|node| node.id)), x, weight, grad, grads);
    }
}

/// The state is the nodes of x and W, and x W + b.
#[derive(Debug)]
struct LinearGelu;

impl Backward<Flex, 3> for LinearGelu {
    type State = ([NodeId; 2], FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let (nodes, inner) = ops.state;
        let [x, weight] = nodes.map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        backward(
            ops.parents.map(|parent| parent.map(|node| node.id)),
            x,
            weight,
            pointwise::backward::<Gelu>(inner, grad),
            grads,
        );
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedLinear: Backend {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_linear_gelu(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>)
    -> FloatTensor<Self>;
}

impl FusedLinear for Flex {
    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        forward::<Same>(x, weight, bias)
    }

    fn fused_linear_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        forward::<Gelu>(x, weight, bias)
    }
}

impl<C: CheckpointStrategy> FusedLinear for Autodiff<Flex, C> {
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        match Linear.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = [prepared.checkpoint(&x), prepared.checkpoint(&weight)];
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                prepared.finish(state, forward::<Same>(x, weight, bias))
            }
            OpsKind::UnTracked(prepared) => {
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                prepared.finish(forward::<Same>(x, weight, bias))
            }
        }
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match LinearGelu.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let nodes = [prepared.checkpoint(&x), prepared.checkpoint(&weight)];
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                let inner = forward::<Same>(x, weight, bias);
                prepared.finish((nodes, inner.clone()), pointwise::forward::<Gelu>(inner))
            }
            OpsKind::UnTracked(prepared) => {
                let [x, weight, bias] = [x, weight, bias].map(|t| t.into_primitive());
                prepared.finish(forward::<Gelu>(x, weight, bias))
            }
        }
    }
}
