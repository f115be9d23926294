//! Choosing the mixture range γ by measurement.
//!
//! | | costs | knows |
//! |---|---|---|
//! | [`recommend`] | no training: the probe and the tolerance of the data | the velocity error at the states that sampling meets |
//! | [`search`] | short trainings, *pilots*, at a few γ | the distance that is asked for, at the steps that are asked for |
//!
//! `"gamma": "auto"` and the example `choose_gamma` search with pilots. What [`recommend`] says beside them explains;
//! by itself it misses the best γ too often, as docs/evidence.md shows: it knows neither the distance nor how well a
//! network of this size learns to tell the level of its input.
mod choice;
mod expected;
mod search;

pub use choice::{Choice, Found, PilotPoint, Target, Trial};
pub use expected::{GammaPoint, Recommendation, recommend};
pub use search::{CANDIDATES, Pilots, search};
