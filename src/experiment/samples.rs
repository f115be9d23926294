//! Generated samples, and the files they are kept in.
use super::plot::{Picture, grid};
use crate::data::Form;
use crate::{Error, Result, storage};
use burn::tensor::Tensor;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// What was generated.
#[derive(Debug, Clone)]
pub struct Samples {
    /// What they are samples of.
    pub form: Form,
    /// `[count, channels, height, width]`: pictures in [-1, 1], vectors `[count, D, 1, 1]`, or latents as the autoencoder's
    /// decoder takes them.
    pub latents: Tensor<4>,
    /// The labels `[count]`; zeros for text.
    pub labels: Vec<i64>,
    /// The decoded pictures `[count, 3, height, width]` in [0, 1], if a decoder is configured.
    pub pixels: Option<Tensor<4>>,
}

/// The side that a latent is drawn with, at least, in pixels of the picture.
const DRAWN_SIDE: usize = 64;

impl Samples {
    /// Writes `latents`, `labels` and `pixels` as safetensors, in f32 and i64.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn save(&self, file: &Path) -> Result<()> {
        let tensors = [("latents", Some(&self.latents)), ("pixels", self.pixels.as_ref())];
        let mut parts: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, tensor) in tensors.into_iter().filter_map(|(name, tensor)| Some((name, tensor?))) {
            let bytes = values(tensor)?.into_iter().flat_map(f32::to_le_bytes).collect();
            parts.push((name, Dtype::F32, tensor.dims().to_vec(), bytes));
        }
        let labels = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        parts.push(("labels", Dtype::I64, vec![self.labels.len()], labels));
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &parts {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            views.push((*name, view.map_err(|e| Error::Invalid(format!("samples: {e}")))?));
        }
        storage::write_with(file, |unfinished| {
            safetensors::serialize_to_file(views, None, unfinished).map_err(std::io::Error::other)
        })
    }

    /// The first 64 samples as one picture: pictures as they are, or the first three channels of latents as red, green and
    /// blue (one channel as grey), stretched to the values they take. None for vectors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the samples are not finite.
    pub fn picture(&self) -> Result<Option<Picture>> {
        let (tensor, range) = match (&self.pixels, self.form) {
            (Some(pixels), _) => (pixels.clone(), Some((0.0, 1.0))),
            (None, Form::Pictures) => (self.latents.clone(), Some((-1.0, 1.0))),
            (None, Form::Latents) => (self.latents.clone(), None),
            (None, Form::Vectors) => return Ok(None),
        };
        let [count, channels, height, width] = tensor.dims();
        let colours = if channels >= 3 { 3 } else { 1 };
        let shown = values(&tensor.narrow(0, 0, count.min(64)).narrow(1, 0, colours))?;
        let range = range.unwrap_or_else(|| {
            let (low, high) = shown.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
            (low, high.max(low + f32::EPSILON))
        });
        let scale = DRAWN_SIDE.div_ceil(height.max(width)).min(16);
        grid(&shown, [colours, height, width], 8, scale, range).map(Some)
    }
}

fn values(tensor: &Tensor<4>) -> Result<Vec<f32>> {
    tensor.to_data().try_into_vec_as::<f32>().map_err(|e| Error::Invalid(format!("samples: {e}")))
}
