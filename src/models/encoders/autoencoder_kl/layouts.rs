//! What files call the tensors of an autoencoder, and which layout a file has.
use super::AutoencoderKlConfig;
use crate::tensor_file::{FileTensor, Stored};
use std::collections::BTreeMap;

/// How a file names the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// As diffusers does: `encoder.mid_block.attentions.0.to_q`.
    Diffusers,
    /// As diffusers did before its version 0.17: `encoder.mid_block.attentions.0.query`.
    OldDiffusers,
    /// As CompVis' and Stability's code does: `encoder.mid.attn_1.q`, whose kernels are of one pixel, and `decoder.up` from
    /// the level of the pixels on.
    CompVis,
}

impl Layout {
    pub const ALL: [Self; 3] = [Self::Diffusers, Self::OldDiffusers, Self::CompVis];

    /// Whose layout it is, for people.
    pub fn whose(self) -> &'static str {
        match self {
            Self::Diffusers => "diffusers'",
            Self::OldDiffusers => "old diffusers'",
            Self::CompVis => "CompVis'",
        }
    }

    /// What it calls the tensor that diffusers calls `official`, in an autoencoder of so many levels.
    pub fn name(self, official: &str, levels: usize) -> String {
        match self {
            Self::Diffusers => official.into(),
            Self::OldDiffusers => old_diffusers(official),
            Self::CompVis => compvis(official, levels),
        }
    }
}

/// The names of one attention layer, here, in old diffusers and in CompVis' code.
const ATTENTION: [[&str; 3]; 5] = [
    ["group_norm", "group_norm", "norm"],
    ["to_q", "query", "q"],
    ["to_k", "key", "k"],
    ["to_v", "value", "v"],
    ["to_out.0", "proj_attn", "proj_out"],
];

/// A name in three parts, if it is of an attention layer: before it, its layer in [`ATTENTION`], and weight or bias.
fn of_attention(official: &str) -> Option<(&str, &'static [&'static str; 3], &str)> {
    let (before, rest) = official.split_once(".attentions.0.")?;
    let (layer, end) = rest.rsplit_once('.')?;
    Some((before, ATTENTION.iter().find(|names| names[0] == layer)?, end))
}

fn old_diffusers(official: &str) -> String {
    match of_attention(official) {
        Some((before, [_, old, _], end)) => format!("{before}.attentions.0.{old}.{end}"),
        None => official.into(),
    }
}

fn compvis(official: &str, levels: usize) -> String {
    if let Some((_, [_, _, name], end)) = of_attention(official) {
        let half = official.split('.').next().unwrap_or_default();
        return format!("{half}.mid.attn_1.{name}.{end}");
    }
    let segments: Vec<&str> = official.split('.').collect();
    let in_resnet = |name: &[&str]| name.join(".").replace("conv_shortcut", "nin_shortcut");
    let number = |text: &str| text.parse::<usize>().ok();
    let level = |blocks: &str, level: &str| match blocks {
        "down_blocks" => Some(format!("down.{level}")),
        "up_blocks" => number(level).and_then(|level| levels.checked_sub(1 + level)).map(|level| format!("up.{level}")),
        _ => None,
    };
    let renamed = match segments.as_slice() {
        [half, "mid_block", "resnets", i, rest @ ..] => {
            number(i).map(|i| format!("{half}.mid.block_{}.{}", i + 1, in_resnet(rest)))
        }
        [half, blocks, i, "resnets", j, rest @ ..] => {
            level(blocks, i).map(|level| format!("{half}.{level}.block.{j}.{}", in_resnet(rest)))
        }
        [half, blocks, i, "downsamplers", "0", "conv", end] => {
            level(blocks, i).map(|level| format!("{half}.{level}.downsample.conv.{end}"))
        }
        [half, blocks, i, "upsamplers", "0", "conv", end] => {
            level(blocks, i).map(|level| format!("{half}.{level}.upsample.conv.{end}"))
        }
        [half, "conv_norm_out", end] => Some(format!("{half}.norm_out.{end}")),
        _ => None,
    };
    renamed.unwrap_or_else(|| official.into())
}

/// Where an autoencoder is in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub layout: Layout,
    /// What stands before its names, with the last dot; several where as many tensors are under each.
    pub prefixes: Vec<String>,
}

