//! Pictures of odd sizes give torch-fidelity's features.
use crate::{close, golden, narrow, network, pictures};
use burn::tensor::{Device, Tensor, TensorData};
use burn_mixflow::Error;
use burn_mixflow::models::encoders::inception::{FidConvention, Inception, InceptionConfig, InceptionOutput};
use safetensors::SafeTensors;

/// Of the largest feature.
const TOLERANCE: f64 = 1e-4;
const SIZES: [[usize; 2]; 3] = [[7, 9], [32, 32], [301, 300]];

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

fn parts(output: &InceptionOutput) -> [(&'static str, Vec<f32>); 3] {
    [("pool", values(&output.pool)), ("logits", values(&output.logits)), ("spatial", values(&output.spatial))]
}

#[test]
fn features_are_those_of_torch_fidelity() {
    let network = network(&InceptionConfig::default());
    let bytes = std::fs::read(golden("inception.safetensors")).unwrap();
    let recorded = SafeTensors::deserialize(&bytes).unwrap();
    for sides in SIZES {
        let name = format!("{}x{}", sides[0], sides[1]);
        let output = network.forward_bytes(&pictures(&format!("odd.{name}"), 1, sides, 1.0), sides).unwrap();
        for (part, found) in parts(&output) {
            let expected = recorded.tensor(&format!("{name}.{part}")).unwrap();
            let expected: Vec<f32> =
                expected.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            close(&format!("{name}.{part}"), &found, &expected, TOLERANCE);
        }
    }
}

#[test]
fn bytes_and_tensors_alone_and_together_give_the_same() {
    let (network, sides, count) = (narrow(), [20, 33], 19);
    let bytes = pictures("same", count, sides, 1.0);
    let together = network.forward_bytes(&bytes, sides).unwrap();
    let size = sides[0] * sides[1] * 3;
    let shape = [count, sides[0], sides[1], 3];
    let floats: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte)).collect();
    let images = Tensor::<4>::from_data(TensorData::new(floats, shape), &Device::flex()).permute([0, 3, 1, 2]);
    let of_tensor = network.forward(images).unwrap();
    let last = network.forward_bytes(&bytes[18 * size..], sides).unwrap();
    assert_eq!(together.pool.dims(), [count, network.config().pool_dimensions()]);
    assert_eq!(together.spatial.dims(), [count, Inception::SPATIAL_DIMENSIONS]);
    assert_eq!(together.logits.dims(), [count, 1008]);
    for (((name, all), (_, tensor)), (_, last)) in parts(&together).into_iter().zip(parts(&of_tensor)).zip(parts(&last))
    {
        assert_eq!(all, tensor, "{name}");
        close(name, &all[all.len() - last.len()..], &last, 1e-6);
    }
}

#[test]
fn the_conventions_differ_and_a_network_says_which_it_has() {
    let (network, sides) = (narrow(), [32, 32]);
    assert_eq!(network.convention(), FidConvention::TensorFlow);
    let bytes = pictures("convention", 1, sides, 1.0);
    let other = network.clone().with_convention(FidConvention::PytorchFid);
    let [a, b] = [&network, &other].map(|network| values(&network.forward_bytes(&bytes, sides).unwrap().pool));
    let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference > 1e-3, "{difference}");
}

#[test]
fn what_is_no_picture_is_an_error() {
    let network = narrow();
    let says = |result: Result<InceptionOutput, Error>, words: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    let images = |shape: [usize; 4], value: f32| Tensor::<4>::full(shape, value, &Device::flex());
    says(network.forward(images([1, 1, 8, 8], 0.0)), "3 channels");
    says(network.forward(images([1, 8, 8, 3], 0.0)), "[batch, 3, height, width]");
    says(network.forward(images([1, 3, 8, 8], -1.0)), "must be in [0, 255]");
    says(network.forward(images([1, 3, 8, 8], f32::NAN)), "must be in [0, 255]");
    says(network.forward_bytes(&[], [8, 8]), "must be one or more pictures of [8, 8, 3]");
    says(network.forward_bytes(&[0; 8 * 8 * 3 + 1], [8, 8]), "must be one or more pictures");
    says(network.forward_bytes(&[0; 3], [0, 8]), "must be one or more pictures");
}
