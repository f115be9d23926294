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
