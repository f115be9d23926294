use super::*;
use crate::Error;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device};
use safetensors::tensor::TensorView;
use std::path::Path;

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

#[test]
fn square_weights_survive_the_round_trip_and_are_stored_transposed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let original = linear(3, 3);
    export_safetensors(&original, &file, KeyMap::default()).unwrap();
    let (loaded, report) = import(&linear(3, 3), &file, &ImportOptions::default(), KeyMap::default()).unwrap();
    assert_eq!(loaded.weight.val().into_data(), original.weight.val().into_data());
    assert_eq!(report.loaded, 2);
    let bytes = std::fs::read(&file).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let transposed = original.weight.val().transpose().into_data();
    assert_eq!(stored.tensor("weight").unwrap().data(), transposed.as_bytes());
}

#[test]
fn everything_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    export_safetensors(&linear(3, 2), &file, KeyMap::default()).unwrap();
    let try_import = |module: &Linear, names: KeyMap<'_>, options: &ImportOptions| {
        import(module, &file, options, names).map(|(_, report)| report)
    };
    let none = ImportOptions::default();
    let message = try_import(&linear(4, 2), KeyMap::default(), &none).unwrap_err().to_string();
    assert!(message.contains("`weight` has shape [2, 3] in the file, [2, 4] in the model"), "{message}");

    let renamed = KeyMap(&[("bias", "offset")]);
    let message = try_import(&linear(3, 2), renamed, &none).unwrap_err().to_string();
    assert!(message.contains("`offset` is missing") && message.contains("`bias` is in the file"), "{message}");
    let mut options = ImportOptions { allow_missing: vec!["offset".into()], ..Default::default() };
    assert!(try_import(&linear(3, 2), renamed, &options).is_err());
    options.allow_unused = vec!["bias".into()];
    let report = try_import(&linear(3, 2), renamed, &options).unwrap();
    assert_eq!((report.loaded, report.missing.len(), report.unused.len()), (1, 1, 1));

    let ema = ImportOptions { source: WeightSource::Ema, ..Default::default() };
    assert!(matches!(try_import(&linear(3, 2), KeyMap::default(), &ema), Err(Error::Weights(_))));
}

#[test]
fn the_type_of_numbers_is_the_modules() {
    struct Half;
    impl burn::module::ModuleMapper for Half {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<burn::tensor::Tensor<D>>,
        ) -> burn::module::Param<burn::tensor::Tensor<D>> {
            param.map(|tensor| tensor.cast(DType::BF16))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    export_safetensors(&linear(3, 3), &file, KeyMap::default()).unwrap();
    let half = linear(3, 3).map(&mut Half);
    let (loaded, _) = import(&half, &file, &ImportOptions::default(), KeyMap::default()).unwrap();
    assert_eq!(loaded.weight.val().dtype(), DType::BF16);
    export_safetensors(&loaded, &file, KeyMap::default()).unwrap();
    let (again, _) = import(&linear(3, 3), &file, &ImportOptions::default(), KeyMap::default()).unwrap();
    assert_eq!(again.weight.val().dtype(), DType::F32);
    assert_eq!(again.weight.val().into_data(), loaded.weight.val().into_data().convert_dtype(DType::F32));
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("w.safetensors");
    export_safetensors(&linear(3, 2), &whole, KeyMap::default()).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    for name in ["cut.safetensors", "cut.pt"] {
        for length in [0, 4, 40, bytes.len() - 1] {
            let file = folder.path().join(name);
            std::fs::write(&file, &bytes[..length]).unwrap();
            let result = import(&linear(3, 2), &file, &ImportOptions::default(), KeyMap::default());
            assert!(result.is_err(), "{name} with {length} bytes");
        }
    }
    let absent = folder.path().join("absent.pt");
    let result = import(&linear(3, 2), &absent, &ImportOptions::default(), KeyMap::default());
    assert!(matches!(result, Err(Error::Io { .. })));
}

/// Writes scalars-in-a-row of the given names and lengths.
fn write(file: &Path, tensors: &[(&str, &[usize])]) {
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, s)| vec![0; 4 * s.iter().product::<usize>()]).collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (*name, TensorView::new(safetensors::Dtype::F32, shape.to_vec(), data).unwrap()));
    safetensors::serialize_to_file(views, None, file).unwrap();
}

