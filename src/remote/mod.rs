//! Devices of other machines, through Burn's remote backend.
//!
//! [`serve`] lends this machine's devices; a configuration names them as `"remote:ADDRESS#N"`, and everything then runs on them
//! as on a device of its own. The graph of a backward pass stays with the client: the server is sent operations, the batches
//! and, of several devices, the weights of each step, and sends back what is read.
//!
//! Who knows the token may run any operation on the devices served. WebSocket carries it and everything else in the clear: for
//! a network that is trusted. Iroh encrypts, and proves to the client whose key the server has.
mod client;
mod guard;
mod server;
mod token;
mod watch;

pub use guard::guarded;
pub use server::{Listen, serve};
pub use token::Token;
pub use watch::watch;

pub(crate) use client::{name_of, open};
pub(crate) use guard::lost;
