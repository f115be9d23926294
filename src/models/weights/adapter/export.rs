//! Adapters out.
use super::layouts::{AdapterLayouts, Rows};
use crate::adapter::{AdapterConfig, LoraConfig, Place};
use crate::{Error, Result, storage};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// What PEFT puts in front of every name of a network.
pub(super) const PEFT_PREFIX: &str = "base_model.model.";
/// What diffusers puts there.
pub(super) const DIFFUSERS_PREFIX: &str = "transformer.";

/// A and B of a layer, as PyTorch holds them.
struct Factors {
    rank: usize,
    inputs: usize,
    outputs: usize,
    /// `[rank, inputs]`.
    a: Vec<f32>,
    /// `[outputs, rank]`.
    b: Vec<f32>,
}

/// Writes the adapters of a network into `folder`: `adapter_model.safetensors` and `adapter_config.json`, as PEFT's
/// `PeftModel.from_pretrained` reads them for the official network, and, where diffusers has the network,
/// `pytorch_lora_weights.safetensors`, as its `load_lora_weights` does. There α/r is multiplied into B.
///
/// # Errors
/// [`Error::Io`] if a file cannot be written, [`Error::Weights`] for a network without adapters, or with one that is not finite.
pub fn export_adapter<M: Module>(
    network: &M,
    config: &AdapterConfig,
    folder: &Path,
    layouts: &AdapterLayouts<'_>,
) -> Result<()> {
    let AdapterConfig::Lora(LoraConfig { rank, alpha, .. }) = config;
    let layers = factors(network, layouts)?;
    storage::create_folder(folder)?;
    let peft = layers.iter().flat_map(|(layer, factors)| {
        let Factors { rank, inputs, outputs, a, b } = factors;
        let name = |factor: &str| format!("{PEFT_PREFIX}{layer}.{factor}.weight");
        [(name("lora_A"), vec![*rank, *inputs], a.clone()), (name("lora_B"), vec![*outputs, *rank], b.clone())]
    });
    write(&folder.join("adapter_model.safetensors"), peft.collect())?;
    let text = json!({
        "peft_type": "LORA",
        "task_type": null,
        "base_model_name_or_path": null,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "target_modules": layers.keys().collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&text).map_err(|e| Error::Invalid(e.to_string()))?;
    storage::write(&folder.join("adapter_config.json"), text.as_bytes())?;

    let mut diffusers = Vec::new();
    for (layer, Factors { rank: r, inputs, outputs, a, b }) in &layers {
        for part in (layouts.diffusers)(layer).unwrap_or_default() {
            let (name, rows) = (part.name, chosen(part.rows, *outputs));
            let scale = (alpha / *rank as f64) as f32;
            let scaled: Vec<f32> = rows.iter().flat_map(|row| &b[row * r..(row + 1) * r]).map(|b| scale * b).collect();
            let name = |factor: &str| format!("{DIFFUSERS_PREFIX}{name}.{factor}.weight");
            diffusers.push((name("lora_A"), vec![*r, *inputs], a.clone()));
            diffusers.push((name("lora_B"), vec![rows.len(), *r], scaled));
        }
    }
    match diffusers.is_empty() {
        true => Ok(()),
        false => write(&folder.join("pytorch_lora_weights.safetensors"), diffusers),
    }
}

/// The rows of a weight with so many.
pub(super) fn chosen(rows: Rows, outputs: usize) -> Vec<usize> {
    match rows {
        Rows::All => (0..outputs).collect(),
        Rows::Third(third) => (third * outputs / 3..(third + 1) * outputs / 3).collect(),
        Rows::HalvesSwapped => (outputs / 2..outputs).chain(0..outputs / 2).collect(),
    }
}

/// The adapters of a network, by the official names of their layers.
fn factors<M: Module>(network: &M, layouts: &AdapterLayouts<'_>) -> Result<BTreeMap<String, Factors>> {
    #[derive(Default)]
    struct Visit {
        place: Place,
        found: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    }
    impl ModuleVisitor for Visit {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.place.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.place.is_adapter() {
                let data = param.val().into_data();
                self.found.insert(self.place.path(), (data.shape().to_vec(), data.iter::<f32>().collect()));
            }
        }
    }
    let mut visit = Visit::default();
    network.visit(&mut visit);
    let mut layers = BTreeMap::new();
    for (path, (shape, a)) in &visit.found {
        let Some(layer) = path.strip_suffix(".weight.lora.a") else { continue };
        let Some((b_shape, b)) = visit.found.get(&format!("{layer}.weight.lora.b")) else { continue };
        let layer = layouts.names.to_file(layer);
        if !a.iter().chain(b).all(|value| value.is_finite()) {
            return Err(Error::Weights(format!("the adapter of `{layer}` is not finite, so that nothing is written")));
        }
        let (inputs, rank, outputs) = (shape[0], shape[1], b_shape[1]);
        let (a, b) = (transposed(a, inputs, rank), transposed(b, rank, outputs));
        layers.insert(layer, Factors { rank, inputs, outputs, a, b });
    }
    match layers.is_empty() {
        true => Err(Error::Weights("the network has no adapter".into())),
        false => Ok(layers),
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

fn write(file: &Path, tensors: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<()> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let parts: Vec<_> = tensors.iter().map(|(name, shape, values)| (name, shape, bytes(values))).collect();
    let mut views = Vec::with_capacity(parts.len());
    for (name, shape, bytes) in &parts {
        let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes);
        views.push((name.as_str(), view.map_err(|e| Error::Weights(format!("`{name}`: {e}")))?));
    }
    storage::write_with(file, |unfinished| {
        safetensors::serialize_to_file(views, None, unfinished).map_err(std::io::Error::other)
    })
}
