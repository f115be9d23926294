//! The main job: pretrain once, post-train a control and MixFlow from the same weights, compare.
//!
//! `cargo run --release --example post_train -- configs/photos/mixflow.json`
mod compare;
mod estimate;
mod pictures;
mod stage;
mod table;

use burn_mixflow::config::RunConfig;
use burn_mixflow::data::DataSplit;
use burn_mixflow::models::Network;
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::{Error, Result};
use compare::{Comparison, Score};
use stage::{Arm, Experiment};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: post_train CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/NAME/N)";

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(config), folder, None) = (args.next(), args.next(), args.next()) else {
        eprintln!("{USAGE}");
        return 2.into();
    };
    match run(Path::new(&config), folder.map(PathBuf::from)) {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("error: {error}");
            1.into()
        }
    }
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let config = RunConfig::read(file)?;
    let device = config.device.open()?;
    let data = config.data.load()?;
    let cache = stage::cache_folder(&config);
    let pretrained = stage::is_pretrained(&cache);
    println!("{}", estimate::first_line(&config, &data, &device, pretrained)?);

    let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or("run");
    let group = file.parent().and_then(|p| p.file_name()).and_then(|s| s.to_str()).unwrap_or("post_train");
    let folder = match folder {
        Some(folder) => folder,
        None => stage::next_folder(&Path::new("runs").join(format!("{group}-{name}")))?,
    };
    stage::create(&folder)?;
    println!("results: {}", folder.display());
    let (kept, text) = (folder.join("config.json"), table::pretty(&config)?);
    if std::fs::read_to_string(&kept).is_ok_and(|old| old != text) {
        return Err(Error::Invalid(format!("{}: holds the results of another configuration", folder.display())));
    }
    stage::write(&kept, &text)?;

    let experiment = Experiment { config: &config, data: &data, device: &device };
    let start = experiment.pretrain(&cache)?;
    let comparison = Comparison::new(experiment)?;
    let mut scores = vec![comparison.floor()?];
    let mut times = [(Duration::ZERO, 0); 2];
    let mut shown: Vec<(String, Vec<f32>)> = Vec::new();
    for (index, &seed) in config.seeds.iter().enumerate() {
        score(&comparison, "none", &start, seed, index == 0, &mut scores, &mut shown)?;
        let control = StrategyConfig::Standard {};
        for (arm, strategy, time) in [("control", control, 0), ("mixflow", config.post_train.strategy, 1)] {
            let folder = folder.join(format!("seed-{seed}")).join(arm);
            let trained = experiment.post_train(&Arm { name: arm, strategy, seed }, &start, &folder, &comparison)?;
            times[time].0 += trained.time;
            times[time].1 += trained.steps;
            score(&comparison, arm, &trained.ema, seed, index == 0, &mut scores, &mut shown)?;
        }
    }
    let picture = pictures::side_by_side(&data, &shown)?;
    picture.save_png(folder.join("samples.png"))?;
    let rows = table::rows(&config, &scores);
    let per_step = times.map(|(time, steps)| (steps > 0).then(|| time.as_secs_f64() * 1e3 / steps as f64));
    let text = table::markdown(&config, &rows, per_step);
    stage::write(&folder.join("results.json"), &table::json(&config, &rows, per_step)?)?;
    stage::write(&folder.join("table.md"), &text)?;
    println!("\n{text}");
    println!("samples: {}", folder.join("samples.png").display());
    Ok(())
}

fn score(
    comparison: &Comparison,
    arm: &str,
    network: &Network,
    seed: u64,
    show: bool,
    scores: &mut Vec<Score>,
    shown: &mut Vec<(String, Vec<f32>)>,
) -> Result<()> {
    for (score, samples) in comparison.scores(arm, network, seed)? {
        let [convolutions, pixels, texture] = score.distances.map(table::number);
        println!("  {arm}, seed {seed}, {} steps: {convolutions} (pixels {pixels}, texture {texture})", score.steps);
        if show && score.steps == comparison.steps_to_show() {
            shown.push((format!("{arm} {} steps", score.steps), samples));
        }
        scores.push(score);
    }
    Ok(())
}

/// The values drawn black and white: symmetric about 0, and wide enough for the held-out images.
pub(crate) fn image_range(data: &DataSplit) -> (f32, f32) {
    let top = data.held_out.pixels().iter().fold(0.0f32, |top, v| top.max(v.abs()));
    (-top, top)
}
