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
mod metric_files;
mod records;
mod renderer;
#[cfg(all(unix, feature = "tui"))]
mod terminal;
mod warnings;

pub use board::TensorBoard;
pub use events::EventWriter;
#[cfg(test)]
pub(crate) use events::tests::read_events;
pub(crate) use logger::StepLogger;
pub use logger::TensorBoardLogger;
pub(crate) use metric_files::MetricFiles;
pub(crate) use renderer::is_dashboard;
pub use renderer::{PlainRenderer, renderer, silence};
#[cfg(all(unix, feature = "tui"))]
pub use terminal::let_signals_through;
pub(crate) use warnings::WarningsKept;
pub use warnings::{note, warn};
