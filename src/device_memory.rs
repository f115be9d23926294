//! What is said when a device has no memory left.
//!
//! Burn 0.22.1 tells of it where something is next read, as an error or a panic that holds CubeCL's words.
use crate::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Words of CubeCL 0.11, wgpu 30 and the drivers of NVIDIA.
const SIGNS: [&str; 6] = [
    "out of device memory",
    "out-of-memory",
    "out of memory",
    "outofmemory",
    "out_of_memory",
    "can't allocate buffer of size",
];

/// How it is said here. What begins so has its advice already.
const OUT: &str = "the device has no memory left";

/// Does `work`; if it fails or panics because a device has no memory left, the error says so and what to do, by `advice`.
///
/// # Errors
/// Those of `work`, or [`Error::Invalid`] about the memory.
pub(crate) fn guarded<T>(advice: impl Fn() -> String, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let out = |text: &str| {
        reason(text).filter(|_| !text.contains(OUT)).map(|reason| Error::Invalid(format!("{reason}: {}", advice())))
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(out(&error.to_string()).unwrap_or(error)),
        Err(panic) => Err(out(text(panic.as_ref())).unwrap_or_else(|| resume_unwind(panic))),
    }
}

/// What a failure says of the memory of a device, on one line; none if it is about something else.
pub(crate) fn reason(failure: &str) -> Option<String> {
    let says = |line: &&str| SIGNS.iter().any(|sign| line.to_lowercase().contains(sign));
    let line = failure.lines().find(says)?.trim();
    // What Burn and CubeCL put around it says where in their code it was.
    let start = SIGNS.iter().filter_map(|sign| line.to_lowercase().find(sign)).min().unwrap_or(0);
    let words = line.get(start..).unwrap_or(line);
    let words: String = words.chars().take_while(|c| !"\\\"{".contains(*c)).take(120).collect();
    Some(format!("{OUT} ({})", words.trim_end()))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(work: impl FnOnce() -> Result<()>) -> String {
        guarded(|| "take less".into(), work).unwrap_err().to_string()
    }

    #[test]
    fn an_error_and_a_panic_about_memory_say_what_to_do() {
        let words = "Error while reading data: Io {\n  out of device memory allocating 4294967296 bytes\n  backtrace: disabled\n}";
        let expected = "the device has no memory left (out of device memory allocating 4294967296 bytes): take less";
        assert_eq!(failing(|| Err(Error::Training(words.into()))), expected);
        assert_eq!(failing(|| panic!("{words}")), expected);
        let too_big = failing(|| panic!("can't allocate buffer of size: 12\nat 0x1"));
        assert_eq!(too_big, "the device has no memory left (can't allocate buffer of size: 12): take less");
    }

    #[test]
    fn the_innermost_advice_is_kept() {
        let inner = || guarded(|| "take less".into(), || -> Result<()> { Err(Error::Invalid("out of memory".into())) });
        let said = guarded(|| "take more".into(), inner).unwrap_err().to_string();
        assert_eq!(said, "the device has no memory left (out of memory): take less");
    }

    #[test]
    fn other_failures_stay_as_they_are() {
        assert_eq!(failing(|| Err(Error::Invalid("no".into()))), "no");
        let panic = catch_unwind(|| failing(|| panic!("an index of 3")));
        assert_eq!(text(panic.unwrap_err().as_ref()), "an index of 3");
        assert_eq!(guarded(|| unreachable!(), || Ok(3)).unwrap(), 3);
    }
}
