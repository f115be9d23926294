//! Distances between two sets of samples in files: the formats agree, the distances mean something, errors help.
use burn_mixflow::experiment::sets::{
    MeasureOptions, SampleForm, SampleSet, SetsReport, ValueConvention, measure_sets,
};
use burn_mixflow::random::{Purpose, SampleKey};
use image::{GrayImage, RgbImage};
use rand::RngExt;
use safetensors::tensor::{Dtype, TensorView};
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const SIDE: usize = 8;
const BYTES: usize = SIDE * SIDE * 3;

/// Pictures `[8, 8, 3]`, one after the other: a patch of noise on a colour, brighter by `shift`.
fn pictures(count: usize, seed: u64, shift: u8) -> Vec<u8> {
    let picture = |position: usize| {
        let mut rng = SampleKey { seed, epoch: 0, position: position as u64 }.rng(Purpose::Data);
        let colour: [u8; 3] = std::array::from_fn(|_| rng.random_range(0..120));
        (0..BYTES).map(|i| colour[i % 3] + rng.random_range(0..60) + shift).collect::<Vec<u8>>()
    };
    (0..count).flat_map(picture).collect()
}

fn npy(dtype: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape = shape.iter().map(|side| format!("{side},")).collect::<String>();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn safetensors(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let parts: Vec<(&str, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| (*name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let view = |(name, shape, bytes)| (name, TensorView::new(Dtype::F32, Vec::clone(shape), bytes).unwrap());
    let views: Vec<_> = parts.iter().map(|(name, shape, bytes)| view((*name, *shape, bytes))).collect();
    safetensors::serialize(views, None).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// PNG files, those of the second half in a folder of their own.
    fn pngs(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let count = bytes.len() / BYTES;
        std::fs::create_dir_all(self.path(name).join("later")).unwrap();
        for (i, picture) in bytes.chunks(BYTES).enumerate() {
            let file = if i < count / 2 { format!("{i:05}.png") } else { format!("later/{i:05}.png") };
            let picture = RgbImage::from_raw(SIDE as u32, SIDE as u32, picture.to_vec()).unwrap();
            picture.save(self.path(name).join(file)).unwrap();
        }
        self.path(name)
    }

    /// The same pictures in each format.
    fn every_format(&self, name: &str, bytes: &[u8]) -> Vec<PathBuf> {
        let count = bytes.len() / BYTES;
        let array = npy("|u1", &[count, SIDE, SIDE, 3], bytes);
        let shares = planes(bytes).iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<_>>();
        let stored = [("labels", vec![count], vec![0.0; count]), ("pixels", vec![count, 3, SIDE, SIDE], shares)];
        let floats: Vec<u8> =
            planes(bytes).iter().flat_map(|byte| (f32::from(*byte) / 127.5 - 1.0).to_le_bytes()).collect();
        vec![
            self.pngs(name, bytes),
            self.write(&format!("{name}.npz"), &npz(&[("other.npy", vec![]), ("arr_0.npy", array.clone())])),
            self.write(&format!("{name}.npy"), &array),
            self.write(&format!("{name}.safetensors"), &safetensors(&stored)),
            self.write(&format!("{name}-floats.npy"), &npy("<f4", &[count, 3, SIDE, SIDE], &floats)),
        ]
    }
}

/// From `[samples, height, width, channels]` to `[samples, channels, height, width]`.
fn planes(bytes: &[u8]) -> Vec<u8> {
    let plane = |picture: &[u8], channel: usize| picture.iter().skip(channel).step_by(3).copied().collect::<Vec<u8>>();
    bytes
        .chunks(BYTES)
        .flat_map(|picture| (0..3).flat_map(|channel| plane(picture, channel)).collect::<Vec<_>>())
        .collect()
}

fn read(path: &Path) -> SampleSet {
    SampleSet::read(path).unwrap_or_else(|e| panic!("{e}"))
}

fn measure(a: &Path, b: &Path) -> SetsReport {
    measure_sets(&read(a), &read(b), &MeasureOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_same_pictures_give_the_same_distances_in_every_format() {
    let folder = Folder::new();
    let a = folder.every_format("a", &pictures(40, 1, 0));
    let b = folder.every_format("b", &pictures(30, 2, 10));
    let first = measure(&a[0], &b[0]);
    assert_eq!(first.form, SampleForm::Pictures { channels: 3, height: SIDE, width: SIDE });
    assert_eq!((first.first.samples, first.second.samples, first.distances.len()), (40, 30, 7));
    assert!(first.distances.iter().all(|one| one.value.is_finite() && one.floor_samples == 20));
    let conventions: Vec<_> = a.iter().map(|path| read(path).convention()).collect();
    use ValueConvention::{AsStored, Bytes, UnitInterval};
    assert_eq!(conventions, [Bytes, Bytes, Bytes, UnitInterval, AsStored]);
    for (a, b) in a.iter().zip(&b).skip(1).chain([(&a[1], &b[3])]) {
        assert_eq!(measure(a, b).distances, first.distances, "{} {}", a.display(), b.display());
    }
}

#[test]
fn a_set_is_nearest_to_itself_and_farther_from_what_is_shifted_more() {
    let folder = Folder::new();
    let bytes = pictures(60, 1, 0);
    let a = folder.write("a.npy", &npy("|u1", &[60, SIDE, SIDE, 3], &bytes));
    let shifted = |shift: u8| {
        let moved: Vec<u8> = bytes.iter().map(|byte| byte + shift).collect();
        measure(&a, &folder.write("b.npy", &npy("|u1", &[60, SIDE, SIDE, 3], &moved)))
    };
    let (same, near, far) = (measure(&a, &a), shifted(6), shifted(40));
    for one in &same.distances {
        match one.name {
            "precision" | "recall" => assert_eq!(one.value, 1.0, "{}", one.name),
            // It leaves out pairs of a vector and itself within a set, but not between the two.
            "kid_random_convolutions" => assert!(one.value < 0.0, "{}", one.value),
            // A root of rounding errors for each sample and itself.
            name => assert!(one.value.abs() < 1e-7 * one.floor, "{name}: {} {}", one.value, one.floor),
        }
    }
    for name in ["frechet_random_convolutions", "frechet_pixels", "kid_random_convolutions", "energy_distance"] {
        let [same, near, far] = [&same, &near, &far].map(|report| report.distance(name).unwrap());
        assert!(same.value < near.value && near.value < far.value, "{name}: {same:?} {near:?} {far:?}");
        assert!(far.like_floor > far.floor && far.floor == same.floor, "{name}: {far:?}");
    }
    // Filters without a mean do not see that all is brighter.
    let texture = far.distance("frechet_texture").unwrap();
    assert!(texture.value < 1e-3 * texture.floor, "{texture:?}");
    let (pixels, expected) = (far.distance("frechet_pixels").unwrap().value, BYTES as f64 * (40.0f64 / 127.5).powi(2));
    assert!((pixels - expected).abs() < 1e-4 * expected, "{pixels} instead of {expected}");
}

#[test]
fn vectors_are_measured_as_vectors_and_seeds_matter() {
    let folder = Folder::new();
    let vectors = |count: usize, seed: u64, scale: f32| {
        let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        let values = burn_mixflow::random::normal(&keys, Purpose::Data, &[4]);
        values.iter::<f32>().map(|v| v * scale).collect::<Vec<f32>>()
    };
    let write = |name: &str, values: Vec<f32>| {
        let count = values.len() / 4;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        folder.write(&format!("{name}.npy"), &npy("<f4", &[count, 4], &bytes));
        // As samples of a run hold them.
        let stored = [("latents", vec![count, 4, 1, 1], values), ("labels", vec![count], vec![0.0; count])];
        folder.write(&format!("{name}.safetensors"), &safetensors(&stored))
    };
    let (a, b, c) =
        (write("a", vectors(300, 1, 1.0)), write("b", vectors(300, 2, 1.0)), write("c", vectors(300, 3, 2.0)));
    let (near, far) = (measure(&a, &b), measure(&a, &c));
    assert_eq!(near.form, SampleForm::Vectors { dimensions: 4 });
    let names: Vec<_> = near.distances.iter().map(|one| one.name).collect();
    assert_eq!(names, ["energy_distance", "frechet_vectors", "kid_vectors", "precision", "recall"]);
    assert_eq!(measure(&folder.path("a.npy"), &b).distances, near.distances);
    for (near, far) in near.distances.iter().zip(&far.distances).take(3) {
        let chance = near.standard_error.unwrap_or(near.floor);
        assert!(near.value.abs() < 3.0 * chance && far.value > 10.0 * near.value.abs(), "{near:?} {far:?}");
    }
    // Variances of 1 and 4 in four dimensions.
    assert!((far.distance("frechet_vectors").unwrap().value - 4.0).abs() < 0.5);

    let other = MeasureOptions { halves_seed: 1, ..Default::default() };
    let again = measure_sets(&read(&a), &read(&b), &other).unwrap();
    let (one, two) = (&near.distances[0], &again.distances[0]);
    assert!(one.value == two.value && one.floor != two.floor, "{one:?} {two:?}");
    let few = MeasureOptions { most_for_pairs: 100, ..Default::default() };
    let of_few = measure_sets(&read(&a), &read(&b), &few).unwrap();
    assert_eq!((of_few.distances[0].samples, of_few.distances[1].samples), ([100; 2], [300; 2]));
    assert!(measure_sets(&read(&a), &read(&b), &MeasureOptions { neighbours: 0, ..Default::default() }).is_err());
}

#[test]
fn what_cannot_be_read_or_compared_is_an_error_that_says_what_would_be_right() {
    let folder = Folder::new();
    let bytes = pictures(10, 1, 0);
    let good = npy("|u1", &[10, SIDE, SIDE, 3], &bytes);
    let zeros = |shape: &[usize]| npy("<f4", shape, &vec![0; 4 * shape.iter().product::<usize>()]);
    let mut nan = zeros(&[10, 4]);
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::create_dir(folder.path("empty")).unwrap();
    let empty = folder.path("empty");
    let tensor = |name: &'static str| (name, vec![2, 4], vec![0.0; 8]);
    for (path, says) in [
        (folder.path("absent.npy"), "absent.npy"),
        (empty, "must hold PNG, JPEG or WebP"),
        (folder.write("a.txt", b"text"), "must be a folder of pictures, or a .npz, .npy or .safetensors file"),
        (folder.write("torn.npy", &good[..good.len() / 2]), "do not fill the shape"),
        (folder.write("int.npy", &npy("<i8", &[1, 2], &[0; 16])), "bytes (|u1)"),
        (
            folder.write("planes.npy", &npy("|u1", &[10, 3, SIDE, SIDE], &planes(&bytes))),
            "[samples, height, width, channels]",
        ),
        (folder.write("last.npy", &zeros(&[2, 8, 8, 3])), "must be [samples, channels, height, width]"),
        (folder.write("flat.npy", &zeros(&[20])), "must be [samples, dimensions]"),
        (folder.write("none.npy", &zeros(&[0, 4])), "must hold samples"),
        (folder.write("nan.npy", &nan), "sample 9 holds NaN"),
        (folder.write("torn.npz", &npz(&[("arr_0.npy", good.clone())])[..200]), "not a readable .npz archive"),
        (folder.write("two.npz", &npz(&[("a.npy", good.clone()), ("b.npy", good.clone())])), "must be called `arr_0`"),
        (folder.write("two.safetensors", &safetensors(&[tensor("a"), tensor("b")])), "`pixels` or `latents`"),
        (folder.write("torn.safetensors", b"{"), "torn.safetensors"),
    ] {
        let message = SampleSet::read(&path).map(|_| ()).unwrap_err().to_string();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(message.contains(says) && message.contains(name), "{name}: {message}");
    }

    let a = folder.write("a.npy", &good);
    let fails = |b: &Path, says: &[&str]| {
        let error = measure_sets(&read(&a), &read(b), &MeasureOptions::default()).unwrap_err().to_string();
        assert!(says.iter().all(|word| error.contains(word)), "{error}");
    };
    fails(&folder.write("wide.npy", &zeros(&[10, 3, 8, 9])), &["a.npy", "8×8", "wide.npy", "8×9"]);
    fails(&folder.write("vectors.npy", &zeros(&[10, 192])), &["vectors.npy", "vectors of 192 dimensions"]);
    fails(
        &folder.write("few.npy", &npy("|u1", &[3, 8, 8, 3], &bytes[..3 * BYTES])),
        &["few.npy holds 3", "at least 8"],
    );
    let torn = folder.pngs("torn", &bytes);
    let file = torn.join("00000.png");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    fails(&torn, &["00000.png", "not a picture that can be read"]);
    GrayImage::new(9, 8).save(&file).unwrap();
    let message = SampleSet::read(&torn).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("00000.png of 8×9") && message.contains("of 8×8"), "{message}");
}

#[test]
fn the_report_is_a_table_and_json() {
    let folder = Folder::new();
    let a = folder.pngs("a", &pictures(20, 1, 0));
    let b = folder.write("b.npz", &npz(&[("images.npy", npy("|u1", &[16, SIDE, SIDE, 3], &pictures(16, 2, 5)))]));
    let report = measure(&a, &b);
    let text = report.markdown();
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2 + 2 + report.distances.len(), "{text}");
    assert!(text.contains("None of these numbers is a published FID") && text.contains("b.npz"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["distances"][0]["value"].as_f64(), Some(report.distances[0].value));
    assert_eq!(json["options"]["feature_seed"], 0);
}
