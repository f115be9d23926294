//! What training holds in memory, counted by the allocator in a process of its own, beside what `mixflow check` says.
use burn::tensor::{Device, Distribution, Int, Tensor};
use burn::train::TrainStep;
use burn_mixflow::experiment::Footprint;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::mmdit::TextCondition;
use burn_mixflow::models::{NetworkCondition, NetworkConfig};
use burn_mixflow::post_train::StageConfig;
use burn_mixflow::random::SampleKey;
use burn_mixflow::train::{Draws, FlowBatch, MixFlowTrainStep, TrainStepBuilder};
use cap::Cap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::alloc::System;
use std::process::Command;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The variable that tells the other process its job.
const JOB: &str = "MIXFLOW_FOOTPRINT_JOB";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    network: Value,
    stage: Value,
    shape: [usize; 3],
    text: usize,
}

/// Bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Counted {
    /// What the graph of a loss holds where nothing is made anew.
    graph: usize,
    /// The most that steps held, all in all.
    peak: usize,
}

impl Job {
    fn counted(&self) -> Counted {
        let job = serde_json::to_string(self).unwrap();
        let test = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(JOB, job)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&test.stdout);
        let line = text.lines().find_map(|line| line.split_once("COUNTED ")).map(|(_, json)| json);
        let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&test.stderr)));
        serde_json::from_str(line).unwrap()
    }

    fn count(&self) -> Counted {
        let device = Device::flex().autodiff();
        let network: NetworkConfig = serde_json::from_value(self.network.clone()).unwrap();
        let stage = StageConfig::parse(&self.stage.to_string()).unwrap();
        let items = stage.batch_size / stage.accumulation;
        let strategy = stage.strategy.build(None).unwrap();
        let step = MixFlowTrainStep::<_, 4>::builder(network.init(0, &device).unwrap(), strategy.clone())
            .with_precision(stage.precision)
            .with_checkpointing(stage.checkpointing);
        let step = stage.optimizer.clip.into_iter().fold(step, TrainStepBuilder::with_clip);
        let mut step = stage.adapter.clone().into_iter().fold(step, TrainStepBuilder::with_adapter).build().unwrap();
        let mut optimizer = stage.optimizer.build();
        let batch = self.batch(&network, items, &device);
        let keys = SampleKey::batch(0, 0, items);
        let draws = Draws::of(&keys, &batch.data, strategy.as_ref());
        for _ in 0..2 {
            let output = TrainStep::step(&step, batch.clone().with_keys(keys.clone()));
            step = step.optimize(&mut optimizer, 1e-4.into(), output.grads);
            assert!(step.fault().is_none());
        }
        let peak = MEMORY.max_allocated();
        let before = MEMORY.allocated();
        let loss = step.loss(batch, &draws).unwrap();
        let graph = MEMORY.allocated() - before;
        drop(loss);
        Counted { graph, peak }
    }

    fn batch(&self, network: &NetworkConfig, items: usize, device: &Device) -> FlowBatch<4, NetworkCondition> {
        let normal = Distribution::Normal(0.0, 1.0);
        let [c, h, w] = self.shape;
        let mut condition = NetworkCondition::from(Tensor::<1, Int>::zeros([items], device));
        match network {
            NetworkConfig::Mmdit(config) => {
                let context = Tensor::random([items, self.text, config.context_width], normal, device);
                let pooled = config.pooled_width.map(|width| Tensor::random([items, width], normal, device));
                condition.text = Some(TextCondition::new(context, pooled));
            }
            NetworkConfig::Repa(config) => {
                let tokens = (config.input_size / config.patch_size).pow(2);
                let features = |width: &usize| Tensor::random([items, tokens, *width], normal, device);
                condition.features = config.z_dims.iter().map(features).collect();
            }
            _ => {}
        }
        FlowBatch::new(Tensor::random([items, c, h, w], normal, device), condition)
    }
}

#[test]
#[ignore = "runs in the process that the other tests start"]
fn the_other_process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).unwrap();
    println!("\nCOUNTED {}", serde_json::to_string(&job.count()).unwrap());
}

fn sit(depth: usize, checkpointing: &str) -> Job {
    Job {
        network: json!({"kind": "sit", "input_size": 16, "hidden_size": 64, "depth": depth, "num_heads": 2, "num_classes": 3}),
        stage: json!({"batch_size": 64, "checkpointing": checkpointing}),
        shape: [4, 16, 16],
        text: 0,
    }
}

