//! Each own operation against the plain formula out of Burn's operations, and training steps of two SiTs.
//!
//! `cargo bench --bench ops` runs all, `cargo bench --bench ops -- attention` what has "attention" in its name. Both
//! sides of a pair take turns in one process, so that a busy machine slows both; the ratio is that of the medians.
use burn::module::Param;
use burn::optim::{AdamWConfig, AdamWState, ModuleOptimizer, Optimizer};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Int, Tensor, activation, module};
use burn::train::TrainStep;
use burn_mixflow::models::{Sit, SitConfig};
use burn_mixflow::ops;
use burn_mixflow::post_train::OptimizerConfig;
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep};
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds that are timed, after two that are not.
const ROUNDS: usize = 15;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let wanted = |name: &str| name.contains(&wanted);
    println!("{:44} {:>10} {:>10} {:>8}", "milliseconds, medians", "plain", "own", "ratio");
    pointwise(&wanted);
    norms(&wanted);
    layers(&wanted);
    attention(&wanted);
    convolutions(&wanted);
    update(&wanted);
    training(&wanted);
}

/// Those of Stable Diffusion's autoencoder, of a small one's small pictures, and of Inception.
fn convolutions(wanted: &dyn Fn(&str) -> bool) {
    for (image, outputs, [height, width], stride) in [
        ([1, 128, 128, 128], 128, [3, 3], 1),
        ([1, 256, 64, 64], 256, [3, 3], 1),
        ([1, 512, 32, 32], 512, [3, 3], 1),
        ([1, 512, 16, 16], 512, [3, 3], 1),
        ([1, 512, 8, 8], 512, [3, 3], 1),
        ([4, 512, 8, 8], 512, [3, 3], 1),
        ([8, 64, 8, 8], 64, [3, 3], 1),
        ([64, 16, 4, 4], 16, [3, 3], 1),
        ([1, 3, 256, 256], 128, [3, 3], 1),
        ([1, 128, 128, 128], 128, [3, 3], 2),
        ([4, 32, 149, 149], 32, [3, 3], 1),
        ([4, 80, 73, 73], 192, [3, 3], 1),
        ([16, 96, 35, 35], 96, [3, 3], 1),
        ([16, 160, 17, 17], 160, [1, 7], 1),
        ([16, 160, 17, 17], 160, [7, 1], 1),
        ([16, 768, 17, 17], 192, [1, 1], 1),
        ([1, 256, 128, 128], 128, [1, 1], 1),
        ([1, 512, 32, 32], 512, [1, 1], 1),
        ([4, 64, 73, 73], 80, [1, 1], 1),
        ([16, 2048, 8, 8], 320, [1, 1], 1),
        ([16, 448, 8, 8], 384, [3, 3], 1),
    ] {
        let name = format!("convolution {image:?} to {outputs}, {height}×{width} by {stride}");
        if !wanted(&name) {
            continue;
        }
        let (x, weight) = (random(image), random([outputs, image[1], height, width]));
        let options = || ConvOptions::new([stride; 2], [height / 2, width / 2], [1, 1], 1);
        let plain = || drop(black_box(module::conv2d(x.clone(), weight.clone(), None, options())));
        race(&name, plain, || drop(black_box(ops::conv2d(x.clone(), weight.clone(), None, options()))));
    }
}

