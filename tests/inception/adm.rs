//! ADM's own batch against ADM's own statistics: for who has the files.
use burn::tensor::Device;
use burn_mixflow::experiment::gfid::{GfidOptions, gfid_of_paths};
use burn_mixflow::experiment::progress::Lines;
use burn_mixflow::models::encoders::inception::Inception;
use std::path::PathBuf;

const SAMPLES: &str = "admnet_guided_upsampled_imagenet256.npz";
const REFERENCE: &str = "VIRTUAL_imagenet256_labeled.npz";
const WEIGHTS: &str = "pt_inception-2015-12-05-6726825d.pth";

#[test]
#[ignore = "NOT RUN: needs three files of 12 GB that are not here. Set MIXFLOW_ADM_FOLDER to the folder of \
            admnet_guided_upsampled_imagenet256.npz and VIRTUAL_imagenet256_labeled.npz and MIXFLOW_INCEPTION to \
            pt_inception-2015-12-05-6726825d.pth; two hours on two cores"]
fn admnet_guided_upsampled_has_its_published_numbers() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).unwrap_or_else(|| panic!("set {name}"));
    let (folder, weights) = (variable("MIXFLOW_ADM_FOLDER"), variable("MIXFLOW_INCEPTION"));
    assert!(weights.exists(), "{}: is no {WEIGHTS}", weights.display());
    let network = Inception::load(&weights, &Device::flex()).unwrap_or_else(|e| panic!("{e}"));
    let options = GfidOptions { intervals: false, ..GfidOptions::default() };
    let progress = Lines::stderr();
    let report = gfid_of_paths(folder.join(SAMPLES), folder.join(REFERENCE), &network, &options, &progress);
    let report = report.unwrap_or_else(|e| panic!("{e}"));
    println!("{}", report.markdown());
    assert_eq!(report.name(), "FID-50k");
    // The evaluator rounds distances of precision and recall to f16, and the port of the weights differs in the last digits.
    for (name, found, published, tolerance) in [
        ("Inception Score", report.inception_score.value, 215.84, 0.05),
        ("FID", report.fid.value, 3.9426, 0.005),
        ("sFID", report.sfid.unwrap().value, 6.1404, 0.01),
        ("precision", report.precision.unwrap().value, 0.8265, 0.001),
        ("recall", report.recall.unwrap().value, 0.5309, 0.001),
    ] {
        assert!((found - published).abs() <= tolerance, "{name}: {found} instead of {published}");
    }
}
