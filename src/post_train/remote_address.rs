//! Where a device of another machine is: `ws://HOST:PORT#N`, `ID#N`, `ID@IP:PORT#N` or `ID@RELAY#N`.
use std::net::SocketAddr;

/// What a name of a remote device looks like, for messages.
pub(crate) const FORMS: &str = "\"remote:ws://HOST:PORT#N\" or \"remote:ID#N\", as `mixflow serve` prints it";

/// One device of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteAddress {
    pub host: RemoteHostAddress,
    /// Its place in the list that the server hosts.
    pub index: usize,
}

/// A server, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemoteHostAddress {
    /// `ws://HOST:PORT`, not encrypted.
    WebSocket(String),
    /// An Iroh endpoint: the public half of its key in 64 hexadecimal digits, and how it is found.
    Iroh { id: String, way: Way },
}

/// How an Iroh endpoint is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// By its id, over the public relays of Iroh's makers.
    Public,
    /// At this address, and over no relay.
    Direct(SocketAddr),
    /// Over a relay of one's own.
    Relay(String),
}

impl RemoteAddress {
    /// What stands after `remote:` in the name of a device; none for another form than [`FORMS`].
    pub fn parse(text: &str) -> Option<Self> {
        let (host, index) = text.rsplit_once('#')?;
        let index = index.parse().ok().filter(|index| u32::try_from(*index).is_ok())?;
        Some(Self { host: RemoteHostAddress::parse(host)?, index })
    }
}

impl std::fmt::Display for RemoteHostAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WebSocket(url) => f.write_str(url),
            Self::Iroh { id, way: Way::Public } => f.write_str(id),
            Self::Iroh { id, way: Way::Direct(address) } => write!(f, "{id}@{address}"),
            Self::Iroh { id, way: Way::Relay(url) } => write!(f, "{id}@{url}"),
        }
    }
}

impl RemoteHostAddress {
    fn parse(text: &str) -> Option<Self> {
        if let Some(place) = text.strip_prefix("ws://") {
            let (host, port) = place.rsplit_once(':')?;
            let fits = !host.is_empty() && !host.contains(['/', '@', '?', '#']) && port.parse::<u16>().is_ok();
            return fits.then(|| Self::WebSocket(text.into()));
        }
        let (id, way) = match text.split_once('@') {
            None => (text, Way::Public),
            Some((id, url)) if url.starts_with("https://") => (id, Way::Relay(url.into())),
            Some((id, address)) => (id, Way::Direct(address.parse().ok()?)),
        };
        let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| Self::Iroh { id: id.to_ascii_lowercase(), way })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let id = "0123456789abcdef".repeat(4);
        let host = |text: &str| RemoteAddress::parse(text).map(|address| (address.host, address.index));
        let ws = RemoteHostAddress::WebSocket("ws://gpu-7:4700".into());
        assert_eq!(host("ws://gpu-7:4700#3"), Some((ws, 3)));
        let iroh = |way| RemoteHostAddress::Iroh { id: id.clone(), way };
        assert_eq!(host(&format!("{id}#0")), Some((iroh(Way::Public), 0)));
        assert_eq!(host(&format!("{}#0", id.to_uppercase())), Some((iroh(Way::Public), 0)));
        let direct = Way::Direct("10.0.0.7:4700".parse().unwrap());
        assert_eq!(host(&format!("{id}@10.0.0.7:4700#1")), Some((iroh(direct), 1)));
        let relay = Way::Relay("https://relay.example.com".into());
        assert_eq!(host(&format!("{id}@https://relay.example.com#2")), Some((iroh(relay), 2)));
        for text in [format!("{id}@10.0.0.7:4700"), format!("{id}@https://relay.example.com"), id.clone()] {
            assert_eq!(RemoteHostAddress::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_not_read() {
        let id = "0123456789abcdef".repeat(4);
        let wrong = [
            "",
            "#0",
            "ws://gpu:4700",
            "ws://gpu#0",
            "ws://:4700#0",
            "ws://gpu:70000#0",
            "ws://gpu:1/x#0",
            "gpu:4700#0",
            "ws://token@gpu:4700#0",
            "ws://gpu:4700#-1",
            "ws://gpu:4700#99999999999",
        ];
        for text in wrong.map(String::from).into_iter().chain([id[1..].to_string() + "#0", id.clone() + "@gpu#0"]) {
            assert_eq!(RemoteAddress::parse(&text), None, "{text}");
        }
    }
}
