//! A DiT^DH from its sizes, with the official initial law.
use super::{FourierEmbedding, Rae, RaeBlock, RaeConfig, RaeFinalLayer, Rope};
use crate::models::layers::{Law, WeightInit};
use crate::models::sit::{LabelEmbedding, PatchEmbedding, sincos_2d};
use crate::{Error, Result};
use burn::module::Module;
use burn::tensor::Device;

impl RaeConfig {
    /// The network with the official initial law and seed 0; see [`RaeConfig::init_seeded`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<Rae> {
        self.init_seeded(0, device)
    }

    /// The network with the official initial law: U(±1/√inputs) for linear layers, Xavier for the patches, N(0, 0.02²)
    /// for labels and the weights after the time features, N(0, 1) for the frequencies, zero for every modulation and
    /// the final layer. The weights are a pure function of `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<Rae> {
        Error::if_any(self.problems(""))?;
        let init = &mut WeightInit::new(seed, device);
        let [encoder, head] = self.hidden_size;
        let positions = sincos_2d(encoder, self.input_size).into_iter().map(|v| v as f32).collect();
        let pos_embed = init.constant(positions, [1, self.input_size.pow(2), encoder]);
        let embed = |width, init: &mut WeightInit| PatchEmbedding::new(self.in_channels, 1, width, init);
        let rope = |part: usize, init: &WeightInit| {
            Rope::new(self.hidden_size[part] / self.num_heads[part], self.input_size, init)
        };
        Ok(Rae {
            pos_embed: if self.train_embeddings { pos_embed } else { pos_embed.no_grad() },
            x_embedder: embed(head, init),
            s_embedder: embed(encoder, init),
            s_projector: (encoder != head).then(|| init.linear_and_bias(encoder, head, Law::FanIn, Law::FanIn)),
            t_embedder: FourierEmbedding::new(encoder, self.train_embeddings, init),
            y_embedder: LabelEmbedding::new(self.label_rows(), encoder, init),
            final_layer: RaeFinalLayer::new(head, self.in_channels, init),
            enc_feat_rope: rope(0, init),
            dec_feat_rope: rope(1, init),
            blocks: self
                .parts()
                .map(|part| {
                    let width = self.hidden_size[part];
                    RaeBlock::new(width, self.num_heads[part], self.mlp_width(part), self.use_qknorm, init)
                })
                .collect(),
            encoder_depth: self.depth[0],
            null_label: (self.class_dropout_prob > 0.0).then_some(self.num_classes),
        })
    }
}
