//! One post-training of an experiment: the weights of `start` in, the average and the raw weights out.
use super::files::create;
use super::kept_weights::{save, weights_file};
use super::opened::{Experiment, POST_TRAIN, Training, stage_seed};
use super::plot::Picture;
use crate::adapter::merged;
use crate::checkpoint::{CHECKPOINTS, manifests};
use crate::models::Network;
use crate::post_train::{Replay, Trained};
use crate::train::ema;
use crate::{Error, Result, storage};
use std::path::Path;

impl Experiment {
    /// Post-trains `start`, or goes on from the newest checkpoint below `folder`; stops after the step `until`. A finished
    /// training leaves `ema.bpk` and, under official names, `ema.safetensors` and `raw.safetensors`. One with adapters leaves these in
    /// `adapter` and `adapter_raw` as well; its average comes back with them added, its raw weights beside them.
    ///
    /// The seed of its draws is that of the first repetition of `compare`, so that it is the arm of the table.
    ///
    /// # Errors
    /// [`Error::Invalid`] while γ is still to be chosen, if `start` is exact, or if `folder` holds the results of another
    /// configuration; as [`Stage::run`](crate::post_train::Stage::run).
    pub fn post_train(&self, start: Network, folder: &Path, until: Option<usize>) -> Result<Trained<Network>> {
        let config = self.config();
        if config.gamma_is_auto() {
            return Err(Error::Invalid("post_train.strategy.gamma = \"auto\": must be chosen before training".into()));
        }
        create(folder)?;
        super::claim::same_draws(folder, self.repetition())?;
        super::claim::folder(folder, config)?;
        self.remove_unfinished(folder)?;
        let network = ema::load(self.init(0)?, &start);
        drop(start);
        let mut trained = self.train(network, &self.post_training(folder, until)?)?;
        if trained.finished {
            if let Some(adapter) = &config.post_train.adapter {
                trained.ema.export_adapter(adapter, &folder.join("adapter"))?;
                trained.raw.export_adapter(adapter, &folder.join("adapter_raw"))?;
            }
            merged(trained.raw.clone()).export(&folder.join("raw.safetensors"))?;
            trained.ema = merged(trained.ema);
            trained.ema.export(&folder.join("ema.safetensors"))?;
            save(&trained.ema, &weights_file(folder))?;
        }
        Ok(trained)
    }

    /// Removes what a training of fewer steps left, if it is to go on: until it has ended, nobody may take those weights for
    /// its own.
    fn remove_unfinished(&self, folder: &Path) -> Result<()> {
        let stage = &self.config().post_train;
        let Some(newest) = manifests(&folder.join(CHECKPOINTS)).pop() else { return Ok(()) };
        let ended_early = stage
            .early_stopping
            .is_some_and(|early| early.is_due(newest.history.best, newest.number, stage.steps_per_epoch));
        if newest.number >= stage.steps || ended_early || !weights_file(folder).exists() {
            return Ok(());
        }
        // The average goes first: by it a finished training is known.
        storage::remove_file(&weights_file(folder))?;
        let others = ["ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png"];
        others.iter().try_for_each(|name| storage::remove_file(&folder.join(name)))?;
        ["adapter", "adapter_raw"].iter().try_for_each(|name| storage::remove_folder(&folder.join(name)))
    }

    fn repetition(&self) -> u64 {
        self.config().compare.seeds.first().copied().unwrap_or_default()
    }

    fn post_training<'a>(&'a self, folder: &'a Path, until: Option<usize>) -> Result<Training<'a>> {
        let stage = &self.config().post_train;
        let seed = stage_seed("post_train", stage.seed, self.repetition());
        let (data, label) = (self.data(), POST_TRAIN);
        Ok(Training { stage, data, seed, folder, label, until, start: self.start_digest()?, waits: false })
    }

    /// Does the step again at which the post-training in `folder` failed; `start` as it was given to it. Nothing is written.
    ///
    /// # Errors
    /// As [`Stage::replay`](crate::post_train::Stage::replay).
    pub fn replay(&self, start: &Network, folder: &Path) -> Result<Replay> {
        let (network, data) = (ema::load(self.init(0)?, start), self.data());
        let stage = self.stage(&self.post_training(folder, None)?)?;
        stage.replay(network, data.train.clone(), data.held_out.len(), self.batcher())
    }

