//! Slow Flow measured before and after post-training, and the γ that the measurement recommends.
//!
//! `cargo run --release --example slow_flow -- configs/photos/slow_flow.json`
#[path = "shared/command.rs"]
mod command;

use burn_mixflow::Result;
use burn_mixflow::experiment::slow_flow::{Measurement, Report, SlowFlow, SlowFlowConfig, picture};
use burn_mixflow::experiment::{Experiment, PostTraining, Setting, files};
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: slow_flow CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/GROUP-NAME; \
                     a second call goes on where the first stopped)";

fn main() -> std::process::ExitCode {
    command::main(USAGE, run)
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let kept = SlowFlowConfig::read(file)?;
    let SlowFlowConfig { run, probe: config, .. } = kept.clone();
    let folder = folder.unwrap_or_else(|| command::folder(file, ""));
    files::create(&folder)?;
    files::claim(&folder.join("config.json"), &files::pretty(&kept)?, "holds the results of another configuration")?;
    println!("results: {}", folder.display());

    let experiment = Experiment::new(Setting::from(&run), run.device.open()?)?;
    let before = experiment.pretrain(&experiment.setting.cache_folder(Path::new("runs/cache")))?;
    let seed = run.seeds.first().copied().unwrap_or_default();
    let what = PostTraining { stage: &run.post_train, seed, label: "mixflow" };
    let trained = experiment.post_train(&before, &folder.join("mixflow"), &what)?;

    let probe = SlowFlow::new(&experiment, &run.evaluate, &config)?;
    let mut report = Report::default();
    let mut measured: Vec<(&str, Vec<Measurement>)> = Vec::new();
    for (name, network) in [("before", &before), ("after", &trained.ema)] {
        let mut all = Vec::new();
        for &steps in &run.evaluate.steps {
            for found in probe.measure(network, steps)? {
                report.push(name, &found);
                all.push(found);
            }
            println!("  {name}, {steps} steps measured");
        }
        measured.push((name, all));
    }
    let chooses = |m: &&Measurement| m.definition.is_zero_for_an_exact_field() && m.definition == config.definitions[0];
    for found in measured[0].1.iter().filter(chooses) {
        let advice = probe.recommend(&before, found)?;
        println!("\n{} steps: γ = {}", found.steps, advice.gamma.map_or("none".into(), |gamma| gamma.to_string()));
        advice.reasons.iter().for_each(|reason| println!("  {reason}"));
        report.recommendations.push(advice);
    }

    let first = |m: &&Measurement| m.definition == config.definitions[0];
    let panels: Vec<_> = measured.iter().map(|(name, all)| (*name, all.iter().filter(first).collect())).collect();
    let drawn = picture(&panels)?;
    drawn.save_png(folder.join("slow_flow.png"))?;
    let (width, height) = (drawn.width as u32, drawn.height as u32);
    trained.board.picture("slow_flow", width, height, &drawn.to_png()?, run.post_train.steps as i64);
    trained.board.flush();
    files::write(&folder.join("slow_flow.json"), &files::pretty(&report)?)?;
    files::write(&folder.join("table.md"), &report.markdown())?;
    report.save_csv(&folder.join("slow_flow.csv"))?;
    println!("\n{}\npicture: {}", report.markdown(), folder.join("slow_flow.png").display());
    Ok(())
}
