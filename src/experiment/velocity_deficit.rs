//! `s(t) = E⟨v*, v⟩ / E‖v‖²`: by how much a model's velocities are too short or too long, on data it was trained on.
//!
//! v* is the velocity of a pair of data and noise, v what the model predicts at their mixture. The best possible v is the
//! mean of v* given the mixture; then E⟨v*, v⟩ = E‖v‖², and s(t) = 1. Above 1 the model's velocities are too short: its
//! *velocity deficit* ([arXiv 2605.14819](https://arxiv.org/abs/2605.14819)), in our reading. ‖v‖ alone says nothing of the
//! kind: v* holds noise that no model can predict, so ‖v‖ < ‖v*‖ for the best one too.
use super::slow_flow::{FieldSource, GroundTruth, velocities};
use super::statistics::mean;
use crate::sample::corrections::ScaleCurve;
use crate::{Error, Result};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The deficit at one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeficitPoint {
    /// The timestep t.
    pub time: f64,
    /// s(t): what the model's velocities must be multiplied by to come nearest to those of the pairs.
    pub scale: f64,
    /// Its standard error over the pairs.
    pub standard_error: f64,
    /// √(E‖v‖²/n) of n values: the model's velocities.
    pub predicted: f64,
    /// √(E‖v*‖²/n): the velocities of the pairs.
    pub target: f64,
}

impl DeficitPoint {
    /// From `a = ⟨v*, v⟩`, `b = ‖v‖²` and `c = ‖v*‖²` of each pair, of `size` values.
    fn new(time: f64, products: &[[f64; 3]], size: usize) -> Result<Self> {
        let of = |which: usize| mean(&products.iter().map(|pair| pair[which]).collect::<Vec<_>>());
        let (a, b, c, count) = (of(0), of(1), of(2), products.len() as f64);
        let scale = a / b;
        // Of a ratio of means, to first order.
        let residual: f64 = products.iter().map(|[a, b, _]| (a - scale * b).powi(2)).sum();
        let standard_error = (residual / (count * (count - 1.0))).sqrt() / b;
        if !(scale.is_finite() && standard_error.is_finite()) {
            return Err(Error::Invalid(format!("the velocities at t = {time} are 0 or not finite: s(t) is not known")));
        }
        let length = |square: f64| (square / size as f64).sqrt();
        Ok(Self { time, scale, standard_error, predicted: length(b), target: length(c) })
    }

    /// Whether s(t) differs from 1 beyond three standard errors: of nine times with the same noise, two are beyond two
    /// of them by chance alone often enough.
    pub fn is_beyond_chance(&self) -> bool {
        (self.scale - 1.0).abs() > 3.0 * self.standard_error
    }
}

/// The deficit of a model over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VelocityDeficit {
    /// Pairs of data and noise.
    pub pairs: usize,
    /// By increasing time.
    pub points: Vec<DeficitPoint>,
}

impl VelocityDeficit {
    /// Measures the field of `source` at the pairs of `truth`, tensors of `shape` without its first entry, in batches.
    ///
    /// # Errors
    /// As the fields of `source`; [`Error::Invalid`] for velocities that are 0 or not finite.
    pub fn measure<const D: usize>(
        source: &dyn FieldSource<D>,
        truth: &GroundTruth,
        times: &[f64],
        (shape, batch): ([usize; D], usize),
        device: &Device,
    ) -> Result<Self> {
        let size: usize = shape[1..].iter().product();
        let at = |time: &f64| {
            let found = velocities(source, &truth.at(*time), *time, (shape, batch), device)?;
            let products: Vec<[f64; 3]> =
                found.chunks(size).zip(truth.velocities(*time).chunks(size)).map(|(v, w)| products(v, w)).collect();
            DeficitPoint::new(*time, &products, size)
        };
        Ok(Self { pairs: truth.count(), points: times.iter().map(at).collect::<Result<_>>()? })
    }

    /// s(t) as a correction: as measured where it differs from 1 beyond three standard errors, else 1.
    pub fn curve(&self) -> ScaleCurve {
        let scale = |point: &DeficitPoint| if point.is_beyond_chance() { point.scale } else { 1.0 };
        ScaleCurve::Table { points: self.points.iter().map(|p| [p.time, rounded(scale(p))]).collect() }
    }

