//! Turns: both sides do the same, one while the other sleeps, round after round.
use crate::machine::{cores, shown};
use crate::protocol::{Command, Hello, Losses, Memory, Pairs, Process, Times};
use crate::sizes::{Job, Size};
use crate::statistics::{Spread, median};
use crate::{Options, Outcome, prepare};
use burn_mixflow::train::Precision;
use std::path::Path;
use std::process::Command as Program;

/// The losses of both may differ by so much on a CPU.
pub const TOLERANCE: f64 = 1e-4;
/// Steps of the process whose memory is read.
const STEPS_FOR_MEMORY: usize = 3;
/// Euler steps of a sample.
pub const EULER_STEPS: usize = 10;
/// Repetitions before the first turn, which are not counted; nor is the first of each turn.
pub const WARM_UP: usize = 2;
/// The most repetitions of a turn.
const MOST: f64 = 500.0;

/// Medians of each round in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
}

impl Compared {
    /// Ours over theirs, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(&self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

/// All that is known of a size on one kind of PyTorch.
#[derive(Debug, Clone)]
pub struct Row {
    pub size: &'static str,
    pub device: String,
    pub batch: usize,
    /// Ours, then PyTorch.
    pub hello: [Hello; 2],
    /// How PyTorch computed, as in `eager, f32`.
    pub kind: String,
    pub step: Compared,
    pub forward: Option<Compared>,
    pub sample: Option<Compared>,
    pub memory: [Memory; 2],
    /// The largest difference of the losses.
    pub difference: f64,
    /// MixFlow step over standard step, of so many pairs; ours in f32 only.
    pub pairs: Option<(Spread, usize)>,
    /// What part of a step clips, updates and averages.
    pub update: [Option<f64>; 2],
}

/// One of the programs that are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Contender {
    ours: bool,
    precision: Precision,
    compiled: bool,
}

impl Contender {
    /// Ours and PyTorch's, and on a GPU each way in which PyTorch is used there.
    fn all(on_cpu: bool) -> Vec<Self> {
        let of = |precision| {
            let ours = Self { ours: true, precision, compiled: false };
            [ours, Self { ours: false, ..ours }, Self { ours: false, compiled: true, ..ours }]
        };
        match on_cpu {
            true => of(Precision::F32)[..2].to_vec(),
            false => [of(Precision::F32), of(Precision::Bf16)].concat(),
        }
    }

    fn kind(&self) -> String {
        let precision = if self.precision == Precision::F32 { "f32" } else { "bf16" };
        format!("{}, {precision}", if self.compiled { "compiled" } else { "eager" })
    }

    fn name(&self) -> String {
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
struct Side {
    contender: Contender,
    process: Process,
    hello: Hello,
    memory: Memory,
    losses: Vec<f64>,
    step: Vec<f64>,
    forward: Vec<f64>,
    sample: Vec<f64>,
    updates: Vec<f64>,
}

impl Side {
    fn start(contender: Contender, job: &Job, python: &Path) -> Outcome<Self> {
        let memory = memory(&contender, job, python)?;
        let mut process = contender.start(job, python)?;
        let hello: Hello = process.ask(Command::Hello)?;
        let Losses { losses } = process.ask(Command::Losses)?;
        eprintln!(
            "  {}: {}, {}; last loss {:.6}",
            contender.name(),
            hello.versions,
            hello.optimizer,
            losses[losses.len() - 1]
        );
        let [step, forward, sample, updates] = [const { Vec::new() }; 4];
        Ok(Self { contender, process, hello, memory, losses, step, forward, sample, updates })
    }

    /// The times of a turn, without those that warm up.
    fn turn(&mut self, work: Work, count: usize) -> Outcome<Times> {
        let mut times: Times = self.process.ask(work.command(count + 1))?;
        times.steps.remove(0);
        if !times.updates.is_empty() {
            times.updates.remove(0);
        }
        Ok(times)
    }

    fn kept(&mut self, work: Work) -> &mut Vec<f64> {
        match work {
            Work::Train => &mut self.step,
            Work::Forward => &mut self.forward,
            Work::Sample => &mut self.sample,
        }
    }
}

/// What a turn is spent on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Work {
    Train,
    Forward,
    Sample,
}

impl Work {
    fn command(self, count: usize) -> Command {
        match self {
            Self::Train => Command::Train { count },
            Self::Forward => Command::Forward { count },
            Self::Sample => Command::Sample { count, steps: EULER_STEPS },
        }
    }

