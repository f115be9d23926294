//! The three layouts in which files hold a text encoder of CLIP.
use super::ClipTextConfig;
use crate::models::encoders::text_weights::{FilePart, Place};
use crate::models::weights::Opened;

/// How a file names the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClipLayout {
    /// As transformers' `CLIPTextModelWithProjection`, Stability's and ComfyUI's files: `text_model.encoder.layers.0.…`.
    Official,
    /// As transformers' `CLIPTextModel` alone: `encoder.layers.0.…`.
    Bare,
    /// As OpenCLIP: `transformer.resblocks.0.…`, with q, k and v in one matrix and the projection `[inputs, outputs]`.
    OpenClip,
}

/// What official names begin with.
const TEXT_MODEL: &str = "text_model.";
/// The names of layers within a block, in transformers and in OpenCLIP.
const OF_BLOCK: [(&str, &str); 5] = [
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
];
/// The layers of which OpenCLIP has one, in its order of rows.
const FUSED: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

impl ClipLayout {
    /// The layout of a file: the first in which it has the table of tokens of this size, else what its names look like.
    pub(super) fn of(opened: &Opened, config: &ClipTextConfig) -> Self {
        let has =
            |layout: &Self| layout.parameters(config).first().is_some_and(|(name, shape)| opened.has(name, shape));
        let found = [Self::Official, Self::Bare, Self::OpenClip].into_iter().find(has);
        let is_open_clip = |name: &str| name.contains("transformer.resblocks.");
        found.unwrap_or(if opened.names().any(is_open_clip) { Self::OpenClip } else { Self::Official })
    }

    /// Names and shapes in the file of all parameters.
    pub(super) fn parameters(self, config: &ClipTextConfig) -> Vec<(String, Vec<usize>)> {
        let mut found: Vec<(String, Vec<usize>)> = Vec::new();
        for (name, mut shape) in config.parameters() {
            let Place { name, part } = self.place()(&name);
            match part {
                FilePart::All => {}
                FilePart::Turned => shape.reverse(),
                FilePart::Third(0) => shape[0] = shape[0].saturating_mul(3),
                FilePart::Third(_) => continue,
            }
            found.push((name, shape));
        }
        found
    }

    /// Tensors that files of this layout may have beside them.
    pub(super) fn ignored(self) -> &'static [&'static str] {
        match self {
            Self::Official => &[
                "logit_scale",
                "text_model.embeddings.position_ids",
                "text_projection",
                "vision_model",
                "visual_projection",
            ],
            Self::Bare => &["embeddings.position_ids", "logit_scale", "text_projection"],
            Self::OpenClip => &["attn_mask", "logit_bias", "logit_scale", "text_projection", "visual"],
        }
    }

    /// Where the file has the official parameter of a name.
    pub(super) fn place(self) -> fn(&str) -> Place {
        match self {
            Self::Official => |name| Place { name: name.into(), part: FilePart::All },
            Self::Bare => {
                |name| Place { name: name.strip_prefix(TEXT_MODEL).unwrap_or(name).into(), part: FilePart::All }
            }
            Self::OpenClip => open_clip,
        }
    }
}

/// Where OpenCLIP has the official parameter of a name.
fn open_clip(name: &str) -> Place {
    let all = |name: &str| Place { name: name.into(), part: FilePart::All };
    match name {
        "text_model.embeddings.token_embedding.weight" => return all("token_embedding.weight"),
        "text_model.embeddings.position_embedding.weight" => return all("positional_embedding"),
        "text_model.final_layer_norm.weight" => return all("ln_final.weight"),
        "text_model.final_layer_norm.bias" => return all("ln_final.bias"),
        "text_projection.weight" => return Place { name: "text_projection".into(), part: FilePart::Turned },
        _ => {}
    }
    let within = name.strip_prefix("text_model.encoder.layers.").and_then(|rest| rest.split_once('.'));
    let Some((block, (layer, kind))) = within.and_then(|(block, rest)| Some((block, rest.rsplit_once('.')?))) else {
        return all(name);
    };
    if let Some(third) = FUSED.iter().position(|fused| *fused == layer) {
        let name = format!("transformer.resblocks.{block}.attn.in_proj_{kind}");
        return Place { name, part: FilePart::Third(third) };
    }
    let there = OF_BLOCK.iter().find(|(here, _)| *here == layer).map_or(layer, |(_, there)| there);
    all(&format!("transformer.resblocks.{block}.{there}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_layout_has_every_number_once() {
        let config = ClipTextConfig { num_hidden_layers: 2, ..ClipTextConfig::g() };
        let numbers =
            |list: &[(String, Vec<usize>)]| list.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        for layout in [ClipLayout::Official, ClipLayout::Bare, ClipLayout::OpenClip] {
            let list = layout.parameters(&config);
            let names: BTreeSet<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.len(), list.len());
            let all: usize = numbers(&list);
            assert_eq!(all, config.parameter_count(), "{layout:?}");
        }
    }

    #[test]
    fn the_fused_layer_is_found_by_the_layers_in_it() {
        let place = ClipLayout::OpenClip.place()("text_model.encoder.layers.31.self_attn.k_proj.bias");
        let name = "transformer.resblocks.31.attn.in_proj_bias".to_string();
        assert_eq!(place, Place { name, part: FilePart::Third(1) });
        let place = ClipLayout::OpenClip.place()("text_model.encoder.layers.0.mlp.fc2.weight");
        assert_eq!(place.name, "transformer.resblocks.0.mlp.c_proj.weight");
    }
}
