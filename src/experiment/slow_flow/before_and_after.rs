//! Slow Flow measured before and after post-training.
use super::{MeasuredStrategy, Measurement, Report, SlowFlow, gamma_by_t};
use crate::experiment::compare::{Comparison, Job};
use crate::experiment::config::ArmWeights;
use crate::experiment::progress::Task;
use crate::models::Network;
use crate::{Error, Result};

/// What was measured of one network.
#[derive(Debug, Clone)]
pub struct MeasuredNetwork {
    /// Its name: before or after.
    pub name: &'static str,
    /// Every definition at every budget.
    pub measurements: Vec<Measurement>,
}

/// Measures the weights of `start` and of the arm that `post_train` describes, at every budget of `compare` under its
/// first sampler. The arm is trained unless the table has it already.
///
/// # Errors
/// [`Error::Invalid`] for an exact start, or budgets that take less than two steps; as [`SlowFlow::measure`].
pub fn before_and_after(comparison: &Comparison) -> Result<(Vec<MeasuredNetwork>, Report)> {
    let (experiment, config) = (comparison.experiment(), comparison.experiment().config());
    if config.start.is_exact() {
        return Err(Error::Invalid("start: an exact field has no weights to measure".into()));
    }
    let sampler = config.samplers().into_iter().next();
    let sampler = sampler.ok_or_else(|| Error::Invalid("compare.samplers: must name one".into()))?;
    if sampler.weak_guidance.is_some() {
        return Err(Error::Invalid(
            "slow flow: guidance by a weaker network is not followed; take another first sampler".into(),
        ));
    }
    let (items, asked) = (experiment.data().train.len(), config.slow_flow.samples);
    let within = config.slow_flow.within(items);
    if within.samples < asked {
        experiment
            .progress()
            .message(&format!("slow_flow.samples: {items} of {asked}, as many as there are to train on"));
    }
    let probe = SlowFlow::new(experiment, &within)?;
    let arm = comparison
        .arms()
        .iter()
        .position(|arm| arm.weights == ArmWeights::PostTrained && arm.stage == config.post_train)
        .ok_or_else(|| Error::Invalid("slow flow: no arm of `compare` is trained as `post_train` says".into()))?;
    let seed = config.compare.seeds.first().copied().unwrap_or_default();
    let (before, _) = experiment.start()?;
    let after = comparison.post_trained(Job { arm, seed })?;
    let mut report = Report::default();
    let mut measured = Vec::new();
    let networks: [(&'static str, &Network); 2] = [("before", &before), ("after", &after)];
    let budgets = &config.compare.evaluations;
    let task = Task::begin(experiment.progress(), "measuring Slow Flow", (networks.len() * budgets.len()) as u64);
    let mut done = 0;
    for (name, network) in networks {
        let mut measurements = Vec::new();
        for &evaluations in budgets {
            done += 1;
            let Some(sampler) = sampler.with_evaluations(evaluations, config.compare.batch_size) else { continue };
            for found in probe.measure(network, sampler)? {
                report.push(name, &found);
                measurements.push(found);
            }
            task.at(done);
        }
        measured.push(MeasuredNetwork { name, measurements });
    }
    let first = config.slow_flow.definitions.first().copied();
    let chooses = |m: &&Measurement| m.definition.is_zero_for_an_exact_field() && Some(m.definition) == first;
    for found in measured[0].measurements.iter().filter(chooses) {
        report.recommendations.push(probe.recommend(&before, found)?);
        let by_t = gamma_by_t(found).map(|strategy| MeasuredStrategy { steps: found.steps, strategy });
        report.measured.extend(by_t);
    }
    Ok((measured, report))
}
