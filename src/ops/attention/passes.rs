//! The forward and the backward pass, a tile of queries of one head at a time.
use super::heads::{Heads, Joined, matrices, pieces};
use super::kernels::{ScoreGradient, Softmax, Times, Weights};
use crate::ops::slices;
use burn::backend::flex::FlexTensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

/// Queries in a tile, from 16 to 128: as many as have 2¹⁷ scores, 512 KiB: fewer make the products slow, more leave the L2 cache.
fn tile(keys: usize) -> usize {
    ((1 << 17) / keys).next_multiple_of(8).clamp(16, 128)
}

fn scale(width: usize) -> f32 {
    (1.0 / (width as f64).sqrt()) as f32
}

/// Heads that are worked on together, where they are short.
fn together(queries: usize, keys: usize) -> usize {
    ((1 << 12) / (queries * keys)).max(1)
}

fn rows(numbers: &[f32], width: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(numbers, numbers.len() / width, width)
}

/// `to` (+)= `a` `b`.
fn product(to: MatMut<'_, f32>, add: bool, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(to, if add { Accum::Add } else { Accum::Replace }, a, b, 1.0, Par::Seq);
}

/// The same to rows of `width` numbers one after the other.
fn product_rows(to: &mut [f32], width: usize, add: bool, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    let count = to.len() / width;
    product(MatMut::from_row_major_slice_mut(to, count, width), add, a, b);
}

/// softmax(scale · q kᵀ) v of `[q, k, v]`, and log Σ exp of every query.
pub(super) fn forward(parts: &[Heads; 3]) -> (Joined, Vec<f32>) {
    let arch = Arch::new();
    let [q, k, v] = parts;
    let (queries, keys, scale) = (q.tokens, k.tokens, scale(q.width));
    let tile = tile(keys).min(queries);
    let mut mixed = Joined::like(q, v.width);
    let mut log_sums = vec![0.0; q.batch * q.heads * queries];
    let tiles = mixed.matrices().into_iter().zip(log_sums.chunks_mut(queries)).enumerate();
    let tiles: Vec<_> = tiles
        .flat_map(|(head, (mixed, log_sums))| {
            let tiles = pieces(mixed, tile).into_iter().zip(log_sums.chunks_mut(tile)).enumerate();
            tiles.map(move |(i, (mixed, log_sums))| (head, i * tile, mixed, log_sums))
        })
        .collect();
    tiles.into_par_iter().with_min_len(together(tile, keys)).for_each_init(
        || (vec![0.0; tile * keys], vec![0.0; tile]),
        |(scores, inverse), (head, from, mut mixed, log_sums)| {
            let count = log_sums.len();
            let (scores, inverse) = (&mut scores[..count * keys], &mut inverse[..count]);
            let q = q.matrix(head).subrows(from, count);
            product_rows(scores, keys, false, q, k.matrix(head).transpose());
            arch.dispatch(Softmax { scores, keys, scale, log_sums, inverse });
            product(mixed.as_mut(), false, rows(scores, keys), v.matrix(head));
            for (i, by) in inverse.iter().enumerate() {
                let row = mixed.as_mut().row_mut(i).try_as_row_major_mut().expect("rows lie side by side");
                arch.dispatch(Times { row: row.as_slice_mut(), by: *by });
            }
        },
    );
    (mixed, log_sums)
}

/// The gradients of `[q, k, v]`, each `[batch, heads, tokens, width]`.
pub(super) fn backward(parts: &[Heads; 3], log_sums: &[f32], grad: &Heads) -> [FlexTensor; 3] {
    let mut results = parts.each_ref().map(|part| Joined::like(part, part.width));
    let [dq, dk, dv] = results.each_mut().map(Joined::matrices);
    gradients(parts, log_sums, grad, [dq, dk, dv]);
    results.map(Joined::swapped)
}

/// The gradient `[batch, tokens, 3, heads, width]` of queries, keys and values that lie so.
pub(super) fn packed_backward(parts: &[Heads; 3], log_sums: &[f32], grad: &Heads) -> FlexTensor {
    let Heads { batch, heads, tokens, width, .. } = parts[0];
    let mut packed = slices::cleared(batch * tokens * 3 * heads * width);
    let all = MatMut::from_row_major_slice_mut(&mut packed, batch * tokens, 3 * heads * width);
    let (dq, rest) = all.split_at_col_mut(heads * width);
    let (dk, dv) = rest.split_at_col_mut(heads * width);
    gradients(parts, log_sums, grad, [dq, dk, dv].map(|part| matrices(part, tokens, width)));
    slices::tensor(packed, [batch, tokens, 3, heads, width])
}

/// Writes the gradients of each head. The tiles of a head follow each other, since they add to the same keys.
fn gradients(parts: &[Heads; 3], log_sums: &[f32], grad: &Heads, [dq, dk, dv]: [Vec<MatMut<'_, f32>>; 3]) {
    let arch = Arch::new();
    let [q, k, v] = parts;
    let (queries, keys, scale) = (q.tokens, k.tokens, scale(q.width));
    let tile = tile(keys).min(queries);
    let heads = dq.into_par_iter().zip(dk).zip(dv).zip(log_sums.par_chunks(queries)).enumerate();
    heads.with_min_len(together(queries, keys)).for_each_init(
        || [0, 1].map(|_| vec![0.0; tile * keys]),
        |[scores, grads], (head, (((mut dq, mut dk), mut dv), log_sums))| {
            let [q, k, v, grad] = [q, k, v, grad].map(|part| part.matrix(head));
            for (i, log_sums) in log_sums.chunks(tile).enumerate() {
                let (from, count) = (i * tile, log_sums.len());
                let (scores, grads) = (&mut scores[..count * keys], &mut grads[..count * keys]);
                let (q, grad) = (q.subrows(from, count), grad.subrows(from, count));
                product_rows(scores, keys, false, q, k.transpose());
                arch.dispatch(Weights { scores, keys, scale, log_sums });
                product(dv.as_mut(), i > 0, rows(scores, keys).transpose(), grad);
                product_rows(grads, keys, false, grad, v.transpose());
                arch.dispatch(ScoreGradient { weights: scores, grad: grads, keys, scale });
                product(dq.as_mut().subrows_mut(from, count), false, rows(grads, keys), k);
                product(dk.as_mut(), i > 0, rows(grads, keys).transpose(), q);
            }
        },
    );
}
