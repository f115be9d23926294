//! y = n(x) (offset + scale) + shift on rows, where n is a norm of a row or nothing: one pass forward, one backward.
//!
//! With h = n(x), its rate r (1/deviation, 1/root mean square, or 1) and w = (offset + scale) dy:
//! dx = r (w − mean(w) − h mean(w h)), where a root mean square has no mean(w) and no norm has neither;
//! dscale = Σ h dy and dshift = Σ dy over the rows that share them, in sums of a fixed number of rows.
use super::lanes::{self, Sums};
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
use std::sync::Arc;

/// What is done to a row before it is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Norm {
    /// (x − mean) / √(variance + ε), with the biased variance.
    Layer(f32),
    /// x / √(mean x² + ε).
    Rms(f32),
    /// Nothing.
    None,
}

/// How rows are scaled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub norm: Norm,
    /// What is added to the scale.
    pub offset: f32,
    /// The width of a row.
    width: usize,
    /// How many rows share a scale and a shift.
    rows: usize,
}

/// How many rows of `x` share a row of `scale`, if `scale` lies over `x` so: its sides are those of `x` up to some
/// dimension, and 1 from there to the last, which is that of `x`.
pub(super) fn shared_rows<const D: usize>(x: [usize; D], scale: &[usize]) -> Option<usize> {
    let (width, numbers) = (x[D - 1], x.iter().product::<usize>());
    let (last, before) = scale.split_last()?;
    // Missing sides on the left are ones, as Burn broadcasts.
    let missing = (D - 1).checked_sub(before.len())?;
    let sides = std::iter::repeat_n(&1, missing).chain(before);
    let mut groups = 1;
    let mut ended = false;
    for (side, of_x) in sides.zip(&x[..D - 1]) {
        ended |= side != of_x;
        if ended && *side != 1 {
            return None;
        }
        groups *= side;
    }
    (numbers > 0 && *last == width).then(|| numbers / width / groups)
}

impl Spec {
    /// How to work on `x`, `[.., width]`, here; `None` where plain Burn must.
    pub fn of<const D: usize, const E: usize>(
        x: &Tensor<D>,
        scale: &Tensor<E>,
        shift: &Tensor<E>,
        norm: Norm,
        offset: f32,
    ) -> Option<Self> {
        let rows = shared_rows(x.dims(), &scale.dims())?;
        let fused = slices::fused([slices::side(x), slices::side(scale), slices::side(shift)]);
        (fused && shift.dims() == scale.dims()).then(|| Self { norm, offset, width: x.dims()[D - 1], rows })
    }
}

/// n(x) (offset + scale) + shift.
pub(super) fn scaled<const D: usize, const E: usize>(
    x: Tensor<D>,
    scale: Tensor<E>,
    shift: Tensor<E>,
    spec: Spec,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_scaled(x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch(), spec))
}

/// (mean, rate) of every row.
type Stats = Arc<Vec<[f32; 2]>>;

/// (mean, rate) of some rows.
struct RowStats<'a> {
    x: &'a [f32],
    stats: &'a mut [[f32; 2]],
    spec: Spec,
}

impl WithSimd for RowStats<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let count = self.spec.width as f32;
        for (row, stats) in self.x.chunks_exact(self.spec.width).zip(self.stats) {
            *stats = match self.spec.norm {
                Norm::None => [0.0, 1.0],
                Norm::Rms(epsilon) => [0.0, 1.0 / (lanes::dot(s, row, row) / count + epsilon).sqrt()],
                Norm::Layer(epsilon) => {
                    let mean = lanes::sum(
                        s,
                        row,
                        #[inline(always)]
                        |x| x,
                    ) / count;
                    let middle = s.splat_f32s(mean);
                    // The rest is apart, since the lanes beyond the end would count as −mean.
                    let (whole, rest) = row.split_at(row.len() - row.len() % S::F32_LANES);
                    let squares = lanes::sum(
                        s,
                        whole,
                        #[inline(always)]
                        |x| {
                            let x = s.sub_f32s(x, middle);
                            s.mul_f32s(x, x)
                        },
                    );
                    let squares = squares + rest.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>();
                    [mean, 1.0 / (squares / count + epsilon).sqrt()]
                }
            };
        }
    }
}

