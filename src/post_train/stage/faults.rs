//! A stage that is stopped, fails, or is given another's checkpoints.
use super::tests::{Line, Points, config, network, points};
use super::*;
use crate::post_train::{FaultReport, Replay};
use crate::timestep::{GammaDecay, StrategyConfig};
use crate::train::Sharding;
use burn::data::dataset::{DatasetError, InMemDataset};
use burn::module::Module;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const STAGE: &str = r#"{"steps": 15, "steps_per_epoch": 5, "batch_size": 8, "optimizer": {"learning_rate": 1e-2},
    "schedule": {"warm_up": 3, "decay": "cosine", "final_fraction": 0.1}}"#;

fn weights(line: &Line) -> Vec<f32> {
    line.layer.weight.val().into_data().iter::<f32>().collect()
}

fn run(stage: &Stage<'_>) -> Result<Trained<Line>> {
    stage.run(network(2), points(40), points(8), Points)
}

/// The training table without the speed, which no two runs share.
fn table(folder: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("metrics").join(name)).unwrap();
    let speed = text.lines().next().unwrap().split(',').position(|column| column == "samples_per_second");
    let kept = |line: &str| {
        let cells = line.split(',').enumerate().filter(|(i, _)| Some(*i) != speed).map(|(_, cell)| cell);
        cells.collect::<Vec<_>>().join(",")
    };
    text.lines().map(kept).collect()
}

/// Points of which some change or vanish while they are trained on.
struct Moody {
    points: InMemDataset<f32>,
    asked: AtomicUsize,
    /// What the n-th batch asked for is answered with.
    answer: Box<dyn Fn(usize, usize, f32) -> Option<f32> + Send + Sync>,
}

impl Moody {
    fn new(answer: impl Fn(usize, usize, f32) -> Option<f32> + Send + Sync + 'static) -> Self {
        Self { points: points(40), asked: AtomicUsize::new(0), answer: Box::new(answer) }
    }
}

impl Dataset<f32> for Moody {
    fn get(&self, index: usize) -> std::result::Result<f32, DatasetError> {
        self.get_many(vec![index]).map(|items| items[0])
    }
    fn get_many(&self, indices: Vec<usize>) -> std::result::Result<Vec<f32>, DatasetError> {
        let batch = self.asked.fetch_add(1, Ordering::SeqCst);
        let one = |index: usize| {
            let value = self.points.get(index)?;
            (self.answer)(batch, index, value)
                .ok_or_else(|| DatasetError::new(std::io::Error::other("7.npy: vanished")))
        };
        indices.into_iter().map(one).collect()
    }
    fn len(&self) -> usize {
        40
    }
}

#[test]
fn wherever_it_is_cut_it_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole_folder = folder.path().join("whole");
    let config = config(STAGE);
    let whole = run(&Stage::new(&config, &whole_folder)).unwrap();
    assert_eq!(table(&whole_folder, "train.csv").len(), 16);
    assert_eq!(table(&whole_folder, "valid.csv").len(), 4);
    for (name, stops) in [("often", vec![1, 2, 3, 7, 11, 14]), ("at epochs", vec![5, 10]), ("once", vec![6])] {
        let parts = folder.path().join(name);
        for stop in stops {
            let stage = Stage::new(&config, &parts).until(stop);
            let trained = run(&stage).unwrap();
            assert_eq!((trained.reached, trained.finished), (stop, false));
        }
        let trained = run(&Stage::new(&config, &parts)).unwrap();
        assert!(trained.finished && trained.reached == 15);
        assert_eq!(
            (weights(&trained.ema), weights(&trained.raw)),
            (weights(&whole.ema), weights(&whole.raw)),
            "{name}"
        );
        for file in ["train.csv", "valid.csv"] {
            assert_eq!(table(&parts, file), table(&whole_folder, file), "{name}: {file}");
        }
        let again = run(&Stage::new(&config, &parts)).unwrap();
        assert_eq!((again.steps, again.finished, weights(&again.ema)), (0, true, weights(&whole.ema)));
    }
    let mut often = config.clone();
    often.checkpoints.every_steps = Some(2);
    often.checkpoints.every_minutes = Some(1e-6);
    let saved = folder.path().join("saved");
    let trained = run(&Stage::new(&often, &saved)).unwrap();
    assert_eq!(weights(&trained.raw), weights(&whole.raw));
    assert_eq!(table(&saved, "train.csv"), table(&whole_folder, "train.csv"));
}

