//! What "slowed timestep of a state" means.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the slowed timestep m of the states at time t is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// The s whose ground-truth set is nearest in energy distance to the set of states.
    ///
    /// Compares distributions, so an exact field shows nothing. Says nothing about single states, and states that
    /// are wrong in another way than noise are assigned the least wrong s.
    #[default]
    Distribution,
    /// The s at which a ridge regression of time, calibrated on ground truth, has the mean it has on the states.
    ///
    /// Also zero for an exact field, and cheap for large sets. Sees only what its features see: energies in bands of
    /// principal directions; off the data it extrapolates.
    Regressor,
    /// The s nearest to t whose ground truth has the total variance of the states.
    ///
    /// Zero for an exact field. Sees the scale alone; near the least variance of the path it hardly moves, and
    /// a wrong scale of the samples reads as slowness.
    Variance,
    /// The nearest s on the segments from the states' own noise to unrelated samples of the data.
    ///
    /// Positive even for an exact field: an unrelated sample is not where the state is going. Less its bias, it shows
    /// only how far the mean of the states lags behind.
    PairIndependent,
    /// The nearest s, on the pairs' own segments, one step after the ground truth.
    ///
    /// Positive even for an exact field, by the step times the irreducible loss over the squared length of the
    /// segments. Less its bias it shows shrunken velocities, not what accumulates over steps.
    PairOneStep,
    /// The nearest s on the segments from the states' own noise to their own ends.
    ///
    /// Shows the curvature of the trajectories; usually negative, whatever the quality of the states.
    Trajectory,
}

impl Definition {
    /// Every definition.
    pub const ALL: [Self; 6] = [
        Self::Distribution,
        Self::Regressor,
        Self::Variance,
        Self::PairIndependent,
        Self::PairOneStep,
        Self::Trajectory,
    ];

    /// Its name in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Regressor => "regressor",
            Self::Variance => "variance",
            Self::PairIndependent => "pair_independent",
            Self::PairOneStep => "pair_one_step",
            Self::Trajectory => "trajectory",
        }
    }

    /// Whether an exact field gives zero, so that the figure by itself means something.
    pub fn is_zero_for_an_exact_field(self) -> bool {
        matches!(self, Self::Distribution | Self::Regressor | Self::Variance)
    }
}
