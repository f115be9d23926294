//! Keys for batches that come without: from the optimizer step while training, from the bits of a sample while validating.
use crate::random::SampleKey;
use burn::tensor::Tensor;

/// Hands out positions within an optimizer step.
#[derive(Debug, Default)]
pub(super) struct UnkeyedSamples {
    step: u64,
    seen: u64,
}

impl UnkeyedSamples {
    /// Keys of the next `count` samples of `step`.
    pub fn next(&mut self, seed: u64, step: u64, count: usize) -> Vec<SampleKey> {
        let first = if self.step == step { self.seen } else { 0 };
        (self.step, self.seen) = (step, first + count as u64);
        (first..self.seen).map(|position| SampleKey { seed, epoch: step, position }).collect()
    }
}

/// Keys from the bits of each sample: the same sample is validated at the same timestep every epoch.
pub(super) fn content_keys<const D: usize>(data: &Tensor<D>, seed: u64) -> Vec<SampleKey> {
    let count = data.dims()[0];
    let values: Vec<f32> = data.to_data().iter::<f32>().collect();
    let size = (values.len() / count.max(1)).max(1);
    let mix = |hash: u64, v: &f32| (hash ^ u64::from(v.to_bits())).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    let key = |sample: &[f32]| SampleKey { seed, epoch: 0, position: sample.iter().fold(0xCBF2_9CE4_8422_2325, mix) };
    values.chunks(size).map(key).collect()
}