fn load(file: &Path, options: &ImportOptions) -> Result<ImportReport, Error> {
    import(&linear(3, 2), file, options, KeyMap::default()).map(|(_, report)| report)
}

#[test]
fn prefixes_and_dictionaries_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let none = ImportOptions::default();
    for (names, prefix, source) in [
        (["module.weight", "module.bias"], "module.", WeightSource::Raw),
        (["_orig_mod.module.weight", "_orig_mod.module.bias"], "_orig_mod.module.", WeightSource::Raw),
        (["model.diffusion_model.weight", "model.diffusion_model.bias"], "model.diffusion_model.", WeightSource::Raw),
        (["model.weight", "model.bias"], "", WeightSource::Raw),
        (["state_dict.weight", "state_dict.bias"], "", WeightSource::Raw),
        (["ema.module.weight", "ema.module.bias"], "module.", WeightSource::Ema),
    ] {
        write(&file, &[(names[0], &[2, 3]), (names[1], &[2])]);
        let report = load(&file, &none).unwrap();
        assert_eq!((report.loaded, report.prefix.as_str(), report.source), (2, prefix, source));
        let shapes = tensor_shapes(&file, WeightSource::Auto).unwrap();
        assert_eq!(shapes.into_iter().collect::<Vec<_>>(), [("bias".into(), vec![2]), ("weight".into(), vec![2, 3])]);
    }
    write(&file, &[("weight", &[2, 3]), ("bias", &[2]), ("model.diffusion_model.bias", &[2])]);
    let message = load(&file, &none).unwrap_err().to_string();
    assert!(message.contains("`bias` is there with and without the prefix"), "{message}");
}

#[test]
fn a_model_of_that_name_is_no_dictionary() {
    #[derive(Module, Debug)]
    struct Outer {
        model: Linear,
        module: Linear,
    }
    let outer = || Outer { model: linear(3, 2), module: linear(2, 1) };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    export_safetensors(&outer(), &file, KeyMap::default()).unwrap();
    let (_, report) = import(&outer(), &file, &ImportOptions::default(), KeyMap::default()).unwrap();
    assert_eq!((report.loaded, report.prefix.as_str()), (4, ""));
}

#[test]
fn known_parts_are_left_alone_and_others_must_be_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let (w, b) = ("model.diffusion_model.weight", "model.diffusion_model.bias");
    let known: Vec<String> = (0..30).map(|i| format!("first_stage_model.decoder.{i}.w")).collect();
    let mut all: Vec<(&str, &[usize])> = vec![(w, &[2, 3]), (b, &[2]), ("text_encoders.clip_l.w", &[1])];
    all.extend(known.iter().map(|name| (name.as_str(), &[1usize][..])));
    write(&file, &all);
    let report = load(&file, &ImportOptions::default()).unwrap();
    assert_eq!(report.loaded, 2);
    assert_eq!(report.parts, [("first_stage_model", 30), ("text_encoders", 1)].into());
    assert!(report.to_string().lines().count() == 1, "{report}");
    let options = ImportOptions { allow_unused: vec!["text_encoders".into()], ..Default::default() };
    assert_eq!(load(&file, &options).unwrap().unused, ["text_encoders.clip_l.w"]);

    write(&file, &[(w, &[2, 3]), (b, &[2]), ("other_stage.a", &[1]), ("other_stage.b", &[1])]);
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("2 problems:\n  `other_stage.a` is in the file, not in the model"), "{message}");
    let options = ImportOptions { allow_unused: vec!["other_stage".into()], ..Default::default() };
    assert_eq!(load(&file, &options).unwrap().unused.len(), 2);
    let options = ImportOptions {
        allow_unused: vec!["first_stage".into()],
        allow_missing: vec!["wieght".into()],
        replace: vec!["head".into()],
        ..Default::default()
    };
    let message = load(&file, &options).unwrap_err().to_string();
    assert!(message.contains("allow_unused: `first_stage` is no tensor in the file"), "{message}");
    let asks = "allow_missing: `wieght` is no parameter of the model; did you mean `weight`?";
    assert!(message.contains(asks), "{message}");
    assert!(message.contains("replace: `head` is no parameter of the model"), "{message}");
}

