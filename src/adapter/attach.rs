//! A network whose linear layers have adapters.
use super::layer::{Linears, misfits};
use super::parameters::{Place, has_adapters};
use super::{AdapterConfig, BaseType, LoraConfig};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Problem, Result, digest};
use burn::module::{Lora, Module, ModuleMapper, Param, ParamGroup};
use burn::tensor::{FloatDType, Tensor, TensorData};
use rand_distr::{Distribution, Normal};
use sha2::{Digest, Sha256};

/// `network` with adapters of `config` whose numbers are a pure function of `seed`; all else is frozen. `kept` must not be
/// rounded to bf16: see [`PredictionNetwork::KEPT_IN_F32`](crate::network::PredictionNetwork::KEPT_IN_F32).
///
/// A is drawn from N(0, 1/r²), as Burn does, and B is zero.
///
/// # Errors
/// [`Error::Config`] if a name of `match` fits no linear layer, if the rank is larger than a side of a weight, or if the network
/// has adapters.
pub(crate) fn attach<M: Module>(
    network: M,
    config: &AdapterConfig,
    kept: &'static [&'static str],
    seed: u64,
) -> Result<M> {
    let AdapterConfig::Lora(LoraConfig { rank, alpha, base, .. }) = config;
    let linears = Linears::of(&network);
    let mut problems = Vec::new();
    if has_adapters(&network) {
        let message = "= \"lora\": the network has adapters already; merge them first".into();
        problems.push(Problem { path: "adapter.kind".into(), message });
    }
    problems.extend(misfits(config, &linears.layers, "adapter"));
    Error::if_any(problems)?;
    let chosen = linears.layers.iter().zip(linears.ids).filter(|(layer, _)| config.is_for(layer));
    let group = ParamGroup::from_ids(chosen.map(|(_, id)| id).collect());
    let network = match base {
        BaseType::F32 => network,
        BaseType::Bf16 => network.map(&mut Halved { kept, place: Place::default() }),
    };
    let lora = Lora::new(*rank, *alpha).set_param_group(group).set_dtype(FloatDType::F32);
    Ok(network.apply_lora(lora).map(&mut Drawn { seed, deviation: 1.0 / *rank as f64, place: Place::default() }))
}

/// Rounds weights to bf16.
struct Halved {
    kept: &'static [&'static str],
    place: Place,
}

impl ModuleMapper for Halved {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.place.is_one_of(self.kept) {
            true => param,
            false => param.map(|tensor| tensor.detach().cast(FloatDType::BF16)),
        }
    }
}

/// Draws A from streams of its own, where Burn asks the device.
struct Drawn {
    seed: u64,
    deviation: f64,
    place: Place,
}

