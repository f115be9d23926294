//! Prompts as the text encoders see them, in the memory of the host.
use crate::experiment::Experiment;
use crate::experiment::config::TextConfig;
use crate::experiment::progress::Task;
use crate::experiment::prompts::Prompt;
use crate::models::NetworkCondition;
use crate::models::encoders::sd3_text::{SdText, TextEmbedding};
use crate::models::mmdit::NullText;
use crate::{Error, Result};
use burn::tensor::{Device, Int, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The embedded prompts by their place in the file, and the empty one: with the released encoders 2.5 MB each.
pub(super) struct Embedded {
    prompts: BTreeMap<usize, TextEmbedding>,
    empty: TextEmbedding,
}

impl Embedded {
    /// Embeds the `wanted` prompts on the first device. The encoders see them in the batches that all prompts make, so that a
    /// prompt becomes the same whichever others are wanted.
    ///
    /// # Errors
    /// Those of [`SdText::load`] and [`SdText::encode`].
    pub fn new(
        experiment: &Experiment,
        text: &TextConfig,
        prompts: &[Prompt],
        wanted: &BTreeSet<usize>,
    ) -> Result<Self> {
        let (encoders, _) = SdText::load(&text.files, &text.sizes, experiment.device())?;
        let empty = encoders.encode(&[String::new()])?.remove(0);
        let (batch, mut found) = (text.files.batch, BTreeMap::new());
        let task = Task::begin(experiment.progress(), "embedding prompts", wanted.len() as u64);
        let groups: BTreeSet<usize> = wanted.iter().map(|place| place / batch).collect();
        for group in groups {
            let places: Vec<usize> = (group * batch..prompts.len().min((group + 1) * batch)).collect();
            let texts: Vec<String> = places.iter().map(|place| prompts[*place].text.clone()).collect();
            let embedded = places.into_iter().zip(encoders.encode(&texts)?);
            found.extend(embedded.filter(|(place, _)| wanted.contains(place)));
            task.at(found.len() as u64);
        }
        Ok(Self { prompts: found, empty })
    }

    /// The condition of some prompts, which guidance drops to the empty one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a prompt that is not embedded.
    pub fn condition(&self, places: &[usize], device: &Device) -> Result<NetworkCondition> {
        let one = |place: &usize| self.prompts.get(place).cloned();
        let texts: Option<Vec<TextEmbedding>> = places.iter().map(one).collect();
        let texts = texts.ok_or_else(|| Error::Invalid("a prompt was not embedded".into()))?;
        let empty = TextEmbedding::condition(std::slice::from_ref(&self.empty), device)?;
        let null = Arc::new(NullText { context: empty.context, pooled: empty.pooled });
        let text = TextEmbedding::condition(&texts, device)?.with_null(null);
        let labels = Tensor::<1, Int>::zeros([places.len()], device);
        Ok(NetworkCondition { text: Some(text), ..labels.into() })
    }
}
