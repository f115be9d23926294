//! Every recorded loss of SiT and MixFlow through this crate's path and objective.
use super::network;
use super::training::dropped;
use crate::{Arrays, close, json};
use burn::optim::GradientsParams;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval, interpolate, velocity_target};
use burn_mixflow::timestep::Timesteps;
use burn_mixflow::train::{LossWeight, Objective, TargetTime, global_norm};

/// Losses and gradient norms relative to the largest entry; VP loses f32 digits near t = 1.
const LOSS_TOLERANCE: f64 = 1e-4;

pub(super) fn path(name: &str) -> PathConfig {
    match name {
        "Linear" => PathConfig::Linear,
        "GVP" => PathConfig::Gvp,
        "VP" => PathConfig::Vp,
        other => panic!("path {other}"),
    }
}

fn objective(path: PathConfig, prediction: &str, weight: &str, target: TargetTime) -> Objective {
    let prediction = match prediction {
        "velocity" => PredictionKind::Velocity,
        "noise" => PredictionKind::Noise,
        "score" => PredictionKind::Score,
        other => panic!("prediction {other}"),
    };
    let weight = match weight {
        "None" => LossWeight::Uniform,
        "velocity" => LossWeight::Velocity,
        "likelihood" => LossWeight::Likelihood,
        other => panic!("weight {other}"),
    };
    let interval = TrainingInterval::training(path, prediction);
    Objective { path: path.build(), prediction, target, weight, interval }
}

fn floats(golden: &Arrays, name: &str) -> Vec<f32> {
    golden.get(name).values.iter().map(|v| *v as f32).collect()
}

#[test]
fn every_loss_of_every_path_prediction_and_weight() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("sit/losses.safetensors");
    let manifest = json("manifest.json");
    let cases = manifest["systems"]["sit"]["files"]["sit/losses.safetensors"]["extra"].as_object().expect("cases");
    let sit = network("config_sit", "sit/model.safetensors", WeightSource::Auto, &device);
    let (x0, x1) = (golden.tensor::<4>("x0", &device), golden.tensor::<4>("x1", &device));
    let labels = dropped(&sit, &golden, "y", "drop_rand", &device);
    let drawn = floats(&golden, "u");
    assert!(cases.len() >= 15);
    for (name, case) in cases {
        let parts: Vec<&str> = name.split('.').collect();
        let objective = objective(path(parts[0]), parts[1], parts[2], TargetTime::Slowed);
        let times = floats(&golden, &format!("{name}.t"));
        let mapped: Vec<f64> = drawn.iter().map(|u| objective.interval.map(f64::from(*u))).collect();
        close(&format!("{name}.t"), &mapped, &golden.get(&format!("{name}.t")).values, 1e-6);
        let noisy = interpolate(objective.path.as_ref(), x1.clone(), x0.clone(), &times);
        let output = sit.predict(noisy, golden.tensor::<1>(&format!("{name}.t"), &device), &labels).output;
        let pairs: Vec<Timesteps> = times.iter().map(|&t| Timesteps { training: t, slowed: t }).collect();
        let loss = objective.loss(output, x1.clone(), x0.clone(), &pairs);
        let found: Vec<f64> = loss.clone().into_data().iter().collect();
        close(&format!("{name}.loss"), &found, &golden.get(&format!("{name}.loss")).values, LOSS_TOLERANCE);
        let grads = GradientsParams::from_grads(loss.mean().backward(), &sit);
        let norm: Vec<f64> = global_norm(&sit, &grads).expect("gradients").into_data().iter().collect();
        close(&format!("{name}.grad_total"), &norm, &[case["grad_total"].as_f64().expect("a norm")], LOSS_TOLERANCE);
    }
}

#[test]
fn mixflow_with_both_targets_on_both_paths() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/mixflow.safetensors");
    let sit = network("config_sit", "sit/model.safetensors", WeightSource::Auto, &device);
    let (x0, x1) = (golden.tensor::<4>("x0", &device), golden.tensor::<4>("x1", &device));
    let (t, m, gamma) = (floats(&golden, "t"), floats(&golden, "m"), golden.scalar("gamma"));
    for (i, (u, r)) in golden.get("u").values.iter().zip(&golden.get("r").values).enumerate() {
        assert!(
            (u.sqrt() - f64::from(t[i])).abs() < 1e-6 && (u.sqrt() * (1.0 - gamma * r) - f64::from(m[i])).abs() < 1e-6
        );
    }
    let pairs: Vec<Timesteps> = t.iter().zip(&m).map(|(&training, &slowed)| Timesteps { training, slowed }).collect();
    for name in ["Linear", "GVP"] {
        let built = path(name).build();
        let slowed = interpolate(built.as_ref(), x1.clone(), x0.clone(), &m);
        golden.check(&format!("{name}.xm"), slowed.clone());
        let output = sit.predict(slowed, golden.tensor::<1>("t", &device), &golden.labels("y", &device)).output;
        golden.check(&format!("{name}.pred"), output.clone());
        for (key, target, times) in [("u_m", TargetTime::Slowed, &m), ("u_t", TargetTime::Training, &t)] {
            let expected = format!("{name}.{key}.target");
            golden.check(&expected, velocity_target(built.as_ref(), x1.clone(), x0.clone(), times));
            let objective = objective(path(name), "velocity", "None", target);
            let loss = objective.loss(output.clone(), x1.clone(), x0.clone(), &pairs);
            golden.check(&format!("{name}.{key}.loss"), loss);
        }
    }
}
