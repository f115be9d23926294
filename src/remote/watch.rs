//! Hosts that fall silent without a word.
use crate::Error;
use crate::post_train::remote_address::RemoteHostAddress;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Between two looks at a host.
const EVERY: Duration = Duration::from_secs(15);

/// A host that takes no connection within that time is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Not there so often in a row, it is lost.
const MISSES: u32 = 3;

type Told = Box<dyn Fn(Error) + Send + Sync>;

static TOLD: OnceLock<Told> = OnceLock::new();
static WATCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Tells `lost`, from a thread of its own, of a WebSocket host opened from now on that has taken no connection three times in a
/// row: after 45 to 105 seconds.
///
/// A host that is switched off or cut off closes no connection, and Burn waits for its answer as long as the operating system
/// does, which may be hours. `lost` may have nothing to do but to end the process; checkpoints are whole at any time. A host
/// that ends closes its connections, and Iroh notices both by itself: those are errors where they are met. Only the first call
/// counts.
pub fn watch(lost: impl Fn(Error) + Send + Sync + 'static) {
    drop(TOLD.set(Box::new(lost)));
}

/// Watches the host of a device that the configuration calls `name`.
pub(super) fn begin(name: &str, host: &RemoteHostAddress) {
    let (RemoteHostAddress::WebSocket(url), Some(told)) = (host, TOLD.get()) else { return };
    let place = url.trim_start_matches("ws://").to_string();
    if !WATCHED.lock().unwrap_or_else(|e| e.into_inner()).insert(place.clone()) {
        return;
    }
    let name = name.to_string();
    std::thread::spawn(move || {
        // Names are looked up once: a connection goes on where the lookup fails for a while.
        let known = addresses(&place);
        let mut misses = 0;
        while misses < MISSES {
            std::thread::sleep(EVERY);
            misses = if is_there(&known) || is_there(&addresses(&place)) { 0 } else { misses + 1 };
        }
        told(Error::Device { name, message: super::guard::LOST.into() });
    });
}

fn addresses(place: &str) -> Vec<SocketAddr> {
    place.to_socket_addrs().into_iter().flatten().collect()
}

fn is_there(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| TcpStream::connect_timeout(address, PATIENCE).is_ok())
}
