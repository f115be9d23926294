//! The reversed convention of REPA, RAE and Stable Diffusion 3.5: `s = 1 − t`, `v_rev(x, s) = −v(x, 1 − s)`.
//!
//! There `s = 0` is data and `s = 1` noise. This is the one place that knows it; the rest of the
//! crate speaks `t`. Models with reversed weights call these inside `predict`.
use burn::tensor::Tensor;

/// `1 − t`: the reversed time of `t`, and the time of a reversed time. Any shape.
pub fn time<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    t.neg().add_scalar(1.0)
}

/// `−v`: the reversed velocity of `v`, and the velocity of a reversed velocity. Any shape.
pub fn velocity<const D: usize>(v: Tensor<D>) -> Tensor<D> {
    v.neg()
}

/// The velocity at `(noisy, t)` of a network `predict(x, s)` trained on the reversed convention.
///
/// Applied twice it is the network again.
pub fn from_reversed<const D: usize>(
    predict: impl Fn(Tensor<D>, Tensor<1>) -> Tensor<D>,
    noisy: Tensor<D>,
    t: Tensor<1>,
) -> Tensor<D> {
    velocity(predict(noisy, time(t)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn reversing_twice_is_the_identity() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.25]], &device);
        let t = Tensor::<1>::from_floats([0.25, 0.75], &device);
        let network = |x: Tensor<2>, s: Tensor<1>| x * s.unsqueeze_dim(1) + 3.0;
        let twice = from_reversed(|x, t| from_reversed(network, x, t), x.clone(), t.clone());
        assert_eq!(values(twice), values(network(x.clone(), t.clone())));
        assert_ne!(values(from_reversed(network, x.clone(), t.clone())), values(network(x, t)));
    }

    #[test]
    fn the_reversed_target_is_the_negative_of_ours_at_one_minus_s() {
        let device = Device::default();
        let (data, noise) =
            (Tensor::<2>::from_floats([[1.0, 4.0]], &device), Tensor::from_floats([[3.0, -1.0]], &device));
        // REPA: x_s = (1 − s) x1 + s ε with velocity ε − x1.
        let s = 0.25;
        let x_s = data.clone() * (1.0 - s) + noise.clone() * s;
        let ours = crate::path::interpolate(&crate::path::Linear, data.clone(), noise.clone(), &[1.0 - s as f32]);
        assert_eq!(values(x_s), values(ours));
        let target = crate::path::velocity_target(&crate::path::Linear, data.clone(), noise.clone(), &[0.75]);
        assert_eq!(values(velocity(target)), values(noise - data));
    }
}