#[test]
fn a_stop_is_saved_at_its_step_and_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let (config, stop) = (config(STAGE), Stop::new());
    let asks = stop.clone();
    let data = Moody::new(move |batch, _, value| {
        if batch == 6 {
            asks.request("by a test");
        }
        Some(value)
    });
    let stage = Stage::new(&config, folder.path().join("a")).stopped_by(&stop);
    let error = stage.run(network(2), data, points(8), Points).unwrap_err();
    // Batches are loaded while those before them are worked on.
    let said = |step: usize| {
        format!("train: stopped by a test, with step {step} of 15 saved; the same command goes on from there")
    };
    let reached = (4..=7).find(|step| error.to_string() == said(*step));
    let reached = reached.unwrap_or_else(|| panic!("{error}"));
    let trained = run(&Stage::new(&config, folder.path().join("a"))).unwrap();
    let whole = run(&Stage::new(&config, folder.path().join("b"))).unwrap();
    assert_eq!((trained.steps, weights(&trained.ema)), (15 - reached, weights(&whole.ema)));
}

#[test]
fn a_batch_that_is_not_finite_is_named_kept_and_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(STAGE);
    let stage = Stage::new(&config, folder.path()).item_names(|item| format!("{item}.npy"));
    // Each pass has five batches: in the second one item 7 is poisoned.
    let poison = || Moody::new(|batch, index, value| Some(if batch >= 5 && index == 7 { f32::NAN } else { value }));
    let error = stage.run(network(2), poison(), points(8), Points).unwrap_err().to_string();
    assert!(error.contains("the gradient norm is NaN at optimizer step"), "{error}");
    assert!(
        error.contains("7.npy") && error.contains("fault.json") && error.contains("the newest checkpoint is of step"),
        "{error}"
    );
    let report = FaultReport::read(folder.path()).unwrap().unwrap();
    assert!((5..10).contains(&report.step) && report.items.contains(&7) && report.keys.len() == 8, "{report:?}");
    let always = Moody::new(|_, index, value| Some(if index == 7 { f32::NAN } else { value }));
    let Replay { step, samples, parameters, .. } = stage.replay(network(2), always, 8, Points).unwrap();
    assert_eq!((step, samples.len()), (report.step, 8));
    let bad: Vec<usize> = samples.iter().filter(|s| !s.is_finite || !s.loss.is_finite()).map(|s| s.item).collect();
    assert_eq!(bad, [7]);
    assert!(parameters.contains(&"layer.weight".to_string()), "{parameters:?}");
    // The data are mended: it goes on and ends as if nothing had been.
    let trained = run(&stage).unwrap();
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(weights(&trained.ema), weights(&run(&Stage::new(&config, whole.path())).unwrap().ema));
    assert_eq!(FaultReport::read(folder.path()).unwrap(), None);
    assert!(stage.replay(network(2), points(40), 8, Points).unwrap_err().to_string().contains("no step failed here"));
}

