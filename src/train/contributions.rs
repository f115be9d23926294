//! Gradients of several devices, summed in an order that does not depend on which device is done first.
use super::gradients::add;
use super::shards::gathered;
use crate::random::SampleKey;
use burn::module::Module;
use burn::optim::GradientsParams;

/// The gradients of the update in work. Burn adds those of several devices as they arrive, and a sum of three or more
/// floats depends on its order.
#[derive(Default)]
pub(super) struct Contributions {
    arrived: Vec<Contribution>,
    sum: Option<GradientsParams>,
}

struct Contribution {
    /// The place of its first sample.
    place: (u64, u64),
    gradients: GradientsParams,
}

impl Contributions {
    /// Takes the gradient of a batch that begins with `key`. Once all `devices` have given theirs, they are added in the
    /// order of their samples, to those of the passes before: where the parameters of `network` lie if they are `spread`, else on
    /// the device of the first samples, which is the first. The network of who comes last would be on any of them.
    pub fn take<M: Module>(
        &mut self,
        network: &M,
        key: Option<&SampleKey>,
        gradients: GradientsParams,
        devices: usize,
        spread: bool,
    ) {
        let place = key.map_or((0, self.arrived.len() as u64), |key| (key.epoch, key.position));
        self.arrived.push(Contribution { place, gradients });
        if self.arrived.len() >= devices {
            self.add_up(network, spread);
        }
    }

    /// The sum where the parameters of `network` lie, and nothing is left.
    pub fn sum<M: Module>(&mut self, network: &M) -> GradientsParams {
        self.add_up(network, false);
        self.sum.take().map(|sum| gathered(network, sum)).unwrap_or_default()
    }

    fn add_up<M: Module>(&mut self, network: &M, spread: bool) {
        self.arrived.sort_by_key(|contribution| contribution.place);
        for Contribution { gradients, .. } in self.arrived.drain(..) {
            self.sum = Some(match self.sum.take() {
                Some(sum) => add(network, sum, gradients),
                None if spread => gathered(network, gradients),
                None => gradients,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    fn layer() -> Linear {
        LinearConfig::new(1, 1).with_bias(false).init(&Device::flex().autodiff())
    }

    fn sum(layer: &Linear, order: [usize; 3], passes: usize) -> f32 {
        // Values whose sum depends on the order.
        let values = [1.0e8f32, 1.0, -1.0e8];
        let mut contributions = Contributions::default();
        for pass in 0..passes {
            for i in order {
                let mut gradients = GradientsParams::new();
                gradients.register(layer.weight.id, Tensor::<2>::from_floats([[values[i]]], &Device::flex()));
                let key = SampleKey { seed: 0, epoch: 0, position: (3 * pass + i) as u64 };
                contributions.take(layer, Some(&key), gradients, 3, false);
            }
        }
        let sum = contributions.sum(layer);
        sum.get::<2>(layer.weight.id).unwrap().into_scalar::<f32>()
    }

    #[test]
    fn whoever_is_first_the_sum_is_the_same() {
        let layer = layer();
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for passes in [1, 2] {
            let expected = sum(&layer, orders[0], passes);
            assert!(orders.iter().all(|order| sum(&layer, *order, passes).to_bits() == expected.to_bits()));
        }
        assert_ne!((1.0e8f32 + 1.0) - 1.0e8, (1.0e8f32 - 1.0e8) + 1.0, "the values must show it");
    }
}
