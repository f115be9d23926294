use super::training::{column, dropped};
use super::{NAMES, config, exported, network};
use crate::golden_support::{Replay, without_key_bias};
use crate::{Arrays, TOLERANCE, close, json};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;

#[test]
fn three_steps_of_adamw_and_ema() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("sit/steps.safetensors");
    let mut sit = network("config_sit_c", "sit/model_c.safetensors", WeightSource::Auto, &device);
    let recorded = json("manifest.json")["systems"]["sit"]["files"]["sit/steps.safetensors"]["extra"].clone();
    let number = |key: &str| recorded[key].as_f64().expect(key);
    let steps = recorded["steps"].as_array().expect("steps").len();
    // PyTorch's default decays, which the record does not repeat.
    let mut replay = Replay::new(&sit, [0.9, 0.999], number("ema_decay"), NAMES);
    assert!(steps >= 2);
    for step in 0..steps {
        let key = |name: &str| format!("{step}.{name}");
        let (x0, x1) = (golden.tensor::<4>(&key("x0"), &device), golden.tensor::<4>(&key("x1"), &device));
        let t = golden.tensor::<1>(&key("t"), &device);
        let labels = dropped(&sit, &golden, &key("y"), &key("drop_rand"), &device);
        let noisy: Tensor<4> = x1.clone() * column(&t) + x0.clone() * (1.0 - column(&t));
        let output = sit.predict(noisy, t, &labels).output;
        let loss = (output - (x1 - x0)).square().mean();
        let found = loss.clone().into_data().iter::<f64>().collect::<Vec<_>>();
        close(&key("loss"), &found, &golden.get(&key("loss")).values, TOLERANCE);
        let grads = GradientsParams::from_grads(loss.backward(), &sit);
        sit = replay.step(sit, grads, number("lr"));
    }

    let load = |source| exported(&network("config_sit_c", "sit/ckpt.pt", source, &device));
    replay.check(&sit, [&load(WeightSource::Raw), &load(WeightSource::Ema)], without_key_bias);
    let names: Vec<String> = config("config_sit_c").parameters().into_iter().map(|(name, _)| name).collect();
    replay.check_moments("sit/ckpt.pt", "opt", &names, &["pos_embed"]);
}
