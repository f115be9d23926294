//! The update: AdamW and the average are Burn's to the last bit, and one goes on where the other stopped.
use crate::support::random;
use burn::optim::{AdamWConfig, Optimizer};
use burn::tensor::{Device, Tensor};
use burn_mixflow::ops::{self, AdamW};

const DECAY: f32 = 0.1;

fn own() -> AdamW {
    AdamW::new([0.9, 0.999], 1e-8, DECAY)
}

fn plain() -> burn::optim::AdamW {
    AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(DECAY).build()
}

fn gradient<const D: usize>(step: u64, shape: [usize; D]) -> Tensor<D> {
    random(100 + step, shape, &Device::flex()) * 0.1
}

/// Steps of `first`, then of `second` from the state of the first. `held` keeps a copy of every parameter, as Burn's
/// learner does.
fn run<const D: usize, A, B>(first: &A, second: &B, shape: [usize; D], held: bool) -> Vec<Vec<f32>>
where
    A: Optimizer<State<D> = burn::optim::AdamWState<D>>,
    B: Optimizer<State<D> = burn::optim::AdamWState<D>>,
{
    let (mut parameter, mut state, mut copies) = (random(0, shape, &Device::flex()), None, Vec::new());
    for step in 0..6 {
        if held {
            copies.push(parameter.clone());
        }
        let grad = gradient(step, shape);
        (parameter, state) = match step {
            0..3 => first.step(1e-2, parameter, grad, state),
            _ => second.step(1e-2, parameter, grad, state),
        };
    }
    let momentum = state.unwrap().momentum;
    assert_eq!(momentum.time, 6);
    let tensors = [parameter, momentum.moment_1, momentum.moment_2];
    tensors.into_iter().chain(copies).map(|t| t.into_data().try_to_vec().unwrap()).collect()
}

fn check<const D: usize>(shape: [usize; D]) {
    for held in [false, true] {
        let expected = run(&plain(), &plain(), shape, held);
        assert_eq!(run(&own(), &own(), shape, held), expected, "{shape:?}");
        assert_eq!(run(&plain(), &own(), shape, held), expected, "{shape:?}, Burn's before");
        assert_eq!(run(&own(), &plain(), shape, held), expected, "{shape:?}, Burn's after");
    }
}

#[test]
fn adamw_is_that_of_burn() {
    check([1]);
    check([5003]);
    check([37, 41]);
    check([2, 3, 64, 72]);
}

#[test]
fn a_transposed_gradient_is_in_order_afterwards() {
    let shape = [64, 33];
    let step = |grad: Tensor<2>| own().step(1e-2, random(0, shape, &Device::flex()), grad, None).0.into_data();
    let grad = gradient(0, [33, 64]);
    assert_eq!(step(grad.clone().transpose()), step(Tensor::from_data(grad.transpose().into_data(), &Device::flex())));
}

#[test]
fn other_types_take_burns_path() {
    use burn::tensor::{DType, FloatDType};
    let double = |t: Tensor<1>| t.cast(FloatDType::F64);
    let [parameter, grad] = [0, 1].map(|seed| double(random(seed, [9], &Device::flex())));
    let (found, _) = own().step(1e-2, parameter.clone(), grad.clone(), None);
    assert_eq!(found.dtype(), DType::F64);
    assert_eq!(found.into_data(), plain().step(1e-2, parameter, grad, None).0.into_data());
}

#[test]
fn the_average_is_the_difference_formula() {
    for count in [1, 1023, 5000] {
        let [average, x] = [0, 1].map(|seed| random(seed, [count], &Device::flex()));
        let expected = (x.clone() - average.clone()).mul_scalar(1.0 - 0.9993) + average.clone();
        let held = average.clone();
        assert_eq!(ops::averaged(average.clone(), x.clone(), 0.9993).into_data(), expected.clone().into_data());
        assert_eq!(ops::averaged(average + 0.0, x, 0.9993).into_data(), expected.into_data());
        // What never changes stays.
        assert_eq!(ops::averaged(held.clone(), held.clone(), 0.9).into_data(), held.into_data());
    }
}

#[test]
fn a_product_with_a_number_is_burns_to_the_last_bit() {
    for count in [1, 1023, 20_011] {
        let x = random(4, [count], &Device::flex());
        let expected = x.clone().mul_scalar(0.123_456_789).into_data();
        let held = x.clone();
        assert_eq!(ops::times(x, 0.123_456_789).into_data(), expected);
        assert_eq!(ops::times(held + 0.0, 0.123_456_789).into_data(), expected);
    }
}

#[test]
fn squares_are_added() {
    for count in [1, 4095, 20_011] {
        let x = random(3, [count], &Device::flex());
        let exact: f64 = x.to_data().iter::<f64>().map(|x| x * x).sum();
        let found = f64::from(ops::sum_of_squares(x).into_scalar::<f32>());
        assert!((found - exact).abs() <= 2e-7 * exact, "{found} instead of {exact}");
    }
    let odd = Tensor::<1>::from_floats([1.0, f32::NAN], &Device::flex());
    assert!(ops::sum_of_squares(odd).into_scalar::<f32>().is_nan());
}
