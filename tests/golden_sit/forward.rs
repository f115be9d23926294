use super::network;
use crate::{Arrays, close};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_mixflow::models::layers::sinusoidal;
use burn_mixflow::models::sit::{Sit, sincos_2d};
use burn_mixflow::models::weights::WeightSource;
use burn_mixflow::network::PredictionNetwork;

fn sit(device: &Device) -> Sit {
    network("config_sit", "sit/model.safetensors", WeightSource::Auto, device)
}

#[test]
fn output() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/forward.safetensors");
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    golden.check("out", sit(&device).predict(x, t, &golden.labels("y", &device)).output);
}

#[test]
fn output_on_an_autodiff_device_is_the_same() {
    let device = crate::device::device().autodiff();
    let golden = Arrays::golden("sit/forward.safetensors");
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    golden.check("out", sit(&device).predict(x, t, &golden.labels("y", &device)).output);
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
    let golden = Arrays::golden("sit/forward.safetensors");
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    let out = sit(&device).map(&mut Half).predict(x, t, &golden.labels("y", &device)).output;
    assert_eq!(out.dtype(), DType::F32);
    let found: Vec<f64> = out.into_data().iter::<f64>().collect();
    close("out", &found, &golden.get("out").values, 0.05);
}

#[test]
fn timestep_features() {
    let golden = Arrays::golden("sit/forward.safetensors");
    golden.check("t_freq", sinusoidal(golden.tensor("t", &crate::device::device()), 128));
}

#[test]
fn guided_output_on_three_channels() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/forward.safetensors");
    let half = golden.tensor::<4>("cfg_x", &device).narrow(0, 0, 2);
    let (t, labels) = (golden.tensor::<1>("cfg_t", &device), golden.labels("cfg_y", &device));
    let out = sit(&device).predict(Tensor::cat(vec![half.clone(), half], 0), t, &labels).output;
    let (with, without) = (out.clone().narrow(0, 0, 2), out.clone().narrow(0, 2, 2));
    let guided = without.clone() + (with - without) * golden.scalar("cfg_scale");
    let three = guided.narrow(1, 0, 3);
    let rest = out.narrow(1, 3, 1);
    golden.check("cfg_out", Tensor::cat(vec![Tensor::cat(vec![three.clone(), three], 0), rest], 1));
}

#[test]
fn patch_four_one_sigma_and_no_null_label() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/forward.safetensors");
    let sit = network("config_sit_b", "sit/model_b.safetensors", WeightSource::Auto, &device);
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    let labels = golden.labels("b_y", &device);
    assert!(sit.drop_condition(&labels, &[true; 4]).is_none());
    golden.check("b_out", sit.predict(x, t, &labels).output);
}

#[test]
fn dropped_labels() {
    let device = crate::device::device();
    let golden = Arrays::golden("sit/forward.safetensors");
    let dropped: Vec<bool> = golden.get("drop_rand").values.iter().map(|u| *u < f64::from(0.1f32)).collect();
    let sit = sit(&device);
    let labels = golden.labels("drop_y", &device);
    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    let output = |dropped: &[bool]| {
        let labels = sit.drop_condition(&labels, dropped).expect("a null label");
        sit.predict(x.clone(), t.clone(), &labels).output
    };
    golden.check("drop_out", output(&dropped));
    // No recorded draw is below 0.1 here (two of the training steps' are): dropping must change just its own sample.
    let changed = (output(&[false, true, false, false]) - golden.tensor("drop_out", &device)).abs();
    let largest = |sample| changed.clone().narrow(0, sample, 1).max().into_scalar::<f32>();
    assert!(largest(0) < 1e-5 && largest(1) > 0.1 && largest(2) < 1e-5 && largest(3) < 1e-5);
}

#[test]
fn positions() {
    let golden = Arrays::golden("sit/posembed.safetensors");
    close("pe48", &sincos_2d(48, 4), &golden.get("pe48_grid4_f64").values, 1e-14);
    let all = sincos_2d(1152, 16);
    let rows: Vec<f64> = [0, 1, 16, 255].iter().flat_map(|r| all[r * 1152..(r + 1) * 1152].to_vec()).collect();
    close("pe1152", &rows, &golden.get("pe1152_grid16_rows_0_1_16_255_f64").values, 1e-14);
}
