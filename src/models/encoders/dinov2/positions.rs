//! Positions for grids of any size, from the learned table of one.
use super::DinoV2;
use crate::Result;
use crate::models::encoders::resample::{Bicubic, bicubic};
use burn::tensor::Tensor;

impl DinoV2 {
    /// The class token with its position `[1, 1, width]`, and the positions of patches `[1, rows · columns, width]`.
    ///
    /// The square table is resampled in f32, antialiased: what timm does for REPA, transformers for RAE, and Meta's own code for
    /// networks with registers.
    pub(super) fn positions(&self, [rows, columns]: [usize; 2]) -> Result<[Tensor<3>; 2]> {
        let table = self.pos_embed.val();
        let [_, count, width] = table.dims();
        let class = self.cls_token.val() + table.clone().narrow(1, 0, 1);
        let side = (count - 1).isqrt();
        let image: Tensor<4> = table.narrow(1, 1, count - 1).reshape([1, side, side, width]).permute([0, 3, 1, 2]);
        let resampled = bicubic(image, [rows, columns], Bicubic::Antialiased)?;
        Ok([class, resampled.permute([0, 2, 3, 1]).reshape([1, rows * columns, width])])
    }
}
