use super::*;
use crate::network::Prediction;
use crate::path::Linear;
use crate::sample::{At, GuidanceConfig, GuidancePer, SdeConfig, Step, WeakGuidanceConfig};
use burn::module::{Module, Param};
use burn::tensor::Int;

/// Predicts `label - x * scale + t`; the null label is 0.
#[derive(Module, Debug)]
struct Toy {
    scale: Param<Tensor<1>>,
    has_null: bool,
}

impl PredictionNetwork<2> for Toy {
    type Condition = Tensor<1, Int>;
    fn predict(&self, x: Tensor<2>, t: Tensor<1>, labels: &Tensor<1, Int>) -> Prediction<2> {
        let offset = (labels.clone().float() + t).unsqueeze_dim::<2>(1);
        (offset - x * self.scale.val().unsqueeze()).into()
    }
    fn drop_condition(&self, labels: &Tensor<1, Int>, dropped: &[bool]) -> Option<Tensor<1, Int>> {
        assert_eq!(labels.dims()[0], dropped.len());
        self.has_null.then(|| labels.zeros_like())
    }
}

fn toy(has_null: bool) -> Toy {
    Toy { scale: Param::from_tensor(Tensor::from_floats([0.5], &Device::flex())), has_null }
}

fn config(solver: SolverConfig, scale: Option<f64>, batch_size: usize) -> SamplerConfig {
    SamplerConfig { guidance: scale.map(GuidanceConfig::new), ..SamplerConfig::new(solver, 4, batch_size) }
}

fn sampler(config: SamplerConfig) -> Result<Sampler> {
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval)
}

fn run(network: &Toy, config: SamplerConfig, seen: &mut Vec<Progress>) -> Result<Vec<f32>> {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::from_ints([1, 2, 3, 4, 5], &device);
    let sampler = sampler(config)?;
    let samples = sampler.sample(network, &labels, [5, 3], 11, &device, &mut |p| seen.push(p))?;
    Ok(samples.into_data().try_to_vec().unwrap())
}

#[test]
fn a_sample_does_not_depend_on_the_batch_size() {
    let with = |batch_size| run(&toy(true), config(SolverConfig::Heun, Some(1.5), batch_size), &mut vec![]).unwrap();
    assert_eq!(with(5), with(2));
    assert_eq!(with(5), with(64));
    assert_eq!(with(5), with(1));
}

#[test]
fn some_samples_are_what_they_are_among_all() {
    let device = Device::flex();
    for solver in [SolverConfig::Heun, SolverConfig::Sde(SdeConfig::default())] {
        let all = run(&toy(true), config(solver, Some(1.5), 5), &mut vec![]).unwrap();
        let labels = Tensor::<1, Int>::from_ints([5, 2], &device);
        let sampler = sampler(config(solver, Some(1.5), 1)).unwrap();
        let at = |positions: &[u64]| {
            let noise = SampleNoise { seed: 11, positions };
            sampler.sample_at(&toy(true), &labels, [2, 3], noise, &device, &mut |_| ())
        };
        let some: Vec<f32> = at(&[4, 1]).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(some, [&all[12..], &all[3..6]].concat());
        let error = at(&[4]).unwrap_err().to_string();
        assert!(error.contains("1 positions for 2 samples"), "{error}");
    }
}

#[test]
fn guidance_of_scale_one_is_the_conditional_field_and_needs_no_null_condition() {
    let plain = run(&toy(false), config(SolverConfig::Euler, None, 2), &mut vec![]).unwrap();
    let one = run(&toy(false), config(SolverConfig::Euler, Some(1.0), 2), &mut vec![]).unwrap();
    let two = run(&toy(true), config(SolverConfig::Euler, Some(2.0), 2), &mut vec![]).unwrap();
    assert_eq!(plain, one);
    assert_ne!(plain, two);
}

