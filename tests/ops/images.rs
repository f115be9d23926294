//! Operations on images against Burn's.
use crate::support::{close, leaf, random};
use burn::tensor::{DType, Device, Tensor, activation};
use burn_mixflow::ops;

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
