use super::{LOSS_TOLERANCE, check_norms, condition, extra, network, objective, small, times, told, value};
use crate::{Arrays, close};
use burn::optim::GradientsParams;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate};
use burn_mixflow::timestep::{Density, Timesteps};

const FILE: &str = "repa/losses.safetensors";

#[test]
fn every_loss_of_both_paths_and_both_laws_of_time() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden(FILE);
    let repa = network("repa/model.safetensors", WeightSource::Auto, &device);
    let data = golden.tensor::<4>("x", &device);
    let features: Vec<String> = (0..small().z_dims.len()).map(|j| format!("zs.{j}")).collect();
    let recorded = extra(FILE);
    let cases = recorded.as_object().expect("cases");
    assert!(cases.len() >= 4);
    for (name, case) in cases {
        let key = |what: &str| format!("{name}.{what}");
        let objective = objective(if name.starts_with("linear") { PathConfig::Linear } else { PathConfig::Gvp });
        let condition = condition(&repa, &golden, "y", &features, &key("drop_rand"), &device);
        let (noise, t) = (golden.tensor::<4>(&key("noise"), &device), times(&golden, &key("t")));
        let noisy = interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &t);
        let prediction = repa.predict(noisy, told(&t, &device), &condition);
        let pairs: Vec<Timesteps> = t.iter().map(|&t| Timesteps { training: t, slowed: t }).collect();

        let denoising = objective.loss(prediction.output, data.clone(), noise, &pairs);
        let found: Vec<f64> = denoising.to_data().iter().collect();
        close(&key("denoising"), &found, &golden.get(&key("denoising")).values, LOSS_TOLERANCE);
        let auxiliary = prediction.auxiliary_loss.expect("an alignment loss");
        assert_eq!(auxiliary.dims(), [1]);
        let alignment = value(&auxiliary) / small().alignment_weight;
        close(&key("proj"), &[alignment], &golden.get(&key("proj")).values, LOSS_TOLERANCE);
        let loss = (denoising + auxiliary).mean();
        close(&key("loss"), &[value(&loss)], &golden.get(&key("loss")).values, LOSS_TOLERANCE);

        check_norms(name, &repa, &GradientsParams::from_grads(loss.backward(), &repa), case);
    }
}

#[test]
fn times_of_both_laws_from_their_draws() {
    let golden = Arrays::golden(FILE);
    for (name, density) in [
        ("linear.uniform", Density::Uniform {}),
        ("cosine.uniform", Density::Uniform {}),
        ("linear.lognormal", Density::LogitNormal { mean: 0.0, std: 1.0 }),
        ("cosine.lognormal", Density::GvpLogNormal { mean: 0.0, std: 1.0 }),
    ] {
        // Reversed time turns a draw round: u to 1 − u, z to −z.
        let map = |draw: f64| density.map_normal(-draw).or(density.map(1.0 - draw)).expect("a law with a map");
        let draws = &golden.get(&format!("{name}.t_draw")).values;
        let found: Vec<f64> = draws.iter().map(|draw| 1.0 - map(*draw)).collect();
        close(name, &found, &golden.get(&format!("{name}.t")).values, 1e-6);
    }
}
