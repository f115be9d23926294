//! `f32` slices of Burn's CPU tensors, and the question whether a tensor has any.
use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, TensorMetadata};
use burn::tensor::{DType, Shape, Tensor, TensorData};
use rayon::prelude::*;

/// Elements that one task works on: 16 KiB, so that what it reads and writes stays in the caches next to a core.
pub(super) const CHUNK: usize = 4096;

/// Pieces of [`CHUNK`] elements that are worth another core: to wake one takes as long as to work on a few.
///
/// Less than two tasks of so many are done where they are asked for, by `with_min_len`.
pub(super) const WORTH: usize = 4;

/// The same in pieces of `size` numbers.
pub(super) fn worth(size: usize) -> usize {
    (WORTH * CHUNK / size).max(1)
}

/// The two devices that have kernels here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Burn's CPU backend.
    Flex,
    /// Autodiff over it.
    Tracked,
}

/// Where `tensor` can be worked on here, if it can: `f32` on the CPU backend.
///
/// The generated dispatch panics for a backend that it does not list, so this is asked before.
pub(super) fn side<const D: usize>(tensor: &Tensor<D>) -> Option<Side> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    match tensor.device().as_dispatch() {
        DispatchDevice::Flex(_) => Some(Side::Flex),
        DispatchDevice::Autodiff(inner) if matches!(**inner, DispatchDevice::Flex(_)) => Some(Side::Tracked),
        #[allow(unreachable_patterns)] // Reached as soon as another backend is compiled in.
        _ => None,
    }
}

/// Whether all tensors can be worked on here together.
pub(super) fn fused<const N: usize>(sides: [Option<Side>; N]) -> bool {
    sides.iter().all(|side| side.is_some() && *side == sides[0])
}

/// The tensor with its elements in order: free where they are already, also in the middle of a larger buffer.
pub(super) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().contiguous_offsets().is_some() {
        return tensor;
    }
    joined(&tensor).unwrap_or_else(|| tensor.to_contiguous())
}

/// The shortest run of elements in order that is copied as one.
const RUN: usize = 16;

/// A copy of `tensor` in order, made run by run; none where runs are shorter than [`RUN`], a stride is negative, or it is not
/// `f32`. Burn copies strided tensors that come down to two dimensions number by number.
fn joined(tensor: &FlexTensor) -> Option<FlexTensor> {
    let (layout, count) = (tensor.layout(), tensor.layout().num_elements());
    let runs = layout.strided_blocks();
    let length = runs.block_len();
    if tensor.dtype() != DType::F32 || length < RUN || !layout.has_positive_strides() {
        return None;
    }
    let all = tensor.storage::<f32>();
    let values = if count < 2 * WORTH * CHUNK {
        let mut values = Vec::with_capacity(count);
        runs.block_starts().for_each(|start| values.extend_from_slice(&all[start..start + length]));
        values
    } else {
        let mut values = cleared(count);
        let starts: Vec<usize> = runs.block_starts().collect();
        let pieces = values.par_chunks_exact_mut(length).zip(starts).with_min_len(worth(length));
        pieces.for_each(|(piece, start)| piece.copy_from_slice(&all[start..start + length]));
        values
    };
    Some(self::tensor(values, layout.shape().clone()))
}

/// The elements of a tensor from [`in_order`].
pub(super) fn elements(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("f32 in order")
}

/// The elements of a tensor from [`in_order`], to overwrite, if nobody else holds them.
pub(super) fn own_elements(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let (start, end) = tensor.layout().contiguous_offsets()?;
    Some(&mut tensor.try_storage_mut::<f32>()?[start..end])
}

/// `values` as a tensor, without a copy.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// So many zeros, written by all cores where they are many: whoever writes a page first has it near.
pub(super) fn cleared(count: usize) -> Vec<f32> {
    const BLOCK: usize = 1024;
    if count < 2 * WORTH * CHUNK {
        return vec![0.0; count];
    }
    let mut blocks = Vec::with_capacity(count.div_ceil(BLOCK));
    let zeros = (0..count / BLOCK).into_par_iter().with_min_len(worth(BLOCK)).map(|_| [0.0; BLOCK]);
    zeros.collect_into_vec(&mut blocks);
    let mut numbers = blocks.into_flattened();
    numbers.resize(count, 0.0);
    numbers
}

/// `tensor`, in order, as `change` leaves all of it: in place where nobody else holds its elements, else in a copy.
pub(super) fn changed(tensor: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut tensor = owned(tensor);
    change(own_elements(&mut tensor).expect("owned"));
    tensor
}

/// `tensor`, in order, held by nobody else: itself or a copy.
pub(super) fn owned(tensor: FlexTensor) -> FlexTensor {
    let mut tensor = in_order(tensor);
    if own_elements(&mut tensor).is_some() {
        return tensor;
    }
    mapped(tensor, |_, _| ())
}

