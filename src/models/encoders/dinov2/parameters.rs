//! The parameters of a DINOv2 under the names of each layout, counted without allocating any.
use super::DinoV2Config;
use super::config::COLOURS;
use crate::models::layers::{ParameterList, as_size, count, product};

/// Who wrote a file of weights, and so which names are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DinoV2Layout {
    /// Meta's own: `dinov2_vitb14_pretrain.pth`, `dinov2_vitb14_reg4_pretrain.pth`. One projection `attn.qkv`.
    Hub,
    /// timm's: `vit_base_patch14_dinov2.lvd142m`, `vit_base_patch14_reg4_dinov2.lvd142m`. As [`Hub`](Self::Hub), without
    /// the mask token; with registers, these are called `reg_token`, and `cls_token` holds its position already.
    Timm,
    /// transformers': `facebook/dinov2-base`, `facebook/dinov2-with-registers-base`. Three projections
    /// `attention.attention.{query,key,value}`.
    Transformers,
}

impl DinoV2Config {
    /// Names and shapes (PyTorch layout) of all parameters in a file of `layout`, in the order of its `state_dict`.
    ///
    /// The mask token, which only DINOv2's training uses, is listed where files have it, and not loaded. The configuration
    /// must have no [`problems`](Self::problems).
    pub fn parameters(&self, layout: DinoV2Layout) -> Vec<(String, Vec<usize>)> {
        match layout {
            DinoV2Layout::Hub => self.hub(),
            DinoV2Layout::Timm => self.timm(),
            DinoV2Layout::Transformers => self.transformers(),
        }
    }

    /// The number of parameters as Meta and transformers count them, the mask token among them.
    ///
    /// timm's count is without that token and, where there are registers, without the position of the class token: less by
    /// `width` once or twice.
    pub fn parameter_count(&self) -> usize {
        as_size(self.numbers())
    }

    /// As [`parameter_count`](Self::parameter_count), of any size.
    pub(super) fn numbers(&self) -> u128 {
        count(&self.hub(), |_| true)
    }

    /// Places on the table of positions, that of the class token not among them.
    pub(super) fn positions(&self) -> usize {
        let side = self.image_size / self.patch_size;
        product([side, side])
    }

    fn hub(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = ParameterList(vec![("cls_token".into(), self.tokens(1))]);
        list.one("pos_embed", self.tokens(self.positions().saturating_add(1)));
        if self.registers > 0 {
            list.one("register_tokens", self.tokens(self.registers));
        }
        list.one("mask_token", vec![1, self.width]);
        self.fused_trunk(&mut list);
        list.0
    }

    fn timm(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = ParameterList(vec![("cls_token".into(), self.tokens(1))]);
        if self.registers > 0 {
            list.one("reg_token", self.tokens(self.registers));
            list.one("pos_embed", self.tokens(self.positions()));
        } else {
            list.one("pos_embed", self.tokens(self.positions().saturating_add(1)));
        }
        self.fused_trunk(&mut list);
        list.0
    }

    fn transformers(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = ParameterList(vec![("embeddings.cls_token".into(), self.tokens(1))]);
        list.one("embeddings.mask_token", vec![1, self.width]);
        list.one("embeddings.position_embeddings", self.tokens(self.positions().saturating_add(1)));
        if self.registers > 0 {
            list.one("embeddings.register_tokens", self.tokens(self.registers));
        }
        list.layer("embeddings.patch_embeddings.projection", self.patches());
        let (width, hidden) = (self.width, self.hidden());
        for i in 0..self.depth {
            let name = |rest: &str| format!("encoder.layer.{i}.{rest}");
            list.layer(&name("norm1"), vec![width]);
            for projection in ["attention.query", "attention.key", "attention.value", "output.dense"] {
                list.layer(&name(&format!("attention.{projection}")), vec![width, width]);
            }
            list.one(&name("layer_scale1.lambda1"), vec![width]);
            list.layer(&name("norm2"), vec![width]);
            list.layer(&name("mlp.fc1"), vec![hidden, width]);
            list.layer(&name("mlp.fc2"), vec![width, hidden]);
            list.one(&name("layer_scale2.lambda1"), vec![width]);
        }
        list.layer("layernorm", vec![width]);
        list.0
    }

    /// Patches, blocks and the last norm, as Meta and timm name them.
    fn fused_trunk(&self, list: &mut ParameterList) {
        list.layer("patch_embed.proj", self.patches());
        let (width, hidden) = (self.width, self.hidden());
        for i in 0..self.depth {
            let name = |rest: &str| format!("blocks.{i}.{rest}");
            list.layer(&name("norm1"), vec![width]);
            list.layer(&name("attn.qkv"), vec![product([3, width]), width]);
            list.layer(&name("attn.proj"), vec![width, width]);
            list.one(&name("ls1.gamma"), vec![width]);
            list.layer(&name("norm2"), vec![width]);
            list.layer(&name("mlp.fc1"), vec![hidden, width]);
            list.layer(&name("mlp.fc2"), vec![width, hidden]);
            list.one(&name("ls2.gamma"), vec![width]);
        }
        list.layer("norm", vec![width]);
    }

    fn tokens(&self, count: usize) -> Vec<usize> {
        vec![1, count, self.width]
    }

    fn patches(&self) -> Vec<usize> {
        vec![self.width, COLOURS, self.patch_size, self.patch_size]
    }

    fn hidden(&self) -> usize {
        product([self.mlp_ratio, self.width])
    }
}
