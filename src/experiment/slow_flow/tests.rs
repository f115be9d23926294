//! Null cases, a known slowness, brute force, keys.
use super::distribution::Search;
use super::*;
use crate::data::{DataConfig, RingConfig};
use crate::evaluate::energy_distance;
use crate::path::{Linear, PredictionKind, TrainingInterval};
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::{Sampler, SamplerConfig, SolverConfig, VelocityField};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

const DIM: usize = 4;

fn ring() -> RingConfig {
    RingConfig { dimension: DIM, train: 1000, ..RingConfig::default() }
}

fn truth(count: usize) -> GroundTruth {
    let data = DataConfig::Ring(ring()).open().unwrap();
    let places = GroundTruth::places(1000, count);
    GroundTruth::new(data.train.values(&places).unwrap(), DIM, places, Arc::new(Linear), 3).unwrap()
}

/// The exact field slowed by the factor `f`: `f v*(x, f t)`, whose states at t are exactly ground truth at `f t`.
fn slowed_field(f: f64) -> impl VelocityField<2> {
    move |x: Tensor<2>, t: f64| {
        let (shape, device) = (x.dims(), x.device());
        let values: Vec<f32> = x.into_data().iter::<f32>().collect();
        let velocity: Vec<f32> =
            values.chunks(DIM).flat_map(|x| ring().velocity(x, f * t, 0.0)).map(|v| f as f32 * v).collect();
        Tensor::from_data(TensorData::new(velocity, shape), &device)
    }
}

fn config(definitions: &[Definition]) -> ProbeConfig {
    ProbeConfig {
        definitions: definitions.to_vec(),
        samples: 600,
        times: 5,
        resamples: 100,
        tolerance_samples: 100,
        ..ProbeConfig::default()
    }
}

fn sampler(solver: SolverConfig, steps: usize) -> Sampler {
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    Sampler::new(SamplerConfig::new(solver, steps, 300), Arc::new(Linear), PredictionKind::Velocity, interval).unwrap()
}

fn measured(f: f64, config: &ProbeConfig) -> Vec<Measurement> {
    let (truth, device) = (truth(600), Device::flex());
    let probe = Probe { truth: &truth, config, shape: [1, DIM], device: &device };
    measure(&probe, &Exactly(&slowed_field(f)), &sampler(SolverConfig::Heun, 30)).unwrap()
}

#[test]
fn an_exact_field_shows_nothing_where_distributions_are_compared() {
    use Definition::{Distribution, Regressor, Variance};
    // Wide enough that the three intervals together miss by chance in one of a thousand seeds.
    let config = ProbeConfig { confidence: 0.9995, resamples: 200, ..config(&[Distribution, Regressor, Variance]) };
    for m in measured(1.0, &config) {
        assert!(m.mean.holds_zero(), "{:?} {} [{}, {}]", m.definition, m.mean.value, m.mean.low, m.mean.high);
        // Total variance hardly tells s where the path has its least one.
        let most = if m.definition == Variance { 4.0 * m.mean.standard_error } else { 0.02 };
        assert!(m.mean.value.abs() < most, "{:?} {}", m.definition, m.mean.value);
        assert_eq!(m.bias, None);
    }
}

#[test]
fn the_other_definitions_print_what_an_exact_field_gives() {
    use Definition::{PairIndependent, PairOneStep, Trajectory};
    let found = measured(1.0, &config(&[PairIndependent, PairOneStep, Trajectory]));
    for m in &found[..2] {
        let bias = m.bias.unwrap();
        assert!(m.mean.low > 0.0 && bias > 0.0, "{:?}", m.definition);
        assert!((m.mean.value - bias).abs() < 0.1 * bias, "{:?} {} {bias}", m.definition, m.mean.value);
    }
    assert!(found[2].bias.is_none());
}

#[test]
fn a_slowed_field_is_measured_right() {
    use Definition::{Distribution, Regressor};
    for m in measured(0.8, &config(&[Distribution, Regressor])) {
        assert!(m.mean.low > 0.0);
        for point in m.points.iter().filter(|point| point.t > 0.3) {
            let error = (point.m - 0.8 * point.t).abs();
            assert!(error < 0.03 + 3.0 * point.slowness.standard_error, "{:?} {} {}", m.definition, point.t, point.m);
        }
    }
}

