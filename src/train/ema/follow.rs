//! `ema ← d·ema + (1 − d)·network`, parameter by parameter.
use crate::adapter::{Place, has_adapters, merged};
#[cfg(feature = "fused")]
use crate::ops::averaged;
use crate::train::norm::Norm;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::container::TensorContainer;
use burn::tensor::{Bool, Int, Tensor};
use std::collections::BTreeSet;

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

/// One update. Parameters are paired by their path in the module. What is frozen under the adapters of `network` stays what it
/// is, shared by both.
pub fn update<M: Module>(ema: M, network: &M, decay: f64) -> M {
    ema.map(&mut Follow { source: Paired::of_trained(network), decay })
}

/// `network` with the weights of `ema`, each parameter trainable or frozen as it was in `network`.
///
/// This is how training goes on from an average: the average itself is frozen. Adapters of `ema` that `network` does not have are
/// added to the weights.
pub fn load<M: Module>(network: M, ema: &M) -> M {
    let source = match has_adapters(ema) && !has_adapters(&network) {
        true => Paired::of(&merged(ema.clone())),
        false => Paired::of(ema),
    };
    network.map(&mut Load { source })
}

/// `‖ema − network‖₂` over all float parameters, of shape `[1]`; `None` without float parameters.
pub fn distance<M: Module>(ema: &M, network: &M) -> Option<Tensor<1>> {
    let mut distance = Distance { source: Paired::of_trained(network), norm: Norm::default() };
    ema.visit(&mut distance);
    distance.norm.value()
}

/// The tensors of one module, handed out at the same path of another.
#[derive(Default)]
struct Paired {
    place: Place,
    tensors: TensorContainer<String>,
    /// Of a network with adapters, what is frozen under them.
    frozen: BTreeSet<String>,
    adapters: bool,
}

impl Paired {
    fn of<M: Module>(module: &M) -> Self {
        let mut paired = Self::of_trained(module);
        paired.frozen.clear();
        paired
    }
    /// The same without what no update changes, if the module has adapters.
    fn of_trained<M: Module>(module: &M) -> Self {
        let mut paired = Self::default();
        module.visit(&mut paired);
        if !paired.adapters {
            paired.frozen.clear();
        }
        paired
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit(&mut self) {
        self.place.exit();
    }
    fn key(&self) -> String {
        self.place.path()
    }
    /// The float tensor at this path, on the device and in the type of `like`: sharded optimizers leave the
    /// parameters scattered over the devices.
    fn float<const D: usize>(&mut self, like: &Tensor<D>) -> Option<Tensor<D>> {
        let key = self.key();
        let source = self.tensors.remove::<Tensor<D>>(&key).filter(|_| !self.frozen.contains(&key))?;
        Some(source.to_device(&like.device()).cast(like.dtype()))
    }
}

impl ModuleVisitor for Paired {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let key = self.key();
        match self.place.is_adapter() {
            true => self.adapters = true,
            false if !self.place.changes(param) => drop(self.frozen.insert(key.clone())),
            false => {}
        }
        self.tensors.register(key, param.base().without_autodiff());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.tensors.register(self.key(), param.val());
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.tensors.register(self.key(), param.val());
    }
}

struct Follow {
    source: Paired,
    decay: f64,
}

impl ModuleMapper for Follow {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.source.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.source.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, ema, mapper) = param.consume();
        let autodiff = ema.is_autodiff();
        let ema = ema.without_autodiff();
        let next = match self.source.float(&ema) {
            Some(source) => averaged(ema, source, self.decay),
            None => ema,
        };
        // Burn's distributed training asserts that every float parameter is an autodiff tensor.
        let next = if autodiff { Tensor::from_inner(next) } else { next };
        Param::from_mapped_value(id, next, mapper)
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        match self.source.tensors.remove::<Tensor<D, Int>>(&self.source.key()) {
            Some(source) => param.map(|_| source),
            None => param,
        }
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        match self.source.tensors.remove::<Tensor<D, Bool>>(&self.source.key()) {
            Some(source) => param.map(|_| source),
            None => param,
        }
    }
}

/// As a difference, so that the average of what never changes stays it to the last bit.
#[cfg(not(feature = "fused"))]
fn averaged<const D: usize>(average: Tensor<D>, source: Tensor<D>, decay: f64) -> Tensor<D> {
    (source - average.clone()).mul_scalar(1.0 - decay) + average
}

struct Load {
    source: Paired,
}

impl ModuleMapper for Load {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.source.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.source.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| match self.source.float(&old.clone().without_autodiff()) {
            Some(source) if old.is_autodiff() => Tensor::from_inner(source).set_require_grad(old.is_require_grad()),
            source => source.unwrap_or(old),
        })
    }
}

struct Distance {
    source: Paired,
    norm: Norm,
}

impl ModuleVisitor for Distance {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.source.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.source.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let ema = param.base().without_autodiff();
        if let Some(source) = self.source.float(&ema) {
            self.norm.add(ema - source);
        }
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
        assert_eq!(first(&ema), x + 0.25 * (y - x));
        assert!((first(&ema) - (x * 0.75 + y * 0.25)).abs() < 1e-6);
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
}
