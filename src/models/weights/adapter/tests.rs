//! Adapters out and in again, for every network.
use crate::adapter::{AdapterConfig, attach, merged};
use crate::models::mmdit::TextCondition;
use crate::models::{Network, NetworkCondition, NetworkConfig};
use crate::network::PredictionNetwork;
use crate::random::{Purpose, SampleKey, normal};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor};
use serde_json::json;
use std::path::Path;

const KINDS: [&str; 5] = ["residual_mlp", "sit", "repa", "rae", "mmdit"];

fn network(kind: &str, seed: u64) -> Network {
    let mut config = match kind {
        "residual_mlp" => json!({"channels": 4, "size": 4, "width": 16, "depth": 2, "num_classes": 3}),
        "sit" => json!({"input_size": 4, "hidden_size": 16, "depth": 2, "num_heads": 2, "num_classes": 3}),
        "repa" => {
            json!({"input_size": 4, "hidden_size": 16, "depth": 2, "encoder_depth": 1, "num_heads": 2, "num_classes": 3})
        }
        "rae" => {
            json!({"input_size": 4, "in_channels": 4, "hidden_size": [16, 16], "depth": [1, 1], "num_heads": [2, 2],
            "num_classes": 3})
        }
        _ => json!({"input_size": 4, "in_channels": 4, "depth": 3, "pos_embed_max_size": 4, "dual_attention": [1],
            "context_width": 6, "pooled_width": 6}),
    };
    config["kind"] = kind.into();
    let network = serde_json::from_value::<NetworkConfig>(config).unwrap().init(seed, &Device::flex()).unwrap();
    // Zeros in modulations and in the last layer would hide what is before them.
    network.map(&mut Filled { seed, only_zeros: true, within: 0 })
}

/// Puts numbers in place of zeros, or of all numbers of adapters.
struct Filled {
    seed: u64,
    only_zeros: bool,
    within: usize,
}

impl ModuleMapper for Filled {
    fn enter_module(&mut self, _: &str, container: &str) {
        self.within += usize::from(container == "Reparameterization" || self.within > 0);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.within = self.within.saturating_sub(1);
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let zero = param.base().abs().max().into_scalar::<f32>() == 0.0;
        if !(zero && self.only_zeros || self.within > 0) {
            return param;
        }
        self.seed += 1;
        let key = SampleKey { seed: self.seed, epoch: 0, position: 0 };
        param.map(|old| {
            let drawn: Vec<f32> = normal(&[key], Purpose::Weights, &old.dims()).iter().collect();
            Tensor::<1>::from_floats(drawn.as_slice(), &old.device()).reshape(old.dims()) * 0.1
        })
    }
}

fn lora() -> AdapterConfig {
    serde_json::from_value(json!({"kind": "lora", "rank": 2, "alpha": 3})).unwrap()
}

fn adapted(kind: &str) -> Network {
    let network = attach(network(kind, 1), &lora(), &[], 1).unwrap();
    network.map(&mut Filled { seed: 99, only_zeros: false, within: 0 })
}

fn output(network: &Network, kind: &str) -> Vec<f32> {
    let device = Device::flex();
    let keys: Vec<_> = (0..2).map(|position| SampleKey { seed: 5, epoch: 0, position }).collect();
    let drawn = |shape: &[usize]| normal(&keys, Purpose::Noise, shape);
    let text = (kind == "mmdit").then(|| {
        let (context, pooled) = (Tensor::from_data(drawn(&[3, 6]), &device), Tensor::from_data(drawn(&[6]), &device));
        TextCondition::new(context, Some(pooled))
    });
    let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
    let condition = NetworkCondition { labels, features: Vec::new(), text };
    let noisy = Tensor::<4>::from_data(drawn(&[4, 4, 4]), &device);
    let told = Tensor::<1>::from_floats([0.3, 0.8], &device);
    network.predict(noisy, told, &condition).output.into_data().iter().collect()
}

fn weights(network: &Network) -> Vec<(String, Vec<f32>)> {
    #[derive(Default)]
    struct All(Vec<String>, Vec<(String, Vec<f32>)>);
    impl ModuleVisitor for All {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push((self.0.join("."), param.val().into_data().iter().collect()));
        }
    }
    let mut all = All::default();
    network.visit(&mut all);
    all.1
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn assert_same_weights(found: &Network, expected: &Network) {
    for ((path, found), (_, expected)) in weights(found).iter().zip(weights(expected)) {
        let difference = difference(found, &expected);
        assert!(difference < 1e-6, "{path}: {difference}");
    }
}

