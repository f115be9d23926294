//! Where results and kept weights lie.
use crate::{say, signals};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::status::trainings;
use burn_mixflow::experiment::{Experiment, folder_of_weights};
use burn_mixflow::{Error, Result};
use std::path::{Path, PathBuf};

/// Below this folder results go if no other is named.
pub const RUNS: &str = "runs";

/// Below this folder pretrained weights are kept.
pub const CACHE: &str = "runs/cache";

/// Folders above one with weights that may hold its configuration: `arms/ARM/seed-N`.
const ABOVE: usize = 4;

/// `runs/GROUP-NAME` for the configuration GROUP/NAME.json.
pub fn results_of(config: &Path) -> PathBuf {
    let name = |part: Option<&std::ffi::OsStr>| part.and_then(|s| s.to_str()).unwrap_or("run").to_string();
    let (group, stem) = (name(config.parent().and_then(Path::file_name)), name(config.file_stem()));
    Path::new("runs").join(format!("{group}-{stem}"))
}

/// The experiment of the program: its cache, its bars.
pub fn open(config: ExperimentConfig) -> Result<Experiment> {
    Ok(Experiment::open_with(config, Path::new(CACHE), say::progress())?.stopped_by(&signals::stop()))
}

/// The same, to sample with weights that are there, or that `start` pretrains first.
pub fn open_to_sample(config: ExperimentConfig) -> Result<Experiment> {
    Ok(Experiment::open_to_sample(config, Path::new(CACHE), say::progress())?.stopped_by(&signals::stop()))
}

/// The same, to draw pictures in parts.
pub fn open_to_draw(config: ExperimentConfig) -> Result<Experiment> {
    Ok(Experiment::open_to_draw(config, Path::new(CACHE), say::progress())?.stopped_by(&signals::stop()))
}

/// A finished training: its configuration and the folder of its weights.
#[derive(Debug)]
pub struct FinishedRun {
    /// The configuration it was made with.
    pub config: ExperimentConfig,
    /// The file of that.
    pub file: PathBuf,
    /// Holds `ema.bpk`.
    pub weights: PathBuf,
}

impl FinishedRun {
    /// Looks in `folder`, and in its `post_train`, for weights, and from there upwards for their configuration.
    ///
    /// # Errors
    /// [`Error::Invalid`] saying what was looked for.
    pub fn find(folder: &Path, settings: &[String]) -> Result<Self> {
        let weights = folder_of_weights(folder).ok_or_else(|| {
            Error::Invalid(format!(
                "{}: holds no ema.bpk, and no post_train/ema.bpk: {}",
                folder.display(),
                unfinished(folder).unwrap_or_else(|| FINISHED.into())
            ))
        })?;
        let absolute = weights.canonicalize().map_err(|e| Error::io(&weights, e))?;
        let file = absolute.ancestors().take(ABOVE).map(|folder| folder.join("config.json")).find(|file| file.exists());
        let file = file.ok_or_else(|| {
            Error::Invalid(format!("{}: neither it nor a folder above holds config.json", weights.display()))
        })?;
        Ok(Self { config: ExperimentConfig::read_with(&file, settings)?, file, weights })
    }
}

const FINISHED: &str = "name the folder of a finished `mixflow post-train`, or of one arm at one seed of `mixflow compare` \
                        (arms/ARM/seed-N)";

/// How far the one training is that has begun there.
fn unfinished(folder: &Path) -> Option<String> {
    let begun = [folder.to_path_buf(), folder.join("post_train")];
    let training = trainings(folder).into_iter().find(|training| begun.contains(&training.folder))?;
    let steps = training.steps.map_or(String::new(), |steps| format!(" of {steps}"));
    Some(format!(
        "its training is at step {}{steps}; the command that began it goes on, and leaves them",
        training.step
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_file_and_its_folder() {
        assert_eq!(results_of(Path::new("configs/photos/gamma.json")), Path::new("runs/photos-gamma"));
        assert_eq!(results_of(Path::new("mine.json")), Path::new("runs/run-mine"));
    }
}
