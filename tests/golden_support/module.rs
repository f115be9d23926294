use crate::Arrays;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_mixflow::models::weights::{ImportOptions, KeyMap, export_safetensors, import};
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;

/// The parameters of a module as an exported file holds them.
pub fn exported<M: Module>(module: &M, names: KeyMap<'_>) -> Arrays {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("weights.safetensors");
    export_safetensors(module, &file, names).unwrap_or_else(|e| panic!("{e}"));
    Arrays::read(&file)
}

/// A copy of `fresh` with the weights of a golden file, all of them.
pub fn init_and_import<M: Module>(fresh: &M, file: &str, options: &ImportOptions, names: KeyMap<'_>) -> M {
    let (module, report) = import(fresh, &crate::path(file), options, names).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.missing.is_empty() && report.unused.is_empty() && report.loaded > 0, "{report:?}");
    module
}

/// A copy of `module` with numbers added to some entries, given by name and position in official layout.
pub fn shifted<M: Module>(module: &M, by: &BTreeMap<String, Vec<(usize, f64)>>, names: KeyMap<'_>) -> M {
    let mut arrays = exported(module, names).0;
    for (name, entries) in by {
        let values = &mut arrays.get_mut(name).expect("the same names").values;
        entries.iter().for_each(|(i, shift)| values[*i] += shift);
    }
    let bytes = |a: &crate::Array| a.values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect::<Vec<_>>();
    let parts: Vec<_> = arrays.iter().map(|(name, a)| (name, a.shape.clone(), bytes(a))).collect();
    let views = parts.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).expect("as many bytes"))
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shifted.safetensors");
    safetensors::serialize_to_file(views, None, &file).expect("a file");
    import(module, &file, &ImportOptions::default(), names).unwrap_or_else(|e| panic!("{e}")).0
}

/// The same module holding gradients in place of weights, as an exported file; zero where there is none.
pub fn gradients<M: Module>(module: &M, grads: &GradientsParams, names: KeyMap<'_>) -> Arrays {
    struct Replace<'a>(&'a GradientsParams);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, value, mapper) = param.consume();
            let data = match self.0.get::<D>(id) {
                Some(gradient) => gradient.into_data(),
                None => value.zeros_like().into_data(),
            };
            Param::from_mapped_value(id, Tensor::from_data(data, &crate::device::device()), mapper)
        }
    }
    exported(&module.clone().map(&mut Replace(grads)), names)
}
