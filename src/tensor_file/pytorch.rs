//! What `torch.save` writes, through Burn's reader: it calls nothing that a pickle names, and knows only how tensors,
//! dictionaries and modules are written.
use super::Stored;
use std::path::Path;

#[cfg(feature = "pytorch")]
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    use super::FileTensor;
    use burn::store::bridge;
    use burn::store::pytorch_reader::PytorchReader;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    // The reader has limits of its own; should one of the libraries below it panic, the file is to blame all the same.
    let reader = catch_unwind(AssertUnwindSafe(|| PytorchReader::new(file)));
    let reader = reader.map_err(|_| "cannot be read: it is damaged, get it again".to_string())?;
    let reader = reader.map_err(|error| explained(&error))?;
    let tensor = |(name, tensor): (String, burn::store::pytorch_reader::Tensor)| {
        let type_name = format!("{:?}", tensor.dtype());
        (name, FileTensor::readable(type_name, bridge::from_pytorch(tensor)))
    };
    Ok(reader.into_tensors().into_iter().map(tensor).collect())
}

/// What the reader says, and what to do about it.
#[cfg(feature = "pytorch")]
fn explained(error: &burn::store::pytorch_reader::PytorchError) -> String {
    use burn::store::pytorch_reader::{OpCode, PickleError, PytorchError};
    const ALONE: &str = "save the tensors alone: in PyTorch, `torch.save(torch.load(FILE, weights_only=False)[\"ema\"], \
                         NEW)`, which runs what the file names, so only for files that you trust";
    match error {
        PytorchError::Zip(_) | PytorchError::Io(_) => format!("{error}: it is cut off or damaged, get it again"),
        PytorchError::InvalidFormat(text) if text.contains("data.pkl") => {
            "is a ZIP archive, but not one of PyTorch (it has no data.pkl): unpack it, or take the .pt file".into()
        }
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

#[cfg(not(feature = "pytorch"))]
pub(super) fn open(_: &Path) -> Result<Stored, String> {
    Err("reading PyTorch files needs the feature `pytorch`; or convert it to .safetensors".into())
}