/// `y`, which holds x, from number `start` on.
struct Scale<'a> {
    y: &'a mut [f32],
    start: usize,
    stats: &'a [[f32; 2]],
    scale: &'a [f32],
    shift: &'a [f32],
    spec: Spec,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Spec { offset, width, rows, .. } = self.spec;
        let extra = s.splat_f32s(offset);
        for (row, column, y) in slices::rows_of(self.y, self.start, width) {
            let [mean, rate] = self.stats[row];
            let (middle, r) = (s.splat_f32s(mean), s.splat_f32s(rate));
            let of_group = row / rows * width + column;
            let (scales, scale_tail) = S::as_simd_f32s(&self.scale[of_group..][..y.len()]);
            let (shifts, shift_tail) = S::as_simd_f32s(&self.shift[of_group..][..y.len()]);
            let (ys, y_tail) = S::as_mut_simd_f32s(y);
            for ((y, scale), shift) in ys.iter_mut().zip(scales).zip(shifts) {
                let h = s.mul_f32s(s.sub_f32s(*y, middle), r);
                *y = s.mul_add_e_f32s(h, s.add_f32s(*scale, extra), *shift);
            }
            // With the same rounding, wherever a piece ends.
            if !y_tail.is_empty() {
                let [y, scale, shift] = [&*y_tail, scale_tail, shift_tail].map(
                    #[inline(always)]
                    |tail| s.partial_load_f32s(tail),
                );
                let h = s.mul_f32s(s.sub_f32s(y, middle), r);
                s.partial_store_f32s(y_tail, s.mul_add_e_f32s(h, s.add_f32s(scale, extra), shift));
            }
        }
    }
}

/// The rows of one task; `grad` becomes the gradient of x.
struct Gradient<'a> {
    x: &'a [f32],
    grad: &'a mut [f32],
    stats: &'a [[f32; 2]],
    scale: &'a [f32],
    d_scale: &'a mut [f32],
    d_shift: &'a mut [f32],
    spec: Spec,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Spec { norm, offset, width, .. } = self.spec;
        let extra = s.splat_f32s(offset);
        let (scales, scale_tail) = S::as_simd_f32s(self.scale);
        let (d_scales, d_scale_tail) = S::as_mut_simd_f32s(self.d_scale);
        let (d_shifts, d_shift_tail) = S::as_mut_simd_f32s(self.d_shift);
        let rows = self.x.chunks_exact(width).zip(self.grad.chunks_exact_mut(width)).zip(self.stats);
        for ((x, grad), &[mean, rate]) in rows {
            let (middle, r) = (s.splat_f32s(mean), s.splat_f32s(rate));
            let (xs, x_tail) = S::as_simd_f32s(x);
            let (grads, grad_tail) = S::as_mut_simd_f32s(grad);
            let zero = s.splat_f32s(0.0);
            let (mut of_w, mut of_wh) = (Sums::<S>([zero; 4]), Sums::<S>([zero; 4]));
            let sums = xs.iter().zip(grads.iter()).zip(scales).zip(d_scales.iter_mut()).zip(d_shifts.iter_mut());
            for (i, ((((x, g), scale), d_scale), d_shift)) in sums.enumerate() {
                let h = s.mul_f32s(s.sub_f32s(*x, middle), r);
                *d_scale = s.mul_add_e_f32s(*g, h, *d_scale);
                *d_shift = s.add_f32s(*d_shift, *g);
                let w = s.mul_f32s(*g, s.add_f32s(*scale, extra));
                of_w.0[i % 4] = s.add_f32s(of_w.0[i % 4], w);
                of_wh.0[i % 4] = s.mul_add_e_f32s(w, h, of_wh.0[i % 4]);
            }
            let (mut sum_w, mut sum_wh) = (of_w.total(s), of_wh.total(s));
            let tails = x_tail.iter().zip(grad_tail.iter()).zip(scale_tail);
            for (((x, g), scale), (d_scale, d_shift)) in tails.zip(d_scale_tail.iter_mut().zip(d_shift_tail.iter_mut()))
            {
                let (h, w) = ((x - mean) * rate, g * (scale + offset));
                *d_scale += g * h;
                *d_shift += g;
                sum_w += w;
                sum_wh += w * h;
            }
            // The row is still in the cache.
            let count = width as f32;
            let (less, less_h) = match norm {
                Norm::Layer(_) => (sum_w / count, sum_wh / count),
                Norm::Rms(_) => (0.0, sum_wh / count),
                Norm::None => (0.0, 0.0),
            };
            let (minus, minus_h) = (s.splat_f32s(less), s.splat_f32s(-less_h));
            for ((x, g), scale) in xs.iter().zip(grads.iter_mut()).zip(scales) {
                let h = s.mul_f32s(s.sub_f32s(*x, middle), r);
                let w = s.sub_f32s(s.mul_f32s(*g, s.add_f32s(*scale, extra)), minus);
                *g = s.mul_f32s(r, s.mul_add_e_f32s(h, minus_h, w));
            }
            for ((x, g), scale) in x_tail.iter().zip(grad_tail.iter_mut()).zip(scale_tail) {
                *g = rate * (*g * (scale + offset) - less - (x - mean) * rate * less_h);
            }
        }
    }
}

