//! Means over seeds, with their errors.

/// The mean; not a number without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard error of the mean, `√(Σ (v − mean)²/(n − 1)/n)`; none below two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    let (n, centre) = (values.len() as f64, mean(values));
    (values.len() > 1).then(|| (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
}

/// `value` with three significant digits.
pub fn number(value: f64) -> String {
    let digits = if value.abs() > 0.0 { 2 - value.abs().log10().floor() as i32 } else { 2 };
    format!("{value:.*}", digits.clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let values = [1.0, 2.0, 6.0];
        assert_eq!(mean(&values), 3.0);
        assert!((standard_error(&values).unwrap() - (7f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(standard_error(&values[..1]), None);
    }

    #[test]
    fn three_digits() {
        assert_eq!([417.3, 56.84, 3.114, 0.01234, 0.0].map(number), ["417", "56.8", "3.11", "0.0123", "0.00"]);
    }
}
