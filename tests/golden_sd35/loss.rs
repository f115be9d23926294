//! The loss of plain and of MixFlow training through this crate's path, objective and time shift.
use super::{NAMES, extra, network, prompts};
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval, interpolate};
use burn_mixflow::timestep::{TimeShift, Timesteps};
use burn_mixflow::train::{LossWeight, Objective, TargetTime, global_norm};

/// Losses and gradient norms.
const LOSS_TOLERANCE: f64 = 1e-4;

const FILE: &str = "sd35/loss.safetensors";

/// The shift of the noise level that SD3.5 is trained with.
const SHIFT: TimeShift = TimeShift::Factor { factor: 3.0 };

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Loss, prediction and gradients with the noise levels `input` of the noisy latent and `told` of the network.
fn check(tag: &str, input: &str, told: &str) {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden(FILE);
    let mmdit = network("A", &device);
    let (data, noise) = (golden.tensor::<4>("x", &device), golden.tensor::<4>("noise", &device));
    let time = |name| golden.get(name).values.iter().map(|sigma| (1.0 - sigma) as f32);
    let timesteps: Vec<Timesteps> =
        time(told).zip(time(input)).map(|(training, slowed)| Timesteps { training, slowed }).collect();
    let slowed: Vec<f32> = timesteps.iter().map(|t| t.slowed).collect();
    let objective = Objective {
        path: PathConfig::Linear.build(),
        prediction: PredictionKind::Velocity,
        target: TargetTime::Slowed,
        weight: LossWeight::Uniform,
        interval: TrainingInterval::training(PathConfig::Linear, PredictionKind::Velocity),
    };

    let noisy = interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &slowed);
    golden.check(&format!("{tag}.x_in"), noisy.clone());
    let told = 1.0 - golden.tensor::<1>(told, &device);
    let output = mmdit.predict(noisy, told, &prompts(&golden, &device)).output;
    golden.check(&format!("{tag}.pred"), output.clone().neg());
    let loss = objective.loss(output, data, noise, &timesteps);
    let found: Vec<f64> = loss.clone().into_data().iter().collect();
    close(&format!("{tag}.loss"), &found, &golden.get(&format!("{tag}.loss")).values, LOSS_TOLERANCE);

    let recorded = &extra(FILE)[tag];
    let mean = loss.mean();
    let found: Vec<f64> = mean.clone().into_data().iter().collect();
    close(tag, &found, &[recorded["loss"].as_f64().expect("a loss")], LOSS_TOLERANCE);
    let grads = GradientsParams::from_grads(mean.backward(), &mmdit);
    let total: Vec<f64> = global_norm(&mmdit, &grads).expect("gradients").into_data().iter().collect();
    close(tag, &total, &[recorded["grad_total"].as_f64().expect("a norm")], LOSS_TOLERANCE);
    assert!(grads.get::<3>(mmdit.pos_embed.id).is_none(), "the positions are never trained");

    let found = crate::golden_support::gradients(&mmdit, &grads, NAMES);
    let norms = recorded["grad_norms"].as_object().expect("norms");
    assert_eq!(found.0.len(), norms.len() + 1, "all but the positions");
    for (name, expected) in norms {
        let expected = expected.as_f64().expect(name);
        close(name, &[norm(&found.get(name).values)], &[expected], LOSS_TOLERANCE);
    }

    // Nothing reads what the text asks for in the last block.
    let last = format!("joint_blocks.{}.context_block.attn", mmdit.joint_blocks.len() - 1);
    assert_eq!(norms[&format!("{last}.ln_q.weight")].as_f64(), Some(0.0));
    for name in ["qkv.weight", "qkv.bias"] {
        let values = &found.get(&format!("{last}.{name}")).values;
        let (queries, rest) = values.split_at(values.len() / 3);
        assert!(queries.iter().all(|g| *g == 0.0) && norm(rest) > 0.0, "{last}.{name}");
    }
}

#[test]
fn plain_training() {
    check("std", "sigma", "sigma");
}

#[test]
fn mixflow() {
    check("mix", "mix_sigma_m", "mix_sigma_t");
}

#[test]
fn noise_levels() {
    let golden = Arrays::golden(FILE);
    let values = |name: &str| &golden.get(name).values;
    let sigmoid: Vec<f64> = values("normal").iter().map(|n| 1.0 / (1.0 + (-n).exp())).collect();
    close("u", &sigmoid, values("u"), TOLERANCE);
    let sigma: Vec<f64> = values("u").iter().map(|u| 1.0 - SHIFT.map(1.0 - u)).collect();
    close("sigma", &sigma, values("sigma"), TOLERANCE);

    let gamma = golden.scalar("mix_gamma");
    let times: Vec<f64> = values("mix_u").iter().map(|u| SHIFT.map(u.sqrt())).collect();
    let sigma: Vec<f64> = times.iter().map(|t| 1.0 - t).collect();
    close("mix_sigma_t", &sigma, values("mix_sigma_t"), TOLERANCE);
    let sigma: Vec<f64> = times.iter().zip(values("mix_r")).map(|(t, r)| 1.0 - t * (1.0 - gamma * r)).collect();
    close("mix_sigma_m", &sigma, values("mix_sigma_m"), TOLERANCE);
}
