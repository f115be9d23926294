//! `"gamma": "auto"` from end to end: pilots are paired, go on where they were, and choose what the data say.
use burn_mixflow::experiment::config::{AblationConfig, GammaSearchConfig, Reference, RunConfig, SystemConfig};
use burn_mixflow::experiment::{Ablation, GammaSearch, Job, System};
use burn_mixflow::post_train::gamma::{GammaChoice, Pilot};
use burn_mixflow::{Error, Result};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const TINY: &str = r#"{
    "data": {"kind": "photos", "train": 200, "held_out": 100},
    "network": {"kind": "residual_mlp", "width": 16, "depth": 1},
    "pretrain": {"steps": 10, "batch_size": 16, "steps_per_epoch": 5},
    "post_train": {"strategy": {"kind": "mixflow", "gamma": "auto"}, "steps": 10, "batch_size": 16, "steps_per_epoch": 5},
    "evaluate": {"steps": [2, 3], "samples": 32, "batch_size": 16},
    "gamma_search": {"gammas": [0.9, 0.1, 0.5], "pilot_steps": 4, "distance": "frechet_pixels"}
}"#;

/// The choice, and every job that was asked for, in its order.
fn chosen(search: &GammaSearch) -> (Vec<GammaChoice>, Vec<Job>) {
    let mut asked = Vec::new();
    let choices = search.run(&mut |pilots: &Ablation, jobs: &[Job]| -> Result<()> {
        asked.extend(jobs.iter().filter(|job| pilots.work(**job) > 0.0));
        jobs.iter().try_for_each(|job| pilots.run(*job))
    });
    (choices.unwrap(), asked)
}

#[test]
fn a_run_chooses_one_gamma_for_its_steps_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = RunConfig::parse(TINY).unwrap();
    let open = || GammaSearch::of_run(&config, &folder.path().join("pilots"), &folder.path().join("cache")).unwrap();
    let search = open();
    let pilots = search.pilots().config();
    assert_eq!((pilots.reference, pilots.post_train.steps, pilots.samples), (Reference::SetAside, 4, 32));
    let (choices, asked) = chosen(&search);
    assert_eq!(choices.len(), 1);
    assert_eq!(
        (choices[0].target.distance.as_str(), choices[0].target.steps.as_slice()),
        ("frechet_pixels", &[2, 3][..])
    );
    // Two seeds of the control and of at least two of the three γ.
    assert!(asked.len() >= 6 && asked.len().is_multiple_of(2), "{asked:?}");
    assert_eq!(chosen(&open()), (choices.clone(), Vec::new()));

    let lost = folder.path().join("pilots/arms");
    let lost =
        std::fs::read_dir(lost).unwrap().map(|e| e.unwrap().path()).find(|p| p.to_string_lossy().contains("gamma"));
    std::fs::remove_dir_all(lost.unwrap()).unwrap();
    let (again, asked) = chosen(&open());
    assert_eq!((again, asked.len()), (choices, 2));
}

#[test]
fn a_distance_that_the_data_do_not_have_is_named_with_those_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let config = RunConfig::parse(&TINY.replace("frechet_pixels", "energy_distance")).unwrap();
    let error = GammaSearch::of_run(&config, folder.path(), folder.path()).err().unwrap().to_string();
    assert!(error.contains("gamma_search.distance = \"energy_distance\": must be one of frechet_random"), "{error}");
}

#[test]
fn a_sweep_is_chosen_for_by_its_own_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let mut sweep = AblationConfig::read(root().join("configs/ring/exact-2.json")).unwrap();
    sweep.arms[1].strategy = serde_json::from_str(r#"{"kind": "uniform_range"}"#).unwrap();
    let search = GammaSearchConfig { gammas: vec![0.3], ..Default::default() };
    let open = |sweep: &AblationConfig| GammaSearch::of_sweep(sweep, &search, folder.path(), folder.path());
    let kind = serde_json::to_value(open(&sweep).unwrap().pilots().arms()[1].stage.strategy).unwrap();
    assert_eq!(kind, serde_json::json!({"kind": "uniform_range", "gamma": 0.3}));
    sweep.arms.push(sweep.arms[1].clone());
    assert!(open(&sweep).err().unwrap().to_string().contains("needs one arm with `gammas`, not 2"));
}

