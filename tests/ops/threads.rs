//! A training step has the same bits for any number of threads: of every kind of operation, and of a whole network.
use crate::support::{leaf, random};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor};
use burn::train::TrainStep;
use burn_mixflow::models::{Sit, SitConfig};
use burn_mixflow::ops;
use burn_mixflow::post_train::OptimizerConfig;
use burn_mixflow::random::SampleKey;
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep};
use std::process::Command;

const MARK: &str = "bits: ";

/// A digest of the bits of tensors (FNV-1a).
struct Bits(u64);

impl Bits {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add<const D: usize>(&mut self, tensor: Tensor<D>) {
        for value in tensor.into_data().try_to_vec::<f32>().unwrap() {
            self.0 = (self.0 ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.val().inner());
    }
}

/// Whether this is a process that the test below started.
fn asked() -> bool {
    std::env::var_os("RAYON_NUM_THREADS").is_some()
}

#[test]
fn operations() {
    if !asked() {
        return;
    }
    let device = Device::flex().autodiff();
    let (batch, tokens, width) = (3, 257, 96);
    let x = leaf(&random(0, [batch, tokens, width], &Device::flex()), &device);
    let parts = leaf(&random(1, [batch, 1, 3 * width], &Device::flex()), &device);
    let weight = leaf(&random(2, [width, 3 * width], &Device::flex()), &device);
    let bias = leaf(&random(3, [3 * width], &Device::flex()), &device);
    let part = |i: usize| parts.clone().narrow(2, i * width, width);
    let y = ops::linear(ops::modulate_norm(x.clone(), part(0), part(1), 1e-6), weight.clone(), bias.clone());
    let y = ops::gated(x.clone(), part(2), ops::self_attention(y.reshape([batch, tokens, 3, 4, width / 4])));
    let y = ops::swiglu(ops::linear_gelu(y, weight.clone(), bias.clone()));
    let y = ops::rms_norm(ops::silu(ops::gelu_tanh(y)), Tensor::ones([3 * width / 2], &device), 1e-6);
    let grads = y.clone().square().sum().backward();
    let image = random(4, [2, 40, 37, 50], &Device::flex());
    let ones = Tensor::ones([40], &Device::flex());
    let image = ops::group_norm_silu(image, ones.clone(), ones.clone(), 8, 1e-6);
    let kernel = random(5, [40, 40, 3, 3], &Device::flex());
    let image = ops::conv2d(image, kernel.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
    let image = ops::conv2d(image, kernel, Some(ones), ConvOptions::new([2, 2], [0, 0], [1, 1], 1));
    let mut bits = Bits::new();
    bits.add(image);
    bits.add(ops::sum_of_squares(y.clone().inner()));
    bits.add(y.inner());
    bits.add(x.grad(&grads).unwrap());
    bits.add(parts.grad(&grads).unwrap());
    bits.add(weight.grad(&grads).unwrap());
    bits.add(bias.grad(&grads).unwrap());
    println!("{MARK}{:016x}", bits.0);
}

#[test]
fn training() {
    if !asked() {
        return;
    }
    let device = Device::flex().autodiff();
    let config = SitConfig { input_size: 16, hidden_size: 96, depth: 2, num_heads: 3, ..Default::default() };
    let strategy = StrategyConfig::mixflow(0.8).build(None).unwrap();
    let network = config.init(&device).unwrap();
    let mut step = MixFlowTrainStep::<Sit, 4>::builder(network, strategy).with_clip(0.5).build().unwrap();
    let mut optimizer = OptimizerConfig::default().build();
    for epoch in 0..3 {
        let keys = (0..5).map(|position| SampleKey { seed: 1, epoch, position }).collect();
        let data = Tensor::from_data(random(epoch, [5, 4, 16, 16], &Device::flex()).into_data(), &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4], &device);
        let output = TrainStep::step(&step, FlowBatch { keys: Some(keys), ..FlowBatch::new(data, labels) });
        step = step.optimize(&mut optimizer, 1e-3.into(), output.grads);
    }
    let mut bits = Bits::new();
    step.network().visit(&mut bits);
    step.ema().visit(&mut bits);
    println!("{MARK}{:016x}", bits.0);
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for test in ["operations", "training"] {
        let bits = |threads: &str| {
            let program = std::env::current_exe().unwrap();
            let arguments = ["--exact", &format!("threads::{test}"), "--nocapture"];
            let output = Command::new(program).args(arguments).env("RAYON_NUM_THREADS", threads).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let at = text.find(MARK).unwrap_or_else(|| panic!("{text}")) + MARK.len();
            text[at..at + 16].to_string()
        };
        let one = bits("1");
        for threads in ["2", "3", "7"] {
            assert_eq!(bits(threads), one, "{test} on {threads} threads");
        }
    }
}
