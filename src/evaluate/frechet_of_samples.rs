//! `tr (Σ₁^½ Σ₂ Σ₁^½)^½ = ‖X₁ X₂ᵀ‖ / √((n₁ − 1)(n₂ − 1))`: the Fréchet distance without a covariance.
//!
//! `X` holds the centred samples of a set as rows and `‖·‖` is the sum of singular values. With fewer samples than
//! dimensions this matrix of `n₁ × n₂` is smaller than a covariance, and no rounding is lifted by a square root of zero.
use super::tiles::{self, Samples};
use super::{Moments, frechet_distance};
use crate::{Error, Result};
use faer::Mat;

/// The squared Fréchet distance between Gaussians with the moments of two sample sets, vectors of `dim` values one after
/// the other; at least 0, and biased as [`frechet_distance`] is.
///
/// Takes the cheaper way: covariances (`O((n + m) dim² + dim³)`) if both sets have at least `dim` vectors, else
/// inner products (`O(n m (dim + min(n, m)))` in time, `O(n m)` in memory beside the sets). Both agree but for rounding.
/// # Errors
/// [`Error::Invalid`] if `dim` is 0, a set is no whole number of vectors, has fewer than two of them, or holds a value that
/// is not finite in f32; if the distance is not finite or a decomposition does not converge.
pub fn frechet_distance_of_samples<T: Copy + Into<f64>>(a: &[T], b: &[T], dim: usize) -> Result<f64> {
    let sets = [Samples::new("first", a, dim, 2)?, Samples::new("second", b, dim, 2)?];
    if sets[0].count().min(sets[1].count()) < dim {
        return by_products(&sets[0], &sets[1]);
    }
    let mut moments = [Moments::new(dim), Moments::new(dim)];
    moments[0].push(a)?;
    moments[1].push(b)?;
    frechet_distance(&moments[0], &moments[1])
}

fn by_products<T: Copy + Into<f64>>(a: &Samples<T>, b: &Samples<T>) -> Result<f64> {
    let means = [a.mean(), b.mean()];
    let trace = |set: &Samples<T>, mean: &[f64]| set.squares(mean).iter().sum::<f64>() / (set.count() - 1) as f64;
    let own = trace(a, &means[0]) + trace(b, &means[1]);
    let between: f64 = means[0].iter().zip(&means[1]).map(|(a, b)| (a - b).powi(2)).sum();
    // These bound every entry of the products.
    if !(own + between).is_finite() {
        return Err(Error::Invalid("features: too large for their Fréchet distance to be finite".into()));
    }
    let mut products = Mat::<f64>::zeros(a.count(), b.count());
    tiles::between(a, b, &means[0], |tile| {
        for j in 0..tile.columns.len() {
            for (i, product) in tile.column(j).iter().enumerate() {
                products[(tile.first[0] + i, tile.first[1] + j)] = *product;
            }
        }
    });
    centre_columns(&mut products);
    let mut products = products.transpose().to_owned();
    centre_columns(&mut products);
    let failed = |_| Error::Invalid("inner products: their singular values could not be computed".into());
    let singular: f64 = products.singular_values().map_err(failed)?.iter().sum();
    let scale = ((a.count() - 1) as f64 * (b.count() - 1) as f64).sqrt();
    Ok((between + own - 2.0 * singular / scale).max(0.0))
}

/// Subtracts the mean of each column: `(X − 1 μᵀ) Yᵀ` from `X Yᵀ`.
fn centre_columns(matrix: &mut Mat<f64>) {
    let rows = matrix.nrows();
    for j in 0..matrix.ncols() {
        let mean = (0..rows).map(|i| matrix[(i, j)]).sum::<f64>() / rows as f64;
        (0..rows).for_each(|i| matrix[(i, j)] -= mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};

    /// Correlated vectors around 3, stretched by `scale`.
    fn samples(count: u64, dim: usize, seed: u64, scale: f32) -> Vec<f32> {
        let keys: Vec<_> = (0..count).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        let independent = normal(&keys, Purpose::Data, &[dim]).try_to_vec::<f32>().unwrap();
        let row = |row: &[f32]| (0..dim).map(|i| 3.0 + scale * (row[i] + row[(i + 1) % dim])).collect::<Vec<_>>();
        independent.chunks(dim).flat_map(row).collect()
    }

    fn by_moments(a: &[f32], b: &[f32], dim: usize) -> f64 {
        let of = |rows: &[f32]| {
            let mut moments = Moments::new(dim);
            moments.push(rows).unwrap();
            moments
        };
        frechet_distance(&of(a), &of(b)).unwrap()
    }

    #[test]
    fn both_ways_agree() {
        for (n, m, dim) in [(300, 520, 7), (40, 60, 40), (20, 33, 50), (300, 9, 64), (5, 2, 3)] {
            let (a, b) = (samples(n, dim, 1, 1.0), samples(m, dim, 2, 1.3));
            let sets = [Samples::new("a", &a, dim, 2).unwrap(), Samples::new("b", &b, dim, 2).unwrap()];
            let (products, moments) = (by_products(&sets[0], &sets[1]).unwrap(), by_moments(&a, &b, dim));
            // Where a covariance is singular, that of the moments takes roots of rounding errors.
            let slack = if n.min(m) as usize > dim { 1e-10 } else { 1e-6 };
            assert!((products - moments).abs() <= slack * moments, "{n} {m} {dim}: {products} {moments}");
            assert_eq!(
                frechet_distance_of_samples(&a, &b, dim).unwrap(),
                if n.min(m) as usize >= dim { moments } else { products }
            );
        }
    }

    #[test]
    fn a_set_is_at_no_distance_from_itself_and_a_shift_is_its_square() {
        let a = samples(30, 50, 1, 1.0);
        let shifted: Vec<f32> = a.iter().map(|x| x + 0.5).collect();
        assert!(frechet_distance_of_samples(&a, &a, 50).unwrap() < 1e-10);
        assert!((frechet_distance_of_samples(&a, &shifted, 50).unwrap() - 12.5).abs() < 1e-5);
    }

    #[test]
    fn unusable_sets_are_errors() {
        let good = samples(4, 9, 1, 1.0);
        for bad in [&good[..9], &good[..10], &[f32::NAN; 18], &[]] {
            assert!(frechet_distance_of_samples(bad, &good, 9).is_err());
            assert!(frechet_distance_of_samples(&good, bad, 9).is_err());
        }
        let huge: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 3e38 } else { -3e38 }).collect();
        assert!(frechet_distance_of_samples(&huge, &huge, 20).is_ok_and(f64::is_finite));
    }
}
