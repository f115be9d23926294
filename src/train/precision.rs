//! The type of numbers a network computes in while its weights stay f32.
use crate::adapter::Place;
use crate::network::PredictionNetwork;
use burn::module::{ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// In which type the forward and backward pass of training compute.
///
/// Master weights, optimizer, EMA, timesteps and loss are f32 in both. With bf16 the weights are cast inside the
/// graph, so gradients arrive in f32; the network must compute in the type of its weights and return the type of its
/// input, as the networks of this crate do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16: about three significant digits, half the memory traffic, for GPUs with tensor cores.
    Bf16,
}

impl Precision {
    /// `network` as it is to be called: the same, or with every float parameter cast inside the graph, but for
    /// [`PredictionNetwork::KEPT_IN_F32`].
    pub(super) fn apply<N: PredictionNetwork<D>, const D: usize>(self, network: &N) -> N {
        match self {
            Self::F32 => network.clone(),
            Self::Bf16 => {
                network.clone().map(&mut Cast { to: FloatDType::BF16, kept: N::KEPT_IN_F32, place: Place::default() })
            }
        }
    }
}

struct Cast {
    to: FloatDType,
    kept: &'static [&'static str],
    place: Place,
}

impl ModuleMapper for Cast {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.place.is_one_of(self.kept) {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        Param::from_mapped_value(id, tensor.cast(self.to), mapper)
    }
}

#[cfg(all(test, feature = "models"))]
mod tests {
    use super::*;
    use crate::models::{Network, RaeConfig, SitConfig};
    use crate::train::gradients::{add, global_norm, scale};
    use burn::module::{Module, ModuleVisitor};
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device, Int};

    #[test]
    fn half_precision_gives_near_gradients_for_the_f32_weights() {
        let device = Device::flex().autodiff();
        let config = SitConfig { input_size: 4, hidden_size: 16, depth: 1, num_heads: 2, ..Default::default() };
        let network = config.init(&device).unwrap();
        let x = Tensor::<4>::ones([2, 4, 4, 4], &device);
        let labels = Tensor::<1, Int>::from_ints([1, 2], &device);
        let gradients = |precision: Precision| {
            let t = Tensor::<1>::from_floats([0.25, 0.75], &device);
            let output = precision.apply(&network).predict(x.clone(), t, &labels).output;
            assert_eq!(output.dtype(), DType::F32);
            GradientsParams::from_module(&mut (output - 1.0).square().mean().backward(), &network)
        };
        let norm = |grads: &GradientsParams| global_norm(&network, grads).unwrap().into_scalar::<f32>();
        let (whole, half) = (gradients(Precision::F32), gradients(Precision::Bf16));
        assert_eq!(whole.len(), half.len());
        let size = norm(&whole);
        let difference = norm(&add(&network, whole, scale(&network, half, -1.0)));
        assert!(difference > 0.0 && difference < 0.03 * size, "{difference} of {size}");
    }

    #[test]
    fn what_must_not_be_rounded_is_kept() {
        let device = Device::flex().autodiff();
        let config = RaeConfig {
            input_size: 2,
            in_channels: 2,
            hidden_size: [8, 8],
            depth: [1, 1],
            num_heads: [1, 1],
            num_classes: 2,
            ..Default::default()
        };
        let mut types = Types::default();
        let network = config.init(&device).unwrap();
        Precision::Bf16.apply::<_, 4>(&network).visit(&mut types);
        let kept: Vec<&String> = types.found.iter().filter(|(_, t)| *t == DType::F32).map(|(path, _)| path).collect();
        assert_eq!(kept, ["t_embedder.frequencies"]);
        assert!(types.found.len() > 20);
        // Inside of the enum of all networks, too.
        let mut types = Types::default();
        Precision::Bf16.apply::<_, 4>(&Network::Rae(network)).visit(&mut types);
        assert_eq!(types.found.iter().filter(|(_, t)| *t == DType::F32).count(), 1);
    }

    #[derive(Default)]
    struct Types {
        path: Vec<String>,
        found: Vec<(String, DType)>,
    }

    impl ModuleVisitor for Types {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), param.val().dtype()));
        }
    }
}
