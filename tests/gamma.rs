//! `"gamma": "auto"` from end to end: pilots are paired, go on where they were, and choose what the data say.
use burn_mixflow::experiment::config::{ExperimentConfig, Reference};
use burn_mixflow::experiment::{Comparison, Experiment, GammaSearch, Job, check_folder, claim_folder};
use burn_mixflow::post_train::gamma::GammaChoice;
use burn_mixflow::{Error, Result};
use std::path::Path;

fn shipped(name: &str, settings: &[&str]) -> ExperimentConfig {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    ExperimentConfig::read_with(file, &settings).unwrap_or_else(|error| panic!("{error}"))
}

const TINY: &str = r#"{
    "data": {"kind": "photos", "train": 200, "held_out": 100},
    "network": {"kind": "residual_mlp", "width": 16, "depth": 1},
    "start": {"kind": "pretrain", "steps": 10, "batch_size": 16, "steps_per_epoch": 5},
    "post_train": {"strategy": {"kind": "mixflow", "gamma": "auto"}, "steps": 10, "batch_size": 16, "steps_per_epoch": 5},
    "compare": {"evaluations": [2, 3], "samples": 32, "batch_size": 16},
    "gamma_search": {"gammas": [0.9, 0.1, 0.5], "pilot_steps": 4, "distance": "frechet_pixels"}
}"#;

/// What a search did.
struct Searched {
    choices: Vec<GammaChoice>,
    /// Every job that was yet to do when it was asked for, in its order.
    asked: Vec<Job>,
}

fn searched(search: &GammaSearch) -> Searched {
    let mut asked = Vec::new();
    let choices = search.run(&mut |pilots: &Comparison, jobs: &[Job]| -> Result<()> {
        asked.extend(jobs.iter().filter(|job| pilots.work(**job) > 0.0));
        jobs.iter().try_for_each(|job| pilots.run(*job))
    });
    Searched { choices: choices.unwrap(), asked }
}

#[test]
fn one_gamma_is_chosen_for_all_budgets_and_a_search_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = ExperimentConfig::parse(TINY).unwrap();
    let open = || GammaSearch::open(&config, &folder.path().join("pilots"), &folder.path().join("cache")).unwrap();
    let search = open();
    let pilots = search.pilots().experiment().config();
    assert_eq!(
        (pilots.compare.reference, pilots.post_train.steps, pilots.compare.samples),
        (Reference::SetAside, 4, 32)
    );
    let first = searched(&search);
    let [choice] = &first.choices[..] else { panic!("{:?}", first.choices) };
    assert_eq!((choice.target.distance.as_str(), choice.target.steps.as_slice()), ("frechet_pixels", &[2, 3][..]));
    // Two seeds of the control and of at least two of the three γ.
    assert!(first.asked.len() >= 6 && first.asked.len().is_multiple_of(2), "{:?}", first.asked);
    let again = searched(&open());
    assert_eq!((again.choices, again.asked), (first.choices.clone(), Vec::new()));

    let arms = std::fs::read_dir(folder.path().join("pilots/arms")).unwrap();
    let lost = arms.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains("gamma"));
    std::fs::remove_dir_all(lost.unwrap()).unwrap();
    let again = searched(&open());
    assert_eq!((again.choices, again.asked.len()), (first.choices, 2));
}

#[test]
fn a_distance_that_the_data_do_not_have_is_named_with_those_they_have() {
    let error = ExperimentConfig::parse(&TINY.replace("frechet_pixels", "energy_distance")).unwrap_err().to_string();
    assert!(error.contains("gamma_search.distance = \"energy_distance\": must be one of frechet_random"), "{error}");
}

