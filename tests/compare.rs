//! Small tables from end to end: the facts that are robust, resuming, pairing.
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{Comparison, ComparisonResults, Experiment};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn shipped(name: &str) -> ExperimentConfig {
    ExperimentConfig::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)).unwrap()
}

fn open(config: ExperimentConfig, folder: &Path) -> Comparison {
    let experiment = Experiment::open(config, &folder.join("cache")).unwrap();
    Comparison::open(experiment, &folder.join("run")).unwrap()
}

fn run(config: ExperimentConfig, folder: &Path) -> ComparisonResults {
    let comparison = open(config, folder);
    for job in comparison.jobs() {
        comparison.run(job).unwrap();
    }
    let results = comparison.write_results().unwrap();
    comparison.draw(&results).unwrap();
    results
}

/// The distances of every seed by the first metric under the first sampler.
fn values(results: &ComparisonResults, arm: &str, evaluations: usize) -> Vec<f64> {
    results.row(&results.floors[0].metric, results.samplers()[0], arm, evaluations).unwrap().values.clone()
}

#[test]
fn on_photos_a_small_gamma_beats_the_control_at_few_steps_on_every_seed() {
    let folder = tempfile::tempdir().unwrap();
    let results = run(shipped("photos/ablation-ci.json"), folder.path());
    for evaluations in [5, 10, 20] {
        let control = values(&results, "control", evaluations);
        let mixflow = values(&results, "MixFlow γ=0.1", evaluations);
        assert_eq!((control.len(), mixflow.len()), (2, 2));
        for (seed, (control, mixflow)) in control.iter().zip(mixflow).enumerate() {
            assert!(mixflow < *control, "seed {seed}, {evaluations} evaluations: {mixflow} against {control}");
        }
    }
}

#[test]
fn on_the_exact_ring_in_two_dimensions_a_large_gamma_hurts() {
    let folder = tempfile::tempdir().unwrap();
    let results = run(shipped("ring/ci.json"), folder.path());
    for evaluations in [5, 10, 20] {
        let (exact, slowed) = (values(&results, "exact", evaluations), values(&results, "exact γ=0.8", evaluations));
        assert!(exact.iter().zip(&slowed).all(|(exact, slowed)| *slowed > 5.0 * exact), "{exact:?} {slowed:?}");
    }
}

const TINY: &str = r#"{
    "data": {"kind": "photos", "train": 200, "held_out": 100},
    "network": {"kind": "residual_mlp", "width": 16, "depth": 1},
    "start": {"kind": "pretrain", "steps": 10, "batch_size": 16, "steps_per_epoch": 5, "ema": {"ramp": false}},
    "post_train": {"steps": 10, "batch_size": 16, "steps_per_epoch": 5, "ema": {"ramp": true}},
    "compare": {
        "arms": [
            {"name": "none", "weights": "start"}, {"name": "control"},
            {"name": "MixFlow", "strategy": {"kind": "mixflow"}, "gammas": [0.5, 1]},
            {"name": "perturbed", "input": {"kind": "perturbation", "gamma": 0.1}},
            {"name": "perturbed by nothing", "input": {"kind": "perturbation", "gamma": 0}},
            {"name": "rollout", "input": {"kind": "rollout", "steps": 2, "span": 0.5}},
            {"name": "anti-drift", "anti_drift": {"weight": 0.5}},
            {"name": "magnitude", "magnitude": {"weight": 0.5}},
            {"name": "decaying", "strategy": {"kind": "decaying", "gamma": 1, "final_gamma": 0.5, "decay": "cosine"}}
        ],
        "samplers": [
            {"name": "Euler"}, {"name": "Heun", "solver": "heun"},
            {"name": "all at once", "arms": ["control"], "corrections": [
                {"kind": "static_shift", "delta": 0.1}, {"kind": "epsilon_scaling", "lambda": 1.01},
                {"kind": "time_shift_sampler", "window": 0.2, "below": 0.5}, {"kind": "differential", "low": 0.1}]}
        ],
        "evaluations": [2, 3], "seeds": [0, 1], "samples": 32, "batch_size": 16
    }
}"#;

fn cells(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(cells(&path));
        } else if path.parent().is_some_and(|p| p.ends_with("cells")) && path.extension().is_some_and(|e| e == "json") {
            let cell: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            found.insert(path, cell["distances"].to_string());
        }
    }
    found
}

