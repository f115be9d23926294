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

/// The tests run in the folder of the crate, where the names of files in the configurations begin.
fn open(config: ExperimentConfig) -> Experiment {
    Experiment::open(config, Path::new("unused")).unwrap_or_else(|error| panic!("{error}"))
}

/// The same experiment with the weights of another file.
fn from_file(system: &str, file: PathBuf) -> Experiment {
    let options = WeightsConfig {
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
        let one = experiment.post_train(&start, &one_sitting, None).unwrap();
        assert!(one.finished && one.steps == experiment.config().post_train.steps, "{name}");
        let first = experiment.post_train(&start, &two_sittings, Some(2)).unwrap();
        assert!(!first.finished && first.steps == one.steps / 2, "{name}");
        assert!(experiment.trained(&two_sittings).is_err(), "{name}: unfinished weights pass for finished ones");
        let second = experiment.post_train(&start, &two_sittings, None).unwrap();
        assert!(second.finished && second.steps == one.steps / 2, "{name}");
        let none = experiment.post_train(&start, &one_sitting, None).unwrap();
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
            let trained = experiment.post_train(&start, &folder, None).unwrap();
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
    let mut longer = config("sit");
    longer.post_train.steps *= 2;
    let error = claim_folder(folder.path(), &longer).unwrap_err().to_string();
    assert!(error.contains("another configuration") && error.contains("post_train.steps: was 40, now 80"), "{error}");
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
        let found = Experiment::open(config, Path::new("unused")).map(drop).unwrap_err().to_string();
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
