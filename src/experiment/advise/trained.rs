//! Pilots of MixFlow under the best free setting and under the user's own, and the confirmation on held-out data.
use super::answer::{Advice, BudgetAnswer, Choice, Distance, Gain, OtherChange, PilotOutcome, TrainedOutcome};
use super::change::{Change, Found, WORTH};
use super::minutes::Minutes;
use super::plan::{ConfirmationPlan, PilotPlan};
use super::refinement::{Plain, drop_refinement};
use super::sweep::Swept;
use super::tables::{Length, confirmation, pilot, start_arm};
use super::{Advisor, RunJobs};
use crate::Result;
use crate::experiment::compare::{Comparison, Work};
use crate::experiment::config::{ArmSampler, CONTROL, ExperimentConfig};
use crate::experiment::statistics::{mean, standard_error};

/// The part of the minutes left that pilots may take, and the confirmation after them.
const PILOTS: f64 = 0.5;
const CONFIRMATION: f64 = 0.9;

/// The name of the arm of a γ in a table.
fn arm_of(table: &Comparison, gamma: f64) -> String {
    let fits = |arm: &&crate::experiment::config::Arm| arm.name != CONTROL && arm.stage.strategy.gamma() == Some(gamma);
    table.arms().iter().find(fits).map_or(String::new(), |arm| arm.name.clone())
}

