//! The layers as a table, from which names, shapes, weights and the forward pass are derived.
use Size::{Half, Same, Within};

/// A convolution without bias, then a batch norm, then ReLU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// The official name, as `Mixed_5b.branch1x1`.
    pub name: String,
    pub inputs: usize,
    pub outputs: usize,
    /// Rows and columns.
    pub kernel: [usize; 2],
    pub stride: usize,
    pub padding: [usize; 2],
}

/// What a branch does to the input of its block before it convolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Nothing.
    None,
    /// The mean of 3×3 pixels, of those within the picture.
    Mean,
    /// The largest of 3×3 pixels.
    Max,
    /// The largest of 3×3 pixels around every second one, where they are within the picture.
    MaxOfSecond,
}

/// One of the ways through a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    pub pool: Pool,
    /// One after the other.
    pub chain: Vec<Layer>,
    /// Side by side on what the chain gives, if there are any.
    pub fork: Vec<Layer>,
}

/// Branches on one input, whose channels come one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The official name.
    pub name: &'static str,
    pub branches: Vec<Branch>,
}

/// All layers but the classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Each part is followed by [`Pool::MaxOfSecond`].
    pub stem: [Vec<Layer>; 2],
    pub blocks: Vec<Block>,
    /// Channels of the last block.
    pub outputs: usize,
}

/// A layer without what it inherits from its place.
struct Spec(&'static str, usize, [usize; 2], Size);

/// What a layer does to the size of a picture: the kernel reaches over the border, or not, or not and by steps of two.
#[derive(Clone, Copy, PartialEq)]
enum Size {
    Same,
    Within,
    Half,
}

/// A branch without what it inherits from its place.
struct Way {
    pool: Pool,
    chain: Vec<Spec>,
    fork: Vec<Spec>,
}

impl Layout {
    /// The official network with every width divided by `divisor`, which divides 16.
    pub fn new(divisor: usize) -> Self {
        let first = vec![
            Spec("Conv2d_1a_3x3", 32, [3, 3], Half),
            Spec("Conv2d_2a_3x3", 32, [3, 3], Within),
            Spec("Conv2d_2b_3x3", 64, [3, 3], Same),
        ];
        let second = vec![Spec("Conv2d_3b_1x1", 80, [1, 1], Same), Spec("Conv2d_4a_3x3", 192, [3, 3], Within)];
        let stem = [chain("", 3, &first, divisor), chain("", 64 / divisor, &second, divisor)];
        let mut outputs = 192 / divisor;
        let mut blocks = Vec::new();
        for (name, ways) in [
            ("Mixed_5b", a(32)),
            ("Mixed_5c", a(64)),
            ("Mixed_5d", a(64)),
            ("Mixed_6a", b()),
            ("Mixed_6b", c(128)),
            ("Mixed_6c", c(160)),
            ("Mixed_6d", c(160)),
            ("Mixed_6e", c(192)),
            ("Mixed_7a", d()),
            ("Mixed_7b", e(Pool::Mean)),
            // A max pool where every other block has a mean: a peculiarity of this graph.
            ("Mixed_7c", e(Pool::Max)),
        ] {
            let branches: Vec<Branch> = ways.iter().map(|way| way.branch(name, outputs, divisor)).collect();
            outputs = branches.iter().map(|branch| branch.outputs(outputs)).sum();
            blocks.push(Block { name, branches });
        }
        Self { stem, blocks, outputs }
    }

    /// All layers in official order.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        let branches = self.blocks.iter().flat_map(|block| &block.branches);
        self.stem.iter().flatten().chain(branches.flat_map(|branch| branch.chain.iter().chain(&branch.fork)))
    }
}

/// 35×35 pixels.
fn a(pool: usize) -> Vec<Way> {
    vec![
        way([Spec("branch1x1", 64, [1, 1], Same)]),
        way([Spec("branch5x5_1", 48, [1, 1], Same), Spec("branch5x5_2", 64, [5, 5], Same)]),
        way([
            Spec("branch3x3dbl_1", 64, [1, 1], Same),
            Spec("branch3x3dbl_2", 96, [3, 3], Same),
            Spec("branch3x3dbl_3", 96, [3, 3], Same),
        ]),
        pooled(Pool::Mean, [Spec("branch_pool", pool, [1, 1], Same)]),
    ]
}

/// 35×35 pixels to 17×17.
fn b() -> Vec<Way> {
    vec![
        way([Spec("branch3x3", 384, [3, 3], Half)]),
        way([
            Spec("branch3x3dbl_1", 64, [1, 1], Same),
            Spec("branch3x3dbl_2", 96, [3, 3], Same),
            Spec("branch3x3dbl_3", 96, [3, 3], Half),
        ]),
        pooled(Pool::MaxOfSecond, []),
    ]
}

