//! Whether an experiment fits this machine, by the least that it needs, before anything of it is allocated.
//!
//! Every bound is below what a run takes, so that nothing is refused that could run. On a GPU, whose memory is not asked,
//! only what the host holds is judged.
use super::config::{ArmWeights, ExperimentConfig, SampleConfig};
use super::footprint::State;
use super::memory;
use crate::data::Form;
use crate::models::encoders::inception::InceptionConfig;
use crate::models::{NetworkConfig, heaviest, readable};
use crate::post_train::StageConfig;
use crate::train::Precision;
use crate::{Error, Problem, Result};

/// Bytes of an f32.
const NUMBER: u128 = 4;

/// What an experiment is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To train, and all that follows.
    Train,
    /// To sample from weights that are there.
    Sample,
    /// The same, in parts of a batch.
    Draw,
}

/// Judges `config` on this machine, for items of `shape` where that is known.
///
/// # Errors
/// [`Error::Config`] with each value that asks for more memory than there is.
pub(super) fn check(config: &ExperimentConfig, shape: Option<[usize; 3]>, purpose: Purpose) -> Result<()> {
    let judge = |bytes| Machine { memory: bytes }.problems(config, shape, purpose);
    Error::if_any(memory::of_machine().map_or(Vec::new(), judge))
}

/// A machine with so many bytes.
struct Machine {
    memory: u64,
}

impl Machine {
    fn problems(&self, config: &ExperimentConfig, shape: Option<[usize; 3]>, purpose: Purpose) -> Vec<Problem> {
        let mut problems = Vec::new();
        let on_cpu = config.devices.iter().any(|device| device.0.starts_with("cpu"));
        if on_cpu && !config.start.is_exact() {
            problems.extend(self.network(config, purpose));
        }
        if on_cpu {
            problems.extend(self.further_networks(&config.sample));
        }
        if let Some(shape) = shape.filter(|_| problems.is_empty()) {
            if purpose == Purpose::Train {
                problems.extend(self.data(config));
                let trains = on_cpu && !config.start.is_exact();
                let stages = config.start.pretrain().map(|stage| ("start", stage)).into_iter();
                let stages = stages.chain([("post_train", &config.post_train)]).filter(|_| trains);
                problems.extend(stages.filter_map(|(path, stage)| self.batch(config, shape, path, stage)));
                problems.extend(self.table(config, shape));
            }
            if purpose != Purpose::Draw {
                problems.extend(self.samples(&config.sample, shape));
            }
        }
        problems
    }

    fn network(&self, config: &ExperimentConfig, purpose: Purpose) -> Option<Problem> {
        let (bytes, what) = match purpose {
            Purpose::Train => {
                // Of the trainings that a command may ask for, the least; nothing goes before what is pretrained here.
                let arms = config.arms();
                let stages = arms.iter().filter(|arm| arm.weights == ArmWeights::PostTrained).map(|arm| &arm.stage);
                let stages = stages.chain([&config.post_train]).map(|stage| training(&config.network, stage));
                let pretraining = config.start.pretrain().map(|stage| training(&config.network, stage));
                let most = stages.min().max(pretraining).unwrap_or(0);
                (most, "training them takes {} (weights, average, gradients, AdamW's moments)")
            }
            Purpose::Sample | Purpose::Draw => (weights(&config.network), "they take {}"),
        };
        self.of_network(&config.network, "network", bytes, what)
    }

    fn of_network(&self, network: &NetworkConfig, path: &str, bytes: u128, what: &str) -> Option<Problem> {
        if self.holds(bytes) {
            return None;
        }
        let count = readable(network.parameter_count().all);
        let what = what.replace("{}", &about(bytes));
        let condition = format!("the network would have {count} parameters; {what}, {}", self.has());
        Some(network.heaviest_size()?.problem(path, &condition))
    }

    /// The weak network of guidance, and the decoder.
    fn further_networks(&self, sample: &SampleConfig) -> Vec<Problem> {
        let weak = sample.weak.as_ref().map(|weak| &weak.network);
        let weak = weak.and_then(|weak| self.of_network(weak, "sample.weak.network", weights(weak), "they take {}"));
        let decoder = sample.decoder.as_ref().and_then(|decoder| {
            let (network, numbers) = (&decoder.network, decoder.network.numbers());
            let bytes = numbers.saturating_mul(NUMBER);
            let must =
                format!("the decoder would have {numbers} parameters; they take {}, {}", about(bytes), self.has());
            let key = heaviest(network, |network| network.numbers()).filter(|_| !self.holds(bytes))?;
            Some(key.problem("sample.decoder.network", &must))
        });
        weak.into_iter().chain(decoder).collect()
    }

