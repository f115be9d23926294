//! Noise that was drawn before the step that needs it.
use crate::random::{Purpose, SampleKey, normal};
use burn::tensor::{Device, Tensor};

/// The noise `x0` of a batch, and the keys that it was drawn from.
///
/// It is used for these keys only, and for data of its shape on its device; else a step draws what it needs, so that the
/// noise is that of the keys in any case.
#[derive(Debug, Clone)]
pub struct DrawnNoise<const D: usize> {
    pub(super) keys: Vec<SampleKey>,
    pub(super) noise: Tensor<D>,
}

impl<const D: usize> DrawnNoise<D> {
    /// Noise `[keys.len(), sample...]` on `device`.
    pub fn of(keys: &[SampleKey], sample: &[usize], device: &Device) -> Self {
        Self { keys: keys.to_vec(), noise: Tensor::from_data(normal(keys, Purpose::Noise, sample), device) }
    }

    /// The noise of `keys` for `data`: this one if it is that.
    pub(super) fn or_drawn(this: Option<Self>, keys: &[SampleKey], data: &Tensor<D>) -> Tensor<D> {
        let fits =
            |this: &Self| this.keys == keys && this.noise.dims() == data.dims() && this.noise.device() == data.device();
        this.filter(fits).unwrap_or_else(|| Self::of(keys, &data.dims()[1..], &data.device())).noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_that_of_the_keys_whatever_was_drawn() {
        let (keys, others) = (SampleKey::batch(3, 1, 4), SampleKey::batch(3, 2, 4));
        let data = Tensor::<2>::zeros([4, 5], &Device::flex());
        let drawn = |this| DrawnNoise::or_drawn(this, &keys, &data).into_data();
        let expected = drawn(None);
        assert_eq!(drawn(Some(DrawnNoise::of(&keys, &[5], &data.device()))), expected);
        assert_eq!(drawn(Some(DrawnNoise::of(&others, &[5], &data.device()))), expected);
        assert_eq!(drawn(Some(DrawnNoise::of(&keys, &[6], &data.device()))), expected);
        assert_eq!(drawn(Some(DrawnNoise::of(&keys, &[5], &data.device().autodiff()))), expected);
    }
}