/// Rows of one task, and tasks of one group of rows that share a scale. Sums run over one task after the other, so
/// they do not depend on the number of threads.
fn tasks(spec: Spec) -> (usize, usize) {
    let rows = (2 * slices::CHUNK / spec.width).clamp(32, 256).min(spec.rows);
    (rows, spec.rows.div_ceil(rows))
}

/// Groups of rows that are worked on together, where they are short.
fn together(spec: Spec) -> usize {
    slices::worth(spec.rows * spec.width)
}

fn forward(x: FlexTensor, scale: FlexTensor, shift: FlexTensor, spec: Spec) -> (FlexTensor, Stats) {
    let arch = Arch::new();
    let [x, scale, shift] = [x, scale, shift].map(slices::in_order);
    let (scale, shift) = (slices::elements(&scale), slices::elements(&shift));
    let some = (slices::CHUNK / spec.width).max(1);
    let mut stats = vec![[0.0; 2]; slices::elements(&x).len() / spec.width];
    let rows = slices::elements(&x).par_chunks(some * spec.width).zip(stats.par_chunks_mut(some));
    rows.with_min_len(slices::WORTH).for_each(|(x, stats)| arch.dispatch(RowStats { x, stats, spec }));
    let y = slices::mapped(x, |start, y| arch.dispatch(Scale { y, start, stats: &stats, scale, shift, spec }));
    (y, Arc::new(stats))
}

/// The gradients of x, scale and shift.
fn backward(x: FlexTensor, scale: FlexTensor, stats: &Stats, grad: FlexTensor, spec: Spec) -> [FlexTensor; 3] {
    let arch = Arch::new();
    let Spec { width, rows, .. } = spec;
    let shape = scale.layout().shape().clone();
    let [x, scale] = [x, scale].map(slices::in_order);
    let (xs, scales) = (slices::elements(&x), slices::elements(&scale));
    let (some, parts) = tasks(spec);
    let mut sums = [0, 1].map(|_| vec![0.0; scales.len() * parts]);
    let d_x = slices::changed(grad, |grad| {
        let [d_scale, d_shift] = sums.each_mut().map(|sums| sums.par_chunks_mut(parts * width));
        let groups = grad.par_chunks_mut(rows * width).zip(xs.par_chunks(rows * width)).zip(stats.par_chunks(rows));
        let groups = groups.zip(scales.par_chunks(width)).zip(d_scale.zip(d_shift));
        groups.with_min_len(together(spec)).for_each(|((((grad, x), stats), scale), (d_scale, d_shift))| {
            let parts = grad.par_chunks_mut(some * width).zip(x.par_chunks(some * width));
            let sums = d_scale.par_chunks_mut(width).zip(d_shift.par_chunks_mut(width));
            parts.zip(stats.par_chunks(some)).zip(sums).for_each(|(((grad, x), stats), (d_scale, d_shift))| {
                arch.dispatch(Gradient { x, grad, stats, scale, d_scale, d_shift, spec });
            });
        });
    });
    let [d_scale, d_shift] = sums.map(|sums| slices::tensor(slices::added(sums, parts, width), shape.clone()));
    [d_x, d_scale, d_shift]
}

#[derive(Debug)]
struct Scaled;

impl Backward<Flex, 3> for Scaled {
    type State = (NodeId, NodeId, Stats, Spec);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let (x, scale, stats, spec) = ops.state;
        let [x, scale] = [x, scale].map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        for (parent, result) in ops.parents.into_iter().zip(backward(x, scale, &stats, grad, spec)) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedScaled: Backend {
    fn fused_scaled(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self>;
}

impl FusedScaled for Flex {
    fn fused_scaled(x: FlexTensor, scale: FlexTensor, shift: FlexTensor, spec: Spec) -> FlexTensor {
        forward(x, scale, shift, spec).0
    }
}

impl<C: CheckpointStrategy> FusedScaled for Autodiff<Flex, C> {
    fn fused_scaled(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), scale.node(), shift.node()];
        match Scaled.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let (of_x, of_scale) = (prepared.checkpoint(&x), prepared.checkpoint(&scale));
                let [x, scale, shift] = [x, scale, shift].map(|t| t.into_primitive());
                let (y, stats) = forward(x, scale, shift, spec);
                prepared.finish((of_x, of_scale, stats, spec), y)
            }
            OpsKind::UnTracked(prepared) => {
                let [x, scale, shift] = [x, scale, shift].map(|t| t.into_primitive());
                prepared.finish(forward(x, scale, shift, spec).0)
            }
        }
    }
}
