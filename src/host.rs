//! What a tensor holds, on the host.
use crate::{Error, Result};
use burn::tensor::Tensor;

/// The values of `tensor` in row-major order; `what` names them in an error.
///
/// # Errors
/// [`Error::Invalid`] if the device does not give them.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>, what: &str) -> Result<Vec<f32>> {
    let unreadable = |reason: String| Error::Invalid(format!("{what} cannot be read: {reason}"));
    let data = tensor.try_into_data_as::<f32>().map_err(|e| unreadable(format!("{e:?}")))?;
    data.try_into_vec::<f32>().map_err(|e| unreadable(format!("{e:?}")))
}
