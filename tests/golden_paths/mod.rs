//! Paths and time maps against tables written by the official code (folder: `MIXFLOW_GOLDEN`, else `tests/golden`).
use crate::{Array, Arrays};
use burn::tensor::Tensor;
use burn_mixflow::path::{PathConfig, PredictionKind, drift, interpolate, velocity_target};
use burn_mixflow::sample::DiffusionForm;
use burn_mixflow::timestep::{Density, Slowing, TimeShift};

fn slowing(name: &str) -> Slowing {
    match name {
        "U01" => Slowing::UniformAll {},
        "U0t" => Slowing::UniformBelow {},
        "U0_0.2t" => Slowing::Fraction { fraction: 0.2 },
        _ => Slowing::Range { gamma: name.strip_prefix("gamma").unwrap().parse().unwrap() },
    }
}

#[test]
fn the_papers_time_maps_are_reproduced_to_the_last_bit() {
    let file = Arrays::golden("mixflow/time_maps.safetensors");
    let (u, r) = (&file.get("u").values, &file.get("r").values);
    let mut compared = 0;
    for (prefix, density) in [("U", Density::Uniform {}), ("Beta21", Density::BETA_2_1)] {
        let t: Vec<f64> = u.iter().map(|u| density.map(*u).unwrap()).collect();
        let expected = &file.get(&format!("{prefix}.t")).values;
        // 1 ulp: the table has √0.5 one below the correctly rounded value. Its m are compared given its t, with ==.
        let within_an_ulp = |(a, b): (&f64, &f64)| a.to_bits().abs_diff(b.to_bits()) <= 1;
        assert_eq!(t.len(), expected.len());
        assert!(t.iter().zip(expected).all(within_an_ulp), "{prefix}.t: {t:?} {expected:?}");
        for (key, table) in &file.0 {
            let Some(law) = key.strip_prefix(&format!("{prefix}.m.")) else { continue };
            let m: Vec<f64> = expected.iter().zip(r).map(|(t, r)| slowing(law).map(*t, *r)).collect();
            assert_eq!(m, table.values, "{key}");
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn shifted_time_maps_are_the_reversed_ones_seen_from_the_other_end() {
    let file = Arrays::golden("mixflow/time_maps.safetensors");
    let (u, r) = (&file.get("u").values, &file.get("r").values);
    let rae = TimeShift::Dimension { dim: 48.0 * 4096.0, base: 4096.0 };
    let shifts =
        [("rev", TimeShift::Factor { factor: 1.0 }), ("rev.rae", rae), ("rev.sd3", TimeShift::Factor { factor: 3.0 })];
    // 1 − t rounds once at each of a handful of steps: 4 ulp of 1.
    let close = |ours: f64, reversed: f64| (1.0 - ours - reversed).abs() <= 4.0 * f64::EPSILON;
    let mut compared = 0;
    for (prefix, shift) in shifts {
        let t: Vec<f64> = u.iter().map(|u| shift.map(Density::BETA_2_1.map(*u).unwrap())).collect();
        assert!(t.iter().zip(&file.get(&format!("{prefix}.t")).values).all(|(a, b)| close(*a, *b)), "{prefix}.t");
        for (key, table) in &file.0 {
            let Some(law) = key.strip_prefix(&format!("{prefix}.m.")) else { continue };
            for ((t, r), expected) in t.iter().zip(r).zip(&table.values) {
                assert!(close(slowing(law).map(*t, *r), *expected), "{key} at t = {t}");
            }
            compared += 1;
        }
    }
    assert!(compared > 0);
}

/// The largest difference relative to the largest finite entry of the same sample, or to 0.1 where that is
/// smaller; over the samples in `keep` and the entries that are finite in the table.
fn error(ours: &[f64], table: &Array, keep: impl Fn(usize) -> bool) -> f64 {
    assert_eq!(ours.len(), table.values.len());
    let per_sample = table.values.len() / table.shape[0];
    let samples = ours.chunks_exact(per_sample).zip(table.values.chunks_exact(per_sample)).enumerate();
    let mut worst = 0.0;
    for (_, (ours, expected)) in samples.filter(|(i, _)| keep(*i)) {
        let finite = || ours.iter().zip(expected).filter(|(_, b)| b.is_finite());
        let scale = finite().map(|(_, b)| b.abs()).fold(0.1, f64::max);
        for error in finite().map(|(a, b)| (a - b).abs() / scale) {
            // Written so that NaN is kept.
            worst = if error <= worst { worst } else { error };
        }
    }
    worst
}

#[test]
fn paths_and_conversions_are_sits() {
    let file = Arrays::golden("sit/paths.safetensors");
    let device = crate::device::device();
    let tensor = |name: &str| file.tensor::<4>(name, &device);
    let values = |t: Tensor<4>| t.into_data().iter::<f32>().map(f64::from).collect::<Vec<_>>();
    let exact = &file.get("t").values;
    let times: Vec<f32> = exact.iter().map(|t| *t as f32).collect();
    let (x, x0, x1, output) = (tensor("x"), tensor("x0"), tensor("x1"), tensor("model_out"));

    for (name, config) in [("Linear", PathConfig::Linear), ("GVP", PathConfig::Gvp), ("VP", PathConfig::Vp)] {
        let path = config.build();
        // The tables are f32. Beyond t = 0.9 the official σ of VP is √(1 − e^{2L}) with fewer and fewer digits left.
        let rounded = if config == PathConfig::Vp { 1e-3 } else { 1e-5 };
        let check = |key: &str, ours: Vec<f64>, tolerance: f64, last: f64| {
            for (tolerance, last) in [(1e-5, 0.9), (tolerance, last)] {
                let error = error(&ours, file.get(&format!("{name}.{key}")), |i| exact[i] <= last);
                assert!(error <= tolerance, "{name}.{key} up to t = {last}: {error:e}");
            }
        };
        let column = |f: &dyn Fn(f64) -> f64| exact.iter().map(|t| f(*t)).collect::<Vec<_>>();
        check("alpha", column(&|t| path.coefficients(t).alpha), 1e-5, 1.0);
        check("sigma", column(&|t| path.coefficients(t).sigma), rounded, 1.0);
        check("d_alpha", column(&|t| path.coefficients(t).d_alpha), 1e-5, 1.0);
        check("d_sigma", column(&|t| path.coefficients(t).d_sigma), rounded, 1.0);
        check("d_alpha_alpha_ratio", column(&|t| path.alpha_log_derivative(t)), 1e-5, 1.0);
        check("xt", values(interpolate(&*path, x1.clone(), x0.clone(), &times)), 1e-5, 1.0);
        check("ut", values(velocity_target(&*path, x1.clone(), x0.clone(), &times)), rounded, 1.0);

        // SiT's drift mean has the opposite sign.
        let parts = drift(&*path, x.clone(), &times);
        check("drift_mean", values(parts.mean.neg()), 1e-5, 1.0);
        let variance = parts.variance.expand(x.dims());
        let table = file.get(&format!("{name}.drift_var"));
        let ours = values(variance);
        let per_sample = ours.len() / table.values.len();
        check("drift_var", ours.into_iter().step_by(per_sample).collect(), 1e-5, 1.0);

        // Where σ(1) = 0 the official f32 score divides rounding by rounding: compared before t = 1.
        let convert = |from: PredictionKind, to| values(from.convert(to, &*path, output.clone(), x.clone(), &times));
        let before = 1.0 - f64::from(f32::EPSILON);
        check("score_from_velocity", convert(PredictionKind::Velocity, PredictionKind::Score), rounded, before);
        check("noise_from_velocity", convert(PredictionKind::Velocity, PredictionKind::Noise), rounded, before);
        check("velocity_from_score", convert(PredictionKind::Score, PredictionKind::Velocity), 1e-5, before);

        // The names of the official forms, misspelling included; `_norm0.7` is the factor, 1 without.
        let forms: Vec<_> = file.0.keys().filter_map(|k| k.strip_prefix(&format!("{name}.diffusion."))).collect();
        assert!(forms.len() >= 6, "{forms:?}");
        for key in forms {
            let (form, norm) = match key.split_once("_norm") {
                Some((form, norm)) => (form, norm.parse().expect(key)),
                None => (key, 1.0),
            };
            let form = match form {
                "SBDM" => DiffusionForm::Sbdm,
                "sigma" => DiffusionForm::Sigma,
                "linear" => DiffusionForm::Linear,
                "decreasing" => DiffusionForm::Decreasing,
                "inccreasing-decreasing" => DiffusionForm::IncreasingDecreasing,
                other => panic!("{other}"),
            };
            let tolerance = if form == DiffusionForm::Sigma { rounded } else { 1e-5 };
            check(&format!("diffusion.{key}"), column(&|t| form.at(norm, &*path, t)), tolerance, 1.0);
        }
    }
}
