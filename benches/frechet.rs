//! Time of the Fréchet distance and of its moments at the 2048 dimensions of Inception features, and of the
//! distances over all pairs of 10,000 vectors of 256 values on one core.
use burn_mixflow::evaluate::{Moments, energy_distance, frechet_distance, kid, precision_recall};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use divan::{Bencher, black_box};

const DIMENSIONS: usize = 2048;
const ROWS: u64 = 4096;

fn main() {
    divan::main();
}

fn normals(seed: u64, rows: u64, dimensions: usize) -> Vec<f32> {
    let keys: Vec<_> = (0..rows).map(|position| SampleKey { seed, epoch: 0, position }).collect();
    normal(&keys, Purpose::Data, &[dimensions]).iter().collect()
}

fn features(seed: u64) -> Vec<f32> {
    normals(seed, ROWS, DIMENSIONS)
}

fn filled(rows: &[f32]) -> Moments {
    let mut moments = Moments::new(DIMENSIONS);
    moments.push(rows).expect("normal values are finite");
    moments
}

#[divan::bench(sample_count = 3)]
fn moments(bencher: Bencher) {
    let rows = features(1);
    bencher.counter(divan::counter::ItemsCount::new(ROWS)).bench_local(|| filled(black_box(&rows)));
}

#[divan::bench(sample_count = 3)]
fn distance(bencher: Bencher) {
    let (a, b) = (filled(&features(1)), filled(&features(2)));
    bencher.bench_local(|| frechet_distance(black_box(&a), black_box(&b)).expect("both have samples"));
}

/// Two sets of 10,000 vectors of 256 values, for what compares all pairs.
fn pair() -> [Vec<f32>; 2] {
    [1, 2].map(|seed| normals(seed, 10_000, 256))
}

#[divan::bench(sample_count = 3)]
fn energy(bencher: Bencher) {
    let [a, b] = pair();
    bencher.bench_local(|| energy_distance(black_box(&a), black_box(&b), 256).expect("finite values"));
}

#[divan::bench(sample_count = 3)]
fn kernel(bencher: Bencher) {
    let [a, b] = pair();
    bencher.bench_local(|| kid(black_box(&a), black_box(&b), 256).expect("finite values"));
}

#[divan::bench(sample_count = 3)]
fn precision_and_recall(bencher: Bencher) {
    let [a, b] = pair();
    bencher.bench_local(|| precision_recall(black_box(&a), black_box(&b), 256, 3).expect("finite values"));
}