    /// The average that a finished post-training left in `folder`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none; [`Error::Format`] if it is of another network.
    pub fn trained(&self, folder: &Path) -> Result<Network> {
        let file = weights_file(folder);
        if !file.exists() {
            let message = format!("{}: holds no finished weights (ema.bpk)", folder.display());
            return Err(Error::Invalid(message));
        }
        self.load(&file)
    }

    /// Writes what the samples of `network` are: `samples.safetensors` and, where they can be seen, `samples.png`, which is
    /// returned.
    ///
    /// # Errors
    /// As [`sample`](Self::sample); [`Error::Io`] if a file cannot be written.
    pub fn write_samples(&self, network: &Network, folder: &Path) -> Result<Option<Picture>> {
        let samples = self.sample(network)?;
        samples.save(&folder.join("samples.safetensors"))?;
        let picture = samples.picture()?;
        if let Some(picture) = &picture {
            picture.save_png(folder.join("samples.png"))?;
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::config::ExperimentConfig;
    use crate::storage::faults;
    use serde_json::json;

    fn experiment(folder: &Path, steps: usize) -> Experiment {
        let stage = json!({"steps": steps, "batch_size": 8, "steps_per_epoch": 1});
        let mut start = stage.clone();
        (start["kind"], start["steps"]) = ("pretrain".into(), 2.into());
        let config = json!({
            "data": {"kind": "digits", "held_out": 8},
            "network": {"kind": "residual_mlp", "size": 8, "width": 8, "depth": 1, "num_classes": 10},
            "start": start,
            "post_train": stage,
            "sample": {"count": 2, "sampler": {"solver": "euler", "steps": 2, "batch_size": 2}},
        });
        Experiment::open(ExperimentConfig::parse(&config.to_string()).unwrap(), &folder.join("cache")).unwrap()
    }

    /// Everything that `mixflow post-train` makes; the bytes of its weights and samples.
    fn made(experiment: &Experiment, folder: &Path) -> Result<Vec<Vec<u8>>> {
        let (start, _) = experiment.start()?;
        let run = folder.join("run");
        let trained = experiment.post_train(start, &run, None)?;
        experiment.write_samples(&trained.ema, &run)?;
        let names = ["ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png"];
        Ok(names.iter().map(|name| std::fs::read(run.join(name)).unwrap()).collect())
    }

    #[test]
    fn whatever_write_fails_nothing_is_lost_and_nothing_is_silent() {
        let quiet = tempfile::tempdir().unwrap();
        let expected = made(&experiment(quiet.path(), 2), quiet.path()).unwrap();
        // Each seventh place here, once and for good; every one of a stage is walked by its own test.
        for (lasting, first) in [(false, 0), (true, 3)] {
            let mut at = first;
            loop {
                let folder = tempfile::tempdir().unwrap();
                let experiment = experiment(folder.path(), 2);
                let mut result = None;
                let work = || {
                    result = Some(made(&experiment, folder.path()));
                    true
                };
                let hit = match lasting {
                    true => faults::walk_lasting(folder.path(), at, work),
                    false => faults::walk(folder.path(), at, work),
                };
                match result.unwrap() {
                    Ok(found) => assert!(found == expected, "{at}"),
                    Err(error) => assert!(error.to_string().contains("no storage space"), "{at}: {error}"),
                }
                if hit.is_none() {
                    break;
                }
                let again = made(&experiment, folder.path()).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert!(again == expected, "{at}: after the fault had gone");
                at += 7;
            }
            assert!(at > 100, "{at} operations");
        }
    }

    #[test]
    fn weights_of_fewer_steps_do_not_stay_when_a_training_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        made(&experiment(folder.path(), 2), folder.path()).unwrap();
        let (longer, run) = (experiment(folder.path(), 4), folder.path().join("run"));
        let (start, _) = longer.start().unwrap();
        let part = longer.post_train(start, &run, Some(3)).unwrap();
        assert_eq!((part.reached, part.finished), (3, false));
        for name in ["ema.bpk", "ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png"] {
            assert!(!run.join(name).exists(), "{name}");
        }
        assert!(longer.trained(&run).is_err());
        let raised = made(&longer, folder.path()).unwrap();
        let whole = tempfile::tempdir().unwrap();
        assert!(raised == made(&experiment(whole.path(), 4), whole.path()).unwrap());
    }
}
