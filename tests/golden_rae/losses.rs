use super::{LOSS_TOLERANCE, check_gradients, dropped, extra, objective, rae, times, values};
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate};
use burn_mixflow::timestep::{Density, TimeShift, Timesteps, Truncation};
use burn_mixflow::train::{TargetTime, global_norm};

#[test]
fn every_path_and_law_of_the_time() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("rae/losses.safetensors");
    let rae = rae(&device);
    let data = golden.tensor::<4>("x1", &device);
    let shift = TimeShift::Factor { factor: golden.scalar("shift") };
    let extra = extra("rae/losses.safetensors");
    let cases = extra.as_object().expect("cases");
    assert!(cases.len() >= 4);
    for (name, case) in cases {
        let key = |part: &str| format!("{name}.{part}");
        let (path, law) = name.split_once('.').expect("a path and a law");
        let path = match path {
            "Linear" => PathConfig::Linear,
            "GVP" => PathConfig::Gvp,
            other => panic!("path {other}"),
        };
        let density = match law {
            "uniform" => Density::Uniform {},
            // The mean changes its sign with the direction of time.
            _ => match law.split('_').collect::<Vec<_>>()[..] {
                ["logit-normal", mean, std] => {
                    Density::LogitNormal { mean: -mean.parse::<f64>().expect(law), std: std.parse().expect(law) }
                }
                _ => panic!("law {law}"),
            },
        };
        let [low, high]: [f64; 2] = serde_json::from_value(case["interval"].clone()).expect("an interval");
        let truncation = Truncation([1.0 - high, 1.0 - low]);
        let drawn = golden.get(&key("u")).values.iter().map(|u| {
            let t = truncation.map(&density, 1.0 - u).expect("a quantile");
            1.0 - shift.map(t)
        });
        close(&key("t"), &drawn.collect::<Vec<_>>(), &golden.get(&key("t")).values, TOLERANCE);

        let objective = objective(path, TargetTime::Slowed);
        let times = times(&golden, &key("t"));
        let noise = golden.tensor::<4>(&key("x0"), &device);
        let noisy = interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &times);
        let labels = dropped(&rae, &golden, "y", &key("drop_rand"), &device);
        let output = rae.predict(noisy, Tensor::from_floats(times.as_slice(), &device), &labels).output;
        let pairs: Vec<Timesteps> = times.iter().map(|&t| Timesteps { training: t, slowed: t }).collect();
        let loss = objective.loss(output, data.clone(), noise, &pairs);
        close(&key("loss"), &values(loss.clone()), &golden.get(&key("loss")).values, LOSS_TOLERANCE);
        let mean = loss.mean();
        close(name, &values(mean.clone()), &[case["loss"].as_f64().expect("a loss")], LOSS_TOLERANCE);
        let grads = GradientsParams::from_grads(mean.backward(), &rae);
        let total = values(global_norm(&rae, &grads).expect("gradients"));
        close(name, &total, &[case["grad_total"].as_f64().expect("a norm")], LOSS_TOLERANCE);
        check_gradients(name, &rae, &grads, &case["grad_norms"]);
    }
}
