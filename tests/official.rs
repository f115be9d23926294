//! Every tiny official checkpoint from its file to the exported one, in two sittings and in one.
use burn::module::Module;
use burn::tensor::Tensor;
use burn_mixflow::Error;
use burn_mixflow::data::{DataConfig, LatentsConfig};
use burn_mixflow::experiment::config::{ExperimentConfig, StartConfig, WeightsConfig};
use burn_mixflow::experiment::{Experiment, check_folder, claim_folder};
use burn_mixflow::models::weights::{WeightSource, tensor_shapes};
use burn_mixflow::models::{MmditConfig, Network, NetworkConfig, RepaConfig};
use burn_mixflow::post_train::DeviceName;
use std::path::{Path, PathBuf};

const SYSTEMS: [&str; 4] = ["sit", "repa", "rae", "sd35"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config(system: &str) -> ExperimentConfig {
    let file = root().join("configs").join(system).join("tiny.json");
    ExperimentConfig::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Where what was found in data is kept.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("official")
}

/// The tests run in the folder of the crate, where the names of files in the configurations begin.
fn open(config: ExperimentConfig) -> Experiment {
    Experiment::open(config, &cache()).unwrap_or_else(|error| panic!("{error}"))
}

/// The same experiment with the weights of another file.
fn from_file(system: &str, file: PathBuf) -> Experiment {
    let options = WeightsConfig {
        adapters: Vec::new(),
        file,
        source: WeightSource::Auto,
        prefix: None,
        allow_missing: vec![],
        allow_unused: vec![],
        replace: vec![],
    };
    let mut config = config(system);
    config.start = StartConfig::Weights(options);
    open(config)
}

fn exported(network: &Network, folder: &Path, name: &str) -> (PathBuf, Vec<u8>) {
    let file = folder.join(name);
    network.export(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    (file, bytes)
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Names and shapes of the official network of this size.
fn official(network: &NetworkConfig) -> Vec<(String, Vec<usize>)> {
    let mut list = match network {
        NetworkConfig::Sit(c) => c.parameters(),
        NetworkConfig::Repa(c) => c.parameters(),
        NetworkConfig::Rae(c) => c.parameters(),
        NetworkConfig::Mmdit(c) => c.parameters(),
        NetworkConfig::ResidualMlp(_) => panic!("not a system"),
    };
    list.sort();
    list
}

#[test]
fn an_official_checkpoint_is_post_trained_resumed_sampled_and_written_back() {
    for name in SYSTEMS {
        let folder = tempfile::tempdir().unwrap();
        let experiment = open(config(name));
        let (start, report) = experiment.start().unwrap();
        let report = report.unwrap();
        assert_eq!((report.missing.len(), report.unused.len()), (0, 0), "{name}: {report}");
        assert!(report.loaded >= start.num_params().min(20), "{name}: {report}");

        let (one_sitting, two_sittings) = (folder.path().join("one"), folder.path().join("two"));
        let one = experiment.post_train(start.clone(), &one_sitting, None).unwrap();
        assert!(one.finished && one.steps == experiment.config().post_train.steps, "{name}");
        let first = experiment.post_train(start.clone(), &two_sittings, Some(one.steps / 2)).unwrap();
        assert!(!first.finished && first.steps == one.steps / 2, "{name}");
        assert!(experiment.trained(&two_sittings).is_err(), "{name}: unfinished weights pass for finished ones");
        let second = experiment.post_train(start.clone(), &two_sittings, None).unwrap();
        assert!(second.finished && second.steps == one.steps / 2, "{name}");
        let none = experiment.post_train(start.clone(), &one_sitting, None).unwrap();
        assert!(none.finished && none.steps == 0, "{name}: a finished training goes on");

        let (file, ema) = exported(&one.ema, folder.path(), "exported.safetensors");
        let (_, raw) = exported(&one.raw, folder.path(), "raw.safetensors");
        for training in [&one_sitting, &two_sittings] {
            let written = |name: &str| std::fs::read(training.join(name)).unwrap();
            assert!(ema == written("ema.safetensors"), "{name}: {} holds another EMA", training.display());
            assert!(raw == written("raw.safetensors"), "{name}: {} holds other weights", training.display());
        }
        assert!(ema != exported(&start, folder.path(), "start.safetensors").1, "{name}: not trained");
        let kept = experiment.trained(&one_sitting).unwrap();
        assert!(ema == exported(&kept, folder.path(), "kept.safetensors").1, "{name}: another EMA was kept");

        let shapes: Vec<_> = tensor_shapes(&file, WeightSource::Auto).unwrap().into_iter().collect();
        assert_eq!(shapes, official(&experiment.config().network), "{name}");
        let (reloaded, _) = from_file(name, file).start().unwrap();
        let samples = |network: &Network| experiment.sample(network).unwrap();
        let (trained, back) = (samples(&one.ema), samples(&reloaded));
        let latents = values(trained.latents.clone());
        assert!(latents.iter().all(|v| v.is_finite()), "{name}");
        assert_eq!(latents, values(back.latents), "{name}: the exported weights sample differently");
        assert_ne!(latents, values(samples(&start).latents), "{name}: post-training changed no sample");
        assert_eq!(trained.pixels.is_some(), name == "rae");
        experiment.write_samples(&one.ema, folder.path()).unwrap();
        let bytes = std::fs::read(folder.path().join("samples.safetensors")).unwrap();
        let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(stored.tensor("latents").unwrap().shape(), trained.latents.dims(), "{name}");
        let picture = image::open(folder.path().join("samples.png")).unwrap().into_rgb8();
        let first = *picture.get_pixel(0, 0);
        assert!(picture.width() >= 64 && picture.pixels().any(|pixel| *pixel != first), "{name}");
    }
}

#[test]
fn two_devices_make_the_steps_of_one() {
    for name in SYSTEMS {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(name);
        config.post_train.steps = config.post_train.steps_per_epoch;
        let run = |devices: usize, accumulation: usize| {
            let mut config = config.clone();
            config.devices = vec![DeviceName::default(); devices];
            config.post_train.accumulation = accumulation;
            let experiment = open(config);
            let (start, _) = experiment.start().unwrap();
            let folder = folder.path().join(format!("{devices}-{accumulation}"));
            let trained = experiment.post_train(start.clone(), &folder, None).unwrap();
            let raw = exported(&trained.raw, &folder, "exported.safetensors").1;
            (floats(&raw), floats(&exported(&start, &folder, "start.safetensors").1))
        };
        let (one, start) = run(1, 1);
        let moved = distance(&one, &start);
        assert!(moved > 0.0, "{name}");
        // One batch over two devices, and in two passes. Adam divides a gradient that is rounding by itself, so a few
        // weights may move either way; as a whole the step is the same.
        for (devices, accumulation) in [(2, 1), (1, 2), (2, 2)] {
            let other = run(devices, accumulation).0;
            let error = distance(&one, &other);
            assert!(error < 0.02 * moved, "{name}, {devices} devices, {accumulation} passes: {error} of {moved}");
        }
    }
}

fn floats(file: &[u8]) -> Vec<f32> {
    let stored = safetensors::SafeTensors::deserialize(file).unwrap();
    let mut names = stored.names();
    names.sort();
    let bytes = names.into_iter().flat_map(|name| stored.tensor(name).unwrap().data().to_vec()).collect::<Vec<_>>();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_file_of_another_system_is_refused_by_its_name() {
    for (name, looks_like) in [("sit", "REPA"), ("repa", "RAE"), ("rae", "SD3.5"), ("sd35", "SiT")] {
        let other = SYSTEMS[(SYSTEMS.iter().position(|s| *s == name).unwrap() + 1) % 4];
        let mut mixed = config(name);
        mixed.start = config(other).start;
        let error = open(mixed).start().map(drop).unwrap_err();
        assert!(matches!(error, Error::Weights(_)) && error.to_string().contains(looks_like), "{name}: {error}");
    }
}

#[test]
fn a_folder_belongs_to_one_configuration() {
    let folder = tempfile::tempdir().unwrap();
    claim_folder(folder.path(), &config("sit")).unwrap();
    claim_folder(folder.path(), &config("sit")).unwrap();
    let mut sampled = config("sit");
    sampled.sample.count += 1;
    claim_folder(folder.path(), &sampled).unwrap();
    let mut larger = config("sit");
    larger.post_train.batch_size *= 2;
    let error = claim_folder(folder.path(), &larger).unwrap_err().to_string();
    assert!(
        error.contains("another configuration") && error.contains("post_train.batch_size: was 8, now 16"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 2, "{error}");
    let error = check_folder(folder.path(), &config("rae")).unwrap_err().to_string();
    for expected in [
        r#"data.folder: was "data/tiny/sit/vae-sd", now "data/tiny/rae/latents""#,
        r#"network.kind: was "sit", now "rae""#,
        r#"start.file: was "data/tiny/sit/ckpt.pt", now "data/tiny/rae/ckpt.pt""#,
        "post_train.strategy.gamma: was 0.8, now 0.4",
    ] {
        assert!(error.contains(expected), "`{expected}` is not in:\n{error}");
    }
    // What was refused has not replaced what was there.
    check_folder(folder.path(), &config("sit")).unwrap();
}

/// A change of a configuration, and what must be said of it.
type Change = (&'static str, fn(&mut ExperimentConfig), &'static str);

#[test]
fn data_and_files_that_do_not_fit_are_found_before_training() {
    let changes: [Change; 11] = [
        ("repa", |c| repa(c).z_dims = vec![13], "data.features[0] = [16, 12]: must be [16, 13]"),
        ("sd35", |c| mmdit(c).context_width = 41, "data.text = context 40 wide: must be 41 wide"),
        ("sd35", |c| mmdit(c).pooled_width = Some(1), "data.text = pooled 24 wide: must be 1 wide"),
        ("sd35", |c| latents(c).shape = [16, 7, 14], "network.patch_size = 2: must divide 7"),
        (
            "sd35",
            |c| latents(c).shape = [16, 14, 14],
            "network.pos_embed_max_size = 6: times patch_size must be at least 14",
        ),
        (
            "sit",
            |c| c.post_train.batch_size = 64,
            "post_train.batch_size = 64: over 2 devices × accumulation must be at most 14",
        ),
        (
            "rae",
            |c| c.sample.weak.as_mut().unwrap().weights.file = "absent.pt".into(),
            "sample.weak.weights.file = \"absent.pt\": is not there; paths start at /",
        ),
        (
            "rae",
            |c| c.sample.decoder.as_mut().unwrap().weights.file = "/absent.pt".into(),
            "sample.decoder.weights.file = \"/absent.pt\": is not there",
        ),
        ("sd35", |c| latents(c).text = Some("absent".into()), "data.text = \"absent\": is not there; paths start at /"),
        ("rae", |c| c.sample.decoder.as_mut().unwrap().network.num_patches = 25, "must be 16, as in the data"),
        ("rae", |c| c.sample.weak.as_mut().unwrap().network = config("sd35").network, "sample.weak.network.kind"),
    ];
    for (name, change, expected) in changes {
        let mut config = config(name);
        change(&mut config);
        let found = Experiment::open(config, &cache()).map(drop).unwrap_err().to_string();
        assert!(found.contains(expected), "{name}: `{expected}` is not in:\n{found}");
    }
}

fn latents(config: &mut ExperimentConfig) -> &mut LatentsConfig {
    match &mut config.data {
        DataConfig::Latents(latents) => latents,
        _ => panic!("no latents"),
    }
}

fn repa(config: &mut ExperimentConfig) -> &mut RepaConfig {
    match &mut config.network {
        NetworkConfig::Repa(repa) => repa,
        _ => panic!("not REPA"),
    }
}

fn mmdit(config: &mut ExperimentConfig) -> &mut MmditConfig {
    match &mut config.network {
        NetworkConfig::Mmdit(mmdit) => mmdit,
        _ => panic!("not an MMDiT"),
    }
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_opened() {
    let changes: [Change; 8] = [
        ("sd35", |c| latents(c).text = None, "data.text"),
        ("sit", |c| latents(c).text = Some("texts".into()), "data.text"),
        ("sit", |c| latents(c).features = vec!["features".into()], "data.features"),
        ("sit", |c| latents(c).shape = [4, 16, 8], "network.input_size"),
        ("rae", |c| c.sample.weak = None, "sample.weak"),
        ("sd35", |c| c.sample.skipped_layers = vec![7], "sample.skipped_layers"),
        ("sit", |c| c.devices.clear(), "devices"),
        ("sit", |c| c.devices = vec![DeviceName::default(); 3], "post_train.batch_size"),
    ];
    for (name, change, expected) in changes {
        let mut config = config(name);
        assert_eq!(config.problems(), [], "{name}");
        change(&mut config);
        let found = config.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(found.contains(expected), "{name}: `{expected}` is not in:\n{found}");
    }
}

/// A tensor of a safetensors file as it is.
#[derive(Clone)]
struct Stored {
    name: String,
    shape: Vec<usize>,
    dtype: safetensors::Dtype,
    bytes: Vec<u8>,
}

fn stored(file: &Path) -> Vec<Stored> {
    let bytes = std::fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| Stored {
        name: name.into(),
        shape: view.shape().to_vec(),
        dtype: view.dtype(),
        bytes: view.data().to_vec(),
    };
    tensors.iter().map(tensor).collect()
}

fn write(tensors: &[Stored], file: &Path) {
    let views = tensors.iter().map(|tensor| {
        let view = safetensors::tensor::TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (tensor.name.as_str(), view.unwrap())
    });
    safetensors::serialize_to_file(views, None, file).unwrap();
}

/// The file of a system's weights, its names changed.
fn renamed(file: &Path, name: impl Fn(&str) -> String) -> Vec<Stored> {
    stored(file).into_iter().map(|tensor| Stored { name: name(&tensor.name), ..tensor }).collect()
}

#[test]
fn a_checkpoint_as_other_programs_write_it_is_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let golden = root().join("tests/golden/sit/model_c.safetensors");
    let load = |file: &Path| from_file("sit", file.to_path_buf()).start().unwrap_or_else(|error| panic!("{error}"));
    let expected = exported(&load(&golden).0, folder.path(), "expected.safetensors").1;
    let compiled = |name: &str| name.replacen("blocks.0.", "blocks.0._orig_mod.", 1);
    let checkpointed =
        |name: &str| format!("module.{}", name.replacen("blocks.0.", "blocks.0._checkpoint_wrapped_module.", 1));
    let lightning = |name: &str| format!("state_dict.model.{name}");
    let names: [&dyn Fn(&str) -> String; 4] = [&compiled, &checkpointed, &lightning, &|name| format!("ema.net.{name}")];
    for (i, name) in names.iter().enumerate() {
        let file = folder.path().join(format!("{i}.sft"));
        write(&renamed(&golden, name), &file);
        let (network, report) = load(&file);
        assert_eq!(report.unwrap().loaded, 22, "{i}");
        assert!(exported(&network, folder.path(), "found.safetensors").1 == expected, "{i}");
    }
}

#[test]
fn shards_are_one_file_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let all = stored(&root().join("tests/golden/sit/model_c.safetensors"));
    let names = ["w-00001-of-00002.safetensors", "w-00002-of-00002.safetensors"];
    let map: serde_json::Map<String, serde_json::Value> =
        all.iter().enumerate().map(|(i, tensor)| (tensor.name.clone(), names[i % 2].into())).collect();
    let index = folder.path().join("w.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({"weight_map": map}).to_string()).unwrap();
    let part = |which: usize| all.iter().skip(which).step_by(2).cloned().collect::<Vec<_>>();
    for (which, name) in names.iter().enumerate() {
        write(&part(which), &folder.path().join(name));
    }
    let experiment = from_file("sit", folder.path().to_path_buf());
    assert_eq!(experiment.start().unwrap().1.unwrap().loaded, 22);
    std::fs::remove_file(folder.path().join(names[1])).unwrap();
    let error = experiment.start().unwrap_err().to_string();
    assert!(error.contains("1 of its 2 shards not there: get `w-00002-of-00002.safetensors` too"), "{error}");
}

#[test]
fn the_shipped_file_of_stable_diffusion_loads_the_single_file_of_stability() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = stored(&root().join("data/tiny/sd35/modelA.safetensors"));
    let (dtype, shape) = (safetensors::Dtype::F16, vec![1]);
    let autoencoder = (0..30).map(|i| format!("first_stage_model.decoder.{i}.w"));
    all.extend(autoencoder.map(|name| Stored { name, shape: shape.clone(), dtype, bytes: vec![0; 2] }));
    let (name, dtype) = ("text_encoders.t5xxl.w".to_string(), safetensors::Dtype::F8_E4M3);
    all.push(Stored { name, shape: vec![4, 4], dtype, bytes: vec![0; 16] });
    let file = folder.path().join("sd3.5_medium_incl_clips_t5xxlfp8scaled.safetensors");
    write(&all, &file);
    let (_, report) = from_file("sd35", file).start().unwrap();
    let report = report.unwrap();
    assert_eq!(report.parts, [("first_stage_model", 30), ("text_encoders", 1)].into());
    assert_eq!((report.loaded, report.unused.len()), (65, 0));
}

#[test]
fn weights_that_are_not_finite_stop_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = stored(&root().join("tests/golden/sit/model_c.safetensors"));
    let bad = all.iter_mut().find(|tensor| tensor.name == "blocks.0.mlp.fc1.weight").unwrap();
    bad.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = folder.path().join("nan.safetensors");
    write(&all, &file);
    let error = from_file("sit", file).start().unwrap_err().to_string();
    assert!(error.contains("`blocks.0.mlp.fc1.weight` has NaN or infinity in 1 of 2304 numbers"), "{error}");
}
