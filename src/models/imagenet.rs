//! The colours of ImageNet, in which DINOv2 reads pictures and RAE's decoder writes them: red, green and blue in [0, 1].
use burn::tensor::{Tensor, TensorData};

const COLOURS: usize = 3;
const MEAN: [f32; COLOURS] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; COLOURS] = [0.229, 0.224, 0.225];

/// Mean and deviation `[1, 3, 1, 1]`, on the device and in the type of `like`.
pub(crate) fn colours(like: &Tensor<4>) -> [Tensor<4>; 2] {
    [MEAN, DEVIATION].map(|values| {
        let data = TensorData::new(values.to_vec(), [1, COLOURS, 1, 1]);
        Tensor::from_data(data, (&like.device(), like.dtype()))
    })
}
