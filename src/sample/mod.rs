//! Sampling: from noise at `t = 0` to data at `t = 1`.
//!
//! The ordinary differential equation is `dx/dt = v(x, t)`. Which solver: [`SolverConfig::Euler`] is what few-step
//! sampling and the paper's tables use; [`SolverConfig::Heun`] is better per network evaluation from about 20
//! evaluations on; [`SolverConfig::Dopri5`] chooses its own steps; [`SolverConfig::Sde`] adds noise on the way.
//!
//! [`Sampler`] does all of it for a [`PredictionNetwork`](crate::network::PredictionNetwork), guided and
//! corrected as a [`SamplerConfig`] says. To integrate something else, implement [`VelocityField`] (closures already
//! do) and call [`solve`], [`solve_adaptive`], [`solve_sde`] or [`solve_dpmpp_2m`]. A new fixed-step solver is a new
//! [`Tableau`], a new layout of the steps a new [`TimesConfig`], a new correction wraps a [`VelocityField`].
mod adaptive;
mod at;
mod config;
pub mod corrections;
mod dense;
mod diffusion;
mod dpmpp;
mod field;
mod grid;
mod guidance;
mod network_field;
mod sampler;
mod sde;
mod solve;
mod solver;
mod tableau;
mod weak;

pub use adaptive::{AdaptiveConfig, solve_adaptive};
pub use at::{At, Step};
#[cfg(feature = "experiment")]
pub(crate) use config::{MOST_SAMPLES, MOST_STEPS};
pub use config::{SamplerConfig, StatePrecision};
pub use corrections::{
    CorrectionConfig, DifferentialCorrection, EpsilonScaling, StaticShift, TimeShiftSampler, VelocityScale,
};
pub use diffusion::DiffusionForm;
pub use dpmpp::solve_dpmpp_2m;
pub use field::VelocityField;
pub use grid::{StepCount, TimesConfig, uniform_times};
pub use guidance::{GuidanceConfig, GuidancePer, GuidedChannels};
pub use network_field::NetworkField;
pub use sampler::{Networks, Progress, SampleNoise, Sampler};
pub use sde::{LastStep, LastTime, SdeConfig, SdeMethod, solve_sde};
pub use solve::{Reached, solve};
pub use solver::SolverConfig;
pub use tableau::Tableau;
pub use weak::WeakGuidanceConfig;
