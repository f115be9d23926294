//! Where the matrix of each head of each sample lies in a tensor.
use super::super::slices;
use burn::backend::flex::FlexTensor;
use faer::{MatMut, MatRef};

/// Queries, keys or values, read where they lie.
pub(super) struct Heads {
    tensor: FlexTensor,
    pub batch: usize,
    pub heads: usize,
    pub tokens: usize,
    pub width: usize,
    /// The first number, and the steps from sample to sample, head to head, token to token.
    start: usize,
    steps: [usize; 3],
}

impl Heads {
    /// `[batch, heads, tokens, width]`.
    pub fn of(tensor: FlexTensor) -> Self {
        Self::new(tensor, [0, 1, 2, 3])
    }

    /// `[batch, tokens, heads, width]`.
    pub fn of_tokens(tensor: FlexTensor) -> Self {
        Self::new(tensor, [0, 2, 1, 3])
    }

    /// Queries, keys and values in `[batch, tokens, 3, heads, width]`.
    pub fn of_packed(tensor: FlexTensor) -> [Self; 3] {
        let tensor = readable(tensor, 1);
        let step = tensor.layout().strides()[2] as usize;
        [0, 1, 2].map(|i| {
            let mut part = Self::new(tensor.clone(), [0, 3, 1, 4]);
            part.start += i * step;
            part
        })
    }

    /// Of a tensor whose dimensions `batch, heads, tokens, width` are these.
    fn new(tensor: FlexTensor, dimensions: [usize; 4]) -> Self {
        let tensor = readable(tensor, dimensions[2]);
        let layout = tensor.layout();
        let [batch, heads, tokens, width] = dimensions.map(|d| layout.shape()[d]);
        let [sample, head, token, _] = dimensions.map(|d| layout.strides()[d] as usize);
        let start = layout.start_offset();
        Self { batch, heads, tokens, width, start, steps: [sample, head, token], tensor }
    }

    /// The matrix `[tokens, width]` of head `index` of all samples' heads.
    pub fn matrix(&self, index: usize) -> MatRef<'_, f32> {
        let [sample, head, token] = self.steps;
        let start = self.start + index / self.heads * sample + index % self.heads * head;
        let numbers = &self.tensor.storage::<f32>()[start..start + (self.tokens - 1) * token + self.width];
        MatRef::from_row_major_slice_with_stride(numbers, self.tokens, self.width, token.max(self.width))
    }
}

/// The tensor, or a copy of it where the numbers of a head are not side by side or tokens (dimension `token`) overlap.
fn readable(tensor: FlexTensor, token: usize) -> FlexTensor {
    let (strides, shape) = (tensor.layout().strides(), tensor.layout().shape());
    let (last, width) = (strides.len() - 1, shape[strides.len() - 1] as isize);
    let dense = strides[last] == 1 || width == 1;
    let apart = strides[token] >= width || shape[token] == 1;
    let forward = strides.iter().all(|stride| *stride >= 0);
    if dense && apart && forward { tensor } else { tensor.to_contiguous() }
}

/// Results of all heads, in memory as `[batch, tokens, heads, width]`.
pub(super) struct Joined {
    pub values: Vec<f32>,
    batch: usize,
    tokens: usize,
    heads: usize,
    width: usize,
}

impl Joined {
    /// Room for results that lie like `like` and are `width` wide.
    pub fn like(like: &Heads, width: usize) -> Self {
        let Heads { batch, tokens, heads, .. } = *like;
        Self { values: slices::cleared(batch * tokens * heads * width), batch, tokens, heads, width }
    }

    /// The matrix of every head of every sample, one head after the other.
    pub fn matrices(&mut self) -> Vec<MatMut<'_, f32>> {
        let Self { batch, tokens, heads, width, .. } = *self;
        let all = MatMut::from_row_major_slice_mut(&mut self.values, batch * tokens, heads * width);
        matrices(all, tokens, width)
    }

    /// As `[batch, tokens, heads, width]`.
    pub fn tokens(self) -> FlexTensor {
        slices::tensor(self.values, [self.batch, self.tokens, self.heads, self.width])
    }

    /// As `[batch, heads, tokens, width]`, a view.
    pub fn swapped(self) -> FlexTensor {
        let tensor = self.tokens();
        let layout = tensor.layout().transpose(1, 2);
        tensor.with_layout(layout)
    }
}

/// `all`, `[batch · tokens, heads · width]`, as matrices `[tokens, width]`: those of the first sample, then the next.
pub(super) fn matrices(mut all: MatMut<'_, f32>, tokens: usize, width: usize) -> Vec<MatMut<'_, f32>> {
    let mut found = Vec::with_capacity(all.nrows() / tokens * (all.ncols() / width));
    while all.nrows() > 0 {
        let (mut sample, rest) = all.split_at_row_mut(tokens);
        all = rest;
        while sample.ncols() > 0 {
            let (head, rest) = sample.split_at_col_mut(width);
            sample = rest;
            found.push(head);
        }
    }
    found
}

/// `matrix` in pieces of `rows` rows.
pub(super) fn pieces(mut matrix: MatMut<'_, f32>, rows: usize) -> Vec<MatMut<'_, f32>> {
    let mut found = Vec::with_capacity(matrix.nrows().div_ceil(rows));
    while matrix.nrows() > 0 {
        let (piece, rest) = {
            let rows = rows.min(matrix.nrows());
            matrix.split_at_row_mut(rows)
        };
        matrix = rest;
        found.push(piece);
    }
    found
}
