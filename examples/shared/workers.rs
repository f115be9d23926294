//! Jobs of an ablation in processes of their own, each with its share of the cores.
use burn_mixflow::experiment::config::AblationConfig;
use burn_mixflow::experiment::{Ablation, Job, files};
use burn_mixflow::{Error, Result};
use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Where pretrained weights are kept.
pub const CACHE: &str = "runs/cache";
const POLL: Duration = Duration::from_millis(100);
const JOB: &str = "--job";

/// If this process was started for one job, does it, and says how it ended.
pub fn as_worker() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [JOB, arm, seed, config, folder] = args[..] else { return None };
    Some(match job(arm, seed, Path::new(config), Path::new(folder)) {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("error: {error}");
            1.into()
        }
    })
}

/// One job, in a process that ends with its parent.
fn job(arm: &str, seed: &str, config: &Path, folder: &Path) -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    let bad = |_| Error::Invalid(format!("usage: {JOB} ARM SEED CONFIG.json FOLDER"));
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

/// Does those of `jobs` that are not done, after the pretraining they start from; prints what is done and the time left.
pub fn run(ablation: &Ablation, jobs: &[Job], folder: &Path) -> Result<()> {
    let mut waiting: VecDeque<(Job, f64)> = jobs.iter().map(|job| (*job, ablation.work(*job))).collect();
    waiting.retain(|(_, work)| *work > 0.0);
    if waiting.is_empty() {
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = workers(ablation.config(), cores).min(waiting.len());
    println!("{} of {} arms × seeds to do, {workers} at a time", waiting.len(), jobs.len());
    if ablation.pretraining_work() > 0.0 {
        println!("pretraining, about {:.0} % of the work", 100.0 * share(ablation, &waiting));
    }
    ablation.pretrain()?;
    // The copy that `Ablation::open` keeps: the file a user gave may be edited while this runs.
    let config = folder.join("config.json");
    let mut clock = Clock { started: Instant::now(), done: 0.0, left: waiting.iter().map(|(_, work)| work).sum() };
    let mut running: Vec<Running> = Vec::new();
    let logs = folder.join("logs");
    files::create(&logs)?;
    while !waiting.is_empty() || !running.is_empty() {
        while let Some((job, work)) = (running.len() < workers).then(|| waiting.pop_front()).flatten() {
            let log = logs.join(format!("arm-{}-seed-{}.txt", job.arm, job.seed));
            running.push(Running {
                job,
                work,
                child: spawn(job, &config, folder, &log, (cores / workers).max(1))?,
                log,
            });
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
        .args([JOB, &job.arm.to_string(), &job.seed.to_string()])
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
