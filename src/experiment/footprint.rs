//! How much memory a training holds, before any of it is spent: by its parts, and by the largest batch that fits.
//!
//! At its peak a pass holds the weights, their average, AdamW's moments, and either the activations or the gradients, of which
//! one grows while the other shrinks; where passes are accumulated or devices added up, both.
use super::config::ExperimentConfig;
use crate::models::NetworkConfig;
use crate::post_train::StageConfig;
use crate::recompute::Checkpointing;
use crate::train::Precision;

/// Bytes of an f32.
const NUMBER: u128 = 4;

/// How many times as many numbers the plain operations of Burn keep as those of [`ops`](crate::ops), in tenths.
const PLAIN: u128 = 22;

/// What an allocator holds beside what it was asked for, as a part of it.
const ALLOCATOR: u64 = 10;

/// Bytes that a stage holds of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// The weights, frozen ones included.
    pub weights: u128,
    /// The average of what is trained.
    pub average: u128,
    /// The gradient of what is trained.
    pub gradients: u128,
    /// AdamW's two moments.
    pub moments: u128,
}

impl State {
    pub fn of(network: &NetworkConfig, stage: &StageConfig) -> Self {
        let count = network.parameter_count();
        let (trained, frozen, size) = match &stage.adapter {
            None => (count.trained, count.all.saturating_sub(count.trained), NUMBER),
            Some(adapter) => {
                let size = if adapter.precision() == Precision::F32 { NUMBER } else { NUMBER / 2 };
                (network.adapter_count(adapter), count.all, size)
            }
        };
        let of = |numbers: u128| numbers.saturating_mul(NUMBER);
        Self {
            weights: of(trained).saturating_add(frozen.saturating_mul(size)),
            average: of(trained),
            gradients: of(trained),
            moments: of(trained).saturating_mul(2),
        }
    }

    pub fn total(&self) -> u128 {
        [self.average, self.gradients, self.moments].into_iter().fold(self.weights, u128::saturating_add)
    }
}

/// Memory of a post-training on its first device, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The weights; in bf16 where an adapter's base is.
    pub weights: u64,
    /// Their copies in the type of numbers that training computes in, if that is another.
    pub copies: u64,
    /// The average of what is trained.
    pub average: u64,
    /// AdamW's two moments.
    pub moments: u64,
    /// One set of gradients.
    pub gradients: u64,
    /// What the graph keeps of one sample.
    pub of_a_sample: u64,
    /// Samples of a pass on one device.
    pub samples: usize,
    /// Passes of one step on one device, and devices.
    pub passes: [usize; 2],
    /// Whether the activations are those of plain operations, an estimate, instead of those of [`ops`](crate::ops).
    pub is_plain: bool,
}

impl Footprint {
    /// That of `post_train`, for data of `[channels, height, width]`.
    pub fn of(config: &ExperimentConfig, shape: [usize; 3]) -> Self {
        let stage = &config.post_train;
        let state = State::of(&config.network, stage);
        let devices = config.devices.len().max(1);
        let passes = stage.accumulation.max(1);
        let kept = config.network.activations(shape);
        let kept = match stage.checkpointing {
            Checkpointing::None => kept.whole(),
            Checkpointing::Blocks => kept.recomputed(),
        };
        let half = stage.precision == Precision::Bf16;
        let is_plain = half || config.devices.iter().any(|device| !device.0.starts_with("cpu"));
        let kept = if is_plain { kept.saturating_mul(PLAIN) / 10 } else { kept };
        let size = if half { NUMBER / 2 } else { NUMBER };
        let copies = match half && stage.adapter.is_none() {
            true => config.network.parameter_count().all.saturating_mul(NUMBER / 2),
            false => 0,
        };
        let bytes = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            weights: bytes(state.weights),
            copies: bytes(copies),
            average: bytes(state.average),
            moments: bytes(state.moments),
            gradients: bytes(state.gradients),
            of_a_sample: bytes(kept.saturating_mul(size)),
            samples: (stage.batch_size / (passes * devices)).max(1),
            passes: [passes, devices],
            is_plain,
        }
    }

    /// The activations of a pass.
    pub fn activations(&self) -> u64 {
        self.of_a_sample.saturating_mul(self.samples as u64)
    }

    /// The most that is held at a time.
    pub fn held(&self) -> u64 {
        let state = [self.copies, self.average, self.moments].into_iter().fold(self.weights, u64::saturating_add);
        let [passes, devices] = self.passes;
        let pass = match passes * devices {
            1 => self.activations().max(self.gradients),
            _ => self.activations().saturating_add(self.gradients.saturating_mul(devices as u64)),
        };
        state.saturating_add(pass)
    }

    /// The same, and what an allocator needs beside it: a tenth more.
    pub fn peak(&self) -> u64 {
        self.held().saturating_add(self.held() / ALLOCATOR)
    }

    /// The largest `batch_size` with the same passes and devices whose peak is at most so many bytes; none if not one sample
    /// fits.
    pub fn largest_batch(&self, bytes: u64) -> Option<usize> {
        let fits = |samples: usize| Self { samples, ..self.clone() }.peak() <= bytes;
        let mut most = 0_usize;
        for bit in (0..30).rev() {
            if fits(most + (1 << bit)) {
                most += 1 << bit;
            }
        }
        (most > 0).then(|| most * self.passes[0] * self.passes[1])
    }

    /// The parts, each with its bytes.
    pub fn parts(&self) -> Vec<(&'static str, u64)> {
        let parts = [
            ("weights", self.weights),
            ("bf16 copies", self.copies),
            ("average", self.average),
            ("moments", self.moments),
            ("gradients", self.gradients),
            ("activations", self.activations()),
        ];
        parts.into_iter().filter(|(_, bytes)| *bytes > 0).collect()
    }
}

