//! Numbers that are not finite in weights.
use burn::tensor::{DType, TensorData};

/// "has NaN or infinity in 3 of 64 numbers", if it has.
pub(super) fn not_finite(data: &TensorData) -> Option<String> {
    let bad = match data.dtype() {
        DType::F32 => data.as_slice::<f32>().ok()?.iter().filter(|value| !value.is_finite()).count(),
        dtype if dtype.is_float() => data.iter::<f32>().filter(|value| !value.is_finite()).count(),
        _ => 0,
    };
    let all = data.num_elements();
    (bad > 0).then(|| format!("has NaN or infinity in {bad} of {all} numbers"))
}

/// A line for each parameter of `module` that is not finite, by its path in the module.
///
/// # Errors
/// A parameter that cannot be read from its device.
#[cfg(feature = "experiment")]
pub(crate) fn not_finite_in<M: burn::module::Module>(module: &M) -> Result<Vec<String>, String> {
    use super::grouped::{Said, grouped};
    use burn::store::{ModuleSnapshot, bridge};

    let mut said = Vec::new();
    for tensor in module.collect(None, None, true) {
        let name = tensor.name.clone();
        let data = bridge::into_data(tensor).map_err(|e| format!("`{name}`: {e}"))?;
        said.extend(not_finite(&data).map(|what| Said { name, what }));
    }
    Ok(grouped(said))
}
