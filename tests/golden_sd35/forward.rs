use super::{MODELS, network, prompts};
use crate::{Arrays, TOLERANCE, close};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_mixflow::models::layers::sinusoidal;
use burn_mixflow::models::mmdit::Mmdit;
use burn_mixflow::network::PredictionNetwork;

fn golden() -> Arrays {
    Arrays::golden("sd35/forward.safetensors")
}

/// The answer of the weights to the recorded input.
fn answer(mmdit: &Mmdit, golden: &Arrays, with_pooled: bool, device: &Device) -> Tensor<4> {
    let text = prompts(golden, device);
    let (x, told) = (golden.tensor("x", device), golden.tensor("timestep", device));
    mmdit.forward(x, told, text.pooled.filter(|_| with_pooled), text.context)
}

#[test]
fn output() {
    let device = crate::device::device();
    let golden = golden();
    for model in MODELS {
        let mmdit = network(model, &device);
        golden.check(&format!("{model}.out"), answer(&mmdit, &golden, true, &device));
        golden.check(&format!("{model}.out_no_y"), answer(&mmdit, &golden, false, &device));
        golden.check(&format!("{model}.out_skip0"), answer(&mmdit.skipping(&[0]), &golden, true, &device));
    }
}

#[test]
fn output_on_an_autodiff_device_is_the_same() {
    let device = crate::device::device().autodiff();
    let golden = golden();
    for model in MODELS {
        golden.check(&format!("{model}.out"), answer(&network(model, &device), &golden, true, &device));
    }
}

#[test]
fn rectangular_latents() {
    let device = crate::device::device();
    let golden = golden();
    let x = golden.tensor::<4>("x_rect", &device);
    let [batch, _, height, width] = x.dims();
    assert_ne!(height, width);
    let text = prompts(&golden, &device);
    let (context, pooled) = (text.context.narrow(0, 0, batch), text.pooled.map(|p| p.narrow(0, 0, batch)));
    let told = golden.tensor::<1>("timestep", &device).narrow(0, 0, batch);
    for model in MODELS {
        let mmdit = network(model, &device);
        mmdit.check_size(height, width).expect("a size with positions");
        let out = mmdit.forward(x.clone(), told.clone(), pooled.clone(), context.clone());
        golden.check(&format!("{model}.out_rect"), out);
    }
}

#[test]
fn every_intermediate_result() {
    let device = crate::device::device();
    let golden = golden();
    let mmdit = network("A", &device);
    let (x, told) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("timestep", &device));
    let text = prompts(&golden, &device);
    let [_, _, height, width] = x.dims();
    let [_, patches, _] = mmdit.x_embedder.forward(x.clone()).dims();
    // Square patches: their side is the square root of the pixels of one.
    let patch = (height * width / patches).isqrt();
    let positions = mmdit.positions(height / patch, width / patch);
    golden.check("A.pos_embed_cropped", positions.clone());
    golden.check("B.pos_embed_cropped", network("B", &device).positions(height / patch, width / patch));

    let mut tokens = mmdit.x_embedder.forward(x);
    golden.check("A.mid.x_embedder", tokens.clone());
    tokens = tokens + positions;
    let pooled = text.pooled.expect("pooled prompts");
    golden.check("A.mid.t_embedder", mmdit.t_embedder.forward(told.clone()));
    let embedder = mmdit.y_embedder.as_ref().expect("an embedding of pooled prompts");
    golden.check("A.mid.y_embedder", embedder.forward(pooled.clone()));
    let mut context = mmdit.context_embedder.forward(text.context);
    golden.check("A.mid.context_embedder", context.clone());
    let condition = mmdit.condition(told, Some(pooled));
    let mut checked = 0;
    for (i, block) in mmdit.joint_blocks.iter().enumerate() {
        (context, tokens) = block.forward(context, tokens, condition.clone());
        for (stream, found) in [&context, &tokens].into_iter().enumerate() {
            let name = format!("A.mid.joint_blocks.{i}.{stream}");
            if golden.0.contains_key(&name) {
                golden.check(&name, found.clone());
                checked += 1;
            }
        }
    }
    // The text ends in the last block.
    assert_eq!(checked, 2 * mmdit.joint_blocks.len() - 1);
    golden.check("A.mid.final_layer", mmdit.final_layer.forward_activated(tokens, condition));
}

#[test]
fn timestep_features() {
    let golden = golden();
    let (expected, told) = (golden.get("t_freq"), &golden.get("timestep").values);
    let half = expected.shape[1] / 2;
    let found: Vec<f64> =
        sinusoidal(golden.tensor("timestep", &crate::device::device()), half).into_data().iter().collect();
    assert_eq!(found.len(), expected.values.len());
    for (i, (f, e)) in found.iter().zip(&expected.values).enumerate() {
        let (sample, k) = (i / (2 * half), i % half);
        let angle = told[sample] * 10_000f64.powf(-(k as f64) / half as f64);
        // Two libraries round the exponential of a frequency to f32 neighbours: one ulp, times the timestep.
        let bound = TOLERANCE + angle * f64::from(f32::EPSILON);
        assert!((f - e).abs() <= bound, "t_freq[{i}]: {f} instead of {e}");
    }
}

#[test]
fn prediction_in_the_convention_of_the_paper() {
    let device = crate::device::device();
    let golden = golden();
    let (x, sigma) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("sigma", &device));
    let told = golden.get("timestep").values.clone();
    close("timestep", &told, &golden.get("sigma").values.iter().map(|s| 1000.0 * s).collect::<Vec<_>>(), 1e-6);
    let velocity = network("A", &device).predict(x.clone(), 1.0 - sigma.clone(), &prompts(&golden, &device)).output;
    golden.check("A.out", velocity.clone().neg());
    let [batch] = sigma.dims();
    golden.check("A.denoised", x + velocity * sigma.reshape([batch, 1, 1, 1]));
}

#[test]
fn output_with_half_precision_weights_is_near() {
    if !crate::device::computes_in(DType::BF16, "half precision") {
        return;
    }
    struct Half(DType);
    impl ModuleMapper for Half {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    let device = crate::device::device();
    let golden = golden();
    for (dtype, tolerance) in [(DType::BF16, 0.05), (DType::F16, 0.01)] {
        let out = answer(&network("A", &device).map(&mut Half(dtype)), &golden, true, &device);
        assert_eq!(out.dtype(), DType::F32);
        close("A.out", &out.into_data().iter::<f64>().collect::<Vec<_>>(), &golden.get("A.out").values, tolerance);
    }
}
