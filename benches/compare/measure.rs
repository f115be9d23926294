//! Turns: both sides do the same, one while the other sleeps, round after round.
use crate::contender::{Contender, Side, Work};
use crate::machine::{cores, shown};
use crate::median::median;
use crate::protocol::{Command, Hello, Memory, Pairs, Times};
use crate::sizes::{Job, Size};
use crate::statistics::Spread;
use crate::{Options, Outcome, prepare};
use burn_mixflow::train::Precision;
use std::path::Path;

/// The losses of both may differ by so much on a CPU.
pub const TOLERANCE: f64 = 1e-4;
/// The most repetitions of a turn.
const MOST: f64 = 500.0;

/// Milliseconds of the repetitions of each round.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    pub ours: Vec<Vec<f64>>,
    pub theirs: Vec<Vec<f64>>,
}

impl Compared {
    /// The medians of the rounds, ours over theirs.
    pub fn ratio(&self) -> Spread {
        let [ours, theirs] = self.medians();
        Spread::of(&ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }

    /// The fastest of all repetitions, ours over theirs: the least that other programs disturb.
    pub fn fastest(&self) -> f64 {
        let [ours, theirs] = [&self.ours, &self.theirs].map(|rounds| Spread::of(&rounds.concat()).least);
        ours / theirs
    }

    /// The median of each round, of both.
    pub fn medians(&self) -> [Vec<f64>; 2] {
        [&self.ours, &self.theirs].map(|rounds| rounds.iter().map(|round| median(round)).collect())
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
    /// What part of a step MixFlow's draws take beyond those of a standard step.
    pub draws: Option<f64>,
    /// What part of the standard and of the MixFlow steps had their gradients clipped.
    pub clipped: Option<[f64; 2]>,
    /// What part of a step clips, updates and averages.
    pub update: [Option<f64>; 2],
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
        adamw: None,
        losses: options.losses,
        folder,
    };
    let on_cpu = options.device.0 == "cpu";
    let mut sides = Vec::new();
    for contender in Contender::all(on_cpu, options.eager) {
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
        let times: Times = side.process.ask(work.command(work.warm_up()))?;
        slowest = slowest.max(Spread::of(&times.steps).least);
    }
    let count = (1e3 * options.seconds / slowest.max(1e-3)).clamp(work.least(), MOST) as usize;
    for round in 1..=options.rounds {
        let mut said = Vec::new();
        for side in sides.iter_mut().filter(|side| work.fits(&side.contender)) {
            let times = side.turn(work, count)?;
            side.updates.extend(times.updates.iter().zip(&times.steps).map(|(update, step)| update / step));
            let middle = median(&times.steps);
            side.kept(work).push(times.steps);
            said.push(format!("{} {}", side.contender.name(), shown(middle)));
            if work == Work::Train && side.contender.is_ours_in_f32() {
                let count = count.div_ceil(2).max(options.pairs.div_ceil(options.rounds));
                let more: Pairs = side.process.ask(Command::Pairs { count })?;
                pairs.draws = more.draws;
                (0..2).for_each(|of| pairs.clipped[of] += more.clipped[of]);
                pairs.standard.extend(more.standard);
                pairs.mixflow.extend(more.mixflow);
            }
        }
        eprintln!("  {}, round {round}, {count} times: {}", work.name(), said.join("; "));
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
        let compared =
            |of: fn(&Side) -> &Vec<Vec<f64>>| Compared { ours: of(ours).clone(), theirs: of(theirs).clone() };
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
            draws: pairs
                .draws
                .filter(|_| rows.is_empty())
                .map(|[standard, mixflow]| (mixflow - standard) / median(&pairs.standard)),
            clipped: Some(pairs.clipped.map(|count| count as f64 / ratios.len() as f64))
                .filter(|_| rows.is_empty() && !ratios.is_empty()),
            update: [update(ours), update(theirs)],
        });
    }
    rows
}
