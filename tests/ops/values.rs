//! Values and gradients, fused against plain.
use crate::plain;
use crate::support::{close, leaf, random, tracked};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use burn_mixflow::ops;

type Unary = fn(Tensor<2>) -> Tensor<2>;

/// Values, and the gradient where x comes out of another operation and is used a second time.
fn unary(name: &str, fused: Unary, plain: Unary) {
    let device = Device::flex();
    for (seed, width) in [1, 7, 64, 1023, 5003].into_iter().enumerate() {
        let x = random(seed as u64, [3, width], &device) * 3.0;
        close(name, fused(x.clone()), plain(x.clone()));
        let rows = |x: &Tensor<2>| x.clone().narrow(0, 1, 2);
        close(&format!("{name} of a view"), fused(rows(&x)), plain(rows(&x)));
        let turned = |x: &Tensor<2>| x.clone().transpose();
        close(&format!("{name} of a transposed view"), fused(turned(&x)), plain(turned(&x)));
        for device in tracked() {
            let gradient = |f: Unary| {
                let x = leaf(&x, &device);
                x.grad(&(f(x.clone() * 0.7) * x.clone()).sum().backward()).unwrap()
            };
            close(&format!("gradient of {name}"), gradient(fused), gradient(plain));
        }
    }
    // What somebody else holds stays; what nobody holds may be written over.
    let x = random(9, [5, 1031], &device);
    let before = x.to_data();
    let _ = fused(x.clone());
    assert_eq!(x.to_data(), before);
    close(name, fused(x.clone() + 0.0), plain(x));
    let odd = fused(Tensor::from_floats([[f32::NAN, f32::INFINITY, 1.0, -100.0, 100.0]], &device));
    let odd = odd.into_data().try_to_vec::<f32>().unwrap();
    assert!(odd[0].is_nan() && odd[1] == f32::INFINITY && odd[3].abs() < 1e-30 && odd[4] == 100.0, "{odd:?}");
}

#[test]
fn gelu() {
    unary("gelu by tanh", ops::gelu_tanh, plain::gelu_tanh);
}

/// Burn's takes 1 + erf(x / √2), which has an error of 2⁻²⁴ where x is far below 0.
#[test]
fn exact_gelu_is_burns_up_to_its_rounding() {
    let x = random(7, [5003], &Device::flex()) * 2.0;
    let [own, plain] = [ops::gelu(x.clone()), burn::tensor::activation::gelu(x.clone())];
    let numbers = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
    for ((x, own), plain) in numbers(x).into_iter().zip(numbers(own)).zip(numbers(plain)) {
        assert!((own - plain).abs() <= 5e-7 * (1.0 + x.abs()), "{x}: {own} instead of {plain}");
    }
}

#[test]
fn silu() {
    unary("silu", ops::silu, plain::silu);
}

/// x `[batch, tokens, width]` and shapes of shift and scale.
const ROWS: [([usize; 3], [usize; 3]); 7] = [
    ([2, 5, 13], [2, 1, 13]),
    ([3, 257, 96], [3, 1, 96]),
    ([1, 1, 7], [1, 1, 7]),
    ([2, 300, 17], [2, 300, 17]),
    ([1, 301, 64], [1, 1, 64]),
    ([4, 33, 72], [1, 1, 72]),
    // Shared by samples but not by tokens: the plain formula runs.
    ([4, 3, 16], [1, 3, 16]),
];

type Ternary = fn(Tensor<3>, Tensor<3>, Tensor<3>) -> Tensor<3>;

