//! Which official system a set of tensors belongs to.

/// The system whose characteristic tensors are among `names` (of one set of weights, without prefix): `"SiT"`,
/// `"REPA"`, `"RAE"`, `"RAE decoder"` or `"SD3.5"`.
pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    let names: Vec<&str> = names.into_iter().collect();
    let below = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    if below("joint_blocks.") {
        Some("SD3.5")
    } else if below("decoder_embed.") && below("decoder_layers.") {
        Some("RAE decoder")
    } else if below("s_embedder.") || names.contains(&"t_embedder.W") {
        Some("RAE")
    } else if below("projectors.") {
        Some("REPA")
    } else if below("x_embedder.proj.") && below("blocks.0.attn.qkv.") {
        Some("SiT")
    } else {
        None
    }
}
