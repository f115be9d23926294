//! The reversed convention of REPA, RAE and Stable Diffusion 3.5: `s = 1 − t`, `v_rev(x, s) = −v(x, 1 − s)`.
//!
//! There `s = 0` is data and `s = 1` noise. This is the one place that knows it; the rest of the
//! crate speaks `t`. A network with reversed weights is wrapped in [`Reversed`], or calls the functions inside `predict`.
use crate::network::{Prediction, PredictionNetwork};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

/// A velocity network whose own time is reversed (0 data, 1 noise), as a network of this crate's time.
///
/// `v(x, t) = −v_rev(x, 1 − t)`; the condition and an auxiliary loss pass through. The weights stay untouched, under
/// `network` in a record.
#[derive(Module, Debug)]
pub struct Reversed<N: Module> {
    /// The network as it was trained.
    pub network: N,
}

impl<N: Module> Reversed<N> {
    /// Wraps `network`.
    pub fn new(network: N) -> Self {
        Self { network }
    }
}

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> PredictionNetwork<D> for Reversed<N> {
    type Condition = N::Condition;

    const KEPT_IN_F32: &'static [&'static str] = N::KEPT_IN_F32;

    fn predict(&self, noisy: Tensor<D>, timestep: Tensor<1>, condition: &Self::Condition) -> Prediction<D> {
        let Prediction { output, auxiliary_loss } = self.network.predict(noisy, time(timestep), condition);
        Prediction { output: velocity(output), auxiliary_loss }
    }

    fn drop_condition(&self, condition: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        self.network.drop_condition(condition, dropped)
    }
}

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

    /// `v_rev(x, s) = a s x`, in a network's own time.
    #[derive(Module, Debug)]
    struct Own {
        a: burn::module::Param<Tensor<1>>,
    }

    impl PredictionNetwork<2> for Own {
        type Condition = ();
        fn predict(&self, noisy: Tensor<2>, s: Tensor<1>, _: &()) -> Prediction<2> {
            (noisy * s.unsqueeze_dim(1) * self.a.val().unsqueeze()).into()
        }
        fn drop_condition(&self, (): &(), _: &[bool]) -> Option<()> {
            Some(())
        }
    }

    #[test]
    fn a_network_wrapped_twice_is_the_network() {
        let device = Device::flex();
        let own = Own { a: burn::module::Param::from_tensor(Tensor::from_floats([2.0], &device)) };
        let x = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.25]], &device);
        let t = Tensor::<1>::from_floats([0.25, 0.75], &device);
        let once = Reversed::new(own.clone());
        let expected = values((x.clone() * Tensor::<2>::from_floats([[1.5], [0.5]], &device)).neg());
        assert_eq!(values(once.predict(x.clone(), t.clone(), &()).output), expected);
        let twice = Reversed::new(once);
        let found = values(twice.predict(x.clone(), t.clone(), &()).output);
        assert_eq!(found, values(own.predict(x, t, &()).output));
        assert_eq!(PredictionNetwork::<2>::drop_condition(&twice, &(), &[true]), Some(()));
    }

    #[test]
    fn reversing_twice_is_the_identity() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.25]], &device);
        let t = Tensor::<1>::from_floats([0.25, 0.75], &device);
        let network = |x: Tensor<2>, s: Tensor<1>| x * s.unsqueeze_dim(1) + 3.0;
        let twice = from_reversed(|x, t| from_reversed(network, x, t), x.clone(), t.clone());
        assert_eq!(values(twice), values(network(x.clone(), t.clone())));
        assert_ne!(values(from_reversed(network, x.clone(), t.clone())), values(network(x, t)));
    }

    #[test]
    fn the_reversed_target_is_the_negative_of_ours_at_one_minus_s() {
        let device = Device::flex();
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
