//! Sampling: the ordinary differential equation `dx/dt = v(x, t)` from noise at `t = 0` to data at `t = 1`.
//!
//! Which solver: [`SolverKind::Euler`] is what few-step sampling and the paper's tables use;
//! [`SolverKind::Heun`] is better per network evaluation from about 20 evaluations on;
//! [`SolverKind::Rk4`] is for reference solutions. [`Sampler`] does all of it for a
//! [`PredictionNetwork`](crate::network::PredictionNetwork); to integrate something else, implement
//! [`VelocityField`] (closures already do) and call [`solve`]. A new solver is a new [`Tableau`].
mod field;
mod guidance;
mod sampler;
mod solve;
mod tableau;

pub use field::{NetworkField, VelocityField};
pub use guidance::{GuidanceConfig, GuidedChannels};
pub use sampler::{Progress, Sampler, SamplerConfig};
pub use solve::{solve, uniform_times};
pub use tableau::{SolverKind, Tableau};