#[test]
fn a_wrong_system_is_named_and_long_lists_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let names: Vec<String> = (0..300).map(|i| format!("joint_blocks.{i}.x")).collect();
    write(&file, &names.iter().map(|name| (name.as_str(), &[1usize][..])).collect::<Vec<_>>());
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("looks like a checkpoint of SD3.5, which the model is not; 302 problems"), "{message}");
    assert!(message.contains("\n  `joint_blocks.0-299.x` (300 tensors) is in the file, not in the model"), "{message}");
    assert!(message.lines().count() == 5, "{message}");
    let names: Vec<String> = (0..300).map(|i| format!("x{i}.y")).collect();
    write(&file, &names.iter().map(|name| (name.as_str(), &[1usize][..])).collect::<Vec<_>>());
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("302 problems") && message.contains("\n  and 282 more\n"), "{message}");
}

#[test]
fn what_stands_around_names_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let none = ImportOptions::default();
    for (before, extra, under, prefix, inner, source) in [
        // Lightning, and a prefix that nobody else has.
        ("state_dict.model.", "", "state_dict.model", "", "", WeightSource::Raw),
        ("state_dict.generator.net.", "", "state_dict", "generator.net.", "", WeightSource::Raw),
        ("net.", "", "", "net.", "", WeightSource::Raw),
        // PyTorch's AveragedModel.
        ("module.", "n_averaged", "", "module.", "", WeightSource::Ema),
        ("ema.module.", "ema.n_averaged", "ema", "module.", "", WeightSource::Ema),
        // torch.compile and checkpointing within the model.
        ("model.a._orig_mod.", "", "model", "a.", "_orig_mod", WeightSource::Raw),
        ("a._checkpoint_wrapped_module.", "", "", "a.", "_checkpoint_wrapped_module", WeightSource::Raw),
        ("ema_state_dict.", "optimizer.0", "ema_state_dict", "", "", WeightSource::Ema),
        ("ema.ema_model.", "ema.step", "ema.ema_model", "", "", WeightSource::Ema),
        ("net_ema.", "", "", "net_ema.", "", WeightSource::Ema),
    ] {
        let (weight, bias) = (format!("{before}weight"), format!("{before}bias"));
        let mut all: Vec<(&str, &[usize])> = vec![(&weight, &[2, 3]), (&bias, &[2])];
        if !extra.is_empty() {
            all.push((extra, &[1]));
        }
        write(&file, &all);
        let report = load(&file, &none).unwrap_or_else(|error| panic!("{before}: {error}"));
        let cut: Vec<&str> = [inner].into_iter().filter(|inner| !inner.is_empty()).collect();
        assert_eq!((report.loaded, report.source), (2, source), "{before}: {report}");
        assert_eq!((report.under.as_str(), report.prefix.as_str(), report.inner), (under, prefix, cut), "{before}");
    }
}

