use super::{exported, gradients};
use crate::{Arrays, TOLERANCE, close, path};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn_mixflow::checkpoint::weights::KeyMap;
use std::collections::BTreeMap;

/// Repeats recorded optimizer steps: AdamW, its moments and the average of the weights.
pub struct Replay<'a> {
    names: KeyMap<'a>,
    optimizer: ModuleOptimizer,
    betas: [f64; 2],
    decay: f64,
    ema: BTreeMap<String, crate::Array>,
    moments: BTreeMap<String, Vec<[f64; 2]>>,
}

impl<'a> Replay<'a> {
    /// Starts at `module`, with the two decays of AdamW and the decay of the average.
    pub fn new<M: Module>(module: &M, betas: [f64; 2], decay: f64, names: KeyMap<'a>) -> Self {
        let [first, second] = betas.map(|b| b as f32);
        let adam = AdamWConfig::new().with_beta_1(first).with_beta_2(second).with_epsilon(1e-8).with_weight_decay(0.0);
        let ema = exported(module, names).0;
        Self { names, optimizer: adam.init(), betas, decay, ema, moments: BTreeMap::new() }
    }

    /// One update of `module` by `grads`, clipped already.
    pub fn step<M: Module + burn::module::ModuleDisplay>(&mut self, module: M, grads: GradientsParams, rate: f64) -> M {
        let [b1, b2] = self.betas;
        for (name, array) in gradients(&module, &grads, self.names).0 {
            let moments = self.moments.entry(name).or_insert_with(|| vec![[0.0; 2]; array.values.len()]);
            for ([first, second], g) in moments.iter_mut().zip(array.values) {
                *first = b1 * *first + (1.0 - b1) * g;
                *second = b2 * *second + (1.0 - b2) * g * g;
            }
        }
        let module = self.optimizer.step(rate, module, grads);
        for (name, array) in exported(&module, self.names).0 {
            let average = &mut self.ema.get_mut(&name).expect("the same names").values;
            for (a, w) in average.iter_mut().zip(array.values) {
                *a = self.decay * *a + (1.0 - self.decay) * w;
            }
        }
        module
    }

    /// Compares weights, average and moments with what the official code saved. `determined` cuts away the values
    /// that Adam does not determine: where the gradient is zero but for rounding, it is divided by its own size.
    pub fn check<M: Module>(
        &self,
        module: &M,
        [raw, averaged]: [&Arrays; 2],
        determined: impl Fn(&str, &[f64]) -> Vec<f64>,
    ) {
        let found = exported(module, self.names).0;
        assert!(!raw.0.is_empty());
        for (name, expected) in &raw.0 {
            for (found, expected) in [(&found[name], expected), (&self.ema[name], averaged.get(name))] {
                let [found, expected] = [found, expected].map(|a| determined(name, &a.values));
                close(name, &found, &expected, TOLERANCE);
            }
        }
    }

    /// Compares the moments with those below `key` of a checkpoint, whose optimizer numbers the parameters in the
    /// order of `names`; `frozen` of them have no state.
    pub fn check_moments(&self, file: &str, key: &str, names: &[String], frozen: &[&str]) {
        let stored = burn::store::pytorch_reader::PytorchReader::with_top_level_key(path(file), key)
            .expect("an optimizer")
            .into_tensors();
        for (number, name) in names.iter().enumerate() {
            for (which, moment) in ["exp_avg", "exp_avg_sq"].into_iter().enumerate() {
                let stored = stored.get(&format!("state.{number}.{moment}"));
                if frozen.contains(&name.as_str()) {
                    assert!(stored.is_none(), "{name}");
                    continue;
                }
                let tensor = burn::store::bridge::from_pytorch(stored.expect(name).clone());
                let data = burn::store::bridge::to_data(&tensor).expect("readable values");
                let found: Vec<f64> = self.moments[name].iter().map(|m| m[which]).collect();
                close(&format!("{name} {moment}"), &found, &data.iter::<f64>().collect::<Vec<_>>(), TOLERANCE);
            }
        }
    }
}

/// The values that a step of Adam determines. Softmax does not see the bias of the keys: its gradient is zero but for
/// rounding, which Adam divides by its own size.
pub fn without_key_bias(name: &str, values: &[f64]) -> Vec<f64> {
    if !name.ends_with("attn.qkv.bias") {
        return values.to_vec();
    }
    let third = values.len() / 3;
    [&values[..third], &values[2 * third..]].concat()
}
