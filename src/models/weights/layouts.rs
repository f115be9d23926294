//! Files of other programs and of other models, by names that only they have.

/// Parts that a file may hold beside the diffusion model, by the first segment of their names.
const PARTS: [(&str, &str); 9] = [
    ("first_stage_model", "the autoencoder"),
    ("vae", "the autoencoder"),
    ("text_encoders", "text encoders"),
    ("text_encoder", "a text encoder"),
    ("text_encoder_2", "a text encoder"),
    ("text_encoder_3", "a text encoder"),
    ("cond_stage_model", "a text encoder"),
    ("conditioner", "text encoders"),
    ("model_ema", "an average of another program"),
];

/// What a part is that no network here has.
pub(super) fn part(name: &str) -> Option<(&'static str, &'static str)> {
    let first = name.split('.').next()?;
    PARTS.into_iter().find(|(part, _)| *part == first && name.len() > first.len())
}

/// What the names of a layout have in them, where it is no layout of ours, and what it is.
const FOREIGN: [(&[&str], &str); 7] = [
    (&["lora_down.", "lora_A.", "lora_unet_", ".lora."], "a LoRA, which only changes a model: take the model itself"),
    (&["transformer_blocks.", "single_transformer_blocks."], DIFFUSERS),
    (&[".attn.to_q.", ".attn1.to_q.", "time_text_embed."], DIFFUSERS),
    (&["double_blocks.", "single_blocks."], "a model of the kind of Flux, which is none of the networks here"),
    (&["input_blocks.", "down_blocks."], "a U-Net, which is none of the networks here"),
    (&["encoder.down.", "decoder.up_blocks.", "decoder.up."], "an autoencoder, not the diffusion model"),
    (&["model.layers.", "lm_head."], "a language model"),
];
const DIFFUSERS: &str = "in the layout of diffusers, which is not read";

/// What the file is instead, where none of its names is the model's.
pub(super) fn foreign<'a>(names: impl Iterator<Item = &'a String> + Clone, system: Option<&str>) -> Option<String> {
    let has = |marks: &&[&str]| names.clone().any(|name| marks.iter().any(|mark| name.contains(mark)));
    let (_, what) = FOREIGN.iter().find(|(marks, _)| has(marks))?;
    let instead = match (*what == DIFFUSERS, system) {
        (false, _) => "",
        (true, Some("SD3.5")) => ": take Stability's single file, such as `sd3.5_medium.safetensors`",
        (true, Some(_)) => ": take the official checkpoint of its authors, a `.pt` file",
        (true, None) => ": take the official checkpoint",
    };
    Some(format!("it is {what}{instead}"))
}
