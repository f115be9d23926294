//! Post-training with adapters: what is trained, averaged and kept, and that it is the same training as ever.
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::store::burn_pack::Reader;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use burn_mixflow::adapter::merged;
use burn_mixflow::models::{ResidualMlp, ResidualMlpConfig};
use burn_mixflow::post_train::{Stage, StageConfig, Trained};
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep, ema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

type Sample = (Vec<f32>, i64);

#[derive(Clone)]
struct Images;

impl Batcher<Sample, FlowBatch<4, Tensor<1, Int>>> for Images {
    fn batch(&self, items: Vec<Sample>, device: &Device) -> FlowBatch<4, Tensor<1, Int>> {
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

/// A network whose gates are open, as one that was trained has them.
fn network(seed: u64) -> ResidualMlp {
    let folder = tempfile::tempdir().unwrap();
    let config = StageConfig::parse(
        r#"{"steps": 6, "batch_size": 8, "steps_per_epoch": 6, "optimizer": {"learning_rate": 0.01}}"#,
    );
    let trained = run(&config.unwrap(), fresh(seed), folder.path(), None).unwrap();
    ema::load(fresh(seed), &trained.raw)
}

fn fresh(seed: u64) -> ResidualMlp {
    let config =
        ResidualMlpConfig { size: 4, width: 16, depth: 2, embedding: 16, num_classes: 3, ..Default::default() };
    config.init_seeded(seed, &Device::flex().autodiff()).unwrap()
}

fn config(changes: Value) -> StageConfig {
    let mut whole = json!({
        "strategy": {"kind": "mixflow", "gamma": 0.4}, "steps": 12, "batch_size": 8, "steps_per_epoch": 4,
        "optimizer": {"learning_rate": 0.01, "clip": 0.5}, "ema": {"decay": 0.8}, "condition_dropout": 0.1, "seed": 3,
        "adapter": {"kind": "lora", "rank": 2, "alpha": 4, "match": ["blocks.0.first", "blocks.0.second", "blocks.1.first", "blocks.1.second"]}
    });
    json_patch::merge(&mut whole, &changes);
    StageConfig::parse(&whole.to_string()).unwrap()
}

fn run(
    config: &StageConfig,
    network: ResidualMlp,
    folder: &Path,
    until: Option<usize>,
) -> burn_mixflow::Result<Trained<ResidualMlp>> {
    let stage = Stage::new(config, folder);
    let stage = until.into_iter().fold(stage, Stage::until);
    stage.run(network, samples(56), samples(16), Images)
}

/// Every float parameter by its path: whether it asks for gradients, and its numbers.
fn parameters<M: Module>(module: &M) -> BTreeMap<String, (bool, Vec<f32>)> {
    #[derive(Default)]
    struct All(Vec<String>, BTreeMap<String, (bool, Vec<f32>)>);
    impl ModuleVisitor for All {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(self.0.join("."), (param.is_require_grad(), param.val().into_data().iter().collect()));
        }
    }
    let mut all = All::default();
    module.visit(&mut all);
    all.1
}

fn numbers<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    parameters(module).into_iter().map(|(path, (_, numbers))| (path, numbers)).collect()
}

#[test]
fn only_adapters_change_and_merged_they_are_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let start = numbers(&network(1));
    let trained = run(&config(json!({})), network(1), folder.path(), None).unwrap();
    for network in [&trained.ema, &trained.raw] {
        let found = numbers(network);
        let (adapters, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            found.into_iter().partition(|(path, _)| path.contains(".lora."));
        assert_eq!(rest, start, "frozen weights must stay what they were");
        assert_eq!(adapters.len(), 2 * 2 * 2, "{:?}", adapters.keys());
        let b = adapters.iter().filter(|(path, _)| path.ends_with(".b"));
        assert!(b.clone().count() > 0 && b.clone().all(|(_, b)| b.iter().any(|b| *b != 0.0)));
        let whole = numbers(&merged(network.clone()));
        assert_eq!(whole.keys().collect::<Vec<_>>(), start.keys().collect::<Vec<_>>());
        let changed: Vec<_> =
            whole.iter().filter(|(path, numbers)| start[*path] != **numbers).map(|(path, _)| path).collect();
        assert_eq!(changed.len(), 4, "{changed:?}");
    }
    assert_ne!(numbers(&trained.ema), numbers(&trained.raw));
}

