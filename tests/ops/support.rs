//! Numbers from seeds, and how far two tensors are apart.
use burn::tensor::{Device, Tensor};
use burn_mixflow::random::{Purpose, SampleKey, normal};

/// Standard normal numbers, a function of the seed.
pub fn random<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let key = SampleKey { seed, epoch: 0, position: 0 };
    let count = shape.iter().product();
    Tensor::<2>::from_data(normal(&[key], Purpose::Data, &[count]), device).reshape(shape)
}

/// The largest difference over the largest number of `plain` is at most 1e-5.
pub fn close<const D: usize>(name: &str, fused: Tensor<D>, plain: Tensor<D>) {
    assert_eq!(fused.dims(), plain.dims(), "{name}");
    let [fused, plain] = [fused, plain].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
    let largest = plain.iter().fold(1e-30_f32, |a, b| a.max(b.abs()));
    assert!(largest.is_finite(), "{name}");
    for (i, (a, b)) in fused.iter().zip(&plain).enumerate() {
        assert!((a - b).abs() <= 1e-5 * largest, "{name}, number {i}: {a} instead of {b}; the largest is {largest}");
    }
}

/// Autodiff, and autodiff that computes again what is cheap.
pub fn tracked() -> [Device; 2] {
    [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()]
}

/// Tensors of different ranks on the same device as leaves, the same numbers on any device.
pub fn leaf<const D: usize>(x: &Tensor<D>, device: &Device) -> Tensor<D> {
    Tensor::from_data(x.to_data(), device).require_grad()
}
