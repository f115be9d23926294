//! Gradient checkpointing: activations that the backward pass makes anew instead of keeping (Chen et al. 2016,
//! arXiv 1604.06174).
//!
//! A network hands its blocks to [`recomputed`], and what passes between them is a [`Cut`]. While a train step asks for it
//! ([`Checkpointing::Blocks`]), a block runs without a graph; its backward pass runs it again, with one. What stays in memory
//! is a tensor per cut and the graph of one block. A step computes each block twice forward, which is about a third more
//! work. At all other times [`recomputed`] only calls the block.
//!
//! Gradients are the same to the last bit where a block without a graph gives the same bits as one with it: in f32 on a CPU.
//! In bf16, and on other devices, Burn has kernels of its own for what needs no graph, which may round otherwise.
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::Linear;
//! use burn::tensor::{Tensor, activation};
//! use burn_mixflow::recompute::{cut, recomputed};
//!
//! #[derive(Module, Debug)]
//! struct Mine { first: Linear, blocks: Vec<Linear> }
//!
//! impl Mine {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         let mut x = cut(self.first.forward(x));
//!         for block in &self.blocks {
//!             x = recomputed(block, &x, |block, x| activation::silu(block.forward(x)));
//!         }
//!         x.tensor()
//!     }
//! }
//! ```
use crate::train::gradients;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

/// Which activations training keeps for its backward pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Checkpointing {
    /// All of them.
    #[default]
    None,
    /// What passes between blocks; a block's own are made anew. The same gradients, less memory, about a third more work.
    Blocks,
}

/// A tensor that passes between blocks: what is before it and what is after it have graphs of their own while a train step
/// recomputes, and one graph at all other times.
#[derive(Debug, Clone)]
pub struct Cut<const D: usize> {
    tensor: Tensor<D>,
    leaf: Option<Rc<Leaf<D>>>,
}

impl<const D: usize> Cut<D> {
    /// The tensor.
    pub fn tensor(&self) -> Tensor<D> {
        self.tensor.clone()
    }

    fn whole(tensor: Tensor<D>) -> Self {
        Self { tensor, leaf: None }
    }
}

/// Cuts the graph at `tensor`. Everything that several blocks read has to be cut once, before the first of them.
pub fn cut<const D: usize>(tensor: Tensor<D>) -> Cut<D> {
    let Some(mut tape) = TAPE.take() else { return Cut::whole(tensor) };
    let known = tape.leaves.len();
    let after = Cut::record(tensor.clone(), &mut tape);
    let part = after.clone();
    tape.parts.push(Part { known, run: Box::new(move || part.product(tensor)) });
    TAPE.set(Some(tape));
    after
}

/// The same tensor, from which gradients come back as one sum.
///
/// Three gradients of one tensor are added in the order in which Burn walks a graph, which may be another one in parts than in
/// the whole. So a block gets its own from a tensor that others read too, where it reads it twice; and what follows gets its
/// own, where a loss reads the middle of a network.
pub fn passed<const D: usize>(shared: &Cut<D>) -> Cut<D> {
    match shared.leaf {
        Some(_) => shared.clone(),
        None => Cut::whole(shared.tensor().mul_scalar(1.0)),
    }
}

/// `block(module, inputs)`, cut after it, whose activations are made anew in the backward pass of a train step that asks for
/// it. `block` must give the same for the same inputs, and must read nothing with a gradient but `module` and `inputs`.
///
/// Inputs and outputs are a [`Cut`], a pair, or a pair of pairs; several modules are a tuple.
pub fn recomputed<M, I, O>(module: &M, inputs: &I, block: impl Fn(&M, I::Tensors) -> O::Tensors + 'static) -> O
where
    M: Module + 'static,
    I: Cuts,
    O: Cuts,
{
    // Not there while the block runs: what is inside of it is not cut.
    let Some(mut tape) = TAPE.take() else { return O::whole(block(module, inputs.tensors())) };
    let known = tape.leaves.len();
    let after = O::record(O::tracked(block(&module.valid(), I::inner(inputs.tensors()))), &mut tape);
    let (module, inputs, part) = (module.clone(), inputs.clone(), after.clone());
    let run = move || match part.is_reached() {
        true => part.product(block(&module, inputs.tensors())),
        false => None,
    };
    tape.parts.push(Part { known, run: Box::new(run) });
    TAPE.set(Some(tape));
    after
}

/// One [`Cut`], or several.
pub trait Cuts: Clone + Sized + 'static {
    /// A [`Tensor`], or several.
    type Tensors;

    /// The tensors.
    fn tensors(&self) -> Self::Tensors;

    #[doc(hidden)]
    fn whole(tensors: Self::Tensors) -> Self;

    #[doc(hidden)]
    fn inner(tensors: Self::Tensors) -> Self::Tensors;

    #[doc(hidden)]
    fn tracked(inner: Self::Tensors) -> Self::Tensors;

    #[doc(hidden)]
    fn record(tensors: Self::Tensors, tape: &mut Tape) -> Self;

    #[doc(hidden)]
    fn is_reached(&self) -> bool;

    #[doc(hidden)]
    fn product(&self, before: Self::Tensors) -> Option<Tensor<1>>;
}