impl ModuleMapper for Drawn {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.place.path();
        if !self.place.is_adapter() || !path.ends_with(".a") {
            return param;
        }
        let position = digest::seed(Sha256::digest(&path));
        let mut rng = SampleKey { seed: self.seed, epoch: 0, position }.rng(Purpose::Adapter);
        let Ok(law) = Normal::new(0.0, self.deviation) else { return param };
        param.map(|old| {
            let shape = old.shape();
            let values: Vec<f32> = (0..shape.num_elements()).map(|_| law.sample(&mut rng) as f32).collect();
            let drawn = Tensor::from_data(TensorData::new(values, shape), &old.device());
            drawn.set_require_grad(old.is_require_grad())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::merged;
    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
    use burn::tensor::{DType, Device};

    #[derive(Module, Debug)]
    struct Small {
        table: Embedding,
        mlp: Vec<Linear>,
        out: Linear,
    }

    fn small() -> Small {
        let device = Device::flex().autodiff();
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
        Small {
            table: EmbeddingConfig::new(3, 6).init(&device),
            mlp: vec![linear(6, 4), linear(4, 6)],
            out: linear(6, 6),
        }
    }

    fn config(json: &str) -> AdapterConfig {
        serde_json::from_str(json).unwrap()
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    #[test]
    fn named_layers_get_one_and_everything_else_is_frozen() {
        let before = small();
        let weights: Vec<f32> = values(before.mlp[0].weight.val());
        let network = attach(before, &config(r#"{"kind": "lora", "rank": 2, "match": ["mlp"]}"#), &[], 1).unwrap();
        assert!(network.mlp.iter().all(|layer| layer.weight.adapter().is_some()));
        assert!(network.out.weight.adapter().is_none() && network.table.weight.adapter().is_none());
        assert!(!network.out.weight.val().is_require_grad() && !network.mlp[0].weight.base().is_require_grad());
        let adapter = network.mlp[0].weight.adapter().unwrap();
        assert!(adapter.a.val().is_require_grad() && adapter.b.val().is_require_grad());
        assert_eq!((adapter.a.dims(), adapter.b.dims(), adapter.scale), ([6, 2], [2, 4], 8.0));
        // B is zero: nothing changes at first.
        assert_eq!(values(network.mlp[0].weight.val()), weights);
        assert_eq!(values(merged(network).mlp[0].weight.val()), weights);
        // Without names it is all linear layers, and no table.
        let all = attach(small(), &config(r#"{"kind": "lora", "rank": 4}"#), &[], 1).unwrap();
        assert!(all.out.weight.adapter().is_some() && all.table.weight.adapter().is_none());
    }

    #[test]
    fn the_numbers_are_those_of_the_seed_and_of_the_path() {
        let lora = config(r#"{"kind": "lora", "rank": 2}"#);
        let drawn = |seed: u64| {
            let network = attach(small(), &lora, &[], seed).unwrap();
            [&network.mlp[0], &network.mlp[1], &network.out]
                .map(|layer| values(layer.weight.adapter().unwrap().a.val()))
        };
        let first = drawn(1);
        assert_eq!(first, drawn(1));
        assert_ne!(first[0], drawn(2)[0]);
        assert_ne!(first[0], first[2]);
        let square: f32 = first.iter().flatten().map(|a| a * a).sum();
        let deviation = (square / first.concat().len() as f32).sqrt();
        assert!((deviation - 0.5).abs() < 0.2, "{deviation}");
    }

    #[test]
    fn frozen_weights_are_held_in_half_the_memory_where_that_is_asked_for() {
        let lora = config(r#"{"kind": "lora", "rank": 2, "match": ["out"], "base": "bf16"}"#);
        let network = attach(small(), &lora, &["mlp.0.bias"], 1).unwrap();
        let adapter = network.out.weight.adapter().unwrap();
        assert_eq!((adapter.a.val().dtype(), network.out.weight.base().dtype()), (DType::F32, DType::BF16));
        assert_eq!(network.table.weight.val().dtype(), DType::BF16);
        assert_eq!(network.mlp[0].bias.as_ref().unwrap().val().dtype(), DType::F32);
        let merged = merged(network);
        assert_eq!((merged.out.weight.val().dtype(), merged.table.weight.val().dtype()), (DType::F32, DType::F32));
    }

    #[test]
    fn what_fits_no_layer_is_an_error_that_shows_the_layers() {
        let error = |json: &str| attach(small(), &config(json), &[], 1).map(drop).unwrap_err().to_string();
        let none = error(r#"{"kind": "lora", "rank": 2, "match": ["out", "attn.qkv", "lp.0"]}"#);
        let there = "no linear layer has this in its path; there are `mlp.#`, `out`";
        assert!(none.contains(&format!("adapter.match[1] = \"attn.qkv\": {there}")), "{none}");
        assert!(none.contains(&format!("adapter.match[2] = \"lp.0\": {there}")), "{none}");
        let large = error(r#"{"kind": "lora", "rank": 5, "match": ["mlp"]}"#);
        let larger = error(r#"{"kind": "lora", "rank": 7}"#);
        assert!(larger.contains("adapter.rank = 7: no linear layer is as large"), "{larger}");
        // Left out, as the layers of the MLP are too small.
        let one = attach(small(), &config(r#"{"kind": "lora", "rank": 5}"#), &[], 1).unwrap();
        assert!(one.out.weight.adapter().is_some() && one.mlp.iter().all(|layer| layer.weight.adapter().is_none()));
        assert!(large.contains("adapter.rank = 5: the weight of `mlp.0` is [6, 4]"), "{large}");
        let twice = attach(small(), &config(r#"{"kind": "lora", "rank": 2}"#), &[], 1).unwrap();
        let twice = attach(twice, &config(r#"{"kind": "lora", "rank": 2}"#), &[], 1).map(drop).unwrap_err().to_string();
        assert!(twice.contains("has adapters already"), "{twice}");
    }
}
