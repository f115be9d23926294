use super::{config, manifest, network, output, rae, values};
use crate::{Arrays, close, path};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_mixflow::models::layers::WeightInit;
use burn_mixflow::models::rae::{Rae, RaeConfig, Rope};
use burn_mixflow::models::weights::{ImportOptions, WeightSource, import};

#[test]
fn the_network() {
    for device in [crate::device::device(), crate::device::device().autodiff()] {
        let golden = Arrays::golden("rae/forward.safetensors");
        let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
        let (rae, labels) = (rae(&device), golden.labels("y", &device));
        golden.check("out", output(&rae, x.clone(), t.clone(), &labels));
        golden.check("out", rae.forward(x.clone(), t.clone(), labels.clone()));
        let condition = rae.encode(x.clone(), t, labels);
        golden.check("mid.s_projector", condition.clone());
        golden.check("out", rae.decode(x, condition));
    }
}

#[test]
fn output_with_half_precision_weights_is_near() {
    if !crate::device::computes_in(DType::BF16, "half precision") {
        return;
    }
    struct Half;
    impl ModuleMapper for Half {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(DType::BF16))
        }
    }
    let device = crate::device::device();
    let golden = Arrays::golden("rae/forward.safetensors");
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    let out = output(&rae(&device).map(&mut Half), x, t, &golden.labels("y", &device));
    assert_eq!(out.dtype(), DType::F32);
    close("out", &values(out), &golden.get("out").values, 0.05);
}

#[test]
fn rotary_positions() {
    let device = crate::device::device();
    let golden = Arrays::golden("rae/forward.safetensors");
    let x = golden.tensor::<4>("rope_in", &device);
    let [_, _, tokens, head] = x.dims();
    golden.check("rope_out", Rope::new(head, tokens.isqrt(), &WeightInit::new(0, &device)).rotate(x));
}

/// 1 where the time is in the guided interval, ends included, else 0.
fn guided(times: &[f64], [low, high]: [f64; 2], device: &Device) -> Tensor<4> {
    let inside = |t: &f64| f32::from((low..=high).contains(t));
    let marks: Vec<f32> = times.iter().map(inside).collect();
    Tensor::<1>::from_floats(marks.as_slice(), device).reshape([times.len(), 1, 1, 1])
}

/// The interval of the recorded calls, in f32 as the times are.
fn interval(name: &str) -> [f64; 2] {
    if name.ends_with("_iv") { [f64::from(0.2f32), f64::from(0.4f32)] } else { [0.0, 1.0] }
}

#[test]
fn classifier_free_guidance_on_all_channels() {
    let device = crate::device::device();
    let (golden, rae) = (Arrays::golden("rae/forward.safetensors"), rae(&device));
    for name in ["cfg", "cfg_iv"] {
        let times = format!("{name}.t");
        let x = golden.tensor::<4>("x", &device);
        let half = x.dims()[0] / 2;
        let x = x.narrow(0, 0, half);
        let both = Tensor::cat(vec![x.clone(), x], 0);
        let out = output(&rae, both, golden.tensor(&times, &device), &golden.labels("cfg.y", &device));
        let (with, without) = (out.clone().narrow(0, 0, half), out.narrow(0, half, half));
        let difference: Tensor<4> = without.clone() + (with.clone() - without) * 1.5 - with.clone();
        let out = with + difference * guided(&golden.get(&times).values[..half], interval(name), &device);
        golden.check(&format!("{name}.out"), Tensor::cat(vec![out.clone(), out], 0));
    }
}

#[test]
fn autoguidance_by_a_weak_model() {
    let device = crate::device::device();
    let golden = Arrays::golden("rae/forward.safetensors");
    let weak = network("config_rae_guidance", "rae/guidance_model.safetensors", WeightSource::Auto, &device);
    let (strong, labels) = (rae(&device), golden.labels("y", &device));
    for name in ["ag", "ag_iv"] {
        let times = format!("{name}.t");
        let out = |rae: &Rae| output(rae, golden.tensor("x", &device), golden.tensor(&times, &device), &labels);
        let (weak, strong) = (out(&weak), out(&strong));
        let difference: Tensor<4> = weak.clone() + (strong.clone() - weak) * 1.42 - strong.clone();
        let out = strong + difference * guided(&golden.get(&times).values, interval(name), &device);
        golden.check(&format!("{name}.out"), out);
    }
}

#[test]
fn normalized_queries_and_keys() {
    #[derive(Module, Debug)]
    struct Stored {
        model: Rae,
    }
    let device = crate::device::device();
    let file = "rae/variant0.safetensors";
    // The manifest writes the sizes as Python does.
    let doc = manifest()["files"][file]["doc"].as_str().expect("a description").to_string();
    let sizes = doc[doc.find('{').expect("sizes")..].replace('\'', "\"").replace("True", "true");
    let variant: RaeConfig = serde_json::from_str(&sizes.replace("False", "false")).expect("sizes");
    assert!(variant.use_qknorm && !config("config_rae").use_qknorm);

    let golden = Arrays::golden(file);
    let fresh = Stored { model: variant.init(&device).expect("a valid configuration") };
    let unused = ["x", "t", "y", "out"].map(String::from);
    let options = ImportOptions { allow_unused: unused.to_vec(), ..Default::default() };
    let (stored, report) = import(&fresh, &path(file), &options, super::NAMES).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.missing.is_empty() && report.unused.len() == unused.len(), "{report:?}");
    let (x, t) = (golden.tensor("x", &device), golden.tensor("t", &device));
    golden.check("out", output(&stored.model, x, t, &golden.labels("y", &device)));
}
