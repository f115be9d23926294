//! What a run shows while it trains: TensorBoard files and plain progress lines.
//!
//! Nothing here can stop a run: a full disk or an unwritable folder costs one warning line.
//!
//! * [`TensorBoard`]: the handle that everything which draws shares;
//! * [`TensorBoardLogger`]: Burn's metrics into that handle;
//! * [`renderer()`]: Burn's dashboard in a terminal, [`PlainRenderer`] in a log file, nothing after [`silence`];
//! * [`EventWriter`]: the event file itself, where every I/O error is a value.
mod board;
mod events;
mod logger;
mod records;
mod renderer;

pub use board::TensorBoard;
pub use events::EventWriter;
#[cfg(test)]
pub(crate) use events::tests::read_events;
pub use logger::TensorBoardLogger;
pub use renderer::{PlainRenderer, renderer, silence};
