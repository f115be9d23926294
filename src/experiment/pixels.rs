//! Generated latents to pictures, some at a time.
use super::opened::Experiment;
use crate::Result;
use crate::models::encoders::autoencoder_kl::AutoencoderKl;
use crate::models::rae::{DECODER_OFFICIAL_NAMES, RaeDecoder};
use crate::models::weights::{ImportReport, KeyMap, import};
use burn::tensor::Tensor;

/// Latents that are decoded at a time: what a decoder holds of one picture of 256 pixels is about 300 MB.
const AT_A_TIME: usize = 4;

/// What makes pictures of latents.
pub(super) enum PixelDecoder {
    /// RAE's.
    Rae(Box<RaeDecoder>),
    /// Stable Diffusion's.
    Autoencoder(Box<AutoencoderKl>),
}

impl PixelDecoder {
    /// Pictures `[count, 3, height, width]` in [0, 1] of latents as they are stored.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn decode(&self, latents: &Tensor<4>) -> Result<Tensor<4>> {
        let count = latents.dims()[0];
        let mut pictures = Vec::new();
        for first in (0..count).step_by(AT_A_TIME) {
            let some = latents.clone().narrow(0, first, AT_A_TIME.min(count - first));
            let decoded = match self {
                Self::Rae(decoder) => decoder.decode(some)?,
                Self::Autoencoder(decoder) => (decoder.decode(some)? + 1.0) / 2.0,
            };
            pictures.push(decoded.clamp(0.0, 1.0));
        }
        Ok(Tensor::cat(pictures, 0))
    }
}

impl Experiment {
    /// The decoder that the section `sample` names, with its key and what was read of its weights.
    ///
    /// # Errors
    /// Those of loading it.
    pub(super) fn pixel_decoder(&self) -> Option<(&'static str, Result<(PixelDecoder, ImportReport)>)> {
        let (sample, device) = (&self.config().sample, self.device());
        if let Some(decoder) = &sample.decoder {
            let (weights, names) = (&decoder.weights, KeyMap(DECODER_OFFICIAL_NAMES));
            let network = decoder.network.init(device);
            let loaded = network.and_then(|network| import(&network, &weights.file, &weights.options(), names));
            return Some((
                "sample.decoder",
                loaded.map(|(network, report)| (PixelDecoder::Rae(Box::new(network)), report)),
            ));
        }
        let part = sample.autoencoder.as_ref()?;
        let loaded = AutoencoderKl::load(&part.network, &part.weights.file, &part.weights.options(), device);
        let loaded = loaded.map(|(network, report)| (PixelDecoder::Autoencoder(Box::new(network)), report));
        Some(("sample.autoencoder", loaded))
    }
}