#[test]
fn of_several_sets_one_is_taken_only_by_a_rule_or_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let sets = |file: &Path, sets: &[&str]| {
        let names: Vec<[String; 2]> =
            sets.iter().map(|set| ["weight", "bias"].map(|name| format!("{set}.{name}"))).collect();
        let all: Vec<(&str, &[usize])> = names
            .iter()
            .flat_map(|[weight, bias]| [(weight.as_str(), &[2usize, 3][..]), (bias.as_str(), &[2][..])])
            .collect();
        write(file, &all);
    };
    let with =
        |source, prefix: Option<&str>| ImportOptions { source, prefix: prefix.map(String::from), ..Default::default() };
    let (auto, raw) = (WeightSource::Auto, WeightSource::Raw);

    sets(&file, &["state_dict.net", "state_dict.net_ema"]);
    let report = load(&file, &with(auto, None)).unwrap();
    assert_eq!((report.prefix.as_str(), report.source), ("net_ema.", WeightSource::Ema));
    assert_eq!((report.under.as_str(), report.beside), ("state_dict", vec!["net".to_string()]));
    let report = load(&file, &with(raw, None)).unwrap();
    assert_eq!((report.prefix.as_str(), report.source), ("net.", raw));

    sets(&file, &["student", "teacher"]);
    let message = load(&file, &with(auto, None)).unwrap_err().to_string();
    assert!(
        message.contains("under `student`, `teacher`: say which, for example \"prefix\": \"student\""),
        "{message}"
    );
    let report = load(&file, &with(auto, Some("teacher"))).unwrap();
    assert_eq!((report.under.as_str(), report.beside, report.loaded), ("teacher", vec!["student".to_string()], 2));
    let message = load(&file, &with(auto, Some("pupil"))).unwrap_err().to_string();
    assert!(
        message.contains("no name in it begins with `pupil.`") && message.contains("2 under `student`"),
        "{message}"
    );

    sets(&file, &["ema", "ema_model", "model"]);
    let message = load(&file, &with(auto, None)).unwrap_err().to_string();
    assert!(message.contains("under `ema`, `ema_model`: say which"), "{message}");
    assert_eq!(load(&file, &with(auto, Some("ema_model."))).unwrap().source, WeightSource::Ema);
    assert_eq!(load(&file, &with(raw, None)).unwrap().under, "model");

    // Names of an average that nobody has agreed on.
    for (raw_key, average) in [
        ("model", "EMA"),
        ("model", "ema_weights"),
        ("state_dict", "net_ema"),
        ("model", "ema_0.9999"),
        ("model_state_dict", "swa"),
    ] {
        sets(&file, &[raw_key, average]);
        let report = load(&file, &with(auto, None)).unwrap_or_else(|error| panic!("{average}: {error}"));
        assert_eq!((report.under.as_str(), report.source), (average, WeightSource::Ema));
        assert_eq!(load(&file, &with(raw, None)).unwrap().under, raw_key, "{average}");
    }
    sets(&file, &["model", "net_ema", "swa"]);
    let message = load(&file, &with(auto, None)).unwrap_err().to_string();
    assert!(message.contains("under `net_ema`, `swa`: say which"), "{message}");
    // Who asks for the raw weights is not given an average.
    sets(&file, &["ema"]);
    let message = load(&file, &with(raw, None)).unwrap_err().to_string();
    assert!(message.contains("it has only averaged weights"), "{message}");

    // Something else of that name.
    write(&file, &[("ema.decay", &[1]), ("model.weight", &[2, 3]), ("model.bias", &[2])]);
    let report = load(&file, &with(auto, None)).unwrap();
    assert_eq!((report.under.as_str(), report.source), ("model", raw));
}

#[test]
fn shapes_may_differ_only_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    write(&file, &[("weight", &[2, 5]), ("bias", &[2])]);
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("`weight` has shape [2, 5] in the file, [2, 3] in the model"), "{message}");
    assert!(
        message.contains("\nto keep fresh values there, write beside \"file\": \"replace\": [\"weight\"]"),
        "{message}"
    );
    let weight = || vec!["weight".to_string()];
    let replace = ImportOptions { replace: weight(), ..Default::default() };
    let both = ImportOptions { allow_missing: weight(), allow_unused: weight(), ..Default::default() };
    for options in [replace, both] {
        let fresh = linear(3, 2);
        let (loaded, report) = import(&fresh, &file, &options, KeyMap::default()).unwrap();
        assert_eq!((report.loaded, report.replaced), (1, weight()));
        assert_eq!(loaded.weight.val().into_data(), fresh.weight.val().into_data());
        assert_eq!(loaded.bias.unwrap().val().into_data().as_slice::<f32>().unwrap(), [0.0; 2]);
    }
    // What both lists allow is loaded where it fits.
    write(&file, &[("weight", &[2, 3]), ("bias", &[2])]);
    let both = ImportOptions { allow_missing: weight(), allow_unused: weight(), ..Default::default() };
    assert_eq!(load(&file, &both).unwrap().loaded, 2);
    let replace = ImportOptions { replace: weight(), ..Default::default() };
    assert_eq!(load(&file, &replace).unwrap().loaded, 1);
}

