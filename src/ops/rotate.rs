//! Rotary positions: pairs (a, b) of a head's numbers become (a cos − b sin, b cos + a sin), in one pass.
//!
//! The gradient of a pair is turned back: da = dy₁ cos₁ + dy₂ sin₂, db = dy₂ cos₂ − dy₁ sin₁.
use super::slices;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

/// Turns the numbers of `x` `[batch, tokens, heads, width]` by the angles of their token, whose cosines and sines are
/// `cos` and `sin` `[tokens, width]` (Su et al., arXiv 2104.09864). Gradients go to `x` alone.
pub fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, tokens, heads, width] = x.dims();
    let fits = cos.dims() == [tokens, width] && sin.dims() == [tokens, width] && width.is_multiple_of(2);
    let some = batch * tokens * heads * width > 0;
    if fits && some && slices::fused([slices::side(&x), slices::side(&cos), slices::side(&sin)]) {
        let [cos, sin] = [cos, sin].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::fused_rotate(x.into_dispatch(), cos, sin));
    }
    let [cos, sin] = [cos, sin].map(Tensor::detach);
    let pairs: Tensor<5> = x.clone().reshape([batch, tokens, heads, width / 2, 2]);
    let [first, second] = [0, 1].map(|i| pairs.clone().narrow(4, i, 1));
    let turned = Tensor::cat(vec![second.neg(), first], 4).reshape([batch, tokens, heads, width]);
    x * cos.unsqueeze_dim::<3>(1).unsqueeze() + turned * sin.unsqueeze_dim::<3>(1).unsqueeze()
}

/// Numbers from `start` on, turned forth or back.
struct Turn<'a> {
    x: &'a mut [f32],
    start: usize,
    angles: &'a Angles,
    back: bool,
}

/// Cosines and sines of every token.
#[derive(Debug, Clone)]
struct Angles {
    cos: FlexTensor,
    sin: FlexTensor,
    tokens: usize,
    heads: usize,
    width: usize,
}

impl WithSimd for Turn<'_> {
    type Output = ();

    /// Plain arithmetic: the compiler makes vectors of it, with the instructions that were chosen.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Angles { cos, sin, tokens, heads, width } = self.angles;
        let (cos, sin) = (slices::elements(cos), slices::elements(sin));
        for (row, column, x) in slices::rows_of(self.x, self.start, *width) {
            let at = row / heads % tokens * width + column;
            let (cos, sin) = (cos[at..at + x.len()].as_chunks::<2>().0, sin[at..at + x.len()].as_chunks::<2>().0);
            for (([a, b], [cos1, cos2]), [sin1, sin2]) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                (*a, *b) = if self.back {
                    (*a * cos1 + *b * sin2, *b * cos2 - *a * sin1)
                } else {
                    (*a * cos1 - *b * sin1, *b * cos2 + *a * sin2)
                };
            }
        }
    }
}

fn turned(x: FlexTensor, angles: &Angles, back: bool) -> FlexTensor {
    let arch = Arch::new();
    slices::mapped(x, |start, x| arch.dispatch(Turn { x, start, angles, back }))
}

fn angles(x: &FlexTensor, cos: FlexTensor, sin: FlexTensor) -> Angles {
    let [cos, sin] = [cos, sin].map(slices::in_order);
    let [tokens, heads, width] = [1, 2, 3].map(|i| x.layout().shape()[i]);
    Angles { cos, sin, tokens, heads, width }
}

#[derive(Debug)]
struct Rotate;

impl Backward<Flex, 1> for Rotate {
    type State = Angles;

    fn backward(self, ops: Ops<Angles, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        if let Some(parent) = parent {
            grads.register::<Flex>(parent.id, turned(grad, &ops.state, true));
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedRotate: Backend {
    fn fused_rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedRotate for Flex {
    fn fused_rotate(x: FlexTensor, cos: FlexTensor, sin: FlexTensor) -> FlexTensor {
        let angles = angles(&x, cos, sin);
        turned(x, &angles, false)
    }
}

impl<C: CheckpointStrategy> FusedRotate for Autodiff<Flex, C> {
    fn fused_rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self> {
        match Rotate.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [x, cos, sin] = [x, cos, sin].map(|t| t.into_primitive());
                let angles = angles(&x, cos, sin);
                let y = turned(x, &angles, false);
                prepared.finish(angles, y)
            }
            OpsKind::UnTracked(prepared) => {
                let [x, cos, sin] = [x, cos, sin].map(|t| t.into_primitive());
                prepared.finish(Flex::fused_rotate(x, cos, sin))
            }
        }
    }
}
