//! The networks that JSON can name, behind one type.
use super::{ResidualMlp, ResidualMlpConfig, Sit, SitConfig};
use crate::network::{Prediction, PredictionNetwork};
use crate::{Problem, Result};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

/// Which network a run trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// A small residual MLP over the flattened image, for a CPU.
    ResidualMlp(ResidualMlpConfig),
    /// SiT, the transformer of arXiv 2401.08740.
    Sit(SitConfig),
}

impl NetworkConfig {
    /// Everything wrong with this network for images `[channels, height, width]` of `classes` classes.
    pub fn problems(&self, path: &str, shape: [usize; 3], classes: usize) -> Vec<Problem> {
        let (mut problems, channels, size, labels) = match self {
            Self::ResidualMlp(c) => (c.problems(path), c.channels, c.size, c.num_classes),
            Self::Sit(c) => (c.problems(path), c.in_channels, c.input_size, c.num_classes),
        };
        let (channel_key, size_key) = match self {
            Self::ResidualMlp(_) => ("channels", "size"),
            Self::Sit(_) => ("in_channels", "input_size"),
        };
        let mut must = |key: &str, is: usize, want: usize| {
            Problem::unless(&mut problems, is == want, path, key, is, format!("must be {want}, as in the data"));
        };
        must(channel_key, channels, shape[0]);
        must(size_key, size, shape[1]);
        let enough = labels == classes || matches!(self, Self::Sit(_)) && labels > classes;
        Problem::unless(&mut problems, enough, path, "num_classes", labels, format!("the data have {classes} classes"));
        problems
    }

    /// Whether the network has a null condition, which dropout and guidance need.
    pub fn has_null_condition(&self) -> bool {
        match self {
            Self::ResidualMlp(c) => c.num_classes > 0,
            Self::Sit(c) => c.class_dropout_prob > 0.0,
        }
    }

    /// The network with weights that are a pure function of `seed`.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Network> {
        Ok(match self {
            Self::ResidualMlp(c) => Network::ResidualMlp(c.init_seeded(seed, device)?),
            Self::Sit(c) => Network::Sit(c.init_seeded(seed, device)?),
        })
    }
}

/// A network made from a [`NetworkConfig`].
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Network {
    /// See [`ResidualMlp`].
    ResidualMlp(ResidualMlp),
    /// See [`Sit`].
    Sit(Sit),
}

impl PredictionNetwork<4> for Network {
    type Condition = Tensor<1, Int>;

    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &Tensor<1, Int>) -> Prediction<4> {
        match self {
            Self::ResidualMlp(n) => n.predict(noisy, timestep, condition),
            Self::Sit(n) => n.predict(noisy, timestep, condition),
        }
    }

    fn drop_condition(&self, condition: &Tensor<1, Int>, dropped: &[bool]) -> Option<Tensor<1, Int>> {
        match self {
            Self::ResidualMlp(n) => PredictionNetwork::<4>::drop_condition(n, condition, dropped),
            Self::Sit(n) => n.drop_condition(condition, dropped),
        }
    }
}
