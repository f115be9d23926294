//! Tests against exact laws, with fixed seeds.
use crate::random::{Purpose, SampleKey};
use chacha20::ChaCha8Rng;

/// The stream of a fixed seed.
pub(super) fn stream(seed: u64) -> ChaCha8Rng {
    SampleKey { seed, epoch: 0, position: 0 }.rng(Purpose::Timesteps)
}

/// Fails if the draws do not follow `cdf` (one-sample Kolmogorov–Smirnov, false-alarm rate 2e-6).
pub(super) fn kolmogorov_smirnov(what: &str, draws: impl Iterator<Item = f64>, cdf: impl Fn(f64) -> f64) {
    let mut draws: Vec<f64> = draws.collect();
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let statistic = draws.iter().enumerate().fold(0.0_f64, |worst, (i, x)| {
        let (below, at, above) = (i as f64 / n, cdf(*x), (i + 1) as f64 / n);
        worst.max(at - below).max(above - at)
    });
    // 2 exp(−2 λ²) = 2e-6 at λ = √n D = 2.63.
    assert!(n > 1000.0 && statistic * n.sqrt() < 2.63, "{what}: sqrt(n) D = {}", statistic * n.sqrt());
}
