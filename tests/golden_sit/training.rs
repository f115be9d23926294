use super::{NAMES, network};
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use burn_mixflow::models::sit::Sit;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;

pub(super) fn per_sample(values: Tensor<4>) -> Tensor<1> {
    let [batch, c, h, w] = values.dims();
    values.reshape([batch, c * h * w]).mean_dim(1).squeeze_dim(1)
}

pub(super) fn column(t: &Tensor<1>) -> Tensor<4> {
    let [batch] = t.dims();
    t.clone().reshape([batch, 1, 1, 1])
}

pub(super) fn dropped(sit: &Sit, golden: &Arrays, labels: &str, draws: &str, device: &Device) -> Tensor<1, Int> {
    let marks: Vec<bool> = golden.get(draws).values.iter().map(|u| *u < f64::from(0.1f32)).collect();
    sit.drop_condition(&golden.labels(labels, device), &marks).expect("a null label")
}

pub(super) fn gradients(sit: &Sit, grads: &GradientsParams) -> Arrays {
    crate::golden_support::gradients(sit, grads, NAMES)
}

#[test]
fn velocity_loss_and_gradients() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("sit/losses.safetensors");
    let sit = network("config_sit", "sit/model.safetensors", WeightSource::Auto, &device);
    let (x0, x1) = (golden.tensor::<4>("x0", &device), golden.tensor::<4>("x1", &device));
    let t = golden.tensor::<1>("Linear.velocity.None.t", &device);
    let labels = dropped(&sit, &golden, "y", "drop_rand", &device);
    let noisy: Tensor<4> = x1.clone() * column(&t) + x0.clone() * (1.0 - column(&t));
    let output = sit.predict(noisy, t, &labels).output;
    golden.check("Linear.velocity.None.pred", output.clone());
    let loss = per_sample((output - (x1 - x0)).square());
    golden.check("Linear.velocity.None.loss", loss.clone());
    let grads = gradients(&sit, &GradientsParams::from_grads(loss.mean().backward(), &sit));
    let mut checked = 0;
    for (name, expected) in &golden.0 {
        if let Some(parameter) = name.strip_prefix("Linear.velocity.None.grad.") {
            close(name, &grads.get(parameter).values, &expected.values, TOLERANCE);
            checked += 1;
        }
    }
    assert!(checked >= 2);
}

#[test]
fn mixflow_loss_on_the_linear_path() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/mixflow.safetensors");
    let sit = network("config_sit", "sit/model.safetensors", WeightSource::Auto, &device);
    let (x0, x1) = (golden.tensor::<4>("x0", &device), golden.tensor::<4>("x1", &device));
    let (t, m) = (golden.tensor::<1>("t", &device), golden.tensor::<1>("m", &device));
    let slowed: Tensor<4> = x1.clone() * column(&m) + x0.clone() * (1.0 - column(&m));
    golden.check("Linear.xm", slowed.clone());
    let output = sit.predict(slowed, t, &golden.labels("y", &device)).output;
    golden.check("Linear.pred", output.clone());
    golden.check("Linear.u_m.loss", per_sample((output - (x1 - x0)).square()));
}
