//! The main job: pretrain once, post-train a control and MixFlow from the same weights, compare.
//!
//! `cargo run --release --example post_train -- configs/photos/mixflow.json`
#[path = "../shared/choose.rs"]
mod choose;
#[path = "../shared/command.rs"]
mod command;
mod estimate;
mod pictures;
mod table;
#[path = "../shared/workers.rs"]
mod workers;

use burn_mixflow::experiment::config::RunConfig;
use burn_mixflow::experiment::statistics::number;
use burn_mixflow::experiment::{
    Comparison, Experiment, GammaSearch, PostTraining, Setting, files, is_pretrained, weights_file,
};
use burn_mixflow::models::Network;
use burn_mixflow::post_train::StageConfig;
use burn_mixflow::post_train::Trained;
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::{FLOOR, Score};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: post_train CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/NAME/N)";

const FOREIGN: &str = "holds the results of another configuration";

fn main() -> std::process::ExitCode {
    workers::as_worker().unwrap_or_else(|| command::main(USAGE, run))
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let config = chosen(RunConfig::read(file)?, file, folder.as_deref())?;
    let experiment = Experiment::new(Setting::from(&config), config.device.open()?)?;
    let cache = experiment.setting.cache_folder(Path::new(workers::CACHE));
    let pretrained = is_pretrained(&cache);
    println!("{}", estimate::first_line(&config, &experiment, pretrained)?);

    let folder = match folder {
        Some(folder) => folder,
        None => files::next_folder(&command::folder(file, ""))?,
    };
    files::create(&folder)?;
    println!("results: {}", folder.display());
    files::claim(&folder.join("config.json"), &files::pretty(&config)?, FOREIGN)?;

    if pretrained {
        println!("pretrained weights: {} (cached)", weights_file(&cache).display());
    }
    let start = experiment.pretrain(&cache)?;
    let comparison = Comparison::new(&experiment, config.evaluate.feature_seed)?;
    let distances = comparison.floor(config.evaluate.samples)?;
    let mut scores = vec![Score { arm: FLOOR.into(), seed: 0, steps: 0, distances }];
    let job = Main { config: &config, experiment: &experiment, comparison: &comparison };
    let mut times = [(Duration::ZERO, 0); 2];
    let mut shown: Vec<(String, Vec<f32>)> = Vec::new();
    for (index, &seed) in config.seeds.iter().enumerate() {
        job.score("none", &start, seed, index == 0, &mut scores, &mut shown)?;
        let control = StrategyConfig::Standard {};
        for (arm, strategy, time) in [("control", control, 0), ("mixflow", config.post_train.strategy, 1)] {
            let folder = folder.join(format!("seed-{seed}")).join(arm);
            let trained = job.post_train(arm, strategy, seed, &start, &folder)?;
            times[time].0 += trained.time;
            times[time].1 += trained.steps;
            job.score(arm, &trained.ema, seed, index == 0, &mut scores, &mut shown)?;
        }
    }
    let rows = table::rows(&config, comparison.metrics(), &scores);
    let per_step = times.map(|(time, steps)| (steps > 0).then(|| time.as_secs_f64() * 1e3 / steps as f64));
    let text = table::markdown(&config, comparison.metrics(), &rows, per_step);
    files::write(&folder.join("results.json"), &table::json(&config, &rows, per_step)?)?;
    files::write(&folder.join("table.md"), &text)?;
    println!("\n{text}");
    if !config.data.is_vectors() {
        let file = folder.join("samples.png");
        pictures::side_by_side(&experiment.data, &shown)?.save_png(&file)?;
        println!("samples: {}", file.display());
    }
    Ok(())
}

/// The configuration with its γ, chosen by pilots if it leaves it open. `choose_gamma` runs the same pilots.
fn chosen(config: RunConfig, file: &Path, folder: Option<&Path>) -> Result<RunConfig> {
    if !config.post_train.strategy.is_auto() {
        return Ok(config);
    }
    if let Some(folder) = folder {
        // Whatever γ comes out, a folder of another configuration is refused before the pilots.
        let kept = RunConfig::read(folder.join("config.json")).ok();
        let gamma = |kept: &RunConfig| kept.post_train.strategy.gamma().unwrap_or(0.0);
        if kept.is_some_and(|kept| config.clone().with_gamma(gamma(&kept)) != kept) {
            return Err(Error::Invalid(format!("{}: {FOREIGN}", folder.display())));
        }
    }
    let folder = folder.map_or_else(|| command::folder(file, "-pilots"), |folder| folder.join("pilots"));
    println!("choosing γ; pilots: {}", folder.display());
    let search = GammaSearch::of_run(&config, &folder, Path::new(workers::CACHE))?;
    let mut choices = search.run(&mut |pilots, jobs| workers::run(pilots, jobs, &folder))?;
    search.explain(&mut choices[0], &config.evaluate);
    choose::report(&choices, &folder)?;
    Ok(config.with_gamma(choices[0].decided()?))
}

/// What every arm needs to know.
struct Main<'a> {
    config: &'a RunConfig,
    experiment: &'a Experiment,
    comparison: &'a Comparison<'a>,
}

impl Main<'_> {
    /// Post-trains a copy of `start`; writes checkpoints, metrics and TensorBoard events to `folder`.
    fn post_train(
        &self,
        arm: &str,
        strategy: StrategyConfig,
        seed: u64,
        start: &Network,
        folder: &Path,
    ) -> Result<Trained<Network>> {
        let stage = StageConfig { strategy, ..self.config.post_train.clone() };
        let label = format!("{arm} seed {seed}");
        let what = PostTraining { stage: &stage, seed, label: &label };
        let trained = self.experiment.post_train(start, folder, &what)?;
        let sampler = self.config.evaluate.sampler(self.steps_to_show());
        if let Some(picture) = self.comparison.preview(&trained.ema, &sampler, seed)? {
            let (width, height) = (picture.width as u32, picture.height as u32);
            trained.board.picture("samples", width, height, &picture.to_png()?, stage.steps as i64);
        }
        trained.board.flush();
        Ok(trained)
    }

    /// The step count that pictures show: 10 if it is measured, else the middle one.
    fn steps_to_show(&self) -> usize {
        let steps = &self.config.evaluate.steps;
        if steps.contains(&10) { 10 } else { steps[steps.len() / 2] }
    }

    fn score(
        &self,
        arm: &str,
        network: &Network,
        seed: u64,
        show: bool,
        scores: &mut Vec<Score>,
        shown: &mut Vec<(String, Vec<f32>)>,
    ) -> Result<()> {
        for &steps in &self.config.evaluate.steps {
            let sampler = self.config.evaluate.sampler(steps);
            let samples = self.comparison.sample(network, &sampler, seed, self.config.evaluate.samples)?;
            let distances = self.comparison.distances(&samples)?;
            let others = self.comparison.metrics().iter().zip(&distances).skip(1);
            let others: Vec<_> = others.map(|(metric, d)| format!("{} {}", metric.short, number(*d))).collect();
            println!("  {arm}, seed {seed}, {steps} steps: {} ({})", number(distances[0]), others.join(", "));
            if show && steps == self.steps_to_show() {
                shown.push((format!("{arm} {steps} steps"), samples));
            }
            scores.push(Score { arm: arm.into(), seed, steps, distances });
        }
        Ok(())
    }
}
