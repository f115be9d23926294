//! What diffusers calls the layers of an MMDiT.
use crate::models::weights::{Part, Rows};

/// The layers of diffusers' `SD3Transformer2DModel` that are the official `layer` of a network with `depth` blocks: the rows of q, k
/// and v are layers of their own, and where only shift and scale are left, scale comes first.
pub(crate) fn parts(layer: &str, depth: usize) -> Option<Vec<Part>> {
    let whole = |name: String| Some(vec![Part { name, rows: Rows::All }]);
    let swapped = |name: String| Some(vec![Part { name, rows: Rows::HalvesSwapped }]);
    match layer {
        "t_embedder.mlp.0" => return whole("time_text_embed.timestep_embedder.linear_1".into()),
        "t_embedder.mlp.2" => return whole("time_text_embed.timestep_embedder.linear_2".into()),
        "y_embedder.mlp.0" => return whole("time_text_embed.text_embedder.linear_1".into()),
        "y_embedder.mlp.2" => return whole("time_text_embed.text_embedder.linear_2".into()),
        "context_embedder" => return whole("context_embedder".into()),
        "final_layer.linear" => return whole("proj_out".into()),
        "final_layer.adaLN_modulation.1" => return swapped("norm_out.linear".into()),
        _ => {}
    }
    let (block, rest) = layer.strip_prefix("joint_blocks.")?.split_once('.')?;
    let (stream, rest) = rest.split_once('.')?;
    let of_text = match stream {
        "x_block" => false,
        "context_block" => true,
        _ => return None,
    };
    let named = |name: &str| format!("transformer_blocks.{block}.{name}");
    let qkv = |attention: &str, names: [&str; 3]| {
        let part = |(third, name): (usize, &str)| Part {
            name: named(&format!("{attention}.{name}")),
            rows: Rows::Third(third),
        };
        Some(names.into_iter().enumerate().map(part).collect())
    };
    let is_last = block.parse::<usize>().ok()? + 1 == depth;
    match (rest, of_text) {
        ("attn.qkv", false) => qkv("attn", ["to_q", "to_k", "to_v"]),
        ("attn.qkv", true) => qkv("attn", ["add_q_proj", "add_k_proj", "add_v_proj"]),
        ("attn2.qkv", false) => qkv("attn2", ["to_q", "to_k", "to_v"]),
        ("attn.proj", false) => whole(named("attn.to_out.0")),
        ("attn.proj", true) => whole(named("attn.to_add_out")),
        ("attn2.proj", false) => whole(named("attn2.to_out.0")),
        ("mlp.fc1", false) => whole(named("ff.net.0.proj")),
        ("mlp.fc2", false) => whole(named("ff.net.2")),
        ("mlp.fc1", true) => whole(named("ff_context.net.0.proj")),
        ("mlp.fc2", true) => whole(named("ff_context.net.2")),
        ("adaLN_modulation.1", false) => whole(named("norm1.linear")),
        ("adaLN_modulation.1", true) if is_last => swapped(named("norm1_context.linear")),
        ("adaLN_modulation.1", true) => whole(named("norm1_context.linear")),
        _ => None,
    }
}