#[test]
fn pilots_have_seeds_of_their_own() {
    let text = TINY.replace("\"pilot_steps\": 4", "\"seeds\": [7, 1]");
    let error = RunConfig::parse(&text).unwrap_err().to_string();
    assert!(error.contains("gamma_search.seeds = [7, 1]: must be others than those of the results"), "{error}");
}

#[test]
fn on_the_exact_ring_in_two_dimensions_no_gamma_is_chosen_and_in_128_a_large_one() {
    for (dimension, expected) in [(2, None), (128, Some(0.5))] {
        let folder = tempfile::tempdir().unwrap();
        let file = root().join(format!("configs/ring/exact-{dimension}.json"));
        let sweep = AblationConfig { evaluations: vec![5], ..AblationConfig::read(file).unwrap() };
        let search = GammaSearchConfig { samples: Some(1000), seeds: vec![7], ..Default::default() };
        let search = GammaSearch::of_sweep(&sweep, &search, &folder.path().join("run"), folder.path()).unwrap();
        let choices = chosen(&search).0;
        let energy = choices.iter().find(|choice| choice.target.distance == "energy_distance").unwrap();
        assert_eq!(energy.gamma.is_some(), expected.is_some(), "{energy:?}");
        assert!(energy.gamma >= expected, "{energy:?}");
    }
}

#[test]
fn a_system_chooses_by_the_energy_distance_of_latents() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(root().join("configs/sit/tiny.json")).unwrap();
    let search = r#""gamma_search": {"gammas": [0.2, 0.8], "pilot_steps": 5, "seeds": [3]}, "sample""#;
    let text = text.replace("\"gamma\": 0.8", "\"gamma\": \"auto\"").replacen("\"sample\"", search, 1);
    let open = || System::open(SystemConfig::parse(&text).unwrap()).unwrap();
    let mut heard: Vec<Pilot> = Vec::new();
    let choice = open().choose_gamma(folder.path(), &mut |trial| heard.push(trial.clone())).unwrap();
    assert_eq!(heard.iter().map(|trial| trial.gamma).collect::<Vec<_>>(), [None, Some(0.2), Some(0.8)]);
    assert!(heard.iter().all(|trial| trial.found[0].by_seed.len() == 1 && trial.found[0].steps == 10));
    assert_ne!(heard[1].found, heard[2].found);
    // Pilots that are there are read: a second choice is the first, without a checkpoint left to go on from.
    let started = std::time::Instant::now();
    assert_eq!(open().choose_gamma(folder.path(), &mut |_| ()).unwrap(), choice);
    assert!(started.elapsed().as_secs() < 60 && folder.path().join("gamma-0.2/seed-3/distances.json").exists());
    // Another configuration does not read them.
    let longer = text.replace("\"pilot_steps\": 5", "\"pilot_steps\": 6");
    let mut other: Vec<Pilot> = Vec::new();
    let system = System::open(SystemConfig::parse(&longer).unwrap()).unwrap();
    system.choose_gamma(folder.path(), &mut |trial| other.push(trial.clone())).unwrap();
    assert_ne!(other[1].found, heard[1].found);
    // A training with one γ is not gone on with by another that was chosen later.
    let (network, _) = open().load().unwrap();
    let trained = folder.path().join("trained");
    open().with_gamma(0.2).post_train(network.clone(), &trained, Some(1)).unwrap();
    let error = open().with_gamma(0.8).post_train(network.clone(), &trained, None).unwrap_err().to_string();
    assert!(error.contains("holds the training of another stage"), "{error}");
    assert!(open().with_gamma(0.2).post_train(network, &trained, None).unwrap().finished);
    // Training with what is still open is an error, not a guess.
    let (network, _) = open().load().unwrap();
    let error = open().post_train(network, &folder.path().join("none"), None).unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("gamma = \"auto\""), "{error}");
}