/// 17×17 pixels.
fn c(inner: usize) -> Vec<Way> {
    vec![
        way([Spec("branch1x1", 192, [1, 1], Same)]),
        way([
            Spec("branch7x7_1", inner, [1, 1], Same),
            Spec("branch7x7_2", inner, [1, 7], Same),
            Spec("branch7x7_3", 192, [7, 1], Same),
        ]),
        way([
            Spec("branch7x7dbl_1", inner, [1, 1], Same),
            Spec("branch7x7dbl_2", inner, [7, 1], Same),
            Spec("branch7x7dbl_3", inner, [1, 7], Same),
            Spec("branch7x7dbl_4", inner, [7, 1], Same),
            Spec("branch7x7dbl_5", 192, [1, 7], Same),
        ]),
        pooled(Pool::Mean, [Spec("branch_pool", 192, [1, 1], Same)]),
    ]
}

/// 17×17 pixels to 8×8.
fn d() -> Vec<Way> {
    vec![
        way([Spec("branch3x3_1", 192, [1, 1], Same), Spec("branch3x3_2", 320, [3, 3], Half)]),
        way([
            Spec("branch7x7x3_1", 192, [1, 1], Same),
            Spec("branch7x7x3_2", 192, [1, 7], Same),
            Spec("branch7x7x3_3", 192, [7, 1], Same),
            Spec("branch7x7x3_4", 192, [3, 3], Half),
        ]),
        pooled(Pool::MaxOfSecond, []),
    ]
}

/// 8×8 pixels.
fn e(pool: Pool) -> Vec<Way> {
    vec![
        way([Spec("branch1x1", 320, [1, 1], Same)]),
        Way {
            fork: vec![Spec("branch3x3_2a", 384, [1, 3], Same), Spec("branch3x3_2b", 384, [3, 1], Same)],
            ..way([Spec("branch3x3_1", 384, [1, 1], Same)])
        },
        Way {
            fork: vec![Spec("branch3x3dbl_3a", 384, [1, 3], Same), Spec("branch3x3dbl_3b", 384, [3, 1], Same)],
            ..way([Spec("branch3x3dbl_1", 448, [1, 1], Same), Spec("branch3x3dbl_2", 384, [3, 3], Same)])
        },
        pooled(pool, [Spec("branch_pool", 192, [1, 1], Same)]),
    ]
}

fn way<const N: usize>(chain: [Spec; N]) -> Way {
    pooled(Pool::None, chain)
}

fn pooled<const N: usize>(pool: Pool, chain: [Spec; N]) -> Way {
    Way { pool, chain: chain.into(), fork: Vec::new() }
}

impl Way {
    fn branch(&self, block: &str, inputs: usize, divisor: usize) -> Branch {
        let chain = chain(block, inputs, &self.chain, divisor);
        let between = chain.last().map_or(inputs, |layer| layer.outputs);
        let fork = self.fork.iter().map(|spec| spec.layer(block, between, divisor)).collect();
        Branch { pool: self.pool, chain, fork }
    }
}

impl Branch {
    fn outputs(&self, inputs: usize) -> usize {
        match &self.fork[..] {
            [] => self.chain.last().map_or(inputs, |layer| layer.outputs),
            fork => fork.iter().map(|layer| layer.outputs).sum(),
        }
    }
}

impl Spec {
    fn layer(&self, block: &str, inputs: usize, divisor: usize) -> Layer {
        let Self(name, outputs, kernel, size) = *self;
        let name = if block.is_empty() { name.to_string() } else { format!("{block}.{name}") };
        let padding = if size == Same { kernel.map(|side| side / 2) } else { [0, 0] };
        Layer { name, inputs, outputs: outputs / divisor, kernel, stride: if size == Half { 2 } else { 1 }, padding }
    }
}

fn chain(block: &str, mut inputs: usize, specs: &[Spec], divisor: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for spec in specs {
        let layer = spec.layer(block, inputs, divisor);
        inputs = layer.outputs;
        layers.push(layer);
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_every_block_are_those_of_the_graph() {
        let layout = Layout::new(1);
        let inputs: Vec<usize> = layout.blocks.iter().map(|block| block.branches[0].chain[0].inputs).collect();
        assert_eq!(inputs, [192, 256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048]);
        assert_eq!((layout.outputs, layout.layers().count()), (2048, 94));
    }

    #[test]
    fn a_divisor_divides_every_width_and_nothing_else() {
        let (whole, narrow) = (Layout::new(1), Layout::new(16));
        for (a, b) in whole.layers().zip(narrow.layers()) {
            let inputs = if a.inputs == 3 { 3 } else { a.inputs / 16 };
            assert_eq!(*b, Layer { inputs, outputs: a.outputs / 16, ..a.clone() });
        }
        assert_eq!(narrow.outputs, 128);
    }
}