/// `tensor`, in order, each piece of which `change` has changed, given where the piece starts: in place where nobody
/// else holds the elements, else in a copy that is changed while it is in the cache.
///
/// The copy is collected from blocks, so that its pages are not cleared first, and are first touched by all cores.
pub(super) fn mapped(tensor: FlexTensor, change: impl Fn(usize, &mut [f32]) + Sync) -> FlexTensor {
    const BLOCK: usize = 1024;
    let mut tensor = in_order(tensor);
    if elements(&tensor).len() <= CHUNK {
        // Waking the other cores would take longer.
        return match own_elements(&mut tensor) {
            Some(own) => {
                change(0, own);
                tensor
            }
            None => {
                let mut copy = elements(&tensor).to_vec();
                change(0, &mut copy);
                self::tensor(copy, tensor.shape())
            }
        };
    }
    if let Some(own) = own_elements(&mut tensor) {
        own.par_chunks_mut(CHUNK).enumerate().with_min_len(WORTH).for_each(|(i, piece)| change(i * CHUNK, piece));
        return tensor;
    }
    let (blocks, rest) = elements(&tensor).as_chunks::<BLOCK>();
    let mut copy: Vec<[f32; BLOCK]> = Vec::with_capacity(blocks.len() + 1);
    let changed = |(i, block): (usize, &[f32; BLOCK])| {
        let mut block = *block;
        change(i * BLOCK, &mut block);
        block
    };
    blocks.par_iter().enumerate().with_min_len(worth(BLOCK)).map(changed).collect_into_vec(&mut copy);
    let mut copy = copy.into_flattened();
    let mut rest = rest.to_vec();
    change(copy.len(), &mut rest);
    copy.extend_from_slice(&rest);
    self::tensor(copy, tensor.shape())
}

/// The pieces of rows of `width` numbers that a piece from `start` on consists of: row, first column, numbers.
pub(super) fn rows_of(
    piece: &mut [f32],
    start: usize,
    width: usize,
) -> impl Iterator<Item = (usize, usize, &mut [f32])> {
    let mut rest = piece;
    let mut at = start;
    std::iter::from_fn(move || {
        let (row, column) = (at / width, at % width);
        let count = (width - column).min(rest.len());
        let (found, others) = std::mem::take(&mut rest).split_at_mut(count);
        rest = others;
        at += count;
        (count > 0).then_some((row, column, found))
    })
}

/// Sums of `parts` rows of `width` each, one after the other, for every group of so many.
pub(super) fn added(rows: Vec<f32>, parts: usize, width: usize) -> Vec<f32> {
    if parts == 1 {
        return rows;
    }
    let mut sums = vec![0.0; rows.len() / parts];
    sums.par_chunks_mut(width).zip(rows.par_chunks(parts * width)).with_min_len(worth(parts * width)).for_each(
        |(sum, rows)| {
            for row in rows.chunks_exact(width) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        },
    );
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::flex::Layout;

    /// `[rows, 40]`, counted.
    fn counted(rows: usize) -> FlexTensor {
        tensor((0..40 * rows).map(|i| i as f32).collect(), [rows, 40])
    }

    #[test]
    fn parts_are_put_in_order_as_burn_does() {
        // The second is worth another core.
        for rows in [6, 3000] {
            let whole = counted(rows);
            let deep = whole.reshape([2, rows / 2, 40].into());
            let parts = [
                (whole.narrow(1, 8, 20), true),
                (whole.narrow(1, 8, 5), false),
                (whole.transpose(0, 1), false),
                (deep.narrow(2, 0, 16), true),
                (deep.narrow(1, 1, 2), true),
                (deep.permute(&[1, 0, 2]), true),
                (deep.permute(&[1, 0, 2]).narrow(2, 20, 20), true),
            ];
            let laid = |shape: Vec<usize>, strides: Vec<isize>, start| {
                whole.clone().with_layout(Layout::new(shape.into(), strides, start))
            };
            let odd = [
                // A row for all, and sides of one with strides of their own.
                (laid(vec![3, 32], vec![0, 1], 5), true),
                (laid(vec![4, 1, 20], vec![40, 7, 1], 3), true),
                (laid(vec![2, 1, 32], vec![99, 7, 1], 0), true),
                // Backwards, and a number for all.
                (laid(vec![4, 20], vec![-40, 1], 130), false),
                (laid(vec![20, 3], vec![1, 0], 2), false),
            ];
            for (part, is_joined) in parts.into_iter().chain(odd) {
                assert_eq!(joined(&part).is_some(), is_joined, "{:?}", part.layout());
                let ordered = in_order(part.clone());
                assert_eq!(ordered.shape(), part.shape());
                assert!(elements(&ordered) == elements(&part.to_contiguous()), "{:?}", part.layout());
            }
        }
    }
}
