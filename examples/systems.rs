//! Post-trains an official checkpoint of SiT, REPA, RAE or Stable Diffusion 3.5, samples, and writes the weights back.
//!
//! `cargo run --release --example systems -- configs/rae/tiny.json`
#[path = "shared/command.rs"]
mod command;

use burn::module::Module;
use burn_dataset::Dataset;
use burn_mixflow::config::SystemConfig;
use burn_mixflow::run::System;
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
    let config = system.config();
    let folder = folder.unwrap_or_else(|| command::folder(file, ""));
    system.claim(&folder)?;
    println!("results: {}", folder.display());

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
