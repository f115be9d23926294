//! `mixflow post-train`.
use crate::until::{self, Until};
use crate::{choose_gamma, place, say};
use burn::module::Module;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::plot::Picture;
use burn_mixflow::experiment::status::{TrainingStatus, trainings};
use burn_mixflow::experiment::{
    Experiment, check_folder, claim_folder, folder_of_weights, gamma_of_folder, post_training_takes,
};
use burn_mixflow::models::Network;
use burn_mixflow::{Error, FolderLock, Result};
use clap::Args;
use std::path::Path;

/// What to post-train, and until when.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file and the folder.
    #[command(flatten)]
    pub experiment: crate::Experiment,
    /// End after this step, or at this time of day (07:30), saved; the same command goes on another day.
    #[arg(long, value_name = "STEP|TIME", value_parser = until::parse)]
    pub until: Option<Until>,
    /// Go on though the data have changed since the last checkpoint, as after a file was lost; the run keeps that.
    #[arg(long)]
    pub accept_data: bool,
}

/// One post-training, its weights and its samples.
pub fn run(config: ExperimentConfig, folder: &Path, until: Option<Until>, accept_data: bool) -> Result<()> {
    let until = until.and_then(Until::step);
    check_folder(folder, &config)?;
    // Pilots are a table, which stays that of the data as they were.
    let config = match accept_data.then(|| gamma_of_folder(folder)).flatten() {
        Some(gamma) if config.gamma_is_auto() => config.with_gamma(gamma),
        _ => config,
    };
    let (config, lock) = choose_gamma::decided(config, folder)?;
    let experiment = place::open(config)?;
    let experiment = if accept_data { experiment.accepting_changed_data() } else { experiment };
    let _lock = lock.map_or_else(|| FolderLock::take(folder), Ok)?;
    claim_folder(folder, experiment.config())?;
    say::line(format!("results: {}", folder.display()));
    let training = folder.join("post_train");
    if !experiment.config().start.is_exact() {
        experiment.claim_data(folder).map_err(|error| with_way_out(error, accept_data))?;
        if folder_of_weights(&training).is_none() {
            say::line(format!("this takes {}", post_training_takes(&experiment, &experiment.time_steps()?)));
        }
    }
    let (start, report) = experiment.start_of(&training)?;
    if let Some(report) = report {
        say::line(format!("start: {report}"));
    }
    let (config, data) = (experiment.config(), experiment.data());
    let stage = &config.post_train;
    let strategy = serde_json::to_string(&stage.strategy).map_err(|e| Error::Invalid(e.to_string()))?;
    say::line(format!(
        "{} parameters; {} items to train on, {} held out",
        start.num_params(),
        data.train.labels().len(),
        data.held_out.labels().len()
    ));
    say::line(format!(
        "{} steps of {} on {} device(s), {strategy}",
        stage.steps,
        stage.batch_size,
        config.devices.len()
    ));
    let trained = experiment.post_train(start, &training, until).map_err(|error| with_way_out(error, accept_data))?;
    say::line(format!(
        "{} steps in {}, checkpoints and validations included",
        trained.steps,
        say::duration(trained.time.as_secs_f64())
    ));
    if !trained.finished {
        say::line(format!("step {} of {}: the same command goes on from there", trained.reached, stage.steps));
        return Ok(());
    }
    for TrainingStatus { skipped, .. } in trainings(&training).iter().filter(|training| training.skipped > 0) {
        say::line(format!("{skipped} update(s) were left out, as their gradient was not finite"));
    }
    if trained.reached < stage.steps {
        let steps = stage.steps;
        say::line(format!(
            "ended early at step {} of {steps}: its validation loss no longer improved",
            trained.reached
        ));
    }
    for name in ["ema.safetensors", "raw.safetensors"] {
        say::line(format!("weights: {}", training.join(name).display()));
    }
    if let Some(picture) = samples(&experiment, &trained.ema, &training)? {
        picture.show(&trained.board, "samples", stage.steps as i64)?;
        trained.board.flush();
    }
    Ok(())
}

/// The same error; where only the data differ from those of the checkpoints, with how to go on all the same.
fn with_way_out(error: Error, accept_data: bool) -> Error {
    let names = ["data:", "data.", "training items:", "held-out items:"];
    let of_data = |text: &String| names.iter().any(|name| text.starts_with(name));
    match &error {
        Error::OtherTraining { differences, .. } if !differences.iter().all(of_data) => error,
        Error::OtherData { .. } if accept_data => Error::Invalid(format!(
            "{error}\nThe folder also holds a table, whose cells must all be of the same data: --accept-data cannot change that."
        )),
        Error::OtherTraining { .. } | Error::OtherData { .. } => Error::Invalid(format!(
            "{error}\nOnly the data have changed. With --accept-data the training goes on with them as they are now."
        )),
        _ => error,
    }
}

/// Samples as the section `sample` says, into `folder`.
pub fn samples(experiment: &Experiment, network: &Network, folder: &Path) -> Result<Option<Picture>> {
    let sample = &experiment.config().sample;
    let cost = sample.sampler.evaluations().map_or("as many as it takes".into(), |count| count.to_string());
    say::line(format!("sampling {}; network evaluations for each: {cost}", sample.count));
    let picture = experiment.write_samples(network, folder)?;
    for name in ["samples.safetensors", "samples.png"].map(|name| folder.join(name)).iter().filter(|file| file.exists())
    {
        say::line(format!("samples: {}", name.display()));
    }
    Ok(picture)
}
