//! The device that tests compute on: the CPU, or what `MIXFLOW_TEST_DEVICE` names, such as `wgpu:0`.
#![allow(dead_code)]
use burn::tensor::{DType, Device};
use burn_mixflow::post_train::DeviceName;
use std::io::Write;

/// The variable that names a device.
pub const VARIABLE: &str = "MIXFLOW_TEST_DEVICE";

/// The name of the device, if it is not the CPU.
pub fn named() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|name| name != "cpu")
}

/// The device, without autodiff.
///
/// # Panics
/// If this build or this machine does not have it.
pub fn device() -> Device {
    DeviceName(named().unwrap_or_else(|| "cpu".into())).open().unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
}

/// How many times the tolerance of the CPU is accepted: other devices sum in another order, and their exponentials are others.
pub fn slack() -> f64 {
    if named().is_some() { 20.0 } else { 1.0 }
}

/// Whether the device computes in a type of numbers; if not, this says loudly that `what` is not tested.
pub fn computes_in(dtype: DType, what: &str) -> bool {
    let does = device().supports_dtype(dtype);
    if !does {
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: the device does not compute in {dtype:?}");
    }
    does
}
