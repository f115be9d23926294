//! `v(x, t)`: what a solver integrates.
use super::At;
use burn::tensor::Tensor;

/// A velocity field on tensors of rank `D`. Closures `Fn(Tensor<D>, f64) -> Tensor<D>` are fields.
pub trait VelocityField<const D: usize> {
    /// The velocity at states `x` `[batch, ...]`, all at time `t` (0 noise, 1 data); shaped like `x`.
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D>;

    /// The velocity at `x` for an evaluation described by `at`: what the solvers call.
    ///
    /// By default [`velocity`](Self::velocity) at its time. Where samples are told times of their own,
    /// by default each sample alone at its told time: right for a field that treats samples alike and apart.
    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let Some(told) = at.told else { return self.velocity(x, at.time) };
        let samples = told.iter().enumerate().map(|(i, t)| self.velocity(x.clone().narrow(0, i, 1), *t)).collect();
        Tensor::cat(samples, 0)
    }
}

impl<const D: usize, F: Fn(Tensor<D>, f64) -> Tensor<D>> VelocityField<D> for F {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self(x, t)
    }
}
