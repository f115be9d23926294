//! SiLU(a) · b, where a and b lie side by side in every row: one pass forward, one backward.
//!
//! With σ = σ(a): da = b dy σ (1 + a (1 − σ)), db = a σ dy.
use super::{lanes, slices};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// SiLU(a) · b of `both` `[.., 2 · width]`, whose rows are a and b, as `[.., width]` (Shazeer, arXiv 2002.05202).
///
/// # Panics
/// If the last dimension is odd.
pub fn swiglu<const D: usize>(both: Tensor<D>) -> Tensor<D> {
    let width = both.dims()[D - 1] / 2;
    assert_eq!(both.dims()[D - 1], 2 * width, "swiglu: rows of {:?} must be two halves", both.dims());
    let some = both.dims().into_iter().all(|side| side > 0);
    if some && slices::fused([slices::side(&both)]) {
        return Tensor::from_dispatch(Dispatch::fused_swiglu(both.into_dispatch()));
    }
    activation::silu(both.clone().narrow(D - 1, 0, width)) * both.narrow(D - 1, width, width)
}

struct Values<'a> {
    both: &'a [f32],
    y: &'a mut [f32],
    width: usize,
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (both, y) in self.both.chunks_exact(2 * self.width).zip(self.y.chunks_exact_mut(self.width)) {
            let (a, b) = both.split_at(self.width);
            y.copy_from_slice(b);
            lanes::map2(
                s,
                a,
                y,
                #[inline(always)]
                |a, b| s.mul_f32s(s.mul_f32s(a, lanes::sigmoid(s, a)), b),
            );
        }
    }
}

struct Gradient<'a> {
    /// Holds a and b, and then their gradients.
    both: &'a mut [f32],
    grad: &'a [f32],
    width: usize,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (both, grad) in self.both.chunks_exact_mut(2 * self.width).zip(self.grad.chunks_exact(self.width)) {
            let (a, b) = both.split_at_mut(self.width);
            let (a_lanes, a_tail) = S::as_mut_simd_f32s(a);
            let (b_lanes, b_tail) = S::as_mut_simd_f32s(b);
            let (grads, grad_tail) = S::as_simd_f32s(grad);
            for ((a, b), grad) in a_lanes.iter_mut().zip(b_lanes).zip(grads) {
                [*a, *b] = pair(s, *a, *b, *grad);
            }
            if !grad_tail.is_empty() {
                let grad = s.partial_load_f32s(grad_tail);
                let [da, db] = pair(s, s.partial_load_f32s(a_tail), s.partial_load_f32s(b_tail), grad);
                s.partial_store_f32s(a_tail, da);
                s.partial_store_f32s(b_tail, db);
            }
        }
    }
}

/// The gradients of a and b.
#[inline(always)]
fn pair<S: Simd>(s: S, a: S::f32s, b: S::f32s, grad: S::f32s) -> [S::f32s; 2] {
    let sigma = lanes::sigmoid(s, a);
    let rise = s.mul_f32s(a, s.sub_f32s(s.splat_f32s(1.0), sigma));
    let slope = s.mul_add_e_f32s(sigma, rise, sigma);
    [s.mul_f32s(s.mul_f32s(b, grad), slope), s.mul_f32s(s.mul_f32s(a, sigma), grad)]
}

/// The width of the result, and the rows of one task.
fn sizes(both: &FlexTensor) -> (usize, usize) {
    let width = both.layout().shape()[both.layout().num_dims() - 1] / 2;
    (width, (slices::CHUNK / width).max(1))
}

fn forward(both: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let (width, rows) = sizes(&both);
    let mut shape = both.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = width;
    let both = slices::in_order(both);
    let both = slices::elements(&both);
    let mut y = slices::cleared(both.len() / 2);
    let tasks = y.par_chunks_mut(rows * width).zip(both.par_chunks(2 * rows * width));
    tasks.with_min_len(slices::WORTH).for_each(|(y, both)| arch.dispatch(Values { both, y, width }));
    slices::tensor(y, shape)
}

fn backward(both: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let (width, rows) = sizes(&both);
    let grad = slices::in_order(grad);
    let grad = slices::elements(&grad);
    slices::changed(both, |both| {
        let tasks = both.par_chunks_mut(2 * rows * width).zip(grad.par_chunks(rows * width));
        tasks.with_min_len(slices::WORTH).for_each(|(both, grad)| arch.dispatch(Gradient { both, grad, width }));
    })
}

#[derive(Debug)]
struct SwiGlu;

impl Backward<Flex, 1> for SwiGlu {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let both = checkpointer.retrieve_node_output::<FlexTensor>(ops.state);
        if let Some(parent) = parent {
            grads.register::<Flex>(parent.id, backward(both, grad));
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedSwiGlu: Backend {
    fn fused_swiglu(both: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedSwiGlu for Flex {
    fn fused_swiglu(both: FlexTensor) -> FlexTensor {
        forward(both)
    }
}

impl<C: CheckpointStrategy> FusedSwiGlu for Autodiff<Flex, C> {
    fn fused_swiglu(both: FloatTensor<Self>) -> FloatTensor<Self> {
        match SwiGlu.prepare::<C>([both.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = prepared.checkpoint(&both);
                prepared.finish(state, forward(both.into_primitive()))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward(both.into_primitive())),
        }
    }
}
