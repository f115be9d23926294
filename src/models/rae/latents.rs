//! Normalization of latents by statistics per channel and place: (z − mean) / √(var + 1e-5).
use crate::checkpoint::weights::read_numbers;
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

const EPSILON: f64 = 1e-5;

/// Mean and variance `[channels, height, width]` of the latents a network is trained on.
///
/// The official `stat.pt` holds them as `mean` and `var`.
#[derive(Debug, Clone)]
pub struct LatentStatistics {
    mean: Tensor<4>,
    spread: Tensor<4>,
}

impl LatentStatistics {
    /// Statistics of shape `[channels, height, width]` each; the variance is at least 0.
    pub fn new(mean: Tensor<3>, var: Tensor<3>) -> Self {
        Self { mean: mean.unsqueeze(), spread: (var + EPSILON).sqrt().unsqueeze() }
    }

    /// Reads `mean` and `var` from safetensors if `file` ends in `.safetensors`, else from a PyTorch file (feature
    /// `pytorch`).
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it cannot be read, lacks one of the two, or the
    /// two are not of one shape `[channels, height, width]`.
    pub fn read(file: &Path, device: &Device) -> Result<Self> {
        let mut arrays = read_numbers(file)?;
        let mut take = |name: &str| -> Result<TensorData> {
            let missing = || Error::format(file, format!("it has no `{name}`; latent statistics are `mean` and `var`"));
            arrays.remove(name).ok_or_else(missing)
        };
        let (mean, var) = (take("mean")?, take("var")?);
        if mean.shape() != var.shape() || mean.shape().len() != 3 {
            let shapes = format!("`mean` has shape {:?} and `var` {:?}", mean.shape().to_vec(), var.shape().to_vec());
            return Err(Error::format(file, format!("{shapes}: both must be [channels, height, width]")));
        }
        let tensor = |data: TensorData| Tensor::from_data(data.convert::<f32>(), device);
        Ok(Self::new(tensor(mean), tensor(var)))
    }

    /// (z − mean) / √(var + ε): from the encoder's `latents` `[batch, channels, height, width]` to the network's.
    pub fn normalize(&self, latents: Tensor<4>) -> Tensor<4> {
        (latents - self.mean.clone()) / self.spread.clone()
    }

    /// z √(var + ε) + mean: from the network's `latents` `[batch, channels, height, width]` to the decoder's.
    pub fn denormalize(&self, latents: Tensor<4>) -> Tensor<4> {
        latents * self.spread.clone() + self.mean.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: [f32; 4]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), [2, 1, 2]), &Device::default())
    }

    #[test]
    fn denormalizing_undoes_normalizing() {
        let statistics = LatentStatistics::new(tensor([1.0, -2.0, 0.5, 3.0]), tensor([0.0, 4.0, 0.25, 9.0]));
        let latents = tensor([1.0, 2.0, 3.0, 4.0]).unsqueeze::<4>();
        let normal = statistics.normalize(latents.clone());
        let expected = [0.0, 2.0, 5.0, 1.0 / 3.0];
        for (found, expected) in normal.clone().into_data().iter::<f32>().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        let back = (statistics.denormalize(normal) - latents).abs().max().into_scalar::<f32>();
        assert!(back < 1e-6, "{back}");
    }

    #[test]
    fn files_that_do_not_fit_are_errors() {
        use crate::checkpoint::weights::{KeyMap, export_safetensors};
        use burn::module::{Module, Param};
        #[derive(Module, Debug)]
        struct Stored {
            mean: Param<Tensor<3>>,
            var: Param<Tensor<3>>,
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stat.safetensors");
        let stored = Stored { mean: Param::from_tensor(tensor([1.0; 4])), var: Param::from_tensor(tensor([3.0; 4])) };
        export_safetensors(&stored, &file, KeyMap::default()).unwrap();
        let read = LatentStatistics::read(&file, &Device::default()).unwrap();
        assert_eq!(read.mean.into_data().iter::<f32>().collect::<Vec<_>>(), [1.0; 4]);
        export_safetensors(&stored, &file, KeyMap(&[("var", "variance")])).unwrap();
        let message = LatentStatistics::read(&file, &Device::default()).unwrap_err().to_string();
        assert!(message.contains("no `var`"), "{message}");
    }
}
