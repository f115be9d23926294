//! Opening devices of other machines, and their names.
use super::{Token, watch};
use crate::post_train::remote_address::{RemoteAddress, RemoteHostAddress, Way};
use crate::{Error, Result};
use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};
use burn::tensor::Device;
use std::sync::{Mutex, MutexGuard, mpsc};
use std::time::Duration;

/// To connect takes no longer. Burn tries a host that refuses for 16 seconds, as it may have just been started.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device that was opened, by the name in the configuration.
#[derive(Clone)]
pub(super) struct Opened {
    pub name: String,
    pub device: Device,
}

static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

/// All that were opened in this process.
pub(super) fn opened() -> MutexGuard<'static, Vec<Opened>> {
    OPENED.lock().unwrap_or_else(|e| e.into_inner())
}

/// How a configuration names `device`, if it is of another machine.
pub(crate) fn name_of(device: &Device) -> Option<String> {
    let device = device.clone().inner();
    opened().iter().find(|opened| opened.device == device).map(|opened| opened.name.clone())
}

/// Connects to the device at `address`, which the configuration calls `name`.
///
/// # Errors
/// [`Error::Device`] with the name, if the host is not reached within a minute, refuses the token, has no such device or
/// another version of Burn; as [`Token::of_environment`].
pub(crate) fn open(name: &str, address: &RemoteAddress) -> Result<Device> {
    let fail = |message: String| Error::Device { name: name.into(), message };
    let token = Token::of_environment()?;
    let host = host(&address.host).map_err(fail)?.with_credential(token.secret());
    let index = address.index;
    let (answer, answered) = mpsc::channel();
    // A host that swallows what it is sent may be waited for longer than anyone wants: the thread is left behind then.
    std::thread::spawn(move || {
        let connected = Device::remote_options(&host).device_index(index).init();
        drop(answer.send(connected.map_err(|error| words(&error, index))));
    });
    let device = match answered.recv_timeout(PATIENCE) {
        Ok(connected) => connected.map_err(fail)?,
        Err(_) => return Err(fail(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    watch::begin(name, &address.host);
    let mut all = opened();
    if all.iter().all(|opened| opened.device != device) {
        all.push(Opened { name: name.into(), device: device.clone() });
    }
    Ok(device)
}

fn host(address: &RemoteHostAddress) -> std::result::Result<RemoteHost, String> {
    let (id, way) = match address {
        RemoteHostAddress::WebSocket(url) => return Ok(RemoteHost::websocket(url)),
        RemoteHostAddress::Iroh { id, way } => (id, way),
    };
    let id: EndpointId = id.parse().map_err(|e| format!("its id is no public key: {e}"))?;
    let host = IrohHost::new(id);
    Ok(RemoteHost::iroh(match way {
        Way::Public => host,
        Way::Direct(address) => host.with_relays(IrohRelays::Disabled).with_address(*address),
        Way::Relay(url) => host.with_relays(url.parse::<IrohRelays>().map_err(|e| e.to_string())?),
    }))
}

fn words(error: &ConnectError, index: usize) -> String {
    match error {
        ConnectError::Unauthorized => {
            "the server refused the token: MIXFLOW_REMOTE_TOKEN must be what its --token-file holds".into()
        }
        ConnectError::NoSuchDevice { device_count } => {
            format!("the server has {device_count} device(s): #{index} must be below that")
        }
        ConnectError::IncompatibleProtocol { client_version, server_version } => format!(
            "the server speaks version {server_version} of Burn's remote protocol, this program version {client_version}: \
             run the same version of mixflow on both"
        ),
        other => other.to_string(),
    }
}