    /// Whether s(t) differs from 1 anywhere beyond three standard errors.
    pub fn is_there(&self) -> bool {
        self.points.iter().any(DeficitPoint::is_beyond_chance)
    }

    /// A table for people.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| t | s(t) | length of v | length of v* |\n|---|---|---|---|\n");
        for p in &self.points {
            let bold = if p.is_beyond_chance() { "**" } else { "" };
            let _ = writeln!(
                text,
                "| {:.3} | {bold}{:.4} ± {:.4}{bold} | {:.4} | {:.4} |",
                p.time, p.scale, p.standard_error, p.predicted, p.target
            );
        }
        text
    }
}

/// ⟨v*, v⟩, ‖v‖² and ‖v*‖² of one pair.
fn products(v: &[f32], target: &[f32]) -> [f64; 3] {
    v.iter().zip(target).fold([0.0; 3], |[a, b, c], (v, w)| {
        let (v, w) = (f64::from(*v), f64::from(*w));
        [a + v * w, b + v * v, c + w * w]
    })
}

/// Four decimals: a file that people read.
fn rounded(scale: f64) -> f64 {
    (scale * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::super::slow_flow::Exactly;
    use super::*;
    use crate::path::Linear;
    use burn::tensor::Tensor;
    use std::sync::Arc;

    /// For data of the law N(0, s²) the best velocity is `x (t s² − (1 − t))/(t² s² + (1 − t)²)`.
    const DEVIATION: f64 = 0.5;

    fn truth() -> GroundTruth {
        let count = 4000;
        let keys: Vec<_> =
            (0..count).map(|position| crate::random::SampleKey { seed: 1, epoch: 0, position }).collect();
        let normal = crate::random::normal(&keys, crate::random::Purpose::Data, &[3]);
        let data = normal.iter::<f32>().map(|value| DEVIATION as f32 * value).collect();
        GroundTruth::new(data, 3, (0..count as usize).collect(), Arc::new(Linear), 2).unwrap()
    }

    fn measured(factor: f64) -> VelocityDeficit {
        let best = |x: Tensor<2>, t: f64| {
            let variance = DEVIATION * DEVIATION;
            x.mul_scalar(factor * (t * variance - (1.0 - t)) / (t * t * variance + (1.0 - t).powi(2)))
        };
        let shape = [4000, 3];
        VelocityDeficit::measure(&Exactly(&best), &truth(), &[0.1, 0.5, 0.95], (shape, 1000), &Device::flex()).unwrap()
    }

    /// Three points: beyond three standard errors once in about a hundred seeds; this one is fixed.
    #[test]
    fn the_best_velocity_has_no_deficit_and_a_shortened_one_has_its_own() {
        let exact = measured(1.0);
        for point in &exact.points {
            assert!((point.scale - 1.0).abs() < 3.0 * point.standard_error, "{point:?}");
            assert!(point.standard_error < 0.05 && point.predicted < point.target, "{point:?}");
        }
        for (short, exact) in measured(0.8).points.iter().zip(&exact.points) {
            assert!((short.scale * 0.8 / exact.scale - 1.0).abs() < 1e-4, "{short:?}");
        }
    }

    #[test]
    fn the_table_holds_what_is_beyond_chance() {
        let at =
            |time, scale, standard_error| DeficitPoint { time, scale, standard_error, predicted: 1.0, target: 1.0 };
        let deficit = VelocityDeficit { pairs: 16, points: vec![at(0.1, 1.05, 0.02), at(0.9, 1.06123, 0.02)] };
        assert_eq!(deficit.curve(), ScaleCurve::Table { points: vec![[0.1, 1.0], [0.9, 1.0612]] });
        assert!(deficit.is_there() && deficit.markdown().contains("| 0.900 | **1.0612 ± 0.0200** | 1.0000 |"));
    }

    #[test]
    fn a_still_field_has_no_scale() {
        let still = |x: Tensor<2>, _: f64| x.zeros_like();
        let found = VelocityDeficit::measure(&Exactly(&still), &truth(), &[0.5], ([4000, 3], 1000), &Device::flex());
        assert!(found.unwrap_err().to_string().contains("s(t) is not known"));
    }
}
