//! Items to batches.
use super::{Array, Item};
use crate::random::{Purpose, SampleKey, normal};
use crate::train::FlowBatch;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Makes batches of items `[batch, C, H, W]` with the conditions that a function makes of the items.
///
/// ```
/// use burn::tensor::Device;
/// use burn_mixflow::data::{Item, ItemBatcher, stack_features, stack_labels};
/// let labels = ItemBatcher::new([4, 32, 32], stack_labels);
/// let both = |items: &[Item], device: &Device| (stack_labels(items, device), stack_features(items, device));
/// let aligned = ItemBatcher::new([4, 32, 32], both);
/// ```
#[derive(Debug, Clone)]
pub struct ItemBatcher<F> {
    shape: [usize; 3],
    condition: F,
}

impl<C, F: Fn(&[Item], &Device) -> C> ItemBatcher<F> {
    /// For items of `shape = [C, H, W]`.
    pub fn new(shape: [usize; 3], condition: F) -> Self {
        Self { shape, condition }
    }
}

impl<C, F> Batcher<Item, FlowBatch<4, C>> for ItemBatcher<F>
where
    F: Fn(&[Item], &Device) -> C + Send + Sync,
{
    fn batch(&self, items: Vec<Item>, device: &Device) -> FlowBatch<4, C> {
        let (data, deviation) = stack_data(&items, self.shape, device);
        let mirror = !items.is_empty() && items.iter().all(|item| item.mirror);
        let batch = FlowBatch::new(data, (self.condition)(&items, device)).with_mirror(mirror);
        deviation.into_iter().fold(batch, FlowBatch::with_deviation)
    }
}

/// The data `[batch, C, H, W]` or their means, and the standard deviations if the items have them.
pub fn stack_data(items: &[Item], shape: [usize; 3], device: &Device) -> (Tensor<4>, Option<Tensor<4>>) {
    let [c, h, w] = shape;
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [items.len(), c, h, w]), device);
    let data = items.iter().flat_map(|item| &item.data).copied().collect();
    let deviation: Option<Vec<&Vec<f32>>> = items.iter().map(|item| item.deviation.as_ref()).collect();
    let deviation = deviation.filter(|parts| !parts.is_empty());
    (tensor(data), deviation.map(|parts| tensor(parts.into_iter().flatten().copied().collect())))
}

/// The labels `[batch]`.
pub fn stack_labels(items: &[Item], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = items.iter().map(|item| item.label).collect();
    Tensor::from_data(TensorData::new(labels, [items.len()]), device)
}

/// The features `[batch, tokens, width]` of each encoder.
pub fn stack_features(items: &[Item], device: &Device) -> Vec<Tensor<3>> {
    let Some(first) = items.first() else { return Vec::new() };
    let encoder = |(i, array): (usize, &Array)| {
        let values: Vec<f32> = items.iter().flat_map(|item| &item.features[i].values).copied().collect();
        let shape = [items.len(), array.shape[0], array.shape[1]];
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    first.features.iter().enumerate().map(encoder).collect()
}

/// The embedded prompts: context `[batch, tokens, width]` and pooled `[batch, width]`; `None` if an item has none.
pub fn stack_texts(items: &[Item], device: &Device) -> Option<(Tensor<3>, Tensor<2>)> {
    let texts: Vec<_> = items.iter().map(|item| item.text.as_ref()).collect::<Option<_>>()?;
    let first = texts.first()?;
    let context: Vec<f32> = texts.iter().flat_map(|text| &text.context.values).copied().collect();
    let pooled: Vec<f32> = texts.iter().flat_map(|text| &text.pooled.values).copied().collect();
    let n = texts.len();
    let context = TensorData::new(context, [n, first.context.shape[0], first.context.shape[1]]);
    let pooled = TensorData::new(pooled, [n, first.pooled.shape[0]]);
    Some((Tensor::from_data(context, device), Tensor::from_data(pooled, device)))
}

/// The values of the items, drawn from their posteriors as [`FlowBatch::drawn`] does.
pub(super) fn drawn(items: Vec<Item>, shape: [usize; 3], keys: &[SampleKey]) -> Vec<f32> {
    if items.iter().any(|item| item.deviation.is_none()) {
        return items.into_iter().flat_map(|item| item.data).collect();
    }
    let noise = normal(keys, Purpose::Posterior, &shape);
    let mut noise = noise.iter::<f32>();
    let value = |item: Item| item.data.into_iter().zip(item.deviation.unwrap_or_default());
    items.into_iter().flat_map(value).map(|(mean, deviation)| mean + deviation * noise.next().unwrap_or(0.0)).collect()
}
