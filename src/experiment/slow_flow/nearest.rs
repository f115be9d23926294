//! `argmin_s E|x − α(s) x1 − σ(s) x0|²`: the point of a segment, one s for a whole set.
use super::minimise::minimise;
use crate::path::Path;
use crate::path::is_linear;
use std::ops::{Add, Mul};

/// The five averages that the distance depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Averages {
    /// E|x1|².
    pub data: f64,
    /// E|x0|².
    pub noise: f64,
    /// E x1·x0.
    pub cross: f64,
    /// E x·x1.
    pub to_data: f64,
    /// E x·x0.
    pub to_noise: f64,
}

impl Add for Averages {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            data: self.data + o.data,
            noise: self.noise + o.noise,
            cross: self.cross + o.cross,
            to_data: self.to_data + o.to_data,
            to_noise: self.to_noise + o.to_noise,
        }
    }
}

impl Mul<f64> for Averages {
    type Output = Self;
    fn mul(self, by: f64) -> Self {
        Self {
            data: self.data * by,
            noise: self.noise * by,
            cross: self.cross * by,
            to_data: self.to_data * by,
            to_noise: self.to_noise * by,
        }
    }
}

impl Averages {
    /// The average over samples of the given weights, of mean 1.
    pub fn of(samples: &[Self], weights: Option<&[f64]>) -> Self {
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]) / samples.len() as f64;
        samples.iter().enumerate().fold(Self::default(), |sum, (i, sample)| sum + *sample * weight(i))
    }

    /// E|x1 − x0|².
    pub fn length(&self) -> f64 {
        self.data + self.noise - 2.0 * self.cross
    }

    /// The nearest s: closed on the linear path, and not held within [0, 1] there; searched on [0, 1] on any other.
    pub fn nearest(&self, path: &dyn Path) -> f64 {
        if is_linear(path) {
            return (self.noise - self.cross + self.to_data - self.to_noise) / self.length();
        }
        minimise(&mut |s| {
            let c = path.coefficients(s);
            let square = c.alpha * c.alpha * self.data + c.sigma * c.sigma * self.noise;
            square + 2.0 * (c.alpha * c.sigma * self.cross - c.alpha * self.to_data - c.sigma * self.to_noise)
        })
    }
}
