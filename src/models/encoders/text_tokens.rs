//! Rows of tokens for a text encoder, checked before anything is computed of them.
use crate::{Error, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// What rows of tokens must be for an encoder.
pub(super) struct TokenLimits {
    /// Tokens there are.
    pub(super) vocabulary: usize,
    /// The longest row, if there is one.
    pub(super) longest: Option<usize>,
}

impl TokenLimits {
    /// Rows of one length as `[rows, length]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no row, an empty one, rows of several lengths or too long ones, and tokens that do not exist.
    pub(super) fn checked(&self, rows: &[Vec<u32>], device: &Device) -> Result<Tensor<2, Int>> {
        let invalid = |message: String| Err(Error::Invalid(format!("tokens: {message}")));
        let Some(length) = rows.first().map(Vec::len).filter(|length| *length > 0) else {
            return invalid("there must be at least one row, of at least one token".into());
        };
        if let Some(row) = rows.iter().position(|row| row.len() != length) {
            return invalid(format!(
                "row {row} has {} and row 0 has {length}: pad them to one length",
                rows[row].len()
            ));
        }
        if let Some(longest) = self.longest.filter(|longest| length > *longest) {
            return invalid(format!("{length} in a row, the encoder takes at most {longest}: cut them"));
        }
        let unknown = |token: &&u32| usize::try_from(**token).is_ok_and(|token| token >= self.vocabulary);
        if let Some(token) = rows.iter().flatten().find(unknown) {
            let last = self.vocabulary - 1;
            return invalid(format!("{token} is none of 0..={last}: the tokenizer is another model's"));
        }
        let numbers: Vec<i64> = rows.iter().flatten().map(|token| i64::from(*token)).collect();
        Ok(Tensor::from_data(TensorData::new(numbers, [rows.len(), length]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_batch_of_tokens_is_named() {
        let limits = TokenLimits { vocabulary: 10, longest: Some(3) };
        let message = |rows: &[Vec<u32>]| limits.checked(rows, &Device::flex()).unwrap_err().to_string();
        assert!(message(&[]).contains("at least one row") && message(&[vec![]]).contains("at least one token"));
        assert!(message(&[vec![1, 2], vec![1]]).contains("row 1 has 1 and row 0 has 2"));
        assert!(message(&[vec![1; 4]]).contains("4 in a row, the encoder takes at most 3"));
        assert!(message(&[vec![1, 9], vec![3, 10]]).contains("10 is none of 0..=9"));
        let tokens = limits.checked(&[vec![1, 9], vec![3, 4]], &Device::flex()).unwrap();
        assert_eq!(tokens.into_data().iter::<i64>().collect::<Vec<_>>(), [1, 9, 3, 4]);
    }
}
