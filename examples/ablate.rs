//! A table of arms × samplers × budgets × seeds, from one JSON.
//!
//! `cargo run --release --example ablate -- configs/photos/ablation.json`
//!
//! Jobs (an arm at a seed) run in processes of their own, each with its share of the cores. Killed and started again,
//! it goes on where it was.
use burn_mixflow::config::AblationConfig;
use burn_mixflow::run::{Ablation, Job, files};
use burn_mixflow::{Error, Result};
use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: ablate CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/GROUP-NAME)";
const CACHE: &str = "runs/cache";
const POLL: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["--job", arm, seed, config, folder] => job(arm, seed, Path::new(config), Path::new(folder)),
        [config] if !config.starts_with('-') => run(Path::new(config), None),
        [config, folder] if !config.starts_with('-') => run(Path::new(config), Some(folder.into())),
        _ => {
            eprintln!("{USAGE}");
            return 2.into();
        }
    };
    match result {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("error: {error}");
            1.into()
        }
    }
}

/// One job, in a process of its own that ends with its parent.
fn job(arm: &str, seed: &str, config: &Path, folder: &Path) -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    let bad = |_| Error::Invalid(USAGE.into());
    let job = Job { arm: arm.parse().map_err(bad)?, seed: seed.parse().map_err(bad)? };
    Ablation::open(AblationConfig::read(config)?, folder, Path::new(CACHE))?.run(job)
}

/// A job in work.
struct Running {
    job: Job,
    work: f64,
    child: Child,
    log: PathBuf,
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let config = AblationConfig::read(file)?;
    let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or("run");
    let group = file.parent().and_then(|p| p.file_name()).and_then(|s| s.to_str()).unwrap_or("ablation");
    let folder = folder.unwrap_or_else(|| Path::new("runs").join(format!("{group}-{name}")));
    let ablation = Ablation::open(config, &folder, Path::new(CACHE))?;
    let mut waiting: VecDeque<(Job, f64)> = ablation.jobs().into_iter().map(|job| (job, ablation.work(job))).collect();
    let all = waiting.len();
    waiting.retain(|(_, work)| *work > 0.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = workers(ablation.config(), cores).min(waiting.len().max(1));
    println!("results: {}", folder.display());
    println!("{} of {all} arms × seeds to do, {workers} at a time", waiting.len());

    if !waiting.is_empty() {
        if ablation.pretraining_work() > 0.0 {
            println!("pretraining, about {:.0} % of the work", 100.0 * share(&ablation, &waiting));
        }
        ablation.pretrain()?;
    }
    let mut clock = Clock { started: Instant::now(), done: 0.0, left: waiting.iter().map(|(_, work)| work).sum() };
    let mut running: Vec<Running> = Vec::new();
    let logs = folder.join("logs");
    files::create(&logs)?;
    while !waiting.is_empty() || !running.is_empty() {
        while let Some((job, work)) = (running.len() < workers).then(|| waiting.pop_front()).flatten() {
            let log = logs.join(format!("arm-{}-seed-{}.txt", job.arm, job.seed));
            running.push(Running { job, work, child: spawn(job, file, &folder, &log, (cores / workers).max(1))?, log });
        }
        std::thread::sleep(POLL);
        let mut still = Vec::new();
        for mut one in std::mem::take(&mut running) {
            match one.child.try_wait().map_err(|e| Error::io(&one.log, e))? {
                None => still.push(one),
                Some(status) if status.success() => {
                    clock.finish(one.work);
                    let (arm, seed) = (&ablation.arms()[one.job.arm].name, one.job.seed);
                    println!("{arm}, seed {seed}: done; {} left", clock.left());
                }
                Some(status) => {
                    let text = std::fs::read_to_string(&one.log).unwrap_or_default();
                    let last: Vec<&str> = text.lines().rev().take(5).collect();
                    let tail: String = last.into_iter().rev().map(|line| format!("\n  {line}")).collect();
                    // The others end as their standard input closes; what they have done is kept.
                    return Err(Error::Invalid(format!("{} ({status}):{tail}", one.log.display())));
                }
            }
        }
        running = still;
    }
    println!("\n{}", ablation.write_results()?);
    println!("written: {}/{{results.json,table.md,*.svg}}", folder.display());
    Ok(())
}

fn share(ablation: &Ablation, waiting: &VecDeque<(Job, f64)>) -> f64 {
    let jobs: f64 = waiting.iter().map(|(_, work)| work).sum();
    ablation.pretraining_work() / (ablation.pretraining_work() + jobs)
}

/// One process per core on a CPU: two on one core each are faster than one on two.
fn workers(config: &AblationConfig, cores: usize) -> usize {
    match config.workers {
        0 if config.device.0 == "cpu" => cores,
        0 => 1,
        several => several,
    }
}

fn spawn(job: Job, config: &Path, folder: &Path, log: &Path, threads: usize) -> Result<Child> {
    let program = std::env::current_exe().map_err(|e| Error::io("the running program", e))?;
    let out = std::fs::File::create(log).map_err(|e| Error::io(log, e))?;
    let errors = out.try_clone().map_err(|e| Error::io(log, e))?;
    Command::new(&program)
        .args(["--job", &job.arm.to_string(), &job.seed.to_string()])
        .args([config, folder])
        .env("RAYON_NUM_THREADS", threads.to_string())
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(errors)
        .spawn()
        .map_err(|e| Error::io(program, e))
}

/// The time left, from the work done so far.
struct Clock {
    started: Instant,
    done: f64,
    left: f64,
}

impl Clock {
    fn finish(&mut self, work: f64) {
        self.done += work;
        self.left -= work;
    }

    fn left(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64() * self.left / self.done;
        match seconds as u64 {
            s @ 0..60 => format!("about {s} s"),
            s => format!("about {} min", s.div_ceil(60)),
        }
    }
}