/// Times `plain` and `own` in turns and prints both.
fn race(name: &str, mut plain: impl FnMut(), mut own: impl FnMut()) {
    let mut times = [const { Vec::new() }; 2];
    for round in 0..ROUNDS + 2 {
        let jobs: [&mut dyn FnMut(); 2] = [&mut plain, &mut own];
        for (job, times) in jobs.into_iter().zip(&mut times) {
            let start = Instant::now();
            job();
            if round > 1 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let [plain, own] = times.map(median);
    println!("{name:44} {plain:10.2} {own:10.2} {:8.2}", own / plain);
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn tracked<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    Tensor::from_data(x.to_data(), &Device::flex().autodiff()).require_grad()
}

/// Forward alone, and forward with backward, of a function of some tensors.
fn both_passes<X: Clone, Y: Clone, const D: usize>(
    name: &str,
    inputs: (X, Y),
    plain: impl Fn(&X) -> Tensor<D>,
    own: impl Fn(&X) -> Tensor<D>,
    plain_tracked: impl Fn(&Y) -> Tensor<D>,
    own_tracked: impl Fn(&Y) -> Tensor<D>,
) {
    let (x, y) = inputs;
    let forward = |f: &dyn Fn(&X) -> Tensor<D>| drop(black_box(f(&x)));
    race(&format!("{name}, forward"), || forward(&plain), || forward(&own));
    let backward = |f: &dyn Fn(&Y) -> Tensor<D>| drop(black_box(f(&y).sum().backward()));
    race(&format!("{name}, with backward"), || backward(&plain_tracked), || backward(&own_tracked));
}

type Unary = fn(Tensor<2>) -> Tensor<2>;
type Ternary = fn(Tensor<3>, Tensor<3>, Tensor<3>) -> Tensor<3>;

fn pointwise(wanted: &dyn Fn(&str) -> bool) {
    let gelu: Unary = |x| {
        let slope = x.clone().square() * (2.0 * 0.797_884_560_802_865_4 * 0.044715) + 2.0 * 0.797_884_560_802_865_4;
        x.clone() * activation::sigmoid(x * slope)
    };
    let swiglu: Unary = |x| {
        let width = x.dims()[1] / 2;
        activation::silu(x.clone().narrow(1, 0, width)) * x.narrow(1, width, width)
    };
    let cases: [(&str, Unary, Unary); 3] = [
        ("gelu [2048, 1536]", gelu, ops::gelu_tanh),
        ("silu [2048, 1536]", activation::silu, ops::silu),
        ("swiglu [2048, 1536]", swiglu, ops::swiglu),
    ];
    for (name, plain, own) in cases.into_iter().filter(|case| wanted(case.0)) {
        let x = random([2048, 1536]);
        let inputs = (x.clone(), tracked(&x));
        let run = |f: Unary| move |x: &Tensor<2>| f(x.clone());
        both_passes(name, inputs, run(plain), run(own), run(plain), run(own));
    }
}

fn norms(wanted: &dyn Fn(&str) -> bool) {
    let modulate: Ternary = |x, shift, scale| {
        let centred = x.clone() - x.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        centred / (variance + 1e-6).sqrt() * (scale + 1.0) + shift
    };
    let own: Ternary = |x, shift, scale| ops::modulate_norm(x, shift, scale, 1e-6);
    let (gate, own_gate): (Ternary, Ternary) =
        (|x, gate, _| x.clone() + gate * x, |x, gate, _| ops::gated(x.clone(), gate, x));
    for shape in [[8, 256, 1536], [8, 256, 384], [64, 16, 128]] {
        for (name, plain, own) in [("modulate_norm", modulate, own), ("gated", gate, own_gate)] {
            let name = format!("{name} {shape:?}");
            if wanted(&name) {
                let small = [shape[0], 1, shape[2]];
                let inputs = [random(shape), random(small), random(small)];
                let leaves = inputs.each_ref().map(tracked);
                let run = |f: Ternary| {
                    move |inputs: &[Tensor<3>; 3]| {
                        let [x, a, b] = inputs.clone();
                        f(x, a, b)
                    }
                };
                both_passes(&name, (inputs, leaves), run(plain), run(own), run(plain), run(own));
            }
        }
    }
}

fn layers(wanted: &dyn Fn(&str) -> bool) {
    type Inputs = (Tensor<3>, Tensor<2>, Tensor<1>);
    for (shape, outputs) in [([8, 256, 384], 1536), ([8, 256, 1536], 384), ([64, 16, 128], 512)] {
        let name = format!("linear {shape:?} to {outputs}");
        if wanted(&name) {
            let inputs = (random(shape), random([shape[2], outputs]), random([outputs]));
            let leaves = (tracked(&inputs.0), tracked(&inputs.1), tracked(&inputs.2));
            let plain = |(x, w, b): &Inputs| module::linear(x.clone(), w.clone(), Some(b.clone()));
            let own = |(x, w, b): &Inputs| ops::linear(x.clone(), w.clone(), b.clone());
            both_passes(&name, (inputs.clone(), leaves.clone()), plain, own, plain, own);
            let plain = |(x, w, b): &Inputs| {
                activation::gelu_approximate(module::linear(x.clone(), w.clone(), Some(b.clone())))
            };
            let own = |(x, w, b): &Inputs| ops::linear_gelu(x.clone(), w.clone(), b.clone());
            both_passes(&format!("{name}, gelu"), (inputs, leaves), plain, own, plain, own);
        }
    }
}

fn attention(wanted: &dyn Fn(&str) -> bool) {
    for [batch, heads, tokens, width] in [[8, 6, 256, 64], [64, 4, 16, 32], [1, 6, 1024, 64]] {
        let name = format!("attention [{batch}, {heads}, {tokens}, {width}]");
        if wanted(&name) {
            let qkv = random([batch, tokens, 3, heads, width]);
            let plain = |qkv: &Tensor<5>| {
                let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2));
                let mixed = module::attention(q, k, v, None, None, Default::default());
                mixed.swap_dims(1, 2).reshape([batch, tokens, heads * width])
            };
            let own = |qkv: &Tensor<5>| ops::self_attention(qkv.clone());
            both_passes(&name, (qkv.clone(), tracked(&qkv)), plain, own, plain, own);
        }
    }
}

