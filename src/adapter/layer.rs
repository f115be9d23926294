//! The linear layers of a network, and what keeps adapters from them.
use super::config::names;
use super::parameters::Place;
use super::{AdapterConfig, LoraConfig};
use crate::Problem;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Burn's own layer, as containers are named to visitors.
const LINEAR: &str = "Struct:Linear";

/// A linear layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its path in the network.
    pub path: String,
    /// How many numbers go in, and how many come out.
    pub sides: [usize; 2],
}

/// The linear layers of a network, and the ids of their weights.
#[derive(Default)]
pub(crate) struct Linears {
    place: Place,
    pub layers: Vec<Layer>,
    pub ids: Vec<ParamId>,
}

impl Linears {
    pub fn of<M: Module>(network: &M) -> Self {
        let mut all = Self::default();
        network.visit(&mut all);
        all
    }
}

impl ModuleVisitor for Linears {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.place.path();
        if let (Some(layer), LINEAR) = (path.strip_suffix(".weight"), self.place.container())
            && let Ok(sides) = <[usize; 2]>::try_from(param.lazy_shape().to_vec())
        {
            self.layers.push(Layer { path: layer.into(), sides });
            self.ids.push(param.id);
        }
    }
}

/// Why a network with these layers cannot have the adapters, with keys below `path`.
pub(crate) fn misfits(config: &AdapterConfig, layers: &[Layer], path: &str) -> Vec<Problem> {
    let AdapterConfig::Lora(LoraConfig { rank, matching, .. }) = config;
    let mut problems = Vec::new();
    let mut must = |key: &str, message: String| problems.push(Problem { path: format!("{path}.{key}"), message });
    for (i, name) in matching.iter().enumerate() {
        if !layers.iter().any(|layer| names(name, &layer.path)) {
            let none = format!("= {name:?}: no linear layer has this in its path; there are {}", forms(layers));
            must(&format!("match[{i}]"), none);
        }
    }
    if layers.is_empty() {
        must("kind", "= \"lora\": the network has no layer of the type `Linear`".into());
    }
    if !layers.is_empty() && matching.is_empty() && !layers.iter().any(|layer| config.is_for(layer)) {
        must("rank", format!("= {rank}: no linear layer is as large; take a smaller rank"));
    }
    let smaller = |layer: &&Layer| config.is_for(layer) && *rank > layer.sides[0].min(layer.sides[1]);
    if let Some(Layer { path, sides: [inputs, outputs] }) = layers.iter().find(smaller) {
        let most = "has no larger rank than its smaller side; name other layers in `match`, or take a smaller rank";
        must("rank", format!("= {rank}: the weight of `{path}` is [{inputs}, {outputs}], and {most}"));
    }
    problems
}

/// The paths of layers, each form once: `blocks.#.attn.qkv`.
fn forms(layers: &[Layer]) -> String {
    let mut forms: Vec<String> = Vec::new();
    for layer in layers {
        let segments = layer.path.split('.').map(|s| if s.parse::<u64>().is_ok() { "#" } else { s });
        let form = format!("`{}`", segments.collect::<Vec<_>>().join("."));
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    if forms.is_empty() { "none".into() } else { forms.join(", ") }
}
