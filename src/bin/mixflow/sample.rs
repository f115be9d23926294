//! `mixflow sample`.
use crate::place::{self, FinishedRun};
use crate::{post_train, say};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::PathBuf;

/// Below the weights, where pictures go if no folder is named.
const PICTURES: &str = "samples";

/// What to sample, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a finished run.
    #[arg(value_hint = clap::ValueHint::DirPath)]
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

/// Samples from the average of a finished run.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut settings = arguments.set.clone();
    settings.extend(arguments.count.map(|count| format!("sample.count={count}")));
    settings.extend(arguments.seed.map(|seed| format!("sample.seed={seed}")));
    let FinishedRun { config, file, weights } = FinishedRun::find(&arguments.run, &settings)?;
    let form = arguments.form.unwrap_or_else(|| usual(&config, arguments.count.is_some()));
    let of_file = |error| ExperimentConfig::of_file(error, &file, &settings);
    if form != Form::Tensors {
        let folder = arguments.folder.clone().unwrap_or_else(|| weights.join(PICTURES));
        let experiment = place::open_to_draw(config).map_err(of_file)?;
        let _lock = FolderLock::take(&folder)?;
        say::line(format!("weights: {}", weights.display()));
        let drawn = experiment.sample_pictures(&weights, &folder, form == Form::Npz)?;
        say::result(&format!("{}: {} drawn, {} were there", folder.display(), drawn.drawn, drawn.there));
        if let Some(archive) = drawn.archive {
            say::line(format!("archive: {}", archive.display()));
        }
        return Ok(());
    }
    let folder = arguments.folder.clone().unwrap_or_else(|| weights.clone());
    let _lock = FolderLock::take(&folder)?;
    let experiment = place::open_to_sample(config).map_err(of_file)?;
    say::line(format!("weights: {}", weights.display()));
    post_train::samples(&experiment, &experiment.trained(&weights)?, &folder).map(drop)
}

fn usual(config: &ExperimentConfig, counted: bool) -> Form {
    let sample = &config.sample;
    let is_decoded = sample.decoder.is_some() || sample.autoencoder.is_some();
    if is_decoded && (counted || sample.prompts.is_some()) { Form::Png } else { Form::Tensors }
}
