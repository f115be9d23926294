//! Weights in and out: official PyTorch checkpoints (`.pt`, with or without EMA) and safetensors.
//!
//! Names in files are the official ones and linear weights are `[outputs, inputs]`; a [`KeyMap`] says where this
//! crate's names differ. Everything is checked before anything is loaded, and the module given is never changed.
mod adapter;
mod contents;
mod export;
mod finite;
mod grouped;
mod import;
mod layouts;
mod misfit;
mod names;
mod recognise;
mod report;
mod source;
mod stream;
mod system;

#[cfg(feature = "experiment")]
pub(crate) use adapter::adapter_files;
pub use adapter::{AdapterLayouts, Part, Rows, add_adapter, export_adapter};
pub use export::{ExportType, export_safetensors, export_safetensors_as};
#[cfg(feature = "experiment")]
pub(crate) use finite::not_finite_in;
pub(crate) use import::import_stored;
pub use import::{ImportOptions, import};
pub use names::KeyMap;
pub use report::ImportReport;
pub use source::{WeightSource, tensor_shapes};
pub(crate) use stream::{Opened, Stream};
pub use system::detect;

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};

/// The parameters under official names, in official layout.
fn official<M: Module>(module: &M, names: KeyMap<'_>) -> Vec<StoredTensor> {
    let mut tensors = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    for tensor in &mut tensors {
        tensor.name = names.to_file(&tensor.name);
    }
    tensors
}

#[cfg(test)]
mod tests;
