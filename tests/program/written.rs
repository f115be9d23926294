//! What cannot be written, and who does not listen.
use crate::place::{Place, photos};
use std::process::Stdio;

#[test]
fn a_reader_that_has_gone_does_not_matter() {
    let place = Place::new();
    place.write("a.json", &photos());
    let mut child = place.command(&["post-train", "a.json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    place.has("runs/run-a/post_train", &["ema.bpk", "ema.safetensors", "samples.safetensors"]);
    // Neither standard output nor standard error.
    let other = Place::new();
    other.write("a.json", &photos());
    let mut child = other.command(&["compare", "a.json"]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    other.has("runs/run-a", &["results.json", "table.md"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_does_not_matter() {
    let place = Place::new();
    place.write("a.json", &photos());
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let mut command = place.command(&["post-train", "a.json"]);
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    place.has("runs/run-a/post_train", &["ema.bpk", "samples.safetensors"]);
    // But what was asked for is missed.
    let status = place.command(&["schema"]).stdout(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn weights_of_which_a_bit_has_changed_are_refused_and_the_cache_makes_them_again() {
    let place = Place::new();
    place.write("a.json", &photos());
    place.run(&["post-train", "a.json"]).done();
    let flip = |file: &std::path::Path| {
        let mut bytes = std::fs::read(file).unwrap();
        // The lowest bit of a number near the end: still finite.
        let at = bytes.len() - 4;
        bytes[at] ^= 1;
        std::fs::write(file, bytes).unwrap();
    };
    let before = std::fs::read(place.path("runs/run-a/post_train/ema.safetensors")).unwrap();
    flip(&place.path("runs/run-a/post_train/ema.bpk"));
    for command in [&["export", "runs/run-a", "b.safetensors"][..], &["sample", "runs/run-a"]] {
        let error = place.run(command).failed();
        assert!(error.contains("ema.bpk: is cut off or damaged") && error.contains("checksum"), "{error}");
    }
    let cache = place.files("runs/cache");
    let kept = cache.keys().find(|file| file.ends_with("ema.bpk")).unwrap();
    flip(&place.path("runs/cache").join(kept));
    let ran = place.run(&["post-train", "a.json", "--folder", "again"]).done();
    assert!(ran.err.contains("they are made again"), "{}", ran.err);
    assert!(std::fs::read(place.path("again/post_train/ema.safetensors")).unwrap() == before);
}

/// A small filesystem of its own, which only an administrator may make.
#[cfg(target_os = "linux")]
struct Disk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Disk {
    fn new(at: std::path::PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: a full disk is NOT tested here, as no filesystem can be mounted without being root");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_names_it_and_loses_no_set() {
    let place = Place::new();
    let mut config = photos();
    config["post_train"]["steps"] = 40.into();
    config["post_train"]["steps_per_epoch"] = 10.into();
    place.write("a.json", &config);
    // Pretraining belongs elsewhere, so that only the run meets the full disk.
    place.run(&["post-train", "a.json", "--folder", "whole"]).done();
    let mut failed = 0;
    for size in [
        "size=20k",
        "size=60k",
        "size=140k",
        "size=200k",
        "size=260k",
        "size=320k",
        "size=500k",
        "size=2m,nr_inodes=12",
    ] {
        let Some(disk) = Disk::new(place.path("disk"), size) else { return };
        let ran = place.run(&["post-train", "a.json", "--folder", "disk/run"]);
        assert!(matches!(ran.code, Some(0 | 1)), "{size}: {ran:?}");
        assert!(!ran.err.contains("panicked"), "{size}: {ran:?}");
        if ran.code == Some(1) {
            failed += 1;
            let told = ["No space left on device", "no storage space", "os error 28"]
                .iter()
                .any(|text| ran.err.contains(text));
            assert!(told, "{size}: {}", ran.err);
            assert!(!place.path("disk/run/post_train/raw.safetensors").exists(), "{size}");
        } else {
            place.has("disk/run/post_train", &["ema.bpk", "ema.safetensors", "raw.safetensors"]);
        }
        // With room again it ends as if nothing had been.
        let room =
            std::process::Command::new("mount").args(["-o", "remount,size=50m,nr_inodes=0"]).arg(&disk.0).status();
        assert!(room.unwrap().success());
        place.run(&["post-train", "a.json", "--folder", "disk/run"]).done();
        let read = |folder: &str| std::fs::read(place.path(folder).join("post_train/ema.safetensors")).unwrap();
        assert!(read("disk/run") == read("whole"), "{size}: the weights differ");
    }
    assert!(failed >= 4, "{failed} of the disks were full");
}
