use super::{times, values};
use crate::{Arrays, TOLERANCE, close};
use burn::tensor::Tensor;
use burn_mixflow::path::{PathConfig, PredictionKind, interpolate, velocity_target};

#[test]
fn reversed_paths_are_ours_seen_from_the_other_end() {
    let device = crate::device::device();
    let golden = Arrays::golden("rae/paths.safetensors");
    let tensor = |name: &str| golden.tensor::<4>(name, &device);
    let (noise, data, velocity) = (tensor("x0"), tensor("x1"), tensor("v"));
    let times = times(&golden, "t");
    let check = |name: String, found: Tensor<4>| {
        let (found, expected) = (values(found), &golden.get(&name).values);
        let sample = expected.len() / times.len();
        // Each sample by itself; the official score is not finite where there is no noise.
        for (i, (f, e)) in found.chunks(sample).zip(expected.chunks(sample)).enumerate() {
            if e.iter().all(|v| v.is_finite()) {
                close(&format!("{name}[{i}]"), f, e, TOLERANCE);
            } else {
                assert_eq!(golden.get("t").values[i], 0.0, "{name}");
            }
        }
    };
    for (name, config) in [("Linear", PathConfig::Linear), ("GVP", PathConfig::Gvp)] {
        let path = config.build();
        let noisy = interpolate(path.as_ref(), data.clone(), noise.clone(), &times);
        check(format!("{name}.xt"), noisy.clone());
        check(format!("{name}.ut"), velocity_target(path.as_ref(), data.clone(), noise.clone(), &times).neg());
        let score = PredictionKind::Velocity;
        let score = score.convert(PredictionKind::Score, path.as_ref(), velocity.clone().neg(), noisy, &times);
        check(format!("{name}.score_from_velocity"), score);
    }
}
