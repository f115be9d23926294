//! The solver by its name in the JSON.
use super::{AdaptiveConfig, At, SdeConfig, Step, Tableau};
use crate::Problem;
use serde::{Deserialize, Serialize};

/// What carries the state from noise to data: `"heun"`, or `{"dopri5": {...}}` where there is more to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SolverConfig {
    /// Order 1, one evaluation per step.
    #[default]
    Euler,
    /// Heun's method (explicit trapezoid): order 2, two evaluations per step.
    Heun,
    /// Heun's method with Euler's for the last step, as REPA and EDM do: order 2.
    HeunThenEuler,
    /// The midpoint method: order 2, two evaluations per step.
    Midpoint,
    /// Heun's third-order method: three evaluations per step.
    Heun3,
    /// The method of Bogacki and Shampine: order 3, three evaluations per step.
    BogackiShampine,
    /// The 3/8 rule of Kutta: order 4, four evaluations per step.
    Rk4,
    /// The classic method of Runge and Kutta: order 4, four evaluations per step.
    Rk4Classic,
    /// The method of Dormand and Prince with fixed steps: order 5, six evaluations per step.
    DormandPrince,
    /// DPM-Solver++(2M), the default of Stable Diffusion 3.5: order 2, one evaluation per step. Linear path only.
    #[serde(rename = "dpmpp_2m")]
    DpmPp2m,
    /// Dormand and Prince with steps chosen by their error; the steps of the configuration do not matter then.
    Dopri5(AdaptiveConfig),
    /// The stochastic differential equation with the same marginals.
    Sde(SdeConfig),
}

impl SolverConfig {
    /// The coefficients of step `index` of `count`, if the solver is a Runge–Kutta method with fixed steps.
    pub fn tableau(&self, index: usize, count: usize) -> Option<&'static Tableau> {
        Some(match self {
            Self::HeunThenEuler if index + 1 == count => &Tableau::EULER,
            Self::Euler => &Tableau::EULER,
            Self::Heun | Self::HeunThenEuler => &Tableau::HEUN,
            Self::Midpoint => &Tableau::MIDPOINT,
            Self::Heun3 => &Tableau::HEUN3,
            Self::BogackiShampine => &Tableau::BOGACKI_SHAMPINE,
            Self::Rk4 => &Tableau::RK4,
            Self::Rk4Classic => &Tableau::RK4_CLASSIC,
            Self::DormandPrince => &Tableau::DORMAND_PRINCE,
            Self::DpmPp2m | Self::Dopri5(_) | Self::Sde(_) => return None,
        })
    }

    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        match self {
            Self::Dopri5(config) => config.problems(&format!("{path}.dopri5")),
            Self::Sde(config) => config.problems(&format!("{path}.sde")),
            _ => Vec::new(),
        }
    }

    /// How many evaluations of the velocity `intervals` steps take; none if that depends on the states.
    pub(super) fn evaluation_count(&self, intervals: usize) -> Option<usize> {
        let of = |index: usize| self.tableau(index, intervals).map_or(1, |tableau| tableau.nodes.len());
        match self {
            Self::Dopri5(_) => None,
            Self::Sde(config) => Some(config.evaluation_count(intervals)),
            _ if intervals == 0 => Some(0),
            _ => Some((intervals - 1).saturating_mul(of(0)).saturating_add(of(intervals - 1))),
        }
    }

    /// Every evaluation of the velocity over a grid of times; none if they depend on the states.
    pub(super) fn evaluations(&self, times: &[f64]) -> Option<Vec<At<'static>>> {
        let count = times.len().saturating_sub(1);
        let mut all = Vec::new();
        match self {
            Self::Dopri5(_) => return None,
            Self::Sde(config) => return Some(config.evaluations(times)),
            _ => {}
        }
        for (index, ends) in times.windows(2).enumerate() {
            let step = Step { index, count, start: ends[0] };
            let nodes = self.tableau(index, count).map_or(&[0.0][..], |tableau| tableau.nodes);
            all.extend(nodes.iter().map(|node| At::within(step, ends[0] + node * (ends[1] - ends[0]))));
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_json_is_the_name_of_the_tableau() {
        for tableau in Tableau::ALL {
            let solver: SolverConfig = serde_json::from_value(tableau.name.into()).unwrap();
            assert_eq!(solver.tableau(0, 1), Some(&tableau));
            assert_eq!(serde_json::to_value(solver).unwrap(), tableau.name);
        }
    }

    #[test]
    fn the_count_is_that_of_all_evaluations() {
        let named = Tableau::ALL.iter().map(|tableau| serde_json::json!(tableau.name));
        let others = [
            serde_json::json!("heun_then_euler"),
            serde_json::json!("dpmpp_2m"),
            serde_json::json!({"sde": {}}),
            serde_json::json!({"sde": {"method": "heun", "last_step": "none"}}),
            serde_json::json!({"sde": {"method": "heun"}}),
        ];
        for json in named.chain(others) {
            let solver: SolverConfig = serde_json::from_value(json.clone()).unwrap();
            for steps in 1..6 {
                let all = solver.evaluations(&crate::sample::uniform_times(steps)).unwrap().len();
                assert_eq!(solver.evaluation_count(steps), Some(all), "{json}, {steps} steps");
            }
        }
    }

    #[test]
    fn solvers_with_values_are_objects() {
        let parse = |json: &str| serde_json::from_str::<SolverConfig>(json);
        assert!(
            matches!(parse(r#"{"dopri5": {}}"#).unwrap(), SolverConfig::Dopri5(c) if c == AdaptiveConfig::default())
        );
        assert!(matches!(parse(r#"{"sde": {"norm": 0.5}}"#).unwrap(), SolverConfig::Sde(c) if c.norm == 0.5));
        assert_eq!(parse(r#""dpmpp_2m""#).unwrap(), SolverConfig::DpmPp2m);
        assert!(parse(r#"{"dopri5": {"rtoll": 1}}"#).is_err());
        let paths = |json: &str| parse(json).unwrap().problems("s").into_iter().map(|p| p.path).collect::<Vec<_>>();
        assert_eq!(paths(r#"{"dopri5": {"rtol": -1, "atol": 0, "max_steps": 0}}"#).len(), 3);
        assert_eq!(paths(r#"{"sde": {"norm": -1, "last_step_size": 1}}"#), ["s.sde.norm", "s.sde.last_step_size"]);
    }
}
