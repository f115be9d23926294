//! Samples of a network or a field.
use super::config::LabelSampling;
use super::opened::Experiment;
use super::samples::Samples;
use crate::models::{Network, NetworkCondition};
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::{Sampler, SamplerConfig, VelocityField, WeakGuidanceConfig};
use crate::{Error, Result, host};
use burn::data::dataset::Dataset;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

/// Which samples: how many, from the noise of which seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn {
    pub count: usize,
    pub seed: u64,
}

impl Experiment {
    /// The sampler of a configuration, for networks of this experiment.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn sampler(&self, config: SamplerConfig) -> Result<Sampler> {
        let flow = &self.config().flow;
        let interval = TrainingInterval::sampling(flow.path, flow.prediction);
        Sampler::new(config, flow.path.build(), flow.prediction, interval)
    }

    /// The network that weak guidance leads away from, if there is one, on `device`, where `network` is: read from its file, or
    /// `network` without layers.
    pub(super) fn weak(&self, network: &Network, sampler: &SamplerConfig, device: &Device) -> Result<Option<Network>> {
        let sample = &self.config().sample;
        match (&sampler.weak_guidance, &sample.weak) {
            (Some(WeakGuidanceConfig::Autoguidance { .. }), Some(weak)) => {
                let network = weak.network.init(0, device)?;
                Ok(Some(network.import(&weak.weights.file, &weak.weights.options())?.0))
            }
            (Some(WeakGuidanceConfig::SkipLayer { .. }), _) => network.skipping(&sample.skipped_layers).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`generate_values`](Self::generate_values), with a field in place of a network.
    pub(super) fn integrate(
        &self,
        field: &dyn VelocityField<4>,
        sampler: &SamplerConfig,
        drawn: Drawn,
    ) -> Result<Vec<f32>> {
        let (shape, sampler) = (self.data().shape, self.sampler(sampler.clone())?);
        let mut all = Vec::with_capacity(drawn.count * shape.iter().product::<usize>());
        for start in (0..drawn.count).step_by(sampler.config().batch_size) {
            let end = drawn.count.min(start + sampler.config().batch_size);
            let draw = |epoch: usize, purpose| {
                let key = |i| SampleKey { seed: drawn.seed, epoch: epoch as u64, position: i as u64 };
                let keys: Vec<_> = (start..end).map(key).collect();
                Tensor::<4>::from_data(normal(&keys, purpose, &shape), self.device())
            };
            let mut noise = |step| draw(step, Purpose::Diffusion);
            let state = sampler.integrate(field, draw(0, Purpose::InitialState), &mut noise, &mut |_| ())?;
            all.extend(host::values(state, "samples")?);
        }
        Ok(all)
    }

    /// Generates as the section `sample` says, with `network` on the first device, without autodiff; all devices share it.
    ///
    /// # Errors
    /// As [`Sampler::sample`]; what loading the weak network or the decoder reports; [`Error::Invalid`] for samples that
    /// are not finite.
    pub fn sample(&self, network: &Network) -> Result<Samples> {
        let sample = &self.config().sample;
        let labels = self.labels();
        let condition = self.sample_condition(0, &labels)?;
        let drawn = Drawn { count: sample.count, seed: sample.seed };
        let values = self.generate_values(network, &sample.sampler, &condition, drawn)?;
        let [channels, height, width] = self.data().shape;
        let shape = [sample.count, channels, height, width];
        let latents = Tensor::from_data(TensorData::new(values, shape), self.device());
        check_finite(&latents)?;
        let latents = self.data().scaling.to_stored(latents);
        let pixels = match self.pixel_decoder(self.device()) {
            None => None,
            Some((_, decoder)) => Some(decoder?.0.decode(&latents)?),
        };
        Ok(Samples { form: self.config().data.form(), latents, labels, pixels })
    }

    fn labels(&self) -> Vec<i64> {
        (0..self.config().sample.count as u64).map(|position| self.label(position)).collect()
    }

    /// The label of the sample at a position.
    pub(super) fn label(&self, position: u64) -> i64 {
        let (sample, classes) = (&self.config().sample, self.data().classes.max(1) as u64);
        match sample.labels {
            LabelSampling::Equal => (position % classes) as i64,
            LabelSampling::Random => {
                let key = SampleKey { seed: sample.seed, epoch: 0, position };
                key.rng(Purpose::GenerationCondition).random_range(0..classes as usize) as i64
            }
        }
    }

    /// The labels, or the texts of the held-out items in turn, from sample `first` on.
    pub(super) fn sample_condition(&self, first: usize, labels: &[i64]) -> Result<NetworkCondition> {
        if !self.config().network.reads_text() {
            let labels = TensorData::new(labels.to_vec(), [labels.len()]);
            return Ok(Tensor::<1, Int>::from_data(labels, self.device()).into());
        }
        let held_out = &self.data().held_out;
        let places = (first..first + labels.len()).map(|i| i % held_out.len());
        let items = places.map(|place| held_out.get(place)).collect::<Result<Vec<_>, _>>();
        Ok(self.condition(items.map_err(|e| Error::Invalid(e.to_string()))?))
    }
}

/// # Errors
/// [`Error::Invalid`] for samples that are not finite.
pub(super) fn check_finite(samples: &Tensor<4>) -> Result<()> {
    if samples.clone().sum().into_scalar::<f32>().is_finite() {
        return Ok(());
    }
    Err(Error::Invalid("the samples are not finite: the weights are not, or the guidance is too strong".into()))
}
