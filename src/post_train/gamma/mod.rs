//! Choosing the mixture range γ by *pilots*: short trainings at a few γ and one of the control, sampled at the
//! budgets, and measured by the distance, that you name.
//!
//! [`search`] says which γ to try next, whoever trains and measures; [`GammaChoice`] holds the verdict and its reasons.
mod choice;
mod search;

pub use choice::{GammaChoice, GammaCurvePoint, GammaGoal, Pilot, PilotDistances};
pub use search::{CANDIDATES, RunPilots, search};
