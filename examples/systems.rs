//! Post-trains an official checkpoint of SiT, REPA, RAE or Stable Diffusion 3.5, samples, and writes the weights back.
//!
//! `cargo run --release --example systems -- configs/rae/tiny.json`
#[path = "shared/choose.rs"]
mod choose;
#[path = "shared/command.rs"]
mod command;

use burn::module::Module;
use burn_mixflow::experiment::System;
use burn_mixflow::experiment::config::SystemConfig;
use burn_mixflow::post_train::gamma::Pilot;
use burn_mixflow::{Error, Result};
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: systems CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/SYSTEM-NAME; \
                     a second call goes on where the first stopped)";

fn main() -> std::process::ExitCode {
    command::main(USAGE, run)
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let system = System::open(SystemConfig::read(file)?)?;
    let folder = folder.unwrap_or_else(|| command::folder(file, ""));
    system.claim(&folder)?;
    println!("results: {}", folder.display());

    let system = chosen(system, &folder.join("pilots"))?;
    let config = system.config();

    let (network, report) = system.load()?;
    println!("{}: {report}", config.weights.file.display());
    let (train, held_out) = (system.data().train.len(), system.data().held_out.len());
    let stage = &config.post_train;
    println!(
        "{} parameters; {train} latents to train on, {held_out} held out; {} steps of {} on {} device(s), {}",
        network.num_params(),
        stage.steps,
        stage.batch_size,
        config.devices.len(),
        serde_json::to_string(&stage.strategy).map_err(|e| Error::Invalid(e.to_string()))?,
    );
    let trained = system.post_train(network, &folder, None)?;
    let seconds = trained.time.as_secs_f64();
    println!("{} steps in {seconds:.1} s, checkpoints and validations included", trained.steps);

    for (set, network) in [("ema", &trained.ema), ("raw", &trained.raw)] {
        let file = folder.join(format!("{set}.safetensors"));
        network.export(&file)?;
        println!("weights: {}", file.display());
    }

    let cost = config.sample.sampler.evaluations().map_or("as many as it takes".into(), |count| count.to_string());
    println!("sampling {}; network evaluations for each: {cost}", config.sample.count);
    let samples = system.sample(&trained.ema, &mut |p| {
        if p.step == p.steps {
            println!("  {} of {}", p.samples, p.total);
        }
    })?;
    let (numbers, picture) = (folder.join("samples.safetensors"), folder.join("samples.png"));
    samples.save(&numbers)?;
    samples.picture()?.save_png(&picture)?;
    println!("samples: {}, {}", numbers.display(), picture.display());
    Ok(())
}

/// The system with its γ, chosen by pilots if the configuration leaves it open.
fn chosen(system: System, folder: &Path) -> Result<System> {
    if !system.config().post_train.strategy.is_auto() {
        return Ok(system);
    }
    println!("choosing γ; pilots: {}", folder.display());
    let choice = system.choose_gamma(folder, &mut print)?;
    choose::report(std::slice::from_ref(&choice), folder)?;
    Ok(system.with_gamma(choice.decided()?))
}

/// One pilot as it ends.
fn print(trial: &Pilot) {
    let name = trial.gamma.map_or("control".into(), |gamma| format!("γ = {gamma}"));
    let found = trial.found.iter().map(|found| {
        let values: Vec<String> = found.by_seed.iter().map(|value| format!("{value:.4}")).collect();
        format!("{} steps {}", found.steps, values.join(" "))
    });
    println!("  {name}: {}", found.collect::<Vec<_>>().join("; "));
}
