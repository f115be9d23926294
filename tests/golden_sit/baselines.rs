//! The compared methods on a velocity network: Epsilon Scaling, Time-Shift Sampler, Input Perturbation.
use super::ode::{sit, values};
use super::training::per_sample;
use crate::{Arrays, close};
use burn::tensor::Tensor;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{Linear, PredictionKind, TrainingInterval, interpolate};
use burn_mixflow::sample::corrections::{EpsilonScalingConfig, Scaled, TimeShiftConfig};
use burn_mixflow::sample::{
    CorrectionConfig, NetworkField, Sampler, SamplerConfig, SolverConfig, Tableau, TimeShiftSampler, VelocityField,
    solve,
};
use std::sync::Arc;

const TOLERANCE: f64 = 1e-4;

fn corrected(golden: &Arrays, start: &str, correction: CorrectionConfig) -> Vec<f64> {
    let device = crate::device::device();
    let sit = sit(&device);
    // The record was made over as many intervals as it has told times.
    let steps = golden.get("ts_times").shape[0];
    let config = SamplerConfig { corrections: vec![correction], ..SamplerConfig::new(SolverConfig::Euler, steps, 1) };
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    let sampler = Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval).expect("a sampler");
    let labels = golden.labels("y", &device);
    let field = NetworkField::new(&sit, labels, PredictionKind::Velocity, Arc::new(Linear));
    let start = golden.tensor::<4>(start, &device);
    values(sampler.integrate(&field, start, &mut |_| panic!("no noise"), &mut |_| {}).expect("a state"))
}

#[test]
fn epsilon_scaling_in_both_readings() {
    let golden = Arrays::golden("sit/baselines_derived.safetensors");
    let lambda = golden.scalar("es_lambda");
    for (name, scaled) in [("es_A_euler6", Scaled::Noise), ("es_B_euler6", Scaled::Velocity)] {
        let correction = CorrectionConfig::EpsilonScaling(EpsilonScalingConfig { lambda, scaled });
        close(name, &corrected(&golden, "z", correction), &golden.get(name).values, TOLERANCE);
    }
}

const TIME_SHIFT: TimeShiftConfig = TimeShiftConfig { window: 0.6, below: 0.8, resolution: 1000, data_variance: 0.0 };

#[test]
fn time_shift_sampler() {
    let golden = Arrays::golden("sit/baselines_derived.safetensors");
    let found = corrected(&golden, "ts_z", CorrectionConfig::TimeShiftSampler(TIME_SHIFT));
    close("ts_euler6", &found, &golden.get("ts_euler6").values, TOLERANCE);
}

#[test]
fn the_times_that_the_time_shift_sampler_tells() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/baselines_derived.safetensors");
    let sit = sit(&device);
    let labels = golden.labels("y", &device);
    let field = NetworkField::new(&sit, labels, PredictionKind::Velocity, Arc::new(Linear));
    let shifted = TimeShiftSampler::new(&field, Arc::new(Linear), TIME_SHIFT);
    let told = std::cell::RefCell::new(Vec::new());
    let listened = |x: Tensor<4>, t: f64| {
        told.borrow_mut().extend(shifted.told(&x, t));
        shifted.velocity(x, t)
    };
    let times = burn_mixflow::sample::uniform_times(golden.get("ts_times").shape[0]);
    let _ = solve(&listened, golden.tensor::<4>("ts_z", &device), &times, &Tableau::EULER, &mut |_| {});
    close("ts_times", &told.borrow(), &golden.get("ts_times").values, 1e-6);
}

#[test]
fn input_perturbation() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/baselines_derived.safetensors");
    let [x1, x0, xi] = ["ip_x1", "ip_x0", "ip_xi"].map(|name| golden.tensor::<4>(name, &device));
    let times: Vec<f32> = golden.get("ip_t").values.iter().map(|t| *t as f32).collect();
    let perturbed = x0.clone() + xi.mul_scalar(golden.scalar("ip_gamma"));
    let noisy = interpolate(&Linear, x1.clone(), perturbed, &times);
    let output = sit(&device).predict(noisy, golden.tensor("ip_t", &device), &golden.labels("ip_y", &device)).output;
    let loss = per_sample((output - (x1 - x0)).square());
    close("ip_loss", &values(loss), &golden.get("ip_loss").values, TOLERANCE);
}