/// Steps of an optimizer whose parameter is held a second time, as by Burn's learner, if so asked.
fn steps<O: Optimizer<State<2> = AdamWState<2>>>(optimizer: O, held: bool) -> impl FnMut() {
    let (mut state, grad) = (None, random([2048, 2048]));
    let mut parameter = Param::from_tensor(random([2048, 2048])).val();
    move || {
        let copy = held.then(|| parameter.clone());
        let (next, kept) = optimizer.step(1e-4, parameter.clone(), grad.clone(), state.take());
        (parameter, state) = (next, kept);
        drop(copy);
    }
}

fn update(wanted: &dyn Fn(&str) -> bool) {
    if wanted("adamw [2048, 2048]") {
        let plain = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).build();
        race("adamw [2048, 2048]", steps(plain, true), steps(ops::AdamW::new([0.9, 0.999], 1e-8, 0.01), true));
    }
    if wanted("average [2048, 2048]") {
        let x = random([2048, 2048]);
        let follow = |f: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
            let (mut average, x) = (Some(random([2048, 2048])), x.clone());
            move || average = average.take().map(|average| f(average, x.clone()))
        };
        let plain = follow(|average, x| (x - average.clone()).mul_scalar(0.001) + average);
        race("average [2048, 2048]", plain, follow(|average, x| ops::averaged(average, x, 0.999)));
    }
    if wanted("squares [2048, 2048]") {
        let x = random([2048, 2048]);
        race(
            "squares [2048, 2048]",
            || _ = black_box(x.clone().square().sum().into_scalar::<f32>()),
            || _ = black_box(ops::sum_of_squares(x.clone()).into_scalar::<f32>()),
        );
    }
}

/// Images, side, width, depth and heads of a SiT whose patches have a side of 2.
const STEPS: [(&str, [usize; 5]); 2] =
    [("step [64, 16, 128] x 4", [64, 8, 128, 4, 4]), ("step [8, 256, 384] x 6", [8, 32, 384, 6, 6])];

fn training(wanted: &dyn Fn(&str) -> bool) {
    for (name, [images, size, width, depth, heads]) in STEPS.into_iter().filter(|case| wanted(case.0)) {
        let device = Device::flex().autodiff();
        let config = SitConfig { input_size: size, hidden_size: width, depth, num_heads: heads, ..Default::default() };
        let network = config.init(&device).expect("valid sizes");
        let strategy = StrategyConfig::mixflow(0.8).build(None).expect("a valid strategy");
        let mut optimizer: ModuleOptimizer = OptimizerConfig::default().build();
        let mut step = MixFlowTrainStep::<Sit, 4>::new(network, strategy);
        let keys =
            |epoch| (0..images as u64).map(|position| SampleKey { seed: 0, epoch, position }).collect::<Vec<_>>();
        let data = Tensor::<4>::from_data(normal(&keys(0), Purpose::Data, &[4, size, size]), &device);
        let labels = Tensor::<1, Int>::zeros([images], &device);
        let mut times = [const { Vec::new() }; 2];
        for epoch in 1..=ROUNDS as u64 {
            let batch = FlowBatch { keys: Some(keys(epoch)), ..FlowBatch::new(data.clone(), labels.clone()) };
            let start = Instant::now();
            let output = TrainStep::step(&step, batch);
            let passes = start.elapsed();
            step = step.optimize(&mut optimizer, 1e-4.into(), output.grads);
            if epoch > 2 {
                times[0].push(start.elapsed().as_secs_f64() * 1e3);
                times[1].push((start.elapsed() - passes).as_secs_f64() * 1e3);
            }
        }
        let [whole, update] = times.map(median);
        println!("{name:44} {:>10} {whole:10.2}, of which the update {update:.2}", "");
    }
}
