//! A network and its sampler on each device, and samples that all of them share.
use super::Experiment;
use super::generate::Drawn;
use super::progress::Task;
use super::share::share;
use crate::models::{Network, NetworkCondition};
use crate::network::Condition;
use crate::sample::{Networks, Progress, SampleNoise, Sampler, SamplerConfig};
use crate::{Result, host};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What samples on one device.
pub(super) struct Generator {
    device: Device,
    network: Network,
    weak: Option<Network>,
    sampler: Sampler,
}

impl Generator {
    /// `network` on every device of the experiment.
    ///
    /// # Errors
    /// As [`Sampler::new`]; those of reading the weak network.
    pub fn on_each_device(experiment: &Experiment, network: &Network, config: &SamplerConfig) -> Result<Vec<Self>> {
        let on = |device: &Device| {
            let network = network.clone().to_device(device);
            Ok(Self {
                device: device.clone(),
                weak: experiment.weak(&network, config, device)?,
                network,
                sampler: experiment.sampler(config.clone())?,
            })
        };
        experiment.devices().iter().map(on).collect()
    }

    /// Where it is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Samples of `shape` `[C, H, W]` as the network makes them, one for each condition, which may be on another device.
    ///
    /// # Errors
    /// As [`Sampler::sample_at`].
    pub fn draw(
        &self,
        [channels, height, width]: [usize; 3],
        condition: NetworkCondition,
        noise: SampleNoise<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Tensor<4>> {
        let networks = Networks { main: &self.network, weak: self.weak.as_ref() };
        let shape = [noise.positions.len(), channels, height, width];
        let condition = condition.to_device(&self.device);
        self.sampler.sample_at(networks, &condition, shape, noise, &self.device, progress)
    }
}

impl Experiment {
    /// Samples as the network is trained on them, one after the other on the host, drawn in batches on all devices.
    pub(super) fn generate_values(
        &self,
        network: &Network,
        sampler: &SamplerConfig,
        condition: &NetworkCondition,
        drawn: Drawn,
    ) -> Result<Vec<f32>> {
        let Drawn { count, seed } = drawn;
        let (shape, batch) = (self.data().shape, sampler.batch_size);
        let size = shape.iter().product::<usize>();
        let generators = Generator::on_each_device(self, network, sampler)?;
        let groups: Vec<usize> = (0..count.div_ceil(batch)).collect();
        let task = Task::begin(self.progress(), "sampling", count as u64);
        let (done, values) = (AtomicU64::new(0), Mutex::new(vec![0.0; count * size]));
        share(&generators, &groups, |generator, group| {
            let (start, end) = (group * batch, count.min((group + 1) * batch));
            let positions: Vec<u64> = (start as u64..end as u64).collect();
            let noise = SampleNoise { seed, positions: &positions };
            let drawn = generator.draw(shape, condition.slice(start..end), noise, &mut |reached| {
                if generators.len() == 1 {
                    task.at((start + (end - start) * reached.step / reached.steps.max(1)) as u64);
                }
            })?;
            let drawn = host::values(drawn, "samples")?;
            let mut values = values.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            values[start * size..end * size].copy_from_slice(&drawn);
            let drawn = (end - start) as u64;
            task.at(done.fetch_add(drawn, Ordering::Relaxed) + drawn);
            Ok(())
        })?;
        drop(task);
        Ok(values.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}
