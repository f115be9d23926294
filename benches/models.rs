//! Forward and training step of one network of each system, and the memory a training step needs.
//!
//! `cargo bench --bench models` times; `cargo bench --bench models -- memory` prints the largest resident memory of
//! a process that does one training step (Linux).
use burn::module::ModuleDisplay;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor};
use burn::train::TrainStep;
use burn_mixflow::models::SitConfig;
use burn_mixflow::models::mmdit::{MmditConfig, TextCondition};
use burn_mixflow::models::rae::RaeConfig;
use burn_mixflow::models::repa::{RepaCondition, RepaConfig};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep};
use divan::Bencher;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 2;

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    match argument.strip_prefix("memory") {
        None => divan::main(),
        Some("") => CASES.iter().for_each(|case| memory_of(case.0)),
        Some(name) => {
            let case = CASES.iter().find(|case| Some(case.0) == name.strip_prefix('=')).expect("a case");
            (case.1)();
            println!("{}: {}", case.0, peak().unwrap_or_else(|| "the peak is not known on this system".into()));
        }
    }
}

/// One process for each case: the peak is that of a whole process.
fn memory_of(case: &str) {
    let program = std::env::current_exe().expect("the path of this program");
    let status = std::process::Command::new(program).arg(format!("memory={case}")).status().expect("a second process");
    assert!(status.success(), "{case}");
}

fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(format!("{:.0} MiB", kibibytes / 1024.0))
}

const CASES: [(&str, fn()); 4] = [
    ("sit_b_2", || one_step(sit(&autodiff()))),
    ("repa_b_2", || one_step(repa(&autodiff()))),
    ("ditdh_s", || one_step(rae(&autodiff()))),
    ("mmdit_4_blocks", || one_step(mmdit(&autodiff()))),
];

fn autodiff() -> Device {
    Device::flex().autodiff()
}

fn noise(shape: [usize; 3], device: &Device) -> Tensor<4> {
    let keys: Vec<_> = (0..BATCH as u64).map(|position| SampleKey { seed: 0, epoch: 0, position }).collect();
    Tensor::from_data(normal(&keys, Purpose::Data, &shape), device)
}

fn labels(device: &Device) -> Tensor<1, Int> {
    Tensor::from_ints([1, 2], device)
}

/// A network, and data with conditions for it.
type Case<N> = (N, Tensor<4>, <N as PredictionNetwork<4>>::Condition);

fn sit(device: &Device) -> Case<burn_mixflow::models::Sit> {
    let network = SitConfig::named("SiT-B/2").expect("a name").init(device).expect("valid sizes");
    (network, noise([4, 32, 32], device), labels(device))
}

fn repa(device: &Device) -> Case<burn_mixflow::models::repa::Repa> {
    let network = RepaConfig::named("SiT-B/2").expect("a name").init(device).expect("valid sizes");
    let features = noise([1, 256, 768], device).squeeze_dim::<3>(1);
    (network, noise([4, 32, 32], device), RepaCondition { labels: labels(device), features: vec![features] })
}

fn rae(device: &Device) -> Case<burn_mixflow::models::rae::Rae> {
    let network = RaeConfig::named("DiTDH-S", 256).expect("a name").init(device).expect("valid sizes");
    (network, noise([768, 16, 16], device), labels(device))
}

/// Four blocks and so, by the rule of the released models, a width of 256; 32×32 latents and 154 text tokens.
fn mmdit(device: &Device) -> Case<burn_mixflow::models::mmdit::Mmdit> {
    let config = MmditConfig {
        input_size: 32,
        depth: 4,
        dual_attention: vec![0, 1],
        pos_embed_max_size: 32,
        ..Default::default()
    };
    let context = noise([1, 154, 4096], device).squeeze_dim::<3>(1);
    let pooled = noise([1, 1, 2048], device).reshape([BATCH, 2048]);
    let condition = TextCondition { context, pooled: Some(pooled), null: None };
    (config.init(device).expect("valid sizes"), noise([16, 32, 32], device), condition)
}

fn forward<N: PredictionNetwork<4>>(bencher: Bencher, (network, data, condition): Case<N>) {
    let time = Tensor::<1>::full([BATCH], 0.3, &data.device());
    bencher.counter(divan::counter::ItemsCount::new(BATCH)).bench_local(|| {
        black_box(network.predict(data.clone(), time.clone(), &condition).output.into_data());
    });
}

fn training<N: PredictionNetwork<4> + ModuleDisplay + 'static>((network, data, condition): Case<N>) -> impl FnMut() {
    let strategy = StrategyConfig::mixflow(0.8).build(None).expect("a valid strategy");
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().init();
    let mut state = Some(MixFlowTrainStep::<N, 4>::new(network, strategy));
    move || {
        let step = state.take().expect("put back by every round");
        let output = TrainStep::step(&step, FlowBatch::new(data.clone(), condition.clone()));
        state = Some(step.optimize(&mut optimizer, 1e-4.into(), output.grads));
    }
}

fn one_step<N: PredictionNetwork<4> + ModuleDisplay + 'static>(case: Case<N>) {
    training(case)();
}

fn train<N: PredictionNetwork<4> + ModuleDisplay + 'static>(bencher: Bencher, case: Case<N>) {
    bencher.counter(divan::counter::ItemsCount::new(BATCH)).bench_local(training(case));
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod forward_pass {
    use super::*;

    #[divan::bench]
    fn sit_b_2(bencher: Bencher) {
        forward(bencher, sit(&Device::flex()));
    }
    #[divan::bench]
    fn repa_b_2(bencher: Bencher) {
        forward(bencher, repa(&Device::flex()));
    }
    #[divan::bench]
    fn ditdh_s(bencher: Bencher) {
        forward(bencher, rae(&Device::flex()));
    }
    #[divan::bench]
    fn mmdit_4_blocks(bencher: Bencher) {
        forward(bencher, mmdit(&Device::flex()));
    }
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod training_step {
    use super::*;

    #[divan::bench]
    fn sit_b_2(bencher: Bencher) {
        train(bencher, sit(&autodiff()));
    }
    #[divan::bench]
    fn repa_b_2(bencher: Bencher) {
        train(bencher, repa(&autodiff()));
    }
    #[divan::bench]
    fn ditdh_s(bencher: Bencher) {
        train(bencher, rae(&autodiff()));
    }
    #[divan::bench]
    fn mmdit_4_blocks(bencher: Bencher) {
        train(bencher, mmdit(&autodiff()));
    }
}
