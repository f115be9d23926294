//! What costs no training, tried by successive halving on training data.
use super::answer::Finalist;
use super::change::{Change, Found};
use super::halving::{nearest, rounds};
use super::measured::Measured;
use super::minutes::Minutes;
use super::plan::{CONTENDERS, SweepPlan};
use super::refinement::{Plain, chosen};
use super::tables::{start_arm, sweep};
use super::{Advisor, RunJobs};
use crate::experiment::compare::Work;
use crate::experiment::config::ArmSampler;
use crate::experiment::statistics::mean;
use crate::{Error, Result};

/// The folder of its cells.
const FOLDER: &str = "sweep";

/// The part of the minutes that the sweep may take, and more once pilots and confirmation leave time.
const SHARE: f64 = 0.4;

/// Sweeps, each larger than the one before.
const SWEEPS_AT_MOST: usize = 3;

/// Seeds that are measured before the sweep is planned, to know what it costs.
const PROBE: usize = 2;

/// What the sweep found at one budget.
pub(super) struct Swept {
    pub evaluations: usize,
    /// Ways tried beside the user's own.
    pub tried: usize,
    pub own: ArmSampler,
    /// The nearest and its change against the user's own; none where that is no gain.
    pub best: Option<(ArmSampler, Change)>,
    /// The nearest without a refinement, where the nearest is one.
    pub plain: Option<Plain>,
    pub finalists: Vec<Finalist>,
}

impl Swept {
    /// The setting that training is tried under.
    pub fn setting(&self) -> &ArmSampler {
        self.best.as_ref().map_or(&self.own, |(best, _)| best)
    }

    /// The ways to sample that training is tried under.
    pub fn settings(&self) -> Vec<ArmSampler> {
        vec![self.own.clone(), self.setting().clone()]
    }

    /// The same, and the nearest without a refinement, where the best is one: what held-out data are asked about.
    pub fn to_confirm(&self) -> Vec<ArmSampler> {
        self.settings().into_iter().chain(self.plain.as_ref().map(|plain| plain.sampler.clone())).collect()
    }
}

