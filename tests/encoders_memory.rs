//! Loading an encoder takes the memory of its weights and of a few of its tensors, not that of the weights twice.
#[path = "formula/mod.rs"]
mod formula;

use burn::tensor::Device;
use burn_mixflow::models::encoders::TextPrecision;
use burn_mixflow::models::encoders::t5::{T5Encoder, T5EncoderConfig};
use cap::Cap;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::alloc::System;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn no_number_is_held_twice() {
    let config = T5EncoderConfig {
        vocab_size: 1000,
        d_model: 256,
        d_kv: 32,
        d_ff: 1024,
        num_layers: 16,
        num_heads: 8,
        ..T5EncoderConfig::xxl()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t5.safetensors");
    let weights: Vec<(String, Vec<usize>, Vec<u8>)> = config
        .parameters()
        .into_iter()
        .map(|(name, shape)| {
            let bytes = formula::weight(&name, &shape, false).into_iter().flat_map(f32::to_le_bytes).collect();
            (name, shape, bytes)
        })
        .collect();
    let largest = weights.iter().map(|(.., bytes)| bytes.len()).max().unwrap();
    let views = weights
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &file).unwrap();
    drop(weights);
    for (precision, size) in [(TextPrecision::F32, 4), (TextPrecision::Bf16, 2)] {
        let all = config.parameter_count() * size;
        assert!(all > 8 * largest, "{all} {largest}");
        // Names, headers and threads take less than another megabyte.
        MEMORY.set_limit(MEMORY.allocated() + all + 3 * largest + (1 << 20)).unwrap();
        let loaded = T5Encoder::load(&config, &file, precision, &Device::flex());
        MEMORY.set_limit(usize::MAX).unwrap();
        loaded.unwrap();
    }
}
