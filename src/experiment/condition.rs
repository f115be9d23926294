//! What items say to the networks that JSON can name: labels, features to align with, text.
use crate::data::{Array, DataSplit, Item, stack_features, stack_labels, stack_texts};
use crate::models::NetworkCondition;
use crate::models::mmdit::{NullText, TextCondition};
use crate::network::Condition;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use std::sync::Arc;

/// The function that makes the conditions of a batch of `data`'s items.
pub(super) fn conditions(
    data: &DataSplit,
) -> impl Fn(&[Item], &Device) -> NetworkCondition + Clone + Send + Sync + use<> {
    let null = data.null_text.as_ref().map(|text| {
        let device = Device::flex();
        let (context, pooled) = (tensor::<2>(&text.context, &device), tensor::<1>(&text.pooled, &device));
        Arc::new(NullText { context: context.unsqueeze(), pooled: Some(pooled.unsqueeze()) })
    });
    move |items: &[Item], device: &Device| NetworkCondition {
        labels: stack_labels(items, device),
        features: stack_features(items, device),
        text: stack_texts(items, device).map(|(context, pooled)| {
            let text = TextCondition::new(context, Some(pooled));
            match &null {
                Some(null) => text.with_null(null.clone()).to_device(device),
                None => text,
            }
        }),
    }
}

fn tensor<const D: usize>(array: &Array, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.values.clone(), Shape::from(array.shape.clone())), device)
}
