//! Softmax attention that keeps no matrix of weights: softmax(scale · q kᵀ) v, scale = 1/√(width of a query).
//!
//! Both passes work on a tile of queries of one head at a time. The forward pass keeps Lᵢ = log Σⱼ exp(sᵢⱼ) of each
//! query, from which the backward pass computes the weights pᵢⱼ = exp(sᵢⱼ − Lᵢ) again (Dao et al., arXiv 2205.14135):
//! dv = pᵀ dy, dp = dy vᵀ, ds = scale · p (dp − Σⱼ p dp), dq = ds k, dk = dsᵀ q.
//! The memory beside inputs and results is that of a tile for each core.
mod heads;
mod kernels;
mod passes;

use self::heads::Heads;
use super::slices;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, module};
use std::sync::Arc;

/// log Σ exp of the scores of every query, `[batch, heads, queries]`.
type LogSums = Arc<Vec<f32>>;

/// softmax(q kᵀ / √d) v for queries `[batch, heads, queries, d]`, keys `[batch, heads, keys, d]` and values
/// `[batch, heads, keys, e]`: `[batch, heads, queries, e]`.
///
/// Views are read where they lie if the numbers of a head lie side by side. The result lies in memory as
/// `[batch, queries, heads, e]`, so that the heads of a token can be joined without a copy.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let ([batch, heads, queries, d], [_, _, keys, e]) = (q.dims(), v.dims());
    let fits = k.dims() == [batch, heads, keys, d] && v.dims()[..2] == [batch, heads];
    let some = [batch, heads, queries, keys, d, e].into_iter().all(|side| side > 0);
    if fits && some && slices::fused([slices::side(&q), slices::side(&k), slices::side(&v)]) {
        return Tensor::from_dispatch(Dispatch::fused_attention(
            q.into_dispatch(),
            k.into_dispatch(),
            v.into_dispatch(),
        ));
    }
    module::attention(q, k, v, None, None, Default::default())
}

/// Attention of tokens to each other, from queries, keys and values side by side in `[batch, tokens, 3, heads, d]`:
/// `[batch, tokens, heads · d]`.
///
/// Nothing is copied to take the three apart, nor to put their gradients together.
///
/// # Panics
/// If the third dimension is not 3.
pub fn self_attention(qkv: Tensor<5>) -> Tensor<3> {
    let [batch, tokens, three, heads, d] = qkv.dims();
    assert_eq!(three, 3, "self_attention: {:?} must be [batch, tokens, 3, heads, d]", qkv.dims());
    let some = [batch, tokens, heads, d].into_iter().all(|side| side > 0);
    if some && slices::fused([slices::side(&qkv)]) {
        let mixed = Tensor::<4>::from_dispatch(Dispatch::fused_self_attention(qkv.into_dispatch()));
        return mixed.reshape([batch, tokens, heads * d]);
    }
    let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2));
    let mixed = module::attention(q, k, v, None, None, Default::default());
    mixed.swap_dims(1, 2).reshape([batch, tokens, heads * d])
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = ([NodeId; 3], LogSums);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let (ids, log_sums) = ops.state;
        let parts = ids.map(|id| Heads::of(checkpointer.retrieve_node_output::<FlexTensor>(id)));
        let results = passes::backward(&parts, &log_sums, &Heads::of(grad));
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

#[derive(Debug)]
struct SelfAttention;

impl Backward<Flex, 1> for SelfAttention {
    type State = (NodeId, LogSums);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let (id, log_sums) = ops.state;
        let parts = Heads::of_packed(checkpointer.retrieve_node_output::<FlexTensor>(id));
        if let Some(parent) = parent {
            let result = passes::packed_backward(&parts, &log_sums, &Heads::of_tokens(grad));
            grads.register::<Flex>(parent.id, result);
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedAttention: Backend {
    fn fused_attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `[batch, tokens, heads, d]`.
    fn fused_self_attention(qkv: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedAttention for Flex {
    fn fused_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor) -> FlexTensor {
        passes::forward(&[q, k, v].map(Heads::of)).0.swapped()
    }

    fn fused_self_attention(qkv: FlexTensor) -> FlexTensor {
        passes::forward(&Heads::of_packed(qkv)).0.tokens()
    }
}

impl<C: CheckpointStrategy> FusedAttention for Autodiff<Flex, C> {
    fn fused_attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>) -> FloatTensor<Self> {
        match Attention.prepare::<C>([q.node(), k.node(), v.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let ids = [&q, &k, &v].map(|t| prepared.checkpoint(t));
                let (mixed, log_sums) = passes::forward(&[q, k, v].map(|t| Heads::of(t.into_primitive())));
                prepared.finish((ids, Arc::new(log_sums)), mixed.swapped())
            }
            OpsKind::UnTracked(prepared) => {
                let [q, k, v] = [q, k, v].map(|t| t.into_primitive());
                prepared.finish(Flex::fused_attention(q, k, v))
            }
        }
    }

    fn fused_self_attention(qkv: FloatTensor<Self>) -> FloatTensor<Self> {
        match SelfAttention.prepare::<C>([qkv.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let id = prepared.checkpoint(&qkv);
                let (mixed, log_sums) = passes::forward(&Heads::of_packed(qkv.into_primitive()));
                prepared.finish((id, Arc::new(log_sums)), mixed.tokens())
            }
            OpsKind::UnTracked(prepared) => prepared.finish(Flex::fused_self_attention(qkv.into_primitive())),
        }
    }
}
