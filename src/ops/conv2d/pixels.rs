//! Kernels of one pixel that step by one: the product of the weights with the image, places side by side.
use super::geometry::Geometry;
use crate::ops::product::product_over;
use crate::ops::slices;
use faer::MatRef;

/// The result for an image `x`, `weight` and `bias`.
pub(super) fn convolved(x: &[f32], weight: &[f32], bias: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (inputs, outputs, places) = (geometry.inputs, geometry.outputs, geometry.image[0] * geometry.image[1]);
    let weight = MatRef::from_row_major_slice(weight, outputs, inputs);
    let mut result = slices::cleared(geometry.result_shape().into_iter().product());
    for (x, y) in x.chunks_exact(inputs * places).zip(result.chunks_exact_mut(outputs * places)) {
        let x = MatRef::from_row_major_slice(x, inputs, places);
        product_over(y, weight, x, |[row, _], numbers| numbers.iter_mut().for_each(|y| *y += bias[row]));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::windows;
    use burn::tensor::ops::ConvOptions;

    #[test]
    fn it_is_what_windows_give() {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let numbers = |count: usize| (0..count).map(|i| (i * 7919 % 8191) as f32 / 4095.5 - 1.0).collect::<Vec<_>>();
        for ([batch, inputs, height, width], outputs) in
            [([1, 1, 1, 1], 1), ([2, 40, 35, 35], 33), ([3, 7, 8, 8], 500), ([1, 64, 61, 3], 5)]
        {
            let geometry = Geometry::of([batch, inputs, height, width], [outputs, inputs, 1, 1], &options).unwrap();
            assert!(geometry.is_one_product());
            let (x, weight, bias) =
                (numbers(batch * inputs * height * width), numbers(outputs * inputs), numbers(outputs));
            let found = convolved(&x, &weight, &bias, &geometry);
            let expected = windows::convolved(&x, &weight, &bias, &geometry);
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= 2e-5, "{geometry:?}: {a} and {b}");
            }
        }
    }
}
