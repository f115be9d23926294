//! REPA's own samplers: Euler, Heun with a last step of Euler, Euler–Maruyama; state in f64, guided within an interval.
use super::{extra, network};
use crate::{Arrays, close};
use burn::tensor::{DType, Tensor};
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval};
use burn_mixflow::sample::{
    DiffusionForm, GuidanceConfig, GuidancePer, NetworkField, Sampler, SamplerConfig, SdeConfig, SolverConfig,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-4;
const VELOCITY: PredictionKind = PredictionKind::Velocity;

/// The official arguments in this crate's words.
fn config(name: &str, case: &Value) -> SamplerConfig {
    let number = |key: &str, default: f64| case[key].as_f64().unwrap_or(default);
    let solver = if name.starts_with("sde.") {
        SolverConfig::Sde(SdeConfig { form: DiffusionForm::Linear, ..SdeConfig::default() })
    } else if case["heun"].as_bool() == Some(true) {
        SolverConfig::HeunThenEuler
    } else {
        SolverConfig::Euler
    };
    let (low, high) = (number("guidance_low", 0.0), number("guidance_high", 1.0));
    let guidance = GuidanceConfig {
        interval: Some([1.0 - high, 1.0 - low]),
        per: GuidancePer::Step,
        ..GuidanceConfig::new(number("cfg_scale", 1.0))
    };
    let steps = case["num_steps"].as_u64().expect(name) as usize;
    SamplerConfig { guidance: Some(guidance), ..SamplerConfig::new(solver, steps, 1) }
}

#[test]
fn every_sampler() {
    let device = crate::device::device();
    let golden = Arrays::golden("repa/samplers.safetensors");
    let cases = extra("repa/samplers.safetensors");
    let repa = network("repa/model.safetensors", WeightSource::Auto, &device);
    let labels = golden.labels("y", &device);
    let [batch] = labels.dims();
    let noises = golden.tensor::<5>("w", &device);
    let cases = cases.as_object().expect("cases");
    assert!(cases.len() >= 8);
    for (name, case) in cases {
        let path = if case["path_type"] == "cosine" { PathConfig::Gvp } else { PathConfig::Linear };
        let config = config(name, case);
        let guidance = config.guidance.clone().expect("guidance");
        let expected_evaluations = config.evaluations();
        let interval = TrainingInterval::sampling(path, VELOCITY);
        let sampler = Sampler::new(config, path.build(), VELOCITY, interval).expect("a sampler");
        let field = NetworkField::new(&repa, labels.clone().into(), VELOCITY, path.build());
        let field = field.guided(guidance, batch).expect("a null label");
        let z = golden.tensor::<4>("z", &device).cast(DType::F64);
        let mut noise = |step: usize| -> Tensor<4> { noises.clone().narrow(0, step, 1).squeeze_dim(0) };
        let end = sampler.integrate(&field, z, &mut noise, &mut |_| {}).expect("a state");
        assert_eq!(end.dtype(), DType::F64);
        let found: Vec<f64> = end.into_data().iter::<f64>().collect();
        close(name, &found, &golden.get(name).values, TOLERANCE);
        // Each official call has its batch, doubled under guidance, and its reversed time.
        let calls = case["calls"].as_array().expect(name);
        let rows: u64 = calls.iter().map(|call| call[0].as_u64().expect(name)).sum();
        assert_eq!(field.evaluations() as u64, rows / batch as u64, "{name}");
        assert_eq!(expected_evaluations, Some(field.evaluations()), "{name}");
    }
}