impl<const D: usize> Cuts for Cut<D> {
    type Tensors = Tensor<D>;

    fn tensors(&self) -> Tensor<D> {
        self.tensor()
    }

    fn whole(tensors: Tensor<D>) -> Self {
        Self::whole(tensors)
    }

    fn inner(tensors: Tensor<D>) -> Tensor<D> {
        tensors.inner()
    }

    fn tracked(inner: Tensor<D>) -> Tensor<D> {
        Tensor::from_inner(inner).require_grad()
    }

    /// What needs no gradient is not cut.
    fn record(tensor: Tensor<D>, tape: &mut Tape) -> Self {
        if !tensor.is_tracked() {
            return Self::whole(tensor);
        }
        let tensor = Tensor::from_inner(tensor.inner()).require_grad();
        let leaf = Rc::new(Leaf { tensor: tensor.clone(), gradient: RefCell::new(None) });
        tape.leaves.push(leaf.clone());
        Self { tensor, leaf: Some(leaf) }
    }

    fn is_reached(&self) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.gradient.borrow().is_some())
    }

    /// Σ before · gradient, whose own gradient by `before` is the gradient that arrived after the cut; none where nothing before
    /// needs one, as in a frozen network.
    fn product(&self, before: Tensor<D>) -> Option<Tensor<1>> {
        let gradient = self.leaf.as_ref()?.gradient.borrow_mut().take()?;
        before.is_tracked().then(|| (before * Tensor::from_inner(gradient)).sum())
    }
}

impl<A: Cuts, B: Cuts> Cuts for (A, B) {
    type Tensors = (A::Tensors, B::Tensors);

    fn tensors(&self) -> Self::Tensors {
        (self.0.tensors(), self.1.tensors())
    }

    fn whole((a, b): Self::Tensors) -> Self {
        (A::whole(a), B::whole(b))
    }

    fn inner((a, b): Self::Tensors) -> Self::Tensors {
        (A::inner(a), B::inner(b))
    }

    fn tracked((a, b): Self::Tensors) -> Self::Tensors {
        (A::tracked(a), B::tracked(b))
    }

    fn record((a, b): Self::Tensors, tape: &mut Tape) -> Self {
        (A::record(a, tape), B::record(b, tape))
    }

    fn is_reached(&self) -> bool {
        self.0.is_reached() || self.1.is_reached()
    }

    fn product(&self, (a, b): Self::Tensors) -> Option<Tensor<1>> {
        match (self.0.product(a), self.1.product(b)) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        }
    }
}

/// The tensor after a cut, and the gradient that has arrived there.
#[derive(Debug)]
struct Leaf<const D: usize> {
    tensor: Tensor<D>,
    gradient: RefCell<Option<Tensor<D>>>,
}

/// A [`Leaf`] of any rank.
trait Collect: Debug {
    fn collect(&self, gradients: &mut Gradients);
}

impl<const D: usize> Collect for Leaf<D> {
    fn collect(&self, gradients: &mut Gradients) {
        if let Some(new) = self.tensor.grad_remove(gradients) {
            let mut gradient = self.gradient.borrow_mut();
            *gradient = Some(match gradient.take() {
                Some(old) => old + new,
                None => new,
            });
        }
    }
}

/// A part of the network.
struct Part {
    /// How many leaves there were before those after it.
    known: usize,
    /// Runs it with a graph: Σ output · gradient, unless no gradient arrived.
    run: Box<dyn FnOnce() -> Option<Tensor<1>>>,
}

/// What a forward pass has cut, in its order.
#[doc(hidden)]
#[derive(Default)]
pub struct Tape {
    leaves: Vec<Rc<dyn Collect>>,
    parts: Vec<Part>,
}

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Stops recording when it is dropped, a panic included.
struct Recording;

impl Drop for Recording {
    fn drop(&mut self) {
        TAPE.take();
    }
}

impl Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl Tape {
    /// What `forward` returns, and the cuts that it made on this thread.
    pub(crate) fn record<T>(forward: impl FnOnce() -> T) -> (T, Self) {
        TAPE.set(Some(Self::default()));
        let recording = Recording;
        let result = forward();
        let tape = TAPE.take().unwrap_or_default();
        drop(recording);
        (result, tape)
    }

    /// Whether the network cut nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The gradients of `loss` by the parameters of `network`, from the last cut to the first.
    pub(crate) fn backward<M: Module>(self, loss: Tensor<1>, network: &M) -> GradientsParams {
        let Self { mut leaves, parts } = self;
        let of = |loss: Tensor<1>, leaves: &[Rc<dyn Collect>]| {
            let mut found = loss.backward();
            leaves.iter().for_each(|leaf| leaf.collect(&mut found));
            GradientsParams::from_module(&mut found, network)
        };
        let mut sum = of(loss, &leaves);
        for Part { known, run } in parts.into_iter().rev() {
            // No gradient comes to what is after this part any more.
            leaves.truncate(known);
            if let Some(loss) = run() {
                sum = gradients::add(network, sum, of(loss, &leaves));
            }
        }
        sum
    }
}
