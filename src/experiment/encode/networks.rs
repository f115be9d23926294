//! The networks of an encoding on one device, and what they make of a group of pictures.
use super::EncodeConfig;
use crate::data::encoded::{Encoded, EncodedFolder, EncodedPart, StoredFloats};
use crate::data::to_encode::SourcePicture;
use crate::data::{Array, TextItem};
use crate::models::encoders::TextPrecision;
use crate::models::encoders::autoencoder_kl::{AutoencoderKl, Posterior};
use crate::models::encoders::dinov2::{DinoV2, RaeEncoder, RepaFeatures, pixels};
use crate::models::encoders::sd3_text::{SdText, TextEmbedding};
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeSet;

/// Colours of a picture.
const COLOURS: usize = 3;

/// The networks that are asked for, on one device.
pub(super) struct Networks {
    device: Device,
    size: usize,
    autoencoder: Option<AutoencoderKl>,
    rae: Option<RaeEncoder>,
    features: Option<RepaFeatures>,
    text: Option<SdText>,
}

impl Networks {
    /// Loads them, with a line for each of what was read.
    ///
    /// # Errors
    /// Those of each network's `load`.
    pub fn load(config: &EncodeConfig, device: &Device) -> Result<(Self, Vec<String>)> {
        let mut said = Vec::new();
        let autoencoder = config.autoencoder.as_ref().map(|part| {
            let (network, report) =
                AutoencoderKl::load(&part.network, &part.weights.file, &part.weights.options(), device)?;
            said.push(format!("autoencoder: {report}"));
            Ok::<_, Error>(network)
        });
        let autoencoder = autoencoder.transpose()?;
        let rae = config.rae.as_ref().map(|part| {
            let (network, report) = DinoV2::load(&part.network, &part.file, device)?;
            said.push(format!("rae: {report}"));
            RaeEncoder::new(network, part.side)
        });
        let rae = rae.transpose()?;
        let features = config.features.as_ref().map(|part| {
            let (network, report) = DinoV2::load(&part.network, &part.file, device)?;
            said.push(format!("features: {report}"));
            Ok::<_, Error>(RepaFeatures::new(network))
        });
        let features = features.transpose()?;
        let text = config.text.as_ref().map(|part| {
            let (text, reports) = SdText::load(&part.files, &part.sizes, device)?;
            let named = ["CLIP-L", "CLIP-G", "T5"].into_iter().zip(reports);
            said.extend(named.map(|(name, report)| format!("text: {name}: {report}")));
            Ok::<_, Error>(text)
        });
        let text = text.transpose()?;
        Ok((Self { device: device.clone(), size: config.pictures.size, autoencoder, rae, features, text }, said))
    }

    /// What each picture becomes, with the shapes that the networks give: asked of a grey picture.
    ///
    /// # Errors
    /// Those of the networks.
    pub fn parts(&self, config: &EncodeConfig) -> Result<Vec<EncodedPart>> {
        let mut parts = Vec::new();
        if config.keep_pictures {
            parts.push(EncodedPart::Pictures { size: self.size });
        }
        let grey = SourcePicture { index: 0, rgb: vec![128; COLOURS * self.size * self.size] };
        let made = self.numbers(&[&grey])?;
        let shape = |tensor: &Tensor<4>| {
            let [_, channels, height, width] = tensor.dims();
            [channels, height, width]
        };
        parts.extend(made.posterior.iter().map(|found| EncodedPart::Posterior { shape: shape(&found.mean) }));
        parts.extend(made.latents.iter().map(|found| EncodedPart::Latents { shape: shape(found) }));
        parts.extend(made.features.iter().map(|found| {
            let [_, tokens, width] = found.dims();
            EncodedPart::Features { tokens, width }
        }));
        if let (Some(text), Some(part)) = (&self.text, &config.text) {
            let null = item(text.encode(&[String::new()])?.remove(0))?;
            let stored = match part.files.precision {
                TextPrecision::F32 => StoredFloats::F32,
                TextPrecision::Bf16 => StoredFloats::Bf16,
            };
            let (shape, pooled) = (&null.context.shape, null.pooled.values.len());
            parts.push(EncodedPart::Text { tokens: shape[0], width: shape[1], pooled, stored });
        }
        Ok(parts)
    }

