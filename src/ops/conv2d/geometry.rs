//! The sizes of a convolution, and where its windows lie.
use burn::tensor::ops::ConvOptions;

/// The sizes of a convolution that can be worked on here: one group, a kernel without gaps, and a result that has numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Geometry {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Height and width of the image.
    pub image: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros above and left of the image.
    pub before: [usize; 2],
    /// Height and width of the result.
    pub result: [usize; 2],
}

/// Channels in and out from which fewer multiplications are worth laying squares out and taking them together.
const WORTH_TRANSFORMING: usize = 8;

impl Geometry {
    /// Of `x` `[batch, inputs, height, width]` and `weight` `[outputs, inputs, height, width]`, if there is one.
    pub fn of(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<Self> {
        let ([batch, inputs, height, width], [outputs, of_weight, down, across]) = (x, weight);
        let (image, kernel) = ([height, width], [down, across]);
        let some = x.into_iter().chain(weight).all(|side| side > 0);
        if !some || inputs != of_weight || options.groups != 1 || options.dilation != [1, 1] {
            return None;
        }
        let side = |i: usize| {
            let (before, after) = options.padding[i];
            let room = (image[i] + before + after).checked_sub(kernel[i])?;
            Some(room / options.stride[i] + 1)
        };
        let result = [side(0)?, side(1)?];
        let (stride, before) = (options.stride, options.padding_begin());
        Some(Self { batch, inputs, outputs, image, kernel, stride, before, result })
    }

    pub fn result_shape(&self) -> [usize; 4] {
        [self.batch, self.outputs, self.result[0], self.result[1]]
    }

    /// Whether squares of 2 × 2 results are made of transformed 4 × 4 windows.
    pub fn suits_winograd(&self) -> bool {
        let wide = self.inputs.min(self.outputs.max(WORTH_TRANSFORMING)) >= WORTH_TRANSFORMING;
        self.kernel == [3, 3] && self.stride == [1, 1] && wide && self.result.into_iter().all(|side| side > 1)
    }

    /// Whether an image is one matrix whose product with the weights is the result.
    pub fn is_one_product(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.result == self.image
    }

    /// Products in one number of the result.
    pub fn depth(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Row `row` of channel `channel` of sample `sample` of the image; none outside, where zeros are.
    pub fn row<'a>(&self, x: &'a [f32], sample: usize, channel: usize, row: isize) -> Option<&'a [f32]> {
        let [height, width] = self.image;
        let row = usize::try_from(row).ok().filter(|row| *row < height)?;
        Some(&x[((sample * self.inputs + channel) * height + row) * width..][..width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_those_of_pytorch() {
        let options = |stride, padding| ConvOptions::new_with_padding(stride, padding, [1, 1], 1);
        let of = |image: [usize; 2], kernel: [usize; 2], options: ConvOptions<2>| {
            Geometry::of([1, 4, image[0], image[1]], [2, 4, kernel[0], kernel[1]], &options).map(|g| g.result)
        };
        assert_eq!(of([32, 48], [3, 3], options([1, 1], [(1, 1), (1, 1)])), Some([32, 48]));
        assert_eq!(of([32, 48], [3, 3], options([2, 2], [(0, 1), (0, 1)])), Some([16, 24]));
        assert_eq!(of([299, 299], [3, 3], options([2, 2], [(0, 0), (0, 0)])), Some([149, 149]));
        assert_eq!(of([17, 17], [1, 7], options([1, 1], [(0, 0), (3, 3)])), Some([17, 17]));
        assert_eq!(of([2, 2], [3, 3], options([1, 1], [(0, 0), (0, 0)])), None);
        let grouped = ConvOptions::new([1, 1], [0, 0], [1, 1], 2);
        assert_eq!(Geometry::of([1, 4, 8, 8], [2, 2, 3, 3], &grouped), None);
    }
}