#[test]
fn a_checkpoint_holds_the_adapters_and_a_stage_that_was_cut_is_the_whole_one() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(json!({}));
    let expected = run(&config, network(1), whole.path(), None).unwrap();
    run(&config, network(1), cut.path(), Some(5)).unwrap();
    let found = run(&config, network(1), cut.path(), None).unwrap();
    assert_eq!(found.steps, 7);
    assert_eq!(numbers(&found.ema), numbers(&expected.ema));
    assert_eq!(numbers(&found.raw), numbers(&expected.raw));

    let file = whole.path().join("checkpoints/step-00000012/model.bpk");
    let bytes = Bytes::from_bytes_vec(std::fs::read(file).unwrap());
    let tensors = Reader::from_bytes(bytes).unwrap().into_tensors().unwrap();
    let names: Vec<String> = tensors.into_iter().map(|tensor| tensor.into_parts().unwrap().0).collect();
    let of = |network: &str| names.iter().filter(|name| name.starts_with(network) && name.contains(".lora.")).count();
    assert_eq!((of("network."), of("ema."), names.len()), (8, 8, 17), "{names:?}");
}

#[test]
fn checkpoints_of_other_frozen_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(json!({}));
    run(&config, network(1), folder.path(), Some(4)).unwrap();
    let error = run(&config, network(2), folder.path(), None).map(drop).unwrap_err().to_string();
    assert!(error.contains("the weights under the adapter: differs"), "{error}");
    let other = self::config(json!({"adapter": {"rank": 3}}));
    let error = run(&other, network(1), folder.path(), None).map(drop).unwrap_err().to_string();
    assert!(error.contains("adapter.rank: was 2, now 3"), "{error}");
}

#[test]
fn two_devices_and_accumulation_train_the_same_adapters() {
    let config = config(json!({"optimizer": {"clip": null}, "accumulation": 2}));
    let one = tempfile::tempdir().unwrap();
    let whole = StageConfig { accumulation: 1, ..config.clone() };
    let one = run(&whole, network(1), one.path(), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let devices = [Device::flex(), Device::flex()];
    let two =
        Stage::new(&config, folder.path()).devices(&devices).run(network(1), samples(56), samples(16), Images).unwrap();
    for ((path, a), (_, b)) in numbers(&one.raw).iter().zip(numbers(&two.raw)) {
        let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "{path}: {difference}");
    }
}

#[test]
fn of_full_rank_they_reach_the_loss_of_full_training() {
    let loss = |network: &ResidualMlp| {
        let step = MixFlowTrainStep::<_, 4>::new(network.clone(), config(json!({})).strategy.build(None).unwrap());
        let batch = Images.batch(
            (0..56).map(|i| burn::data::dataset::Dataset::get(&samples(56), i).unwrap()).collect(),
            &Device::flex(),
        );
        burn::train::InferenceStep::step(&step, batch).loss.mean().into_scalar::<f32>()
    };
    let train = |adapter: Value| {
        let stage = config(
            json!({"steps": 300, "steps_per_epoch": 300, "optimizer": {"learning_rate": 0.003}, "adapter": adapter}),
        );
        let folder = tempfile::tempdir().unwrap();
        loss(&merged(run(&stage, network(1), folder.path(), None).unwrap().raw))
    };
    // 16 is the width of everything: W + A B can be any matrix. The full training has the biases and the table of labels beyond it.
    let full = train(json!(null));
    let adapted = train(json!({"rank": 16, "alpha": 32, "match": ["input", "time", "blocks", "output"]}));
    let before = loss(&network(1));
    assert!(full < 0.8 * before, "{full} of {before}");
    assert!(adapted < full + 0.1 * (before - full), "{adapted}, full training {full}, before {before}");
}

#[test]
fn frozen_weights_of_half_the_size_train_nearly_the_same() {
    let of = |changes: Value| {
        let folder = tempfile::tempdir().unwrap();
        numbers(&merged(run(&config(changes), network(1), folder.path(), None).unwrap().raw))
    };
    let half = of(json!({"precision": "bf16", "adapter": {"base": "bf16"}}));
    let whole = of(json!({}));
    for ((path, a), (_, b)) in half.iter().zip(&whole) {
        let size = b.iter().fold(0.0f32, |size, value| size.max(value.abs()));
        let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 0.05 + 0.01 * size, "{path}: {difference} of {size}");
    }
}

/// Adds a number to every parameter.
struct Shift(f32);

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let trains = old.is_require_grad();
            Tensor::from_inner(old.without_autodiff() + self.0).set_require_grad(trains)
        })
    }
}

#[test]
fn the_average_of_frozen_weights_takes_no_memory_of_its_own() {
    let network = network(1);
    let step = MixFlowTrainStep::<_, 4>::builder(network, config(json!({})).strategy.build(None).unwrap())
        .with_adapter(config(json!({})).adapter.unwrap())
        .build()
        .unwrap();
    // The average asks for no gradient anywhere, the network for those of its adapters alone.
    assert!(parameters(step.ema()).values().all(|(trains, _)| !trains));
    let trained: Vec<_> =
        parameters(step.network()).into_iter().filter(|(_, (trains, _))| *trains).map(|(path, _)| path).collect();
    assert!(trained.len() == 8 && trained.iter().all(|path| path.contains(".lora.")), "{trained:?}");
    // What the network's frozen weights become does not reach the average: they are not followed.
    let moved = step.network().clone().map(&mut Shift(1.0));
    let followed = numbers(&ema::update(step.ema().clone(), &moved, 0.5));
    for (path, before) in numbers(step.ema()) {
        let by = if path.contains(".lora.") { 0.5 } else { 0.0 };
        let difference = before.iter().zip(&followed[&path]).map(|(a, b)| (b - a - by).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-6, "{path}: {difference}");
    }
}

