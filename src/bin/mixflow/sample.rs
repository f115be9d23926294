//! `mixflow sample`.
use crate::place::{self, FinishedRun};
use crate::{post_train, say};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::PathBuf;

/// Below the weights, where pictures go if no folder is named.
const PICTURES: &str = "samples";

/// Below the results of an experiment, where samples of the weights that it starts with go.
const START: &str = "start";

/// What to sample, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a finished run; or the .json file of an experiment, for the weights that it starts with.
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    run: PathBuf,
    /// How many; `sample.count` of the run if left out.
    #[arg(long)]
    count: Option<usize>,
    /// The seed of noise and labels; `sample.seed` of the run if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// What samples become. Left out: png where a decoder is named beside --count or `sample.prompts`, else tensors.
    #[arg(long = "as", value_name = "FORM")]
    form: Option<Form>,
    /// Where samples go; the run's own folder if left out, and `samples` in it for pictures.
    #[arg(long, value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Replace a value of the run's configuration, as in --set sample.sampler.steps=50; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::setting)]
    set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// One file, samples.safetensors, with all samples as they are and, where they are decoded, their pixels.
    Tensors,
    /// A file for each picture, drawn in parts of `sample.sampler.batch_size`; a stopped call goes on.
    Png,
    /// The same, and one archive of all pictures, as ADM's evaluator reads it.
    Npz,
}

/// Samples from the average of a finished run, or from the weights of a start.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut settings = arguments.set.clone();
    settings.extend(arguments.count.map(|count| format!("sample.count={count}")));
    settings.extend(arguments.seed.map(|seed| format!("sample.seed={seed}")));
    let is_file = arguments.run.extension().is_some_and(|end| end == "json");
    let (config, file, weights) = match is_file {
        true => (ExperimentConfig::read_with(&arguments.run, &settings)?, arguments.run.clone(), None),
        false => {
            let FinishedRun { config, file, weights } = FinishedRun::find(&arguments.run, &settings)?;
            (config, file, Some(weights))
        }
    };
    let beside = weights.clone().unwrap_or_else(|| place::results_of(&arguments.run).join(START));
    let form = arguments.form.unwrap_or_else(|| usual(&config, arguments.count.is_some()));
    let of_file = |error| ExperimentConfig::of_file(error, &file, &settings);
    if form != Form::Tensors {
        let folder = arguments.folder.clone().unwrap_or_else(|| beside.join(PICTURES));
        let experiment = place::open_to_draw(config).map_err(of_file)?;
        let _lock = FolderLock::take(&folder)?;
        say::line(format!("weights: {}", weights.as_deref().unwrap_or(&arguments.run).display()));
        let drawn = experiment.sample_pictures(weights.as_deref(), &folder, form == Form::Npz)?;
        say::result(&format!("{}: {} drawn, {} were there", folder.display(), drawn.drawn, drawn.there));
        if let Some(archive) = drawn.archive {
            say::line(format!("archive: {}", archive.display()));
        }
        return Ok(());
    }
    let folder = arguments.folder.clone().unwrap_or(beside);
    let _lock = FolderLock::take(&folder)?;
    let experiment = place::open_to_sample(config).map_err(of_file)?;
    say::line(format!("weights: {}", weights.as_deref().unwrap_or(&arguments.run).display()));
    let network = weights.map_or_else(|| Ok(experiment.start()?.0), |folder| experiment.trained(&folder))?;
    post_train::samples(&experiment, &network, &folder).map(drop)
}

fn usual(config: &ExperimentConfig, counted: bool) -> Form {
    let sample = &config.sample;
    let is_decoded = sample.decoder.is_some() || sample.autoencoder.is_some();
    if is_decoded && (counted || sample.prompts.is_some()) { Form::Png } else { Form::Tensors }
}
