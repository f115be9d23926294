use super::{network, small};
use crate::{Arrays, json};
use burn::module::Module;
use burn::tensor::Tensor;
use burn_mixflow::models::layers::{Law, TimestepEmbedding, WeightInit};
use burn_mixflow::models::sit::{FinalLayer, LabelEmbedding, PatchEmbedding, SitBlock};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, WeightSource, import};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::reversed;

const FILE: &str = "repa/model.safetensors";

#[test]
fn velocity_and_projected_tokens() {
    for device in [crate::device::device(), crate::device::device().autodiff()] {
        let golden = Arrays::golden("repa/forward.safetensors");
        let repa = network(FILE, WeightSource::Auto, &device);
        let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
        let (velocity, projected) = repa.forward(x.clone(), t.clone(), golden.labels("y", &device));
        golden.check("out", velocity);
        assert_eq!(projected.len(), small().z_dims.len());
        for (j, tokens) in projected.into_iter().enumerate() {
            golden.check(&format!("zs.{j}"), tokens);
        }
        let told = repa.predict(x, reversed::time(t), &golden.labels("y", &device).into());
        golden.check("out", reversed::velocity(told.output));
    }
}

/// One layer of the network with its weights.
fn part<M: Module>(fresh: M, names: &[(&str, &str)]) -> M {
    let all = Arrays::golden(FILE).0.into_keys().collect();
    let options = ImportOptions { allow_unused: all, ..Default::default() };
    import(&fresh, &crate::path(FILE), &options, KeyMap(names)).unwrap_or_else(|e| panic!("{e}")).0
}

/// The arrays that the manifest lists for the forward pass.
fn recorded() -> Vec<String> {
    let tensors = json("manifest.json")["systems"]["repa"]["files"]["repa/forward.safetensors"]["tensors"].clone();
    tensors.as_object().expect("tensors").keys().cloned().collect()
}

#[test]
fn every_layer_from_the_recorded_output_of_the_one_before() {
    let device = crate::device::device();
    let golden = Arrays::golden("repa/forward.safetensors");
    let recorded = recorded();
    // Compares where there is a record, and goes on from it, so that errors do not add up.
    let settle = |name: &str, found: Tensor<3>| match recorded.iter().any(|one| one == name) {
        true => {
            golden.check(name, found);
            golden.tensor(name, &device)
        }
        false => found,
    };
    assert!(recorded.iter().any(|name| name.starts_with("mid.blocks.")), "no record of a block: {recorded:?}");
    let (config, init) = (small(), &mut WeightInit::new(0, &device));
    let (width, hidden) = (config.hidden_size, (config.hidden_size as f64 * config.mlp_ratio) as usize);

    let patches = PatchEmbedding::new(config.in_channels, config.patch_size, width, init);
    let patches = part(patches, &[("proj", "x_embedder.proj")]);
    let patches = settle("mid.x_embedder", patches.forward(golden.tensor("x", &device)));

    let shape = &Arrays::golden(FILE).0["t_embedder.mlp.0.weight"].shape;
    let time = TimestepEmbedding::new(shape[1] / 2, width, Law::Zeros, init);
    let time = part(time, &[("first", "t_embedder.mlp.0"), ("second", "t_embedder.mlp.2")]);
    golden.check("mid.t_embedder", time.forward(golden.tensor("t", &device)));

    let rows = Arrays::golden(FILE).0["y_embedder.embedding_table.weight"].shape[0];
    let labels = LabelEmbedding::new(rows, width, init);
    let labels = part(labels, &[("embedding_table", "y_embedder.embedding_table")]);
    golden.check("mid.y_embedder", labels.forward(golden.labels("y", &device)));

    let condition = golden.tensor::<2>("mid.t_embedder", &device) + golden.tensor("mid.y_embedder", &device);
    let positions: Tensor<3> = Arrays::golden(FILE).tensor("pos_embed", &device);
    let mut tokens = patches + positions;
    for i in 0..config.depth {
        let name = format!("blocks.{i}");
        let official = |layer: &str| format!("{name}.{layer}");
        let names =
            [("attn", official("attn")), ("mlp", official("mlp")), ("modulation", official("adaLN_modulation.1"))];
        let names: Vec<(&str, &str)> = names.iter().map(|(here, there)| (*here, there.as_str())).collect();
        let block = part(SitBlock::new(width, config.num_heads, hidden, init), &names);
        tokens = settle(&format!("mid.{name}"), block.forward(tokens, condition.clone()));
    }

    let outputs = config.patch_size.pow(2) * config.in_channels;
    let names = [("linear", "final_layer.linear"), ("modulation", "final_layer.adaLN_modulation.1")];
    let last = part(FinalLayer::new(width, outputs, init), &names);
    settle("mid.final_layer", last.forward(tokens, condition));
}
