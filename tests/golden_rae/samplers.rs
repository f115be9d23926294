//! RAE's samplers on the shifted grid: ordinary and stochastic, guided, and guided by a weaker network.
use super::{extra, network, rae, values};
use crate::{Arrays, close};
use burn::tensor::Tensor;
use burn_mixflow::models::rae::Rae;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::path::{Linear, PredictionKind, TrainingInterval};
use burn_mixflow::sample::{
    GuidanceConfig, NetworkField, Reached, Sampler, SamplerConfig, SolverConfig, StepCount, TimesConfig, VelocityField,
    WeakGuidanceConfig,
};
use burn_mixflow::timestep::TimeShift;
use std::sync::Arc;

const TOLERANCE: f64 = 1e-4;
/// The steps of the adaptive solver amplify rounding.
const ADAPTIVE_TOLERANCE: f64 = 1e-3;

fn solver(name: &str) -> SolverConfig {
    match name {
        "euler" | "euler50" => SolverConfig::Euler,
        "heun2" => SolverConfig::Heun,
        "dopri5" => SolverConfig::Dopri5(Default::default()),
        other => panic!("solver {other}"),
    }
}

fn sampler(solver: SolverConfig, points: usize) -> Sampler {
    let factor = Arrays::golden("rae/losses.safetensors").scalar("shift");
    let times: TimesConfig =
        serde_json::from_value(serde_json::json!({"kind": "shifted", "shift": {"factor": factor}})).expect("a grid");
    assert!(matches!(times, TimesConfig::Shifted { shift: TimeShift::Factor { .. }, .. }));
    let config = SamplerConfig { count: StepCount::Points, times, ..SamplerConfig::new(solver, points, 1) };
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval).expect("a sampler")
}

fn field<'a>(rae: &'a Rae, golden: &Arrays) -> NetworkField<'a, Rae, 4> {
    NetworkField::new(rae, golden.labels("y", &crate::device::device()), PredictionKind::Velocity, Arc::new(Linear))
}

/// The states at all points, the first included, with the evaluations of the field.
fn trajectory(
    golden: &Arrays,
    field: &dyn VelocityField<4>,
    solver: SolverConfig,
    points: usize,
) -> (Vec<Vec<f64>>, usize) {
    let z = golden.tensor::<4>("z", &crate::device::device());
    let (mut states, mut evaluations) = (vec![values(z.clone())], 0);
    let mut observe = |reached: Reached<'_, 4>| {
        states.push(values(reached.state.clone()));
        evaluations = reached.evaluations;
    };
    sampler(solver, points).integrate(field, z, &mut |_| panic!("no noise"), &mut observe).expect("a state");
    (states, evaluations)
}

#[test]
fn every_trajectory_of_every_solver() {
    let golden = Arrays::golden("rae/samplers.safetensors");
    let recorded = extra("rae/samplers.safetensors");
    let rae = rae(&crate::device::device());
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let Some(method) = name.strip_suffix(".traj") else { continue };
        let (states, evaluations) = trajectory(&golden, &field(&rae, &golden), solver(method), expected.shape[0]);
        let tolerance = if method == "dopri5" { ADAPTIVE_TOLERANCE } else { TOLERANCE };
        close(name, &states.concat(), &expected.values, tolerance);
        assert_eq!(recorded[method]["nfe"].as_u64(), Some(evaluations as u64), "{name}");
        compared += 1;
    }
    assert!(compared >= 3);
}

#[test]
fn fifty_points_are_forty_nine_steps() {
    let golden = Arrays::golden("rae/samplers.safetensors");
    let recorded = &extra("rae/samplers.safetensors")["euler50"];
    let calls: Vec<f64> = serde_json::from_value(recorded["t_evals"].clone()).expect("times");
    let reversed: Vec<f64> = sampler(SolverConfig::Euler, calls.len() + 1).times().iter().map(|t| 1.0 - t).collect();
    close("t_evals", &reversed[..calls.len()], &calls, 1e-6);
    let rae = rae(&crate::device::device());
    let field = field(&rae, &golden);
    let (states, _) = trajectory(&golden, &field, SolverConfig::Euler, calls.len() + 1);
    close("euler50", states.last().expect("a state"), &golden.get("euler50.last").values, TOLERANCE);
    assert_eq!(Some(field.evaluations() as u64), recorded["nfe"].as_u64());
}

#[test]
fn guided_and_autoguided() {
    let device = crate::device::device();
    let golden = Arrays::golden("rae/samplers.safetensors");
    let rae = rae(&device);
    let weak = network("config_rae_guidance", "rae/guidance_model.safetensors", WeightSource::Auto, &device);
    // The record names no number of points for these; they were made with that of the trajectory.
    let points = golden.get("euler.traj").shape[0];
    let batch = golden.get("y").values.len();
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let Some(key) = name.strip_prefix("euler.").and_then(|name| name.strip_suffix(".last4")) else { continue };
        let field = field(&rae, &golden);
        let field = if let Some(scale) = key.strip_prefix("ag") {
            let scale = scale.parse().expect(name);
            field.guided_by(&weak, WeakGuidanceConfig::Autoguidance { scale, interval: None })
        } else {
            let (scale, interval) =
                key.strip_prefix("cfg").map(|key| key.split_once("_iv").unwrap_or((key, "0_1"))).expect(name);
            let (low, high) = interval.split_once('_').expect(name);
            let [low, high, scale] = [low, high, scale].map(|number| number.parse::<f64>().expect(name));
            let guidance = GuidanceConfig { interval: Some([1.0 - high, 1.0 - low]), ..GuidanceConfig::new(scale) };
            field.guided(guidance, batch).expect("a null label")
        };
        let (states, _) = trajectory(&golden, &field, SolverConfig::Euler, points);
        // The official batch holds every sample twice.
        close(name, states.last().expect("a state"), &expected.values[..expected.values.len() / 2], TOLERANCE);
        compared += 1;
    }
    assert!(compared >= 3);
}

#[test]
fn stochastic_with_the_official_unshifted_last_step() {
    let device = crate::device::device();
    let golden = Arrays::golden("rae/samplers.safetensors");
    let rae = rae(&device);
    let noises = golden.tensor::<5>("sde.w", &device);
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let parts: Vec<&str> = name.split('.').collect();
        let ["sde", method, form, last] = parts[..] else { continue };
        let method = if method == "euler" { "euler_maruyama" } else { method };
        let json = serde_json::json!({
            "method": method, "form": form, "last_step": last.to_lowercase(), "last_time": "unshifted"
        });
        let solver = SolverConfig::Sde(serde_json::from_value(json).expect(name));
        let sampler = sampler(solver, noises.dims()[0] + 1);
        let mut noise = |step: usize| -> Tensor<4> { noises.clone().narrow(0, step, 1).squeeze_dim(0) };
        let z = golden.tensor::<4>("z", &device);
        let end = sampler.integrate(&field(&rae, &golden), z, &mut noise, &mut |_| {}).expect("a state");
        close(name, &values(end), &expected.values, TOLERANCE);
        compared += 1;
    }
    assert!(compared >= 12);
}