#[test]
fn the_search_finds_the_minimum_of_the_energy_distance() {
    let truth = truth(200);
    let keys: Vec<_> = (0..150).map(|position| SampleKey { seed: 9, epoch: 0, position }).collect();
    let noise: Vec<f32> = normal(&keys, Purpose::Data, &[DIM]).iter::<f32>().collect();
    let states: Vec<f32> = truth.data.iter().rev().zip(&noise).map(|(x, n)| 0.6 * x + 0.45 * n).collect();
    let mut search = Search::new(&truth);
    let brute = |s: f64| energy_distance(&states, &truth.at(s), DIM).unwrap();
    let offset = brute(0.5) - search.distance(&states, 0.5);
    for s in [0.0, 0.21, 0.6, 1.0] {
        assert!((brute(s) - search.distance(&states, s) - offset).abs() < 1e-5);
    }
    let best = (0..=200).map(|i| f64::from(i) / 200.0).min_by(|a, b| brute(*a).total_cmp(&brute(*b))).unwrap();
    let resamples = super::resample::Resamples::new(150, 200, 20, 1);
    let found = search.slowed(&states, &resamples).s;
    assert!((found - best).abs() < 0.006, "{found} {best}");
}

#[test]
fn equal_seeds_measure_equally_and_other_seeds_do_not() {
    let with =
        |seed| measured(0.9, &ProbeConfig { seed, resamples: 20, samples: 100, ..config(&[Definition::Distribution]) });
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn a_recommendation_refuses_without_slowness_and_says_so() {
    let (truth, device, config) = (truth(600), Device::flex(), config(&[Definition::Distribution]));
    let probe = Probe { truth: &truth, config: &config, shape: [1, DIM], device: &device };
    let regressor = TimeRegressor::new(&truth).unwrap();
    let field = slowed_field(1.0);
    let mut found = measured(1.0, &config).remove(0);
    let tolerance = Tolerance::measure(&probe, &regressor, &Exactly(&field), &found).unwrap();
    assert_eq!(tolerance.bias[0], 0.0);
    assert!(tolerance.bias.windows(2).all(|pair| pair[1] >= 0.9 * pair[0]), "{:?}", tolerance.bias);
    // The null measurement, without the chance of its draws.
    (found.mean.low, found.mean.high) = (-0.01, 0.01);
    found.points.iter_mut().for_each(|point| point.slowness.value = 0.0);
    let refused = recommend(&found, &tolerance).unwrap();
    assert_eq!(refused.gamma, None);
    assert!(refused.reasons.iter().any(|reason| reason.contains("measured no slow flow at 30 steps")));
    found.definition = Definition::PairIndependent;
    assert!(recommend(&found, &tolerance).is_err());
}

#[test]
fn the_least_error_is_recommended_where_it_is_beyond_chance() {
    let mut found = measured(0.8, &config(&[Definition::Distribution])).remove(0);
    found.mean.low = 0.05;
    let list = |values: [f64; 4]| values.to_vec();
    let mut tolerance = Tolerance {
        gammas: list([0.0, 0.1, 0.3, 0.8]),
        points: Vec::new(),
        bias: list([0.0, 0.001, 0.002, 0.1]),
        error: list([0.2, 0.15, 0.1, 0.3]),
        change_standard_error: list([0.0, 0.01, 0.01, 0.02]),
    };
    let chosen = recommend(&found, &tolerance).unwrap();
    assert_eq!((chosen.gamma, chosen.range), (Some(0.3), Some([0.3, 0.3])));
    tolerance.change_standard_error = list([0.0, 0.1, 0.1, 0.1]);
    assert_eq!(recommend(&found, &tolerance).unwrap().gamma, None);
    tolerance.bias.pop();
    assert!(recommend(&found, &tolerance).is_err());
}

#[test]
fn pictures_and_tables_hold_what_was_measured() {
    let found = measured(0.8, &ProbeConfig { samples: 100, resamples: 20, ..config(&[Definition::Distribution]) });
    let mut report = Report::default();
    report.push("before", &found[0]);
    let folder = tempfile::tempdir().unwrap();
    let networks = ["before", "after"].map(|name| MeasuredNetwork { name, measurements: found.clone() });
    report.write(folder.path(), &networks).unwrap();
    let drawn = image::open(folder.path().join("slow_flow.png")).unwrap().into_rgb8();
    assert!(drawn.pixels().any(|pixel| pixel.0 != [255; 3]));
    assert!(std::fs::read_to_string(folder.path().join("slow_flow.svg")).unwrap().contains("after post-training"));
    let text = std::fs::read_to_string(folder.path().join("slow_flow.csv")).unwrap();
    assert_eq!(text.lines().count(), 1 + found[0].points.len() + 1);
    assert!(text.starts_with("model,definition,steps,evaluations,t,m,slowness,low,high,standard_error,bias"));
    assert!(report.markdown().contains("| before | distribution | 30 |"));
}
