use super::*;
use crate::Error;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device};
use safetensors::tensor::TensorView;
use std::path::Path;

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::default())
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
fn the_autoencoder_in_the_file_must_be_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let (w, b) = ("model.diffusion_model.weight", "model.diffusion_model.bias");
    write(&file, &[(w, &[2, 3]), (b, &[2]), ("first_stage_model.a", &[1]), ("first_stage_model.b", &[1])]);
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("2 problems:\n  `first_stage_model.a` is in the file, not in the model"), "{message}");
    let options = ImportOptions { allow_unused: vec!["first_stage_model".into()], ..Default::default() };
    assert_eq!(load(&file, &options).unwrap().unused.len(), 2);
    let options = ImportOptions {
        allow_unused: vec!["first_stage".into()],
        allow_missing: vec!["wieght".into()],
        ..Default::default()
    };
    let message = load(&file, &options).unwrap_err().to_string();
    assert!(message.contains("allow_unused: `first_stage` is no tensor in the file"), "{message}");
    assert!(message.contains("allow_missing: `wieght` is no parameter of the model"), "{message}");
}

#[test]
fn a_wrong_system_is_named_and_long_lists_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let names: Vec<String> = (0..300).map(|i| format!("joint_blocks.{i}.x")).collect();
    write(&file, &names.iter().map(|name| (name.as_str(), &[1usize][..])).collect::<Vec<_>>());
    let message = load(&file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("looks like a checkpoint of SD3.5, which the model is not; 302 problems"), "{message}");
    assert!(message.ends_with("and 282 more") && message.lines().count() == 22, "{message}");
}