#[test]
fn skipped_updates_count_as_steps_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let with = |in_a_row: u64| {
        let mut config = config(STAGE);
        config.on_non_finite = NonFinitePolicy::Skip { in_a_row };
        config
    };
    let once = Moody::new(|batch, _, value| Some(if batch == 4 { f32::NAN } else { value }));
    let config = with(2);
    let trained = Stage::new(&config, folder.path().join("a")).run(network(2), once, points(8), Points).unwrap();
    assert_eq!(trained.reached, 15);
    assert!(weights(&trained.ema).iter().all(|weight| weight.is_finite()));
    let from = |first| Moody::new(move |batch, _, value| Some(if batch >= first { f32::NAN } else { value }));
    let stage = Stage::new(&config, folder.path().join("b"));
    let error = stage.run(network(2), from(6), points(8), Points).unwrap_err().to_string();
    assert!(error.contains("3 updates in a row were left out"), "{error}");
    // The count goes on after a resume: the limit is that of the training, not of a process.
    let stage = Stage::new(&config, folder.path().join("c"));
    stage.clone().until(7).run(network(2), from(6), points(8), Points).unwrap();
    let error = stage.run(network(2), from(0), points(8), Points).unwrap_err().to_string();
    assert!(
        error.contains(
            "3 updates in a row were left out, as their gradients were not finite, the last at optimizer step 8"
        ),
        "{error}"
    );
}

#[test]
fn a_rollback_goes_on_from_the_last_set_with_other_draws() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(STAGE);
    config.on_non_finite = NonFinitePolicy::Rollback { times: 2 };
    let poison = |times: usize| {
        let left = Mutex::new(times);
        Moody::new(move |batch, _, value| {
            let mut left = left.lock().unwrap();
            let bad = batch >= 7 && *left > 0;
            *left -= usize::from(bad);
            Some(if bad { f32::NAN } else { value })
        })
    };
    let stage = Stage::new(&config, folder.path().join("a"));
    let trained = stage.run(network(2), poison(1), points(8), Points).unwrap();
    let plain = run(&Stage::new(&config, folder.path().join("b"))).unwrap();
    assert_eq!((trained.reached, plain.reached), (15, 15));
    assert_ne!(weights(&trained.ema), weights(&plain.ema), "the draws must be others");
    let error =
        Stage::new(&config, folder.path().join("c")).run(network(2), poison(1000), points(8), Points).unwrap_err();
    assert!(error.to_string().contains("after 2 returns to an earlier checkpoint, more are not allowed"), "{error}");
}

#[test]
fn an_item_that_turns_bad_is_named_after_a_save() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(STAGE);
    let stage = Stage::new(&config, folder.path());
    let vanishing = Moody::new(|batch, _, value| (batch < 8).then_some(value));
    let error = stage.run(network(2), vanishing, points(8), Points).unwrap_err().to_string();
    assert!(error.contains("7.npy: vanished; the newest checkpoint is of step 8"), "{error}");
    assert_eq!(run(&stage).unwrap().steps, 7);
    // In validation too: what was trained is saved first.
    let other = Stage::new(&config, folder.path().join("other"));
    let gone = Moody::new(|_, _, _| None);
    let error = other.run(network(2), points(40), gone, Points).unwrap_err().to_string();
    assert!(error.contains("7.npy: vanished; the newest checkpoint is of step 5"), "{error}");
}

#[test]
fn weights_that_explode_at_the_end_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config =
        config(r#"{"steps": 4, "steps_per_epoch": 2, "batch_size": 8, "optimizer": {"learning_rate": 1.0}}"#);
    let stage = |config: &StageConfig| run(&Stage::new(config, folder.path()));
    stage(&StageConfig { steps: 2, ..config.clone() }).unwrap();
    // A finite gradient, and an update that takes every weight out of the range of f32.
    config.optimizer.weight_decay = 3e38;
    let other = folder.path().join("other");
    let explodes = Line { layer: network(2).layer };
    let explodes = explodes.map(&mut Times(100.0));
    let error = Stage::new(&config, &other).run(explodes, points(40), points(8), Points).unwrap_err().to_string();
    assert!(error.contains("holds a NaN or an infinity") || error.contains("gradient norm is"), "{error}");
    let sets: Vec<_> = std::fs::read_dir(other.join("checkpoints")).unwrap().flatten().collect();
    assert!(sets.iter().all(|set| !set.path().join("COMPLETE").exists()), "{sets:?}");
}

