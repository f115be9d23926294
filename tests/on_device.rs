//! Every system's tiny checkpoint on the device that `MIXFLOW_TEST_DEVICE` names, beside the CPU: in, post-training, resuming,
//! samples and weights out. Without the variable nothing is tested, and each test says so.
mod device;
mod tiny;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_mixflow::experiment::Experiment;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::Network;
use burn_mixflow::post_train::Trained;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tiny::opened;

/// The named device; none, and loudly so, without one.
fn named() -> Option<String> {
    let named = device::named();
    if named.is_none() {
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} names no device such as wgpu:0", device::VARIABLE);
    }
    named
}

fn open(system: &str, on: &str, changes: Value) -> Experiment {
    opened(system, on, changes).unwrap_or_else(|error| panic!("{error}"))
}

fn trained(experiment: &Experiment, folder: &Path, until: Option<usize>) -> Trained<Network> {
    let (start, _) = experiment.start().unwrap();
    experiment.post_train(start.clone(), folder, until).unwrap_or_else(|error| panic!("{error}"))
}

fn numbers<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    #[derive(Default)]
    struct All(Vec<String>, BTreeMap<String, Vec<f32>>);
    impl ModuleVisitor for All {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(self.0.join("."), param.val().into_data().iter().collect());
        }
    }
    let mut all = All::default();
    module.visit(&mut all);
    all.1
}

fn difference(a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>) -> f32 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let of = |path: &String| a[path].iter().zip(&b[path]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    a.keys().map(of).fold(0.0, f32::max)
}

/// What is said goes past the test harness: these are measurements.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn system_is_that_of_the_cpu(system: &str, changes: Value, weights_within: f32, samples_within: f32) {
    let Some(name) = named() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [here, there] = ["cpu", &name].map(|on| {
        let experiment = open(system, on, changes.clone());
        let trained = trained(&experiment, &folder.path().join(on.replace(':', "-")), None);
        let samples = experiment.sample(&trained.ema).unwrap().latents.into_data().iter::<f32>().collect::<Vec<_>>();
        (numbers(&trained.ema), numbers(&trained.raw), samples)
    });
    let (ema, raw) = (difference(&here.0, &there.0), difference(&here.1, &there.1));
    let samples = here.2.iter().zip(&there.2).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    say(&format!("{system} on {name}: weights differ by at most {raw:.1e}, averaged {ema:.1e}, samples {samples:.1e}"));
    assert!(raw < weights_within && ema < weights_within, "{system}: {raw}, averaged {ema}");
    assert!(samples < samples_within, "{system}: samples {samples}");
}

#[test]
fn sit_is_that_of_the_cpu() {
    system_is_that_of_the_cpu("sit", json!({}), 1e-3, 1e-2);
}

#[test]
fn repa_is_that_of_the_cpu() {
    system_is_that_of_the_cpu("repa", json!({}), 1e-3, 1e-2);
}

#[test]
fn rae_is_that_of_the_cpu() {
    system_is_that_of_the_cpu("rae", json!({}), 1e-3, 1e-2);
}

#[test]
fn sd35_is_that_of_the_cpu() {
    system_is_that_of_the_cpu("sd35", json!({}), 1e-3, 1e-2);
}

#[test]
fn adapters_are_those_of_the_cpu() {
    let adapter = json!({"post_train": {"adapter": {"kind": "lora", "rank": 2, "match": ["blocks"]}}});
    system_is_that_of_the_cpu("sit", adapter, 1e-3, 1e-2);
}

#[test]
fn a_training_that_was_cut_is_the_whole_one() {
    let Some(name) = named() else { return };
    let folder = tempfile::tempdir().unwrap();
    let experiment = open("sit", &name, json!({"post_train": {"optimizer": {"clip": 0.5}}}));
    let whole = trained(&experiment, &folder.path().join("whole"), None);
    trained(&experiment, &folder.path().join("cut"), Some(3));
    let cut = trained(&experiment, &folder.path().join("cut"), None);
    assert_eq!(cut.steps, 5);
    assert_eq!(difference(&numbers(&whole.raw), &numbers(&cut.raw)), 0.0);
    assert_eq!(difference(&numbers(&whole.ema), &numbers(&cut.ema)), 0.0);
}

#[test]
fn bf16_trains_or_is_refused_before_anything_is_read() {
    let Some(name) = named() else { return };
    let folder = tempfile::tempdir().unwrap();
    let half = json!({"post_train": {"precision": "bf16"}});
    if !device::computes_in(burn::tensor::DType::BF16, "a training in bf16") {
        let error = opened("sit", &name, half).map(drop).unwrap_err().to_string();
        assert!(error.contains("post_train.precision = \"bf16\"") && error.contains("take \"f32\""), "{error}");
        return;
    }
    let here = trained(&open("sit", "cpu", json!({})), &folder.path().join("cpu"), None);
    let there = trained(&open("sit", &name, half), &folder.path().join("half"), None);
    let difference = difference(&numbers(&here.raw), &numbers(&there.raw));
    say(&format!("bf16 on {name} differs from f32 on the CPU by at most {difference:.1e}"));
    assert!(difference < 0.05, "{difference}");
}

/// A million points through a layer of 4096 are 16 GB, which no buffer of wgpu holds.
#[test]
fn a_pass_that_does_not_fit_says_which_one_does() {
    let Some(name) = named() else { return };
    let config = json!({
        "devices": [name],
        "data": {"kind": "ring", "train": 1_000_000, "held_out": 100},
        "network": {"kind": "residual_mlp", "channels": 2, "size": 1, "width": 4096, "depth": 1},
        "start": {"kind": "pretrain", "steps": 1, "steps_per_epoch": 1, "batch_size": 8},
        "post_train": {"steps": 1, "steps_per_epoch": 1, "batch_size": 1_000_000}
    });
    let folder = tempfile::tempdir().unwrap();
    let experiment = Experiment::open(ExperimentConfig::parse(&config.to_string()).unwrap(), folder.path()).unwrap();
    let (start, _) = experiment.start().unwrap();
    let trained = experiment.post_train(start, folder.path(), None).map(drop).unwrap_err().to_string();
    let timed = experiment.time_steps().map(drop).unwrap_err().to_string();
    say(&format!("{trained}\n{timed}"));
    for error in [trained, timed] {
        assert!(error.contains("the device has no memory left (can't allocate buffer of size"), "{error}");
        assert!(error.contains("`accumulation` = 2 makes passes of 500000 and the same updates"), "{error}");
    }
}

/// Burn 0.22.1 copies numbers from a GPU when they are first looked at: a checkpoint that another thread writes must not hold
/// what later steps made of them.
#[test]
fn a_training_goes_on_from_a_checkpoint_in_its_middle_as_it_went_on_before() {
    let Some(name) = named() else { return };
    let folder = tempfile::tempdir().unwrap();
    let experiment = open("sit", &name, json!({}));
    let whole = trained(&experiment, folder.path(), None);
    std::fs::remove_dir_all(folder.path().join("checkpoints/step-00000008")).unwrap();
    std::fs::remove_file(folder.path().join("ema.bpk")).unwrap();
    let again = trained(&experiment, folder.path(), None);
    assert_eq!(again.steps, 4, "it must have gone on from step 4");
    assert_eq!(difference(&numbers(&whole.raw), &numbers(&again.raw)), 0.0);
    assert_eq!(difference(&numbers(&whole.ema), &numbers(&again.ema)), 0.0);
}