/// Tokens are [64, 64, 64] floats: 1 MiB. A block's graph holds 18 of them.
#[test]
fn with_checkpointing_a_further_block_costs_one_tensor_of_tokens() {
    let token = (64 * 64 * 64 * size_of::<f32>()) as f64;
    // Weight, average and two moments of 18 width² weights and their biases; gradients come as activations go.
    let state = 4.0 * 18.2 * 64.0 * 64.0 * size_of::<f32>() as f64;
    let slope = |checkpointing| {
        let [few, many] = [4, 12].map(|depth| sit(depth, checkpointing).counted().peak as f64);
        ((many - few) / 8.0 - state) / token
    };
    let (all, blocks) = (slope("none"), slope("blocks"));
    println!("tensors of tokens for each further block: {all:.2}, recomputed {blocks:.2}");
    assert!(all > 15.0, "{all} tensors of tokens");
    assert!(blocks < 1.1, "{blocks} tensors of tokens");
}

/// The footprint is right to a tenth, for each kind of network at a real width.
fn is_as_said(network: Value, shape: [usize; 3], stage: Value) {
    let mut config = json!({
        "data": {"kind": "latents", "folder": "nowhere", "shape": shape, "classes": 0, "posterior": false, "scale": 1.0,
            "held_out": 1},
        "network": network,
        "start": {"kind": "weights", "file": "nowhere.safetensors"},
        "post_train": stage,
    });
    if config["network"]["kind"] == "mmdit" {
        config["data"]["text"] = json!("nowhere");
    }
    let said = Footprint::of(&ExperimentConfig::parse(&config.to_string()).unwrap(), shape);
    let recomputes = stage["checkpointing"] == "blocks";
    let is_wide = network["kind"] != "residual_mlp";
    let counted = Job { network, stage, shape, text: 154 }.counted();
    let near = |what: &str, said: u64, counted: usize| {
        let ratio = said as f64 / counted as f64;
        println!("{what}: said {:.0} MB, counted {:.0} MB: {ratio:.3}", said as f64 / 1e6, counted as f64 / 1e6);
        assert!((0.9..=1.1).contains(&ratio), "{what}: said {said}, counted {counted}");
    };
    // A residual MLP is small beside what its operations hold for a moment.
    if is_wide {
        near("peak", said.held(), counted.peak);
    }
    if recomputes {
        return;
    }
    near("activations", said.activations(), counted.graph);
}

#[test]
fn sit_b_2_is_as_said() {
    let network = json!({"kind": "sit", "input_size": 32, "hidden_size": 768, "depth": 12, "num_heads": 12});
    is_as_said(network.clone(), [4, 32, 32], json!({"batch_size": 2}));
    is_as_said(network, [4, 32, 32], json!({"batch_size": 6, "checkpointing": "blocks", "optimizer": {"clip": 1.0}}));
}

#[test]
fn dit_dh_s_is_as_said() {
    let network = json!({"kind": "rae", "hidden_size": [384, 2048], "depth": [12, 2], "num_heads": [6, 16]});
    is_as_said(network, [768, 16, 16], json!({"batch_size": 4}));
}

#[test]
fn an_mmdit_of_four_blocks_is_as_said() {
    let network = json!({"kind": "mmdit", "input_size": 32, "depth": 4, "pos_embed_max_size": 32, "pooled_width": 2048,
        "context_width": 4096, "dual_attention": [0, 1]});
    is_as_said(network.clone(), [16, 32, 32], json!({"batch_size": 4}));
    is_as_said(network, [16, 32, 32], json!({"batch_size": 16}));
}

#[test]
fn repa_and_a_residual_mlp_are_as_said() {
    let network = json!({"kind": "repa", "input_size": 32, "hidden_size": 384, "depth": 6, "num_heads": 6, "encoder_depth": 3,
        "z_dims": [768], "projector_dim": 512});
    is_as_said(network, [4, 32, 32], json!({"batch_size": 8}));
    let network = json!({"kind": "residual_mlp", "width": 512, "depth": 6, "size": 16, "channels": 4});
    is_as_said(network, [4, 16, 16], json!({"batch_size": 512}));
}
