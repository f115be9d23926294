use super::{LOSS_TOLERANCE, check_norms, extra, network, objective, small, times, told, value};
use crate::{Arrays, close};
use burn::optim::GradientsParams;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate, reversed, velocity_target};
use burn_mixflow::timestep::Timesteps;

const FILE: &str = "repa/mixflow.safetensors";

#[test]
fn timesteps_are_the_papers_seen_from_the_other_end() {
    let golden = Arrays::golden(FILE);
    let (gamma, t, m) = (golden.scalar("gamma"), times(&golden, "t"), times(&golden, "m"));
    for (i, (u, r)) in golden.get("u").values.iter().zip(&golden.get("r").values).enumerate() {
        let (training, slowed) = (u.sqrt(), u.sqrt() * (1.0 - gamma * r));
        assert!((training - f64::from(t[i])).abs() < 1e-6 && (slowed - f64::from(m[i])).abs() < 1e-6);
    }
}

#[test]
fn input_target_prediction_losses_and_gradients() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden(FILE);
    let repa = network("repa/model.safetensors", WeightSource::Auto, &device);
    let objective = objective(PathConfig::Linear);
    let path = objective.path.as_ref();
    let (data, noise) = (golden.tensor::<4>("x", &device), golden.tensor::<4>("noise", &device));
    let (t, m) = (times(&golden, "t"), times(&golden, "m"));

    let slowed = interpolate(path, data.clone(), noise.clone(), &m);
    golden.check("xm", slowed.clone());
    golden.check("target", reversed::velocity(velocity_target(path, data.clone(), noise.clone(), &m)));
    let features = vec![golden.tensor("zs", &device)];
    let condition = small().condition(golden.labels("y", &device), features).expect("features of the encoder");
    let prediction = repa.predict(slowed, told(&t, &device), &condition);
    golden.check("pred", reversed::velocity(prediction.output.clone()));

    let pairs: Vec<Timesteps> = t.iter().zip(&m).map(|(&training, &slowed)| Timesteps { training, slowed }).collect();
    let denoising = objective.loss(prediction.output, data, noise, &pairs);
    let found: Vec<f64> = denoising.to_data().iter().collect();
    close("denoising", &found, &golden.get("denoising").values, LOSS_TOLERANCE);
    let auxiliary = prediction.auxiliary_loss.expect("an alignment loss");
    let alignment = value(&auxiliary) / small().alignment_weight;
    close("proj", &[alignment], &golden.get("proj").values, LOSS_TOLERANCE);
    let loss = (denoising + auxiliary).mean();
    close("loss", &[value(&loss)], &golden.get("loss").values, LOSS_TOLERANCE);
    check_norms("mixflow", &repa, &GradientsParams::from_grads(loss.backward(), &repa), &extra(FILE));
}
