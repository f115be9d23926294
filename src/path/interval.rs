//! The times on which a prediction is trained and integrated.
use super::{PathConfig, PredictionKind};

/// A closed interval of times that keeps away from the ends where a path or a conversion is singular.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingInterval {
    /// The first time, at the noise end.
    pub start: f64,
    /// The last time, at the data end.
    pub end: f64,
}

impl TrainingInterval {
    /// The interval to draw training times from, with SiT's ε: 1e-5 on VP, 1e-3 for a prediction other
    /// than the velocity on Linear and GVP, 0 for the velocity there.
    pub fn training(path: PathConfig, prediction: PredictionKind) -> Self {
        Self::new(path, prediction, if path == PathConfig::Vp { 1e-5 } else { 1e-3 })
    }

    /// The interval to integrate the sampling equation over, with SiT's ε of 1e-3 where one is needed.
    pub fn sampling(path: PathConfig, prediction: PredictionKind) -> Self {
        Self::new(path, prediction, 1e-3)
    }

    /// [0, 1 − ε] on VP; [ε, 1 − ε] on Linear and GVP, except [0, 1] for the velocity (SiT's `check_interval`).
    pub fn new(path: PathConfig, prediction: PredictionKind, epsilon: f64) -> Self {
        match (path, prediction) {
            (PathConfig::Vp, _) => Self { start: 0.0, end: 1.0 - epsilon },
            (_, PredictionKind::Velocity) => Self { start: 0.0, end: 1.0 },
            _ => Self { start: epsilon, end: 1.0 - epsilon },
        }
    }

    /// Maps `t` in [0, 1] linearly onto the interval.
    pub fn map(&self, t: f64) -> f64 {
        self.start + t * (self.end - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_velocity_on_a_regular_path_reaches_both_ends() {
        use PredictionKind::{Noise, Velocity};
        let of = |path, kind| (TrainingInterval::training(path, kind), TrainingInterval::sampling(path, kind));
        let pair = |i: TrainingInterval| (i.start, i.end);
        let (train, sample) = of(PathConfig::Linear, Velocity);
        assert_eq!((pair(train), pair(sample)), ((0.0, 1.0), (0.0, 1.0)));
        let (train, sample) = of(PathConfig::Gvp, Noise);
        assert_eq!((pair(train), pair(sample)), ((1e-3, 0.999), (1e-3, 0.999)));
        let (train, sample) = of(PathConfig::Vp, Velocity);
        assert_eq!((pair(train), pair(sample)), ((0.0, 1.0 - 1e-5), (0.0, 0.999)));
    }
}
