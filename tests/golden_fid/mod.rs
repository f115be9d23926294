//! Fréchet distance, precision, recall and Inception Score equal the published evaluators' on stored features.
use crate::{Array, Arrays, close, json};
use burn_mixflow::evaluate::{
    InceptionScore, Moments, Splits, frechet_distance, inception_score, inception_score_of_logits, neighbour_radii,
    precision_recall,
};
use burn_mixflow::models::encoders::inception::{FidConvention, InceptionConfig};
use serde_json::Value;
use std::collections::BTreeMap;

const FILE: &str = "fid/fid.safetensors";
/// Largest relative difference where both sides are computed in f64.
const EXACT: f64 = 1e-10;
/// The same where a reference rounds: to f32, or by the square roots of a singular covariance's zero eigenvalues.
const ROUNDED: f64 = 1e-6;

/// The section of the evaluators, and what the others gave for this file.
fn recorded() -> (Value, Value) {
    let section = json("manifest.json")["systems"]["fid"].clone();
    (section["adm_evaluator"].clone(), section["files"][FILE]["extra"].clone())
}

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("no number `{name}`"))
}

fn single(values: &Array) -> Vec<f32> {
    values.values.iter().map(|v| *v as f32).collect()
}

fn moments(golden: &Arrays, name: &str) -> Moments {
    let array = golden.get(name);
    let mut moments = Moments::new(array.shape[1]);
    moments.push(&array.values).unwrap();
    assert_eq!(moments.count(), array.shape[0]);
    moments
}

#[test]
fn golden_fid_moments_equal_the_reference() {
    let file = Arrays::golden(FILE);
    for (case, (set, number)) in ["a", "b"].into_iter().flat_map(|case| [(case, ("sample", 1)), (case, ("ref", 2))]) {
        let found = moments(&file, &format!("{case}_{set}"));
        let [mean, covariance] = ["mu", "cov"].map(|what| format!("{case}_{what}{number}"));
        close(&mean, found.mean(), &file.get(&mean).values, EXACT);
        close(&covariance, &found.covariance().unwrap(), &file.get(&covariance).values, EXACT);
    }
}

#[test]
fn golden_fid_full_rank_and_rank_deficient_distances_equal_every_reference() {
    let (file, (evaluator, others)) = (Arrays::golden(FILE), recorded());
    for case in ["a", "b"] {
        let (sample, reference) = (moments(&file, &format!("{case}_sample")), moments(&file, &format!("{case}_ref")));
        let singular = sample.count().min(reference.count()) <= sample.dimensions();
        let tolerance = if singular { ROUNDED } else { EXACT };
        let found = frechet_distance(&sample, &reference).unwrap();
        close("ADM", &[found], &[number(&evaluator, &format!("fid_{case}"))], tolerance);
        for code in ["pytorch_fid", "torch_fidelity", "scipy_formula", "eigh_form"] {
            close(code, &[found], &[number(&others, &format!("{code}.{case}"))], tolerance);
        }
    }
}

#[test]
fn golden_fid_precision_and_recall_equal_the_reference() {
    let (file, (evaluator, others)) = (Arrays::golden(FILE), recorded());
    let (reference, samples) = (file.get("pr_ref"), file.get("pr_sample"));
    let (dim, neighbours) = (reference.shape[1], 3);
    let found = precision_recall(&single(reference), &single(samples), dim, neighbours).unwrap();
    for (name, value) in [("precision", found.precision), ("recall", found.recall)] {
        close(name, &[value], &[number(&evaluator, name)], EXACT);
        close(name, &[value], &[number(&others, &format!("torch_fidelity.{name}"))], ROUNDED);
    }
    for (name, set) in [("radii_ref", reference), ("radii_sample", samples)] {
        let expected: Vec<[f64; 1]> = serde_json::from_value(evaluator[name].clone()).expect(name);
        let radii = neighbour_radii(&single(set), dim, neighbours).unwrap();
        // The evaluator rounds squared distances to f16, whose spacing is 2^-10 of the value.
        for (radius, expected) in radii.iter().zip(expected.as_flattened()) {
            close(name, &[*radius], &[*expected], 2e-3);
        }
        assert_eq!(radii.len(), expected.len(), "{name}");
    }
}