    /// Networks of this crate sample in the type of their weights, which is f32.
    fn fits(self, contender: &Contender) -> bool {
        self == Self::Train || contender.precision == Precision::F32
    }
}

/// Every row of `size`.
pub fn size(size: &Size, options: &Options, python: &Path) -> Outcome<Vec<Row>> {
    eprintln!("{}: {}", size.name, size.about);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare").join(size.name);
    prepare::write(&size.training, options.losses, &folder)?;
    let job = Job {
        training: size.training.clone(),
        device: options.device.clone(),
        threads: cores(),
        precision: Precision::F32,
        compiled: false,
        losses: options.losses,
        folder,
    };
    let on_cpu = options.device.0 == "cpu";
    let mut sides = Vec::new();
    for contender in Contender::all(on_cpu) {
        sides.push(Side::start(contender, &job, python)?);
    }
    if on_cpu {
        agree(&sides)?;
    }
    let mut pairs = Pairs::default();
    for work in [Work::Train, Work::Forward, Work::Sample] {
        rounds(work, &mut sides, options, &mut pairs)?;
    }
    std::fs::remove_dir_all(&job.folder)?;
    Ok(rows(size, options, &sides, &pairs))
}

/// The memory of a process that does nothing but train.
fn memory(contender: &Contender, job: &Job, python: &Path) -> Outcome<Memory> {
    let mut process = contender.start(job, python)?;
    process.ask::<Times>(Command::Train { count: STEPS_FOR_MEMORY })?;
    process.ask(Command::Memory)
}

/// The largest difference of two series of losses; infinite where one is not a number.
fn difference(first: &Side, second: &Side) -> f64 {
    let differences = first.losses.iter().zip(&second.losses).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, next| if next.is_nan() { f64::INFINITY } else { f64::max(most, next) })
}

fn agree(sides: &[Side]) -> Outcome<()> {
    let found = difference(&sides[0], &sides[1]);
    eprintln!("  the losses of {} steps differ by at most {found:.1e}", sides[0].losses.len());
    if found <= TOLERANCE {
        return Ok(());
    }
    Err(format!(
        "the losses differ by {found:.1e}, more than {TOLERANCE:.0e}, so that both do not train the same: look for what \
         changed in src/ and not in benches/compare/networks.py or worker.py\nours    {:?}\nPyTorch {:?}",
        sides[0].losses, sides[1].losses
    )
    .into())
}

/// All rounds of `work`, and on our side in f32 pairs of standard and MixFlow steps while at it.
fn rounds(work: Work, sides: &mut [Side], options: &Options, pairs: &mut Pairs) -> Outcome<()> {
    let mut slowest = 0.0_f64;
    for side in sides.iter_mut().filter(|side| work.fits(&side.contender)) {
        let times: Times = side.process.ask(work.command(WARM_UP))?;
        slowest = slowest.max(times.steps[WARM_UP - 1]);
    }
    let least = if work == Work::Sample { 1.0 } else { 2.0 };
    let count = (1e3 * options.seconds / slowest.max(1e-3)).clamp(least, MOST) as usize;
    for round in 1..=options.rounds {
        let mut said = Vec::new();
        for side in sides.iter_mut().filter(|side| work.fits(&side.contender)) {
            let times = side.turn(work, count)?;
            side.updates.extend(times.updates.iter().zip(&times.steps).map(|(update, step)| update / step));
            let middle = median(&times.steps);
            side.kept(work).push(middle);
            said.push(format!("{} {}", side.contender.name(), shown(middle)));
        }
        eprintln!("  {work:?}, round {round}, {count} times: {}", said.join("; "));
        if work == Work::Train {
            let more: Pairs = sides[0].process.ask(Command::Pairs { count })?;
            pairs.standard.extend(more.standard);
            pairs.mixflow.extend(more.mixflow);
        }
    }
    Ok(())
}

fn rows(size: &Size, options: &Options, sides: &[Side], pairs: &Pairs) -> Vec<Row> {
    let ratios: Vec<f64> = pairs.mixflow.iter().zip(&pairs.standard).map(|(m, s)| m / s).collect();
    let update = |side: &Side| (!side.updates.is_empty()).then(|| median(&side.updates));
    let mut rows = Vec::new();
    for theirs in sides.iter().filter(|side| !side.contender.ours) {
        let same = |side: &&Side| side.contender.ours && side.contender.precision == theirs.contender.precision;
        let Some(ours) = sides.iter().find(same) else { continue };
        let compared = |of: fn(&Side) -> &Vec<f64>| Compared { ours: of(ours).clone(), theirs: of(theirs).clone() };
        let done = |compared: Compared| (!compared.ours.is_empty()).then_some(compared);
        rows.push(Row {
            size: size.name,
            device: options.device.0.clone(),
            batch: size.training.batch,
            hello: [ours.hello.clone(), theirs.hello.clone()],
            kind: theirs.contender.kind(),
            step: compared(|side| &side.step),
            forward: done(compared(|side| &side.forward)),
            sample: done(compared(|side| &side.sample)),
            memory: [ours.memory, theirs.memory],
            difference: difference(ours, theirs),
            pairs: rows.is_empty().then(|| (Spread::bootstrapped(&ratios), ratios.len())),
            update: [update(ours), update(theirs)],
        });
    }
    rows
}