fn ternary(name: &str, fused: Ternary, plain: Ternary, third: fn([usize; 3], [usize; 3]) -> [usize; 3]) {
    for (seed, (of_x, of_scale)) in ROWS.into_iter().enumerate() {
        let (seed, device) = (4 * seed as u64, Device::flex());
        let x = random(seed, of_x, &device) * 2.0 + 0.5;
        let small = random(seed + 1, of_scale, &device) * 0.5;
        let other = random(seed + 2, third(of_x, of_scale), &device);
        let weight = random(seed + 3, of_x, &device);
        let run = |f: Ternary| f(x.clone(), small.clone(), other.clone());
        close(&format!("{name} {of_x:?}"), run(fused), run(plain));
        for device in tracked() {
            let gradients = |f: Ternary| {
                let [x, small, other] = [&x, &small, &other].map(|t| leaf(t, &device));
                let y = f(x.clone() * 1.5, small.clone() * 1.5, other.clone());
                let grads = (y * Tensor::from_data(weight.to_data(), &device)).sum().backward();
                [x, small, other].map(|t| t.grad(&grads).unwrap())
            };
            for (i, (fused, plain)) in gradients(fused).into_iter().zip(gradients(plain)).enumerate() {
                close(&format!("gradient {i} of {name} {of_x:?}"), fused, plain);
            }
        }
    }
}

#[test]
fn modulated_layer_norm() {
    ternary(
        "modulate_norm",
        |x, scale, shift| ops::modulate_norm(x, shift, scale, 1e-6),
        |x, scale, shift| plain::modulate(plain::layer_norm(x), shift, scale),
        |_, of_scale| of_scale,
    );
}

#[test]
fn modulation() {
    let third: fn([usize; 3], [usize; 3]) -> [usize; 3] = |_, of_scale| of_scale;
    ternary("modulate", |x, a, b| ops::modulate(x, b, a), |x, a, b| plain::modulate(x, b, a), third);
}

#[test]
fn gated_residual() {
    let third: fn([usize; 3], [usize; 3]) -> [usize; 3] = |of_x, _| of_x;
    ternary("gated", |x, gate, r| ops::gated(r, gate, x), |x, gate, r| r + gate * x, third);
}

#[test]
fn norms_with_learned_weights() {
    for (seed, shape) in [[2, 3, 5, 16], [1, 1, 1, 7], [3, 2, 257, 64], [2, 2, 3, 129]].into_iter().enumerate() {
        let (seed, device, width) = (3 * seed as u64, Device::flex(), shape[3]);
        let (x, weight, bias) = (random(seed, shape, &device) + 0.3, random(seed + 1, [width], &device), seed + 2);
        let bias = random(bias, [width], &device);
        type Normed = fn(Tensor<4>, Tensor<1>, Tensor<1>) -> Tensor<4>;
        let cases: [(&str, Normed, Normed); 3] = [
            (
                "rms",
                |x, w, b| ops::rms_norm(x, w, 1e-6) + b.unsqueeze(),
                |x, w, b| plain::rms_norm(x, w) + b.unsqueeze(),
            ),
            (
                "affine layer norm",
                |x, w, b| ops::affine_layer_norm(x, w, b, 1e-6),
                |x, w, b| plain::layer_norm(x) * w.unsqueeze() + b.unsqueeze(),
            ),
            (
                "layer norm",
                |x, w, b| ops::layer_norm(x, 1e-6) * w.unsqueeze() + b.unsqueeze(),
                |x, w, b| plain::layer_norm(x) * w.unsqueeze() + b.unsqueeze(),
            ),
        ];
        for (name, fused, plain) in cases {
            let values = |f: Normed| f(x.clone().swap_dims(1, 2), weight.clone(), bias.clone());
            close(name, values(fused), values(plain));
            for device in tracked() {
                let gradients = |f: Normed| {
                    let (x, w, b) = (leaf(&x, &device), leaf(&weight, &device), leaf(&bias, &device));
                    let y = f(x.clone().swap_dims(1, 2), w.clone(), b.clone());
                    let grads = (y.clone() * y.clone() * y).sum().backward();
                    (x.grad(&grads).unwrap(), w.grad(&grads).unwrap(), b.grad(&grads).unwrap())
                };
                let (found, expected) = (gradients(fused), gradients(plain));
                close(&format!("dx of {name}"), found.0, expected.0);
                close(&format!("dweight of {name}"), found.1, expected.1);
                close(&format!("dbias of {name}"), found.2, expected.2);
            }
        }
    }
}

