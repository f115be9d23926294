//! A resumed run is the uninterrupted run, bit for bit: weights, EMA, Adam state and every logged loss.
//!
//! Each part of a run is a process of its own: this test binary, started again with a job in its environment.
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::optim::AdamWConfig;
use burn::store::burn_pack::Reader;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::FileMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{Learner, SupervisedTraining};
use burn_mixflow::checkpoint::CheckpointSets;
use burn_mixflow::models::ResidualMlpConfig;
use burn_mixflow::monitor::PlainRenderer;
use burn_mixflow::post_train::{Decay, ScheduleConfig};
use burn_mixflow::timestep::{GammaDecay, StrategyConfig};
use burn_mixflow::train::{EmaConfig, EpochLoader, FlowBatch, MixFlowTrainStep, metrics};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const EPOCHS: usize = 6;
const BATCHES_PER_EPOCH: usize = 5;
const FOLDER: &str = "MIXFLOW_TEST_FOLDER";
const LAST: &str = "MIXFLOW_TEST_LAST_EPOCH";
const PAUSE: &str = "MIXFLOW_TEST_PAUSE_MS";

type Sample = (Vec<f32>, i64);

struct Images {
    pause: Duration,
}

impl Batcher<Sample, FlowBatch<4, Tensor<1, Int>>> for Images {
    fn batch(&self, items: Vec<Sample>, device: &Device) -> FlowBatch<4, Tensor<1, Int>> {
        std::thread::sleep(self.pause);
        let n = items.len();
        let (data, labels): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let data = Tensor::from_data(TensorData::new(data.concat(), [n, 1, 4, 4]), device);
        FlowBatch::new(data, Tensor::from_data(TensorData::new(labels, [n]), device))
    }
}

fn samples(count: usize) -> InMemDataset<Sample> {
    let value = |i: usize, j: usize| ((i * 16 + j) as f32 * 0.37).sin();
    InMemDataset::new((0..count).map(|i| ((0..16).map(|j| value(i, j)).collect(), (i % 3) as i64)).collect())
}

/// Trains in `folder` up to `last`, from the newest complete checkpoint if there is one.
fn train(folder: &Path, last: usize, pause: Duration) {
    let device = Device::flex().autodiff();
    let sets = CheckpointSets::open(folder.join("checkpoint")).unwrap();
    let finished = sets.latest().unwrap();
    // Another start after a resume: only the checkpoint may count.
    let network =
        ResidualMlpConfig { size: 4, width: 16, depth: 2, embedding: 8, num_classes: 3, ..Default::default() }
            .init_seeded(finished.unwrap_or(100) as u64, &device)
            .unwrap();
    // A γ that falls from step to step: a resumed run must know where it is.
    let strategy = StrategyConfig::Decaying { gamma: 0.8, final_gamma: 0.1, decay: GammaDecay::Cosine };
    let step = MixFlowTrainStep::builder(network, strategy.build(None).unwrap())
        .with_steps((EPOCHS * BATCHES_PER_EPOCH) as u64)
        .with_ema(EmaConfig { decay: 0.9, ramp: true })
        .with_clip(0.5)
        .with_condition_dropout(0.1)
        .with_seed(3);
    let training = EpochLoader::training(samples(56), Images { pause }, &device)
        .with_batch_size(8)
        .with_seed(3)
        .with_finished_epochs(finished.unwrap_or(0))
        .with_batches_per_epoch(BATCHES_PER_EPOCH)
        .build()
        .unwrap();
    let images = Images { pause: Duration::ZERO };
    let validation = EpochLoader::validation(samples(20), images, &device).with_batch_size(8).with_seed(4);
    let validation = validation.build().unwrap();
    let (model, optim, scheduler) = sets.parts();
    let mut run = SupervisedTraining::new(folder, Arc::new(training), Arc::new(validation))
        .with_custom_checkpointers(model, optim, scheduler)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_metric_logger(FileMetricLogger::new(folder.join("log")))
        .with_application_logger(None)
        .renderer(Box::new(PlainRenderer::to("", Duration::MAX, Box::new(std::io::sink()))))
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .metric_train_numeric(metrics::step())
        .metric_train_numeric(metrics::mean_t())
        .num_epochs(last);
    for gauge in metrics::loss_by_t(2) {
        run = run.metric_train_numeric(gauge);
    }
    if let Some(epoch) = finished {
        run = run.checkpoint(epoch);
    }
    let schedule = ScheduleConfig { warm_up: 8, decay: Decay::Cosine, final_fraction: 0.1, ..Default::default() };
    let rate = schedule.build(0.02, EPOCHS * BATCHES_PER_EPOCH);
    let step = step.with_interrupter(run.interrupter()).build().unwrap();
    let result = run.launch(Learner::new(step, AdamWConfig::new().init(), rate));
    assert!(result.error.is_none(), "{:?}", result.error);
    assert_eq!(result.model.updates(), (last * BATCHES_PER_EPOCH) as u64);
}

