//! What costs no training: ways to sample the same network, as one list.
use super::measured::Measured;
use crate::experiment::config::ArmSampler;
use crate::sample::corrections::{
    DifferentialConfig, EpsilonScalingConfig, ScaleCurve, Scaled, StaticShiftConfig, TimeShiftConfig,
    VelocityScaleConfig,
};
use crate::sample::{CorrectionConfig, SolverConfig, TimesConfig};
use crate::timestep::TimeShift;

/// What the candidates are made for.
pub(super) struct Ground<'a> {
    /// The way to sample that the others are compared with.
    pub own: &'a ArmSampler,
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// Whether the path is linear, which DPM-Solver++ needs.
    pub linear: bool,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// What the model itself showed; none where it was not measured.
    pub measured: Option<&'a Measured>,
}

impl Ground<'_> {
    /// Solvers with grids, the likeliest to help first; the first of all is `own`.
    pub fn bases(&self) -> Vec<ArmSampler> {
        let (solvers, grids) = (self.solvers(), self.grids());
        let mut ranked = Vec::new();
        for (i, (solver, order, solver_name)) in solvers.iter().enumerate() {
            for (j, (grid_name, grid)) in grids.iter().enumerate() {
                let times = match grid {
                    Grid::Named(times) => times.clone(),
                    Grid::Fitted => match self.measured {
                        Some(measured) => TimesConfig::Points { points: measured.grid(*order).to_vec() },
                        None => continue,
                    },
                };
                let name = format!("{solver_name}, {grid_name}");
                ranked.push((i + j, ArmSampler { name, solver: *solver, times, ..self.plain() }));
            }
        }
        // Stable: among equals the simpler solver first.
        ranked.sort_by_key(|(rank, _)| *rank);
        let own = self.own();
        let others = ranked.into_iter().map(|(_, sampler)| sampler);
        [own].into_iter().chain(others.filter(|sampler| self.is_another(sampler))).collect()
    }

    /// `base` with each correction, the likeliest to help first; without `base` itself.
    pub fn corrected(&self, base: &ArmSampler) -> Vec<ArmSampler> {
        let with = |(name, correction): (String, CorrectionConfig)| {
            let corrections = base.corrections.iter().cloned().chain([correction]).collect();
            ArmSampler { name: format!("{}, {name}", base.name), corrections, ..base.clone() }
        };
        let mut all: Vec<ArmSampler> = self.corrections(base).into_iter().map(with).collect();
        if let Some(guidance) = base.guidance.as_ref().filter(|g| g.is_active() && g.interval.is_none()) {
            for interval in [[0.2, 1.0], [0.0, 0.8], [0.2, 0.8]] {
                let guidance = crate::sample::GuidanceConfig { interval: Some(interval), ..guidance.clone() };
                let name = format!("{}, guidance from {} to {}", base.name, interval[0], interval[1]);
                all.push(ArmSampler { name, guidance: Some(guidance), ..base.clone() });
            }
        }
        all.retain(|sampler| self.fits(sampler));
        all
    }

    /// `base` with grids around its own, a step down and one up; none for the user's own and for a fitted one.
    pub fn around(&self, base: &ArmSampler) -> Vec<ArmSampler> {
        let Some((solver, _)) = base.name.split_once(", ").filter(|_| base.name != own_name(self.own)) else {
            return Vec::new();
        };
        let grids = match base.times {
            TimesConfig::Uniform {} => [shifted(0.7), shifted(1.4)],
            TimesConfig::Shifted { shift: TimeShift::Factor { factor }, .. } => {
                [0.7, 1.4].map(|times| shifted((100.0 * factor * times).round() / 100.0))
            }
            TimesConfig::Power { exponent } => [power(exponent - 0.5), power(exponent + 0.5)],
            TimesConfig::Karras { rho, .. } => [karras(rho - 2.0), karras(rho + 3.0)],
            _ => return Vec::new(),
        };
        let with = |(grid, times)| ArmSampler { name: format!("{solver}, {grid}"), times, ..base.clone() };
        grids.map(with).into_iter().filter(|sampler| self.is_another(sampler)).collect()
    }

    /// The user's own way, at this budget alone.
    pub fn own(&self) -> ArmSampler {
        ArmSampler { name: own_name(self.own), ..self.plain() }
    }

    fn plain(&self) -> ArmSampler {
        let evaluations = Some(vec![self.evaluations]);
        ArmSampler { evaluations, only_pictures: false, arms: None, ..self.own.clone() }
    }

    /// Whether it fits, and its solver and grid are not the user's own.
    fn is_another(&self, sampler: &ArmSampler) -> bool {
        (&sampler.solver, &sampler.times) != (&self.own.solver, &self.own.times) && self.fits(sampler)
    }

    /// Whether a number of steps spends the budget, and its values are allowed.
    fn fits(&self, sampler: &ArmSampler) -> bool {
        sampler.with_evaluations(self.evaluations, 1).is_some_and(|config| config.problems("").is_empty())
    }

    fn solvers(&self) -> Vec<(SolverConfig, usize, &'static str)> {
        let all = [
            (SolverConfig::Euler, 1, "Euler"),
            (SolverConfig::Midpoint, 2, "midpoint"),
            (SolverConfig::DpmPp2m, 2, "DPM-Solver++(2M)"),
            (SolverConfig::Heun, 2, "Heun"),
            (SolverConfig::Rk4, 2, "Runge–Kutta 4"),
            (SolverConfig::BogackiShampine, 2, "Bogacki–Shampine"),
        ];
        all.into_iter().filter(|(solver, ..)| self.linear || *solver != SolverConfig::DpmPp2m).collect()
    }

    fn grids(&self) -> Vec<(String, Grid)> {
        let named = |(name, times)| (name, Grid::Named(times));
        let uniform = ("uniform grid".to_string(), TimesConfig::default());
        let mut all: Vec<(String, Grid)> =
            [uniform, shifted(4.0), power(2.0), shifted(2.0), power(3.0), karras(KARRAS), shifted(8.0), shifted(0.5)]
                .map(named)
                .into();
        all.insert(2, ("fitted grid".into(), Grid::Fitted));
        all
    }

    fn corrections(&self, base: &ArmSampler) -> Vec<(String, CorrectionConfig)> {
        let scale = |scale: ScaleCurve| CorrectionConfig::VelocityScale(VelocityScaleConfig { scale });
        let mut all = Vec::new();
        if let Some(measured) = self.measured.filter(|measured| measured.deficit.is_there()) {
            all.push(("velocity scale as measured".into(), scale(measured.deficit.curve())));
        }
        let linear =
            |start: f64, end: f64| (format!("velocity × {start} to {end}"), scale(ScaleCurve::Linear { start, end }));
        let epsilon = |lambda: f64| {
            let config = EpsilonScalingConfig { lambda, scaled: Scaled::Noise };
            (format!("epsilon scaling {lambda}"), CorrectionConfig::EpsilonScaling(config))
        };
        let shift =
            |delta: f64| (format!("static shift {delta}"), CorrectionConfig::StaticShift(StaticShiftConfig { delta }));
        all.extend([linear(1.05, 1.0), shift(0.05), linear(1.0, 1.05), epsilon(1.02), shift(0.1), linear(1.02, 1.02)]);
        if let Some(measured) = self.measured {
            let variance = (measured.data_variance * 1e4).round() / 1e4;
            let config = TimeShiftConfig { window: 0.2, below: 0.8, resolution: 1000, data_variance: variance };
            all.push(("time-shift sampler".into(), CorrectionConfig::TimeShiftSampler(config)));
        }
        let [_, height, width] = self.shape;
        if base.solver == SolverConfig::Euler && [height, width].iter().all(|side| side.is_multiple_of(2)) {
            for low in [0.05, -0.05] {
                let config = DifferentialConfig { low, high: 0.0 };
                all.push((format!("DCW {low}"), CorrectionConfig::Differential(config)));
            }
        }
        all.push(epsilon(0.98));
        all
    }
}

