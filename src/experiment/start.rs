//! The weights that post-training starts with: pretrained here, an official file, or an earlier run.
use super::claim::CONFIG;
use super::config::{StartConfig, WeightsConfig};
use super::files::{create, hash, pretty, write};
use super::kept_weights::{has_weights, load, save, weights_file, weights_of_run};
use super::opened::{Experiment, Training, stage_seed};
use crate::checkpoint::{self, CHECKPOINTS};
use crate::models::Network;
use crate::models::weights::{ImportReport, adapter_files};
use crate::tensor_file::files;
use crate::{Error, Result, digest};
use burn::module::Module;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

impl Experiment {
    /// The text that the weights of `start` are a function of.
    pub(super) fn start_made_of(&self) -> Result<String> {
        let config = self.config();
        let data = config.data.without_tolerance();
        let (version, made_of) = (
            env!("CARGO_PKG_VERSION"),
            match &config.start {
                StartConfig::Pretrain(stage) => {
                    serde_json::json!([data, self.data_fingerprint()?.hash(), stage.without_keeping()])
                }
                StartConfig::Weights(weights) => serde_json::json!([weights, fingerprint_of_weights(weights)?]),
                StartConfig::Run(run) => serde_json::json!([run, fingerprint(&weights_of_run(&run.folder))?]),
                StartConfig::Exact(_) => serde_json::json!([data]),
            },
        );
        Ok(serde_json::json!([version, config.network, config.flow, made_of]).to_string())
    }

    /// What the checkpoints of a post-training know of the weights that it starts with.
    ///
    /// # Errors
    /// [`Error::Io`] if their file cannot be read.
    pub(super) fn start_digest(&self) -> Result<Option<serde_json::Value>> {
        Ok(match &self.config().start {
            StartConfig::Pretrain(stage) => Some(serde_json::json!(stage.without_keeping())),
            StartConfig::Weights(weights) => Some(serde_json::json!({"file": fingerprint_of_weights(weights)?})),
            StartConfig::Run(run) => Some(serde_json::json!({"weights": fingerprint(&weights_of_run(&run.folder))?})),
            StartConfig::Exact(_) => None,
        })
    }

    /// Where pretrained weights are kept; none if they are not made here.
    fn pretrain_folder(&self) -> Result<Option<PathBuf>> {
        let name = self.config().start.pretrain().map(|_| self.start_made_of()).transpose()?;
        Ok(name.map(|made_of| self.cache().join(hash(&made_of))))
    }

    /// The network evaluations that making the weights will yet take; 0 where they are there.
    ///
    /// # Errors
    /// [`Error::Io`] if the file that they are read from cannot be read.
    pub fn start_work(&self) -> Result<f64> {
        let folder = self.pretrain_folder()?;
        let stage = self.config().start.pretrain().filter(|_| !folder.as_deref().is_some_and(has_weights));
        Ok(stage.map_or(0.0, |stage| stage.evaluations() as f64))
    }

    /// The weights that post-training starts with, without autodiff, and what was found in their file if it is an official
    /// one. Pretraining that was stopped goes on at its last checkpoint.
    ///
    /// # Errors
    /// As [`Stage::run`](crate::post_train::Stage::run) and [`import`](crate::models::weights::import);
    /// [`Error::Format`] for a file that does not hold weights of this network; [`Error::Invalid`] for an exact start,
    /// which has none.
    pub fn start(&self) -> Result<(Network, Option<ImportReport>)> {
        match &self.config().start {
            StartConfig::Pretrain(_) => Ok((self.pretrained()?, None)),
            StartConfig::Run(run) => Ok((self.load(&weights_of_run(&run.folder))?, None)),
            StartConfig::Weights(weights) => {
                let network = self.init(self.config().post_train.seed)?;
                let (mut network, report) = network.import(&weights.file, &weights.options())?;
                for adapter in &weights.adapters {
                    (network, _) = network.add_adapter(adapter)?;
                }
                Ok((network.valid(), Some(report)))
            }
            StartConfig::Exact(_) => Err(Error::Invalid("start: an exact field has no weights to train".into())),
        }
    }

    /// As [`start`](Self::start) for the post-training in `folder`; where a checkpoint of it is whole and holds all weights, with
    /// some that say nothing, as it goes on with those of the checkpoint and nothing need be pretrained. A post-training that then finds no
    /// checkpoint is an error.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_of(&self, folder: &Path) -> Result<(Network, Option<ImportReport>)> {
        match checkpoint::newest(&folder.join(CHECKPOINTS), false).whole {
            Some(_) if self.config().post_train.adapter.is_none() => {
                self.leave_out_start();
                Ok((self.init(self.config().post_train.seed)?.valid(), None))
            }
            _ => self.start(),
        }
    }

    fn pretrained(&self) -> Result<Network> {
        let (Some(stage), Some(folder)) = (self.config().start.pretrain(), self.pretrain_folder()?) else {
            return Err(Error::Invalid("start: nothing to pretrain".into()));
        };
        if has_weights(&folder) {
            match self.load(&weights_file(&folder)) {
                Err(Error::Format { path, message }) => {
                    // What is kept for all runs makes itself again.
                    crate::monitor::warn(&format!("{}: {message}: they are made again", path.display()));
                    crate::storage::remove_file(&path)?;
                }
                other => return other,
            }
        }
        create(&folder)?;
        write(&folder.join(CONFIG), &pretty(&self.config().to_json()?)?)?;
        let seed = stage_seed("pretrain", stage.seed, 0);
        let data = self.data();
        let what =
            Training { stage, data, seed, folder: &folder, label: "pretrain", until: None, start: None, waits: true };
        let trained = self.train(self.init(stage.seed)?, &what)?.ema;
        save(&trained, &weights_file(&folder))?;
        Ok(trained)
    }

    /// The network with the weights of a file of ours, without autodiff.
    ///
    /// # Errors
    /// [`Error::Format`] if the file does not hold finite weights of this network.
    pub(super) fn load(&self, file: &Path) -> Result<Network> {
        load(self.init(0)?.valid(), file)
    }
}

