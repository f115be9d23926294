//! Jobs of a comparison in processes of their own, each with its share of the cores and its devices.
use crate::{job_devices, place, say, signals};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::progress::Task;
use burn_mixflow::experiment::{Comparison, Job};
use burn_mixflow::post_train::DeviceName;
use burn_mixflow::{Error, Result};
use clap::Args;
use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

/// Between two looks at how far the jobs are, which read their folders.
const LOOK: Duration = Duration::from_secs(1);

/// One job.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Number of the arm.
    arm: usize,
    /// The seed.
    seed: u64,
    /// The folder of the comparison, with its configuration.
    folder: PathBuf,
    /// A device to compute on, in place of those of the configuration.
    #[arg(long = "device")]
    devices: Vec<String>,
}

/// One job, in a process that ends with its parent.
pub fn job(arguments: &Arguments) -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let stop = signals::stop();
        stop.request("as the program that began it has ended");
        while stop.is_heard() {
            std::thread::sleep(POLL);
        }
        std::process::exit(3);
    });
    let mut config = ExperimentConfig::read(arguments.folder.join("config.json"))?;
    if !arguments.devices.is_empty() {
        config.devices = arguments.devices.iter().cloned().map(DeviceName).collect();
    }
    let comparison = Comparison::open_to_work(place::open(config)?, &arguments.folder)?;
    comparison.run(Job { arm: arguments.arm, seed: arguments.seed })
}

/// A job in work.
struct Running {
    job: Job,
    work: f64,
    child: Child,
    log: PathBuf,
    devices: Vec<DeviceName>,
}

/// Does those of `jobs` that are not done, after the pretraining they start from; prints what is done and the time left.
pub fn run(comparison: &Comparison, jobs: &[Job]) -> Result<()> {
    let mut waiting: VecDeque<(Job, f64)> = jobs.iter().map(|job| (*job, comparison.work(*job))).collect();
    waiting.retain(|(_, work)| *work > 0.0);
    if waiting.is_empty() {
        return Ok(());
    }
    let (experiment, folder) = (comparison.experiment(), comparison.folder());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut free = job_devices::of_workers(comparison, waiting.len(), cores);
    free.iter().try_for_each(|devices| comparison.check_jobs_on(devices))?;
    let (workers, on) = (free.len(), job_devices::list(&free));
    say::line(format!("{} of {} arms × seeds to do, {workers} at a time on {on}", waiting.len(), jobs.len()));
    let (start_work, work) = (experiment.start_work()?, waiting.iter().map(|(_, work)| work).sum::<f64>());
    if start_work > 0.0 {
        say::line(format!("pretraining, about {:.0} % of the work", 100.0 * start_work / (start_work + work)));
        experiment.start()?;
    }
    let mut clock = Clock { started: Instant::now(), all: work, left: work };
    let progress = say::progress();
    let task = Task::begin(progress.as_ref(), "% of the work", 100);
    let mut looked = Instant::now();
    let mut running: Vec<Running> = Vec::new();
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).map_err(|e| Error::io(&logs, e))?;
    let stop = signals::stop();
    let _hearing = stop.hear();
    loop {
        // Before the end, too: the last jobs may have been stopped with this program, and the table is not whole then.
        if let Some(reason) = stop.reason() {
            return end(running, &reason);
        }
        if waiting.is_empty() && running.is_empty() {
            return Ok(());
        }
        while !free.is_empty()
            && let Some((job, work)) = waiting.pop_front()
        {
            let log = logs.join(format!("arm-{}-seed-{}.txt", job.arm, job.seed));
            let devices = free.remove(0);
            let child = spawn(job, folder, &log, &devices, (cores / workers).max(1))?;
            running.push(Running { job, work, child, log, devices });
        }
        std::thread::sleep(POLL);
        let mut still = Vec::new();
        let mut failed = Vec::new();
        for mut one in std::mem::take(&mut running) {
            match one.child.try_wait().map_err(|e| Error::io(&one.log, e))? {
                None => still.push(one),
                Some(status) if status.success() => {
                    clock.left -= one.work;
                    let (arm, seed) = (&comparison.arms()[one.job.arm].name, one.job.seed);
                    let on = match experiment.config().devices.len() {
                        1 => String::new(),
                        _ => format!(" on {}", job_devices::name(&one.devices)),
                    };
                    say::line(format!("{arm}, seed {seed}: done{on}; {} left", clock.left()));
                    free.push(one.devices);
                }
                Some(status) => failed.push((one, status)),
            }
        }
        running = still;
        // A job may hear of a stop before this program does.
        if failed.iter().any(|(_, status)| is_stop(*status)) {
            std::thread::sleep(3 * POLL);
        }
        if let Some((one, status)) = failed.into_iter().find(|(_, status)| stop.reason().is_none() || !is_stop(*status))
        {
            let text = std::fs::read_to_string(&one.log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(5).collect();
            let tail: String = last.into_iter().rev().map(|line| format!("\n  {line}")).collect();
            // The others end and save; what they have done is kept.
            running.into_iter().for_each(|other| drop(wait(other)));
            let tail = if tail.is_empty() { " it said nothing; the same command goes on".into() } else { tail };
            return Err(Error::Invalid(format!("{} ({status}):{tail}", one.log.display())));
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let in_work: f64 = running.iter().map(|one| one.work - comparison.work(one.job)).sum();
            task.at(clock.percent(in_work));
        }
    }
}

/// Lets a job finish and save its step; how it ended.
fn wait(mut one: Running) -> Result<(PathBuf, ExitStatus)> {
    drop(one.child.stdin.take());
    let status = one.child.wait().map_err(|e| Error::io(&one.log, e))?;
    Ok((one.log, status))
}

/// Whether a job ended because it was asked to: by a signal, or with the program that began it.
fn is_stop(status: ExitStatus) -> bool {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        return [SIGHUP, SIGINT, SIGTERM].contains(&signal);
    }
    matches!(status.code(), Some(0 | 3 | 129 | 130 | 143))
}

/// Lets jobs finish and save their steps. What they have done is kept.
fn end(running: Vec<Running>, reason: &str) -> Result<()> {
    let count = running.len();
    for one in running {
        let (log, status) = wait(one)?;
        if !is_stop(status) {
            return Err(Error::Invalid(format!("{} ({status}): it did not save when it was stopped", log.display())));
        }
    }
    let at = format!("with {count} in work, which are saved");
    Err(Error::Stopped { what: "the jobs".into(), reason: reason.into(), at })
}

fn spawn(job: Job, folder: &Path, log: &Path, devices: &[DeviceName], threads: usize) -> Result<Child> {
    let program = std::env::current_exe().map_err(|e| Error::io("the running program", e))?;
    let out = std::fs::File::create(log).map_err(|e| Error::io(log, e))?;
    let errors = out.try_clone().map_err(|e| Error::io(log, e))?;
    Command::new(&program)
        .args(["job", &job.arm.to_string(), &job.seed.to_string()])
        .arg(folder)
        .args(devices.iter().map(|device| format!("--device={}", device.0)))
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
    all: f64,
    left: f64,
}

impl Clock {
    fn left(&self) -> String {
        let done = self.all - self.left;
        format!("about {}", say::duration(self.started.elapsed().as_secs_f64() * self.left / done))
    }

    /// What is done of all, counting `in_work` of jobs that are not finished.
    fn percent(&self, in_work: f64) -> u64 {
        (100.0 * (self.all - self.left + in_work) / self.all) as u64
    }
}
