use super::{exported, gradients, shifted};
use crate::{Arrays, TOLERANCE, close, path};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn_mixflow::models::weights::KeyMap;
use burn_mixflow::train::ema;
use std::collections::BTreeMap;

const ADAM_EPSILON: f64 = 1e-8;

/// By name the entries whose first step Adam does not determine, and what to add to them after it.
type Unsettled = BTreeMap<String, Vec<(usize, f64)>>;

/// Repeats recorded optimizer steps: AdamW, its moments and the average of the weights.
pub struct Replay<'a, M> {
    names: KeyMap<'a>,
    optimizer: ModuleOptimizer,
    betas: [f64; 2],
    decay: f64,
    ema: M,
    moments: BTreeMap<String, Vec<[f64; 2]>>,
    unsettled: Option<Unsettled>,
}

impl<'a, M: Module + burn::module::ModuleDisplay> Replay<'a, M> {
    /// Starts at `module`, with the two decays of AdamW and the decay of the average.
    pub fn new(module: &M, betas: [f64; 2], decay: f64, names: KeyMap<'a>) -> Self {
        let [first, second] = betas.map(|b| b as f32);
        let adam = AdamWConfig::new()
            .with_beta_1(first)
            .with_beta_2(second)
            .with_epsilon(ADAM_EPSILON as f32)
            .with_weight_decay(0.0);
        let (optimizer, ema) = (adam.init(), ema::start(module));
        Self { names, optimizer, betas, decay, ema, moments: BTreeMap::new(), unsettled: None }
    }

    /// The same, with what a first replay found [unsettled](Self::unsettled) settled as recorded.
    pub fn settled(self, unsettled: Unsettled) -> Self {
        Self { unsettled: Some(unsettled), ..self }
    }

    /// Adam divides its first gradient by its own size: where that gradient is rounding, so is its step, and later
    /// gradients inherit it. These entries, fewer than one of a hundred, each with the weight in `raw` less that of
    /// `module`, at the end of this replay.
    pub fn unsettled(&self, module: &M, raw: &Arrays) -> Unsettled {
        let found = exported(module, self.names).0;
        let mut unsettled = self.unsettled.clone().unwrap_or_default();
        for (name, entries) in &mut unsettled {
            for (i, shift) in entries {
                *shift = raw.get(name).values[*i] - found[name].values[*i];
            }
        }
        let (some, all): (usize, usize) =
            (unsettled.values().map(Vec::len).sum(), found.values().map(|a| a.values.len()).sum());
        println!("{some} of {all} entries are not determined by the first step of Adam");
        assert!(100 * some < all, "{some} of {all}");
        unsettled
    }

    /// One update of `module` by `grads`, clipped already.
    pub fn step(&mut self, module: M, grads: GradientsParams, rate: f64) -> M {
        let [b1, b2] = self.betas;
        let first = self.moments.is_empty();
        let gradients = gradients(&module, &grads, self.names).0;
        if first && self.unsettled.is_none() {
            let weights = exported(&module, self.names).0;
            let rounding = |(name, array): (&String, &crate::Array)| {
                let largest = weights[name].values.iter().fold(0.0f64, |a, w| a.max(w.abs()));
                (name.clone(), rounding(&array.values, rate / largest))
            };
            self.unsettled = Some(gradients.iter().map(rounding).collect());
        }
        for (name, array) in gradients {
            let moments = self.moments.entry(name).or_insert_with(|| vec![[0.0; 2]; array.values.len()]);
            for ([first, second], g) in moments.iter_mut().zip(array.values) {
                *first = b1 * *first + (1.0 - b1) * g;
                *second = b2 * *second + (1.0 - b2) * g * g;
            }
        }
        let mut module = self.optimizer.step(rate, module, grads);
        let shifts = |u: &&Unsettled| u.values().flatten().any(|(_, shift)| *shift != 0.0);
        if let Some(unsettled) = self.unsettled.as_ref().filter(|_| first).filter(shifts) {
            module = shifted(&module, unsettled, self.names);
        }
        self.ema = ema::update(self.ema.clone(), &module, self.decay);
        module
    }

    /// Compares weights, average and moments with what the official code saved. `determined` cuts away the values
    /// that Adam does not determine: where the gradient is zero but for rounding, it is divided by its own size.
    pub fn check(&self, module: &M, [raw, averaged]: [&Arrays; 2], determined: impl Fn(&str, &[f64]) -> Vec<f64>) {
        let [found, average] = [module, &self.ema].map(|module| exported(module, self.names).0);
        assert!(!raw.0.is_empty());
        for (name, expected) in &raw.0 {
            for (found, expected) in [(&found[name], expected), (&average[name], averaged.get(name))] {
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

/// The entries whose first step rounding decides, beside the largest gradient of their tensor; to be shifted by nothing
/// yet. `rate` is relative to the largest weight.
///
/// Kernels of other processors add in another order, which moves a gradient g by up to δ = 16 ulp of the largest. The step
/// `g/(|g| + ε)` is then undetermined where g is smaller than δ, and where |g| is so near to Adam's ε that δ moves the
/// step by more than the tolerance. A gradient that is exactly zero stays so.
fn rounding(gradient: &[f64], rate: f64) -> Vec<(usize, f64)> {
    let largest = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
    let resolution = 16.0 * f64::from(f32::EPSILON) * largest;
    let step = |g: f64| rate * g / (g.abs() + ADAM_EPSILON);
    let undetermined = |g: f64| g < resolution || step(g + resolution) - step(g - resolution) > TOLERANCE;
    let unsettled = (0..gradient.len()).filter(|i| gradient[*i] != 0.0 && undetermined(gradient[*i].abs()));
    unsettled.map(|i| (i, 0.0)).collect()
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
