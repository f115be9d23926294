//! One embedded prompt: in a file, and in a batch.
use crate::models::mmdit::TextCondition;
use crate::models::weights::ExportType;
use crate::{Error, Result, storage};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// One embedded prompt, in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbedding {
    /// The text tokens, `[tokens, width]`.
    pub context: TensorData,
    /// The pooled vector, `[pooled_width]`.
    pub pooled: TensorData,
}

impl TextEmbedding {
    /// Writes a safetensors file with `context` and `pooled`, replacing `file` only when all of it is written: what
    /// `data.text` of latents reads, also as `null.safetensors` for the empty prompt. In 16 bits it takes half the room, and
    /// Stability's code rounds a condition to f16 before the network sees it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Invalid`] if a number is not finite in that type.
    pub fn write(&self, file: &Path, as_type: ExportType) -> Result<()> {
        let (dtype, stored) = match as_type {
            ExportType::Kept | ExportType::F32 => (DType::F32, Dtype::F32),
            ExportType::F16 => (DType::F16, Dtype::F16),
            ExportType::Bf16 => (DType::BF16, Dtype::BF16),
        };
        let parts = [("context", &self.context), ("pooled", &self.pooled)];
        let parts = parts.map(|(name, data)| (name, data.clone().convert_dtype(dtype)));
        let mut views = Vec::new();
        for (name, data) in &parts {
            if data.iter::<f32>().any(|value| !value.is_finite()) {
                let message = format!("{}: `{name}` is not finite in {dtype:?}; nothing is written", file.display());
                return Err(Error::Invalid(message));
            }
            let view = TensorView::new(stored, data.shape().to_vec(), data.as_bytes());
            views.push((*name, view.map_err(|e| Error::format(file, format!("`{name}`: {e}")))?));
        }
        storage::write_with(file, |unfinished| {
            safetensors::serialize_to_file(views, None, unfinished).map_err(std::io::Error::other)
        })
    }

    /// The prompts as one condition of [`Mmdit`](crate::models::Mmdit), without an empty prompt to drop to.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no prompt, and prompts of several lengths: the network sees every token, so that none can be added.
    pub fn condition(prompts: &[Self], device: &Device) -> Result<TextCondition> {
        let Some(first) = prompts.first() else { return Err(Error::Invalid("there is no prompt".into())) };
        let shapes = |one: &Self| (one.context.shape().clone(), one.pooled.shape().clone());
        if let Some(i) = prompts.iter().position(|prompt| shapes(prompt) != shapes(first)) {
            let (found, wanted) = (&prompts[i].context.shape(), first.context.shape());
            let message = format!("prompt {i} is {found:?}, prompt 0 is {wanted:?}: encode them with one length of T5");
            return Err(Error::Invalid(message));
        }
        let joined = |part: fn(&Self) -> &TensorData| -> TensorData {
            let numbers: Vec<f32> = prompts.iter().flat_map(|prompt| part(prompt).iter::<f32>()).collect();
            let shape = [&[prompts.len()][..], part(first).shape().as_slice()].concat();
            TensorData::new(numbers, Shape::from(shape))
        };
        let context = Tensor::from_data(joined(|prompt| &prompt.context), device);
        Ok(TextCondition::new(context, Some(Tensor::from_data(joined(|prompt| &prompt.pooled), device))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(tokens: usize, value: f32) -> TextEmbedding {
        TextEmbedding {
            context: TensorData::new(vec![value; tokens * 3], [tokens, 3]),
            pooled: TensorData::new(vec![value, 2.0], [2]),
        }
    }

    #[test]
    fn prompts_of_one_length_are_a_condition() {
        let device = Device::flex();
        let condition = TextEmbedding::condition(&[prompt(2, 1.0), prompt(2, 5.0)], &device).unwrap();
        assert_eq!(condition.context.clone().dims(), [2, 2, 3]);
        let pooled = condition.pooled.unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(pooled, [1.0, 2.0, 5.0, 2.0]);
        let message = |prompts: &[TextEmbedding]| TextEmbedding::condition(prompts, &device).unwrap_err().to_string();
        assert!(message(&[prompt(2, 1.0), prompt(3, 1.0)]).contains("prompt 1 is"), "{}", message(&[]));
        assert!(message(&[]).contains("no prompt"));
    }

    #[test]
    fn numbers_beyond_a_type_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("null.safetensors");
        let large = prompt(1, 1e6);
        let message = large.write(&file, ExportType::F16).unwrap_err().to_string();
        assert!(message.contains("`context` is not finite in F16") && !file.exists(), "{message}");
        large.write(&file, ExportType::Bf16).unwrap();
        assert!(file.exists());
    }
}
