use super::{LOSS_TOLERANCE, NAMES, condition, exported, extra, network, objective, small, times, told, value};
use crate::golden_support::{Replay, without_key_bias};
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn_mixflow::models::repa::Repa;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate};
use burn_mixflow::timestep::Timesteps;
use burn_mixflow::train::clip_by_global_norm;

const FILE: &str = "repa/steps.safetensors";

/// The recorded steps, on top of `replay`.
fn steps<'a>(mut replay: Replay<'a, Repa>, mut repa: Repa, device: &Device) -> (Replay<'a, Repa>, Repa) {
    let (golden, recorded) = (Arrays::golden(FILE), extra(FILE));
    let number = |key: &str| recorded[key].as_f64().expect(key);
    assert_eq!(number("proj_coeff"), small().alignment_weight);
    let objective = objective(PathConfig::Linear);
    let steps = recorded["steps"].as_array().expect("steps");
    assert!(steps.len() >= 2);
    for (step, expected) in steps.iter().enumerate() {
        let key = |name: &str| format!("{step}.{name}");
        let check = |name: &str, found: f64, tolerance: f64| {
            close(&key(name), &[found], &[expected[name].as_f64().expect(name)], tolerance);
        };
        let (data, noise) = (golden.tensor::<4>(&key("x"), device), golden.tensor::<4>(&key("noise"), device));
        let t = times(&golden, &key("t"));
        let condition = condition(&repa, &golden, &key("y"), &[key("zs")], &key("drop_rand"), device);
        let noisy = interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &t);
        let prediction = repa.predict(noisy, told(&t, device), &condition);
        let pairs: Vec<Timesteps> = t.iter().map(|&t| Timesteps { training: t, slowed: t }).collect();
        let denoising = objective.loss(prediction.output, data, noise, &pairs).mean();
        let auxiliary = prediction.auxiliary_loss.expect("an alignment loss");
        check("denoising", value(&denoising), LOSS_TOLERANCE);
        check("proj", value(&auxiliary) / small().alignment_weight, LOSS_TOLERANCE);
        let loss = denoising + auxiliary;
        check("loss", value(&loss), LOSS_TOLERANCE);

        let grads = GradientsParams::from_grads(loss.backward(), &repa);
        let (grads, norm) = clip_by_global_norm(&repa, grads, number("max_grad_norm"));
        check("grad_norm_before_clip", norm, LOSS_TOLERANCE);
        repa = replay.step(repa, grads, number("lr"));

        let found = exported(&repa).0;
        for (name, expected) in expected["param_norms"].as_object().expect("norms") {
            // The norm of a bias with keys is not determined either.
            if without_key_bias(name, &found[name].values).len() < found[name].values.len() {
                continue;
            }
            let norm = found[name].values.iter().map(|w| w * w).sum::<f64>().sqrt();
            close(&key(name), &[norm], &[expected.as_f64().expect(name)], TOLERANCE);
        }
    }
    (replay, repa)
}

#[test]
fn steps_of_adamw_with_clipping_and_ema() {
    let device = crate::device::device().autodiff();
    let load = |file, source| network(file, source, &device);
    let [raw, averaged] = [WeightSource::Raw, WeightSource::Ema].map(|source| exported(&load("repa/ckpt.pt", source)));
    let start = load("repa/model.safetensors", WeightSource::Auto);
    let decay = extra(FILE)["ema_decay"].as_f64().expect("a decay");
    let new = || Replay::new(&start, [0.9, 0.999], decay, NAMES);
    let (replay, repa) = steps(new(), start.clone(), &device);
    let unsettled = replay.unsettled(&repa, &raw);

    let (replay, repa) = steps(new().settled(unsettled), start.clone(), &device);
    replay.check(&repa, [&raw, &averaged], without_key_bias);
    let names: Vec<String> = small().parameters().into_iter().map(|(name, _)| name).collect();
    replay.check_moments("repa/ckpt.pt", "opt", &names, &["pos_embed"]);
}
