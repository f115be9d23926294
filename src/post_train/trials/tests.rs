use super::*;
use crate::network::Prediction;
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::{SamplerConfig, SolverConfig};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use std::cell::Cell;

/// Points on a circle, learnt by a small network.
#[derive(Module, Debug)]
struct Small {
    first: Linear,
    last: Linear,
}

impl PredictionNetwork<2> for Small {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
        let input = Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1);
        self.last.forward(silu(self.first.forward(input))).into()
    }
}

#[derive(Clone)]
struct Points;
impl Batcher<[f32; 2], FlowBatch<2, ()>> for Points {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> FlowBatch<2, ()> {
        let count = items.len();
        FlowBatch::new(Tensor::<1>::from_floats(items.concat().as_slice(), device).reshape([count, 2]), ())
    }
}

fn circle() -> InMemDataset<[f32; 2]> {
    InMemDataset::new((0..256).map(|i| i as f32 * 0.1).map(|a| [2.0 * a.cos(), 2.0 * a.sin()]).collect())
}

/// How far the radii of samples are from 2.
fn distance(samples: Tensor<2>) -> Result<f64> {
    let radius = samples.square().sum_dim(1).sqrt();
    Ok(f64::from((radius - 2.0).square().mean().sqrt().into_scalar::<f32>()))
}

fn measure<'a>(count: &'a Cell<usize>) -> TrialMeasure<'a, (), 2> {
    let sampler = |steps| Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Euler, steps, 64)).unwrap();
    let counted = move |samples: Tensor<2>| {
        count.set(count.get() + 1);
        distance(samples)
    };
    TrialMeasure::new(sampler(3), (), [64, 2], counted).sampler(sampler(8))
}

#[test]
fn trials_are_paired_kept_and_made_once() {
    let device = Device::flex().autodiff();
    let linear = |from: usize, to: usize| {
        let weight = normal(&SampleKey::batch(1, from as u64, from), Purpose::Weights, &[to]);
        let weight = Tensor::<2>::from_data(weight, &device) / (from as f32).sqrt();
        Linear { weight: Param::from_tensor(weight), bias: None }
    };
    let network = Small { first: linear(3, 32), last: linear(32, 2) };
    let stage = StageConfig::parse(
        r#"{"strategy": {"kind": "mixflow", "gamma": 0.4}, "steps": 300, "steps_per_epoch": 300, "batch_size": 64,
            "optimizer": {"learning_rate": 0.02}, "ema": {"decay": 0.9}}"#,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let count = Cell::new(0);
    let trials = |measure| {
        let data = TrialData::new(circle(), circle(), Points);
        Trials::new(&stage, &network, data, measure, folder.path()).candidates(&[0.1, 0.4])
    };
    let table = trials(measure(&count)).compare().unwrap();
    // Three arms, two seeds, two samplers.
    assert_eq!((table.rows.len(), count.get()), (2, 12));
    for row in &table.rows {
        assert!(row.control.iter().zip(&row.none).all(|(control, none)| *control < 0.7 * none), "{table}");
        assert_ne!(row.control, row.mixflow);
    }
    assert_eq!(trials(measure(&count)).compare().unwrap(), table);
    assert_eq!(count.get(), 12, "a comparison that was made is read again");

    // The control and γ = 0.4 are those of the comparison; γ = 0.1 is new.
    let choice = trials(measure(&count)).choose_gamma().unwrap();
    assert_eq!((count.get(), choice.curve.len()), (16, 2));
    let ratio = |row: &ArmDistances| (1.0 + row.change).ln();
    let expected = (0.5 * (ratio(&table.rows[0]) + ratio(&table.rows[1]))).exp() - 1.0;
    assert!((choice.curve[1].change - expected).abs() < 1e-9, "{} is not {expected}", choice.curve[1].change);

    let other = StageConfig { seed: 1, ..stage.clone() };
    let data = TrialData::new(circle(), circle(), Points);
    let other = Trials::new(&other, &network, data, measure(&count), folder.path()).seeds(&[0]);
    assert_ne!(other.compare().unwrap().rows[0].control[0], table.rows[0].control[0]);
    let folders = std::fs::read_dir(folder.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 0, "checkpoints of finished trials are removed");
}

#[test]
fn impossible_trials_are_refused_whole() {
    let device = Device::flex().autodiff();
    let linear = |from, to| LinearConfig::new(from, to).init(&device);
    let network = Small { first: linear(3, 8), last: linear(8, 2) };
    let (stage, count) = (StageConfig::default(), Cell::new(0));
    let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 3, 64)).unwrap();
    let data = TrialData::new(circle(), circle(), Points);
    let trials = Trials::new(&stage, &network, data, measure(&count).sampler(sampler), "unused");
    let error = trials.seeds(&[]).candidates(&[1.5]).choose_gamma().unwrap_err().to_string();
    for part in ["seeds = []: must be at least one", "candidates = 1.5: must be in [0, 1]", "steps = 3: must differ"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}
