//! From files to a report: every format, statistics as they are published, the cache, and what is wrong with others.
use crate::{narrow, pictures};
use burn_mixflow::experiment::gfid::{GfidOptions, GfidReference, GfidReport, GfidSamples, gfid_of_paths};
use burn_mixflow::experiment::progress::Silent;
use burn_mixflow::models::encoders::inception::Inception;
use image::{GrayImage, RgbImage};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const SIDES: [usize; 2] = [10, 12];
const SIZE: usize = 10 * 12 * 3;

/// One for all tests: it takes a second to make.
static NETWORK: LazyLock<Inception> = LazyLock::new(narrow);

fn array(dtype: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape = shape.iter().map(|side| format!("{side},")).collect::<String>();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

fn array_of(bytes: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
    array("|u1", &[bytes.len() / (height * width * 3), height, width, 3], bytes)
}

/// Writes pictures as a `.npy` file.
pub fn npy(folder: &Path, name: &str, bytes: &[u8], sides: [usize; 2]) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, array_of(bytes, sides)).unwrap();
    file
}

fn npz(file: &Path, arrays: &[(&str, Vec<u8>)]) {
    let mut archive = ZipWriter::new(std::fs::File::create(file).unwrap());
    for (name, bytes) in arrays {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn pngs(folder: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    for (i, picture) in bytes.chunks(SIZE).enumerate() {
        let picture = RgbImage::from_raw(SIDES[1] as u32, SIDES[0] as u32, picture.to_vec()).unwrap();
        picture.save(folder.join(format!("{i:05}.png"))).unwrap();
    }
}

fn measured(samples: &Path, reference: &Path, cache: Option<&Path>) -> Result<GfidReport, String> {
    measured_with(samples, reference, &GfidOptions { cache: cache.map(Path::to_path_buf), ..GfidOptions::default() })
}

fn measured_with(samples: &Path, reference: &Path, options: &GfidOptions) -> Result<GfidReport, String> {
    gfid_of_paths(samples, reference, &NETWORK, options, &Silent).map_err(|e| e.to_string())
}

/// Without the paths, which differ.
fn numbers(report: GfidReport) -> GfidReport {
    let reference = burn_mixflow::experiment::gfid::ReferenceFacts { path: PathBuf::new(), ..report.reference };
    GfidReport { samples: None, reference, ..report }
}

#[test]
fn every_format_of_the_same_pictures_gives_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (a, b) = (pictures("a", 70, SIDES, 1.0), pictures("b", 65, SIDES, 0.7));
    for (name, bytes) in [("a", &a), ("b", &b)] {
        pngs(&path(name), bytes);
        npy(folder.path(), &format!("{name}.npy"), bytes, SIDES);
        let labels = array("<i8", &[1], &[0; 8]);
        npz(&path(&format!("{name}.npz")), &[("arr_0.npy", array_of(bytes, SIDES)), ("arr_1.npy", labels)]);
    }
    let first = measured(&path("a"), &path("b"), None).unwrap();
    assert_eq!((first.sample_count, first.reference.count, first.reference.pictures_for_pairs), (70, Some(65), 65));
    assert_eq!((first.sides, first.width_divisor), (Some(SIDES), 16));
    assert!(first.fid.value > 0.0 && first.fid.interval.is_some() && first.sfid.unwrap().value > 0.0);
    assert!(first.markdown().contains("1/16 of the official width"));
    for (a, b) in [("a.npy", "b.npz"), ("a.npz", "b.npy"), ("a", "b.npz")] {
        assert_eq!(numbers(measured(&path(a), &path(b), None).unwrap()), numbers(first.clone()), "{a} {b}");
    }
    let itself = measured(&path("a.npy"), &path("a.npz"), None).unwrap();
    assert!(itself.fid.value < 1e-6 * first.fid.value, "{:?} {:?}", itself.fid, first.fid);
    assert_eq!((itself.precision.unwrap().value, itself.recall.unwrap().value), (1.0, 1.0));
}

#[test]
fn published_statistics_are_a_reference_with_and_without_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (a, b) = (pictures("a", 30, SIDES, 1.0), pictures("b", 200, SIDES, 0.7));
    let (samples, plain) = (npy(folder.path(), "a.npy", &a, SIDES), npy(folder.path(), "b.npy", &b, SIDES));
    // Means and covariances as NumPy computes them.
    let output = NETWORK.forward_bytes(&b, SIDES).unwrap();
    let statistics = |tensor: burn::tensor::Tensor<2>, names: [&'static str; 2]| {
        let [_, dim] = tensor.dims();
        let mut moments = burn_mixflow::evaluate::Moments::new(dim);
        moments.push_tensor(tensor).unwrap();
        let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mean = array("<f8", &[dim], &bytes(moments.mean()));
        let covariance = array("<f8", &[dim, dim], &bytes(&moments.covariance().unwrap()));
        [(names[0], mean), (names[1], covariance)]
    };
    let pool = statistics(output.pool, ["mu.npy", "sigma.npy"]);
    let spatial = statistics(output.spatial, ["mu_s.npy", "sigma_s.npy"]);
    let pictures = [("arr_0.npy", array_of(&b, SIDES))];
    npz(&path("all.npz"), &[pool.as_slice(), &spatial, &pictures].concat());
    npz(&path("few.npz"), &pool);
    // Eleven decompositions of 2023² would take a minute.
    let options = GfidOptions { intervals: false, ..GfidOptions::default() };
    let of = |reference: &Path| measured_with(&samples, reference, &options);
    let (expected, found) = (of(&plain).unwrap(), of(&path("all.npz")).unwrap());
    for (a, b) in [(expected.fid, found.fid), (expected.sfid.unwrap(), found.sfid.unwrap())] {
        assert!((a.value - b.value).abs() < 1e-5 * a.value, "{a:?} {b:?}");
    }
    assert_eq!((expected.precision, expected.recall, expected.kid), (found.precision, found.recall, found.kid));
    assert_eq!((found.reference.count, found.reference.pictures_for_pairs), (None, 200));
    let few = of(&path("few.npz")).unwrap();
    assert_eq!((few.fid, few.sfid, few.precision, few.kid), (found.fid, None, None, None));
    assert!(few.markdown().contains("`mu_s`"));
    npz(&path("wide.npz"), &[("mu.npy", array("<f8", &[1], &[0; 8])), ("sigma.npy", array("<f8", &[1, 1], &[0; 8]))]);
    let message = of(&path("wide.npz")).unwrap_err();
    assert!(message.contains("`mu` has shape [1]: that of this network is [128]"), "{message}");
}

