//! Who is compared, and the process in which each waits for its turn.
use crate::protocol::{Command, Hello, Losses, Memory, Process, Times};
use crate::sizes::Job;
use crate::{Outcome, machine};
use burn_mixflow::train::Precision;
use std::path::Path;
use std::process::Command as Program;

/// Steps of the process whose memory is read.
pub const STEPS_FOR_MEMORY: usize = 3;
/// Steps, and forward passes, before the first turn.
pub const WARM_UP: usize = 2;
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
    /// Ours and PyTorch's, and on a GPU each way in which PyTorch is used there, or its eager ones alone.
    pub fn all(on_cpu: bool, eager: bool) -> Vec<Self> {
        let of = |precision| {
            let ours = Self { ours: true, precision, compiled: false };
            [ours, Self { ours: false, ..ours }, Self { ours: false, compiled: true, ..ours }]
        };
        let all = [Precision::F32, Precision::Bf16].into_iter().flat_map(of);
        let takes_part = |contender: &Self| match on_cpu {
            true => contender.precision == Precision::F32 && !contender.compiled,
            false => !(eager && contender.compiled),
        };
        all.filter(takes_part).collect()
    }

    /// How it computes, as in `eager, f32`.
    pub fn kind(&self) -> String {
        let precision = if self.precision == Precision::F32 { "f32" } else { "bf16" };
        format!("{}, {precision}", if self.compiled { "compiled" } else { "eager" })
    }

    pub fn name(&self) -> String {
        format!("{}, {}", if self.ours { "ours" } else { "PyTorch" }, self.kind())
    }

    /// The one that is asked what only we can do.
    pub fn is_ours_in_f32(&self) -> bool {
        self.ours && self.precision == Precision::F32
    }

    fn start(&self, job: &Job, python: &Path) -> Outcome<Process> {
        let job = Job { precision: self.precision, compiled: self.compiled, ..job.clone() };
        let mut program = Program::new(if self.ours { std::env::current_exe()? } else { python.into() });
        if self.ours {
            // As `mixflow` starts itself: what a step frees, the next one uses.
            program.arg("--worker").env("MIMALLOC_PURGE_DELAY", "60000");
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
    /// Milliseconds of the repetitions of each round, here and below.
    pub step: Vec<Vec<f64>>,
    pub forward: Vec<Vec<f64>>,
    pub sample: Vec<Vec<f64>>,
    /// What part of each step was the update.
    pub updates: Vec<f64>,
}

impl Side {
    /// A process that has said who it is, what memory it needs and what its first losses are.
    pub fn start(contender: Contender, job: &Job, python: &Path) -> Outcome<Self> {
        let mut process = contender.start(job, python)?;
        let hello: Hello = process.ask(Command::Hello)?;
        eprintln!("  {}: {}; AdamW: {}", contender.name(), hello.versions, hello.adamw);
        let Losses { losses } = process.ask(Command::Losses)?;
        let memory = match job.device.0.as_str() {
            "cpu" => memory(&contender, &Job { adamw: Some(hello.adamw.clone()), ..job.clone() }, python)?,
            // This process has done nothing but train so far, and its pool of a GPU's memory never shrinks.
            _ => Memory { before: None, peak: machine::gpu_memory(process.id()) },
        };
        let [step, forward, sample] = [const { Vec::new() }; 3];
        Ok(Self { contender, process, hello, memory, losses, step, forward, sample, updates: Vec::new() })
    }

    /// The times of a turn, without what warms up.
    pub fn turn(&mut self, work: Work, count: usize) -> Outcome<Times> {
        let left_out = work.left_out();
        let mut times: Times = self.process.ask(work.command(count + left_out))?;
        times.steps.drain(..left_out);
        times.updates.drain(..left_out.min(times.updates.len()));
        Ok(times)
    }

    /// The rounds so far.
    pub fn kept(&mut self, work: Work) -> &mut Vec<Vec<f64>> {
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

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "training step",
            Self::Forward => "forward",
            Self::Sample => "sampling",
        }
    }

    /// Repetitions before the first turn; sampling repeats passes in itself.
    pub fn warm_up(self) -> usize {
        if self == Self::Sample { 1 } else { WARM_UP }
    }

    /// The first repetitions of each turn, which are not counted.
    pub fn left_out(self) -> usize {
        if self == Self::Sample { 0 } else { 1 }
    }

    /// The fewest repetitions of a turn.
    pub fn least(self) -> f64 {
        if self == Self::Forward { 2.0 } else { 1.0 }
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
