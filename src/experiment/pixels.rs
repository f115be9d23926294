//! Samples to pictures, some at a time.
use super::opened::Experiment;
use crate::data::{PixelRule, Scaling};
use crate::models::encoders::autoencoder_kl::AutoencoderKl;
use crate::models::rae::{DECODER_OFFICIAL_NAMES, RaeDecoder};
use crate::models::weights::{ImportReport, KeyMap, import};
use crate::{Error, Result, host};
use burn::tensor::{Device, Tensor};

/// Latents that are decoded at a time: what a decoder holds of one picture of 256 pixels is about 300 MB.
const AT_A_TIME: usize = 4;

/// Colours of a picture.
const COLOURS: usize = 3;

/// What makes pictures of latents.
pub(super) enum PixelDecoder {
    /// RAE's.
    Rae(Box<RaeDecoder>),
    /// Stable Diffusion's.
    Autoencoder(Box<AutoencoderKl>),
}

impl PixelDecoder {
    /// Pictures `[count, 3, height, width]` of latents as they are stored: RAE's nominally in [0, 1], others in [-1, 1].
    ///
    /// # Errors
    /// Those of the decoder.
    fn values(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        match self {
            Self::Rae(decoder) => decoder.decode(latents),
            Self::Autoencoder(decoder) => decoder.decode(latents),
        }
    }

    /// Pictures `[count, 3, height, width]` in [0, 1] of latents as they are stored.
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn decode(&self, latents: &Tensor<4>) -> Result<Tensor<4>> {
        let unit = |values: Tensor<4>| match self {
            Self::Rae(_) => values,
            Self::Autoencoder(_) => (values + 1.0) / 2.0,
        };
        let pictures = parts(latents).map(|some| Ok(unit(self.values(some)?).clamp(0.0, 1.0)));
        Ok(Tensor::cat(pictures.collect::<Result<_>>()?, 0))
    }
}

/// So many latents as are decoded together, one after the other.
fn parts(latents: &Tensor<4>) -> impl Iterator<Item = Tensor<4>> {
    let count = latents.dims()[0];
    (0..count).step_by(AT_A_TIME).map(move |first| latents.clone().narrow(0, first, AT_A_TIME.min(count - first)))
}

/// What makes bytes of samples, on one device.
pub(super) struct PictureMaker {
    decoder: Option<PixelDecoder>,
    scaling: Scaling,
    rule: PixelRule,
}

impl PictureMaker {
    /// The bytes `[height, width, 3]` of each of the samples `[count, C, H, W]`, which are as the network makes them. Grey is a
    /// colour whose three numbers are one.
    ///
    /// # Errors
    /// Those of the decoder; [`Error::Invalid`] for pictures that are neither grey nor of three colours.
    pub fn bytes(&self, samples: &Tensor<4>) -> Result<Vec<Vec<u8>>> {
        let mut pictures = Vec::new();
        for some in parts(samples) {
            let stored = self.scaling.to_stored(some);
            let values = match &self.decoder {
                Some(decoder) => decoder.values(stored)?,
                None => stored,
            };
            let [count, channels, height, width] = values.dims();
            if channels != COLOURS && channels != 1 {
                let must = "must have 1 or 3 to be pictures";
                return Err(Error::Invalid(format!("samples with {channels} channels: {must}")));
            }
            let values = host::values(values, "pictures")?;
            let one = |values: &[f32]| {
                let bytes = self.rule.picture(values, channels);
                if channels == COLOURS { bytes } else { bytes.into_iter().flat_map(|grey| [grey; COLOURS]).collect() }
            };
            pictures.extend(values.chunks_exact(values.len() / count.max(1)).map(one));
            debug_assert!(pictures.iter().all(|picture| picture.len() == COLOURS * height * width));
        }
        Ok(pictures)
    }
}

impl Experiment {
    /// # Errors
    /// [`Error::Invalid`] if samples are no pictures and nothing decodes them.
    pub(super) fn are_pictures(&self) -> Result<()> {
        if self.config().makes_pictures() {
            return Ok(());
        }
        let message = "these samples are no pictures: name what decodes them in `sample.autoencoder`, or for RAE in \
                       `sample.decoder`";
        Err(Error::Invalid(message.into()))
    }

    /// What makes pictures of samples, on `device`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if samples are no pictures and nothing decodes them; those of loading the decoder.
    pub(super) fn picture_maker(&self, device: &Device) -> Result<PictureMaker> {
        self.are_pictures()?;
        let decoder = self.pixel_decoder(device).map(|(_, loaded)| Ok::<_, Error>(loaded?.0)).transpose()?;
        Ok(PictureMaker { decoder, scaling: self.data().scaling.clone(), rule: self.config().pixel_rule() })
    }

    /// The decoder that the section `sample` names, on `device`, with its key and what was read of its weights.
    ///
    /// # Errors
    /// Those of loading it.
    pub(super) fn pixel_decoder(
        &self,
        device: &Device,
    ) -> Option<(&'static str, Result<(PixelDecoder, ImportReport)>)> {
        let sample = &self.config().sample;
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