/// `12.3 GB`, `45.6 MB`.
pub(super) fn readable(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        few @ 0.0..1000.0 => format!("{few:.1} MB"),
        many => format!("{:.1} GB", many / 1e3),
    }
}

/// One sentence; a `;` begins a new line of `mixflow check`.
impl std::fmt::Display for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (part, bytes)) in self.parts().into_iter().enumerate() {
            write!(f, "{}{part} {}", if i == 0 { "" } else { ", " }, readable(bytes))?;
        }
        let s = if self.samples == 1 { "" } else { "s" };
        write!(
            f,
            "; a pass of {} sample{s} takes {} at most, a tenth of it for the allocator",
            self.samples,
            readable(self.peak())
        )?;
        if self.passes[1] > 1 {
            write!(f, ", on the first device")?;
        }
        if self.is_plain {
            write!(f, "; activations are an estimate here: it is exact for f32 on a CPU")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn footprint(stage: Value, devices: usize) -> Footprint {
        let config = json!({
            "data": {"kind": "photos"},
            "network": {"kind": "sit", "input_size": 16, "in_channels": 1, "hidden_size": 64, "depth": 4, "num_heads": 2},
            "devices": vec!["cpu"; devices],
            "post_train": stage,
        });
        Footprint::of(&ExperimentConfig::parse(&config.to_string()).unwrap(), [1, 16, 16])
    }

    #[test]
    fn parts_add_up_and_more_samples_need_more() {
        let whole = footprint(json!({"batch_size": 4}), 1);
        assert!(whole.weights >= whole.average && whole.average == whole.gradients);
        assert_eq!(whole.moments, 2 * whole.gradients);
        let many = footprint(json!({"batch_size": 64}), 1);
        assert_eq!(16 * whole.activations(), many.activations());
        assert!(many.peak() > whole.peak());
        let accumulated = footprint(json!({"batch_size": 64, "accumulation": 16}), 1);
        assert_eq!(accumulated.samples, 4);
        assert!(accumulated.peak() > whole.peak() && accumulated.peak() < many.peak());
        let two = footprint(json!({"batch_size": 8}), 2);
        assert_eq!((two.samples, two.passes), (4, [1, 2]));
        assert!(two.peak() > whole.peak());
    }

    #[test]
    fn the_largest_batch_is_the_last_that_fits() {
        for stage in [json!({"batch_size": 4}), json!({"batch_size": 12, "accumulation": 3})] {
            let found = footprint(stage, 1);
            for bytes in [20_000_000, 200_000_000, 3_000_000_000] {
                let batch = found.largest_batch(bytes).unwrap();
                let samples = batch / found.passes[0];
                assert!(Footprint { samples, ..found.clone() }.peak() <= bytes);
                assert!(Footprint { samples: samples + 1, ..found.clone() }.peak() > bytes);
            }
            assert_eq!(found.largest_batch(found.weights), None);
        }
    }

    #[test]
    fn recomputed_blocks_and_adapters_take_less() {
        let whole = footprint(json!({"batch_size": 64}), 1);
        let blocks = footprint(json!({"batch_size": 64, "checkpointing": "blocks"}), 1);
        assert!(2 * blocks.activations() < whole.activations());
        let adapter = json!({"kind": "lora", "rank": 2, "match": ["attn.qkv"]});
        let adapted = footprint(json!({"batch_size": 64, "adapter": adapter}), 1);
        assert!(100 * adapted.moments < 20 * whole.moments && adapted.weights > whole.weights);
        let half = footprint(json!({"precision": "bf16"}), 1);
        assert!(half.is_plain && half.copies * 2 == half.weights);
        assert!(half.to_string().contains("bf16 copies"));
    }
}
