//! residual + gate · x, with a gate for each sample or each token: one pass forward, one backward.
//!
//! dresidual = dy, dx = gate dy, dgate = Σ x dy over the rows that share it, in sums of a fixed number of rows.
use super::lanes;
use super::scaled::shared_rows;
use super::slices;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// residual + gate · x. `residual` and `x` have one shape `[.., width]`, against which that of `gate` broadcasts.
pub fn gated<const D: usize>(residual: Tensor<D>, gate: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
    let fused = slices::fused([slices::side(&residual), slices::side(&gate), slices::side(&x)]);
    match shared_rows(x.dims(), &gate.dims()) {
        Some(rows) if fused && residual.dims() == x.dims() => {
            let [residual, gate, x] = [residual, gate, x].map(Tensor::into_dispatch);
            Tensor::from_dispatch(Dispatch::fused_gated(residual, gate, x, rows))
        }
        _ => residual + gate * x,
    }
}

/// `y`, which holds the residual, from number `start` on.
struct Forward<'a> {
    y: &'a mut [f32],
    start: usize,
    x: &'a [f32],
    gates: &'a [f32],
    width: usize,
    rows: usize,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (width, mut x) = (self.width, self.x);
        for (row, column, y) in slices::rows_of(self.y, self.start, width) {
            let gate = &self.gates[row / self.rows * width + column..][..y.len()];
            let (gates, gate_tail) = S::as_simd_f32s(gate);
            let (ys, y_tail) = S::as_mut_simd_f32s(y);
            let (of_row, others) = x.split_at(gate.len());
            let (xs, x_tail) = S::as_simd_f32s(of_row);
            x = others;
            for ((y, x), gate) in ys.iter_mut().zip(xs).zip(gates) {
                *y = s.mul_add_e_f32s(*x, *gate, *y);
            }
            // With the same rounding, wherever a piece ends.
            if !y_tail.is_empty() {
                let [y, x, gate] = [&*y_tail, x_tail, gate_tail].map(
                    #[inline(always)]
                    |tail| s.partial_load_f32s(tail),
                );
                s.partial_store_f32s(y_tail, s.mul_add_e_f32s(x, gate, y));
            }
        }
    }
}

/// `d_x` holds the gradient of y.
struct Gradient<'a> {
    d_x: &'a mut [f32],
    x: &'a [f32],
    gate: &'a [f32],
    d_gate: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let width = self.gate.len();
        for (grad, x) in self.d_x.chunks_exact_mut(width).zip(self.x.chunks_exact(width)) {
            let (xs, x_tail) = S::as_simd_f32s(x);
            let (grads, grad_tail) = S::as_simd_f32s(grad);
            let (sums, sum_tail) = S::as_mut_simd_f32s(self.d_gate);
            for ((sum, x), grad) in sums.iter_mut().zip(xs).zip(grads) {
                *sum = s.mul_add_e_f32s(*x, *grad, *sum);
            }
            for ((sum, x), grad) in sum_tail.iter_mut().zip(x_tail).zip(grad_tail) {
                *sum += x * grad;
            }
            lanes::map2(
                s,
                self.gate,
                grad,
                #[inline(always)]
                |gate, grad| s.mul_f32s(gate, grad),
            );
        }
    }
}

/// Rows of one task, and tasks of one group of rows that share a gate.
fn tasks(width: usize, rows: usize) -> (usize, usize) {
    let some = (2 * slices::CHUNK / width).clamp(32, 256).min(rows);
    (some, rows.div_ceil(some))
}

fn forward(residual: FlexTensor, gate: FlexTensor, x: FlexTensor, rows: usize) -> FlexTensor {
    let arch = Arch::new();
    let width = x.layout().shape()[x.layout().num_dims() - 1];
    let [gate, x] = [gate, x].map(slices::in_order);
    let (gates, xs) = (slices::elements(&gate), slices::elements(&x));
    slices::mapped(residual, |start, y| {
        let x = &xs[start..start + y.len()];
        arch.dispatch(Forward { y, start, x, gates, width, rows });
    })
}

/// The gradients of the gate and of x.
fn backward(gate: FlexTensor, x: FlexTensor, grad: FlexTensor, rows: usize) -> [FlexTensor; 2] {
    let arch = Arch::new();
    let width = x.layout().shape()[x.layout().num_dims() - 1];
    let shape = gate.layout().shape().clone();
    let [gate, x] = [gate, x].map(slices::in_order);
    let (gates, xs) = (slices::elements(&gate), slices::elements(&x));
    let (some, parts) = tasks(width, rows);
    let mut sums = vec![0.0; gates.len() * parts];
    let d_x = slices::changed(grad, |grad| {
        let groups = grad.par_chunks_mut(rows * width).zip(xs.par_chunks(rows * width)).zip(gates.par_chunks(width));
        let groups = groups.zip(sums.par_chunks_mut(parts * width));
        groups.with_min_len(slices::worth(rows * width)).for_each(|(((d_x, x), gate), d_gate)| {
            let parts = d_x.par_chunks_mut(some * width).zip(x.par_chunks(some * width));
            parts
                .zip(d_gate.par_chunks_mut(width))
                .for_each(|((d_x, x), d_gate)| arch.dispatch(Gradient { d_x, x, gate, d_gate }));
        });
    });
    [slices::tensor(slices::added(sums, parts, width), shape), d_x]
}

#[derive(Debug)]
struct Gated;

impl Backward<Flex, 3> for Gated {
    type State = (NodeId, NodeId, usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let (gate, x, rows) = ops.state;
        let [residual, of_gate, of_x] = ops.parents;
        let [gate, x] = [gate, x].map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        if let Some(residual) = residual {
            grads.register::<Flex>(residual.id, grad.clone());
        }
        if of_gate.is_some() || of_x.is_some() {
            for (parent, result) in [of_gate, of_x].into_iter().zip(backward(gate, x, grad, rows)) {
                if let Some(parent) = parent {
                    grads.register::<Flex>(parent.id, result);
                }
            }
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedGated: Backend {
    fn fused_gated(
        residual: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self>;
}

impl FusedGated for Flex {
    fn fused_gated(residual: FlexTensor, gate: FlexTensor, x: FlexTensor, rows: usize) -> FlexTensor {
        forward(residual, gate, x, rows)
    }
}

impl<C: CheckpointStrategy> FusedGated for Autodiff<Flex, C> {
    fn fused_gated(
        residual: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let nodes = [residual.node(), gate.node(), x.node()];
        match Gated.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (prepared.checkpoint(&gate), prepared.checkpoint(&x), rows);
                let [residual, gate, x] = [residual, gate, x].map(|t| t.into_primitive());
                prepared.finish(state, forward(residual, gate, x, rows))
            }
            OpsKind::UnTracked(prepared) => {
                let [residual, gate, x] = [residual, gate, x].map(|t| t.into_primitive());
                prepared.finish(forward(residual, gate, x, rows))
            }
        }
    }
}
