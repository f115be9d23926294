//! `ema ← d·ema + (1 − d)·network`, parameter by parameter, in the type of the network: keep that f32, since in
//! bf16 an update with d = 0.9999 is rounded away.
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::container::TensorContainer;
use burn::tensor::{Bool, Int, Tensor};
use serde::{Deserialize, Serialize};

/// The exponential moving average that validation and sampling use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmaConfig {
    /// Decay `d` in [0, 1).
    pub decay: f64,
    /// Use `min(d, (1 + k)/(10 + k))` at update `k`, so that a short run is not dominated by its start.
    pub ramp: bool,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self { decay: 0.9999, ramp: false }
    }
}

impl EmaConfig {
    /// The decay of update `k`, counted from 0.
    pub fn decay_at(&self, update: u64) -> f64 {
        if self.ramp { self.decay.min((1.0 + update as f64) / (10.0 + update as f64)) } else { self.decay }
    }
}

/// A detached copy with parameter ids of its own, so that an optimizer can never reach it.
pub fn start<M: Module>(network: &M) -> M {
    struct Fresh;
    impl ModuleMapper for Fresh {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, tensor, mapper) = param.consume();
            Param::from_mapped_value(ParamId::new(), tensor, mapper)
        }
    }
    network.clone().map(&mut Fresh).no_grad()
}

/// One update. Parameters are paired by their path in the module.
pub fn update<M: Module>(ema: M, network: &M, decay: f64) -> M {
    let mut source = Collect::default();
    network.visit(&mut source);
    ema.map(&mut Follow { path: Vec::new(), source: source.tensors, decay })
}

/// `network` with the weights of `ema`, each parameter trainable or frozen as it was in `network`.
///
/// This is how training goes on from an average: the average itself is frozen.
pub fn load<M: Module>(network: M, ema: &M) -> M {
    let mut source = Collect::default();
    ema.visit(&mut source);
    network.map(&mut Load { path: Vec::new(), source: source.tensors })
}

/// `‖ema − network‖₂` over all float parameters, of shape `[1]`; `None` without float parameters.
pub fn distance<M: Module>(ema: &M, network: &M) -> Option<Tensor<1>> {
    let mut source = Collect::default();
    network.visit(&mut source);
    let mut distance = Distance { path: Vec::new(), source: source.tensors, sum: None };
    ema.visit(&mut distance);
    distance.sum.map(Tensor::sqrt)
}

#[derive(Default)]
struct Collect {
    path: Vec<String>,
    tensors: TensorContainer<String>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.register(self.path.join("."), param.base().without_autodiff());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.tensors.register(self.path.join("."), param.val());
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.tensors.register(self.path.join("."), param.val());
    }
}

struct Follow {
    path: Vec<String>,
    source: TensorContainer<String>,
    decay: f64,
}

impl ModuleMapper for Follow {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(source) = self.source.remove::<Tensor<D>>(&self.path.join(".")) else { return param };
        let (id, ema, mapper) = param.consume();
        let autodiff = ema.is_autodiff();
        let ema = ema.without_autodiff();
        // Sharded optimizers leave the parameters scattered over the devices.
        let source = source.to_device(&ema.device()).cast(ema.dtype());
        let next = ema.mul_scalar(self.decay) + source.mul_scalar(1.0 - self.decay);
        // Burn's distributed training asserts that every float parameter is an autodiff tensor.
        let next = if autodiff { Tensor::from_inner(next) } else { next };
        Param::from_mapped_value(id, next, mapper)
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        match self.source.remove::<Tensor<D, Int>>(&self.path.join(".")) {
            Some(source) => param.map(|_| source),
            None => param,
        }
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        match self.source.remove::<Tensor<D, Bool>>(&self.path.join(".")) {
            Some(source) => param.map(|_| source),
            None => param,
        }
    }
}

struct Load {
    path: Vec<String>,
    source: TensorContainer<String>,
}

impl ModuleMapper for Load {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(source) = self.source.remove::<Tensor<D>>(&self.path.join(".")) else { return param };
        param.map(|old| {
            let source = source.to_device(&old.clone().without_autodiff().device()).cast(old.dtype());
            if !old.is_autodiff() {
                return source;
            }
            Tensor::from_inner(source).set_require_grad(old.is_require_grad())
        })
    }
}

struct Distance {
    path: Vec<String>,
    source: TensorContainer<String>,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Distance {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(source) = self.source.remove::<Tensor<D>>(&self.path.join(".")) else { return };
        let ema = param.base().without_autodiff();
        let square = (ema.clone() - source.to_device(&ema.device())).square().sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + square,
            None => square,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn first(linear: &Linear) -> f32 {
        linear.weight.val().into_data().iter::<f32>().next().unwrap()
    }

    #[test]
    fn follows_the_formula_and_keeps_its_ids() {
        let device = Device::flex().autodiff();
        let (a, b) = (LinearConfig::new(3, 2).init(&device), LinearConfig::new(3, 2).init(&device));
        let ema = start(&a);
        assert_ne!(ema.weight.id, a.weight.id);
        let (id, x, y) = (ema.weight.id, first(&ema), first(&b));
        let ema = update(ema, &b, 0.75);
        assert_eq!(ema.weight.id, id);
        assert_eq!(first(&ema), x * 0.75 + y * 0.25);
        assert!(!ema.weight.is_require_grad());
    }

    #[test]
    fn a_network_loaded_from_an_average_can_be_trained() {
        let device = Device::flex().autodiff();
        let (a, b) = (LinearConfig::new(3, 2).init(&device), LinearConfig::new(3, 2).init(&device));
        let ema = start(&a).valid();
        let loaded = load(b, &ema);
        assert_eq!(first(&loaded), first(&ema));
        let input = Tensor::ones([4, 3], &device);
        let grads = loaded.forward::<2>(input).sum().backward();
        assert!(loaded.weight.val().grad(&grads).is_some());
    }

    #[test]
    fn the_ramp_starts_low_and_ends_at_the_decay() {
        let ema = EmaConfig { decay: 0.999, ramp: true };
        assert_eq!(ema.decay_at(0), 0.1);
        assert_eq!(ema.decay_at(1_000_000), 0.999);
    }
}
