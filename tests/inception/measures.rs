//! Pictures to FID, KID, precision, recall and Inception Score as torch-fidelity has them, and the same of given features.
use crate::{formula, golden, network, pictures};
use burn_mixflow::evaluate::{Splits, frechet_distance_of_samples, inception_score_of_logits, kid, precision_recall};
use burn_mixflow::experiment::gfid::{GfidOptions, GfidReference, GfidReport, GfidSamples, measure_gfid};
use burn_mixflow::experiment::progress::Silent;
use burn_mixflow::models::encoders::inception::{Inception, InceptionConfig};
use serde_json::Value;
use std::path::Path;

const SIDES: [usize; 2] = [40, 48];
const COUNT: usize = 64;

fn recorded() -> Value {
    serde_json::from_slice(&std::fs::read(golden("inception.json")).unwrap()).unwrap()
}

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("no number `{name}`"))
}

/// Relative to the expected number.
fn near(name: &str, found: f64, expected: f64, tolerance: f64) {
    println!("{name}: {found} and {expected}, {:.1e}", (found / expected - 1.0).abs());
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{name}: {found} instead of {expected}");
}

fn report(network: &Inception, folder: &Path) -> (GfidReport, GfidSamples) {
    let mut samples = GfidSamples::new(network);
    let bytes = pictures("samples", COUNT, SIDES, 1.0);
    let size = bytes.len() / COUNT;
    // In pieces of an odd number of pictures.
    for piece in bytes.chunks(size * 23) {
        samples.push(network, piece, SIDES).unwrap();
    }
    let reference = crate::files::npy(folder, "reference.npy", &pictures("reference", COUNT, SIDES, 0.8), SIDES);
    let reference = GfidReference::read(&reference, network, None, &Silent).unwrap();
    (measure_gfid(&samples, &reference, network, &GfidOptions::default(), &Silent).unwrap(), samples)
}

#[test]
fn the_whole_chain_is_that_of_torch_fidelity() {
    let (network, folder) = (network(&InceptionConfig::default()), tempfile::tempdir().unwrap());
    let (report, samples) = report(&network, folder.path());
    let recorded = recorded();
    let expected = &recorded["pictures"];
    assert_eq!(samples.count(), COUNT);
    near("FID", report.fid.value, number(expected, "fid"), 1e-3);
    near("FID by singular values", report.fid.value, number(expected, "fid_by_singular_values"), 1e-3);
    near("sFID", report.sfid.unwrap().value, number(&recorded, "sfid"), 1e-3);
    near("IS", report.inception_score.value, number(expected, "isc_1"), 1e-4);
    let found = [report.precision, report.recall].map(|share| share.unwrap().value);
    for (name, found) in ["precision", "recall"].into_iter().zip(found) {
        assert!((found - number(expected, name)).abs() < 1e-6, "{name}: {found} instead of {}", expected[name]);
    }
    let kid = report.kid.unwrap();
    let [low, high] = kid.interval.unwrap();
    // Of random subsets here, of whole sets there.
    assert!((low..high).contains(&number(expected, "kid")), "{kid:?} {}", expected["kid"]);
    let [low, high] = report.fid.interval.unwrap();
    assert!(low < report.fid.value && report.fid.value < high);
    assert_eq!((report.name(), report.sample_count), ("FID-64".into(), COUNT));
    assert!(report.markdown().contains("This is not FID-50k"));
}

/// Features `[count, dim]` by formula: correlated, at least 0.
fn given(name: &str, count: usize, dim: usize, shift: f64) -> Vec<f32> {
    let values = formula::uniforms(name, count * dim);
    let at = |i: usize| values[i] + values[i / dim * dim + (i % dim + dim - 1) % dim] * shift;
    (0..values.len()).map(|i| at(i) as f32).collect()
}

#[test]
fn measures_of_given_features_are_those_of_torch_fidelity() {
    let recorded = recorded();
    for (case, [a, b], count, dim) in [("full_rank", ["a", "b"], 300, 32), ("singular", ["c", "d"], 64, 2048)] {
        let expected = &recorded[case];
        let (samples, reference) = (given(a, count, dim, 0.5), given(b, count, dim, 0.8));
        let fid = frechet_distance_of_samples(&samples, &reference, dim).unwrap();
        near(&format!("{case} FID"), fid, number(expected, "fid"), 1e-6);
        near(&format!("{case} FID by singular values"), fid, number(expected, "fid_by_singular_values"), 1e-9);
        // It is computed in f32 there, of kernels near 3.
        near(&format!("{case} KID"), kid(&samples, &reference, dim).unwrap().value, number(expected, "kid"), 1e-3);
        let found = precision_recall(&reference, &samples, dim, 3).unwrap();
        near(&format!("{case} precision"), found.precision, number(expected, "precision"), 1e-6);
        near(&format!("{case} recall"), found.recall, number(expected, "recall"), 1e-6);
        let logits = given("logits", count, 32, 4.0);
        for (splits, name) in [(1, "isc_1"), (4, "isc_4")] {
            let found = inception_score_of_logits(&logits, 32, Splits::Count(splits)).unwrap();
            near(&format!("{case} {name}"), found.mean, number(expected, name), 1e-6);
        }
    }
}
