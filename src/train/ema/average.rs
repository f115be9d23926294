//! [`Ema`]: `ema ← d·ema + (1 − d)·network` beside any training loop.
use super::{EmaConfig, start, update};
use crate::train::count::UpdateCount;
use crate::{Error, Result};
use burn::module::{Module, ModuleDisplay, Param, ParamId};
use burn::tensor::{Int, Tensor};

/// An average of the weights of a network, for a loop of one's own; [`MixFlowTrainStep`](crate::train::MixFlowTrainStep) has
/// one built in.
///
/// It is a Burn module: `into_record` saves the weights and the number of updates, `load_record` brings both back. Load
/// before the first update. The average has parameter ids of its own and no gradient, so no optimizer reaches it.
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use burn_mixflow::train::{Ema, EmaConfig};
///
/// let network = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
/// let mut ema = Ema::new(&network, EmaConfig::default())?;
/// // After every step of the optimizer:
/// ema.update(&network);
/// assert_eq!(ema.updates(), 1);
/// let _to_sample_with = ema.network();
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Ema<N: Module> {
    network: N,
    updates: Param<Tensor<1, Int>>,
    #[module(skip)]
    config: EmaConfig,
    #[module(skip)]
    count: UpdateCount,
}

impl<N: Module + ModuleDisplay> Ema<N> {
    /// Starts at the weights of `network`. Parameters that Burn has not initialised yet are initialised here.
    ///
    /// # Errors
    /// [`Error::Config`] for a decay outside [0, 1).
    pub fn new(network: &N, config: EmaConfig) -> Result<Self> {
        Error::if_any(config.problems("ema"))?;
        let device = network.devices().into_iter().next().unwrap_or_default();
        let updates = Param::initialized(ParamId::new(), Tensor::zeros([1], &device));
        Ok(Self { network: start(network), updates, config, count: UpdateCount::default() })
    }

    /// Follows `network` by one step, with the decay of this update.
    pub fn update(&mut self, network: &N) {
        let decay = self.config.decay_at(self.count.get(&self.updates));
        self.network = update(self.network.clone(), network, decay);
        self.updates = self.updates.clone().map(|updates| updates.add_scalar(1));
        self.count.next();
    }

    /// The averaged network: validate and sample with it (`valid()` takes it off autodiff).
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Updates so far, those before a load included.
    pub fn updates(&self) -> u64 {
        self.count.get(&self.updates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn network() -> Linear {
        LinearConfig::new(3, 2).init(&Device::flex().autodiff())
    }

    fn weights(linear: &Linear) -> Vec<f32> {
        linear.weight.val().into_data().iter().collect()
    }

    #[test]
    fn it_is_the_recursion_and_goes_on_after_a_load() {
        let config = EmaConfig { decay: 0.5, ramp: true };
        let (start, to) = (network(), network());
        let mut whole = Ema::new(&start, config).unwrap();
        let mut expected = weights(&start);
        for k in 0..6 {
            whole.update(&to);
            let decay = (0.5f64).min((1.0 + k as f64) / (10.0 + k as f64));
            for (e, w) in expected.iter_mut().zip(weights(&to)) {
                *e = (w - *e) * (1.0 - decay) as f32 + *e;
            }
        }
        for (found, expected) in weights(whole.network()).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6);
        }
        let mut first = Ema::new(&start, config).unwrap();
        (0..3).for_each(|_| first.update(&to));
        let mut second = Ema::new(&network(), config).unwrap().load_record(first.into_record());
        (0..3).for_each(|_| second.update(&to));
        assert_eq!((second.updates(), weights(second.network())), (6, weights(whole.network())));
        assert!(Ema::new(&start, EmaConfig { decay: 1.5, ramp: true }).is_err());
    }
}
