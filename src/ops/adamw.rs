//! AdamW in one pass over each parameter (Loshchilov and Hutter, arXiv 1711.05101).
//!
//! m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², p ← p (1 − lr λ) − lr (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε).
//! The operations and their order are those of Burn's AdamW, so the results are equal to its; only a zero of a first step may have another sign.
use super::slices;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Burn's AdamW, which on the CPU and in `f32` reads and writes every number once, on all cores.
///
/// Its record is that of [`burn::optim::AdamW`]: one goes on where the other stopped.
/// ```
/// use burn::optim::ModuleOptimizer;
/// use burn_mixflow::ops::AdamW;
///
/// let optimizer = ModuleOptimizer::from(AdamW::new([0.9, 0.999], 1e-8, 0.01));
/// ```
#[derive(Clone)]
pub struct AdamW {
    betas: [f32; 2],
    epsilon: f32,
    weight_decay: f32,
    plain: burn::optim::AdamW,
}

impl AdamW {
    /// With β₁ and β₂ in [0, 1), a positive ε and a weight decay λ of at least 0, unchecked as in Burn.
    pub fn new(betas: [f32; 2], epsilon: f32, weight_decay: f32) -> Self {
        let plain = AdamWConfig::new()
            .with_beta_1(betas[0])
            .with_beta_2(betas[1])
            .with_epsilon(epsilon)
            .with_weight_decay(weight_decay)
            .build();
        Self { betas, epsilon, weight_decay, plain }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let here = |t: &Tensor<D>| slices::side(t) == Some(slices::Side::Flex);
        let of_state = state.as_ref().is_none_or(|AdamWState { momentum }| {
            momentum.max_moment_2.is_none() && here(&momentum.moment_1) && here(&momentum.moment_2)
        });
        if !(of_state && here(&tensor) && here(&grad)) {
            return self.plain.step(lr, tensor, grad, state);
        }
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => (momentum.time + 1, [momentum.moment_1, momentum.moment_2]),
            None => (1, [tensor.zeros_like(), tensor.zeros_like()]),
        };
        let flex = |t: Tensor<D>| t.try_into_primitive::<Flex>().expect("on the CPU, as asked before");
        let [p, m, v] = update(flex(tensor), flex(grad), moments.map(flex), self.constants(lr, time))
            .map(Tensor::from_primitive::<Flex>);
        (p, Some(AdamWState::new(AdaptiveMomentumState::new(time, m, v))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

impl AdamW {
    fn constants(&self, lr: f64, time: usize) -> Constants {
        let [beta1, beta2] = self.betas;
        Constants {
            beta1,
            rest1: 1.0 - beta1,
            beta2,
            rest2: 1.0 - beta2,
            correct1: 1.0 - beta1.powi(time as i32),
            correct2: 1.0 - beta2.powi(time as i32),
            epsilon: self.epsilon,
            keep: (1.0 - lr * f64::from(self.weight_decay)) as f32,
            lr: lr as f32,
        }
    }
}

#[derive(Clone, Copy)]
struct Constants {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    correct1: f32,
    correct2: f32,
    epsilon: f32,
    /// 1 − lr λ.
    keep: f32,
    lr: f32,
}

/// The constants, each in all lanes.
#[derive(Clone, Copy)]
struct Lanes<S: Simd> {
    beta1: S::f32s,
    rest1: S::f32s,
    beta2: S::f32s,
    rest2: S::f32s,
    correct1: S::f32s,
    correct2: S::f32s,
    epsilon: S::f32s,
    keep: S::f32s,
    lr: S::f32s,
}

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    fn new(s: S, k: Constants) -> Self {
        Self {
            beta1: s.splat_f32s(k.beta1),
            rest1: s.splat_f32s(k.rest1),
            beta2: s.splat_f32s(k.beta2),
            rest2: s.splat_f32s(k.rest2),
            correct1: s.splat_f32s(k.correct1),
            correct2: s.splat_f32s(k.correct2),
            epsilon: s.splat_f32s(k.epsilon),
            keep: s.splat_f32s(k.keep),
            lr: s.splat_f32s(k.lr),
        }
    }

    /// The next p, m and v. Products and sums are apart, as in Burn: fused ones round once less.
    #[inline(always)]
    fn next(self, s: S, g: S::f32s, [p, m, v]: [S::f32s; 3]) -> [S::f32s; 3] {
        let m = s.add_f32s(s.mul_f32s(m, self.beta1), s.mul_f32s(g, self.rest1));
        let v = s.add_f32s(s.mul_f32s(v, self.beta2), s.mul_f32s(s.mul_f32s(g, g), self.rest2));
        let root = s.add_f32s(s.sqrt_f32s(s.div_f32s(v, self.correct2)), self.epsilon);
        let delta = s.div_f32s(s.div_f32s(m, self.correct1), root);
        [s.sub_f32s(s.mul_f32s(p, self.keep), s.mul_f32s(delta, self.lr)), m, v]
    }
}

/// As many of each.
struct Update<'a> {
    p: &'a mut [f32],
    grad: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    constants: Constants,
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let lanes = Lanes::new(s, self.constants);
        let (grads, grad_tail) = S::as_simd_f32s(self.grad);
        let (ps, p_tail) = S::as_mut_simd_f32s(self.p);
        let (ms, m_tail) = S::as_mut_simd_f32s(self.m);
        let (vs, v_tail) = S::as_mut_simd_f32s(self.v);
        for (((p, m), v), g) in ps.iter_mut().zip(ms).zip(vs).zip(grads) {
            [*p, *m, *v] = lanes.next(s, *g, [*p, *m, *v]);
        }
        if !grad_tail.is_empty() {
            let state = [s.partial_load_f32s(p_tail), s.partial_load_f32s(m_tail), s.partial_load_f32s(v_tail)];
            let [p, m, v] = lanes.next(s, s.partial_load_f32s(grad_tail), state);
            s.partial_store_f32s(p_tail, p);
            s.partial_store_f32s(m_tail, m);
            s.partial_store_f32s(v_tail, v);
        }
    }
}

