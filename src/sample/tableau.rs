//! `k_i = v(x + h Σ_j a_ij k_j, t + c_i h)`, `x ← x + h Σ_i b_i k_i`: explicit Runge–Kutta methods as data.
//!
//! Source: Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I*, chapter II.1.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An explicit Runge–Kutta method (a Butcher tableau).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tableau {
    /// The name in the JSON.
    pub name: &'static str,
    /// Order of convergence: the error at a fixed time is proportional to `h^order`.
    pub order: u32,
    /// `c`: where in the step, in [0, 1], each stage is evaluated.
    pub nodes: &'static [f64],
    /// `a`: row `i` holds the `i` weights of the earlier stages.
    pub matrix: &'static [&'static [f64]],
    /// `b`: the weight of each stage in the step; they sum to 1.
    pub weights: &'static [f64],
}

impl Tableau {
    /// Evaluations of the velocity field per step.
    pub fn stages(&self) -> usize {
        self.weights.len()
    }
}

const THIRD: f64 = 1.0 / 3.0;

const EULER: Tableau = Tableau { name: "euler", order: 1, nodes: &[0.0], matrix: &[&[]], weights: &[1.0] };

const HEUN: Tableau =
    Tableau { name: "heun", order: 2, nodes: &[0.0, 1.0], matrix: &[&[], &[1.0]], weights: &[0.5, 0.5] };

const MIDPOINT: Tableau =
    Tableau { name: "midpoint", order: 2, nodes: &[0.0, 0.5], matrix: &[&[], &[0.5]], weights: &[0.0, 1.0] };

const HEUN3: Tableau = Tableau {
    name: "heun3",
    order: 3,
    nodes: &[0.0, THIRD, 2.0 * THIRD],
    matrix: &[&[], &[THIRD], &[0.0, 2.0 * THIRD]],
    weights: &[0.25, 0.0, 0.75],
};

const RK4: Tableau = Tableau {
    name: "rk4",
    order: 4,
    nodes: &[0.0, THIRD, 2.0 * THIRD, 1.0],
    matrix: &[&[], &[THIRD], &[-THIRD, 1.0], &[1.0, -1.0, 1.0]],
    weights: &[0.125, 0.375, 0.375, 0.125],
};

/// The solvers a configuration can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SolverKind {
    /// Order 1, one evaluation per step.
    #[default]
    Euler,
    /// Heun's method (explicit trapezoid): order 2, two evaluations per step.
    Heun,
    /// The midpoint method: order 2, two evaluations per step.
    Midpoint,
    /// Heun's third-order method: three evaluations per step.
    Heun3,
    /// The 3/8 rule of Kutta: order 4, four evaluations per step.
    Rk4,
}

impl SolverKind {
    /// Every solver, for tests and listings.
    pub const ALL: [Self; 5] = [Self::Euler, Self::Heun, Self::Midpoint, Self::Heun3, Self::Rk4];

    /// The coefficients of the method.
    pub fn tableau(self) -> &'static Tableau {
        match self {
            Self::Euler => &EULER,
            Self::Heun => &HEUN,
            Self::Midpoint => &MIDPOINT,
            Self::Heun3 => &HEUN3,
            Self::Rk4 => &RK4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tableau_is_consistent() {
        for Tableau { name, nodes, matrix, weights, .. } in SolverKind::ALL.map(|kind| *kind.tableau()) {
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15, "{name}");
            assert_eq!((nodes.len(), matrix.len()), (weights.len(), weights.len()), "{name}");
            for (i, (node, row)) in nodes.iter().zip(matrix).enumerate() {
                assert_eq!(row.len(), i, "{name} is explicit");
                assert!((row.iter().sum::<f64>() - node).abs() < 1e-15, "{name} row {i}");
            }
        }
    }

    #[test]
    fn the_name_in_the_json_is_the_name_of_the_tableau() {
        for kind in SolverKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.tableau().name);
        }
    }
}