impl Found {
    /// The layout and the prefix that most names of the autoencoder have, among names that begin with `within`.
    pub fn among<'a>(
        names: impl Iterator<Item = &'a String>,
        config: &AutoencoderKlConfig,
        within: &str,
    ) -> Option<Self> {
        let known = Layout::ALL.map(|layout| known(layout, config));
        let mut counts: BTreeMap<(Layout, &str), usize> = BTreeMap::new();
        for name in names.filter(|name| name.starts_with(within)) {
            let starts = [0].into_iter().chain(name.match_indices('.').map(|(dot, _)| dot + 1));
            for start in starts.filter(|start| *start >= within.len()) {
                for (layout, known) in Layout::ALL.into_iter().zip(&known) {
                    if known.contains_key(&name[start..]) {
                        *counts.entry((layout, &name[..start])).or_insert(0) += 1;
                    }
                }
            }
        }
        let most = counts.values().copied().max()?;
        // The first of several layouts: where only tensors are that all name alike, it does not matter.
        let (layout, _) = counts.iter().find(|(_, count)| **count == most).map(|(key, _)| *key)?;
        let fits = |((of, _), count): &((Layout, &str), usize)| *of == layout && *count == most;
        let prefixes = counts.into_iter().filter(fits).map(|((_, prefix), _)| prefix.to_string()).collect();
        Some(Self { layout, prefixes })
    }

    /// The tensors with the names and shapes of diffusers: in attention, kernels of one pixel become matrices.
    pub fn official(&self, stored: Stored, config: &AutoencoderKlConfig) -> Stored {
        let known = known(self.layout, config);
        let renamed = |name: String| {
            let mut split =
                self.prefixes.iter().filter_map(|prefix| Some((prefix, name.strip_prefix(prefix.as_str())?)));
            let found = split.find_map(|(prefix, name)| Some(format!("{prefix}{}", known.get(name)?)));
            found.unwrap_or(name)
        };
        let squeezed = |name: &str, tensor: FileTensor| match tensor.shape[..] {
            [rows, columns, 1] | [rows, columns, 1, 1] if of_attention(name).is_some() => {
                tensor.reshaped([rows, columns])
            }
            _ => tensor,
        };
        let official = |(name, tensor)| {
            let name = renamed(name);
            let tensor = squeezed(&name, tensor);
            (name, tensor)
        };
        stored.into_iter().map(official).collect()
    }
}

/// The official name of each name of a layout.
fn known(layout: Layout, config: &AutoencoderKlConfig) -> BTreeMap<String, String> {
    let levels = config.block_out_channels.len();
    config.parameters().into_iter().map(|(name, _)| (layout.name(&name, levels), name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layout: Layout, config: &AutoencoderKlConfig, prefix: &str) -> Vec<String> {
        let levels = config.block_out_channels.len();
        config.parameters().iter().map(|(name, _)| format!("{prefix}{}", layout.name(name, levels))).collect()
    }

    #[test]
    fn names_of_each_layout() {
        let of = |layout: Layout, name: &str| layout.name(name, 4);
        for (official, old, compvis) in [
            ("quant_conv.weight", "quant_conv.weight", "quant_conv.weight"),
            (
                "encoder.down_blocks.1.resnets.0.conv_shortcut.bias",
                "encoder.down_blocks.1.resnets.0.conv_shortcut.bias",
                "encoder.down.1.block.0.nin_shortcut.bias",
            ),
            (
                "decoder.up_blocks.0.upsamplers.0.conv.weight",
                "decoder.up_blocks.0.upsamplers.0.conv.weight",
                "decoder.up.3.upsample.conv.weight",
            ),
            (
                "decoder.mid_block.attentions.0.to_out.0.weight",
                "decoder.mid_block.attentions.0.proj_attn.weight",
                "decoder.mid.attn_1.proj_out.weight",
            ),
            (
                "encoder.mid_block.attentions.0.group_norm.bias",
                "encoder.mid_block.attentions.0.group_norm.bias",
                "encoder.mid.attn_1.norm.bias",
            ),
            (
                "encoder.mid_block.resnets.1.norm2.weight",
                "encoder.mid_block.resnets.1.norm2.weight",
                "encoder.mid.block_2.norm2.weight",
            ),
            ("decoder.conv_norm_out.weight", "decoder.conv_norm_out.weight", "decoder.norm_out.weight"),
        ] {
            assert_eq!(of(Layout::Diffusers, official), official);
            assert_eq!(of(Layout::OldDiffusers, official), old);
            assert_eq!(of(Layout::CompVis, official), compvis);
        }
    }

    #[test]
    fn no_layout_has_a_name_twice_and_each_is_recognised_under_any_prefix() {
        for config in [AutoencoderKlConfig::sd1(), AutoencoderKlConfig::sd3()] {
            for layout in Layout::ALL {
                assert_eq!(known(layout, &config).len(), config.parameters().len());
                for prefix in ["", "first_stage_model.", "state_dict.vae."] {
                    let mut all = names(layout, &config, prefix);
                    all.push("model.diffusion_model.input_blocks.0.0.weight".into());
                    let found = Found::among(all.iter(), &config, "");
                    assert_eq!(found, Some(Found { layout, prefixes: vec![prefix.into()] }));
                }
            }
        }
        assert_eq!(
            Found::among(["blocks.0.attn.qkv.weight".to_string()].iter(), &AutoencoderKlConfig::sd1(), ""),
            None
        );
    }

    #[test]
    fn two_autoencoders_are_two_and_a_prefix_chooses() {
        let config = AutoencoderKlConfig::sd1();
        let mut all = names(Layout::Diffusers, &config, "ema.");
        all.extend(names(Layout::Diffusers, &config, "model."));
        all.extend(names(Layout::CompVis, &config, "other."));
        let found = |within| Found::among(all.iter(), &config, within).unwrap();
        assert_eq!(found("").prefixes, ["ema.", "model."]);
        assert_eq!(found("other."), Found { layout: Layout::CompVis, prefixes: vec!["other.".into()] });
    }
}
