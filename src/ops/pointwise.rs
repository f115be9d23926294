//! Functions of single numbers: y = f(x) in one pass, and dx = f′(x) dy in another, from x alone.
use super::slices;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use pulp::{Arch, Simd, WithSimd};
use std::fmt::Debug;
use std::marker::PhantomData;

/// A function of one number, on vectors of them.
pub(super) trait Curve: Debug + Send + Sync + 'static {
    /// f(x).
    fn value<S: Simd>(s: S, x: S::f32s) -> S::f32s;

    /// f′(x).
    fn slope<S: Simd>(s: S, x: S::f32s) -> S::f32s;
}

struct Values<'a, F>(&'a mut [f32], PhantomData<F>);

impl<F: Curve> WithSimd for Values<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        super::lanes::map(
            s,
            self.0,
            #[inline(always)]
            |x| F::value(s, x),
        );
    }
}

struct Slopes<'a, F> {
    x: &'a [f32],
    grad: &'a mut [f32],
    curve: PhantomData<F>,
}

impl<F: Curve> WithSimd for Slopes<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        super::lanes::map2(
            s,
            self.x,
            self.grad,
            #[inline(always)]
            |x, grad| s.mul_f32s(grad, F::slope(s, x)),
        );
    }
}

/// f(x), over x itself where nobody else holds it.
pub(super) fn forward<F: Curve>(x: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    slices::mapped(x, |_, x| arch.dispatch(Values(x, PhantomData::<F>)))
}

/// f′(x) · grad, over the gradient where nobody else holds it.
pub(super) fn backward<F: Curve>(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let arch = Arch::new();
    let x = slices::in_order(x);
    let x = slices::elements(&x);
    slices::mapped(grad, |start, grad| {
        let x = &x[start..start + grad.len()];
        arch.dispatch(Slopes { x, grad, curve: PhantomData::<F> });
    })
}

#[derive(Debug)]
struct Pointwise<F>(PhantomData<F>);

impl<F: Curve> Backward<Flex, 1> for Pointwise<F> {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let x = checkpointer.retrieve_node_output::<FlexTensor>(ops.state);
        if let Some(parent) = parent {
            grads.register::<Flex>(parent.id, backward::<F>(x, grad));
        }
    }
}

/// f(x) under autodiff.
pub(super) fn tracked<F: Curve, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    match Pointwise::<F>(PhantomData).prepare::<C>([x.node()]).compute_bound().stateful() {
        OpsKind::Tracked(mut prepared) => {
            let state = prepared.checkpoint(&x);
            prepared.finish(state, forward::<F>(x.into_primitive()))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward::<F>(x.into_primitive())),
    }
}
