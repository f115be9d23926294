//! What a stage promises, on a network of two by two.
use super::*;
use crate::monitor::read_events;
use crate::network::Prediction;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;

#[derive(Module, Debug)]
pub(super) struct Line {
    pub(super) layer: Linear,
}

impl PredictionNetwork<2> for Line {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
        self.layer.forward(noisy).into()
    }
}

pub(super) fn network(outputs: usize) -> Line {
    let initializer = burn::nn::Initializer::Constant { value: 0.1 };
    let device = Device::flex().autodiff();
    Line { layer: LinearConfig::new(2, outputs).with_initializer(initializer).init(&device) }
}

#[derive(Clone)]
pub(super) struct Points;
impl Batcher<f32, FlowBatch<2, ()>> for Points {
    fn batch(&self, items: Vec<f32>, device: &Device) -> FlowBatch<2, ()> {
        let count = items.len();
        FlowBatch::new(Tensor::<1>::from_floats(items.as_slice(), device).reshape([count, 1]).repeat_dim(1, 2), ())
    }
}

pub(super) fn points(count: usize) -> InMemDataset<f32> {
    InMemDataset::new((0..count).map(|i| i as f32 * 0.1).collect())
}

fn run(stage: &Stage<'_>, outputs: usize) -> Result<Trained<Line>> {
    stage.run(network(outputs), points(40), points(8), Points)
}

pub(super) fn config(json: &str) -> StageConfig {
    StageConfig::parse(json).unwrap()
}

#[test]
fn a_resumed_stage_draws_no_step_twice_and_equals_one_that_was_not_stopped() {
    let config = config(r#"{"steps": 15, "steps_per_epoch": 5, "batch_size": 8}"#);
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(&config, folder.path().join("parts")).text("note", "as *said*").label("stage");
    let first = run(&stage.clone().until(5), 2).unwrap();
    assert_eq!((first.steps, first.finished, first.board.first_step()), (5, false, 0));
    let trained = run(&stage, 2).unwrap();
    assert_eq!((trained.steps, trained.finished, trained.board.first_step()), (10, true, 5));

    let events = read_events(&folder.path().join("parts/tensorboard"));
    let mut drawn = Vec::new();
    for event in events.iter().filter(|event| event.has_summary()) {
        drawn.extend(event.get_summary().value.iter().map(|value| (value.get_tag().to_string(), event.step)));
    }
    let at = |tag: &str| drawn.iter().filter(|(t, _)| t == tag).map(|(_, step)| *step).collect::<Vec<_>>();
    assert_eq!(at("train/loss"), (0..15).collect::<Vec<_>>());
    assert_eq!(at("valid/loss"), [4, 9, 14]);
    assert_eq!((at("stage"), at("note")), (vec![0, 5], vec![0, 5]));
    let all = drawn.len();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), all, "a step was drawn twice");

    let whole = run(&Stage::new(&config, folder.path().join("whole")), 2).unwrap();
    let weights = |line: &Line| line.layer.weight.val().into_data().iter::<f32>().collect::<Vec<_>>();
    assert_eq!(weights(&whole.ema), weights(&trained.ema));
    assert_ne!(weights(&whole.ema), weights(&network(2)));
}

#[test]
fn an_invalid_stage_is_refused_with_every_problem_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("stage");
    let error = |json: &str, devices: &[Device]| {
        let config = config(json);
        match run(&Stage::new(&config, &below).devices(devices), 2) {
            Err(Error::Config(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let json = r#"{"steps": 20, "steps_per_epoch": 7, "optimizer": {"learning_rate": -5}, "ema": {"decay": 1.5}}"#;
    let expected = [
        "steps_per_epoch = 7: must divide steps = 20",
        "ema.decay = 1.5: must be in [0, 1)",
        "optimizer.learning_rate = -5: must be in (0, 1]",
    ];
    assert_eq!(error(json, &[Device::flex()]), expected);
    assert_eq!(error(r#"{"steps_per_epoch": 0}"#, &[Device::flex()]), ["steps_per_epoch = 0: must be at least 1"]);
    assert_eq!(error("{}", &[]), ["devices = 0: must be at least one"]);
    let expected = ["batch_size = 128: must divide over 3 device(s) × 1 accumulated"];
    assert_eq!(error("{}", &vec![Device::flex(); 3]), expected);
    let curved = StageConfig::parse(r#"{"anti_drift": {}}"#).unwrap();
    let objective = Objective::new(crate::path::PathConfig::Gvp, Default::default());
    let refused = run(&Stage::new(&curved, &below).objective(objective), 2).unwrap_err();
    assert!(refused.to_string().contains("anti_drift : needs the path"), "{refused}");
    assert!(!below.exists());
}

#[test]
fn a_network_of_the_wrong_shape_stops_with_both_shapes() {
    let config = config(r#"{"steps": 4, "steps_per_epoch": 2, "batch_size": 8}"#);
    let folder = tempfile::tempdir().unwrap();
    let error = run(&Stage::new(&config, folder.path()), 1).unwrap_err().to_string();
    assert!(error.contains("returned the shape [8, 1] for an input of shape [8, 2]"), "{error}");
}
