//! Every recorded state of the official stochastic sampler, with its recorded noise.
use super::objective::path;
use super::ode::{prediction, sit, values};
use crate::{Arrays, close, json};
use burn::tensor::Tensor;
use burn_mixflow::path::TrainingInterval;
use burn_mixflow::sample::{NetworkField, Reached, Sampler, SamplerConfig, SdeConfig, SolverConfig, StepCount};

const TOLERANCE: f64 = 1e-4;

/// SiT's names in this crate's JSON.
fn sde(method: &str, form: &str, last: &str) -> SdeConfig {
    let method = if method == "Heun" { "heun" } else { "euler_maruyama" };
    let form = match form {
        "inccreasing-decreasing" => "increasing_decreasing".to_string(),
        other => other.to_lowercase(),
    };
    let json = serde_json::json!({"method": method, "form": form, "last_step": last.to_lowercase()});
    serde_json::from_value(json).expect("a solver")
}

#[test]
fn every_form_scheme_and_last_step() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/sde.safetensors");
    let manifest = json("manifest.json");
    let cases = manifest["systems"]["sit"]["files"]["sit/sde.safetensors"]["extra"].as_object().expect("cases");
    let sit = sit(&device);
    let noises = golden.tensor::<5>("w", &device);
    let points = noises.dims()[0] + 1;
    assert!(cases.len() >= 17);
    for (name, case) in cases {
        let parts: Vec<&str> = name.split('.').collect();
        let sde = sde(parts[0], parts[1], parts[2]);
        let (on, kind) = (path(case["path"].as_str().expect(name)), prediction(case["pred"].as_str().expect(name)));
        let config =
            SamplerConfig { count: StepCount::Points, ..SamplerConfig::new(SolverConfig::Sde(sde), points, 1) };
        let sampler = Sampler::new(config, on.build(), kind, TrainingInterval::sampling(on, kind)).expect("a sampler");
        let field = NetworkField::new(&sit, golden.labels("y", &device), kind, on.build());
        let z = golden.tensor::<4>("z", &device);
        let mut states = vec![];
        let mut noise = |step: usize| -> Tensor<4> { noises.clone().narrow(0, step, 1).squeeze_dim(0) };
        let mut observe = |reached: Reached<'_, 4>| states.push(values(reached.state.clone()));
        let end = sampler.integrate(&field, z, &mut noise, &mut observe).expect("a state");
        close(name, &values(end), &golden.get(&format!("{name}.last")).values, TOLERANCE);
        if let Some(trajectory) = golden.0.get(&format!("{name}.traj")) {
            close(name, &states.concat(), &trajectory.values, TOLERANCE);
        }
    }
}