#[test]
fn guidance_without_a_null_condition_is_an_error() {
    let error = run(&toy(false), config(SolverConfig::Euler, Some(2.0), 2), &mut vec![]).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn progress_reports_every_step_and_the_evaluations_per_sample() {
    let mut seen = vec![];
    let config = config(SolverConfig::Heun3, Some(2.0), 3);
    run(&toy(true), config.clone(), &mut seen).unwrap();
    assert_eq!(config.evaluations(), Some(4 * 3 * 2));
    assert_eq!(seen.len(), 2 * 4);
    assert_eq!(seen[3], Progress { samples: 3, total: 5, step: 4, steps: 4, evaluations: 24 });
    assert_eq!(seen[4], Progress { samples: 3, total: 5, step: 1, steps: 4, evaluations: 6 });
    assert_eq!(seen[7].samples, 5);
}

#[test]
fn the_counted_evaluations_are_the_predicted_ones() {
    use SolverConfig::{BogackiShampine, DpmPp2m, Euler, HeunThenEuler, Midpoint, Rk4, Sde};
    let heun = SdeConfig { method: crate::sample::SdeMethod::Heun, ..SdeConfig::default() };
    for solver in [Euler, HeunThenEuler, Midpoint, BogackiShampine, Rk4, DpmPp2m, Sde(SdeConfig::default()), Sde(heun)]
    {
        for (scale, per) in [
            (0.0, GuidancePer::Evaluation),
            (1.0, GuidancePer::Step),
            (1.5, GuidancePer::Evaluation),
            (1.5, GuidancePer::Step),
        ] {
            let guidance = Some(GuidanceConfig { interval: Some([0.25, 0.5]), per, ..GuidanceConfig::new(scale) });
            let config = SamplerConfig { guidance, ..config(solver, None, 5) };
            let mut seen = vec![];
            run(&toy(true), config.clone(), &mut seen).unwrap();
            let expected = config.evaluations();
            assert_eq!(seen.last().map(|p| p.evaluations), expected, "{solver:?} {scale} {per:?}");
        }
    }
}

#[test]
fn a_stochastic_sample_does_not_depend_on_the_batch_size_either() {
    let solver = SolverConfig::Sde(SdeConfig::default());
    let with = |batch_size| run(&toy(true), config(solver, Some(1.5), batch_size), &mut vec![]).unwrap();
    assert_eq!(with(5), with(2));
    assert_ne!(with(5), run(&toy(true), config(SolverConfig::Euler, Some(1.5), 5), &mut vec![]).unwrap());
}

#[test]
fn a_state_in_f64_gives_nearly_the_same_samples_in_f32() {
    let with = |state| {
        let config = SamplerConfig { state, ..config(SolverConfig::Heun, Some(1.5), 5) };
        run(&toy(true), config, &mut vec![]).unwrap()
    };
    let (single, double) = (with(StatePrecision::F32), with(StatePrecision::F64));
    assert!(single.iter().zip(&double).all(|(a, b)| (a - b).abs() < 1e-5));
}

fn weakly_guided(config: WeakGuidanceConfig, seen: &mut Vec<Progress>) -> Result<Vec<f32>> {
    let device = Device::flex();
    let weak = Toy { scale: Param::from_tensor(Tensor::from_floats([0.1], &device)), has_null: true };
    let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
    let config = SamplerConfig { weak_guidance: Some(config), ..self::config(SolverConfig::Euler, None, 2) };
    let networks = Networks { main: &toy(true), weak: Some(&weak) };
    let samples = sampler(config)?.sample(networks, &labels, [2, 3], 11, &device, &mut |p| seen.push(p))?;
    Ok(samples.into_data().try_to_vec().unwrap())
}

#[test]
fn autoguidance_extrapolates_away_from_the_weak_network_and_evaluates_only_what_matters() {
    let with = |scale| {
        let mut seen = vec![];
        let samples = weakly_guided(WeakGuidanceConfig::Autoguidance { scale, interval: None }, &mut seen).unwrap();
        (samples, seen.last().unwrap().evaluations)
    };
    // The field is linear in the network's weight, so guidance by 2 is the network of weight 0.9.
    let expected = Toy { scale: Param::from_tensor(Tensor::from_floats([0.9], &Device::flex())), has_null: true };
    let expected = run(&expected, config(SolverConfig::Euler, None, 5), &mut vec![]).unwrap();
    let (found, evaluations) = with(2.0);
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
    assert_eq!((evaluations, with(1.0).1, with(0.0).1), (8, 4, 4));
}

#[test]
fn skip_layer_guidance_compares_the_conditional_prediction_whatever_the_scale_of_the_other_guidance() {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
    let weak = Toy { scale: Param::from_tensor(Tensor::from_floats([0.1], &device)), has_null: true };
    let skip = WeakGuidanceConfig::SkipLayer { scale: 1.0, first: 0.0, last: 1.0 };
    let (main, at) = (toy(true), At::within(Step { index: 1, count: 4, start: 0.25 }, 0.25));
    let x = || Tensor::<2>::from_floats([[1.0, -2.0], [0.5, 3.0]], &device);
    for scale in [0.0, 1.0, 2.0] {
        let guidance = GuidanceConfig::new(scale);
        let field = |labels| NetworkField::new(&main, labels, PredictionKind::Velocity, Arc::new(Linear));
        let field = field(labels.clone()).guided(guidance.clone(), 2).unwrap().guided_by(&weak, skip.clone());
        let out = |network: &Toy, labels: &Tensor<1, Int>| {
            network.predict(x(), Tensor::from_floats([0.25, 0.25], &device), labels).output
        };
        let conditional = out(&main, &labels);
        let guided = guidance.combine(conditional.clone(), out(&main, &labels.zeros_like()));
        let expected = guided + conditional - out(&weak, &labels);
        let error = (field.velocity_at(x(), at) - expected).abs().max().into_scalar::<f32>();
        assert!(error < 1e-6, "{scale}: {error}");
    }
}

#[test]
fn a_weak_network_needs_its_guidance_and_the_other_way_round() {
    let guided = WeakGuidanceConfig::Autoguidance { scale: 2.0, interval: None };
    let config = SamplerConfig { weak_guidance: Some(guided), ..config(SolverConfig::Euler, None, 5) };
    assert!(matches!(run(&toy(true), config, &mut vec![]), Err(Error::Invalid(_))));
}

#[test]
fn dpm_solver_needs_the_linear_path() {
    let interval = TrainingInterval { start: 0.0, end: 1.0 };
    let config = config(SolverConfig::DpmPp2m, None, 5);
    let new = |path: Arc<dyn Path>| Sampler::new(config.clone(), path, PredictionKind::Velocity, interval);
    assert!(new(Arc::new(Linear)).is_ok() && new(Arc::new(crate::path::Gvp)).is_err());
}

#[test]
fn conditions_must_be_as_many_as_samples() {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
    let sampler = sampler(config(SolverConfig::Euler, None, 4)).unwrap();
    for count in [1, 3] {
        let error = sampler.sample(&toy(true), &labels, [count, 3], 0, &device, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("2 conditions for"), "{error}");
    }
}

#[test]
fn an_autodiff_device_is_refused() {
    let device = Device::flex().autodiff();
    let labels = Tensor::<1, Int>::from_ints([1], &device);
    let result = sampler(config(SolverConfig::Euler, None, 1)).unwrap().sample(
        &toy(true),
        &labels,
        [1, 3],
        0,
        &device,
        &mut |_| {},
    );
    assert!(matches!(result, Err(Error::Invalid(_))));
}

#[test]
fn a_noise_prediction_is_integrated_over_its_interval() {
    /// Always predicts noise 0, so that dx/dt = x/t and the state grows by `end / start`.
    #[derive(Module, Debug)]
    struct Zero {}
    impl PredictionNetwork<2> for Zero {
        type Condition = ();
        fn predict(&self, x: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
            x.zeros_like().into()
        }
    }
    let config = SamplerConfig { steps: 64, ..config(SolverConfig::Rk4, None, 2) };
    let interval = TrainingInterval { start: 0.25, end: 0.75 };
    let sampler = Sampler::new(config, Arc::new(Linear), PredictionKind::Noise, interval).unwrap();
    let device = Device::flex();
    let found = sampler.sample(&Zero {}, &(), [2, 3], 5, &device, &mut |_| {}).unwrap();
    let keys = [0, 1].map(|position| SampleKey { seed: 5, epoch: 0, position });
    let noise = Tensor::<2>::from_data(normal(&keys, Purpose::InitialState, &[3]), &device);
    let error = (found - noise * 3.0).abs().max().into_scalar::<f32>();
    assert!(error < 1e-4, "{error}");
}

#[test]
fn intervals_outside_of_zero_to_one_are_refused() {
    for (start, end) in [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1), (f64::NAN, 1.0)] {
        let config = config(SolverConfig::Euler, None, 1);
        let interval = TrainingInterval { start, end };
        assert!(Sampler::new(config, Arc::new(Linear), PredictionKind::Velocity, interval).is_err());
    }
}