/// Batch, heads, tokens and width of a head.
const HEADS: [[usize; 4]; 7] =
    [[2, 3, 50, 16], [1, 2, 257, 64], [1, 1, 300, 72], [2, 2, 1, 8], [5, 1, 16, 32], [1, 1, 1100, 5], [2, 6, 131, 1]];

#[test]
fn attention_of_tokens_to_each_other() {
    for (seed, [batch, heads, tokens, width]) in HEADS.into_iter().enumerate() {
        let (seed, device) = (2 * seed as u64, Device::flex());
        let qkv = random(seed, [batch, tokens, 3, heads, width], &device) * 1.5;
        let weight = random(seed + 1, [batch, tokens, heads * width], &device);
        let name = format!("[{batch}, {heads}, {tokens}, {width}]");
        close(&name, ops::self_attention(qkv.clone()), plain::self_attention(qkv.clone()));
        // The same heads, given one by one as views.
        let views = |qkv: Tensor<5>| {
            let [q, k, v] = plain::taken_apart(&qkv);
            ops::attention(q, k, v).swap_dims(1, 2).reshape([batch, tokens, heads * width])
        };
        close(&format!("views {name}"), views(qkv.clone()), plain::self_attention(qkv.clone()));
        for device in tracked() {
            let gradient = |f: &dyn Fn(Tensor<5>) -> Tensor<3>| {
                let x = leaf(&qkv, &device);
                let y = f(x.clone() * 0.9) * Tensor::from_data(weight.to_data(), &device);
                x.grad(&y.sum().backward()).unwrap()
            };
            let expected = gradient(&plain::self_attention);
            close(&format!("gradient {name}"), gradient(&ops::self_attention), expected.clone());
            close(&format!("gradient of views {name}"), gradient(&views), expected);
        }
    }
}

