//! The text encoder of CLIP from a file.
use super::layout::ClipLayout;
use super::{ClipText, ClipTextConfig};
use crate::models::encoders::TextPrecision;
use crate::models::encoders::text_weights::{FileWeights, TextWeights};
use crate::models::weights::{ImportReport, Opened};
use crate::{Error, Result};
use burn::tensor::Device;
use std::path::Path;

impl ClipText {
    /// The encoder of the weights in `file`: safetensors or PyTorch by its contents, of shards the index or their folder.
    ///
    /// It is read in three layouts: that of Stability's `clip_l.safetensors` and `clip_g.safetensors` and of a folder of
    /// transformers; that of transformers' `CLIPTextModel` alone; and that of OpenCLIP. The weights may stand below a prefix, as
    /// in a single file that holds all of Stable Diffusion. Towers for pictures, `logit_scale`, `position_ids` and a projection
    /// that is not wanted may be in the file: the report names them.
    ///
    /// Tensors are read one at a time: the memory at most in use is that of the encoder and of twice its largest tensor.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition of `config`; [`Error::Io`], [`Error::Format`] and [`Error::Weights`] as
    /// [`import`](crate::models::weights::import()); [`Error::Device`] if the device does not compute in `precision`.
    pub fn load(
        config: &ClipTextConfig,
        file: &Path,
        precision: TextPrecision,
        device: &Device,
    ) -> Result<(Self, ImportReport)> {
        Error::if_any(config.problems(""))?;
        let dtype = precision.on(device)?;
        let opened = Opened::new(file)?;
        let layout = ClipLayout::of(&opened, config);
        let stream = opened.stream(&layout.parameters(config), layout.ignored(), dtype)?;
        let mut weights = FileWeights::new(stream, layout.place(), dtype, device);
        let encoder = config.made(&mut TextWeights::Stored(&mut weights))?;
        Ok((encoder, weights.report()))
    }
}
