//! Every tiny system from the official file to the exported one, in two sittings and in one.
use burn::module::Module;
use burn::tensor::Tensor;
use burn_mixflow::Error;
use burn_mixflow::experiment::System;
use burn_mixflow::experiment::config::SystemConfig;
use burn_mixflow::models::weights::{WeightSource, tensor_shapes};
use burn_mixflow::models::{MmditConfig, Network, NetworkConfig, RepaConfig};
use burn_mixflow::post_train::DeviceName;
use std::path::{Path, PathBuf};

const SYSTEMS: [&str; 4] = ["sit", "repa", "rae", "sd35"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config(system: &str) -> SystemConfig {
    let file = root().join("configs").join(system).join("tiny.json");
    SystemConfig::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The tests run in the folder of the crate, where the names of files in the configurations begin.
fn open(config: SystemConfig) -> System {
    System::open(config).unwrap_or_else(|error| panic!("{error}"))
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
        let system = open(config(name));
        let (network, report) = system.load().unwrap();
        assert_eq!((report.missing.len(), report.unused.len()), (0, 0), "{name}: {report}");
        assert!(report.loaded >= network.clone().valid().num_params().min(20), "{name}: {report}");

        let one = system.post_train(network.clone(), &folder.path().join("one"), None).unwrap();
        assert!(one.finished && one.steps == system.config().post_train.steps, "{name}");
        let halves = folder.path().join("two");
        let first = system.post_train(network.clone(), &halves, Some(2)).unwrap();
        assert!(!first.finished && first.steps == one.steps / 2, "{name}");
        let second = system.post_train(network.clone(), &halves, None).unwrap();
        assert!(second.finished && second.steps == one.steps / 2, "{name}");

        let (file, ema) = exported(&one.ema, folder.path(), "ema.safetensors");
        assert_eq!(
            ema,
            exported(&second.ema, folder.path(), "ema-2.safetensors").1,
            "{name}: resuming changed the EMA"
        );
        let raw = exported(&one.raw, folder.path(), "raw.safetensors").1;
        assert_eq!(
            raw,
            exported(&second.raw, folder.path(), "raw-2.safetensors").1,
            "{name}: resuming changed weights"
        );
        assert_ne!(
            ema,
            exported(&network.clone().valid(), folder.path(), "start.safetensors").1,
            "{name}: not trained"
        );

        let shapes: Vec<_> = tensor_shapes(&file, WeightSource::Auto).unwrap().into_iter().collect();
        assert_eq!(shapes, official(&system.config().network), "{name}");
        let mut again = config(name);
        again.weights.file = file;
        let (reloaded, _) = open(again).load().unwrap();
        let samples = |network: &Network| system.sample(network, &mut |_| {}).unwrap();
        let (trained, back) = (samples(&one.ema), samples(&reloaded.valid()));
        let latents = values(trained.latents.clone());
        assert!(latents.iter().all(|v| v.is_finite()), "{name}");
        assert_eq!(latents, values(back.latents), "{name}: the exported weights sample differently");
        assert_ne!(latents, values(samples(&network.valid()).latents), "{name}: post-training changed no sample");
        assert_eq!(trained.pixels.is_some(), name == "rae");
        trained.save(&folder.path().join("samples.safetensors")).unwrap();
        let picture = trained.picture().unwrap();
        assert!(picture.width >= 64 && picture.rgb.iter().any(|v| *v != picture.rgb[0]), "{name}");
    }
}

#[test]
fn two_devices_make_the_steps_of_one() {
    for name in SYSTEMS {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(name);
        config.post_train.accumulation = 1;
        config.post_train.steps = config.post_train.steps_per_epoch;
        let run = |devices: usize, accumulation: usize| {
            let mut config = config.clone();
            config.devices = vec![DeviceName::default(); devices];
            config.post_train.accumulation = accumulation;
            let system = open(config);
            let (network, _) = system.load().unwrap();
            let folder = folder.path().join(format!("{devices}-{accumulation}"));
            let trained = system.post_train(network.clone(), &folder, None).unwrap();
            let file = folder.join("raw.safetensors");
            trained.raw.export(&file).unwrap();
            let start = exported(&network.valid(), &folder, "start.safetensors").1;
            (floats(&std::fs::read(file).unwrap()), floats(&start))
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
        let mut config = config(name);
        config.weights = self::config(other).weights;
        let error = open(config).load().map(drop).unwrap_err();
        assert!(matches!(error, Error::Weights(_)) && error.to_string().contains(looks_like), "{name}: {error}");
    }
}

#[test]
fn a_folder_belongs_to_one_configuration() {
    let folder = tempfile::tempdir().unwrap();
    open(config("sit")).claim(folder.path()).unwrap();
    open(config("sit")).claim(folder.path()).unwrap();
    let mut sampled = config("sit");
    sampled.sample.count += 1;
    open(sampled).claim(folder.path()).unwrap();
    let mut longer = config("sit");
    longer.post_train.steps *= 2;
    let error = open(longer).claim(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another configuration: `post_train` differs"), "{error}");
    let error = open(config("rae")).claim(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`data`, `network`, `post_train`, `weights` differs"), "{error}");
}

#[test]
fn data_and_files_that_do_not_fit_are_found_before_training() {
    let refused = |name: &str, change: fn(&mut SystemConfig)| {
        let mut config = config(name);
        change(&mut config);
        System::open(config).map(drop).unwrap_err().to_string()
    };
    for (name, change, expected) in [
        (
            "repa",
            (|c| repa(c).z_dims = vec![13]) as fn(&mut SystemConfig),
            "data.features[0] = [16, 12]: must be [16, 13]",
        ),
        ("sd35", |c| mmdit(c).context_width = 41, "data.text = context 40 wide: must be 41 wide"),
        ("sd35", |c| mmdit(c).pooled_width = Some(1), "data.text = pooled 24 wide: must be 1 wide"),
        ("sd35", |c| c.data.shape = [16, 7, 14], "network.patch_size = 2: must divide 7"),
        (
            "sd35",
            |c| c.data.shape = [16, 14, 14],
            "network.pos_embed_max_size = 6: times patch_size must be at least 14",
        ),
        ("sit", |c| c.post_train.batch_size = 64, "post_train.batch_size = 64: over accumulation must be at most 14"),
        ("rae", |c| c.sample.weak.as_mut().unwrap().weights.file = "absent.pt".into(), "absent.pt"),
        ("rae", |c| c.sample.decoder.as_mut().unwrap().weights.file = "absent.pt".into(), "absent.pt"),
        ("rae", |c| c.sample.decoder.as_mut().unwrap().network.num_patches = 25, "must be 16, as in the data"),
        ("rae", |c| c.sample.weak.as_mut().unwrap().network = config("sd35").network, "sample.weak.network.kind"),
    ] {
        let found = refused(name, change);
        assert!(found.contains(expected), "{name}: `{expected}` is not in:\n{found}");
    }
}

fn repa(config: &mut SystemConfig) -> &mut RepaConfig {
    match &mut config.network {
        NetworkConfig::Repa(repa) => repa,
        _ => panic!("not REPA"),
    }
}

fn mmdit(config: &mut SystemConfig) -> &mut MmditConfig {
    match &mut config.network {
        NetworkConfig::Mmdit(mmdit) => mmdit,
        _ => panic!("not an MMDiT"),
    }
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_opened() {
    let problems = |name: &str, change: fn(&mut SystemConfig)| {
        let mut config = config(name);
        change(&mut config);
        config.problems().iter().map(|p| p.to_string()).collect::<Vec<_>>().join("\n")
    };
    for (name, change, expected) in [
        ("sd35", (|c| c.data.text = None) as fn(&mut SystemConfig), "data.text"),
        ("sit", |c| c.data.text = Some("texts".into()), "data.text"),
        ("sit", |c| c.data.features = vec!["features".into()], "data.features"),
        ("sit", |c| c.data.shape = [4, 16, 8], "network.input_size"),
        ("rae", |c| c.sample.weak = None, "sample.weak"),
        ("sd35", |c| c.sample.skipped_layers = vec![7], "sample.skipped_layers"),
        ("sit", |c| c.devices.clear(), "devices"),
        ("sit", |c| c.devices = vec![DeviceName::default(); 3], "post_train.batch_size"),
    ] {
        let found = problems(name, change);
        assert!(found.contains(expected), "{name}: `{expected}` is not in:\n{found}");
    }
}
