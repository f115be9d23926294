//! Who is compared, and the process in which each waits for its turn.
use crate::Outcome;
use crate::protocol::{Command, Hello, Losses, Memory, Process, Times};
use crate::sizes::Job;
use burn_mixflow::train::Precision;
use std::path::Path;
use std::process::Command as Program;

/// Steps of the process whose memory is read.
pub const STEPS_FOR_MEMORY: usize = 3;
/// Euler steps of a sample.
pub const EULER_STEPS: usize = 10;

/// One of the programs that are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contender {
    pub ours: bool,
    pub precision: Precision,
    compiled: bool,
}

impl Contender {
    /// Ours and PyTorch's, and on a GPU each way in which PyTorch is used there.
    pub fn all(on_cpu: bool) -> Vec<Self> {
        let of = |precision| {
            let ours = Self { ours: true, precision, compiled: false };
            [ours, Self { ours: false, ..ours }, Self { ours: false, compiled: true, ..ours }]
        };
        match on_cpu {
            true => of(Precision::F32)[..2].to_vec(),
            false => [of(Precision::F32), of(Precision::Bf16)].concat(),
        }
    }

    /// How it computes, as in `eager, f32`.
    pub fn kind(&self) -> String {
        let precision = if self.precision == Precision::F32 { "f32" } else { "bf16" };
        format!("{}, {precision}", if self.compiled { "compiled" } else { "eager" })
    }

    pub fn name(&self) -> String {
        format!("{}, {}", if self.ours { "ours" } else { "PyTorch" }, self.kind())
    }

    fn start(&self, job: &Job, python: &Path) -> Outcome<Process> {
        let job = Job { precision: self.precision, compiled: self.compiled, ..job.clone() };
        let mut program = Program::new(if self.ours { std::env::current_exe()? } else { python.into() });
        if self.ours {
            program.arg("--worker");
        } else {
            program.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/worker.py"));
            program.env("PYTHONDONTWRITEBYTECODE", "1");
        }
        Process::start(self.name(), program, &job)
    }
}

/// A contender, its process, and what it has said.
pub struct Side {
    pub contender: Contender,
    pub process: Process,
    pub hello: Hello,
    pub memory: Memory,
    pub losses: Vec<f64>,
    /// Medians of the rounds in milliseconds, here and below.
    pub step: Vec<f64>,
    pub forward: Vec<f64>,
    pub sample: Vec<f64>,
    /// What part of each step was the update.
    pub updates: Vec<f64>,
}

impl Side {
    /// A process that has said who it is, what memory it needs and what its first losses are.
    pub fn start(contender: Contender, job: &Job, python: &Path) -> Outcome<Self> {
        let mut process = contender.start(job, python)?;
        let hello: Hello = process.ask(Command::Hello)?;
        eprintln!("  {}: {}; AdamW {} {}", contender.name(), hello.versions, hello.adamw, hello.tried);
        let memory = memory(&contender, &Job { adamw: Some(hello.adamw.clone()), ..job.clone() }, python)?;
        let Losses { losses } = process.ask(Command::Losses)?;
        let [step, forward, sample, updates] = [const { Vec::new() }; 4];
        Ok(Self { contender, process, hello, memory, losses, step, forward, sample, updates })
    }

    /// The times of a turn, without those that warm up.
    pub fn turn(&mut self, work: Work, count: usize) -> Outcome<Times> {
        let mut times: Times = self.process.ask(work.command(count + 1))?;
        times.steps.remove(0);
        if !times.updates.is_empty() {
            times.updates.remove(0);
        }
        Ok(times)
    }

    /// The medians of the rounds so far.
    pub fn kept(&mut self, work: Work) -> &mut Vec<f64> {
        match work {
            Work::Train => &mut self.step,
            Work::Forward => &mut self.forward,
            Work::Sample => &mut self.sample,
        }
    }
}

/// What a turn is spent on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    Train,
    Forward,
    Sample,
}

impl Work {
    pub fn command(self, count: usize) -> Command {
        match self {
            Self::Train => Command::Train { count },
            Self::Forward => Command::Forward { count },
            Self::Sample => Command::Sample { count, steps: EULER_STEPS },
        }
    }

    /// Networks of this crate sample in the type of their weights, which is f32.
    pub fn fits(self, contender: &Contender) -> bool {
        self == Self::Train || contender.precision == Precision::F32
    }
}

/// The memory of a process that does nothing but train.
fn memory(contender: &Contender, job: &Job, python: &Path) -> Outcome<Memory> {
    let mut process = contender.start(job, python)?;
    process.ask::<Times>(Command::Train { count: STEPS_FOR_MEMORY })?;
    process.ask(Command::Memory)
}
