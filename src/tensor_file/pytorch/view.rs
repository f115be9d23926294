//! A tensor as a view of a storage: element (i, j, …) is number offset + i·s₀ + j·s₁ + …

/// Most dimensions that PyTorch has.
pub(super) const MOST_DIMENSIONS: usize = 64;

/// Which numbers of a storage a tensor is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
    /// The bytes of a number.
    size: usize,
    /// How many numbers lie between the first and the last that it has, both counted.
    reach: usize,
}

impl View {
    /// The view of `shape` by `strides` from `offset`, of numbers of `size` bytes.
    ///
    /// # Errors
    /// Why there is no such view in any memory.
    pub(super) fn new(shape: &[usize], strides: &[usize], offset: usize, size: usize) -> Result<Self, String> {
        let wrong = || format!("shape {shape:?} by strides {strides:?} from {offset}");
        if shape.len() != strides.len() {
            return Err(wrong());
        }
        let numbers = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side)).ok_or_else(wrong)?;
        let last = shape
            .iter()
            .zip(strides)
            .try_fold(0usize, |last, (side, stride)| last.checked_add(side.saturating_sub(1).checked_mul(*stride)?));
        let reach = if numbers == 0 { Some(0) } else { last.and_then(|last| last.checked_add(1)) };
        let reach = reach.ok_or_else(wrong)?;
        // All of these are counted in bytes later.
        let end = offset.checked_add(reach).and_then(|end| end.checked_mul(size));
        if numbers.checked_mul(size).is_none() || end.is_none() {
            return Err(wrong());
        }
        Ok(Self { shape: shape.into(), strides: strides.into(), offset, size, reach })
    }

    /// The bytes of the tensor.
    pub(super) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.size
    }

    /// Where the bytes of its storage begin that it needs, and how many they are.
    pub(super) fn window(&self) -> (usize, usize) {
        (self.offset * self.size, self.reach * self.size)
    }

    /// The bytes of the tensor in row-major order, from those of its [window](Self::window); none if they are too few.
    pub(super) fn gathered(&self, window: Vec<u8>) -> Option<Vec<u8>> {
        let bytes = self.bytes();
        if bytes == 0 {
            return Some(Vec::new());
        }
        if self.is_contiguous() {
            return (window.len() == bytes).then_some(window);
        }
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).ok()?;
        let mut place = vec![0; self.shape.len()];
        let mut at = 0;
        loop {
            out.extend_from_slice(window.get(at * self.size..(at + 1) * self.size)?);
            // The next place, the last dimension first.
            let mut dimension = self.shape.len();
            loop {
                let Some(next) = dimension.checked_sub(1) else { return Some(out) };
                dimension = next;
                place[dimension] += 1;
                at += self.strides[dimension];
                if place[dimension] < self.shape[dimension] {
                    break;
                }
                at -= place[dimension] * self.strides[dimension];
                place[dimension] = 0;
            }
        }
    }

    /// Whether its numbers, of which there are some, follow one another. The stride of a single one does not matter.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let follows = *side == 1 || *stride == expected;
            expected *= side;
            follows
        })
    }
}

#[cfg(test)]
mod tests {
    use super::View;

    /// What a view makes of a storage of one byte a number.
    fn seen(shape: &[usize], strides: &[usize], offset: usize, storage: &[u8]) -> Vec<u8> {
        let view = View::new(shape, strides, offset, 1).unwrap();
        let (start, length) = view.window();
        view.gathered(storage[start..start + length].to_vec()).unwrap()
    }

    #[test]
    fn views_are_what_their_formula_says() {
        let storage: Vec<u8> = (0..24).collect();
        for (shape, strides, offset) in [
            (&[4, 6][..], &[6, 1][..], 0),
            (&[6, 4], &[1, 6], 0),
            (&[2, 3], &[6, 1], 8),
            (&[2, 2], &[12, 3], 1),
            (&[3, 4], &[1, 0], 5),
            (&[4, 2, 3], &[1, 12, 4], 0),
            (&[1, 5, 1], &[99, 2, 7], 3),
            (&[], &[], 23),
            (&[0, 3], &[3, 1], 24),
            (&[3, 0], &[1, 1], 2),
            (&[0, usize::MAX, 2], &[1, 1, 1], 2),
        ] {
            let numbers: usize = shape.iter().product();
            let formula = |mut number: usize| {
                let sides = shape.iter().zip(strides).rev();
                sides.fold(offset, |at, (side, stride)| {
                    let place = number % side;
                    number /= side;
                    at + place * stride
                }) as u8
            };
            let expected: Vec<u8> = (0..numbers).map(formula).collect();
            assert_eq!(seen(shape, strides, offset, &storage), expected, "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn views_of_no_memory_are_refused() {
        const BIG: usize = usize::MAX;
        for (shape, strides, offset) in [
            (&[2, 2][..], &[1][..], 0),
            (&[BIG, 2], &[1, 1], 0),
            (&[2, 2], &[BIG, 1], 0),
            (&[3], &[BIG / 2], 0),
            (&[2], &[1], BIG),
            (&[BIG / 2], &[0], 0),
            (&[0], &[1], BIG / 2),
        ] {
            assert!(View::new(shape, strides, offset, 4).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn a_window_that_is_too_short_is_no_tensor() {
        let view = View::new(&[2, 2], &[1, 2], 0, 4).unwrap();
        assert_eq!(view.window(), (0, 16));
        assert_eq!(view.gathered(vec![0; 15]), None);
        assert_eq!(View::new(&[4], &[1], 0, 4).unwrap().gathered(vec![0; 15]), None);
    }
}
