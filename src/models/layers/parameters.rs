//! Official names and shapes of parameters, listed without allocating any.

/// Names and shapes (PyTorch layout) in the order they are added.
pub(crate) struct ParameterList(pub Vec<(String, Vec<usize>)>);

impl ParameterList {
    /// One tensor.
    pub fn one(&mut self, name: &str, shape: Vec<usize>) {
        self.0.push((name.into(), shape));
    }

    /// `name.weight` of the given shape and `name.bias` of its first dimension.
    pub fn layer(&mut self, name: &str, weight: Vec<usize>) {
        let outputs = weight[0];
        self.one(&format!("{name}.weight"), weight);
        self.one(&format!("{name}.bias"), vec![outputs]);
    }
}

/// The numbers in the tensors whose name is `counted`; the largest number there is where they are more.
pub(crate) fn count(parameters: &[(String, Vec<usize>)], counted: impl Fn(&str) -> bool) -> u128 {
    let numbers = |shape: &[usize]| shape.iter().fold(1_u128, |all, side| all.saturating_mul(*side as u128));
    let counted = parameters.iter().filter(|(name, _)| counted(name));
    counted.fold(0, |all, (_, shape)| all.saturating_add(numbers(shape)))
}

/// A count as the size of something in memory; the largest size where it is more.
pub(crate) fn as_size(count: u128) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// `a b c …`; the largest size where that is more.
pub(crate) fn product<const N: usize>(sizes: [usize; N]) -> usize {
    sizes.into_iter().fold(1, usize::saturating_mul)
}
