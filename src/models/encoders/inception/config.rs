//! The width of the network and its parameters, listed and counted without allocating any.
use super::layout::Layout;
use crate::Problem;
use crate::models::layers::{ParameterList, as_size, count};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Classes of the classifier, which the graph of 2015-12-05 has 1008 of.
pub(super) const CLASSES: usize = 1008;

/// What a layer has beside its convolution, in official order; the last is a number and no vector.
pub(super) const NORM: [&str; 4] = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
/// How many batches the running averages have seen: a number that is of no use here.
pub(super) const BATCHES: &str = "bn.num_batches_tracked";

/// The size of an [`Inception`](super::Inception); the default is the official one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InceptionConfig {
    /// Every number of channels is divided by this: 1, 2, 4, 8 or 16. The numbers of a network that is divided compare with
    /// nothing that is published; it is for tests.
    pub width_divisor: usize,
}

impl Default for InceptionConfig {
    fn default() -> Self {
        Self { width_divisor: 1 }
    }
}

impl InceptionConfig {
    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let (mut found, divisor) = (Vec::new(), self.width_divisor);
        let holds = matches!(divisor, 1 | 2 | 4 | 8 | 16);
        Problem::unless(&mut found, holds, path, "width_divisor", divisor, "must be 1, 2, 4, 8 or 16");
        found
    }

    /// Official names and shapes (PyTorch layout) of all tensors in a file of weights, in the order of the official
    /// `state_dict`. The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let layout = Layout::new(self.width_divisor);
        let mut list = ParameterList(Vec::new());
        for layer in layout.layers() {
            let [rows, columns] = layer.kernel;
            list.one(&format!("{}.conv.weight", layer.name), vec![layer.outputs, layer.inputs, rows, columns]);
            for part in NORM {
                list.one(&format!("{}.{part}", layer.name), vec![layer.outputs]);
            }
            list.one(&format!("{}.{BATCHES}", layer.name), Vec::new());
        }
        list.layer("fc", vec![CLASSES, layout.outputs]);
        list.0
    }

    /// The numbers in a file of weights, running averages and batch counters included: 23,885,486 for the official network.
    pub fn parameter_count(&self) -> usize {
        as_size(count(&self.parameters(), |_| true))
    }

    /// Length of the pooled features, which FID compares: 2048 for the official network.
    pub fn pool_dimensions(&self) -> usize {
        Layout::new(self.width_divisor).outputs
    }

    /// The configuration of which a file is whose first convolution has so many outputs.
    pub(super) fn of_first_layer(outputs: usize) -> Option<Self> {
        let divisor = 32_usize.checked_div(outputs)?;
        let config = Self { width_divisor: divisor };
        (divisor * outputs == 32 && config.problems("").is_empty()).then_some(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_wide_it_is() {
        let divisor = |outputs| InceptionConfig::of_first_layer(outputs).map(|config| config.width_divisor);
        assert_eq!([32, 16, 2, 1, 0, 3, 64].map(divisor), [Some(1), Some(2), Some(16), None, None, None, None]);
        let problems = InceptionConfig { width_divisor: 3 }.problems("inception");
        assert_eq!(problems[0].to_string(), "inception.width_divisor = 3: must be 1, 2, 4, 8 or 16");
    }

    #[test]
    fn counts_are_those_of_the_lists() {
        let (whole, narrow) = (InceptionConfig::default(), InceptionConfig { width_divisor: 16 });
        assert_eq!((whole.parameter_count(), whole.pool_dimensions()), (23_885_486, 2048));
        assert_eq!((whole.parameters().len(), narrow.pool_dimensions()), (566, 128));
    }
}