/// Bytes of each part of a file that is read for its fingerprint.
const PART: u64 = 1 << 20;

/// The fingerprints of all files of weights, and of the adapters on them.
fn fingerprint_of_weights(weights: &WeightsConfig) -> Result<String> {
    let mut prints = vec![fingerprint_of_all(&weights.file)?];
    for adapter in &weights.adapters {
        for file in adapter_files(adapter)? {
            prints.push(fingerprint(&file)?);
        }
    }
    Ok(prints.join(" "))
}

/// The fingerprint of a file, or those of the index and of all shards that are read for it.
fn fingerprint_of_all(named: &Path) -> Result<String> {
    let prints: Result<Vec<String>> = files(named)?.iter().map(|file| fingerprint(file)).collect();
    Ok(prints?.join(" "))
}

/// The length of a file and a hash of its beginning, middle and end: another file of the same name is noticed without
/// reading all of a large one.
fn fingerprint(file: &Path) -> Result<String> {
    let failed = |e| Error::io(file, e);
    let mut opened = std::fs::File::open(file).map_err(failed)?;
    let length = opened.metadata().map_err(failed)?.len();
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    for start in [0, length / 2, length.saturating_sub(PART)] {
        opened.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut part = Vec::new();
        (&mut opened).take(PART).read_to_end(&mut part).map_err(failed)?;
        hash.update(&part);
    }
    Ok(digest::hex(hash.finalize(), 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::config::ExperimentConfig;
    use crate::post_train::StageConfig;

    /// The first losses of the training that made `data/emoji/sit.safetensors`, which ran on a GPU.
    #[test]
    fn pretraining_on_the_emoji_starts_as_that_of_the_shipped_weights() {
        let folder = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/emoji/pretrain.json");
        let experiment = Experiment::open(ExperimentConfig::read(file).unwrap(), folder.path()).unwrap();
        let stage = experiment.config().start.pretrain().unwrap().clone();
        // Few steps in an epoch, so that the first epoch is enough; no draw depends on it.
        let recorded = [1.663_349_6, 1.647_371_3, 1.651_102_3];
        let stage = StageConfig { steps_per_epoch: recorded.len(), ..stage };
        let seed = stage_seed("pretrain", stage.seed, 0);
        let (data, folder) = (experiment.data(), folder.path());
        let what = Training {
            stage: &stage,
            data,
            seed,
            folder,
            label: "pretrain",
            until: Some(3),
            start: None,
            waits: false,
        };
        experiment.train(experiment.init(stage.seed).unwrap(), &what).unwrap();
        let log = std::fs::read_to_string(folder.join("metrics/train.csv")).unwrap();
        let losses: Vec<f64> =
            log.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
        for (found, expected) in losses.iter().zip(recorded) {
            assert!((found - expected).abs() < 1e-4, "{losses:?}");
        }
        assert_eq!(losses.len(), recorded.len());
    }

    #[test]
    fn a_fingerprint_sees_each_part_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights");
        let mut bytes = vec![0u8; 5 << 20];
        let mut seen = std::collections::BTreeSet::new();
        for place in [0, 5 << 19, (5 << 20) - 1] {
            bytes[place] += 1;
            std::fs::write(&file, &bytes).unwrap();
            assert!(seen.insert(fingerprint(&file).unwrap()), "{place}");
        }
        assert!(fingerprint(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_fingerprint_of_shards_sees_each_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let map = r#"{"weight_map": {"a": "w-00001-of-00002.sft", "b": "w-00002-of-00002.sft"}}"#;
        write("w.sft.index.json", map);
        let mut seen = std::collections::BTreeSet::new();
        for [one, two] in [["one", "two"], ["one", "2"], ["1", "two"]] {
            write("w-00001-of-00002.sft", one);
            write("w-00002-of-00002.sft", two);
            let of_folder = fingerprint_of_all(folder.path()).unwrap();
            assert_eq!(of_folder, fingerprint_of_all(&folder.path().join("w.sft.index.json")).unwrap());
            assert!(seen.insert(of_folder), "{one} {two}");
        }
        // A file alone has the fingerprint it always had.
        std::fs::write(folder.path().join("alone.sft"), [&8u64.to_le_bytes()[..], b"{}      "].concat()).unwrap();
        let alone = folder.path().join("alone.sft");
        assert_eq!(fingerprint_of_all(&alone).unwrap(), fingerprint(&alone).unwrap());
    }
}