/// Multiplies every weight.
struct Times(f32);

impl burn::module::ModuleMapper for Times {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        param.map(|tensor| (tensor * self.0).detach().require_grad())
    }
}

#[test]
fn another_training_does_not_go_on_from_these_sets() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(STAGE);
    let stage = Stage::new(&config, folder.path()).made_of("data", "24 items");
    run(&stage.clone().until(5)).unwrap();
    let refused = |stage: &Stage<'_>| match run(stage) {
        Err(Error::OtherTraining { differences, .. }) => differences,
        other => panic!("{other:?}"),
    };
    let mut other = config.clone();
    other.optimizer.learning_rate = 2e-2;
    let other = Stage::new(&other, folder.path()).made_of("data", "24 items");
    assert_eq!(refused(&other), ["optimizer.learning_rate: was 0.01, now 0.02"]);
    assert_eq!(refused(&stage.clone().made_of("data", "12 items")), [r#"data: was "24 items", now "12 items""#]);
    assert_eq!(refused(&stage.clone().seed(9)), ["seed of the draws: was 0, now 9"]);
    let error = stage.run(network(2), points(39), points(8), Points).unwrap_err().to_string();
    assert!(error.contains("training items: was 40, now 39"), "{error}");
    let wide = burn::nn::LinearConfig::new(2, 2).with_bias(false).init(&Device::flex().autodiff());
    let error = stage.run(Line { layer: wide }, points(40), points(8), Points).unwrap_err().to_string();
    assert!(error.contains("the network: was ") && error.contains(" tensors ("), "{error}");
    // More steps of a schedule that has had the same rates so far.
    let mut longer = config.clone();
    longer.steps = 20;
    let found = refused(&Stage::new(&longer, folder.path()).made_of("data", "24 items"));
    assert_eq!(
        found,
        ["steps: was 15, now 20, which would have given other learning rates or another γ up to here"],
        "a cosine has had others"
    );
    run(&stage).unwrap();
}

#[test]
fn steps_may_be_raised_where_the_rates_were_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |steps: usize| config(&format!(r#"{{"steps": {steps}, "steps_per_epoch": 5, "batch_size": 8}}"#));
    let (short, long) = (at(10), at(20));
    assert!(run(&Stage::new(&short, folder.path().join("a"))).unwrap().finished);
    let raised = run(&Stage::new(&long, folder.path().join("a"))).unwrap();
    let whole = run(&Stage::new(&long, folder.path().join("b"))).unwrap();
    assert_eq!((raised.steps, weights(&raised.ema)), (10, weights(&whole.ema)));
    // A γ that falls over the training has been another.
    for (last, refused) in [(0.0, true), (0.4, false)] {
        let falls = |config: &StageConfig| {
            let mut config = config.clone();
            let decay = GammaDecay::default();
            config.strategy = StrategyConfig::Decaying { gamma: 0.4, final_gamma: last, decay };
            config
        };
        let (short, long, stage) = (falls(&short), falls(&long), folder.path().join(format!("falls to {last}")));
        run(&Stage::new(&short, &stage)).unwrap();
        assert_eq!(matches!(run(&Stage::new(&long, &stage)), Err(Error::OtherTraining { .. })), refused, "{last}");
    }
}

#[test]
fn damaged_sets_fall_back_and_when_all_are_damaged_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(STAGE);
    let stage = Stage::new(&config, folder.path());
    run(&stage.clone().until(10)).unwrap();
    let set = |step: usize| folder.path().join(format!("checkpoints/step-{step:08}"));
    // A set under another's name, with its manifest or without.
    std::fs::rename(set(10), set(12)).unwrap();
    let whole = tempfile::tempdir().unwrap();
    let expected = weights(&run(&Stage::new(&config, whole.path())).unwrap().ema);
    let trained = run(&stage).unwrap();
    assert_eq!((trained.steps, weights(&trained.ema)), (10, expected), "from step 5");
    for step in [10, 15] {
        let file = set(step).join("model.bpk");
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    match run(&stage) {
        Err(Error::Damaged { reasons, .. }) => assert!(reasons.len() >= 2, "{reasons:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_stage_at_a_time_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(STAGE);
    let _lock = FolderLock::take(folder.path()).unwrap();
    let error = run(&Stage::new(&config, folder.path())).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {} on ", std::process::id())), "{error}");
}

#[test]
fn devices_add_up_in_one_order() {
    let trained = |devices: usize, accumulation: usize, sharding: Sharding| {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(STAGE);
        (config.batch_size, config.accumulation, config.sharding) = (12, accumulation, sharding);
        let stage = Stage::new(&config, folder.path()).devices(&vec![Device::flex(); devices]).clone();
        weights(&stage.run(network(2), points(40), points(8), Points).unwrap().ema)
    };
    let at = |devices, accumulation| trained(devices, accumulation, Sharding::None);
    let one = at(1, 1);
    for (devices, accumulation) in [(3, 1), (2, 2), (4, 1), (3, 2)] {
        let first = at(devices, accumulation);
        for _ in 0..3 {
            let again = at(devices, accumulation);
            assert!(first.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "{devices} × {accumulation}");
        }
        let spread = trained(devices, accumulation, Sharding::Optimizer);
        assert!(first.iter().zip(&spread).all(|(a, b)| a.to_bits() == b.to_bits()), "{devices} × {accumulation}");
        for (a, b) in first.iter().zip(&one) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{devices} × {accumulation}: {a} and {b}");
        }
    }
}

#[test]
fn early_stopping_survives_a_resume_and_the_best_set_stays() {
    let folder = tempfile::tempdir().unwrap();
    // With a rate of 1 the loss soon gets no better.
    let json = r#"{"steps": 100, "steps_per_epoch": 5, "batch_size": 8, "optimizer": {"learning_rate": 1.0},
        "early_stopping": {"patience": 3}, "checkpoints": {"keep": {"last": 2, "best": 1}}}"#;
    let config = config(json);
    let whole = run(&Stage::new(&config, folder.path().join("whole"))).unwrap();
    assert!(whole.finished && whole.reached < 100, "{}", whole.reached);
    let parts = Stage::new(&config, folder.path().join("parts"));
    for stop in [7, 12, 18] {
        run(&parts.clone().until(stop.min(whole.reached - 1))).unwrap();
    }
    let trained = run(&parts).unwrap();
    assert_eq!((trained.reached, weights(&trained.ema)), (whole.reached, weights(&whole.ema)));
    let again = run(&parts).unwrap();
    assert_eq!((again.steps, again.finished), (0, true));
    let best = whole.reached - 15;
    assert!(folder.path().join(format!("whole/checkpoints/step-{best:08}/COMPLETE")).exists());
}

#[test]
fn whatever_write_fails_nothing_is_lost_and_nothing_is_silent() {
    let config = config(r#"{"steps": 6, "steps_per_epoch": 2, "batch_size": 8}"#);
    let expected = weights(&run(&Stage::new(&config, tempfile::tempdir().unwrap().path())).unwrap().ema);
    for lasting in [false, true] {
        let mut at = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let stage = Stage::new(&config, folder.path().join("stage"));
            let mut result = None;
            let work = || {
                result = Some(run(&stage));
                true
            };
            let walk = if lasting { crate::storage::faults::walk_lasting } else { crate::storage::faults::walk };
            let Some(_) = walk(folder.path(), at, work) else { break };
            match result.unwrap() {
                // Only what does not matter was not written.
                Ok(trained) => assert_eq!((weights(&trained.ema), trained.finished), (expected.clone(), true), "{at}"),
                Err(error) => assert!(error.to_string().contains("no storage space"), "{at}: {error}"),
            }
            let trained = run(&stage).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(weights(&trained.ema), expected, "{at}");
            at += 1;
        }
        assert!(at > 60, "{at} operations");
    }
}
