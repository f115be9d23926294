//! The three encoders, and what they make of tokens.
use super::{SdTextConfig, SdTokens, TextEmbedding};
use crate::models::encoders::clip_text::{ClipText, ClipTextConfig, ClipTextOutput};
use crate::models::encoders::t5::{T5Encoder, T5EncoderConfig};
use crate::models::weights::ImportReport;
use crate::{Error, Problem, Result};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sizes of the three encoders; the defaults are those of Stable Diffusion 3 and 3.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SdTextSizes {
    /// CLIP-L, whose pooled vector is taken without projection.
    pub clip_l: ClipTextConfig,
    /// CLIP-G, which must have a projection.
    pub clip_g: ClipTextConfig,
    /// T5, at least as wide as both of them together.
    pub t5: T5EncoderConfig,
}

impl Default for SdTextSizes {
    fn default() -> Self {
        Self { clip_l: ClipTextConfig::l(), clip_g: ClipTextConfig::g(), t5: T5EncoderConfig::xxl() }
    }
}

impl SdTextSizes {
    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let mut found = self.clip_l.problems(&below("clip_l"));
        found.extend(self.clip_g.problems(&below("clip_g")));
        found.extend(self.t5.problems(&below("t5")));
        let projection = self.clip_g.projection_dim;
        let condition = "must be a width: Stable Diffusion 3.5 takes the projection";
        Problem::unless(&mut found, projection.is_some(), path, "clip_g.projection_dim", "null", condition);
        let (width, clip) = (self.t5.d_model, self.clip_l.hidden_size.saturating_add(self.clip_g.hidden_size));
        let condition = format!("must be at least {clip}, the width of both CLIP side by side");
        Problem::unless(&mut found, width >= clip, path, "t5.d_model", width, condition);
        found
    }
}

/// The encoders of Stable Diffusion 3.5.
#[derive(Debug)]
pub struct SdTextEncoders {
    clip_l: ClipText,
    clip_g: ClipText,
    t5: T5Encoder,
}

impl SdTextEncoders {
    /// The encoders of the files that `config` names, on `device`, with what was read of each of them in the order CLIP-L, CLIP-G,
    /// T5.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition of `config` and `sizes`; those of [`ClipText::load`] and
    /// [`T5Encoder::load`].
    pub fn load(config: &SdTextConfig, sizes: &SdTextSizes, device: &Device) -> Result<(Self, [ImportReport; 3])> {
        Error::if_any([config.problems(""), sizes.problems("")].concat())?;
        let (clip_l, of_l) = ClipText::load(&sizes.clip_l, &config.clip_l, config.precision, device)?;
        let (clip_g, of_g) = ClipText::load(&sizes.clip_g, &config.clip_g, config.precision, device)?;
        let (t5, of_t5) = T5Encoder::load(&sizes.t5, &config.t5, config.precision, device)?;
        Ok((Self { clip_l, clip_g, t5 }, [of_l, of_g, of_t5]))
    }

    /// Embeds prompts, at most `batch` (at least 1) at a time. Those that are equally long in T5 are computed together.
    ///
    /// # Errors
    /// [`Error::Invalid`] for tokens that the encoders do not have, or of lengths that they do not take.
    pub fn encode(&self, prompts: &[SdTokens], batch: usize) -> Result<Vec<TextEmbedding>> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, prompt) in prompts.iter().enumerate() {
            by_length.entry(prompt.t5.len()).or_default().push(i);
        }
        let mut embedded: Vec<(usize, TextEmbedding)> = Vec::with_capacity(prompts.len());
        for places in by_length.values().flat_map(|places| places.chunks(batch.max(1))) {
            let chosen: Vec<&SdTokens> = places.iter().map(|place| &prompts[*place]).collect();
            embedded.extend(places.iter().copied().zip(self.together(&chosen)?));
        }
        embedded.sort_by_key(|(place, _)| *place);
        Ok(embedded.into_iter().map(|(_, embedding)| embedding).collect())
    }

    /// Embeds prompts of one length.
    fn together(&self, prompts: &[&SdTokens]) -> Result<Vec<TextEmbedding>> {
        let rows = |of: fn(&SdTokens) -> &Vec<u32>| prompts.iter().map(|prompt| of(prompt).clone()).collect::<Vec<_>>();
        let l = self.clip_l.encode(&rows(|prompt| &prompt.clip_l))?;
        let g = self.clip_g.encode(&rows(|prompt| &prompt.clip_g))?;
        let (context, pooled) = joined(l, g, self.t5.encode(&rows(|prompt| &prompt.t5))?)?;
        let ([_, tokens, width], [_, pooled_width]) = (context.dims(), pooled.dims());
        let (contexts, pooled) = (numbers(context)?, numbers(pooled)?);
        let one = |(context, pooled): (&[f32], &[f32])| TextEmbedding {
            context: TensorData::new(context.to_vec(), [tokens, width]),
            pooled: TensorData::new(pooled.to_vec(), [pooled_width]),
        };
        Ok(contexts.chunks(tokens * width).zip(pooled.chunks(pooled_width)).map(one).collect())
    }
}

/// The condition of a batch, in f32.
fn joined(l: ClipTextOutput, g: ClipTextOutput, t5: Tensor<3>) -> Result<(Tensor<3>, Tensor<2>)> {
    let t5 = t5.cast(FloatDType::F32);
    let [_, _, width] = t5.dims();
    let both = Tensor::cat(vec![l.penultimate, g.penultimate], 2).cast(FloatDType::F32);
    let [batch, count, clip] = both.dims();
    let nothing = Tensor::<3>::zeros([batch, count, width - clip], (&both.device(), DType::F32));
    let context = Tensor::cat(vec![Tensor::cat(vec![both, nothing], 2), t5], 1);
    let projected = g.projected.ok_or_else(|| Error::Invalid("CLIP-G has no projection".into()))?;
    Ok((context, Tensor::cat(vec![l.pooled, projected], 1).cast(FloatDType::F32)))
}

/// The numbers of a tensor on the host.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_into_vec::<f32>().map_err(|e| Error::Invalid(format!("the embedded text: {e}")))
}
