use super::training::{column, dropped, gradients};
use super::{config, exported, network};
use crate::{Arrays, TOLERANCE, close, path};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use burn_mixflow::checkpoint::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use std::collections::BTreeMap;

/// The values that a step of Adam determines. Softmax does not see the bias of the keys: its gradient is zero but for
/// rounding, which Adam divides by its own size.
fn determined(name: &str, values: &[f64]) -> Vec<f64> {
    if !name.ends_with("attn.qkv.bias") {
        return values.to_vec();
    }
    let third = values.len() / 3;
    [&values[..third], &values[2 * third..]].concat()
}

#[test]
fn three_steps_of_adamw_and_ema() {
    let device = Device::default().autodiff();
    let golden = Arrays::golden("sit/steps.safetensors");
    let mut sit = network("config_sit_c", "sit/model_c.safetensors", WeightSource::Auto, &device);
    let mut ema = exported(&sit).0;
    let mut moments: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    let adam = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(0.0);
    let mut optimizer = adam.init();
    for step in 0..3 {
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
        for (name, array) in gradients(&sit, &grads).0 {
            let moments = moments.entry(name).or_insert_with(|| vec![[0.0; 2]; array.values.len()]);
            for ([first, second], g) in moments.iter_mut().zip(array.values) {
                *first = 0.9 * *first + 0.1 * g;
                *second = 0.999 * *second + 0.001 * g * g;
            }
        }
        sit = optimizer.step(1e-3, sit, grads);
        for (name, array) in exported(&sit).0 {
            let average = &mut ema.get_mut(&name).expect("the same names").values;
            for (a, w) in average.iter_mut().zip(array.values) {
                *a = 0.9 * *a + 0.1 * w;
            }
        }
    }

    let draws = (0..3).flat_map(|step| golden.get(&format!("{step}.drop_rand")).values.clone());
    assert_eq!(draws.filter(|u| *u < 0.1).count(), 2, "the record covers dropped labels");

    let load = |source| exported(&network("config_sit_c", "sit/ckpt.pt", source, &device)).0;
    let (raw, averaged, found) = (load(WeightSource::Raw), load(WeightSource::Ema), exported(&sit).0);
    for (name, expected) in &raw {
        for (found, expected) in [(&found[name], expected), (&ema[name], &averaged[name])] {
            close(name, &determined(name, &found.values), &determined(name, &expected.values), TOLERANCE);
        }
    }

    // The optimizer numbers parameters as the state dict does; the frozen positions, number 0, have no state.
    let names: Vec<String> = config("config_sit_c").parameters().into_iter().map(|(name, _)| name).collect();
    let stored = burn::store::pytorch_reader::PytorchReader::with_top_level_key(path("sit/ckpt.pt"), "opt")
        .expect("an optimizer")
        .into_tensors();
    assert!(!stored.contains_key("state.0.exp_avg"));
    for (number, name) in names.iter().enumerate().skip(1) {
        for (which, key) in ["exp_avg", "exp_avg_sq"].into_iter().enumerate() {
            let tensor = stored.get(&format!("state.{number}.{key}")).unwrap_or_else(|| panic!("{:?}", stored.keys()));
            let tensor = burn::store::bridge::from_pytorch(tensor.clone());
            let data = burn::store::bridge::to_data(&tensor).expect("readable values");
            let found: Vec<f64> = moments[name].iter().map(|m| m[which]).collect();
            close(&format!("{name} {key}"), &found, &data.iter::<f64>().collect::<Vec<_>>(), TOLERANCE);
        }
    }
}
