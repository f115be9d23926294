//! `k_i = v(x + h Σ_j a_ij k_j, t + c_i h)`, `x ← x + h Σ_i b_i k_i`: explicit Runge–Kutta methods as data.
//!
//! Source: Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I*, chapter II.1.

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

impl Tableau {
    /// Euler's method: order 1, one evaluation.
    pub const EULER: Self = Self { name: "euler", order: 1, nodes: &[0.0], matrix: &[&[]], weights: &[1.0] };

    /// Heun's method (explicit trapezoid; torchdiffeq's `heun2`): order 2, two evaluations.
    pub const HEUN: Self =
        Self { name: "heun", order: 2, nodes: &[0.0, 1.0], matrix: &[&[], &[1.0]], weights: &[0.5, 0.5] };

    /// The midpoint method: order 2, two evaluations.
    pub const MIDPOINT: Self =
        Self { name: "midpoint", order: 2, nodes: &[0.0, 0.5], matrix: &[&[], &[0.5]], weights: &[0.0, 1.0] };

    /// Heun's third-order method: three evaluations.
    pub const HEUN3: Self = Self {
        name: "heun3",
        order: 3,
        nodes: &[0.0, THIRD, 2.0 * THIRD],
        matrix: &[&[], &[THIRD], &[0.0, 2.0 * THIRD]],
        weights: &[0.25, 0.0, 0.75],
    };

    /// The third-order method of Bogacki and Shampine: three evaluations.
    pub const BOGACKI_SHAMPINE: Self = Self {
        name: "bogacki_shampine",
        order: 3,
        nodes: &[0.0, 0.5, 0.75],
        matrix: &[&[], &[0.5], &[0.0, 0.75]],
        weights: &[2.0 / 9.0, THIRD, 4.0 / 9.0],
    };

    /// The 3/8 rule of Kutta (torchdiffeq's `rk4`): order 4, four evaluations.
    pub const RK4: Self = Self {
        name: "rk4",
        order: 4,
        nodes: &[0.0, THIRD, 2.0 * THIRD, 1.0],
        matrix: &[&[], &[THIRD], &[-THIRD, 1.0], &[1.0, -1.0, 1.0]],
        weights: &[0.125, 0.375, 0.375, 0.125],
    };

    /// The classic method of Runge and Kutta: order 4, four evaluations.
    pub const RK4_CLASSIC: Self = Self {
        name: "rk4_classic",
        order: 4,
        nodes: &[0.0, 0.5, 0.5, 1.0],
        matrix: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
        weights: &[1.0 / 6.0, THIRD, THIRD, 1.0 / 6.0],
    };

    /// The fifth-order method of Dormand and Prince: six evaluations.
    pub const DORMAND_PRINCE: Self = Self {
        name: "dormand_prince",
        order: 5,
        nodes: &[0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0],
        matrix: &[
            &[],
            &[1.0 / 5.0],
            &[3.0 / 40.0, 9.0 / 40.0],
            &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
            &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
            &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        ],
        weights: &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    };

    /// Every method above.
    pub const ALL: [Self; 8] = [
        Self::EULER,
        Self::HEUN,
        Self::MIDPOINT,
        Self::HEUN3,
        Self::BOGACKI_SHAMPINE,
        Self::RK4,
        Self::RK4_CLASSIC,
        Self::DORMAND_PRINCE,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tableau_is_consistent() {
        for Tableau { name, nodes, matrix, weights, .. } in Tableau::ALL {
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15, "{name}");
            assert_eq!((nodes.len(), matrix.len()), (weights.len(), weights.len()), "{name}");
            for (i, (node, row)) in nodes.iter().zip(matrix).enumerate() {
                assert_eq!(row.len(), i, "{name} is explicit");
                assert!((row.iter().sum::<f64>() - node).abs() < 1e-14, "{name} row {i}");
            }
        }
    }
}