/// The ρ of Karras et al.
const KARRAS: f64 = 7.0;

fn shifted(factor: f64) -> (String, TimesConfig) {
    let times = TimesConfig::Shifted { shift: TimeShift::Factor { factor }, last: 1.0 };
    (format!("grid shifted by {factor}"), times)
}

fn power(exponent: f64) -> (String, TimesConfig) {
    (format!("grid u^{exponent}"), TimesConfig::Power { exponent })
}

fn karras(rho: f64) -> (String, TimesConfig) {
    let name = if rho == KARRAS { "grid of Karras".into() } else { format!("grid of Karras, ρ = {rho}") };
    (name, TimesConfig::Karras { rho, sigma_min: 0.002, sigma_max: 80.0 })
}

enum Grid {
    Named(TimesConfig),
    /// That of the model, for the order of the solver.
    Fitted,
}

/// What the user's own way is called beside the candidates.
pub(super) fn own_name(own: &ArmSampler) -> String {
    format!("your own ({})", own.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn sampler(json: &str) -> ArmSampler {
        serde_json::from_str(json).unwrap()
    }

    fn ground(own: &ArmSampler, evaluations: usize) -> Ground<'_> {
        Ground { own, evaluations, linear: true, shape: [1, 8, 8], measured: None }
    }

    #[test]
    fn every_candidate_spends_the_budget_under_a_name_of_its_own() {
        let measured = Measured::for_tests();
        for (json, evaluations) in [
            (r#"{"name": "Euler"}"#, 10),
            (r#"{"name": "Euler"}"#, 5),
            (r#"{"name": "guided", "solver": "heun", "guidance": {"scale": 2}}"#, 40),
        ] {
            let own = sampler(json);
            let ground = Ground { measured: Some(&measured), ..ground(&own, evaluations) };
            let bases = ground.bases();
            let all: Vec<_> = bases.iter().cloned().chain(ground.corrected(&bases[1])).collect();
            assert_eq!(all[0].name, format!("your own ({})", own.name));
            let names: BTreeSet<_> = all.iter().map(|s| &s.name).collect();
            assert_eq!(names.len(), all.len(), "{names:?}");
            for candidate in &all {
                let config = candidate.with_evaluations(evaluations, 4).unwrap();
                assert_eq!(config.evaluations(), Some(evaluations), "{}", candidate.name);
                assert!(config.problems("s").is_empty(), "{}", candidate.name);
            }
            assert!(bases.len() >= 10 && all.len() >= bases.len() + 6, "{names:?}");
        }
    }

    #[test]
    fn a_grid_is_refined_between_its_neighbours() {
        let own = sampler(r#"{"name": "Euler"}"#);
        let ground = ground(&own, 10);
        let refined = |name: &str| -> Vec<String> {
            let base = ground.bases().into_iter().find(|s| s.name == name).unwrap();
            let all = ground.around(&base);
            assert!(all.iter().all(|s| s.solver == base.solver && s.times != base.times));
            all.into_iter().map(|s| s.name).collect()
        };
        assert_eq!(
            refined("midpoint, uniform grid"),
            ["midpoint, grid shifted by 0.7", "midpoint, grid shifted by 1.4"]
        );
        assert_eq!(refined("Heun, grid shifted by 4"), ["Heun, grid shifted by 2.8", "Heun, grid shifted by 5.6"]);
        assert_eq!(refined("Euler, grid u^2"), ["Euler, grid u^1.5", "Euler, grid u^2.5"]);
        let karras = ["Euler, grid of Karras, ρ = 5", "Euler, grid of Karras, ρ = 10"];
        assert_eq!(refined("Euler, grid of Karras"), karras);
        assert_eq!(refined("your own (Euler)"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_is_left_out() {
        let own = sampler(r#"{"name": "Euler"}"#);
        let five = ground(&own, 5).bases();
        assert!(five.iter().all(|s| s.solver != SolverConfig::Heun), "Heun takes two evaluations a step");
        let curved = Ground { linear: false, ..ground(&own, 10) };
        assert!(curved.bases().iter().all(|s| s.solver != SolverConfig::DpmPp2m));
        assert!(ground(&own, 10).bases().iter().all(|s| !s.name.contains("fitted")));
        let vectors = Ground { shape: [2, 1, 1], ..ground(&own, 10) };
        assert!(vectors.corrected(&own).iter().all(|s| !s.name.contains("DCW")));
        // The user's own is not tried twice.
        let count = ground(&own, 10).bases().iter().filter(|s| s.name.starts_with("Euler, uniform")).count();
        assert_eq!(count, 0);
    }

    #[test]
    fn corrections_stand_after_those_of_the_user_and_guidance_gets_an_interval() {
        let own = sampler(
            r#"{"name": "mine", "guidance": {"scale": 2}, "corrections": [{"kind": "static_shift", "delta": 0.3}]}"#,
        );
        let corrected = ground(&own, 20).corrected(&own);
        let with = corrected.iter().find(|s| s.name.contains("epsilon")).unwrap();
        assert!(matches!(
            with.corrections[..],
            [CorrectionConfig::StaticShift(_), CorrectionConfig::EpsilonScaling(_)]
        ));
        assert!(corrected.iter().any(|s| s.guidance.as_ref().is_some_and(|g| g.interval.is_some())));
    }
}
