//! What tells one state of a file from another without reading it.
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

/// Length and time of change; on Unix also the number of the file, and when its entry changed, as `cp -p` and `mv` keep
/// the first two.
pub(crate) fn of(about: &Metadata) -> String {
    let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{}\0{}\0{}", about.len(), time.map_or(0, |time| time.as_nanos()), entry(about))
}

#[cfg(unix)]
fn entry(about: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{} {} {}", about.ino(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn entry(_: &Metadata) -> String {
    String::new()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_under_the_old_time_are_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let state = || of(&std::fs::metadata(&file).unwrap());
        let (before, time) = (state(), std::fs::metadata(&file).unwrap().modified().unwrap());
        // Older kernels count time in jiffies.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&file, "two").unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_ne!(state(), before);
    }
}