impl Advisor {
    /// Every budget, with what fits the minutes.
    pub(super) fn sweep_all(
        &self,
        measured: Option<&Measured>,
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Swept>> {
        let samples = self.config().compare.samples;
        // Of latents there are no more than are compared with.
        let most = self.config().cell_samples(self.experiment.data().beside_itself().held_out.labels().len());
        let own = |evaluations| self.ground(evaluations, measured).own();
        let each = self.evaluations.iter().sum::<usize>() as f64;
        let pictures = if self.metric == "gfid" { self.evaluations.len() as f64 } else { 0.0 };
        let of_cells = |cells: usize, samples: usize| {
            let samples = cells as f64 * samples.min(most) as f64;
            Work { pictures: samples * pictures, ..Work::sampled(samples * each) }
        };
        // The user's own is in every round, so that nothing measured here is lost unless fewer samples must do.
        if minutes.seconds(of_cells(PROBE, samples)) < 0.25 * SHARE * minutes.left() {
            for &evaluations in &self.evaluations {
                let table =
                    sweep(self.config(), vec![own(evaluations)], &[evaluations], (PROBE, samples), &self.metric);
                self.fill(table, FOLDER, minutes, run)?;
            }
        }
        let count = |of: &dyn Fn(usize) -> usize| self.evaluations.iter().map(|n| of(*n)).max().unwrap_or(0);
        let bases = count(&|n| self.ground(n, measured).bases().len() - 1);
        let refinements = count(&|n| {
            let ground = self.ground(n, measured);
            let around = ground.bases().iter().map(|base| ground.around(base).len()).max().unwrap_or(0);
            ground.corrected(&ground.own()).len() + around
        });
        let mut all = |plan: &SweepPlan, minutes: &mut Minutes| -> Result<Vec<Swept>> {
            self.evaluations.iter().map(|n| self.sweep(*n, measured, plan, minutes, run)).collect()
        };
        let (mut swept, mut before) = (Vec::new(), None::<SweepPlan>);
        // What a cell costs is known after the first sweep, and may be less than was feared.
        for others in 0..SWEEPS_AT_MOST {
            let plan = minutes.sweep(others, |minutes| {
                let seconds = |cells, samples| minutes.seconds(of_cells(cells, samples));
                let available = match before {
                    None => SHARE * minutes.left(),
                    // What pilots and confirmation leave of all minutes is better spent here than not at all.
                    Some(_) => (minutes.left() - self.reserved(minutes)).max(minutes.left_of(SHARE)),
                };
                let fits = SweepPlan::fitting((bases, refinements), samples, available, seconds);
                match before {
                    Some(before) => Ok(fits.filter(|larger| larger.is_worth_more_than(&before))),
                    None => fits.map(Some).ok_or_else(|| {
                        Error::Invalid(format!(
                            "--minutes {}: not even a small sweep of samplers fits; give about {:.0}, or fewer \
                             `compare.samples`",
                            self.minutes,
                            (seconds(2 * 6, samples / 4) / SHARE / 60.0).ceil().max(self.minutes + 1.0)
                        ))
                    }),
                }
            })?;
            let Some(plan) = plan else { break };
            if before.is_none() {
                let seconds = minutes.seconds(of_cells(plan.cells(), plan.samples));
                say(&format!(
                    "this takes about {:.1} of {} minutes: free settings {seconds:.0} s, then pilots and confirmation {:.0} s at most",
                    (minutes.spent() + seconds + self.foretold(minutes, minutes.left() - seconds)) / 60.0,
                    self.minutes,
                    self.foretold(minutes, minutes.left() - seconds)
                ));
                say(&format!(
                    "free settings: up to {} solvers and grids, then {} grids around the best and corrections; {} samples, {} to {} seeds",
                    plan.bases, plan.refinements, plan.samples, plan.first, plan.last
                ));
            } else {
                say(&format!(
                    "free settings once more, as there is time: up to {} solvers and grids, {} samples, up to {} seeds",
                    plan.bases, plan.samples, plan.last
                ));
            }
            swept = all(&plan, minutes)?;
            before = Some(plan);
        }
        Ok(swept)
    }

    fn sweep(
        &self,
        evaluations: usize,
        measured: Option<&Measured>,
        plan: &SweepPlan,
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
    ) -> Result<Swept> {
        let ground = self.ground(evaluations, measured);
        let own = ground.own();
        let bases: Vec<ArmSampler> = ground.bases().into_iter().skip(1).take(plan.bases).collect();
        let (of_bases, first) = self.halve(&own, bases.clone(), evaluations, plan, minutes, run)?;
        let base = first.first().cloned().unwrap_or_else(|| own.clone());
        let more = ground.around(&base).into_iter().chain(ground.corrected(&base));
        let more: Vec<ArmSampler> = more.take(plan.refinements).collect();
        let tried = bases.len() + more.len();
        let with_base = Some(base.clone()).filter(|base| base.name != own.name).into_iter().chain(more);
        let (of_more, second) = self.halve(&own, with_base.collect(), evaluations, plan, minutes, run)?;
        let mut finalists: Vec<ArmSampler> = Vec::new();
        for sampler in second.iter().chain(&first) {
            if finalists.iter().all(|known| known.name != sampler.name) {
                finalists.push(sampler.clone());
            }
        }
        let found = of_bases.with(of_more);
        let (found, contenders) = self.settle(found, (&base, &finalists), (evaluations, plan), minutes, run)?;
        let arm = start_arm(self.config());
        let change = |mine: &str, other: &str| found.change((arm, mine), (arm, other), evaluations);
        let (best, plain) = chosen(&own, (&base, &bases), &contenders, change).unzip();
        let setting = best.as_ref().map_or(&own.name, |(best, _): &(ArmSampler, Change)| &best.name);
        let finalist = |sampler: &ArmSampler| {
            let name = &sampler.name;
            let against = |other: &String| if other == name { None } else { change(name, other) };
            // Those of the last round of all have seeds that the others lack.
            let mut distances = found.distances(arm, name, evaluations);
            distances.sort_by_key(|(seed, _)| *seed);
            let distances: Vec<f64> = distances.iter().take(plan.most).map(|(_, distance)| *distance).collect();
            let distance = mean(&distances);
            Finalist { name: name.clone(), distance, change: against(&own.name), behind: against(setting) }
        };
        let mut finalists: Vec<Finalist> = finalists.iter().map(finalist).collect();
        finalists.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        Ok(Swept { evaluations, tried, own, best, plain: plain.flatten(), finalists })
    }

    /// A last round of the nearest base and what cannot be told from the nearest of the finalists. Those, the nearest
    /// first.
    fn settle(
        &self,
        found: Found,
        (base, finalists): (&ArmSampler, &[ArmSampler]),
        (evaluations, plan): (usize, &SweepPlan),
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
    ) -> Result<(Found, Vec<ArmSampler>)> {
        let arm = start_arm(self.config());
        let contenders = contenders(&found, arm, (base, finalists), evaluations);
        let found = match contenders.len() > 1 && plan.last > plan.most {
            true => {
                let seeds = (plan.last, plan.samples);
                let table = sweep(self.config(), contenders.clone(), &[evaluations], seeds, &self.metric);
                self.fill(table, FOLDER, minutes, run)?.1.with(found)
            }
            false => found,
        };
        let contenders = ranked(&found, arm, contenders, evaluations);
        Ok((found, contenders))
    }

    /// The cells of `candidates` and of the user's own, and those of the last round, the nearest first, the user's own among
    /// them.
    fn halve(
        &self,
        own: &ArmSampler,
        candidates: Vec<ArmSampler>,
        evaluations: usize,
        plan: &SweepPlan,
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
    ) -> Result<(Found, Vec<ArmSampler>)> {
        let arm = start_arm(self.config());
        let mut left = candidates;
        let mut found = Found { cells: Vec::new(), metric: self.metric.clone() };
        for round in rounds(left.len(), plan.first, plan.most) {
            left.truncate(round.candidates);
            let samplers: Vec<ArmSampler> = [own.clone()].into_iter().chain(left.iter().cloned()).collect();
            let table = sweep(self.config(), samplers, &[evaluations], (round.seeds, plan.samples), &self.metric);
            found = self.fill(table, FOLDER, minutes, run)?.1;
            left = ranked(&found, arm, left, evaluations);
        }
        let all: Vec<ArmSampler> = [own.clone()].into_iter().chain(left).collect();
        let all = ranked(&found, arm, all, evaluations);
        Ok((found, all))
    }
}

/// The nearest base, and those of the finalists that cannot be told from the nearest of all, the nearest first.
fn contenders(
    found: &Found,
    arm: &str,
    (base, finalists): (&ArmSampler, &[ArmSampler]),
    evaluations: usize,
) -> Vec<ArmSampler> {
    let all = ranked(found, arm, finalists.to_vec(), evaluations);
    let nearest = &all.first().unwrap_or(base).name;
    let is_behind = |sampler: &ArmSampler| {
        let change = found.change((arm, &sampler.name), (arm, nearest), evaluations);
        change.is_some_and(|change| change.mean > 0.0 && change.is_beyond_two_errors())
    };
    let others = all.iter().filter(|sampler| sampler.name != base.name && !is_behind(sampler));
    [base].into_iter().chain(others).take(CONTENDERS).cloned().collect()
}

/// The nearest first.
fn ranked(found: &Found, arm: &str, samplers: Vec<ArmSampler>, evaluations: usize) -> Vec<ArmSampler> {
    let of = |sampler: &ArmSampler| {
        found.distances(arm, &sampler.name, evaluations).into_iter().map(|(_, distance)| distance).collect()
    };
    let distances: Vec<Vec<f64>> = samplers.iter().map(of).collect();
    nearest(&distances, samplers.len()).into_iter().map(|place| samplers[place].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::cell;
    use super::*;

    fn named(name: &str) -> ArmSampler {
        serde_json::from_str(&format!(r#"{{"name": "{name}"}}"#)).unwrap()
    }

    /// Distances of four seeds around each mean, further apart the larger the second number.
    fn found(all: &[(&str, f64, f64)]) -> Found {
        let of = |(name, mean, spread): &(&str, f64, f64)| {
            let distances = [-1.0, 1.0, -2.0, 2.0].map(|off| mean + off * spread);
            [1, 2, 3, 4].map(|seed| cell(("start", name), 10, (seed, distances[seed as usize - 1])))
        };
        let cells = all.iter().flat_map(of);
        Found { cells: cells.collect(), metric: "d".into() }
    }

    #[test]
    fn the_last_round_is_of_the_base_and_of_what_cannot_be_told_from_the_nearest() {
        let all = [
            ("far", 2.0, 0.01),
            ("near", 1.1, 0.1),
            ("nearest", 1.0, 0.01),
            ("base", 1.5, 0.01),
            ("as near", 1.02, 0.05),
            ("nearly", 1.12, 0.12),
            ("not quite", 1.15, 0.15),
        ];
        let names = |finalists: &[&str]| -> Vec<String> {
            let finalists: Vec<ArmSampler> = finalists.iter().copied().map(named).collect();
            let all = contenders(&found(&all), "start", (&named("base"), &finalists), 10);
            all.into_iter().map(|sampler| sampler.name).collect()
        };
        // The base stands there although it is behind; what is behind beyond two errors does not.
        assert_eq!(names(&["far", "near", "nearest", "base"]), ["base", "nearest", "near"]);
        // No more than four.
        let most = ["not quite", "nearly", "as near", "near", "nearest"];
        assert_eq!(names(&most), ["base", "nearest", "as near", "near"]);
        // Alone it needs no last round.
        assert_eq!(names(&["base"]), ["base"]);
        assert_eq!(names(&["base", "far"]), ["base"]);
    }
}
