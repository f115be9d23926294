//! Weights in, whichever of the layouts they are in.
use super::attention::SplitAttention;
use super::block::Block;
use super::{DinoV2, DinoV2Config};
use crate::models::layers::{Law, WeightInit};
use crate::models::sit::PatchEmbedding;
use crate::models::weights::{ImportOptions, ImportReport, KeyMap, WeightSource, import, tensor_shapes};
use crate::{Error, Result};
use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor};
use std::path::Path;

/// Where the names of this crate differ from transformers': (here, there).
const TRANSFORMERS: &[(&str, &str)] = &[
    ("cls_token", "embeddings.cls_token"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("register_tokens", "embeddings.register_tokens"),
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("blocks", "encoder.layer"),
    ("attn.query", "attention.attention.query"),
    ("attn.key", "attention.attention.key"),
    ("attn.value", "attention.attention.value"),
    ("attn.proj", "attention.output.dense"),
    ("ls1.gamma", "layer_scale1.lambda1"),
    ("ls2.gamma", "layer_scale2.lambda1"),
    ("norm", "layernorm"),
];
/// The same for timm, where there are registers.
const TIMM: &[(&str, &str)] = &[("register_tokens", "reg_token")];

/// The network as transformers' files hold it, for loading only.
#[derive(Module, Debug)]
pub struct SplitDinoV2 {
    pub(super) cls_token: Param<Tensor<3>>,
    pub(super) pos_embed: Param<Tensor<3>>,
    pub(super) register_tokens: Option<Param<Tensor<3>>>,
    pub(super) patch_embed: PatchEmbedding,
    pub(super) blocks: Vec<Block<SplitAttention>>,
    pub(super) norm: LayerNorm,
    pub(super) patch_size: usize,
}

impl SplitDinoV2 {
    fn joined(self) -> DinoV2 {
        let Self { cls_token, pos_embed, register_tokens, patch_embed, blocks, norm, patch_size } = self;
        let blocks = blocks.into_iter().map(Block::joined).collect();
        DinoV2 { cls_token, pos_embed, register_tokens, patch_embed, blocks, norm, patch_size }
    }
}

impl DinoV2 {
    /// A network with the weights of `file`, safetensors or PyTorch (feature `pytorch`), in any [`DinoV2Layout`](super::DinoV2Layout);
    /// which one, its names say. Weights become f32. The report counts the tensors of the file; the mask token is left out.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition of `config`; else as [`import`].
    pub fn load(config: &DinoV2Config, file: &Path, device: &Device) -> Result<(Self, ImportReport)> {
        Error::if_any(config.problems(""))?;
        let names: Vec<String> = tensor_shapes(file, WeightSource::Auto)?.into_keys().collect();
        let ends_in = |end: &str| names.iter().any(|name| name == end || name.ends_with(&format!(".{end}")));
        let unused = ["embeddings.mask_token", "mask_token"].into_iter().find(|name| ends_in(name));
        let options =
            ImportOptions { allow_unused: unused.map(String::from).into_iter().collect(), ..Default::default() };
        let init = &mut WeightInit::new(0, device);
        let positions = config.positions();
        if ends_in("embeddings.position_embeddings") {
            let (split, report) = import(&config.split_network(init), file, &options, KeyMap(TRANSFORMERS))?;
            return Ok((split.joined(), report));
        }
        if ends_in("reg_token") {
            let fresh = config.network(positions, Law::Zeros, init);
            let (mut network, report) = import(&fresh, file, &options, KeyMap(TIMM))?;
            let patches = network.pos_embed.val().detach();
            let of_class = Tensor::zeros([1, 1, config.width], (device, patches.dtype()));
            network.pos_embed = Param::from_tensor(Tensor::cat(vec![of_class, patches], 1));
            return Ok((network, report));
        }
        import(&config.network(positions + 1, Law::Zeros, init), file, &options, KeyMap(&[]))
    }
}
