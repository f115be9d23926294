//! Weights of a file, their batch norms folded into the convolutions before them.
use super::config::{BATCHES, CLASSES, InceptionConfig, NORM};
use super::layers::{Block, Branch, Conv};
use super::layout::{self, Layer, Layout};
use super::{FidConvention, Inception};
use crate::tensor_file::{self, Stored};
use crate::{Error, Result};
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// ε of every batch norm.
const EPSILON: f64 = 1e-3;
/// Problems that a message lists.
const LISTED: usize = 8;
/// What is in the file and of no use here: the Inception Score takes the logits without it.
const UNUSED: &str = "fc.bias";
/// The layer whose shape says how wide the network is.
const FIRST: &str = "Conv2d_1a_3x3.conv.weight";

impl Inception {
    /// The network with the weights of `file`: `pt_inception-2015-12-05-6726825d.pth` (feature `pytorch`), or the same
    /// tensors as safetensors. The width is read off the shapes.
    ///
    /// Every batch norm, `γ (W ∗ x − μ) / √(σ² + 1e-3) + β`, becomes a factor of the weights and a bias, computed in f64.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it is no file of tensors or damaged, or holds numbers
    /// that are not finite; [`Error::Weights`] naming the tensors that are missing, unknown or of another shape, and saying
    /// if the file is torchvision's Inception v3.
    pub fn load(file: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let file = file.as_ref();
        let stored = tensor_file::open(file)?;
        let config = config_of(&stored).map_err(|message| Error::Weights(format!("{}: {message}", file.display())))?;
        let tensors = read(stored).map_err(|message| Error::format(file, message))?;
        let weights_hash = hash(&tensors);
        let layout = Layout::new(config.width_divisor);
        let folding = Folding { tensors, device };
        let [stem, second] = layout.stem.each_ref().map(|layers| folding.convs(layers));
        let classes = TensorData::new(folding.tensors["fc.weight"].clone(), [CLASSES, layout.outputs]);
        Ok(Self {
            stem: vec![stem, second],
            blocks: layout.blocks.iter().map(|block| folding.block(block)).collect(),
            classes: Param::from_data(classes, device),
            convention: FidConvention::default(),
            weights_hash,
            config,
        })
    }
}

/// The width of the network in a file that holds all of it and nothing else.
fn config_of(stored: &Stored) -> Result<InceptionConfig, String> {
    if stored.keys().any(|name| name.starts_with("AuxLogits.")) {
        return Err(foreign("it has `AuxLogits`"));
    }
    let (file, take) = ("pt_inception-2015-12-05-6726825d.pth", "take that of pytorch-fid or torch-fidelity");
    let first = stored.get(FIRST).ok_or(format!("has no `{FIRST}`: must be {file} or the same tensors; {take}"))?;
    let config = first.shape.first().and_then(|outputs| InceptionConfig::of_first_layer(*outputs));
    let config = config.ok_or(format!("`{FIRST}` has shape {:?}: must be [32, 3, 3, 3]", first.shape))?;
    if stored.get("fc.weight").is_some_and(|classes| classes.shape.first() == Some(&1000)) {
        return Err(foreign("`fc.weight` has 1000 rows instead of 1008"));
    }
    let expected: BTreeMap<String, Vec<usize>> = config.parameters().into_iter().collect();
    let mut problems: Vec<String> = Vec::new();
    for (name, shape) in &expected {
        match stored.get(name) {
            Some(tensor) if tensor.shape != *shape && !is_optional(name) => {
                problems.push(format!("`{name}` has shape {:?}: must be {shape:?}", tensor.shape));
            }
            None if !is_optional(name) => problems.push(format!("`{name}` is missing")),
            _ => {}
        }
    }
    let unknown = stored.keys().filter(|name| !expected.contains_key(*name));
    problems.extend(unknown.map(|name| format!("`{name}` is no tensor of this network")));
    if problems.is_empty() {
        return Ok(config);
    }
    let more = problems.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    problems.truncate(LISTED);
    Err(format!("is not {file}:\n  {}{rest}\n{take}", problems.join("\n  ")))
}

fn foreign(why: &str) -> String {
    format!(
        "is torchvision's Inception v3 ({why}), whose features are not those of the FID: take \
         pt_inception-2015-12-05-6726825d.pth of pytorch-fid or torch-fidelity"
    )
}

fn is_optional(name: &str) -> bool {
    name == UNUSED || name.ends_with(BATCHES)
}

/// What is used of the file, in f32.
fn read(stored: Stored) -> Result<BTreeMap<String, Vec<f32>>, String> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in stored.into_iter().filter(|(name, _)| !is_optional(name)) {
        let data = tensor.read().map_err(|message| format!("`{name}`: {message}"))?;
        let values = data.try_into_vec_as::<f32>().map_err(|e| format!("`{name}`: {e}"))?;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(format!("`{name}` holds {} at {at}: must be finite; get the file again", values[at]));
        }
        if name.ends_with("running_var") && values.iter().any(|value| *value < 0.0) {
            return Err(format!("`{name}` holds a negative variance; get the file again"));
        }
        tensors.insert(name, values);
    }
    Ok(tensors)
}

/// SHA-256 over names and little-endian numbers: the same for both formats of a file.
fn hash(tensors: &BTreeMap<String, Vec<f32>>) -> String {
    let mut hash = Sha256::new();
    for (name, values) in tensors {
        hash.update(name.as_bytes());
        hash.update((values.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.update(&bytes);
    }
    crate::digest::hex(hash.finalize(), 32)
}

/// Makes layers of tensors that were found to be all there.
struct Folding<'a> {
    tensors: BTreeMap<String, Vec<f32>>,
    device: &'a Device,
}

impl Folding<'_> {
    fn block(&self, block: &layout::Block) -> Block {
        let branch = |branch: &layout::Branch| Branch {
            pool: branch.pool,
            chain: self.convs(&branch.chain),
            fork: self.convs(&branch.fork),
        };
        Block { name: block.name.into(), branches: block.branches.iter().map(branch).collect() }
    }

    fn convs(&self, layers: &[Layer]) -> Vec<Conv> {
        layers.iter().map(|layer| self.conv(layer)).collect()
    }

    fn conv(&self, layer: &Layer) -> Conv {
        let tensor = |part: &str| &self.tensors[&format!("{}.{part}", layer.name)];
        let [gamma, beta, mean, variance] = NORM.map(tensor);
        let size = tensor("conv.weight").len() / layer.outputs;
        let mut weight = Vec::with_capacity(layer.outputs * size);
        let mut bias = Vec::with_capacity(layer.outputs);
        for (output, row) in tensor("conv.weight").chunks_exact(size).enumerate() {
            let factor = f64::from(gamma[output]) / (f64::from(variance[output]) + EPSILON).sqrt();
            weight.extend(row.iter().map(|w| (f64::from(*w) * factor) as f32));
            bias.push((f64::from(beta[output]) - f64::from(mean[output]) * factor) as f32);
        }
        let [rows, columns] = layer.kernel;
        let weight = TensorData::new(weight, [layer.outputs, layer.inputs, rows, columns]);
        Conv {
            weight: Param::from_data(weight, self.device),
            bias: Param::from_data(TensorData::new(bias, [layer.outputs]), self.device),
            stride: layer.stride,
            padding: layer.padding,
        }
    }
}