#[test]
fn a_reference_is_computed_once_and_again_where_its_cache_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let samples = npy(folder.path(), "a.npy", &pictures("a", 20, SIDES, 1.0), SIDES);
    let pictures = pictures("b", 20, SIDES, 0.7);
    let reference = npy(folder.path(), "b.npy", &pictures, SIDES);
    let first = measured(&samples, &reference, Some(&cache)).unwrap();
    assert_eq!(measured(&samples, &reference, None).unwrap(), first);
    let files = || std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [file] = files().try_into().unwrap();
    // What is there is read: statistics of other pictures under this name would be believed.
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(measured(&samples, &reference, Some(&cache)).unwrap(), first);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written);
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.clone();
    let last = bytes.len() - 9;
    bytes[last] ^= 64;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(measured(&samples, &reference, Some(&cache)).unwrap(), first);
    assert_eq!(std::fs::read(&file).unwrap(), whole, "written again");
    // Other pictures, and the same under another name.
    let moved = npy(folder.path(), "c.npy", &pictures, SIDES);
    assert_eq!(numbers(measured(&samples, &moved, Some(&cache)).unwrap()), numbers(first.clone()));
    assert_eq!(files().len(), 1);
    npy(folder.path(), "b.npy", &pictures[SIZE..], SIDES);
    assert_ne!(measured(&samples, &reference, Some(&cache)).unwrap().fid, first.fid);
    assert_eq!(files().len(), 2);
}

