//! How much memory a training holds, before any of it is spent: by its parts, and by the largest batch that fits.
//!
//! At its peak a pass holds the weights, their average, AdamW's moments, and either the activations or the gradients, of which
//! one grows while the other shrinks; where passes are accumulated, or added up that were made on one device, both. Of several
//! devices it is the first that is counted: gradients of others come to it one tensor at a time.
use super::config::ExperimentConfig;
use crate::models::NetworkConfig;
use crate::post_train::StageConfig;
use crate::recompute::Checkpointing;
use crate::train::{Precision, Sharding};

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
    /// Their copies in the type of numbers that training computes in, if that is another or weights are spread over devices.
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
    /// How many of the devices are the first.
    pub on_first: usize,
    /// Whether weights, average and moments are spread over the devices, and what a pass computes with is a copy.
    pub is_sharded: bool,
    /// Whether a pass computes in bf16, as do copies then.
    pub is_half: bool,
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
        let is_sharded = stage.sharding == Sharding::Optimizer && devices > 1;
        let copies = match (half && stage.adapter.is_none(), is_sharded) {
            (true, _) => config.network.parameter_count().all.saturating_mul(NUMBER / 2),
            (false, true) => state.weights,
            (false, false) => 0,
        };
        // Rollouts and their kind look at the average, of which each device makes a copy too.
        let copies = match is_sharded && stage.input.is_some() {
            true => copies.saturating_add(state.average),
            false => copies,
        };
        let share = |bytes: u128| if is_sharded { bytes.div_ceil(devices as u128) } else { bytes };
        // Those of a copy are in its type of numbers; of their sum a device has its share.
        let gradients = match is_sharded {
            true => (state.gradients / NUMBER).saturating_mul(size).saturating_add(share(state.gradients)),
            false => state.gradients,
        };
        let bytes = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            weights: bytes(share(state.weights)),
            copies: bytes(copies),
            average: bytes(share(state.average)),
            moments: bytes(share(state.moments)),
            gradients: bytes(gradients),
            of_a_sample: bytes(kept.saturating_mul(size)),
            samples: (stage.batch_size / (passes * devices)).max(1),
            passes: [passes, devices],
            on_first: config.devices.iter().filter(|device| **device == config.devices[0]).count().max(1),
            is_sharded,
            is_half: half,
            is_plain,
        }
    }

    /// The activations of a pass.
    pub fn activations(&self) -> u64 {
        self.of_a_sample.saturating_mul(self.samples as u64)
    }

    /// The most that is held at a time.
    pub fn held(&self) -> u64 {
        let copies = self.copies.saturating_mul(self.on_first as u64);
        let state = [copies, self.average, self.moments].into_iter().fold(self.weights, u64::saturating_add);
        let pass = match self.passes[0] * self.on_first {
            1 => self.activations().max(self.gradients),
            _ => self.activations().saturating_add(self.gradients.saturating_mul(self.on_first as u64)),
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
            (if self.is_half { "bf16 copies" } else { "copies" }, self.copies),
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
            write!(f, ", on the first device{}", if self.is_sharded { ", which has its share" } else { "" })?;
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
        footprint_on(stage, &vec!["cpu"; devices])
    }

    fn footprint_on(stage: Value, devices: &[&str]) -> Footprint {
        let config = json!({
            "data": {"kind": "photos"},
            "network": {"kind": "sit", "input_size": 16, "in_channels": 1, "hidden_size": 64, "depth": 4, "num_heads": 2},
            "devices": devices,
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
    fn shared_among_devices_each_has_its_part_and_a_copy() {
        let of = |stage: Value| footprint_on(stage, &["cuda:0", "cuda:1", "cuda:2", "cuda:3"]);
        let whole = of(json!({"batch_size": 4}));
        let shared = of(json!({"batch_size": 4, "sharding": "optimizer"}));
        assert_eq!((whole.copies, whole.on_first), (0, 1));
        assert_eq!(
            [shared.weights, shared.average, shared.moments].map(|part| 4 * part),
            [whole.weights, whole.average, whole.moments].map(|part| part.next_multiple_of(4))
        );
        assert_eq!(shared.copies, whole.weights);
        let twice = footprint_on(json!({"batch_size": 4, "sharding": "optimizer"}), &["cpu", "cpu"]);
        assert_eq!(twice.held() - Footprint { copies: 0, ..twice.clone() }.held(), 2 * twice.copies);
        let half = of(json!({"batch_size": 4, "sharding": "optimizer", "precision": "bf16"}));
        assert_eq!((2 * half.copies, half.weights), (shared.copies, shared.weights));
        assert!(half.gradients < whole.gradients && shared.gradients > whole.gradients);
        assert_eq!(footprint(json!({"sharding": "optimizer"}), 1), footprint(json!({}), 1));
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
