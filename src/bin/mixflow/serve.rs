//! `mixflow serve`.
use crate::say;
use burn_mixflow::post_train::DeviceName;
use burn_mixflow::remote::{Listen, Token, serve};
use burn_mixflow::{Error, Result};
use clap::Args;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What to lend, and how it is reached.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The devices, all of one kind, as cuda:0,cuda:1.
    #[arg(long, value_delimiter = ',', default_value = "cpu", value_name = "NAME")]
    devices: Vec<String>,
    /// A file with the token that clients must have; only its owner may be allowed to read it.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: PathBuf,
    /// The port: TCP with --websocket, else UDP. 0 takes one that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Be reached by WebSocket, which is not encrypted: for a network that is trusted.
    #[arg(long)]
    websocket: bool,
    /// With --websocket: the address to listen at.
    #[arg(long, requires = "websocket", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    bind: IpAddr,
    /// Without --websocket: the relays of Iroh, `public`, `disabled`, or the https:// address of one of your own.
    #[arg(long, conflicts_with = "websocket", default_value = "public")]
    relays: String,
    /// Without --websocket: the file of the server's key, made if it is missing; TOKEN_FILE.key if left out.
    #[arg(long, value_name = "FILE", conflicts_with = "websocket", value_hint = clap::ValueHint::FilePath)]
    key_file: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
pub fn run(arguments: &Arguments) -> Result<()> {
    let names: Vec<DeviceName> = arguments.devices.iter().cloned().map(DeviceName).collect();
    if let Some(remote) = names.iter().find(|name| name.0.starts_with("remote:")) {
        return Err(Error::Invalid(format!(
            "--devices: {} is not of this machine, and is served where it is",
            remote.0
        )));
    }
    let kind = |name: &DeviceName| name.0.split(':').next().map(str::to_string);
    if let Some(other) = names.iter().find(|name| kind(name) != kind(&names[0])) {
        return Err(Error::Invalid(format!(
            "--devices: {} and {} are of two kinds; serve those of each by a command of its own",
            names[0].0, other.0
        )));
    }
    let token = Token::read(&arguments.token_file)?;
    let devices = names.iter().map(DeviceName::open).collect::<Result<Vec<_>>>()?;
    let Arguments { port, bind, relays, key_file, .. } = arguments;
    let listen = match arguments.websocket {
        true => Listen::WebSocket { ip: *bind, port: *port },
        false => {
            let beside = || {
                let mut name = arguments.token_file.clone().into_os_string();
                name.push(".key");
                name.into()
            };
            Listen::Iroh { port: *port, key: key_file.clone().unwrap_or_else(beside), relays: relays.clone() }
        }
    };
    serve(&devices, &token, listen, |lent| {
        let list: Vec<String> = lent.iter().map(|name| format!("{name:?}")).collect();
        say::result(&format!("\"devices\": [{}]", list.join(", ")));
    })
}
