//! −mean over encoders, samples and tokens of ⟨z, f⟩ / (‖z‖ ‖f‖): how little projected tokens agree with features.
use burn::tensor::Tensor;

/// PyTorch's `normalize` divides by max(‖x‖, 1e-12).
const SMALLEST_SQUARED_NORM: f64 = 1e-24;

/// The negative mean cosine, shape `[1]`, of `projected` tokens and `features`, one `[batch, tokens, z_dim]` of each
/// per encoder, at least one. Computes in the type of the features (`loss.py` of REPA, without its weight).
///
/// # Panics
/// If numbers or shapes of the two differ.
pub fn alignment_loss(projected: Vec<Tensor<3>>, features: &[Tensor<3>]) -> Tensor<1> {
    let shapes = |list: &[Tensor<3>]| list.iter().map(Tensor::dims).collect::<Vec<[usize; 3]>>();
    assert_eq!(shapes(&projected), shapes(features), "projected tokens and features of the encoders");
    let cosines = projected.into_iter().zip(features).map(|(z, f)| cosine(z.cast(f.dtype()), f.clone()).mean());
    Tensor::cat(cosines.collect(), 0).mean().neg()
}

/// The cosines `[batch, tokens, 1]` along the last dimension; the root of a clamped square has a gradient at 0 too.
fn cosine(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let norm = |x: &Tensor<3>| x.clone().square().sum_dim(2).clamp_min(SMALLEST_SQUARED_NORM).sqrt();
    let norms = norm(&a) * norm(&b);
    (a * b).sum_dim(2) / norms
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value(loss: Tensor<1>) -> f32 {
        assert_eq!(loss.dims(), [1]);
        loss.into_scalar()
    }

    #[test]
    fn parallel_opposite_and_orthogonal_tokens() {
        let device = Device::flex();
        let z = Tensor::<3>::from_floats([[[3.0, 4.0], [0.0, 2.0]]], &device);
        assert!((value(alignment_loss(vec![z.clone()], &[z.clone() * 7.0])) + 1.0).abs() < 1e-6);
        assert!((value(alignment_loss(vec![z.clone()], &[z.clone() * -0.1])) - 1.0).abs() < 1e-6);
        let turned = Tensor::<3>::from_floats([[[-4.0, 3.0], [1.0, 0.0]]], &device);
        assert!(value(alignment_loss(vec![z.clone()], std::slice::from_ref(&turned))).abs() < 1e-6);
        // Two encoders count alike, whatever their widths.
        let wide = Tensor::<3>::ones([1, 2, 5], &device);
        let loss = alignment_loss(vec![z, wide.clone()], &[turned, wide]);
        assert!((value(loss) + 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_token_of_zeros_has_a_finite_loss_and_gradient() {
        let device = Device::flex().autodiff();
        let z = Tensor::<3>::zeros([1, 2, 3], &device).require_grad();
        let loss = alignment_loss(vec![z.clone()], &[Tensor::ones([1, 2, 3], &device)]);
        let gradient = z.grad(&loss.backward()).unwrap();
        assert_eq!(value(loss), 0.0);
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
    }
}