#[test]
fn grey_pictures_are_colours_and_other_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let grey: Vec<u8> = pictures("a", 9, SIDES, 1.0).into_iter().step_by(3).collect();
    let coloured: Vec<u8> = grey.iter().flat_map(|byte| [*byte; 3]).collect();
    let of_colours = npy(folder.path(), "colours.npy", &coloured, SIDES);
    std::fs::write(path("grey.npy"), array("|u1", &[9, SIDES[0], SIDES[1], 1], &grey)).unwrap();
    std::fs::create_dir(path("grey")).unwrap();
    for (i, picture) in grey.chunks(SIZE / 3).enumerate() {
        let picture = GrayImage::from_raw(SIDES[1] as u32, SIDES[0] as u32, picture.to_vec()).unwrap();
        picture.save(path("grey").join(format!("{i}.png"))).unwrap();
    }
    let expected = numbers(measured(&of_colours, &of_colours, None).unwrap());
    for name in ["grey.npy", "grey"] {
        assert_eq!(numbers(measured(&path(name), &of_colours, None).unwrap()), expected, "{name}");
    }
    let says = |bytes: &[u8], name: &str, words: &str| {
        std::fs::write(path(name), bytes).unwrap();
        let message = measured(&path(name), &of_colours, None).unwrap_err();
        assert!(message.contains(words) && message.contains(name), "{message}");
    };
    says(b"text", "a.txt", "must be a folder of pictures, or a .npz or .npy file");
    says(b"text", "a.npz", "not a readable .npz archive");
    says(b"text", "a.npy", "is no .npy file");
    says(&array("<f4", &[1, 2, 2, 3], &[0; 48]), "floats.npy", "must be bytes (uint8)");
    says(&array("|u1", &[1, 2, 2, 4], &[0; 16]), "alpha.npy", "must be bytes (uint8) [pictures, height, width, 3]");
    says(&array("|u1", &[0, 2, 2, 3], &[]), "none.npy", "must be bytes (uint8)");
    says(&array("|u1", &[9, 1 << 40, 1 << 40, 3], &[]), "huge.npy", "at most 2^27 pixels");
    let cut = array("|u1", &[90, 10, 12, 3], &coloured);
    says(&cut, "cut.npy", "ends within picture");
    npz(&path("other.npz"), &[("latents.npy", array_of(&coloured, SIDES))]);
    let message = measured(&path("other.npz"), &of_colours, None).unwrap_err();
    assert!(message.contains("holds latents: must hold pictures, called `arr_0`"), "{message}");
    let few = npy(folder.path(), "few.npy", &coloured[..SIZE * 7], SIDES);
    assert!(measured(&few, &of_colours, None).unwrap_err().contains("must be at least 8 each"));
    assert!(measured(&of_colours, &few, None).unwrap_err().contains("must be at least 8 each"));
}

#[test]
fn what_does_not_belong_together_is_an_error() {
    let mut samples = GfidSamples::new(&NETWORK);
    let bytes = pictures("a", 2, SIDES, 1.0);
    samples.push(&NETWORK, &bytes, SIDES).unwrap();
    let message = samples.push(&NETWORK, &bytes, [12, 10]).unwrap_err().to_string();
    assert!(message.contains("12×10 after pictures of 10×12"), "{message}");
    assert_eq!((samples.count(), samples.sides()), (2, Some(SIDES)));
    let nowhere = GfidReference::read("nowhere.npz", &NETWORK, None, &Silent).unwrap_err().to_string();
    assert!(nowhere.contains("nowhere.npz"), "{nowhere}");
}