#[test]
fn attention_between_different_lengths_and_widths() {
    for (seed, [queries, keys, d, e]) in [[1, 40, 16, 24], [37, 5, 8, 3], [130, 300, 64, 64]].into_iter().enumerate() {
        let (seed, device) = (4 * seed as u64, Device::flex());
        let q = random(seed, [2, 3, queries, d], &device);
        let k = random(seed + 1, [2, 3, d, keys], &device);
        let v = random(seed + 2, [2, 3, keys, e], &device);
        let weight = random(seed + 3, [2, 3, queries, e], &device);
        for device in tracked() {
            let run = |f: fn(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>| {
                let [q, k, v] = [&q, &k, &v].map(|t| leaf(t, &device));
                // Keys whose numbers lie apart, and values that a transposed view of themselves follows.
                let y = f(q.clone(), k.clone().transpose(), v.clone());
                let grads = (y.clone() * Tensor::from_data(weight.to_data(), &device)).sum().backward();
                ([q, k, v].map(|t| t.grad(&grads).unwrap()), y.inner())
            };
            let ((found, y), (expected, plain)) = (run(ops::attention), run(plain::attention));
            close("attention", y, plain);
            for (found, expected) in found.into_iter().zip(expected) {
                close("gradient of attention", found, expected);
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let device = Device::flex();
    let at = |x: Tensor<4>, i: usize| {
        x.slice_assign([0..1, 0..1, i..i + 1, 0..1], Tensor::full([1, 1, 1, 1], f32::NAN, &device))
    };
    let nans = |y: Tensor<4>| -> Vec<bool> { y.into_data().iter::<f32>().map(f32::is_nan).collect() };
    let [q, k, v] = [0, 1, 2].map(|seed| random(seed, [1, 1, 20, 8], &device));
    for (q, k, v) in [
        (at(q.clone(), 3), k.clone(), v.clone()),
        (q.clone(), at(k.clone(), 3), v.clone()),
        (q.clone(), k.clone(), at(v.clone(), 3)),
    ] {
        let found = nans(ops::attention(q.clone(), k.clone(), v.clone()));
        assert_eq!(found, nans(plain::attention(q, k, v)));
        assert!(found.iter().any(|nan| *nan));
    }
    let x = random(3, [1, 2, 3, 8], &device);
    let weight = Tensor::<1>::ones([8], &device);
    let found = nans(ops::rms_norm(at(x, 1), weight, 1e-6));
    assert_eq!(found.iter().filter(|nan| **nan).count(), 8);
}

/// Only some inputs tracked; nothing tracked on an autodiff device; other types; mixed devices fall to Burn.
#[test]
fn partly_tracked_and_other_types() {
    let (device, tracked) = (Device::flex(), Device::flex().autodiff());
    let x = random(0, [2, 5, 16], &device);
    let scale = random(1, [2, 1, 16], &device);
    let run = |f: Ternary| {
        let (x, s) = (Tensor::<3>::from_data(x.to_data(), &tracked), leaf(&scale, &tracked));
        let grads = f(x.clone(), s.clone(), s.clone()).sum().backward();
        assert!(x.grad(&grads).is_none());
        s.grad(&grads).unwrap()
    };
    close(
        "one tensor as shift and scale",
        run(|x, a, b| ops::modulate_norm(x, b, a, 1e-6)),
        run(|x, a, b| plain::modulate(plain::layer_norm(x), b, a)),
    );
    close("a gate alone", run(|x, a, _| ops::gated(x.clone(), a, x)), run(|x, a, _| x.clone() + a * x));
    let x = Tensor::<3>::from_data(x.to_data(), &tracked);
    let plain = plain::gelu_tanh(x.clone().inner());
    close("nothing tracked", ops::gelu_tanh(x.clone()).inner(), plain.clone());
    let double = ops::gelu_tanh(x.clone().cast(FloatDType::F64));
    assert_eq!(double.dtype(), DType::F64);
    close("f64", double.cast(FloatDType::F32).inner(), plain.clone());
    let half = ops::gelu_tanh(x.cast(FloatDType::F16)).cast(FloatDType::F32).inner();
    assert!((half - plain).abs().max().into_scalar::<f32>() < 1e-2);
}

type Layer = fn(Tensor<3>, Tensor<2>, Tensor<1>) -> Tensor<3>;

#[test]
fn linear_layers() {
    for (seed, [batch, tokens, inputs, outputs]) in
        [[2, 5, 7, 3], [1, 1, 4, 9], [3, 257, 24, 96], [8, 1, 64, 130], [2, 300, 40, 410], [2, 3, 1024, 5]]
            .into_iter()
            .enumerate()
    {
        let (seed, device) = (4 * seed as u64, Device::flex());
        let x = random(seed, [batch, inputs, tokens], &device);
        let (w, b) = (random(seed + 1, [inputs, outputs], &device), random(seed + 2, [outputs], &device));
        let weight = random(seed + 3, [batch, tokens, outputs], &device);
        for device in tracked() {
            let run = |f: Layer| {
                let (x, w, b) = (leaf(&x, &device), leaf(&w, &device), leaf(&b, &device));
                let y = f(x.clone().swap_dims(1, 2), w.clone(), b.clone());
                let grads = (y.clone() * Tensor::from_data(weight.to_data(), &device)).sum().backward();
                (y.inner(), x.grad(&grads).unwrap(), w.grad(&grads).unwrap(), b.grad(&grads).unwrap())
            };
            let plain: Layer = |x, w, b| x.matmul(w.unsqueeze()) + b.unsqueeze();
            let pairs: [(&str, Layer, Layer); 2] = [
                ("linear", ops::linear, plain),
                ("linear_gelu", ops::linear_gelu, |x, w, b| plain::gelu_tanh(x.matmul(w.unsqueeze()) + b.unsqueeze())),
            ];
            for (name, own, plain) in pairs {
                let (found, expected) = (run(own), run(plain));
                close(name, found.0, expected.0);
                close(&format!("dx of {name}"), found.1, expected.1);
                close(&format!("dweight of {name}"), found.2, expected.2);
                close(&format!("dbias of {name}"), found.3, expected.3);
            }
        }
        // Without gradients the function is taken of each tile.
        let x = x.swap_dims(1, 2);
        let expected = plain::gelu_tanh(x.clone().matmul(w.clone().unsqueeze()) + b.clone().unsqueeze());
        close("linear_gelu without gradients", ops::linear_gelu(x, w, b), expected);
    }
}

#[test]
fn an_input_that_others_need_keeps_its_values() {
    let x = random(1, [2, 6, 6], &Device::flex());
    for device in tracked() {
        let run = |linear: Layer| {
            let (x, bias) = (leaf(&x, &device), Tensor::zeros([6], &device));
            // Used by two layers, and once more as their weights.
            let inner = x.clone() * 0.5;
            let weight = inner.clone().narrow(0, 0, 1).squeeze_dim::<2>(0);
            let y = linear(inner.clone(), weight.clone(), bias.clone()) + linear(inner.clone(), weight, bias) * inner;
            let grads = y.clone().square().sum().backward();
            (y.inner(), x.grad(&grads).unwrap())
        };
        let plain: Layer = |x, w, b| x.matmul(w.unsqueeze()) + b.unsqueeze();
        let plain_gelu: Layer = |x, w, b| plain::gelu_tanh(x.matmul(w.unsqueeze()) + b.unsqueeze());
        for (own, plain) in [(ops::linear as Layer, plain), (ops::linear_gelu, plain_gelu)] {
            let (found, expected) = (run(own), run(plain));
            close("shared", found.0, expected.0);
            close("gradient of shared", found.1, expected.1);
        }
    }
}

#[test]
fn gated_activations() {
    for (seed, width) in [1, 5, 64, 171].into_iter().enumerate() {
        let both = random(seed as u64, [3, 7, 2 * width], &Device::flex()) * 3.0;
        for device in tracked() {
            let run = |f: &dyn Fn(Tensor<3>) -> Tensor<3>| {
                let x = leaf(&both, &device);
                let y = f(x.clone() * 0.8);
                (y.clone().inner(), x.grad(&(y.clone() * y).sum().backward()).unwrap())
            };
            let plain = |x: Tensor<3>| plain::silu(x.clone().narrow(2, 0, width)) * x.narrow(2, width, width);
            let (found, expected) = (run(&ops::swiglu), run(&plain));
            close("swiglu", found.0, expected.0);
            close("gradient of swiglu", found.1, expected.1);
        }
    }
}

#[test]
fn rotary_positions() {
    for (seed, shape) in [[2, 5, 3, 8], [1, 1, 1, 2], [3, 257, 2, 72]].into_iter().enumerate() {
        let (seed, [_, tokens, heads, width]) = (3 * seed as u64, shape);
        let x = random(seed, shape, &Device::flex());
        let angles = random(seed + 1, [tokens, width], &Device::flex());
        let weight = random(seed + 2, [shape[0], heads, tokens, width], &Device::flex());
        for device in tracked() {
            let [cos, sin] =
                [angles.clone().cos(), angles.clone().sin()].map(|t| Tensor::<2>::from_data(t.into_data(), &device));
            let run = |f: &dyn Fn(Tensor<4>) -> Tensor<4>| {
                let x = leaf(&x, &device);
                let y = f(x.clone() * 1.5).swap_dims(1, 2);
                let grads = (y.clone() * Tensor::from_data(weight.to_data(), &device)).sum().backward();
                (y.inner(), x.grad(&grads).unwrap())
            };
            let plain = |x: Tensor<4>| {
                let pairs: Tensor<5> = x.clone().reshape([shape[0], tokens, heads, width / 2, 2]);
                let [first, second] = [0, 1].map(|i| pairs.clone().narrow(4, i, 1));
                let turned = Tensor::cat(vec![second.neg(), first], 4).reshape(shape);
                let all = |t: &Tensor<2>| t.clone().reshape([1, tokens, 1, width]);
                x * all(&cos) + turned * all(&sin)
            };
            let (found, expected) = (run(&|x| ops::rotate(x, cos.clone(), sin.clone())), run(&plain));
            close("rotate", found.0, expected.0);
            close("gradient of rotate", found.1, expected.1);
        }
    }
}
