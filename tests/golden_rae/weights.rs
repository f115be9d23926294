use super::{config, exported, network, rae};
use crate::{Arrays, close};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use burn_mixflow::models::rae::RaeConfig;
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;

#[test]
fn export_equals_the_official_file() {
    let device = crate::device::device();
    for (key, file) in
        [("config_rae", "rae/model.safetensors"), ("config_rae_guidance", "rae/guidance_model.safetensors")]
    {
        let rae = network(key, file, WeightSource::Auto, &device);
        assert_eq!(exported(&rae).0, Arrays::golden(file).0, "{file}");
    }
}

#[test]
fn fixed_tables_and_first_positions_are_the_official_ones() {
    let golden = Arrays::golden("rae/model.safetensors");
    let fresh = exported(&config("config_rae").init(&crate::device::device()).expect("a valid configuration"));
    let mut checked = 0;
    for (name, array) in &fresh.0 {
        if name == "pos_embed" || name.contains("_feat_rope.") {
            close(name, &array.values, &golden.get(name).values, 1e-6);
            checked += 1;
        }
    }
    assert_eq!(checked, 5);
}

#[test]
fn initial_weights_have_the_stated_laws() {
    let config = config("config_rae");
    let fresh = exported(&config.init_seeded(5, &crate::device::device()).expect("a valid configuration"));
    for (name, array) in &fresh.0 {
        let count = array.values.len() as f64;
        let spread = (array.values.iter().map(|v| v * v).sum::<f64>() / count).sqrt();
        let inputs = |name: &str| fresh.get(name).shape[1..].iter().product::<usize>() as f64;
        let outputs = array.shape[0] as f64;
        let expected = if name == "pos_embed" || name.contains("_feat_rope.") {
            continue;
        } else if name.contains("adaLN_modulation") || name.starts_with("final_layer.linear") {
            0.0
        } else if name.contains("norm") || name == "t_embedder.W" {
            1.0
        } else if name.starts_with("y_embedder") || name.starts_with("t_embedder") && name.ends_with("weight") {
            0.02
        } else if name.ends_with("_embedder.proj.bias") {
            0.0
        } else if name.ends_with("_embedder.proj.weight") {
            (2.0 / (inputs(name) + outputs)).sqrt()
        } else {
            // U(±1/√n) spreads by 1/√(3n), whatever the weight or the bias.
            (1.0 / (3.0 * inputs(&name.replace(".bias", ".weight")))).sqrt()
        };
        // Two estimates of the same spread differ by a few times 1/√n.
        assert!((spread - expected).abs() <= expected * 4.0 / count.sqrt(), "{name}: {spread} instead of {expected}");
    }
}

#[test]
fn positions_and_frequencies_are_trained_unless_held() {
    let device = crate::device::device().autodiff();
    for train_embeddings in [true, false] {
        let config = RaeConfig { train_embeddings, ..config("config_rae") };
        let (trained, fresh) = (rae(&device), config.init(&device).expect("a valid configuration"));
        // Loading keeps what the network says about gradients.
        let options = Default::default();
        let file = crate::path("rae/model.safetensors");
        let (loaded, _) = burn_mixflow::models::weights::import(&fresh, &file, &options, super::NAMES).unwrap();
        assert_eq!(exported(&loaded).0, exported(&trained).0);
        let [channels, size] = [config.in_channels, config.input_size];
        let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
        let noisy = Tensor::<4>::ones([2, channels, size, size], &device);
        let output = loaded.predict(noisy, Tensor::from_floats([0.2, 0.9], &device), &labels).output;
        let grads = GradientsParams::from_grads(output.square().mean().backward(), &loaded);
        let found = crate::golden_support::gradients(&loaded, &grads, super::NAMES);
        let moves = |name: &str| found.get(name).values.iter().any(|g| *g != 0.0);
        assert_eq!([moves("pos_embed"), moves("t_embedder.W")], [train_embeddings; 2]);
        assert!(moves("s_embedder.proj.weight") && !moves("enc_feat_rope.freqs_cos"));
    }
}
