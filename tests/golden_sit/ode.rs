//! Every recorded trajectory of the official ordinary sampler.
use super::objective::path;
use super::{config, network};
use crate::{Arrays, close, json};
use burn::tensor::{Device, Tensor};
use burn_mixflow::models::sit::Sit;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::{Condition, PredictionNetwork};
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval};
use burn_mixflow::sample::{
    GuidanceConfig, GuidedChannels, NetworkField, Reached, Sampler, SamplerConfig, SolverConfig, StepCount, Tableau,
    VelocityField, solve, uniform_times,
};

const TOLERANCE: f64 = 1e-4;
/// The steps of the adaptive solver amplify rounding.
const ADAPTIVE_TOLERANCE: f64 = 1e-3;

const LINEAR: (PathConfig, PredictionKind) = (PathConfig::Linear, PredictionKind::Velocity);

pub(super) fn prediction(name: &str) -> PredictionKind {
    serde_json::from_value(name.into()).expect(name)
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(super) fn sit(device: &Device) -> Sit {
    network("config_sit", "sit/model.safetensors", WeightSource::Auto, device)
}

fn solver(name: &str) -> SolverConfig {
    match name {
        "heun2" => SolverConfig::Heun,
        "dopri5" => SolverConfig::Dopri5(Default::default()),
        other => serde_json::from_value(other.into()).expect(other),
    }
}

struct Case<'a> {
    golden: &'a Arrays,
    sit: &'a Sit,
    kind: (PathConfig, PredictionKind),
    guidance: Option<GuidanceConfig>,
}

impl Case<'_> {
    fn field(&self) -> NetworkField<'_, Sit, 4> {
        let (path, prediction) = self.kind;
        let labels = self.golden.labels("y", &crate::device::device());
        let batch = labels.dims()[0];
        let field = NetworkField::new(self.sit, labels, prediction, path.build());
        match &self.guidance {
            None => field,
            Some(guidance) => field.guided(guidance.clone(), batch).expect("a null label"),
        }
    }

    fn trajectory(&self, solver: SolverConfig, points: usize) -> (Vec<Vec<f64>>, usize) {
        self.integrate(&self.field(), self.golden.tensor::<4>("z", &crate::device::device()), solver, points)
    }

    /// The states at all points, the first included, with the evaluations of the field.
    fn integrate(
        &self,
        field: &dyn VelocityField<4>,
        z: Tensor<4>,
        solver: SolverConfig,
        points: usize,
    ) -> (Vec<Vec<f64>>, usize) {
        let (path, prediction) = self.kind;
        let config = SamplerConfig { count: StepCount::Points, ..SamplerConfig::new(solver, points, 1) };
        let interval = TrainingInterval::sampling(path, prediction);
        let sampler = Sampler::new(config, path.build(), prediction, interval).expect("a sampler");
        let (mut states, mut evaluations) = (vec![values(z.clone())], 0);
        let mut observe = |reached: Reached<'_, 4>| {
            states.push(values(reached.state.clone()));
            evaluations = reached.evaluations;
        };
        let end = sampler.integrate(field, z, &mut |_| panic!("no noise"), &mut observe).expect("a state");
        assert_eq!(states.last(), Some(&values(end)));
        assert_eq!(states.len(), points);
        (states, evaluations)
    }
}

#[test]
fn every_trajectory_of_every_solver() {
    let golden = Arrays::golden("sit/ode.safetensors");
    let manifest = json("manifest.json");
    let recorded = &manifest["systems"]["sit"]["files"]["sit/ode.safetensors"]["extra"];
    let sit = sit(&crate::device::device());
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let Some(key) = name.strip_suffix(".traj") else { continue };
        let parts: Vec<&str> = key.split('.').collect();
        let (kind, method) = match parts[..] {
            [method] => (LINEAR, method),
            [name, kind, method] => ((path(name), prediction(kind)), method),
            _ => panic!("{name}"),
        };
        let case = Case { golden: &golden, sit: &sit, kind, guidance: None };
        let (states, evaluations) = case.trajectory(solver(method), expected.shape[0]);
        let tolerance = if method == "dopri5" { ADAPTIVE_TOLERANCE } else { TOLERANCE };
        close(name, &states.concat(), &expected.values, tolerance);
        if let Some(nfe) = recorded[key]["nfe"].as_u64() {
            assert_eq!(evaluations as u64, nfe, "{name}");
        }
        compared += 1;
    }
    assert!(compared >= 8);
}

