//! A training step of every kind of operation has the same bits for any number of threads.
use crate::support::{leaf, random};
use burn::tensor::{Device, Tensor};
use burn_mixflow::ops;
use std::process::Command;

const MARK: &str = "bits of a step: ";

/// Run by the test below, in processes of its own.
#[test]
fn a_step() {
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        return;
    }
    let device = Device::flex().autodiff();
    let (batch, tokens, width) = (3, 257, 96);
    let x = leaf(&random(0, [batch, tokens, width], &Device::flex()), &device);
    let parts = leaf(&random(1, [batch, 1, 3 * width], &Device::flex()), &device);
    let weight = leaf(&random(2, [width, 3 * width], &Device::flex()), &device);
    let part = |i: usize| parts.clone().narrow(2, i * width, width);
    let y = ops::modulate_norm(x.clone(), part(0), part(1), 1e-6).reshape([batch * tokens, width]);
    let qkv = y.matmul(weight.clone()).reshape([batch, tokens, 3, 4, width / 4]);
    let y = ops::gated(x.clone(), part(2), ops::self_attention(qkv));
    let y = ops::silu(ops::gelu_tanh(y));
    let y = ops::rms_norm(y, Tensor::ones([width], &device), 1e-6);
    let grads = y.clone().square().sum().backward();
    let mut bits = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |values: Vec<f32>| {
        for value in values {
            bits = (bits ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(y.into_data().try_to_vec().unwrap());
    add(x.grad(&grads).unwrap().into_data().try_to_vec().unwrap());
    add(parts.grad(&grads).unwrap().into_data().try_to_vec().unwrap());
    add(weight.grad(&grads).unwrap().into_data().try_to_vec().unwrap());
    println!("{MARK}{bits:016x}");
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let bits = |threads: &str| {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "threads::a_step", "--nocapture"];
        let output = Command::new(program).args(arguments).env("RAYON_NUM_THREADS", threads).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let at = text.find(MARK).unwrap_or_else(|| panic!("{text}")) + MARK.len();
        text[at..at + 16].to_string()
    };
    let one = bits("1");
    for threads in ["2", "3", "7"] {
        assert_eq!(bits(threads), one, "{threads} threads");
    }
}