    /// Data that are drawn into memory when they are opened.
    fn data(&self, config: &ExperimentConfig) -> Option<Problem> {
        let bytes = product([config.data.drawn()?, NUMBER as usize]);
        let condition = format!("the data would take {}, {}", about(bytes), self.has());
        let key = heaviest(&config.data, |data| data.drawn().unwrap_or(0) as u128).filter(|_| !self.holds(bytes))?;
        Some(key.problem("data", &condition))
    }

    /// What one pass of a stage holds beside the network.
    fn batch(&self, config: &ExperimentConfig, shape: [usize; 3], path: &str, stage: &StageConfig) -> Option<Problem> {
        let passes = stage.accumulation.max(1).saturating_mul(config.devices.len().max(1));
        let items = (stage.batch_size / passes).max(1);
        let number = if stage.precision == Precision::F32 { NUMBER } else { NUMBER / 2 };
        let kept = config.network.kept_for_backward(shape).saturating_mul(number);
        let each = kept.saturating_add(product(shape).saturating_mul(NUMBER));
        let bytes = each.saturating_mul(items as u128);
        let network = training(&config.network, stage);
        let condition = format!(
            "a pass of {items} takes {} beside the network's {}, {}; raise `accumulation`",
            about(bytes),
            gigabytes(network),
            self.has()
        );
        self.unless(bytes.saturating_add(network), path, "batch_size", stage.batch_size, condition)
    }

    /// The samples of a cell of the table, of a pilot, and the resamples of the probe.
    fn table(&self, config: &ExperimentConfig, shape: [usize; 3]) -> Vec<Problem> {
        // Latents that are made for those held out are never more than they; for a gFID, as many are held.
        let counted = config.data.form() != Form::Latents;
        let of = |path: &str, count: usize| {
            let bytes = product(shape).saturating_mul(NUMBER).saturating_mul(count as u128);
            let condition = format!("they take {} at a time, {}", about(bytes), self.has());
            self.unless(bytes, path, "samples", count, condition)
        };
        let table = Some(config.compare.samples).filter(|_| counted).and_then(|count| of("compare", count));
        let table = table.or_else(|| self.features(config));
        let pilots = config.gamma_search.samples.filter(|_| counted).and_then(|count| of("gamma_search", count));
        let probe = &config.slow_flow;
        let samples = probe.samples.min(config.data.declared().training.unwrap_or(0));
        let bytes = product([probe.resamples, samples, 2 * size_of::<f64>()]);
        let condition = format!("the resamples of {samples} samples take {}, {}", about(bytes), self.has());
        let resamples = self.unless(bytes, "slow_flow", "resamples", probe.resamples, condition);
        table.into_iter().chain(pilots).chain(resamples).collect()
    }

    /// The Inception features of a cell.
    fn features(&self, config: &ExperimentConfig) -> Option<Problem> {
        let count = config.compare.gfid.is_some().then(|| config.cell_samples(config.compare.samples))?;
        let bytes = product([count, InceptionConfig::default().pool_dimensions(), NUMBER as usize]);
        let condition = format!("their Inception features take {}, {}", about(bytes), self.has());
        self.unless(bytes, "compare", "samples", count, condition)
    }

    fn samples(&self, sample: &SampleConfig, shape: [usize; 3]) -> Option<Problem> {
        let pixels = sample.decoder.as_ref().map_or(0, |decoder| {
            product([decoder.network.num_patches, decoder.network.patch_size, decoder.network.patch_size, 3])
        });
        let decoded = sample.autoencoder.as_ref().map_or(0, |part| {
            let side = part.network.pixels_per_latent();
            product([3, side, side, shape[1], shape[2]])
        });
        let each = product(shape).saturating_add(pixels.max(decoded)).saturating_mul(NUMBER);
        let bytes = each.saturating_mul(sample.count as u128);
        let condition = format!("the samples take {}, {}", about(bytes), self.has());
        self.unless(bytes, "sample", "count", sample.count, condition)
    }

    fn unless(&self, bytes: u128, path: &str, key: &str, value: usize, condition: String) -> Option<Problem> {
        let mut problems = Vec::new();
        Problem::unless(&mut problems, self.holds(bytes), path, key, value, condition);
        problems.pop()
    }

    fn holds(&self, bytes: u128) -> bool {
        bytes <= u128::from(self.memory)
    }