impl Advisor {
    /// From the free settings to the whole answer.
    pub(super) fn train_and_confirm(
        &self,
        swept: Vec<Swept>,
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Advice> {
        let samplers = samplers(&swept, Swept::settings, |_| Vec::new());
        let plan = minutes.pilots(|minutes| self.pilot_plan(&samplers, minutes, minutes.left()))?;
        let mut pilots: Vec<Vec<PilotOutcome>> = swept.iter().map(|_| Vec::new()).collect();
        if plan.gammas.is_empty() {
            say("pilots: no time for them");
        } else {
            let table = self.pilots(&samplers, &plan.gammas, plan.seeds);
            let seconds = minutes.seconds(self.work(&table));
            say(&format!(
                "pilots: a control and γ = {}, {} seeds, {} steps: about {seconds:.0} s",
                plan.gammas.iter().map(f64::to_string).collect::<Vec<_>>().join(", "),
                plan.seeds,
                table.post_train.steps
            ));
            let (table, found) = self.fill(table, "pilots", minutes, run)?;
            for (outcomes, swept) in pilots.iter_mut().zip(&swept) {
                outcomes.extend(plan.gammas.iter().filter_map(|gamma| outcome(&table, &found, swept, *gamma)));
            }
        }
        let mut budgets: Vec<BudgetAnswer> = swept.iter().zip(pilots).map(|(s, p)| self.answer(s, p)).collect();
        let floor = self.confirm(&swept, &mut budgets, minutes, run, say)?;
        Ok(Advice { metric: self.metric.clone(), floor, budgets, deficit: None, fitted: None })
    }

    fn answer(&self, swept: &Swept, pilots: Vec<PilotOutcome>) -> BudgetAnswer {
        let best = swept.best.as_ref().map(|(best, chosen)| Choice::new(best, *chosen, swept.evaluations));
        BudgetAnswer {
            evaluations: swept.evaluations,
            own: swept.own.name.clone(),
            tried: swept.tried,
            best,
            dropped: None,
            finalists: swept.finalists.clone(),
            pilots,
            pilots_under: swept.setting().name.clone(),
            trained: None,
            distances: Vec::new(),
        }
    }

    /// Asks the held-out data, once; the distance of training data from them, if there was time.
    fn confirm(
        &self,
        swept: &[Swept],
        budgets: &mut [BudgetAnswer],
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<f64>> {
        let worth = |answer: &BudgetAnswer| {
            answer.best_pilot().filter(|pilot| pilot.under_best.mean <= -WORTH).map(|pilot| pilot.gamma)
        };
        let mut gammas: Vec<f64> = budgets.iter().filter_map(worth).collect();
        gammas.sort_by(f64::total_cmp);
        gammas.dedup();
        let plan = minutes.confirmation(|minutes| self.confirmation_plan(swept, &gammas, minutes, minutes.left()))?;
        if plan.seeds == 0 {
            say("confirmation on held-out data: no time for it");
            return Ok(None);
        }
        let table = self.confirmation(swept, &gammas, &plan);
        let seconds = minutes.seconds(self.work(&table));
        let training = match gammas.is_empty() {
            true => String::new(),
            false => format!(", trainings of {} steps", table.post_train.steps),
        };
        say(&format!("confirmation on held-out data: {} seeds{training}: about {seconds:.0} s", plan.seeds));
        let steps = table.post_train.steps;
        let folder = if plan.length() == Length::Whole { "confirmation" } else { "confirmation-short" };
        let (table, found) = self.fill(table, folder, minutes, run)?;
        let start = start_arm(self.config());
        for (answer, swept) in budgets.iter_mut().zip(swept) {
            let (own, n) = (&swept.own.name, swept.evaluations);
            drop_refinement(answer, swept, &found, start);
            let best = &answer.best.as_ref().map_or(own, |choice| &choice.sampler.name).clone();
            if let Some(choice) = &mut answer.best {
                choice.confirmed = found.change((start, best), (start, own), n);
                let others = table.metrics().into_iter().filter(|metric| *metric != self.metric);
                let other = |metric: &str| {
                    let change = found.change_by(metric, (start, best), (start, own), n)?;
                    Some(OtherChange { metric: metric.into(), change })
                };
                choice.others = others.filter_map(other).collect();
            }
            if let Some(gamma) = worth(answer) {
                let arm = arm_of(&table, gamma);
                let gain = |sampler: &str| gain(&found, [&arm, CONTROL, start], sampler, n);
                answer.trained = gain(best).zip(gain(own)).map(|(under_best, under_own)| {
                    let whole = steps == self.config().post_train.steps;
                    TrainedOutcome { gamma, steps, whole, under_best, under_own }
                });
            }
            answer.distances = distances(&table, &found, [own, best]);
        }
        let floors = table.floors()?;
        Ok(floors.into_iter().find(|(name, _)| *name == self.metric).map(|(_, floor)| floor))
    }

    /// The seconds that pilots and confirmation take, if the sweep leaves `left` and finds something.
    pub(super) fn foretold(&self, minutes: &Minutes, left: f64) -> f64 {
        self.pilots_and_confirmation(minutes, left).iter().sum()
    }

    /// The seconds that must be left after the sweep, for pilots and confirmation to fit their parts of them.
    pub(super) fn reserved(&self, minutes: &Minutes) -> f64 {
        let [pilots, confirmation] = self.pilots_and_confirmation(minutes, minutes.left());
        (pilots / PILOTS).max(pilots + confirmation / CONFIRMATION)
    }

    fn pilots_and_confirmation(&self, minutes: &Minutes, left: f64) -> [f64; 2] {
        let like = |n: &usize| {
            let own = self.ground(*n, None).own();
            let best = ArmSampler { name: "the best of them".into(), ..own.clone() };
            let change = Change { mean: 0.0, standard_error: None, seeds: 0 };
            let sampler = ArmSampler { name: "the same without a refinement".into(), ..own.clone() };
            let plain = Some(Plain { sampler, change, by_refinement: change });
            Swept { evaluations: *n, tried: 0, own, best: Some((best, change)), plain, finalists: Vec::new() }
        };
        let swept: Vec<Swept> = self.evaluations.iter().map(like).collect();
        let samplers = samplers(&swept, Swept::settings, |_| Vec::new());
        let plan = self.pilot_plan(&samplers, minutes, left);
        let pilots = match plan.gammas.is_empty() {
            true => 0.0,
            false => minutes.seconds(self.work(&self.pilots(&samplers, &plan.gammas, plan.seeds))),
        };
        // Each budget may have a γ of its own.
        let gammas: Vec<f64> = plan.gammas.iter().copied().take(swept.len()).collect();
        let plan = self.confirmation_plan(&swept, &gammas, minutes, left - pilots);
        let seconds = minutes.seconds(self.work(&self.confirmation(&swept, &gammas, &plan)));
        [pilots, if plan.seeds > 0 { seconds } else { 0.0 }]
    }

    /// What a table takes.
    fn work(&self, table: &ExperimentConfig) -> Work {
        Work::of_table(table, self.experiment.data().held_out.labels().len())
    }

    fn pilots(&self, samplers: &[ArmSampler], gammas: &[f64], seeds: usize) -> ExperimentConfig {
        pilot(self.config(), samplers.to_vec(), &self.evaluations, (gammas, seeds), &self.metric)
    }

    fn pilot_plan(&self, samplers: &[ArmSampler], minutes: &Minutes, left: f64) -> PilotPlan {
        let search = &self.config().gamma_search;
        PilotPlan::fitting(&search.gammas, search.seeds.len(), PILOTS * left, |gammas, seeds| {
            minutes.seconds(self.work(&self.pilots(samplers, gammas, seeds)))
        })
    }

    fn confirmation_plan(&self, swept: &[Swept], gammas: &[f64], minutes: &Minutes, left: f64) -> ConfirmationPlan {
        ConfirmationPlan::fitting(CONFIRMATION * left, |plan| {
            minutes.seconds(self.work(&self.confirmation(swept, gammas, plan)))
        })
    }

    fn confirmation(&self, swept: &[Swept], gammas: &[f64], plan: &ConfirmationPlan) -> ExperimentConfig {
        let more = |n: usize| if plan.others { vec![n / 2, 2 * n] } else { Vec::new() };
        let samplers = samplers(swept, Swept::to_confirm, more);
        confirmation(self.config(), samplers, &self.evaluations, gammas, (plan.seeds, plan.length()), &self.metric)
    }
}

/// The ways to sample `of` every budget, each once with all of its budgets; `more` names further ones, which are taken where
/// the steps of a sampler make them.
fn samplers(
    swept: &[Swept],
    of: impl Fn(&Swept) -> Vec<ArmSampler>,
    more: impl Fn(usize) -> Vec<usize>,
) -> Vec<ArmSampler> {
    let mut all: Vec<ArmSampler> = Vec::new();
    let each = swept.iter().flat_map(|s| of(s).into_iter().map(|sampler| (sampler, s.evaluations)));
    for (sampler, evaluations) in each {
        let spends = |n: &usize| *n > 0 && sampler.with_evaluations(*n, 1).is_some();
        let wanted: Vec<usize> =
            [evaluations].into_iter().chain(more(evaluations).into_iter().filter(spends)).collect();
        let place = match all.iter().position(|known| known.name == sampler.name) {
            Some(place) => place,
            None => {
                all.push(ArmSampler { evaluations: Some(Vec::new()), ..sampler.clone() });
                all.len() - 1
            }
        };
        if let Some(budgets) = &mut all[place].evaluations {
            budgets.extend(wanted);
            budgets.sort_unstable();
            budgets.dedup();
        }
    }
    all
}

/// What a pilot showed at the budget of `swept`.
fn outcome(table: &Comparison, found: &Found, swept: &Swept, gamma: f64) -> Option<PilotOutcome> {
    let arm = arm_of(table, gamma);
    let change = |sampler: &str| found.change((&arm, sampler), (CONTROL, sampler), swept.evaluations);
    Some(PilotOutcome { gamma, under_best: change(&swept.setting().name)?, under_own: change(&swept.own.name)? })
}

/// MixFlow, control and start under a sampler.
fn gain(found: &Found, [mixflow, control, start]: [&str; 3], sampler: &str, evaluations: usize) -> Option<Gain> {
    let change = |mine: &str, other: &str| found.change((mine, sampler), (other, sampler), evaluations);
    Some(Gain {
        against_control: change(mixflow, control)?,
        against_start: change(mixflow, start)?,
        of_control: change(control, start)?,
    })
}

/// Every distance under two settings.
fn distances(table: &Comparison, found: &Found, settings: [&String; 2]) -> Vec<Distance> {
    let mut all: Vec<Distance> = Vec::new();
    for sampler in settings {
        for arm in table.arms() {
            let mut budgets: Vec<usize> =
                found.cells.iter().filter(|c| &c.sampler == sampler).map(|c| c.evaluations).collect();
            budgets.sort_unstable();
            budgets.dedup();
            for evaluations in budgets {
                let values: Vec<f64> =
                    found.distances(&arm.name, sampler, evaluations).into_iter().map(|(_, d)| d).collect();
                let known = |d: &Distance| (&d.arm, &d.sampler, d.evaluations) == (&arm.name, sampler, evaluations);
                if !values.is_empty() && !all.iter().any(known) {
                    all.push(Distance {
                        arm: arm.name.clone(),
                        sampler: sampler.clone(),
                        evaluations,
                        mean: mean(&values),
                        standard_error: standard_error(&values),
                    });
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(best: Option<&str>, evaluations: usize) -> Swept {
        let sampler = |name: &str| {
            serde_json::from_str(&format!(r#"{{"name": "{name}", "solver": "{}"}}"#, name.to_lowercase())).unwrap()
        };
        let change = Change { mean: -0.2, standard_error: Some(0.01), seeds: 4 };
        let best = best.map(|name| (sampler(name), change));
        Swept { evaluations, tried: 9, own: sampler("Euler"), best, plain: None, finalists: Vec::new() }
    }

    #[test]
    fn each_setting_stands_once_with_the_budgets_that_it_can_spend() {
        let all = samplers(&[swept(Some("Heun"), 10), swept(None, 5)], Swept::settings, |n| vec![n / 2, 2 * n]);
        let named: Vec<_> = all.iter().map(|s| (s.name.as_str(), s.evaluations.clone().unwrap())).collect();
        assert_eq!(named, [("Euler", vec![2, 5, 10, 20]), ("Heun", vec![10, 20])]);
        let one = samplers(&[swept(None, 10)], Swept::settings, |_| Vec::new());
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].evaluations, Some(vec![10]));
    }
}
