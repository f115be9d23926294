//! PEFT and diffusers read the adapters that we write, and we read PEFT's.
//!
//! Needs Python with `torch`, `peft` and `diffusers`; `MIXFLOW_PYTHON` names the interpreter.
use burn::tensor::Device;
use burn_mixflow::adapter::{AdapterConfig, merged};
use burn_mixflow::models::{Network, NetworkConfig};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::MixFlowTrainStep;
use safetensors::tensor::SafeTensors;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const MISSING_PACKAGE: i32 = 77;

/// Runs the script; false, and loudly so, if it could not be.
fn python(what: &str, folder: &Path) -> bool {
    let python = std::env::var("MIXFLOW_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_adapter.py");
    let skipped = |why: &str| {
        let _ = writeln!(std::io::stderr(), "SKIPPED: adapters were not checked with {what}: {python}: {why}");
        false
    };
    match Command::new(&python).arg(script).arg(what).arg(folder).output() {
        Ok(output) if output.status.code() == Some(MISSING_PACKAGE) => {
            skipped(String::from_utf8_lossy(&output.stderr).trim())
        }
        Ok(output) => {
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => skipped(&error.to_string()),
    }
}

fn network(config: Value) -> Network {
    let config: NetworkConfig = serde_json::from_value(config).unwrap();
    config.init(1, &Device::flex().autodiff()).unwrap()
}

fn sit() -> Value {
    json!({"kind": "sit", "input_size": 4, "hidden_size": 16, "depth": 2, "num_heads": 2, "num_classes": 3})
}

fn mmdit() -> Value {
    json!({"kind": "mmdit", "input_size": 4, "in_channels": 4, "depth": 3, "pos_embed_max_size": 4, "dual_attention": [0],
        "context_width": 6, "pooled_width": 10})
}

/// `base.safetensors`, `adapter/` and `merged.safetensors` in `folder`, of a network whose adapters are not zero.
fn write(network: Network, folder: &Path) {
    let config: AdapterConfig = serde_json::from_value(json!({"kind": "lora", "rank": 2, "alpha": 3})).unwrap();
    network.export(&folder.join("base.safetensors")).unwrap();
    let strategy = StrategyConfig::mixflow(0.4).build(None).unwrap();
    let step = MixFlowTrainStep::builder(network, strategy).with_adapter(config.clone()).build().unwrap();
    let adapted = moved::<Network>(step.network().clone());
    adapted.export_adapter(&config, &folder.join("adapter")).unwrap();
    merged(adapted).export(&folder.join("merged.safetensors")).unwrap();
}

/// Adapters whose B is A's own numbers, in some order, instead of zero.
fn moved<N: PredictionNetwork<4>>(network: N) -> N {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::Tensor;
    struct Move(usize);
    impl ModuleMapper for Move {
        fn enter_module(&mut self, _: &str, container: &str) {
            self.0 += usize::from(container == "Reparameterization" || self.0 > 0);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0 = self.0.saturating_sub(1);
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.0 == 0 {
                return param;
            }
            param.map(|old| {
                let count = old.dims().iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|i| 0.1 * ((i * 7 + count) as f32).sin()).collect();
                Tensor::<1>::from_floats(values.as_slice(), &old.device()).reshape(old.dims())
            })
        }
    }
    network.map(&mut Move(0))
}

#[test]
fn peft_merges_what_we_write() {
    for config in [sit(), mmdit()] {
        let folder = tempfile::tempdir().unwrap();
        write(network(config), folder.path());
        python("peft", folder.path());
    }
}

#[test]
fn diffusers_fuses_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    write(network(mmdit()), folder.path());
    python("diffusers", folder.path());
}

#[test]
fn we_merge_what_peft_writes() {
    let folder = tempfile::tempdir().unwrap();
    let base = network(sit());
    base.export(&folder.path().join("base.safetensors")).unwrap();
    if !python("write", folder.path()) {
        return;
    }
    let (found, changed) = base.add_adapter(&folder.path().join("peft")).unwrap();
    assert_eq!(changed, 2 * 3 + 1);
    found.export(&folder.path().join("found.safetensors")).unwrap();
    let [found, expected] =
        ["found", "peft_merged"].map(|name| std::fs::read(folder.path().join(format!("{name}.safetensors"))).unwrap());
    let [found, expected] = [&found, &expected].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    for (name, tensor) in expected.iter() {
        let numbers =
            |bytes: &[u8]| -> Vec<f32> { bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
        let (a, b) = (numbers(found.tensor(name).unwrap().data()), numbers(tensor.data()));
        let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(a.len() == b.len() && difference < 1e-6, "{name}: {difference}");
    }
}

#[test]
fn we_merge_what_diffusers_writes() {
    let folder = tempfile::tempdir().unwrap();
    let base = network(mmdit());
    base.export(&folder.path().join("base.safetensors")).unwrap();
    if !python("diffusers_writes", folder.path()) {
        return;
    }
    let (found, changed) = base.add_adapter(&folder.path().join("diffusers")).unwrap();
    // q and k of the image, v of the text, the MLP and the text's modulation of 3 blocks, less the last one's; the last layer.
    assert!(changed > 9, "{changed}");
    found.export(&folder.path().join("found.safetensors")).unwrap();
    assert!(python("diffusers_fused", folder.path()));
}
