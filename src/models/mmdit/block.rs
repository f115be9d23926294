//! One joint block: text and image each with their own weights, mixed by one attention over both.
use super::{Heads, JointAttention};
use crate::models::layers::{Law, WeightInit, linear};
use crate::models::sit::Mlp;
use crate::ops::{gated, layer_norm, modulate, modulate_norm};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// How much of a stream a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Keys, values and queries only: nothing after this block reads the stream.
    Last,
    /// Joint attention and MLP.
    Whole,
    /// The same, and self-attention beside the joint one.
    Dual,
}

/// The weights of one of the two streams of a block.
#[derive(Module, Debug)]
pub struct Stream {
    attn: JointAttention,
    attn2: Option<JointAttention>,
    mlp: Option<Mlp>,
    modulation: Linear,
}

/// What a stream needs after the joint attention.
struct Kept {
    /// The pieces of the modulation, side by side.
    parts: Tensor<3>,
    /// What its own attention reads, where it has one.
    normed: Option<Tensor<3>>,
}

impl Stream {
    pub(super) fn new(width: usize, hidden: usize, qk_norm: bool, part: Part, init: &mut WeightInit) -> Self {
        let parts = match part {
            Part::Last => 2,
            Part::Whole => 6,
            Part::Dual => 9,
        };
        Self {
            attn: JointAttention::new(width, qk_norm, part != Part::Last, init),
            attn2: (part == Part::Dual).then(|| JointAttention::new(width, qk_norm, true, init)),
            mlp: (part != Part::Last).then(|| Mlp::new(width, hidden, init)),
            modulation: init.linear(width, parts * width, Law::Zeros),
        }
    }

    /// What the stream brings to the joint attention, and what it needs afterwards.
    fn before(&self, tokens: Tensor<3>, condition: Tensor<2>) -> (Heads, Kept) {
        let parts = linear(&self.modulation, condition).unsqueeze_dim::<3>(1);
        let [shift, scale] = [0, 1].map(|i| part(&parts, i, &tokens));
        if self.attn2.is_none() {
            return (self.attn.heads(modulate_norm(tokens, shift, scale, 1e-6)), Kept { parts, normed: None });
        }
        let normed = layer_norm(tokens, 1e-6);
        (self.attn.heads(modulate(normed.clone(), shift, scale)), Kept { parts, normed: Some(normed) })
    }

    /// The tokens after attention and MLP; unchanged where the stream ends.
    fn after(&self, tokens: Tensor<3>, mixed: Tensor<3>, kept: Kept) -> Tensor<3> {
        let Some(mlp) = &self.mlp else { return tokens };
        let [shift, scale, gate] = [3, 4, 5].map(|i| part(&kept.parts, i, &tokens));
        let mut sum = gated(tokens.clone(), part(&kept.parts, 2, &tokens), self.attn.project(mixed));
        if let (Some(own), Some(normed)) = (&self.attn2, kept.normed) {
            let [shift, scale, gate] = [6, 7, 8].map(|i| part(&kept.parts, i, &tokens));
            sum = gated(sum, gate, own.forward(modulate(normed, shift, scale)));
        }
        let mapped = mlp.forward(modulate_norm(sum.clone(), shift, scale, 1e-6));
        gated(sum, gate, mapped)
    }
}

/// The `i`-th piece of a modulation, as wide as `tokens`.
fn part(parts: &Tensor<3>, i: usize, tokens: &Tensor<3>) -> Tensor<3> {
    let [_, _, width] = tokens.dims();
    parts.clone().narrow(2, i * width, width)
}

/// A block of [`Mmdit`](super::Mmdit).
#[derive(Module, Debug)]
pub struct JointBlock {
    context_block: Stream,
    x_block: Stream,
}

impl JointBlock {
    /// A block that starts as the identity, since its gates start at zero. The `last` block does not carry the text
    /// on; with `dual` the image attends to itself as well.
    pub fn new(width: usize, hidden: usize, qk_norm: bool, dual: bool, last: bool, init: &mut WeightInit) -> Self {
        let context = if last { Part::Last } else { Part::Whole };
        let image = if dual { Part::Dual } else { Part::Whole };
        Self {
            context_block: Stream::new(width, hidden, qk_norm, context, init),
            x_block: Stream::new(width, hidden, qk_norm, image, init),
        }
    }

    /// Text and image tokens `[batch, _, width]` under the condition `[batch, width]`, SiLU already applied. The last
    /// block returns the text as it came.
    pub fn forward(&self, context: Tensor<3>, tokens: Tensor<3>, condition: Tensor<2>) -> (Tensor<3>, Tensor<3>) {
        let ([_, length, _], [_, count, _]) = (context.dims(), tokens.dims());
        let (text, text_kept) = self.context_block.before(context.clone(), condition.clone());
        let (image, image_kept) = self.x_block.before(tokens.clone(), condition);
        let mixed = text.join(image).attend();
        let [of_text, of_image] = [(0, length), (length, count)].map(|(from, n)| mixed.clone().narrow(1, from, n));
        (self.context_block.after(context, of_text, text_kept), self.x_block.after(tokens, of_image, image_kept))
    }
}
