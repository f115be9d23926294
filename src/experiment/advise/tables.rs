//! The tables that an advice is made from: each is a whole configuration of `compare`.
use crate::experiment::config::{
    ArmConfig, ArmSampler, ArmWeights, CONTROL, CompareConfig, ExperimentConfig, GammaSearchConfig, NONE, Reference,
};
use crate::experiment::gamma::pilots;
use crate::post_train::StageConfig;
use crate::timestep::StrategyConfig;

/// The first seed of the free sweep, and of the confirmation; further ones follow.
const SWEEP: u64 = 2_000_001;
const CONFIRMATION: u64 = 3_000_001;

/// The arm that stands for the weights as they are.
pub(super) fn start_arm(config: &ExperimentConfig) -> &'static str {
    if config.start.is_exact() { CONTROL } else { NONE }
}

/// `count` seeds from `first` that no other result of the file uses.
fn fresh(config: &ExperimentConfig, first: u64, count: usize) -> Vec<u64> {
    let taken = |seed: &u64| config.compare.seeds.contains(seed) || config.gamma_search.seeds.contains(seed);
    (first..).filter(|seed| !taken(seed)).take(count).collect()
}

/// `samplers` with the weights of `start` alone, compared with training data, of which there are more than set aside: nothing
/// is trained that could remember them better than another.
pub(super) fn sweep(
    config: &ExperimentConfig,
    samplers: Vec<ArmSampler>,
    evaluations: &[usize],
    (seeds, samples): (usize, usize),
    metric: &str,
) -> ExperimentConfig {
    let name = start_arm(config);
    let compare = CompareConfig {
        arms: vec![start(name, config.start.is_exact())],
        control: name.into(),
        samplers,
        evaluations: evaluations.to_vec(),
        seeds: fresh(config, SWEEP, seeds),
        samples,
        reference: Reference::Training,
        gfid: config.compare.gfid.clone().filter(|_| metric == "gfid"),
        ..config.compare.clone()
    };
    // A table is judged by its own seeds; those of the file must only differ from them.
    let gamma_search = GammaSearchConfig { seeds: config.compare.seeds.clone(), ..Default::default() };
    let mut table = config.clone().with_gamma(0.0);
    (table.compare, table.gamma_search) = (compare, gamma_search);
    table
}

/// Pilots of a control and of each of `gammas`, under `samplers`, compared with set-aside data.
pub(super) fn pilot(
    config: &ExperimentConfig,
    samplers: Vec<ArmSampler>,
    evaluations: &[usize],
    (gammas, seeds): (&[f64], usize),
    metric: &str,
) -> ExperimentConfig {
    let search = &config.gamma_search;
    let search = GammaSearchConfig {
        gammas: gammas.to_vec(),
        seeds: search.seeds.iter().copied().take(seeds).collect(),
        distance: Some(metric.into()),
        ..search.clone()
    };
    let mut table = config.clone();
    table.gamma_search = search;
    let mut table = pilots(&table);
    table.compare.samplers = samplers;
    table.compare.evaluations = evaluations.to_vec();
    table
}

/// How the confirmation is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// As `post_train` says.
    Whole,
    /// As a pilot.
    Short,
}

/// The weights as they are and, for each of `gammas`, MixFlow beside a control, compared with held-out data.
pub(super) fn confirmation(
    config: &ExperimentConfig,
    samplers: Vec<ArmSampler>,
    evaluations: &[usize],
    gammas: &[f64],
    (seeds, length): (usize, Length),
    metric: &str,
) -> ExperimentConfig {
    let stage = match length {
        Length::Whole => config.post_train.clone(),
        Length::Short => pilots(config).post_train,
    };
    let mut table = match gammas {
        [] => sweep(config, samplers, evaluations, (seeds, config.compare.samples), metric),
        _ => pilot(config, samplers, evaluations, (gammas, usize::MAX), metric),
    };
    // One stage whether there is a γ or not: a folder holds the results of one, and a later question may find a γ.
    let strategy = StrategyConfig::standard();
    table.post_train = StageConfig { input: None, anti_drift: None, magnitude: None, strategy, ..stage };
    if !gammas.is_empty() && !config.start.is_exact() {
        table.compare.arms.insert(0, start(NONE, false));
    }
    table.compare.seeds = fresh(config, CONFIRMATION, seeds);
    table.compare.reference = Reference::HeldOut;
    table.compare.samples = config.compare.samples;
    table
}

