//! Pictures to features.
use super::layers::{Block, Conv};
use super::layout::Pool;
use super::resize::{COLOURS, SIDE};
use super::{FidConvention, InceptionConfig};
use crate::{Error, Result};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// Pictures that go through the network together: what lies between two layers takes 6 MB a picture.
const TOGETHER: usize = 16;
/// The block whose first branch sFID compares, and how many of its channels.
const SPATIAL_BLOCK: &str = "Mixed_6d";
const SPATIAL_CHANNELS: usize = 7;
/// Rows and columns there.
const SPATIAL_SIDE: usize = 17;

/// The network; made by [`Inception::load`].
#[derive(Module, Debug)]
pub struct Inception {
    /// Both parts of the stem.
    pub(super) stem: Vec<Vec<Conv>>,
    pub(super) blocks: Vec<Block>,
    /// `[classes, features]`.
    pub(super) classes: Param<Tensor<2>>,
    #[module(skip)]
    pub(super) convention: FidConvention,
    pub(super) weights_hash: String,
    #[module(skip)]
    pub(super) config: InceptionConfig,
}

/// What [`Inception::forward`] gives, a row a picture.
#[derive(Debug, Clone)]
pub struct InceptionOutput {
    /// The pooled features `[batch, 2048]`, which FID, KID, precision and recall compare; at least 0.
    pub pool: Tensor<2>,
    /// The features `[batch, 2023]` of sFID: 7 channels at 17×17 places, the channels of a place side by side; at least 0.
    pub spatial: Tensor<2>,
    /// The logits `[batch, 1008]` without their bias, as the Inception Score takes them.
    pub logits: Tensor<2>,
}

impl Inception {
    /// Length of [`InceptionOutput::spatial`].
    pub const SPATIAL_DIMENSIONS: usize = SPATIAL_CHANNELS * SPATIAL_SIDE * SPATIAL_SIDE;

    /// The same network for pictures prepared by another convention; after loading it is [`FidConvention::TensorFlow`].
    #[must_use]
    pub fn with_convention(mut self, convention: FidConvention) -> Self {
        self.convention = convention;
        self
    }

    /// What is done to pictures before the network sees them.
    pub fn convention(&self) -> FidConvention {
        self.convention
    }

    /// How wide the network is.
    pub fn config(&self) -> InceptionConfig {
        self.config
    }

    /// SHA-256 of the weights that were loaded, in hexadecimal digits; the same for a `.pth` file and its safetensors.
    pub fn weights_hash(&self) -> &str {
        &self.weights_hash
    }

    /// The features of `images` `[batch, 3, height, width]` of any size, with whole numbers in [0, 255].
    ///
    /// Pictures are resized on the host. However many are given, memory is that of 16 of them.
    /// # Errors
    /// [`Error::Invalid`] for no pictures, another number of channels, or values outside of [0, 255].
    pub fn forward(&self, images: Tensor<4>) -> Result<InceptionOutput> {
        let [count, channels, height, width] = images.dims();
        if count == 0 || channels != COLOURS || height == 0 || width == 0 {
            let must = "must be at least one picture of 3 channels, [batch, 3, height, width]";
            return Err(Error::Invalid(format!("images of shape {:?}: {must}", images.dims())));
        }
        let unreadable = |e: &dyn std::fmt::Debug| Error::Invalid(format!("images cannot be read: {e:?}"));
        let data = images.try_into_data_as::<f32>().map_err(|e| unreadable(&e))?;
        let values = data.try_into_vec::<f32>().map_err(|e| unreadable(&e))?;
        if let Some(value) = values.iter().find(|value| !(0.0..=255.0).contains(*value)) {
            return Err(Error::Invalid(format!("images hold {value}: must be in [0, 255], the values of bytes")));
        }
        Ok(self.batches(count, [height, width], |[picture, colour, y], row| {
            row.copy_from_slice(&values[((picture * COLOURS + colour) * height + y) * width..][..width]);
        }))
    }

    /// The same of bytes `[batch, height, width, 3]`, as pictures are stored.
    /// # Errors
    /// [`Error::Invalid`] for no pictures, or bytes that are no whole number of pictures.
    pub fn forward_bytes(&self, pictures: &[u8], [height, width]: [usize; 2]) -> Result<InceptionOutput> {
        let size = height * width * COLOURS;
        if size == 0 || pictures.is_empty() || !pictures.len().is_multiple_of(size) {
            let must = format!("must be one or more pictures of [{height}, {width}, 3]");
            return Err(Error::Invalid(format!("{} bytes: {must}", pictures.len())));
        }
        Ok(self.batches(pictures.len() / size, [height, width], |[picture, colour, y], row| {
            let line = &pictures[picture * size + y * width * COLOURS..][..width * COLOURS];
            for (value, pixel) in row.iter_mut().zip(line.chunks_exact(COLOURS)) {
                *value = f32::from(pixel[colour]);
            }
        }))
    }

    /// The logits `[batch, 1008]`, without their bias, of pooled features `[batch, 2048]`.
    pub fn logits(&self, pool: Tensor<2>) -> Tensor<2> {
        let classes = self.classes.val();
        pool.to_device(&classes.device()).matmul(classes.transpose())
    }

    fn batches(&self, count: usize, sides: [usize; 2], row: impl Fn([usize; 3], &mut [f32]) + Sync) -> InceptionOutput {
        let device = self.classes.val().device();
        let batch = |start: usize| {
            let together = TOGETHER.min(count - start);
            let values = self.convention.prepare(together, sides, |[picture, colour, y], values| {
                row([start + picture, colour, y], values);
            });
            self.network(values, together, &device)
        };
        let outputs: Vec<InceptionOutput> = (0..count).step_by(TOGETHER).map(batch).collect();
        let all = |of: fn(&InceptionOutput) -> &Tensor<2>| {
            Tensor::cat(outputs.iter().map(|output| of(output).clone()).collect(), 0)
        };
        InceptionOutput {
            pool: all(|output| &output.pool),
            spatial: all(|output| &output.spatial),
            logits: all(|output| &output.logits),
        }
    }

    fn network(&self, values: Vec<f32>, count: usize, device: &Device) -> InceptionOutput {
        let mut x = Tensor::<4>::from_data(TensorData::new(values, [count, COLOURS, SIDE, SIDE]), device);
        for layers in &self.stem {
            x = layers.iter().fold(x, |x, layer| layer.forward(x));
            x = Pool::MaxOfSecond.forward(x);
        }
        let mut spatial = None;
        for block in &self.blocks {
            let branches = block.forward(&x);
            if block.name == SPATIAL_BLOCK {
                let first = branches[0].clone().narrow(1, 0, SPATIAL_CHANNELS);
                // The channels of a place side by side, as TensorFlow stores them.
                spatial = Some(first.permute([0, 2, 3, 1]).reshape([count, Self::SPATIAL_DIMENSIONS]));
            }
            x = Tensor::cat(branches, 1);
        }
        let [_, channels, height, width] = x.dims();
        let pool = x.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels]);
        let (logits, spatial) = (self.logits(pool.clone()), spatial.expect("the table has this block"));
        InceptionOutput { pool, spatial, logits }
    }
}
