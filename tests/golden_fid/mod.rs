//! The Fréchet distance equals the published evaluator's on stored features (see `tests/golden/manifest.json`).
use crate::{Arrays, json};
use burn_mixflow::evaluate::{Moments, frechet_distance};

fn moments(golden: &Arrays, name: &str) -> Moments {
    let array = golden.get(name);
    let rows: Vec<f32> = array.values.iter().map(|v| *v as f32).collect();
    let mut moments = Moments::new(array.shape[1]);
    moments.push(&rows).unwrap();
    assert_eq!(moments.count(), array.shape[0]);
    moments
}

#[test]
fn full_rank_and_rank_deficient_distances_equal_the_reference() {
    let (file, manifest) = (Arrays::golden("fid/fid.safetensors"), json("manifest.json"));
    let recorded = &manifest["systems"]["fid"]["files"]["fid/fid.safetensors"]["tensors"];
    for case in ["a", "b"] {
        for set in ["sample", "ref"] {
            assert_eq!(recorded[format!("{case}_{set}")][0], "float64");
        }
        let expected = manifest["systems"]["fid"]["adm_evaluator"][format!("fid_{case}")].as_f64().unwrap();
        let (sample, reference) = (moments(&file, &format!("{case}_sample")), moments(&file, &format!("{case}_ref")));
        let found = frechet_distance(&sample, &reference).unwrap();
        assert!((found - expected).abs() <= 1e-6 * expected, "{case}: {found}, expected {expected}");
    }
}
