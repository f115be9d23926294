//! Slow Flow measured: at which slowed timestep m are the states that a sampler reaches at time t?
//!
//! [`measure`] runs a field or network through a [`Sampler`](crate::sample::Sampler), stops at several times and asks
//! a [`Definition`] for m. Use [`Definition::Distribution`]; the others are what a reader of the paper would write
//! first, kept under their names with what they can and cannot show.
//!
//! | definition | compares | zero for an exact field |
//! |---|---|---|
//! | `distribution` | the set of states with ground-truth sets, by energy distance | yes |
//! | `regressor` | their mean in one learned, calibrated direction | yes |
//! | `variance` | their total variance only | yes |
//! | `pair_independent` | each state with the segment to an unrelated sample of the data | no: bias printed |
//! | `pair_one_step` | one step from the truth with the segment of its own pair | no: bias printed |
//! | `trajectory` | each state with the segment from its own noise to its own end | no: curvature, usually negative |
//!
//! "Exact" means an exact field integrated exactly: the discretisation error of few steps is part of what is measured.
//! [`Tolerance`] measures how much error slowing would add on these data, and [`recommend`] weighs it against the
//! measured lag. What
//! `"gamma": "auto"` does is a search by short trainings: [`post_train::gamma`](crate::post_train::gamma).
mod before_and_after;
mod distribution;
mod gamma_by_t;
mod inner_products;
mod minimise;
mod nearest;
mod of_experiment;
mod pair_distances;
mod pairs;
mod probe;
mod recommendation;
mod regressor;
mod report;
mod resample;
mod source;
mod states;
mod tolerance;
mod truth;
mod variance;

pub use super::config::{Definition, ProbeConfig};
pub use before_and_after::{MeasuredNetwork, before_and_after};
pub use gamma_by_t::gamma_by_t;
pub use of_experiment::SlowFlow;
pub(super) use of_experiment::networked;
pub use probe::{Estimate, Measurement, Point, Probe, measure};
pub use recommendation::{GammaPoint, Recommendation, recommend};
pub use regressor::TimeRegressor;
pub use report::{MeasuredStrategy, Report, Row};
pub use source::{Exactly, FieldSource, Networked};
pub(super) use states::velocities;
pub use states::{States, Station};
pub use tolerance::{Tolerance, TolerancePoint};
pub use truth::GroundTruth;

#[cfg(test)]
mod tests;