    /// Writes the embedded empty prompt, where prompts are embedded.
    ///
    /// # Errors
    /// Those of the networks and of writing.
    pub fn write_null_text(&self, folder: &EncodedFolder) -> Result<()> {
        let Some(text) = &self.text else { return Ok(()) };
        folder.write_null_text(&item(text.encode(&[String::new()])?.remove(0))?)
    }

    /// Writes what becomes of a group of pictures with their captions: the files of those that are `wanted`.
    ///
    /// The whole group is computed, whichever of its files are there already: so that they are the same as without a stop.
    ///
    /// # Errors
    /// Those of the networks and of writing.
    pub fn write(
        &self,
        pictures: &[&SourcePicture],
        captions: Option<&[String]>,
        wanted: &BTreeSet<usize>,
        keep_pictures: bool,
        folder: &EncodedFolder,
    ) -> Result<()> {
        let Made { posterior, latents, features } = self.numbers(pictures)?;
        let put = |of: &[Vec<f32>], kind: fn(&[f32]) -> Encoded<'_>| {
            let pairs = pictures.iter().zip(of).filter(|(picture, _)| wanted.contains(&picture.index));
            pairs.map(|(picture, numbers)| folder.write(picture.index, kind(numbers))).collect::<Result<Vec<()>>>()
        };
        if let Some(Posterior { mean, std }) = posterior {
            put(&rows(Tensor::cat(vec![mean, std], 1))?, |numbers| Encoded::Posterior(numbers))?;
        }
        if let Some(latents) = latents {
            put(&rows(latents)?, |numbers| Encoded::Latents(numbers))?;
        }
        if let Some(features) = features {
            put(&rows(features)?, |numbers| Encoded::Features(numbers))?;
        }
        if let (Some(text), Some(captions)) = (&self.text, captions) {
            for (picture, embedded) in pictures.iter().zip(text.encode(captions)?) {
                if wanted.contains(&picture.index) {
                    folder.write(picture.index, Encoded::Text(&item(embedded)?))?;
                }
            }
        }
        // Last: whoever asks what is there finds a picture only with all that became of it.
        for picture in pictures.iter().filter(|picture| keep_pictures && wanted.contains(&picture.index)) {
            folder.write(picture.index, Encoded::Picture(&picture.rgb))?;
        }
        Ok(())
    }

    fn numbers(&self, pictures: &[&SourcePicture]) -> Result<Made> {
        let shape = [pictures.len(), COLOURS, self.size, self.size];
        let bytes: Vec<u8> = pictures.iter().flat_map(|picture| planes(&picture.rgb)).collect();
        let posterior = self.autoencoder.as_ref().map(|network| {
            let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0).collect();
            network.encode(Tensor::from_data(TensorData::new(values, shape), &self.device))
        });
        let colours = || pixels(&bytes, shape, &self.device);
        let latents = self.rae.as_ref().map(|network| network.encode(colours()?));
        let features = self.features.as_ref().map(|network| network.of(colours()?));
        Ok(Made { posterior: posterior.transpose()?, latents: latents.transpose()?, features: features.transpose()? })
    }
}

/// What networks make of a group.
struct Made {
    posterior: Option<Posterior>,
    latents: Option<Tensor<4>>,
    features: Option<Tensor<3>>,
}

/// `[height, width, 3]` as `[3, height, width]`.
fn planes(rgb: &[u8]) -> Vec<u8> {
    (0..COLOURS).flat_map(|colour| rgb.iter().skip(colour).step_by(COLOURS).copied()).collect()
}

/// The numbers of each item.
fn rows<const D: usize>(tensor: Tensor<D>) -> Result<Vec<Vec<f32>>> {
    let items = tensor.dims()[0];
    let numbers = tensor.into_data().try_into_vec::<f32>().map_err(|e| Error::Invalid(e.to_string()))?;
    Ok(numbers.chunks(numbers.len() / items).map(<[f32]>::to_vec).collect())
}

/// An embedded prompt as it is written.
fn item(embedded: TextEmbedding) -> Result<TextItem> {
    let array = |data: TensorData| {
        let shape = data.shape().to_vec();
        let values = data.try_into_vec::<f32>().map_err(|e| Error::Invalid(e.to_string()))?;
        Ok::<_, Error>(Array { shape, values })
    };
    Ok(TextItem { context: array(embedded.context)?, pooled: array(embedded.pooled)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_planes() {
        assert_eq!(planes(&[1, 2, 3, 4, 5, 6]), [1, 4, 2, 5, 3, 6]);
    }
}
