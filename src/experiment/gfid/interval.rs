//! Intervals of 95 % around estimates.

/// The 97.5 % quantile of the standard normal law.
const NORMAL: f64 = 1.959_963_984_540_054;
/// That of Student's law with 1 to 10 degrees of freedom.
const STUDENT: [f64; 10] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281];

/// `value ± t · error` for a standard error from `degrees` degrees of freedom.
pub(super) fn student(value: f64, error: f64, degrees: usize) -> Option<[f64; 2]> {
    let half = student_quantile(degrees)? * error;
    half.is_finite().then_some([value - half, value + half])
}

/// Beyond ten degrees of freedom the expansion around the normal law is right to four digits.
fn student_quantile(degrees: usize) -> Option<f64> {
    let n = degrees.checked_sub(1)?;
    let z = NORMAL;
    let expansion = |n: f64| {
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + (first + (second + third / n) / n) / n
    };
    Some(STUDENT.get(n).copied().unwrap_or_else(|| expansion(degrees as f64)))
}

/// The interval of Wilson (1927) for a share found among `count` independent draws.
pub(super) fn wilson(share: f64, count: usize) -> [f64; 2] {
    let (n, square) = (count as f64, NORMAL * NORMAL);
    let centre = (share + square / (2.0 * n)) / (1.0 + square / n);
    let half = NORMAL / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_published_tables() {
        assert_eq!(student_quantile(0), None);
        for (degrees, published) in [(1, 12.706), (9, 2.262), (10, 2.228), (11, 2.201), (20, 2.086), (120, 1.980)] {
            let found = student_quantile(degrees).unwrap();
            assert!((found - published).abs() < 1e-3, "{degrees}: {found}");
        }
        assert_eq!(student(1.0, 2.0, 9), Some([1.0 - 4.5244, 1.0 + 4.5244]));
        assert_eq!(student(1.0, f64::NAN, 9), None);
    }

    #[test]
    fn shares_at_the_border_have_an_interval() {
        // Published: 0 of 10 is [0, 0.2775]; 5 of 10 is [0.2366, 0.7634].
        let [low, high] = wilson(0.0, 10);
        assert!(low == 0.0 && (high - 0.2775).abs() < 1e-4, "{high}");
        let [low, high] = wilson(0.5, 10);
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4, "{low} {high}");
    }
}