#[test]
fn an_average_loaded_into_a_plain_network_has_the_adapters_added() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(&config(json!({})), network(1), folder.path(), None).unwrap();
    let loaded = ema::load(fresh(5), &trained.ema);
    assert_eq!(numbers(&loaded), numbers(&merged(trained.ema)));
    assert!(parameters(&loaded).values().any(|(trains, _)| *trains));
}

#[test]
fn a_network_with_burns_own_adapters_trains_them_and_knows_its_base() {
    use burn::module::{Lora, ParamGroup};
    let adapted = |seed| {
        network(seed).apply_lora(Lora::new(2, 4.0).set_param_group(ParamGroup::from_predicate("blocks.0.first")))
    };
    let mut config = config(json!({}));
    config.adapter = None;
    let folder = tempfile::tempdir().unwrap();
    run(&config, adapted(1), folder.path(), Some(4)).unwrap();
    let error = run(&config, adapted(2), folder.path(), None).map(drop).unwrap_err().to_string();
    assert!(error.contains("the weights under the adapter: differs"), "{error}");
    let trained = run(&config, adapted(1), folder.path(), None).unwrap();
    assert_eq!(trained.steps, 8);
    assert!(numbers(&trained.raw).keys().any(|path| path.contains(".lora.")));
}

#[test]
fn an_experiment_leaves_the_whole_network_and_its_adapters() {
    use burn_mixflow::experiment::Experiment;
    use burn_mixflow::experiment::config::ExperimentConfig;
    let folder = tempfile::tempdir().unwrap();
    let open = |start: Value, adapter: Value| {
        let stage = json!({"steps": 4, "batch_size": 8, "steps_per_epoch": 2, "adapter": adapter, "seed": 1,
            "optimizer": {"learning_rate": 0.01}});
        let config = json!({
            "data": {"kind": "digits", "held_out": 8},
            "network": {"kind": "sit", "input_size": 8, "patch_size": 2, "in_channels": 1, "hidden_size": 16, "depth": 2,
                "num_heads": 2, "num_classes": 10, "learn_sigma": false},
            "start": start, "post_train": stage,
        });
        let config = ExperimentConfig::parse(&config.to_string()).unwrap();
        Experiment::open(config, &folder.path().join("cache")).unwrap_or_else(|error| panic!("{error}"))
    };
    let pretrain = json!({"kind": "pretrain", "steps": 8, "batch_size": 8, "steps_per_epoch": 8,
        "optimizer": {"learning_rate": 0.01}});
    let lora = json!({"kind": "lora", "rank": 2, "match": ["blocks"]});
    let experiment = open(pretrain.clone(), lora);
    let (start, _) = experiment.start().unwrap();
    let before = folder.path().join("start.safetensors");
    start.export(&before).unwrap();
    let run = folder.path().join("run");
    let part = experiment.post_train(start.clone(), &run, Some(3)).unwrap();
    assert!(!part.finished && !run.join("adapter").exists());
    // The checkpoint does not have the frozen weights: they are made again.
    let (again, _) = experiment.start_of(&run).unwrap();
    assert_eq!(numbers(&again), numbers(&start));
    let trained = experiment.post_train(again, &run, None).unwrap();
    assert!(trained.finished);
    assert_eq!(numbers(&trained.ema).keys().collect::<Vec<_>>(), numbers(&start).keys().collect::<Vec<_>>());
    assert_eq!(numbers(&experiment.trained(&run).unwrap()), numbers(&trained.ema));
    assert_ne!(numbers(&trained.ema), numbers(&start));
    experiment.time_steps().unwrap();
    // The adapters on the start are the network.
    for (adapter, weights) in [("adapter", "ema.safetensors"), ("adapter_raw", "raw.safetensors")] {
        let file = |path: &Path| json!({"kind": "weights", "file": path});
        let mut with = file(&before);
        with["adapters"] = json!([run.join(adapter)]);
        let (sum, _) = open(with, Value::Null).start().unwrap();
        let (whole, _) = open(file(&run.join(weights)), Value::Null).start().unwrap();
        for ((path, a), (_, b)) in numbers(&sum).iter().zip(numbers(&whole)) {
            let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-6, "{adapter} {path}: {difference}");
        }
    }
    let error = open(pretrain, Value::Null).post_train(start, &run, None).map(drop).unwrap_err().to_string();
    assert!(error.contains("post_train.adapter"), "{error}");
}
