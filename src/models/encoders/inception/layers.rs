//! Convolutions with their batch norms folded in, and the ways through a block.
use super::conv::conv;
use super::layout::Pool;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

/// max(W ∗ x + b, 0).
#[derive(Module, Debug)]
pub struct Conv {
    /// `[outputs, inputs, rows, columns]`.
    pub(super) weight: Param<Tensor<4>>,
    pub(super) bias: Param<Tensor<1>>,
    pub(super) stride: usize,
    #[module(skip)]
    pub(super) padding: [usize; 2],
}

/// One of the ways through a block.
#[derive(Module, Debug)]
pub struct Branch {
    #[module(skip)]
    pub(super) pool: Pool,
    pub(super) chain: Vec<Conv>,
    pub(super) fork: Vec<Conv>,
}

/// Branches on one input.
#[derive(Module, Debug)]
pub struct Block {
    pub(super) name: String,
    pub(super) branches: Vec<Branch>,
}

impl Block {
    /// What each branch gives, `[batch, channels, height, width]` of one height and width.
    pub fn forward(&self, x: &Tensor<4>) -> Vec<Tensor<4>> {
        self.branches.iter().map(|branch| branch.forward(x.clone())).collect()
    }
}

impl Conv {
    /// `[batch, outputs, height, width]` of `x` `[batch, inputs, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(conv(x, self))
    }
}

impl Branch {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if let (Pool::Mean, [layer]) = (self.pool, &self.chain[..]) {
            // A mean of W x + b is W of the mean + b where W is one pixel large: of fewer channels it costs less.
            return relu(Pool::Mean.forward(conv(x, layer)));
        }
        let x = self.chain.iter().fold(self.pool.forward(x), |x, layer| layer.forward(x));
        match &self.fork[..] {
            [] => x,
            fork => Tensor::cat(fork.iter().map(|layer| layer.forward(x.clone())).collect(), 1),
        }
    }
}

impl Pool {
    /// The pool of `x` `[batch, channels, height, width]`.
    pub fn forward(self, x: Tensor<4>) -> Tensor<4> {
        let (mean, max) = (AvgPoolOptions::new([3, 3]), MaxPoolOptions::new([3, 3]));
        match self {
            Self::None => x,
            Self::Mean => avg_pool2d(x, mean.with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false)),
            Self::Max => max_pool2d(x, max.with_stride([1, 1]).with_padding([1, 1])),
            Self::MaxOfSecond => max_pool2d(x, max.with_stride([2, 2])),
        }
    }
}
