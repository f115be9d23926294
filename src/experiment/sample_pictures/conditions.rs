//! What each picture is drawn for: its label, the text of a held-out item, or its prompt.
use super::prompts::Embedded;
use crate::Result;
use crate::experiment::Experiment;
use crate::experiment::sample_files::SampleLayout;
use crate::models::NetworkCondition;
use crate::network::Condition;
use burn::tensor::Device;

/// The conditions of the pictures of a folder.
pub(super) enum Conditions {
    /// A function of the index: a label, or the texts of the held-out items in turn.
    OfIndex,
    /// So many pictures for each prompt.
    Prompts { embedded: Box<Embedded>, per_prompt: usize },
}

impl Conditions {
    /// Embeds the prompts of the groups of `batch` pictures that are to be drawn, if there are prompts.
    ///
    /// # Errors
    /// Those of the text encoders.
    pub fn new(experiment: &Experiment, layout: &SampleLayout, groups: &[usize], batch: usize) -> Result<Self> {
        let (SampleLayout::Prompts { set, per_prompt }, Some(prompts)) = (layout, &experiment.config().sample.prompts)
        else {
            return Ok(Self::OfIndex);
        };
        let indices = groups.iter().flat_map(|group| group * batch..layout.total().min((group + 1) * batch));
        let wanted = indices.map(|index| index / per_prompt).collect();
        let embedded = Box::new(Embedded::new(experiment, &prompts.text, set.prompts(), &wanted)?);
        Ok(Self::Prompts { embedded, per_prompt: *per_prompt })
    }

    /// Those of some pictures, one after the other, on `device`.
    ///
    /// # Errors
    /// What reading the items reports.
    pub fn of(&self, experiment: &Experiment, indices: &[usize], device: &Device) -> Result<NetworkCondition> {
        match self {
            Self::OfIndex => {
                let labels: Vec<i64> = indices.iter().map(|index| experiment.label(*index as u64)).collect();
                let first = indices.first().copied().unwrap_or_default();
                Ok(experiment.sample_condition(first, &labels)?.to_device(device))
            }
            Self::Prompts { embedded, per_prompt } => {
                let prompts: Vec<usize> = indices.iter().map(|index| index / per_prompt).collect();
                embedded.condition(&prompts, device)
            }
        }
    }
}