#[test]
fn times_that_do_not_increase_are_refused() {
    for json in [
        r#"{"steps": 9, "batch_size": 1, "times": {"kind": "power", "exponent": 10000}}"#,
        r#"{"steps": 9, "batch_size": 1, "solver": {"sde": {"form": "sbdm", "last_step_size": 0.9995}}}"#,
    ] {
        let config: SamplerConfig = serde_json::from_str(json).unwrap();
        assert!(config.problems("").is_empty());
        assert!(matches!(sampler(config), Err(Error::Invalid(_))), "{json}");
    }
}

#[test]
fn corrections_stack_and_pass_told_times_on() {
    let with = |corrections: &str| {
        let corrections = serde_json::from_str(corrections).unwrap();
        let config = SamplerConfig { corrections, ..config(SolverConfig::Heun, Some(1.5), 5) };
        run(&toy(true), config, &mut vec![]).unwrap()
    };
    let scaling = r#"{"kind": "epsilon_scaling", "lambda": 1.1}"#;
    let shift = r#"{"kind": "time_shift_sampler", "window": 0.5, "below": 0.9}"#;
    let both = with(&format!("[{scaling}, {shift}]"));
    // The scaling depends on the nominal time and the shift on the state, so the order does not matter.
    assert_eq!(both, with(&format!("[{shift}, {scaling}]")));
    assert_ne!(both, with(&format!("[{shift}]")));
    assert_ne!(both, with(&format!("[{scaling}]")));
    assert_ne!(with(&format!("[{shift}]")), with("[]"));
}
