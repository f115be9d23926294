use super::{NAMES, config, dropped, exported, extra, network, objective, rae, times, values};
use crate::golden_support::Replay;
use crate::{Arrays, TOLERANCE, close};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate};
use burn_mixflow::post_train::{Decay, ScheduleConfig};
use burn_mixflow::timestep::Timesteps;
use burn_mixflow::train::{TargetTime, clip_by_global_norm};

/// The number after `key=` in a line such as `Scheduler: linear with warmup_steps=4, final_lr=2e-05`.
fn number(line: &str, key: &str) -> f64 {
    let (_, rest) = line.split_once(&format!("{key}=")).unwrap_or_else(|| panic!("no {key} in {line}"));
    let end = rest.find([',', ')', ' ']).unwrap_or(rest.len());
    rest[..end].trim_start_matches('(').parse().expect(line)
}

/// The recorded schedule in this crate's words, and its peak.
fn schedule() -> (ScheduleConfig, f64) {
    let extra = extra("rae/steps.safetensors");
    let line = extra["sched"].as_str().expect("a schedule");
    assert!(line.contains("linear") && line.contains("warmup_from_zero=False"), "{line}");
    let peak = number(line, "base_lr");
    let schedule = ScheduleConfig {
        hold: number(line, "warmup_steps") as usize,
        decay: Decay::Linear,
        decay_end: Some(number(line, "decay_end_steps") as usize),
        final_fraction: number(line, "final_lr") / peak,
        ..Default::default()
    };
    (schedule, peak)
}

#[test]
fn learning_rate_of_every_step() {
    let expected = Arrays::golden("rae/steps.safetensors").get("lr_per_step").values.clone();
    let (schedule, peak) = schedule();
    assert!(schedule.problems("schedule", expected.len()).is_empty());
    let found: Vec<f64> = (0..expected.len()).map(|step| schedule.rate(peak, step, expected.len())).collect();
    close("lr_per_step", &found, &expected, 1e-12);
}

#[test]
fn steps_of_clipped_adamw_and_ema() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("rae/steps.safetensors");
    let extra = extra("rae/steps.safetensors");
    let optimizer = extra["optim"].as_str().expect("an optimizer");
    let first = number(optimizer, "betas");
    let second: f64 = optimizer
        .split_once("betas=(")
        .and_then(|(_, rest)| rest.split([',', ')']).nth(1))
        .and_then(|b| b.trim().parse().ok())
        .expect("two betas");
    let [decay, clip] = ["ema_decay", "clip"].map(|key| extra[key].as_f64().expect(key));
    let (schedule, peak) = schedule();
    let steps = extra["steps"].as_array().expect("steps");

    let mut rae = rae(&device);
    let mut replay = Replay::new(&rae, [first, second], decay, NAMES);
    let objective = objective(PathConfig::Linear, TargetTime::Slowed);
    for (step, recorded) in steps.iter().enumerate() {
        let key = |name: &str| format!("{step}.{name}");
        let (noise, data) = (golden.tensor::<4>(&key("x0"), &device), golden.tensor::<4>(&key("x1"), &device));
        let labels = dropped(&rae, &golden, &key("y"), &key("drop_rand"), &device);
        let times = times(&golden, &key("t"));
        let noisy = interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &times);
        let output = rae.predict(noisy, Tensor::from_floats(times.as_slice(), &device), &labels).output;
        let pairs: Vec<Timesteps> = times.iter().map(|&t| Timesteps { training: t, slowed: t }).collect();
        let loss = objective.loss(output, data, noise, &pairs).mean();
        close(&key("loss"), &values(loss.clone()), &[recorded["loss"].as_f64().expect("a loss")], TOLERANCE);
        let grads = GradientsParams::from_grads(loss.backward(), &rae);
        let (grads, norm) = clip_by_global_norm(&rae, grads, clip);
        let expected = recorded["grad_norm_before_clip"].as_f64().expect("a norm");
        close(&key("norm"), &[norm], &[expected], TOLERANCE);
        rae = replay.step(rae, grads, schedule.rate(peak, step, golden.get("lr_per_step").values.len()));
        let weights = exported(&rae);
        for (name, expected) in recorded["param_norms"].as_object().expect("norms") {
            let norm = weights.get(name).values.iter().map(|w| w * w).sum::<f64>().sqrt();
            close(&key(name), &[norm], &[expected.as_f64().expect("a norm")], TOLERANCE);
        }
    }

    let load = |source| exported(&network("config_rae", "rae/ckpt.pt", source, &device));
    replay.check(&rae, [&load(WeightSource::Raw), &load(WeightSource::Ema)], |_, values| values.to_vec());
    let learned = |(name, _): &(String, Vec<usize>)| !name.contains("_feat_rope.");
    let names: Vec<String> =
        config("config_rae").parameters().into_iter().filter(learned).map(|(name, _)| name).collect();
    replay.check_moments("rae/ckpt.pt", "optimizer", &names, &[]);
}
