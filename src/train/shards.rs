//! Sharding of what one copy of a network is enough for, as ZeRO's first stage (Rajbhandari et al. 2019, arXiv 1910.02054): of
//! each weight the f32 numbers, their average and their moments lie on one of the devices.
//!
//! Every device makes a copy of the network for its pass, in the type of numbers it computes in, and gradients are added up where
//! their weight lies. What comes out is the same to the last bit as without.
use super::Precision;
use crate::adapter::Place;
use crate::network::PredictionNetwork;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, FloatDType, Int, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;

/// What several devices share of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sharding {
    /// The first device holds weights, average and moments, and every device a copy of weights and average.
    #[default]
    None,
    /// Weights in f32, average and moments lie spread over the devices, which copy the weights for each pass. The same numbers
    /// come out, and weights travel between devices once more in every step. On one device it changes nothing.
    Optimizer,
}

/// The devices among which parameters are spread.
#[derive(Debug, Clone)]
pub(super) struct Shards(Vec<Device>);

impl Shards {
    /// Over `devices`, with autodiff or without.
    pub fn new(devices: &[Device]) -> Self {
        Self(devices.iter().map(|device| device.clone().inner().autodiff()).collect())
    }

    /// `network`, on an autodiff device, with each parameter where it belongs.
    pub fn scattered<M: Module>(&self, network: M) -> M {
        let mut sizes = Sizes::default();
        network.visit(&mut sizes);
        network.map(&mut Scatter { devices: &self.0, owners: owners(&sizes.0, self.0.len()).into_iter() })
    }
}

/// The device of each of some parameters: the largest first, each to the device that has the fewest numbers so far.
fn owners(sizes: &[usize], devices: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(sizes[*i]));
    let (mut held, mut owners) = (vec![0_usize; devices], vec![0; sizes.len()]);
    for i in order {
        let owner = (0..devices).min_by_key(|device| held[*device]).unwrap_or(0);
        (owners[i], held[owner]) = (owner, held[owner] + sizes[i]);
    }
    owners
}

#[derive(Default)]
struct Sizes(Vec<usize>);

impl ModuleVisitor for Sizes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.lazy_shape().num_elements());
    }
}

struct Scatter<'a> {
    devices: &'a [Device],
    owners: std::vec::IntoIter<usize>,
}

impl ModuleMapper for Scatter<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.owners.next() {
            Some(owner) => param.fork(&self.devices[owner]),
            None => param,
        }
    }
}

/// What each device computes with until the next update, kept where an update has several passes.
///
/// Each thread has its own, even for the same device: graphs that share a leaf lie behind one lock in Burn's autodiff, and two
/// threads that make and go back through them at once lose steps or wait for each other for ever (burn-autodiff 0.22.1,
/// `runtime/graph.rs`: a backward pass takes the lock of its graph and then that of all graphs, a merge the other way round).
#[derive(Clone)]
pub(super) struct Copies<T>(Arc<Mutex<Vec<(ThreadId, Device, T)>>>);

impl<T> Default for Copies<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> std::fmt::Debug for Copies<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Copies")
    }
}

impl<T: Clone> Copies<T> {
    /// That of `device`, if this thread kept one.
    pub fn of(&self, device: &Device) -> Option<T> {
        let here = std::thread::current().id();
        self.lock().iter().find(|(by, of, _)| (*by, of) == (here, device)).map(|(.., copy)| copy.clone())
    }

    pub fn keep(&self, device: &Device, copy: T) {
        self.lock().push((std::thread::current().id(), device.clone(), copy));
    }

    /// Lets all go: the weights they were made of change.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, Device, T)>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A copy of a scattered `network` on `device` that computes in `precision`, with parameters of the same ids.
pub(super) fn copied<N: PredictionNetwork<D>, const D: usize>(network: &N, precision: Precision, device: &Device) -> N {
    let to = (precision == Precision::Bf16).then_some(FloatDType::BF16);
    network.clone().map(&mut Copied { to, kept: N::KEPT_IN_F32, place: Place::default(), device })
}

struct Copied<'a> {
    to: Option<FloatDType>,
    kept: &'static [&'static str],
    place: Place,
    device: &'a Device,
}

impl ModuleMapper for Copied<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let to = self.to.filter(|_| !self.place.is_one_of(self.kept));
        let (id, tensor, mapper) = param.consume();
        let trained = tensor.is_require_grad();
        // Cast before it travels: half as much does. What it was made of is cut off last, as every operation makes a node.
        let tensor = to.into_iter().fold(tensor, |tensor, to| tensor.cast(to)).to_device(self.device).detach();
        let tensor = if trained { tensor.require_grad() } else { tensor };
        Param::from_mapped_value(id, tensor, mapper)
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        param.to_device(self.device)
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        param.to_device(self.device)
    }
}

/// Each of `gradients` where its parameter of `network` lies, and in its type of numbers.
pub(super) fn gathered<M: Module>(network: &M, gradients: GradientsParams) -> GradientsParams {
    let mut gather = Gather { from: gradients, to: GradientsParams::new() };
    network.visit(&mut gather);
    gather.to
}

struct Gather {
    from: GradientsParams,
    to: GradientsParams,
}

impl ModuleVisitor for Gather {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            let weight = param.val();
            let gradient = gradient.to_device(&weight.device().inner()).cast(weight.dtype());
            self.to.register(param.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_spread_first() {
        assert_eq!(owners(&[1, 8, 2, 7, 6], 2), [0, 0, 0, 1, 1]);
        assert_eq!(owners(&[5, 5, 5], 3), [0, 1, 2]);
        assert_eq!(owners(&[3, 4], 1), [0, 0]);
        assert!(owners(&[], 4).is_empty());
    }

    #[test]
    fn threads_share_no_copy() {
        let (copies, device) = (Copies::default(), Device::flex());
        copies.keep(&device, "here");
        let other = copies.clone();
        let there = std::thread::spawn(move || {
            let before = other.of(&Device::flex());
            other.keep(&Device::flex(), "there");
            (before, other.of(&Device::flex()))
        });
        assert_eq!(there.join().unwrap(), (None, Some("there")));
        assert_eq!(copies.of(&device), Some("here"));
        copies.clear();
        assert_eq!(copies.of(&device), None);
    }

    #[test]
    fn no_device_has_more_than_its_share_and_one_parameter() {
        let sizes: Vec<usize> = (0..200).map(|i| 1 + (i * 7919) % 1000).collect();
        for devices in [2, 3, 8] {
            let owners = owners(&sizes, devices);
            let held =
                |device| sizes.iter().zip(&owners).filter(|(_, owner)| **owner == device).map(|(size, _)| size).sum();
            let most: usize = (0..devices).map(held).max().unwrap();
            assert!(most <= sizes.iter().sum::<usize>() / devices + sizes.iter().max().unwrap(), "{most}");
        }
    }
}
