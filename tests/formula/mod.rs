//! Weights that are a formula of their name, so that golden files need not hold them; `tests/python/record_encoders/formula.py`
//! says which.

/// The values of the tensor `name`, in row-major order.
pub fn weight(name: &str, shape: &[usize], is_table: bool) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_scale = ["weight", "running_var", "gamma", "lambda1"].contains(&last);
    let bound = (3.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt();
    let hash = hash(name);
    let value = |i: usize| {
        let w = 2.0 * uniform(hash, i) - 1.0;
        let value = match shape.len() {
            _ if is_table => 0.5 * w,
            0 | 1 if is_scale => 1.0 + 0.2 * w,
            0 | 1 => 0.1 * w,
            _ => w * bound,
        };
        value as f32
    };
    (0..count).map(value).collect()
}

/// Whether a tensor of the text encoders is a table, of tokens, places or distances.
#[allow(dead_code, reason = "of use to some of the tests that share this file")]
pub fn is_table_of_text(name: &str) -> bool {
    name.contains("embedding.weight") || name == "shared.weight" || name.ends_with("relative_attention_bias.weight")
}

/// The first numbers of the stream of `name`, each in [0, 1).
#[allow(dead_code, reason = "of use to some of the tests that share this file")]
pub fn uniforms(name: &str, count: usize) -> Vec<f64> {
    let hash = hash(name);
    (0..count).map(|i| uniform(hash, i)).collect()
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// The i-th number of a stream, in [0, 1).
fn uniform(hash: u64, i: usize) -> f64 {
    let z = hash.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53)
}