#[test]
fn arms_are_paired_and_a_run_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = ExperimentConfig::parse(TINY).unwrap();
    let results = run(config.clone(), folder.path());
    // Two samplers of 10 arms, Heun at 2 evaluations only, one more of the control; three metrics.
    assert_eq!(results.rows.len(), 3 * (10 * 2 + 10 + 2));
    for evaluations in [2, 3] {
        let of = |arm: &str| values(&results, arm, evaluations);
        assert_eq!(of("control"), of("perturbed by nothing"));
        for other in ["none", "MixFlow γ=0.5", "perturbed", "rollout", "anti-drift", "magnitude", "decaying"] {
            assert_ne!(of("control"), of(other), "{other}");
        }
    }
    let metric = &results.floors[0].metric;
    let same = results.row(metric, "Heun", "perturbed by nothing", 2).unwrap();
    assert_eq!((same.paired_change, same.against.as_str()), (Some(0.0), "Heun"));
    let heun = results.row(metric, "Heun", "control", 2).unwrap();
    assert_eq!((heun.steps, heun.against.as_str()), (1, "Euler"));
    let plain = results.row(metric, "Euler", "control", 2).unwrap();
    assert_eq!((plain.paired_change, plain.seeds.as_slice()), (None, &[0, 1][..]));
    let written = folder.path().join("run");
    assert!(std::fs::read_to_string(written.join("table.md")).unwrap().contains("| MixFlow γ=0.5 |"));
    assert!(std::fs::read_to_string(written.join("curves-frechet_pixels-euler.svg")).unwrap().starts_with("<svg"));

    // Nothing is left to do; what is taken away is computed again, and comes out the same.
    let comparison = open(config, folder.path());
    assert!(comparison.jobs().into_iter().all(|job| comparison.work(job) == 0.0));
    let before = cells(&written);
    for file in before.keys().step_by(5) {
        std::fs::remove_file(file).unwrap();
    }
    let lost = before.keys().find(|p| p.to_string_lossy().contains("mixflow-gamma-1-")).unwrap();
    std::fs::remove_dir_all(lost.ancestors().nth(2).unwrap()).unwrap();
    assert!(comparison.jobs().into_iter().any(|job| comparison.work(job) > 0.0));
    for job in comparison.jobs() {
        comparison.run(job).unwrap();
    }
    assert_eq!(cells(&written), before);
}

#[test]
fn two_arms_alike_are_refused_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = ExperimentConfig::parse(TINY).unwrap();
    let mut alike = config.clone();
    alike.compare.arms[1].name = "once".into();
    alike.compare.arms.push(config.compare.arms[1].clone());
    let experiment = Experiment::open(alike, &folder.path().join("cache")).unwrap();
    let error = Comparison::open(experiment, &folder.path().join("run")).map(drop).unwrap_err().to_string();
    assert!(error.contains("compare.arms : `once` and `control` are the same"), "{error}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn vectors_are_measured_by_energy() {
    for data in [r#"{"kind": "ring", "dimension": 4, "train": 200, "held_out": 100}"#, r#"{"kind": "table"}"#] {
        let folder = tempfile::tempdir().unwrap();
        let channels = if data.contains("ring") { 4 } else { 30 };
        let text = TINY
            .replace(r#"{"kind": "photos", "train": 200, "held_out": 100}"#, data)
            .replace(r#""width": 16"#, &format!(r#""channels": {channels}, "size": 1, "width": 16"#))
            .replace(r#", {"kind": "differential", "low": 0.1}"#, "");
        let mut config = ExperimentConfig::parse(&text).unwrap();
        config.compare.arms.retain(|arm| arm.weights.is_none() && arm.gammas.is_empty());
        config.compare.seeds = vec![3];
        let results = run(config, folder.path());
        let metrics: Vec<_> = results.floors.iter().map(|f| f.metric.as_str()).collect();
        assert_eq!(metrics, ["energy_distance", "frechet_vectors"]);
        assert!(results.rows.iter().all(|row| row.mean.is_finite() && row.mean > 0.0));
        let written = ComparisonResults::read(&folder.path().join("run/results.json")).unwrap();
        assert_eq!(written.rows, results.rows);
        assert!(serde_json::to_string(&results).unwrap().contains("energy_distance"));
    }
}
