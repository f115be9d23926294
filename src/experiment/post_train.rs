//! One post-training of an experiment: the weights of `start` in, the average and the raw weights out.
use super::files::create;
use super::kept_weights::{save, weights_file};
use super::opened::{Experiment, Training, stage_seed};
use super::plot::Picture;
use crate::models::Network;
use crate::post_train::Trained;
use crate::train::ema;
use crate::{Error, Result};
use std::path::Path;

impl Experiment {
    /// Post-trains `start`, or goes on from the newest checkpoint below `folder`; stops after `until_epoch`. A finished
    /// training leaves `ema.bpk` and, under official names, `ema.safetensors` and `raw.safetensors`.
    ///
    /// The seed of its draws is that of the first repetition of `compare`, so that it is the arm of the table.
    ///
    /// # Errors
    /// [`Error::Invalid`] while γ is still to be chosen, if `start` is exact, or if `folder` holds the results of another
    /// configuration; as [`Stage::run`](crate::post_train::Stage::run).
    pub fn post_train(&self, start: &Network, folder: &Path, until_epoch: Option<usize>) -> Result<Trained<Network>> {
        let config = self.config();
        if config.gamma_is_auto() {
            return Err(Error::Invalid("post_train.strategy.gamma = \"auto\": must be chosen before training".into()));
        }
        create(folder)?;
        let repetition = config.compare.seeds.first().copied().unwrap_or_default();
        super::claim::same_draws(folder, repetition)?;
        super::claim::folder(folder, config)?;
        let stage = &config.post_train;
        let seed = stage_seed("post_train", stage.seed, repetition);
        let (data, label) = (self.data(), "post_train");
        let what = Training { stage, data, seed, folder, label, until_epoch };
        let trained = self.train(ema::load(self.init(0)?, start), &what)?;
        if trained.finished {
            save(&trained.ema, &weights_file(folder))?;
            for (name, network) in [("ema.safetensors", &trained.ema), ("raw.safetensors", &trained.raw)] {
                network.export(&folder.join(name))?;
            }
        }
        Ok(trained)
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