#[test]
fn golden_fid_inception_score_equals_the_reference() {
    let (file, (evaluator, others)) = (Arrays::golden(FILE), recorded());
    let (probabilities, logits) = (file.get("probs"), file.get("logits"));
    let classes = probabilities.shape[1];
    let both = |splits| -> [InceptionScore; 2] {
        let found = inception_score(&probabilities.values, classes, splits).unwrap();
        [found, inception_score_of_logits(&logits.values, classes, splits).unwrap()]
    };
    let numbered = |of: &Value, before: &str, after: &str| -> Vec<(usize, Value)> {
        let entries = of.as_object().expect("named figures").iter();
        let number = |name: &str| name.strip_prefix(before)?.strip_suffix(after)?.parse().ok();
        let found: Vec<_> = entries.filter_map(|(name, value)| Some((number(name)?, value.clone()))).collect();
        assert!(!found.is_empty(), "no `{before}…{after}`");
        found
    };
    for (size, expected) in numbered(&evaluator, "is_split", "") {
        for found in both(Splits::Size(size)) {
            close("ADM", &[found.mean], &[expected.as_f64().unwrap()], EXACT);
        }
    }
    let figures = |of: &Value| ["mean", "std"].map(|what| number(of, &format!("inception_score_{what}")));
    for (count, expected) in numbered(&others, "torch_fidelity.isc_splits", "_noshuffle") {
        for found in both(Splits::Count(count)) {
            close("torch-fidelity", &[found.mean, found.deviation], &figures(&expected), EXACT);
        }
    }
    let order = numpy_permutation(2020, probabilities.shape[0]);
    let shuffled: Vec<f64> =
        order.iter().flat_map(|i| &probabilities.values[i * classes..(i + 1) * classes]).copied().collect();
    for (count, expected) in numbered(&others, "torch_fidelity.isc_splits", "_shuffle2020") {
        let found = inception_score(&shuffled, classes, Splits::Count(count)).unwrap();
        close("torch-fidelity", &[found.mean, found.deviation], &figures(&expected), EXACT);
    }
}

#[test]
fn golden_fid_both_resizes_equal_the_reference() {
    let file = Arrays::golden(FILE);
    let input = single(file.get("tf_resize_in"));
    for (name, convention) in
        [("tf_resize_out_13x5", FidConvention::TensorFlow), ("torch_bilinear_out_13x5", FidConvention::PytorchFid)]
    {
        let found = convention.resize(&input, [7, 9], [13, 5]).unwrap();
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        close(name, &found, &file.get(name).values, ROUNDED);
    }
}

#[test]
fn golden_fid_names_shapes_and_count_are_those_of_the_weights() {
    let recorded = json("fid/inception_params.json");
    let (_, expected) =
        recorded.as_object().unwrap().iter().find(|(name, _)| name.contains("fid_inception_v3")).unwrap();
    let expected: BTreeMap<String, Vec<usize>> = serde_json::from_value(expected.clone()).unwrap();
    let config = InceptionConfig::default();
    let count = &json("manifest.json")["systems"]["fid"]["files"]["fid/inception_params.json"]["n_params"];
    let (_, count) = count.as_object().unwrap().iter().find(|(name, _)| name.contains("fid_inception_v3")).unwrap();
    assert_eq!(config.parameters().into_iter().collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(Some(config.parameter_count() as u64), count.as_u64());
}

/// `numpy.random.RandomState(seed).permutation(count)`, which torch-fidelity shuffles with: MT19937, and a Fisher–Yates
/// shuffle from the end with numbers masked to the next power of two.
fn numpy_permutation(seed: u32, count: usize) -> Vec<usize> {
    const N: usize = 624;
    let mut state = vec![seed; N];
    for i in 1..N {
        state[i] = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
    }
    let mut at = 0;
    let mut next = || {
        let (upper, lower) = (state[at] & 0x8000_0000, state[(at + 1) % N] & 0x7fff_ffff);
        let twisted = if lower & 1 == 1 { 0x9908_b0df } else { 0 };
        state[at] = state[(at + 397) % N] ^ ((upper | lower) >> 1) ^ twisted;
        let mut y = state[at];
        at = (at + 1) % N;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        (y ^ (y >> 18)) as usize
    };
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        let mask = (i + 1).next_power_of_two() - 1;
        let j = std::iter::repeat_with(&mut next).map(|y| y & mask).find(|j| *j <= i).expect("an endless stream");
        order.swap(i, j);
    }
    order
}
