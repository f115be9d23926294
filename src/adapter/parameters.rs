//! Which parameters of a module are adapters, which are frozen under them, and where they are.
use crate::digest;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::tensor::{Bool, FloatDType, Int, Tensor};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What holds means and variances that follow the batches, without gradients.
const RUNNING: &str = "Struct:BatchNorm";
/// How Burn names what lies over a parameter to visitors.
const REPARAMETERIZATION: &str = "Reparameterization";

/// Where a visitor or a mapper is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Place {
    pub fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.into());
        self.containers.push(container.into());
    }

    pub fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    pub fn path(&self) -> String {
        self.names.join(".")
    }

    /// What holds the parameter, as Burn names it.
    pub fn container(&self) -> &str {
        self.containers.last().map_or("", String::as_str)
    }

    /// Whether it is within an adapter.
    pub fn is_adapter(&self) -> bool {
        self.containers.iter().any(|container| container == REPARAMETERIZATION)
    }

    /// Whether training changes this parameter: it asks for gradients, or follows the batches.
    pub fn changes<const D: usize>(&self, param: &Param<Tensor<D>>) -> bool {
        param.is_require_grad() || self.container() == RUNNING
    }

    /// Whether its path is one of these, or ends in one; within an adapter, that of the weight under it.
    pub fn is_one_of(&self, paths: &[&str]) -> bool {
        let adapter = self.containers.iter().position(|container| container == REPARAMETERIZATION);
        let path = self.names[..adapter.unwrap_or(self.names.len())].join(".");
        paths.iter().any(|end| path == *end || path.ends_with(&format!(".{end}")))
    }
}

/// A parameter of a module.
struct Seen {
    path: String,
    /// Part of an adapter.
    adapter: bool,
    /// Asked for gradients, or no float.
    changes: bool,
}

#[derive(Default)]
struct Parameters {
    place: Place,
    seen: Vec<Seen>,
}

impl Parameters {
    fn of<M: Module>(module: &M) -> Vec<Seen> {
        let mut all = Self::default();
        module.visit(&mut all);
        all.seen
    }

    fn add(&mut self, changes: bool) {
        let adapter = self.place.is_adapter();
        self.seen.push(Seen { path: self.place.path(), adapter, changes: changes || adapter });
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(self.place.changes(param));
    }
    fn visit_int<const D: usize>(&mut self, _: &Param<Tensor<D, Int>>) {
        self.add(true);
    }
    fn visit_bool<const D: usize>(&mut self, _: &Param<Tensor<D, Bool>>) {
        self.add(true);
    }
}

/// Whether a module has adapters.
pub(crate) fn has_adapters<M: Module>(module: &M) -> bool {
    Parameters::of(module).iter().any(|seen| seen.adapter)
}

/// What a record of a training must hold, where its networks `network` and `ema` have adapters: all but the weights that are
/// frozen in `network`, which whoever goes on has. None where all of it must be there.
pub(crate) fn recorded<M: Module>(training: &M) -> Option<ParamGroup> {
    let all = Parameters::of(training);
    if !all.iter().any(|seen| seen.adapter) {
        return None;
    }
    let changing: BTreeSet<&str> = all.iter().filter(|seen| seen.changes).map(|seen| seen.path.as_str()).collect();
    let changes = |path: &str| {
        let followed = path.strip_prefix("ema.").map(|rest| format!("network.{rest}"));
        changing.contains(path) || followed.is_some_and(|followed| changing.contains(followed.as_str()))
    };
    let paths: Vec<String> = all.iter().filter(|seen| changes(&seen.path)).map(|seen| seen.path.clone()).collect();
    Some(ParamGroup::from_paths(paths))
}

/// SHA-256 over the paths, shapes, types and numbers of what is frozen in a network with adapters.
pub(crate) fn base_digest<M: Module>(network: &M) -> String {
    struct Hash {
        place: Place,
        hash: Sha256,
    }
    impl ModuleVisitor for Hash {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.place.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.place.is_adapter() || self.place.changes(param) {
                return;
            }
            let data = param.val().into_data();
            self.hash.update(format!("{} {:?} {:?}\n", self.place.path(), data.shape(), data.dtype()));
            self.hash.update(data.as_bytes());
        }
    }
    let mut visit = Hash { place: Place::default(), hash: Sha256::new() };
    network.visit(&mut visit);
    digest::hex(visit.hash.finalize(), 32)
}

/// A network with its adapters added to its weights, W + (α/r) · A B, all in f32; as it is if it has none.
///
/// All weights of it are frozen. To train them on, [`ema::load`](crate::train::ema::load) them into a fresh network.
pub fn merged<M: Module>(network: M) -> M {
    struct Whole;
    impl ModuleMapper for Whole {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match param.dtype().is_float() {
                true => param.map(|tensor| tensor.cast(FloatDType::F32)),
                false => param,
            }
        }
    }
    if has_adapters(&network) { network.materialize().map(&mut Whole) } else { network }
}
