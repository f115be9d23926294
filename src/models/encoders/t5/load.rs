//! The encoder of T5 from a file.
use super::parameters::SHARED;
use super::{T5Encoder, T5EncoderConfig};
use crate::models::encoders::TextPrecision;
use crate::models::encoders::text_weights::{FilePart, FileWeights, Place, TextWeights};
use crate::models::weights::{ImportReport, Opened};
use crate::{Error, Result};
use burn::tensor::Device;
use std::path::Path;

/// The table of tokens as the encoder alone calls it; files have either name or both, for the same numbers.
const EMBEDDED: &str = "encoder.embed_tokens.weight";
/// What files of the whole of T5 have beside it.
const IGNORED: [&str; 4] = ["decoder", "encoder.embed_tokens", "lm_head", "shared"];

impl T5Encoder {
    /// The encoder of the weights in `file`: safetensors or PyTorch by its contents, of shards the index or their folder.
    ///
    /// It is read as Stability's and ComfyUI's `t5xxl_fp16.safetensors` and transformers' `T5EncoderModel` have it, below a prefix
    /// too. The decoder of a whole T5 and a second table of tokens may be in the file: the report names them. Files of f8 are not
    /// read.
    ///
    /// Tensors are read one at a time: the memory at most in use is that of the encoder and of twice its largest tensor, for XXL
    /// in bf16 9.5 GB and 0.5 GB. The sums of f16 overflow in T5, but its weights do not: f16 in the file is fine.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition of `config`; [`Error::Io`], [`Error::Format`] and [`Error::Weights`] as
    /// [`import`](crate::models::weights::import()); [`Error::Device`] if the device does not compute in `precision`.
    pub fn load(
        config: &T5EncoderConfig,
        file: &Path,
        precision: TextPrecision,
        device: &Device,
    ) -> Result<(Self, ImportReport)> {
        Error::if_any(config.problems(""))?;
        let dtype = precision.on(device)?;
        let opened = Opened::new(file)?;
        let mut parameters = config.parameters();
        let (shared, shape) = &mut parameters[0];
        let is_embedded = !opened.has(SHARED, shape) && opened.has(EMBEDDED, shape);
        if is_embedded {
            *shared = EMBEDDED.into();
        }
        let stream = opened.stream(&parameters, &IGNORED, dtype)?;
        let place = if is_embedded { in_encoder } else { as_told };
        let mut weights = FileWeights::new(stream, place, dtype, device);
        let encoder = config.made(&mut TextWeights::Stored(&mut weights))?;
        Ok((encoder, weights.report()))
    }
}

fn as_told(name: &str) -> Place {
    Place { name: name.into(), part: FilePart::All }
}

fn in_encoder(name: &str) -> Place {
    as_told(if name == SHARED { EMBEDDED } else { name })
}
