//! A way to a server on which bytes are counted, and which can be cut without a word.
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(5);

/// The way.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    sent: AtomicU64,
    received: AtomicU64,
    is_cut: AtomicBool,
}

impl Proxy {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::new(State::default());
        let held = state.clone();
        std::thread::spawn(move || {
            // The listener goes with this thread, and who comes later is refused.
            while !held.is_cut.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((client, _)) => connect(client, server, &held),
                    Err(_) => std::thread::sleep(POLL),
                }
            }
        });
        Self { address, state }
    }

    /// Bytes that went to the server and came from it so far.
    pub fn bytes(&self) -> [u64; 2] {
        [&self.state.sent, &self.state.received].map(|count| count.load(Ordering::SeqCst))
    }

    /// Nothing passes any more, and no connection is closed.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }
}

fn connect(client: TcpStream, server: SocketAddr, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(server) else { return };
    client.set_nonblocking(false).unwrap();
    for (from, to, up) in [(&client, &server, true), (&server, &client, false)] {
        to.set_nodelay(true).unwrap();
        let (mut from, mut to, state) = (from.try_clone().unwrap(), to.try_clone().unwrap(), state.clone());
        std::thread::spawn(move || {
            let count = if up { &state.sent } else { &state.received };
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read) = from.read(&mut buffer) {
                while state.is_cut.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                if read == 0 || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
                count.fetch_add(read as u64, Ordering::SeqCst);
            }
            drop(to.shutdown(Shutdown::Both));
        });
    }
}
