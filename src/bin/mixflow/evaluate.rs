//! `mixflow evaluate`.
use crate::{place, say};
use burn_mixflow::experiment::gfid::{GfidOptions, gfid_of_paths};
use burn_mixflow::experiment::prompts::{PairedScores, ScoredPictures};
use burn_mixflow::experiment::sets::{MeasureOptions, SampleSet, measure_sets};
use burn_mixflow::models::encoders::inception::{FidConvention, Inception};
use burn_mixflow::post_train::DeviceName;
use burn_mixflow::{Error, Result};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Which sets to compare.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The reference: a folder of pictures, or a .npz, .npy or .safetensors file; with --inception also an .npz of statistics
    /// (mu, sigma, mu_s, sigma_s). Or what a scorer of prompts wrote of the control: GenEval's results.jsonl, or a .json file
    /// of T2I-CompBench.
    #[arg(value_hint = clap::ValueHint::AnyPath, value_name = "A")]
    reference: PathBuf,
    /// The samples that are compared with it: the same kinds but for statistics. Of scores, those of the other arm.
    #[arg(value_hint = clap::ValueHint::AnyPath, value_name = "B")]
    samples: PathBuf,
    /// Weights of the Inception network of FID, pt_inception-2015-12-05-6726825d.pth: print FID, sFID, Inception Score,
    /// precision, recall and KID of its features instead.
    #[arg(long, value_hint = clap::ValueHint::FilePath, value_name = "FILE")]
    inception: Option<PathBuf>,
    /// Prepare pictures as pytorch-fid does instead of as ADM's evaluator: the numbers compare with others.
    #[arg(long, requires = "inception")]
    pytorch_fid: bool,
    /// The device of the Inception network.
    #[arg(long, requires = "inception", default_value = "cpu")]
    device: String,
    /// Leave out the intervals of FID and sFID, which cost eleven times the time of the distances.
    #[arg(long, requires = "inception")]
    no_intervals: bool,
    /// The folder in which statistics of references are kept.
    #[arg(long, requires = "inception", default_value = place::CACHE, value_hint = clap::ValueHint::DirPath)]
    cache: PathBuf,
    /// Pictures of each prompt, which T2I-CompBench's scores do not name; GenEval's do.
    #[arg(long, default_value_t = 10, conflicts_with = "inception", value_name = "N")]
    per_prompt: usize,
    /// The seed of the fixed random convolution features.
    #[arg(long, default_value_t = 0, conflicts_with = "inception")]
    feature_seed: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Every distance between two sets of samples, or the paired differences of two sets of scores.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(weights) = &arguments.inception {
        return gfid(arguments, weights);
    }
    if [&arguments.reference, &arguments.samples].iter().all(|file| holds_scores(file)) {
        let read = |file: &Path| ScoredPictures::read(file, arguments.per_prompt);
        let found = PairedScores::new(&read(&arguments.reference)?, &read(&arguments.samples)?)?;
        return print(&found, || found.markdown(), arguments.json);
    }
    let (reference, samples) = (SampleSet::read(&arguments.reference)?, SampleSet::read(&arguments.samples)?);
    let options = MeasureOptions { feature_seed: arguments.feature_seed, ..MeasureOptions::default() };
    let report = measure_sets(&reference, &samples, &options)?;
    print(&report, || report.markdown(), arguments.json)
}

/// Whether a file is what a scorer of prompts writes.
fn holds_scores(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "jsonl" || end == "json")
}

fn gfid(arguments: &Arguments, weights: &Path) -> Result<()> {
    let convention = if arguments.pytorch_fid { FidConvention::PytorchFid } else { FidConvention::TensorFlow };
    let device = DeviceName(arguments.device.clone()).open()?;
    let network = Inception::load(weights, &device)?.with_convention(convention);
    let cache = Some(arguments.cache.clone());
    let options = GfidOptions { intervals: !arguments.no_intervals, cache, ..GfidOptions::default() };
    let progress = say::progress();
    let report = gfid_of_paths(&arguments.samples, &arguments.reference, &network, &options, progress.as_ref())?;
    print(&report, || report.markdown(), arguments.json)
}

fn print(report: &impl Serialize, table: impl FnOnce() -> String, json: bool) -> Result<()> {
    match json {
        true => {
            let text = serde_json::to_string_pretty(report).map_err(|e| Error::Invalid(e.to_string()))?;
            say::result(&text);
        }
        false => say::result(&table()),
    }
    Ok(())
}
