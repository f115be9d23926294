//! Lending devices to other machines.
use super::Token;
use crate::{Error, Result};
use burn::server::{
    IrohIdentity, IrohRelays, IrohTransport, RemoteServer, ServeError, TokenAuthorizer, Transport, WebSocketTransport,
};
use burn::tensor::Device;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

/// How a server is reached.
#[derive(Debug, Clone)]
pub enum Listen {
    /// WebSocket on a TCP port: not encrypted, for a trusted network.
    WebSocket {
        /// The interface; `0.0.0.0` for all.
        ip: IpAddr,
        /// The port; 0 for one that is free.
        port: u16,
    },
    /// Iroh on a UDP port: encrypted, and the client knows the server by its key.
    Iroh {
        /// The port; 0 for one that is free.
        port: u16,
        /// The file of the secret key, made if it is missing. The address follows from it.
        key: PathBuf,
        /// `public` for the relays of Iroh's makers, through which a server behind a router is found by its id; `disabled` for
        /// none; the `https://` address of a relay of one's own.
        relays: String,
    },
}

/// Lends `devices` of one backend to whoever has `token`, until the process gets SIGINT or SIGTERM.
///
/// `announce` is given the names for configurations, `remote:ADDRESS#N`, once the port is known to be free.
///
/// # Errors
/// [`Error::Invalid`] if it cannot listen there, for devices of two backends or of another machine, and for relays that are
/// none; [`Error::Io`] if the key cannot be read or made.
pub fn serve(devices: &[Device], token: &Token, listen: Listen, announce: impl FnOnce(&[String])) -> Result<()> {
    let (address, transport) = transport(listen)?;
    let authorizer = TokenAuthorizer::new(token.secret()).map_err(|e| Error::Invalid(e.to_string()))?;
    let server = RemoteServer::new(devices.iter().cloned()).with_authorizer(authorizer);
    let names: Vec<String> = (0..devices.len()).map(|index| format!("remote:{address}#{index}")).collect();
    announce(&names);
    server.serve(transport).map_err(|error| wrong(&address, error))
}

fn wrong(address: &str, error: ServeError) -> Error {
    Error::Invalid(match error {
        ServeError::MixedBackends => {
            "the devices must be of one kind, as cuda:0 and cuda:1; the others want a server of their own".into()
        }
        other => format!("serving at {address}: {other}"),
    })
}

fn transport(listen: Listen) -> Result<(String, Transport)> {
    match listen {
        Listen::WebSocket { ip, port } => {
            let unfree = |e| Error::Invalid(format!("cannot listen on {}: {e}", SocketAddr::new(ip, port)));
            let listener = TcpListener::bind((ip, port)).map_err(unfree)?;
            let place = seen_from_outside(listener.local_addr().map_err(unfree)?);
            Ok((format!("ws://{place}"), WebSocketTransport::from_listener(listener).into()))
        }
        Listen::Iroh { port, key, relays } => {
            let identity = IrohIdentity::load_or_create(&key).map_err(|e| Error::io(&key, e))?;
            let relays: IrohRelays = relays.parse().map_err(|e| Error::Invalid(format!("--relays: {e}")))?;
            let unfree = |e| Error::Invalid(format!("cannot listen on UDP port {port}: {e}"));
            // Iroh does not say which port it was given, so a free one is looked for here.
            let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).and_then(|s| s.local_addr()).map_err(unfree)?;
            let transport = IrohTransport::new(identity).with_relays(relays.clone()).with_port(free.port());
            let way = match &relays {
                IrohRelays::Public => String::new(),
                IrohRelays::Private { url } => format!("@{}", url.to_string().trim_end_matches('/')),
                IrohRelays::Disabled => format!("@{}", seen_from_outside(free)),
            };
            Ok((format!("{}{way}", transport.id()), transport.into()))
        }
    }
}

/// The same port at an address of this machine that others can reach, as far as can be told without sending anything.
fn seen_from_outside(listening: SocketAddr) -> SocketAddr {
    if !listening.ip().is_unspecified() {
        return listening;
    }
    // An address of a network for documentation (RFC 5737): only the route to it is asked for.
    let route = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    SocketAddr::new(route.map_or(Ipv4Addr::LOCALHOST.into(), |own| own.ip()), listening.port())
}
