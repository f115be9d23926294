//! The device of a run, by name: `"cpu"`, `"cuda:0"`, `"wgpu:0"`.
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// A device name: a backend and, for GPUs, an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DeviceName(pub String);

impl Default for DeviceName {
    fn default() -> Self {
        Self("cpu".into())
    }
}

impl DeviceName {
    fn parts(&self) -> Option<(&str, usize)> {
        match self.0.split_once(':') {
            None => Some((&self.0, 0)),
            Some((name, index)) => Some((name, index.parse().ok()?)),
        }
    }

    /// A name this crate does not know.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        if matches!(self.parts(), Some(("cpu", 0) | ("cuda" | "wgpu", _))) {
            return Vec::new();
        }
        let message = format!("= {:?}: must be \"cpu\", \"cuda:N\" or \"wgpu:N\"", self.0);
        vec![Problem { path: path.into(), message }]
    }

    /// Opens the device, without autodiff.
    ///
    /// # Errors
    /// [`Error::Device`] if this build or this machine does not have it.
    pub fn open(&self) -> Result<Device> {
        let fail = |message: &str| Error::Device { name: self.0.clone(), message: message.into() };
        match self.parts() {
            Some(("cpu", _)) => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Some(("cuda", index)) => match Device::enumerate(burn::tensor::DeviceType::Cuda).into_iter().nth(index) {
                Some(device) => Ok(device),
                None => Err(fail(
                    "no such GPU was found: `nvidia-smi -L` lists those of the driver; LD_LIBRARY_PATH must not name the \
                     toolkit's `stubs` or `compat` folder, whose libcuda.so hides the driver's",
                )),
            },
            #[cfg(feature = "wgpu")]
            Some(("wgpu", index)) => match Device::enumerate(burn::tensor::DeviceType::Wgpu).into_iter().nth(index) {
                Some(device) => Ok(device),
                None => Err(fail("no such GPU was found on this machine")),
            },
            #[cfg(not(feature = "cuda"))]
            Some(("cuda", _)) => Err(fail("build with `--features cuda`")),
            #[cfg(not(feature = "wgpu"))]
            Some(("wgpu", _)) => Err(fail("build with `--features wgpu`")),
            _ => Err(fail("unknown name")),
        }
    }
}
