//! Pictures of a comparison: sheets of samples, and charts as SVG and PNG.
//!
//! [`Sheet`] lays samples out by arm and budget. [`Chart`] draws lines with error bars or bands.
//! [`distance_curves`], [`gamma_curves`] and [`slow_flow_panels`] make the charts of an experiment from plain numbers.
//! The font is compiled in, so that pictures look alike on every machine.
mod axis;
mod canvas;
mod chart;
mod distance_curves;
mod draw;
mod frame;
mod gamma_curves;
mod grid;
mod legend;
mod palette;
mod panel;
mod picture;
mod sheet;
mod slow_flow_panels;
mod strokes;
mod text;

pub use axis::{Axis, Scale};
pub use chart::Chart;
pub use distance_curves::{ArmCurve, ArmRole, BudgetPoint, distance_curves};
pub use gamma_curves::{GammaCurve, GammaPoint, gamma_curves};
pub use grid::grid;
pub use panel::{Ink, Panel, Point, Series, Spread};
pub use picture::Picture;
pub use sheet::{Block, Cell, Sheet, SheetRow};
pub use slow_flow_panels::{SlowCurve, SlowPanel, SlowPoint, slow_flow_panels};
