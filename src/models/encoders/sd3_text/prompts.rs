//! Prompts to embeddings.
use super::{ClipTokenizer, SdTextConfig, SdTextEncoders, SdTextSizes, SdTokens, T5Length, T5Tokenizer, TextEmbedding};
use crate::models::weights::ImportReport;
use crate::{Error, Result};
use burn::tensor::Device;

/// The encoders of Stable Diffusion 3.5 with their tokenizers.
#[derive(Debug)]
pub struct SdText {
    encoders: SdTextEncoders,
    clip: ClipTokenizer,
    t5: T5Tokenizer,
    length: T5Length,
    batch: usize,
}

impl SdText {
    /// All that `config` names, on `device`, with what was read of CLIP-L, CLIP-G and T5. Tokenizers are read first, since their
    /// files are small.
    ///
    /// # Errors
    /// Those of [`SdTextEncoders::load`], [`ClipTokenizer::open`] and [`T5Tokenizer::open`].
    pub fn load(config: &SdTextConfig, sizes: &SdTextSizes, device: &Device) -> Result<(Self, [ImportReport; 3])> {
        Error::if_any([config.problems(""), sizes.problems("")].concat())?;
        let (clip, t5) = (ClipTokenizer::open(&config.clip_tokenizer)?, T5Tokenizer::open(&config.t5_tokenizer)?);
        let (encoders, reports) = SdTextEncoders::load(config, sizes, device)?;
        Ok((Self { encoders, clip, t5, length: config.t5_length, batch: config.batch }, reports))
    }

    /// The tokens of a prompt, and how many of them the encoders do not see since they are too many.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the prompt.
    pub fn tokens(&self, prompt: &str) -> Result<SdTokens> {
        let clip = self.clip.tokens(prompt)?;
        let begun: String = prompt.chars().take(self.length.characters.unwrap_or(usize::MAX)).collect();
        Ok(SdTokens::new(&clip, self.clip.ends(), &self.t5.tokens(&begun)?, self.t5.end(), self.length))
    }

    /// Embeds prompts; "" is no prompt at all, what guidance is away from.
    ///
    /// # Errors
    /// Those of [`tokens`](Self::tokens) and [`SdTextEncoders::encode`].
    pub fn encode(&self, prompts: &[String]) -> Result<Vec<TextEmbedding>> {
        let tokens = prompts.iter().map(|prompt| self.tokens(prompt)).collect::<Result<Vec<_>>>()?;
        self.encoders.encode(&tokens, self.batch)
    }
}