#[test]
fn numbers_that_are_not_finite_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    for (bad, dtype) in [(f32::NAN, DType::F32), (f32::INFINITY, DType::F32), (f32::NEG_INFINITY, DType::BF16)] {
        let data = |values: &[f32], dtype: DType| {
            burn::tensor::TensorData::new(values.to_vec(), [values.len()]).convert_dtype(dtype).as_bytes().to_vec()
        };
        let kind = if dtype == DType::F32 { safetensors::Dtype::F32 } else { safetensors::Dtype::BF16 };
        let (weight, bias) = (data(&[0.0, bad, 1.0, bad, 2.0, 3.0], dtype), data(&[0.0, 1.0], dtype));
        let views = [
            ("weight", TensorView::new(kind, vec![2, 3], &weight).unwrap()),
            ("bias", TensorView::new(kind, vec![2], &bias).unwrap()),
        ];
        safetensors::serialize_to_file(views, None, &file).unwrap();
        let error = load(&file, &ImportOptions::default()).unwrap_err();
        let says = "`weight` has NaN or infinity in 2 of 6 numbers";
        assert!(matches!(&error, Error::Format { message, .. } if message.contains(says)), "{error}");
    }
}

#[test]
fn types_matter_only_where_they_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let write = |weight: safetensors::Dtype| {
        let (numbers, bytes) = ([0u8; 24], vec![0u8; 6 * weight.bitsize() / 8]);
        let views = [
            ("model.weight", TensorView::new(weight, vec![2, 3], &bytes).unwrap()),
            ("model.bias", TensorView::new(safetensors::Dtype::F32, vec![2], &numbers[..8]).unwrap()),
            ("opt.0", TensorView::new(safetensors::Dtype::F8_E4M3, vec![8], &numbers[..8]).unwrap()),
            ("opt.step", TensorView::new(safetensors::Dtype::I64, vec![1], &numbers[..8]).unwrap()),
        ];
        safetensors::serialize_to_file(views, None, &file).unwrap();
    };
    write(safetensors::Dtype::F16);
    assert_eq!(load(&file, &ImportOptions::default()).unwrap().loaded, 2);
    for (dtype, says) in [
        (
            safetensors::Dtype::F8_E4M3,
            "`weight` is F8_E4M3 in the file, which is not read: take the file whose numbers are f32",
        ),
        (safetensors::Dtype::I8, "`weight` is I8 in the file, F32 in the model: take the file whose numbers are f32"),
    ] {
        write(dtype);
        let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn other_layouts_are_said_and_the_file_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    for (name, says) in [
        ("transformer_blocks.0.attn.to_q.w", "it is in the layout of diffusers, which is not read: take the official"),
        ("base.blocks.0.attn.lora_A.w", "it is a LoRA"),
        ("double_blocks.0.img_attn.qkv.w", "Flux"),
        ("model.diffusion_model.input_blocks.0.0.w", "a U-Net"),
    ] {
        write(&file, &[(name, &[4, 4])]);
        let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
        assert!(message.contains(says) && message.contains(&format!("the first are `{name}`")), "{message}");
    }
    write(&file, &[("a.x.wght", &[2, 3]), ("a.x.offset", &[2]), ("a.y", &[1])]);
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(
        message.contains("the file holds 3 tensors, all names begin with `a.`; the first are `a.x.offset`"),
        "{message}"
    );
    write(&file, &[("wieght", &[2, 3]), ("bias", &[2])]);
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("did you mean `wieght` of the file by `weight`?"), "{message}");
    assert!(message.contains("the file holds 2 tensors: 1 under `bias`, 1 under `wieght`"), "{message}");
    write(&file, &[]);
    assert!(load(&file, &ImportOptions::default()).unwrap_err().to_string().contains("the file holds no tensor"));
}
