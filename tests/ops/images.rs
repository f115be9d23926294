//! Convolutions and group norms against Burn's own, and convolutions against sums in f64.
use crate::support::{close, leaf, random};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor, activation, module};
use burn_mixflow::ops;

/// Image, kernel with its outputs, stride, zeros above, below, left and right.
type Case = ([usize; 4], [usize; 3], [usize; 2], [usize; 4]);

const CASES: [Case; 22] = [
    // 2 × 2 results of 4 × 4 windows, with sides that leave half a square, in one block and in many.
    ([1, 8, 4, 4], [8, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([2, 16, 7, 5], [9, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([1, 40, 33, 130], [24, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([3, 16, 9, 6], [1, 3, 3], [1, 1], [0, 2, 3, 1]),
    ([5, 24, 8, 8], [32, 3, 3], [1, 1], [0, 0, 0, 0]),
    ([1, 8, 6, 3000], [8, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([40, 8, 2, 2], [8, 3, 3], [1, 1], [1, 1, 1, 1]),
    // Any other kernel.
    ([1, 3, 16, 16], [40, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([2, 24, 17, 12], [16, 3, 3], [2, 2], [0, 1, 0, 1]),
    ([1, 24, 16, 31], [16, 3, 3], [2, 2], [0, 0, 0, 0]),
    ([2, 20, 9, 11], [30, 1, 1], [1, 1], [0, 0, 0, 0]),
    ([2, 20, 9, 11], [30, 1, 1], [2, 3], [0, 0, 0, 0]),
    ([1, 16, 17, 17], [20, 1, 7], [1, 1], [0, 0, 3, 3]),
    ([1, 16, 17, 17], [20, 7, 1], [1, 1], [3, 3, 0, 0]),
    ([1, 12, 35, 35], [16, 5, 5], [1, 1], [2, 2, 2, 2]),
    ([2, 3, 28, 42], [48, 14, 14], [14, 14], [0, 0, 0, 0]),
    ([1, 4, 5, 5], [4, 3, 3], [1, 1], [4, 4, 4, 4]),
    ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0, 0, 0]),
    ([1, 8, 1, 9], [8, 3, 3], [1, 1], [1, 1, 1, 1]),
    ([1, 2, 4, 200], [3, 2, 2], [1, 1], [0, 0, 0, 0]),
    ([70, 3, 4, 4], [5, 2, 2], [2, 2], [0, 0, 0, 0]),
    ([1, 3, 299, 20], [8, 3, 3], [2, 2], [0, 0, 0, 0]),
];

fn options(stride: [usize; 2], [above, below, left, right]: [usize; 4]) -> ConvOptions<2> {
    ConvOptions::new_with_padding(stride, [(above, below), (left, right)], [1, 1], 1)
}

/// An image, a kernel whose sums are of the size of the image, and a bias.
fn numbers(
    image: [usize; 4],
    [outputs, height, width]: [usize; 3],
    device: &Device,
) -> (Tensor<4>, Tensor<4>, Tensor<1>) {
    let depth = (image[1] * height * width) as f64;
    let weight = random(1, [outputs, image[1], height, width], device) / depth.sqrt();
    (random(0, image, device), weight, random(2, [outputs], device))
}

#[test]
fn convolutions_are_burns() {
    let device = Device::flex();
    for (image, kernel, stride, zeros) in CASES {
        let (x, weight, bias) = numbers(image, kernel, &device);
        let name = format!("{image:?} {kernel:?} {stride:?} {zeros:?}");
        let options = || options(stride, zeros);
        let plain = module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options());
        close(&name, ops::conv2d(x.clone(), weight.clone(), Some(bias), options()), plain);
        let plain = module::conv2d(x.clone(), weight.clone(), None, options());
        close(&format!("{name} without bias"), ops::conv2d(x, weight, None, options()), plain);
    }
}

#[test]
fn views_are_read_as_they_are_seen() {
    let device = Device::flex();
    let (x, weight, bias) = numbers([2, 16, 12, 10], [8, 3, 3], &device);
    let (x, weight) = (x.swap_dims(2, 3).narrow(1, 4, 8), weight.narrow(1, 8, 8).swap_dims(0, 1));
    let options = || options([1, 1], [1, 1, 1, 1]);
    let plain = module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options());
    close("views", ops::conv2d(x, weight, Some(bias), options()), plain);
}

#[test]
fn groups_and_gaps_and_other_types_and_gradients_are_burns() {
    let device = Device::flex();
    let (x, weight, bias) = numbers([1, 8, 9, 9], [8, 3, 3], &device);
    let spread = ConvOptions::new([1, 1], [2, 2], [2, 2], 1);
    let plain = module::conv2d(x.clone(), weight.clone(), None, spread.clone());
    close("gaps", ops::conv2d(x.clone(), weight.clone(), None, spread), plain);
    let grouped = ConvOptions::new([1, 1], [1, 1], [1, 1], 4);
    let part = weight.clone().narrow(1, 0, 2);
    let plain = module::conv2d(x.clone(), part.clone(), None, grouped.clone());
    close("groups", ops::conv2d(x.clone(), part, None, grouped), plain);

    let options = || options([1, 1], [1, 1, 1, 1]);
    let half = ops::conv2d(x.clone().cast(DType::BF16), weight.clone().cast(DType::BF16), None, options());
    assert_eq!((half.dtype(), half.dims()), (DType::BF16, [1, 8, 9, 9]));

    let tracked = Device::flex().autodiff();
    let (x, weight, bias) = (leaf(&x, &tracked), leaf(&weight, &tracked), leaf(&bias, &tracked));
    let gradient = |y: Tensor<4>| weight.grad(&y.square().sum().backward()).unwrap();
    let plain = module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options());
    close("gradient", gradient(ops::conv2d(x, weight.clone(), Some(bias), options())), gradient(plain));
}

#[test]
fn sums_of_thousands_round_about_as_burns_do() {
    let device = Device::flex();
    let (x, weight, bias) = numbers([1, 512, 12, 12], [16, 3, 3], &device);
    let options = || options([1, 1], [1, 1, 1, 1]);
    let exact = {
        let [x, weight] = [&x, &weight].map(|t| t.clone().cast(DType::F64));
        module::conv2d(x, weight, Some(bias.clone().cast(DType::F64)), options())
    };
    let off = |y: Tensor<4>| (y.cast(DType::F64) - exact.clone()).abs().max().into_scalar::<f64>();
    let largest = exact.clone().abs().max().into_scalar::<f64>();
    let own = off(ops::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options())) / largest;
    let burns = off(module::conv2d(x, weight, Some(bias), options())) / largest;
    assert!(own < 1e-6 && own < 3.0 * burns, "{own:e} beside {burns:e}");
}

#[test]
fn group_norms_are_the_formula() {
    let device = Device::flex();
    for (shape, groups) in [([1, 4, 3, 5], 2), ([2, 64, 32, 32], 32), ([3, 6, 1, 1], 3), ([2, 32, 70, 130], 32)] {
        // Far from zero, where sums of squares lose digits.
        let x = random(0, shape, &device) * 2.0 + 30.0;
        let channels = shape[1];
        let (weight, bias) = (random(1, [channels], &device), random(2, [channels], &device));
        let plain = {
            let x: Tensor<3> =
                x.clone().cast(DType::F64).reshape([shape[0], groups, channels / groups * shape[2] * shape[3]]);
            let centred = x.clone() - x.mean_dim(2);
            let normed = centred.clone() / (centred.square().mean_dim(2) + 1e-6).sqrt();
            let of_channel = |t: &Tensor<1>| t.clone().reshape([1, channels, 1, 1]);
            normed.reshape(shape).cast(DType::F32) * of_channel(&weight) + of_channel(&bias)
        };
        let name = format!("{shape:?} {groups}");
        close(&name, ops::group_norm(x.clone(), weight.clone(), bias.clone(), groups, 1e-6), plain.clone());
        let kept = x.clone();
        close(
            &name,
            ops::group_norm_silu(x, weight.clone(), bias.clone(), groups, 1e-6),
            activation::silu(plain.clone()),
        );
        let tracked = Device::flex().autodiff();
        let x = leaf(&kept, &tracked);
        let y = ops::group_norm_silu(x.clone(), leaf(&weight, &tracked), leaf(&bias, &tracked), groups, 1e-6);
        close(&name, y.clone().inner(), activation::silu(plain));
        assert!(x.grad(&y.sum().backward()).is_some());
    }
}