/// The next parameter and moments: each in place where nobody else holds it.
fn update(p: FlexTensor, grad: FlexTensor, moments: [FlexTensor; 2], constants: Constants) -> [FlexTensor; 3] {
    const BLOCK: usize = 1024;
    let arch = Arch::new();
    let run = |p: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]| {
        arch.dispatch(Update { p, grad, m, v, constants });
    };
    let grad = slices::in_order(grad);
    let grads = slices::elements(&grad);
    let [mut m, mut v] = moments.map(slices::owned);
    let [ms, vs] = [&mut m, &mut v].map(|t| slices::own_elements(t).expect("owned"));
    if grads.len() <= slices::CHUNK {
        // Waking the other cores would take longer.
        let mut p = slices::owned(p);
        run(slices::own_elements(&mut p).expect("owned"), grads, ms, vs);
        return [p, m, v];
    }
    let mut p = slices::in_order(p);
    if let Some(own) = slices::own_elements(&mut p) {
        let size = slices::CHUNK;
        let pieces = own.par_chunks_mut(size).zip(grads.par_chunks(size));
        let pieces = pieces.zip(ms.par_chunks_mut(size)).zip(vs.par_chunks_mut(size));
        pieces.with_min_len(slices::WORTH).for_each(|(((p, grad), m), v)| run(p, grad, m, v));
        return [p, m, v];
    }
    // The parameter is held by others as well (Burn's learner keeps a copy): the next one is made beside it, in blocks.
    let (blocks, rest) = slices::elements(&p).as_chunks::<BLOCK>();
    let (grads, grad_rest) = grads.as_chunks::<BLOCK>();
    let ((ms, m_rest), (vs, v_rest)) = (ms.as_chunks_mut::<BLOCK>(), vs.as_chunks_mut::<BLOCK>());
    let mut next: Vec<[f32; BLOCK]> = Vec::with_capacity(blocks.len() + 1);
    let pieces = blocks.par_iter().zip(grads).zip(ms).zip(vs).with_min_len(slices::worth(BLOCK));
    let changed = pieces.map(|(((p, grad), m), v)| {
        let mut p = *p;
        run(&mut p, grad, m, v);
        p
    });
    changed.collect_into_vec(&mut next);
    let mut next = next.into_flattened();
    let mut rest = rest.to_vec();
    run(&mut rest, grad_rest, m_rest, v_rest);
    next.extend_from_slice(&rest);
    [slices::tensor(next, p.layout().shape().clone()), m, v]
}
