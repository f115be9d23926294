//! What `torch.save` wrote before PyTorch 1.6, through Burn's reader: it calls nothing that a pickle names, and knows only how
//! tensors, dictionaries and modules are written.
use super::ALONE;
use crate::tensor_file::{FileTensor, Stored};
use burn::store::bridge;
use burn::store::pytorch_reader::{OpCode, PickleError, PytorchError, PytorchReader, Tensor};
use std::path::Path;

/// The tensors of `file`.
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    let reader = PytorchReader::new(file).map_err(|error| explained(&error))?;
    let tensor = |(name, tensor): (String, Tensor)| {
        let type_name = format!("{:?}", tensor.dtype());
        (name, FileTensor::readable(type_name, bridge::from_pytorch(tensor)))
    };
    Ok(reader.into_tensors().into_iter().map(tensor).collect())
}

/// What the reader says, and what to do about it.
fn explained(error: &PytorchError) -> String {
    match error {
        PytorchError::Io(_) => format!("{error}: it is cut off or damaged, get it again"),
        PytorchError::InvalidFormat(text) if text.contains("at the root") => format!("{text}: {ALONE}"),
        PytorchError::Pickle(PickleError::UnsupportedType(kind)) => {
            format!("an object in it is a `{kind}`, which is not read, nor then the rest of the file: {ALONE}")
        }
        PytorchError::Pickle(PickleError::UnexpectedOpCode(
            OpCode::SetItem | OpCode::SetItems | OpCode::Append | OpCode::Appends | OpCode::AddItems,
        )) => {
            format!("an object in it is a dictionary or list of a class of its own, which cannot be skipped: {ALONE}")
        }
        PytorchError::Pickle(PickleError::NoDataSource) => "is a pickle, but not one of PyTorch's tensors".into(),
        PytorchError::Pickle(_) => format!("{error}: it is damaged, get it again; or {ALONE}"),
        _ => error.to_string(),
    }
}
