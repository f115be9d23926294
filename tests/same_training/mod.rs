//! Short trainings of the tiny checkpoints, and whether two are the same to the last bit.
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_mixflow::experiment::Experiment;
use burn_mixflow::experiment::config::ExperimentConfig;
use serde_json::{Value, json};
use std::path::Path;

/// The bits of a parameter, with its path.
pub type Named = (String, Vec<u32>);

/// The bits of all weights, raw and averaged, after a short training of a tiny checkpoint.
pub fn weights(system: &str, changes: &Value) -> Vec<Named> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("configs").join(system).join("tiny.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    json_patch::merge(&mut json, &json!({"post_train": {"steps": 4, "steps_per_epoch": 2}}));
    json_patch::merge(&mut json, changes);
    json.as_object_mut().unwrap().remove("$schema");
    let config = ExperimentConfig::parse(&json.to_string()).unwrap();
    let experiment = Experiment::open(config, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("same_training")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (start, _) = experiment.start().unwrap();
    let trained = experiment.post_train(start, folder.path(), None).unwrap_or_else(|error| panic!("{error}"));
    let mut bits = Bits::default();
    trained.raw.visit(&mut bits);
    trained.ema.visit(&mut bits);
    bits.found
}

#[derive(Default)]
struct Bits {
    place: Vec<String>,
    found: Vec<Named>,
}

impl ModuleVisitor for Bits {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let bits = param.val().into_data().iter::<f32>().map(f32::to_bits).collect();
        self.found.push((self.place.join("."), bits));
    }
}

/// Trains with `changes`, and with `more` beside them, and compares.
pub fn is_the_same_training(system: &str, changes: &Value, more: &Value) {
    let expected = weights(system, changes);
    let mut both = changes.clone();
    json_patch::merge(&mut both, more);
    let found = weights(system, &both);
    assert_eq!(expected.len(), found.len());
    let differs = |((name, a), (_, b)): (&Named, &Named)| {
        let most = a.iter().zip(b).map(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs()).fold(0.0, f32::max);
        (a != b).then(|| format!("{name} by {most:.1e}"))
    };
    let differing: Vec<String> = expected.iter().zip(&found).filter_map(differs).collect();
    let first = &differing[..differing.len().min(8)];
    assert!(differing.is_empty(), "{system} {both}: {} of {} differ: {first:?}", differing.len(), found.len());
}