/// Does the job in the environment; without one, nothing.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    train(&PathBuf::from(folder), number(LAST) as usize, Duration::from_millis(number(PAUSE)));
}

fn start(folder: &Path, last: usize, pause_ms: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(LAST, last.to_string())
        .env(PAUSE, pause_ms.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn run(folder: &Path, last: usize) {
    assert!(start(folder, last, 0).wait().unwrap().success());
}

/// Every tensor, number and byte of one checkpoint file. Parameter ids, random in each process, are
/// replaced by the parameter's path.
fn contents(path: &Path) -> BTreeMap<String, String> {
    let reader = Reader::from_file(path).unwrap();
    let paths = reader.metadata().clone();
    let named = |name: &str| match name.split_once('.') {
        Some((id, rest)) if paths.contains_key(id) => format!("{}.{rest}", paths[id]),
        _ => name.to_string(),
    };
    let mut all: BTreeMap<_, _> = reader.scalars().iter().map(|(k, v)| (named(k), format!("{v:?}"))).collect();
    for tensor in reader.into_tensors().unwrap() {
        let (name, dtype, shape, _, bytes) = tensor.into_parts().unwrap();
        all.insert(named(&name), format!("{dtype:?} {shape:?} {:?}", &bytes[..]));
    }
    all
}

/// Every metric file below `folder`, by its path.
fn logs(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

fn assert_same(a: &Path, b: &Path) {
    let sets = |folder: &Path| CheckpointSets::open(folder.join("checkpoint")).unwrap();
    assert_eq!(sets(a).latest().unwrap(), Some(EPOCHS));
    assert_eq!(sets(b).latest().unwrap(), Some(EPOCHS));
    for (part, expected) in [("model", 40), ("optim", 40), ("scheduler", 1)] {
        let [a, b] = [a, b].map(|folder| contents(&sets(folder).part_path(EPOCHS, part)));
        assert!(a.len() >= expected, "{part}: only {:?}", a.keys());
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{part}");
        for (name, value) in &a {
            assert!(*value == b[name], "{part}: {name} differs");
        }
    }
    let [a, b] = [a, b].map(|folder| logs(&folder.join("log")));
    let losses = a.keys().filter(|path| path.ends_with("Loss.log")).count();
    assert_eq!(losses, 2 * EPOCHS, "one training and one validation loss per epoch");
    assert!(a[Path::new("train/epoch-6/Loss.log")].lines().count() >= BATCHES_PER_EPOCH);
    assert_eq!(a, b);
}

#[test]
fn three_epochs_and_three_more_in_a_new_process_are_six() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    run(&whole, EPOCHS);
    run(&parts, EPOCHS / 2);
    run(&parts, EPOCHS);
    assert_same(&whole, &parts);
}

#[cfg(unix)]
#[test]
fn killed_at_random_moments_and_resumed_it_is_the_same_run() {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    run(&whole, EPOCHS);
    let random = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos() % 250;
    let first = killed.join("checkpoint/epoch-000001/COMPLETE");
    let mut kills = 0;
    loop {
        // The pauses of a whole run add up to 600 ms, of which 500 are left after the first checkpoint.
        let mut child = start(&killed, EPOCHS, 20);
        while kills == 0 && !first.exists() {
            assert!(child.try_wait().unwrap().is_none(), "ended without a checkpoint");
            std::thread::sleep(Duration::from_millis(1));
        }
        if kills < 4 {
            std::thread::sleep(Duration::from_millis(random().into()));
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "{status}");
        kills += 1;
    }
    assert!(kills > 0, "the first process was to be killed between its checkpoints");
    assert_same(&whole, &killed);
}