#[test]
fn pilots_have_the_strategy_of_the_post_training() {
    let folder = tempfile::tempdir().unwrap();
    let strategy_of_pilots = |strategy: &str| {
        let strategy = format!("post_train.strategy={strategy}");
        let config = shipped("ring/exact-2.json", &[&strategy, "gamma_search.gammas=[0.3]"]);
        let search = GammaSearch::open(&config, &folder.path().join("pilots"), folder.path()).unwrap();
        let arms = search.pilots().arms();
        assert_eq!((arms[0].name.as_str(), arms[0].stage.strategy.gamma(), arms.len()), ("control", None, 2));
        serde_json::to_value(arms[1].stage.strategy).unwrap()
    };
    let range = serde_json::json!({"kind": "uniform_range", "gamma": 0.3});
    assert_eq!(strategy_of_pilots(r#"{"kind": "uniform_range", "gamma": 0.8}"#), range);
    // One without a mixture range is replaced by MixFlow, for which the range is asked.
    let mixflow = serde_json::json!({"kind": "mixflow", "gamma": 0.3});
    assert_eq!(strategy_of_pilots(r#"{"kind": "standard"}"#), mixflow);
}

#[test]
fn pilots_have_seeds_of_their_own() {
    let text = TINY.replace("\"pilot_steps\": 4", "\"seeds\": [7, 1]");
    let error = ExperimentConfig::parse(&text).unwrap_err().to_string();
    assert!(error.contains("gamma_search.seeds = [7, 1]: must be others than those of `compare`"), "{error}");
}

#[test]
fn on_the_exact_ring_in_two_dimensions_no_gamma_is_chosen_and_in_128_a_large_one() {
    for (dimension, expected) in [(2, None), (128, Some(0.5))] {
        let folder = tempfile::tempdir().unwrap();
        let settings = ["compare.evaluations=[5]", "gamma_search.samples=1000", "gamma_search.seeds=[7]"];
        let config = shipped(&format!("ring/exact-{dimension}.json"), &settings);
        let search = GammaSearch::open(&config, &folder.path().join("run"), folder.path()).unwrap();
        let choices = searched(&search).choices;
        let energy = choices.iter().find(|choice| choice.target.distance == "energy_distance").unwrap();
        assert_eq!(energy.gamma.is_some(), expected.is_some(), "{energy:?}");
        assert!(energy.gamma >= expected, "{energy:?}");
    }
}

#[test]
fn an_official_checkpoint_chooses_by_the_energy_distance_of_latents() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let auto = |pilot_steps: usize| {
        let steps = format!("gamma_search.pilot_steps={pilot_steps}");
        let settings = [
            "post_train.strategy.gamma=auto",
            "compare.evaluations=[40]",
            "gamma_search.gammas=[0.2, 0.8]",
            "gamma_search.seeds=[3]",
            &steps,
        ];
        shipped("sit/tiny.json", &settings)
    };
    let open = |steps: usize, name: &str| GammaSearch::open(&auto(steps), &folder.path().join(name), cache.path());
    let search = open(5, "pilots").unwrap();
    let first = searched(&search);
    let gamma = |job: &Job| search.pilots().arms()[job.arm].stage.strategy.gamma();
    assert_eq!(first.asked.iter().map(gamma).collect::<Vec<_>>(), [None, Some(0.2), Some(0.8)]);
    let [choice] = &first.choices[..] else { panic!("{:?}", first.choices) };
    assert_eq!((choice.target.distance.as_str(), choice.target.steps.as_slice()), ("energy_distance", &[10][..]));
    let found = |search: &GammaSearch| -> Vec<Vec<f64>> {
        search.pilots().results().unwrap().rows.into_iter().map(|row| row.values).collect()
    };
    let rows = found(&search);
    assert!(rows.iter().all(|values| values.len() == 1), "{rows:?}");
    assert_eq!(rows.len(), 3);
    assert_ne!(rows[1], rows[2]);

    // Pilots that are there are read: a second choice is the first, and nothing is trained for it.
    let again = searched(&open(5, "pilots").unwrap());
    assert_eq!((again.choices, again.asked), (first.choices, Vec::new()));
    // Another configuration does not read them, and does not mix with them.
    let error = open(6, "pilots").err().unwrap().to_string();
    assert!(error.contains("gamma_search.pilot_steps: was 5, now 6"), "{error}");
    let longer = open(6, "longer").unwrap();
    searched(&longer);
    assert_ne!(found(&longer)[1], rows[1]);
}

#[test]
fn a_training_with_one_gamma_is_not_gone_on_with_by_another_that_was_chosen_later() {
    let folder = tempfile::tempdir().unwrap();
    let auto = || shipped("sit/tiny.json", &["post_train.strategy.gamma=auto"]);
    let open = |config: ExperimentConfig| Experiment::open(config, &folder.path().join("cache")).unwrap();
    let chosen = open(auto()).with_gamma(0.2);
    let (start, _) = chosen.start().unwrap();
    let trained = folder.path().join("trained");
    std::fs::create_dir(&trained).unwrap();
    claim_folder(&trained, chosen.config()).unwrap();
    assert!(!chosen.post_train(start.clone(), &trained, Some(1)).unwrap().finished);
    // What is still open agrees with any choice.
    check_folder(&trained, &auto()).unwrap();
    let error = check_folder(&trained, &auto().with_gamma(0.8)).unwrap_err().to_string();
    assert!(error.contains("holds the results of another configuration"), "{error}");
    assert!(error.contains("post_train.strategy.gamma: was 0.2, now 0.8"), "{error}");
    assert!(chosen.post_train(start.clone(), &trained, None).unwrap().finished);
    // Training with what is still open is an error, not a guess.
    let open_still = open(auto());
    for error in [
        open_still.post_train(start.clone(), &folder.path().join("none"), None).map(drop).unwrap_err(),
        Comparison::open(open_still, &folder.path().join("none")).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("gamma = \"auto\""), "{error}");
    }
}
