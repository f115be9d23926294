//! How much memory this machine has for this process: its RAM and swap, or what its control groups leave of them.
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Bytes that this process can ever hold; none where the system does not say.
pub(super) fn of_machine() -> Option<u64> {
    let whole = total(&read_to_string("/proc/meminfo").ok()?)?;
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(limits(&groups, Path::new("/sys/fs/cgroup")).into_iter().fold(whole, u64::min))
}

/// RAM and swap of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let of = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    of("MemTotal:")?.checked_add(of("SwapTotal:").unwrap_or(0))
}

/// Limits of the control groups that `/proc/self/cgroup` names, and of those above them, with what each may swap.
fn limits(groups: &str, mounted: &Path) -> Vec<u64> {
    let number = |file: PathBuf| read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, limit, swap) = match kinds {
            "" => (mounted.to_path_buf(), "memory.max", Some("memory.swap.max")),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes", None)
            }
            _ => continue,
        };
        let folder = root.join(path.trim_start_matches('/'));
        // Within a container the path may be that of the host, so that only the root is there.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let Some(bytes) = number(folder.join(limit)) else { continue };
            // A group that may swap without a limit is held by the whole machine alone.
            let swap = match swap.map(|name| read_to_string(folder.join(name))) {
                Some(Ok(text)) => text.trim().parse().unwrap_or(u64::MAX),
                _ => 0,
            };
            found.push(bytes.saturating_add(swap));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_and_swap_count() {
        let text = "MemTotal:       24619836 kB\nMemFree:  1 kB\nSwapTotal:       1024 kB\n";
        assert_eq!(total(text), Some((24_619_836 + 1024) * 1024));
        assert_eq!(total("MemTotal: 5 kB"), Some(5120));
        assert_eq!(total("MemFree: 5 kB"), None);
    }

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.path().join("a/memory.max"), "1000\n").unwrap();
        std::fs::write(root.path().join("a/memory.swap.max"), "24\n").unwrap();
        std::fs::write(root.path().join("memory.max"), "5000\n").unwrap();
        std::fs::write(root.path().join("memory.swap.max"), "max\n").unwrap();
        assert_eq!(limits("0::/a/b\n", root.path()), [1024, u64::MAX]);
        let old = root.path().join("memory");
        std::fs::create_dir_all(&old).unwrap();
        std::fs::write(old.join("memory.limit_in_bytes"), "77\n").unwrap();
        assert_eq!(limits("5:cpu:/x\n4:memory:/docker/abc\n", root.path()), [77]);
        assert!(limits("", root.path()).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_with_linux_says_what_it_has() {
        assert!(of_machine().is_some_and(|bytes| bytes > 1 << 26));
    }
}
