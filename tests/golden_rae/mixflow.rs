use super::{LOSS_TOLERANCE, check_gradients, extra, objective, rae, values};
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate, velocity_target};
use burn_mixflow::timestep::{Density, Slowing, TimeShift, Timesteps, Truncation};
use burn_mixflow::train::TargetTime;

fn shift() -> TimeShift {
    TimeShift::Factor { factor: Arrays::golden("rae/losses.safetensors").scalar("shift") }
}

/// The official upper end of the uniform number, 0.999.
fn upper_end() -> f64 {
    extra("rae/losses.safetensors")["Linear.uniform"]["interval"][1].as_f64().expect("an interval")
}

#[test]
fn truncated_logit_normal_times_and_their_shift() {
    let golden = Arrays::golden("rae/mixflow.safetensors");
    let name = golden.0.keys().find(|name| name.starts_with("trunc_logitnormal_")).expect("a table");
    // trunc_logitnormal_<mean>_<std>_low<low>_high<high>, in reversed time.
    let parts: Vec<&str> = name.split('_').collect();
    let number = |i: usize, prefix: &str| -> f64 { parts[i].strip_prefix(prefix).expect(name).parse().expect(name) };
    let density = Density::LogitNormal { mean: -number(2, ""), std: number(3, "") };
    let truncation = Truncation([1.0 - number(5, "high"), 1.0 - number(4, "low")]);
    let t: Vec<f64> = golden.get("u").values.iter().map(|u| truncation.map(&density, 1.0 - u).unwrap()).collect();
    let reversed = |t: &f64| 1.0 - t;
    close(name, &t.iter().map(reversed).collect::<Vec<_>>(), &golden.get(name).values, TOLERANCE);
    let shifted: Vec<f64> = t.iter().map(|t| 1.0 - shift().map(*t)).collect();
    close("shifted", &shifted, &golden.get("shifted").values, TOLERANCE);
}

#[test]
fn the_official_patch() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("rae/mixflow.safetensors");
    let slowing = Slowing::Range { gamma: golden.scalar("mix_gamma") };
    let truncation = Truncation([0.0, upper_end().sqrt()]);
    let column = |name: &str| golden.get(name).values.clone();
    let (mut pairs, mut before) = (Vec::new(), Vec::new());
    for (u, r) in column("mix_u").into_iter().zip(column("mix_r")) {
        // The recorded u lies in [0, 0.999] already.
        let t = truncation.map(&Density::BETA_2_1, u / upper_end()).expect("a quantile");
        before.push(1.0 - t);
        let t = shift().map(t);
        pairs.push(Timesteps { training: t as f32, slowed: slowing.map(t, r) as f32 });
    }
    let reversed = |of: fn(&Timesteps) -> f32| pairs.iter().map(|p| 1.0 - f64::from(of(p))).collect::<Vec<_>>();
    close("mix_t_before_shift", &before, &column("mix_t_before_shift"), TOLERANCE);
    close("mix_t", &reversed(|p| p.training), &column("mix_t"), TOLERANCE);
    close("mix_m", &reversed(|p| p.slowed), &column("mix_m"), TOLERANCE);

    let (rae, linear) = (rae(&device), PathConfig::Linear.build());
    let (data, noise) = (golden.tensor::<4>("x1", &device), golden.tensor::<4>("x0", &device));
    let [slowed, training] = [|p: &Timesteps| p.slowed, |p: &Timesteps| p.training]
        .map(|of: fn(&Timesteps) -> f32| pairs.iter().map(of).collect::<Vec<f32>>());
    let noisy = interpolate(linear.as_ref(), data.clone(), noise.clone(), &slowed);
    golden.check("mix_xm", noisy.clone());
    golden.check("mix_target", velocity_target(linear.as_ref(), data.clone(), noise.clone(), &slowed).neg());
    for target in [TargetTime::Slowed, TargetTime::Training] {
        let timestep = Tensor::from_floats(training.as_slice(), &device);
        let output = rae.predict(noisy.clone(), timestep, &golden.labels("y", &device)).output;
        golden.check("mix_pred", output.clone().neg());
        let objective = objective(PathConfig::Linear, target);
        let loss = objective.loss(output, data.clone(), noise.clone(), &pairs);
        close("mix_loss", &values(loss.clone()), &golden.get("mix_loss").values, LOSS_TOLERANCE);
        let (mean, extra) = (loss.mean(), extra("rae/mixflow.safetensors"));
        close("loss", &values(mean.clone()), &[extra["loss"].as_f64().expect("a loss")], LOSS_TOLERANCE);
        let grads = GradientsParams::from_grads(mean.backward(), &rae);
        check_gradients("mix", &rae, &grads, &extra["grad_norms"]);
    }
}