fn start(name: &str, exact: bool) -> ArmConfig {
    ArmConfig {
        name: name.into(),
        weights: (!exact).then_some(ArmWeights::Start),
        strategy: StrategyConfig::standard(),
        gammas: Vec::new(),
        adapter: None,
        learning_rate: None,
        input: None,
        anti_drift: None,
        magnitude: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(start: &str) -> ExperimentConfig {
        let config = json!({
            "data": {"kind": "ring"},
            "network": {"kind": "residual_mlp", "channels": 2, "size": 1, "width": 8, "depth": 1},
            "start": {"kind": start},
            "post_train": {"strategy": {"kind": "mixflow", "gamma": "auto"}, "steps": 9, "steps_per_epoch": 3},
            "compare": {"seeds": [0, 2_000_002], "samples": 50}
        });
        ExperimentConfig::parse(&config.to_string()).unwrap()
    }

    const DISTANCE: &str = "energy_distance";

    fn euler() -> Vec<ArmSampler> {
        vec![serde_json::from_str(r#"{"name": "Euler"}"#).unwrap()]
    }

    #[test]
    fn every_table_is_a_configuration_without_problems() {
        for start in ["pretrain", "exact"] {
            let config = config(start);
            let tables = [
                sweep(&config, euler(), &[10], (3, 20), DISTANCE),
                pilot(&config, euler(), &[10], (&[0.1, 0.4], 2), DISTANCE),
                confirmation(&config, euler(), &[5, 10], &[0.1], (3, Length::Whole), DISTANCE),
                confirmation(&config, euler(), &[5, 10], &[0.1], (3, Length::Short), DISTANCE),
                confirmation(&config, euler(), &[10], &[], (3, Length::Whole), DISTANCE),
            ];
            for table in &tables {
                assert_eq!(table.problems().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
                // Jobs read it again in processes of their own.
                let text = table.to_json().unwrap().to_string();
                assert_eq!(ExperimentConfig::parse(&text).unwrap(), *table);
            }
            let seeds: Vec<&[u64]> = tables.iter().map(|table| &table.compare.seeds[..]).collect();
            assert_eq!(seeds[0], [2_000_001, 2_000_003, 2_000_004]);
            assert_eq!(seeds[1], [1_000_001, 1_000_002]);
            assert_eq!(seeds[2], [3_000_001, 3_000_002, 3_000_003]);
            let references = tables.map(|table| table.compare.reference);
            let (aside, out) = (Reference::SetAside, Reference::HeldOut);
            assert_eq!(references, [Reference::Training, aside, out, out, out]);
        }
    }

    #[test]
    fn the_confirmation_trains_as_long_as_it_says_beside_the_weights_as_they_are() {
        let config = config("pretrain");
        let whole = confirmation(&config, euler(), &[10], &[0.1], (2, Length::Whole), DISTANCE);
        let short = confirmation(&config, euler(), &[10], &[0.1], (2, Length::Short), DISTANCE);
        for (length, table) in [(Length::Whole, &whole), (Length::Short, &short)] {
            let without = confirmation(&config, euler(), &[10], &[], (2, length), DISTANCE);
            assert_eq!(without.post_train, table.post_train);
        }
        assert_eq!((whole.post_train.steps, short.post_train.steps), (9, 3));
        let names: Vec<String> = whole.arms().into_iter().map(|arm| arm.name).collect();
        assert_eq!(names, ["no post-training", "control", "MixFlow γ=0.1"]);
    }
}