    fn has(&self) -> String {
        format!("this machine has {}", gigabytes(u128::from(self.memory)))
    }
}

/// Bytes that a stage holds of its network at least.
fn training(network: &NetworkConfig, stage: &StageConfig) -> u128 {
    State::of(network, stage).total()
}

/// Bytes of the weights of a network.
fn weights(network: &NetworkConfig) -> u128 {
    network.parameter_count().all.saturating_mul(NUMBER)
}

fn product<const N: usize>(sizes: [usize; N]) -> u128 {
    sizes.into_iter().fold(1, |all, size| all.saturating_mul(size as u128))
}

fn about(bytes: u128) -> String {
    format!("about {}", gigabytes(bytes))
}

/// `25.2 GB`.
fn gigabytes(bytes: u128) -> String {
    match bytes as f64 / 1e9 {
        few @ 0.0..100.0 => format!("{few:.1} GB"),
        some @ 100.0..1e9 => format!("{some:.0} GB"),
        _ => "more than 10^9 GB".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const GB: u64 = 1_000_000_000;

    fn config(change: &Value) -> ExperimentConfig {
        let mut whole = json!({"data": {"kind": "photos"}, "network": {"kind": "residual_mlp"}});
        json_patch::merge(&mut whole, change);
        ExperimentConfig::parse(&whole.to_string()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn found(memory: u64, purpose: Purpose, change: &Value) -> Vec<String> {
        let config = config(change);
        let problems = Machine { memory }.problems(&config, config.data.declared().shape, purpose);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_bound_names_its_key_and_both_amounts() {
        for (change, expected) in [
            (
                json!({"network": {"width": 50_000}}),
                "network.width = 50000: the network would have 15055208641 parameters; training them takes about 301 GB \
                 (weights, average, gradients, AdamW's moments), this machine has 8.0 GB",
            ),
            (
                json!({"sample": {"count": 100_000_000}}),
                "sample.count = 100000000: the samples take about 102 GB, this machine has 8.0 GB",
            ),
            (
                json!({"compare": {"samples": 100_000_000}}),
                "compare.samples = 100000000: they take about 102 GB at a time, this machine has 8.0 GB",
            ),
            (json!({"gamma_search": {"samples": 100_000_000}}), "gamma_search.samples = 100000000: they take about"),
            (
                json!({"slow_flow": {"resamples": 1_000_000}}),
                "slow_flow.resamples = 1000000: the resamples of 1000 samples take about 16.0 GB, this machine has 8.0 GB",
            ),
        ] {
            let found = found(8 * GB, Purpose::Train, &change);
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected:?} is not in {found:#?}");
        }
        let deep = json!({"network": {"width": 8, "depth": 4096}, "post_train": {"batch_size": 20_000}});
        let expected = "post_train.batch_size = 20000: a pass of 20000 takes about 2.6 GB beside the network's 0.1 GB, this \
                        machine has 2.0 GB; raise `accumulation`";
        assert_eq!(found(2 * GB, Purpose::Train, &deep), [expected]);
        let ring = json!({"data": {"kind": "ring", "dimension": 4000, "train": 1_000_000},
            "network": {"channels": 4000, "size": 1}});
        let ring = found(8 * GB, Purpose::Train, &ring);
        assert!(ring[0].starts_with("data.dimension = 4000: the data would take about 16.1 GB"), "{ring:?}");
    }

    #[test]
    fn what_could_run_is_not_refused() {
        let wide = json!({"network": {"width": 10_000}});
        // 611 million parameters: 12.2 GB to train, 2.4 GB to sample from.
        assert!(found(12 * GB, Purpose::Train, &wide)[0].starts_with("network.width = 10000"));
        assert_eq!(found(13 * GB + GB, Purpose::Train, &wide), [""; 0]);
        assert_eq!(found(3 * GB, Purpose::Sample, &wide), [""; 0]);
        assert!(found(2 * GB, Purpose::Sample, &wide)[0].contains("parameters; they take about 2.4 GB"));
        // The memory of a GPU is not asked.
        let gpu = json!({"network": {"width": 10_000}, "devices": ["cuda:0"]});
        assert_eq!(found(GB, Purpose::Train, &gpu), [""; 0]);
        assert_eq!(found(GB, Purpose::Train, &json!({})), [""; 0]);
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [1_500_000_000, 250 * u128::from(GB), u128::MAX].map(gigabytes),
            ["1.5 GB", "250 GB", "more than 10^9 GB"]
        );
    }
}