#[test]
fn guided_on_three_channels() {
    let golden = Arrays::golden("sit/ode.safetensors");
    let manifest = json("manifest.json");
    let recorded = &manifest["systems"]["sit"]["files"]["sit/ode.safetensors"]["extra"];
    let sit = sit(&crate::device::device());
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let Some(key) = name.strip_suffix(".last4") else { continue };
        let (scale, method) = key.strip_prefix("cfg").and_then(|key| key.rsplit_once('.')).expect(name);
        let scale = scale.parse().expect(name);
        let guidance = GuidanceConfig { channels: GuidedChannels::FirstThree, ..GuidanceConfig::new(scale) };
        let points = recorded[key]["num_steps"].as_u64().expect(name) as usize;
        let case = Case { golden: &golden, sit: &sit, kind: LINEAR, guidance: Some(guidance) };
        let field = case.field();
        let z = golden.tensor::<4>("z", &crate::device::device());
        let twice = Tensor::cat(vec![z.clone(), z.clone()], 0);
        let (states, evaluations) =
            case.integrate(&|x, t| doubled(&golden, &sit, scale, x, t), twice, solver(method), points);
        let tolerance = if method == "dopri5" { ADAPTIVE_TOLERANCE } else { TOLERANCE };
        close(name, states.last().expect("a state"), &expected.values, tolerance);
        assert_eq!(recorded[key]["nfe"].as_u64(), Some(evaluations as u64), "{name}");
        // The adaptive solver also judges the unguided channels of the second half, which nothing else reads.
        if method != "dopri5" {
            let (states, _) = case.integrate(&field, z, solver(method), points);
            let half = &expected.values[..expected.values.len() / 2];
            close(name, states.last().expect("a state"), half, TOLERANCE);
        }
        compared += 1;
    }
    assert!(compared >= 3);
}

/// The official guided network: the first half of the batch, with labels and without. The unguided channels are
/// conditional in the first half of what comes back and unconditional in the second.
fn doubled(golden: &Arrays, sit: &Sit, scale: f64, x: Tensor<4>, t: f64) -> Tensor<4> {
    let (batch, channels, device) = (x.dims()[0] / 2, x.dims()[1], x.device());
    let half = x.narrow(0, 0, batch);
    let labels = golden.labels("y", &device);
    let null = sit.drop_condition(&labels, &vec![true; batch]).expect("a null label");
    let told = Tensor::<1>::full([2 * batch], t as f32, &device);
    let both = sit.predict(Tensor::cat(vec![half.clone(), half], 0), told, &labels.concat(null)).output;
    let (with, without) = (both.clone().narrow(0, 0, batch), both.clone().narrow(0, batch, batch));
    let guided = (without.clone() + (with - without).mul_scalar(scale)).narrow(1, 0, 3);
    Tensor::cat(vec![Tensor::cat(vec![guided.clone(), guided], 0), both.narrow(1, 3, channels - 3)], 1)
}

#[test]
fn other_predictions_on_every_path() {
    let golden = Arrays::golden("sit/ode.safetensors");
    let sit = sit(&crate::device::device());
    // The record names no number of points for these; they were made with that of the trajectory.
    let points = golden.get("GVP.velocity.heun2.traj").shape[0];
    let mut compared = 0;
    for (name, expected) in &golden.0 {
        let parts: Vec<&str> = name.split('.').collect();
        let [on, kind, method, "last"] = parts[..] else { continue };
        let case = Case { golden: &golden, sit: &sit, kind: (path(on), prediction(kind)), guidance: None };
        let (states, _) = case.trajectory(solver(method), points);
        close(name, states.last().expect("a state"), &expected.values, TOLERANCE);
        compared += 1;
    }
    assert!(compared >= 4);
}

#[test]
fn from_data_to_noise() {
    let golden = Arrays::golden("sit/ode.safetensors");
    let sit = sit(&crate::device::device());
    let case = Case { golden: &golden, sit: &sit, kind: LINEAR, guidance: None };
    let steps = golden.get("euler.traj").shape[0] - 1;
    let times: Vec<f64> = uniform_times(steps).into_iter().rev().collect();
    let field: &dyn VelocityField<4> = &case.field();
    let end = solve(field, golden.tensor("z", &crate::device::device()), &times, &Tableau::EULER, &mut |_| {});
    close("reverse", &values(end), &golden.get("reverse.euler.last").values, TOLERANCE);
}

#[test]
fn a_whole_run_of_the_sampler_is_the_integration_of_its_noise() {
    use burn_mixflow::random::{Purpose, SampleKey, normal};
    let device = crate::device::device();
    let golden = Arrays::golden("sit/ode.safetensors");
    let sit = sit(&device);
    let labels = golden.labels("y", &device);
    let shape =
        [labels.dims()[0], config("config_sit").in_channels, golden.get("z").shape[2], golden.get("z").shape[3]];
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    let config = SamplerConfig::new(SolverConfig::Heun, 3, 1);
    let sampler = Sampler::new(config, LINEAR.0.build(), LINEAR.1, interval).expect("a sampler");
    let found = sampler.sample(&sit, &labels, shape, 7, &device, &mut |_| {}).expect("samples");
    let keys: Vec<_> = (0..shape[0]).map(|i| SampleKey { seed: 7, epoch: 0, position: i as u64 }).collect();
    let noise = Tensor::<4>::from_data(normal(&keys, Purpose::InitialState, &shape[1..]), &device);
    let case = Case { golden: &golden, sit: &sit, kind: LINEAR, guidance: None };
    let expected = solve(&case.field(), noise, &uniform_times(3), &Tableau::HEUN, &mut |_| {});
    close("samples", &values(found), &values(expected), 1e-5);
}