#[test]
fn the_thin_products_are_those_of_the_merged_weights() {
    for kind in KINDS {
        let adapted = adapted(kind);
        let (thin, base) = (output(&adapted, kind), output(&network(kind, 1), kind));
        let whole = output(&merged(adapted), kind);
        let size = whole.iter().fold(0.0f32, |size, value| size.max(value.abs()));
        assert!(difference(&thin, &whole) < 1e-6 * size.max(1.0) * 4.0, "{kind}: {}", difference(&thin, &whole));
        assert!(difference(&thin, &base) > 1e-3 * size, "{kind}: the adapter must show");
    }
}

#[test]
fn at_the_start_every_network_answers_as_without_adapters() {
    for kind in KINDS {
        let fresh = attach(network(kind, 1), &lora(), &[], 1).unwrap();
        assert_eq!(output(&fresh, kind), output(&network(kind, 1), kind), "{kind}");
    }
}

#[test]
fn what_is_written_for_peft_and_diffusers_gives_the_merged_weights_back() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (adapted, base) = (adapted(kind), network(kind, 1));
        adapted.export_adapter(&lora(), folder.path()).unwrap();
        let expected = merged(adapted);
        let (found, changed) = base.add_adapter(folder.path()).unwrap();
        assert_same_weights(&found, &expected);
        assert!(changed > 5, "{kind}: {changed}");
        // Alone, a file of PEFT's says no α: then it is r.
        let alone = folder.path().join("alone.safetensors");
        std::fs::copy(folder.path().join("adapter_model.safetensors"), &alone).unwrap();
        let (half, _) = base.add_adapter(&alone).unwrap();
        let largest = |a: &Network, b: &Network| {
            weights(a).iter().zip(weights(b)).map(|((_, a), (_, b))| difference(a, &b)).fold(0.0, f32::max)
        };
        let (half, whole) = (largest(&half, &base), largest(&expected, &base));
        assert!((whole / half - 1.5).abs() < 1e-3, "{kind}: {whole}, {half}");
        let diffusers = folder.path().join("pytorch_lora_weights.safetensors");
        assert_eq!(diffusers.exists(), kind == "mmdit");
        if diffusers.exists() {
            assert_same_weights(&base.add_adapter(&diffusers).unwrap().0, &expected);
        }
    }
}

#[test]
fn what_is_no_adapter_of_the_network_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |network: &Network, path: &Path| network.add_adapter(path).map(drop).unwrap_err().to_string();
    let sit = network("sit", 1);
    assert!(error(&sit, folder.path()).contains("holds neither adapter_model.safetensors nor"));
    adapted("rae").export_adapter(&lora(), folder.path()).unwrap();
    let other = error(&sit, folder.path());
    assert!(other.contains("is no layer of this network"), "{other}");
    let weights = folder.path().join("weights.safetensors");
    sit.export(&weights).unwrap();
    assert!(error(&sit, &weights).contains("holds no adapter: no name ends in"), "{}", error(&sit, &weights));
    assert!(sit.export_adapter(&lora(), folder.path()).unwrap_err().to_string().contains("the network has no adapter"));
    // Another width.
    let wide = json!({"kind": "sit", "input_size": 4, "hidden_size": 32, "depth": 2, "num_heads": 2, "num_classes": 3});
    let wide = serde_json::from_value::<NetworkConfig>(wide).unwrap().init(1, &Device::flex()).unwrap();
    adapted("sit").export_adapter(&lora(), folder.path()).unwrap();
    let misfit = error(&wide, folder.path());
    assert!(
        misfit.contains("`blocks.0-1.attn.qkv` (2 tensors) has A [2, 16] and B [48, 2], for a weight of [96, 32]"),
        "{misfit}"
    );
    // What PEFT has beside plain LoRA.
    for (key, value) in [("use_dora", json!(true)), ("alpha_pattern", json!({"qkv": 4}))] {
        let file = folder.path().join("adapter_config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(&file, config.to_string()).unwrap();
        assert!(error(&sit, folder.path()).contains("adapter_config.json"), "{}", error(&sit, folder.path()));
        config[key] = json!(null);
        std::fs::write(&file, config.to_string()).unwrap();
    }
}
