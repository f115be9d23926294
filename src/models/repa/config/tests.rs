use super::*;
use crate::network::PredictionNetwork;
use burn::module::Module;

fn tiny() -> RepaConfig {
    RepaConfig {
        input_size: 4,
        hidden_size: 8,
        encoder_depth: 1,
        depth: 2,
        num_heads: 2,
        num_classes: 3,
        z_dims: vec![6, 5],
        projector_dim: 7,
        ..Default::default()
    }
}

#[test]
fn every_problem_is_named() {
    let config = RepaConfig {
        num_heads: 7,
        decoder_hidden_size: Some(3),
        encoder_depth: 29,
        z_dims: vec![768, 0],
        projector_dim: 0,
        alignment_weight: f64::NAN,
        ..Default::default()
    };
    let keys = ["num_heads", "decoder_hidden_size", "encoder_depth", "z_dims[1]", "projector_dim", "alignment_weight"];
    let paths: Vec<_> = config.problems("model").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, keys.map(|key| format!("model.{key}")));
    assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 6));
    assert!(RepaConfig::named("SiT-S/2").is_err() && RepaConfig::named("SiT-M/2").is_err());
    assert!(serde_json::from_str::<RepaConfig>(r#"{"depht": 3}"#).is_err());
}

#[test]
fn the_count_is_that_of_the_module() {
    for qk_norm in [false, true] {
        let config = RepaConfig { qk_norm, ..tiny() };
        assert_eq!(config.init(&Device::flex()).unwrap().num_params(), config.parameter_count());
    }
}

#[test]
fn features_alone_decide_about_the_alignment() {
    let device = Device::flex();
    let repa = tiny().init(&device).unwrap();
    let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
    let (x, t) = (Tensor::<4>::ones([2, 4, 4, 4], &device), Tensor::<1>::full([2], 0.5, &device));
    let without = repa.predict(x.clone(), t.clone(), &labels.clone().into());
    assert!(without.auxiliary_loss.is_none());
    assert_eq!(without.output.abs().max().into_scalar::<f32>(), 0.0);

    let features = vec![Tensor::ones([2, 4, 6], &device), Tensor::ones([2, 4, 5], &device)];
    let condition = tiny().condition(labels, features).unwrap();
    let loss = repa.predict(x, t, &condition).auxiliary_loss.unwrap();
    assert_eq!(loss.dims(), [1]);
    let loss = loss.into_scalar::<f32>();
    assert!(loss != 0.0 && loss.abs() <= 0.5, "{loss}");
}

#[test]
fn features_of_other_encoders_are_refused() {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
    let error = tiny().condition(labels, vec![Tensor::ones([2, 4, 6], &device)]).unwrap_err();
    assert_eq!(error.to_string(), "features have the shapes [[2, 4, 6]], must have [[2, 4, 6], [2, 4, 5]]");
}

#[test]
fn dropping_touches_labels_alone() {
    let device = Device::flex();
    let features = vec![Tensor::ones([2, 4, 6], &device), Tensor::ones([2, 4, 5], &device)];
    let condition = tiny().condition(Tensor::from_ints([0, 2], &device), features).unwrap();
    let dropped = tiny().init(&device).unwrap().drop_condition(&condition, &[true, false]).unwrap();
    assert_eq!(dropped.labels.into_data().iter::<i64>().collect::<Vec<_>>(), [3, 2]);
    assert_eq!(dropped.features[1].to_data(), condition.features[1].to_data());
    let without = RepaConfig { class_dropout_prob: 0.0, ..tiny() };
    assert!(without.init(&device).unwrap().drop_condition(&condition, &[true, false]).is_none());
}
