//! The device of a run, by name: `"cpu"`, `"cuda:0"`, `"wgpu:0"`, `"remote:ADDRESS#0"`.
use super::remote_address::{FORMS, RemoteAddress, RemoteHostAddress};
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// A device name: a backend and, for GPUs, an index; for a device of another machine, its address and its index there.
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

    /// What stands after `remote:`.
    fn remote(&self) -> Option<&str> {
        self.0.strip_prefix("remote:")
    }

    /// A name this crate does not know.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        if let Some(address) = self.remote() {
            return match RemoteAddress::parse(address) {
                Some(_) => Vec::new(),
                None => vec![Problem { path: path.into(), message: format!("= {:?}: must be {FORMS}", self.0) }],
            };
        }
        if matches!(self.parts(), Some(("cpu", 0) | ("cuda" | "wgpu", _))) {
            return Vec::new();
        }
        let message = format!("= {:?}: must be \"cpu\", \"cuda:N\", \"wgpu:N\" or \"remote:ADDRESS#N\"", self.0);
        vec![Problem { path: path.into(), message }]
    }

    /// Devices that cannot train together: of several servers of which one is reached by WebSocket. Tensors go from server to
    /// server, which Burn 0.22.1 refuses between WebSocket and Iroh, and which hung between two by WebSocket when it was tried.
    pub fn strangers(path: &str, devices: &[Self]) -> Option<Problem> {
        let hosts = devices.iter().filter_map(|name| Some(RemoteAddress::parse(name.remote()?)?.host));
        let hosts: Vec<_> = hosts.collect();
        let by_websocket = hosts.iter().find(|host| matches!(host, RemoteHostAddress::WebSocket(_)))?;
        hosts.iter().any(|host| host != by_websocket).then(|| Problem {
            path: path.into(),
            message: format!(
                ": {by_websocket} is reached by WebSocket, so no device of another server may stand beside it; serve them all \
                 without --websocket"
            ),
        })
    }

    /// Opens the device, without autodiff. One of another machine is connected to, which takes at most a minute; the token
    /// that its server asks for is in the environment, `MIXFLOW_REMOTE_TOKEN` or the file `MIXFLOW_REMOTE_TOKEN_FILE`.
    ///
    /// # Errors
    /// [`Error::Device`] if this build, this machine or that host does not have it, if the host is not reached or refuses the
    /// token; whatever keeps the token from being read.
    pub fn open(&self) -> Result<Device> {
        let fail = |message: &str| Error::Device { name: self.0.clone(), message: message.into() };
        if let Some(address) = self.remote() {
            let address = RemoteAddress::parse(address).ok_or_else(|| fail(&format!("must be {FORMS}")))?;
            #[cfg(feature = "remote")]
            return crate::remote::open(&self.0, &address);
            #[cfg(not(feature = "remote"))]
            return Err(fail(&format!("build with `--features remote` to reach {}", address.host)));
        }
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
