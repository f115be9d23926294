//! The fixed position of a patch: [sin(p ω), cos(p ω)] of its column, then of its row, ω_k = 10000^(−k / (width/4)).

/// Embeddings `[grid * grid, width]` in row-major order of the patches, in f64; `width` is a multiple of 4.
///
/// The first half encodes the column, the second the row (official `get_2d_sincos_pos_embed`).
pub fn sincos_2d(width: usize, grid: usize) -> Vec<f64> {
    let quarter = width / 4;
    let mut values = Vec::with_capacity(grid * grid * width);
    for patch in 0..grid * grid {
        for position in [patch % grid, patch / grid] {
            let angle = |k: usize| position as f64 / 10_000f64.powf(k as f64 / quarter as f64);
            values.extend((0..quarter).map(|k| angle(k).sin()));
            values.extend((0..quarter).map(|k| angle(k).cos()));
        }
    }
    values
}
