//! Every random number is a pure function of a key: (seed, epoch, position, purpose).
//!
//! There is no generator state, so a run draws the same numbers on one or many devices, resumed or
//! not. The generator is ChaCha with 8 rounds, whose stream is fixed by its specification; the key
//! words are its 256-bit key, so two different keys never share a stream.
use burn::tensor::{Shape, TensorData};
use chacha20::ChaCha8Rng;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Identifies one sample of a run: the `position` in the permutation of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleKey {
    /// The seed of the run.
    pub seed: u64,
    /// The pass over the data set.
    pub epoch: u64,
    /// Position in the epoch's permutation.
    pub position: u64,
}

/// What a stream of random numbers is used for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// The pair of timesteps of a training sample.
    Timesteps = 1,
    /// The noise `x0` of a training sample.
    Noise = 2,
    /// Whether the condition of a training sample is dropped.
    ConditionDropout = 3,
    /// The permutation of an epoch.
    Shuffle = 4,
    /// The initial state of a generated sample.
    InitialState = 5,
    /// Cropping, augmentation and other choices made while loading data.
    Data = 6,
    /// Initial weights.
    Weights = 7,
    /// The condition a sample is generated for.
    GenerationCondition = 8,
    /// Random features of an evaluation.
    Features = 9,
    /// Where in its posterior the data `x1` of a sample lie.
    Posterior = 10,
    /// The increments of the Brownian motion of a generated sample; the epoch of the key is the step.
    Diffusion = 11,
    /// The extra noise that Input Perturbation adds to a training input.
    InputPerturbation = 12,
    /// Which samples a bootstrap resample draws.
    Bootstrap = 13,
    /// How far anti-drift carries a training sample towards the data.
    AntiDrift = 14,
    /// The first numbers of an adapter; the position of the key is that of its weight.
    Adapter = 15,
}

impl SampleKey {
    /// The keys of the `size` samples of training step `step`, for a loop of one's own without an epoch's permutation.
    pub fn batch(seed: u64, step: u64, size: usize) -> Vec<Self> {
        (0..size as u64).map(|position| Self { seed, epoch: step, position }).collect()
    }

    /// The stream of this sample for one purpose.
    pub fn rng(&self, purpose: Purpose) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([self.seed, self.epoch, self.position, purpose as u64]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// Standard normal values of shape `[keys.len(), sample...]`, each sample from its own stream.
pub fn normal(keys: &[SampleKey], purpose: Purpose, sample: &[usize]) -> TensorData {
    let count = sample.iter().product();
    let mut values = Vec::<f32>::with_capacity(keys.len() * count);
    for key in keys {
        let mut rng = key.rng(purpose);
        values.extend((0..count).map(|_| -> f32 { StandardNormal.sample(&mut rng) }));
    }
    let shape: Vec<usize> = [keys.len()].iter().chain(sample).copied().collect();
    TensorData::new(values, Shape::from(shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn noise_does_not_depend_on_the_batch_a_sample_is_in() {
        let keys: Vec<_> = (0..4).map(|position| SampleKey { seed: 7, epoch: 1, position }).collect();
        let together = normal(&keys, Purpose::Noise, &[3, 2]).try_to_vec::<f32>().unwrap();
        let apart: Vec<f32> =
            keys.iter().flat_map(|k| normal(&[*k], Purpose::Noise, &[3, 2]).try_to_vec::<f32>().unwrap()).collect();
        assert_eq!(together, apart);
    }

    #[test]
    fn a_batch_has_a_key_for_each_sample() {
        let keys = SampleKey::batch(7, 3, 2);
        assert_eq!(keys, [0, 1].map(|position| SampleKey { seed: 7, epoch: 3, position }));
    }

    #[test]
    fn every_word_of_the_key_changes_the_stream() {
        let key = SampleKey { seed: 1, epoch: 2, position: 3 };
        let first = |k: SampleKey, p| k.rng(p).next_u64();
        let base = first(key, Purpose::Noise);
        assert_ne!(base, first(SampleKey { seed: 2, ..key }, Purpose::Noise));
        assert_ne!(base, first(SampleKey { epoch: 3, ..key }, Purpose::Noise));
        assert_ne!(base, first(SampleKey { position: 4, ..key }, Purpose::Noise));
        assert_ne!(base, first(key, Purpose::Timesteps));
    }
}
