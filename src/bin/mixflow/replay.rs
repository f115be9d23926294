//! `mixflow replay`.
use crate::{place, say};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// Which run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a `mixflow post-train` that failed at a batch.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    run: PathBuf,
}

/// Does the failed step again and shows its samples.
pub fn run(arguments: &Arguments) -> Result<()> {
    let run = &arguments.run;
    let config = run.join("config.json");
    if !config.exists() {
        let message = format!("{}: holds no config.json; name the folder of a `mixflow post-train`", run.display());
        return Err(Error::Invalid(message));
    }
    // Whoever looks for a fault may have mended a file; nothing is written.
    let experiment = place::open(ExperimentConfig::read(config)?)?.accepting_changed_contents();
    let training = run.join("post_train");
    let (start, _) = experiment.start_of(&training)?;
    let replay = experiment.replay(&start, &training)?;
    say::result(&format!("step {}: {}", replay.step, replay.why));
    say::result(&format!("{:>8}  {:>6}  {:>6}  {:<10}  {:<12}  name", "item", "t", "m", "data", "loss"));
    for sample in &replay.samples {
        let data = if sample.is_finite { "finite" } else { "NOT FINITE" };
        let loss = if sample.loss.is_finite() { format!("{:.4}", sample.loss) } else { "NOT FINITE".into() };
        let (item, t, m, name) = (sample.item, sample.training, sample.slowed, &sample.name);
        say::result(&format!("{item:>8}  {t:>6.3}  {m:>6.3}  {data:<10}  {loss:<12}  {name}"));
    }
    let bad = replay.samples.iter().filter(|sample| !sample.is_finite || !sample.loss.is_finite()).count();
    let verdict = match (bad, replay.parameters.is_empty()) {
        (0, true) => {
            "every loss and gradient is finite now: the data have changed since, or the fault is not in this batch"
                .into()
        }
        (0, false) => format!("every loss is finite, but the gradients of {} are not", replay.parameters.join(", ")),
        (bad, _) => format!("{bad} of {} samples are not finite", replay.samples.len()),
    };
    say::result(&verdict);
    Ok(())
}
