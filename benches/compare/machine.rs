//! What the figures were taken on, and what else the machine did.
use crate::measure::Row;
use std::process::Command;

/// The largest resident memory of this process so far, in MiB; Linux only.
pub fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// What the NVIDIA driver says that process `id` holds of its GPU, in MiB. What was freed stays in a process's pool, so
/// this is near its peak.
pub fn gpu_memory(id: u32) -> Option<f64> {
    let arguments = ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").args(arguments).output().ok()?;
    let id = id.to_string();
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| {
        let (process, memory) = line.split_once(',')?;
        (process.trim() == id).then(|| memory.trim().parse().ok())?
    })
}

/// The number of cores that a process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// This crate and Burn.
pub fn our_versions() -> String {
    let lock = include_str!("../../Cargo.lock");
    let burn = lock.split("[[package]]").find_map(|part| part.trim().strip_prefix("name = \"burn\"\nversion = \""));
    let burn = burn.and_then(|rest| rest.split('"').next()).unwrap_or("of an unknown version");
    let commit = said_by("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    let compiler = said_by("rustc", &["--version"]).unwrap_or_else(|| "an unknown compiler".into());
    let compiler = compiler.split(" (").next().unwrap_or_default().to_string();
    format!("burn-mixflow {}{commit}, Burn {burn}, {compiler}", env!("CARGO_PKG_VERSION"))
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim().to_string())
}

/// Ticks of the processors since the start of the machine; Linux only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    all: f64,
    busy: f64,
    /// Those of this process and of its children that have ended.
    own: f64,
}

/// How busy the processors have been so far.
pub fn load() -> Option<Load> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
    let all: f64 = ticks.iter().take(8).sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process may hold spaces; it ends with the last bracket, and the state follows.
    let (_, fields) = stat.rsplit_once(')')?;
    let own = fields.split_whitespace().skip(11).take(4).filter_map(|tick| tick.parse::<f64>().ok()).sum();
    Some(Load { all, busy: all - idle, own })
}

/// The machine in a sentence, with what others used of it since `before`.
pub fn describe(before: Option<Load>, rows: &[Row]) -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, name)| name.trim());
    let mut text = format!("{model}, {} cores ({})", cores(), features());
    if rows.iter().any(|row| row.device != "cpu") {
        let gpu = said_by("nvidia-smi", &["--query-gpu=name,driver_version", "--format=csv,noheader"]);
        text += &format!(", {}", gpu.unwrap_or_else(|| "an unknown GPU".into()));
    }
    if let Some((before, now)) = before.zip(load()) {
        let (all, busy, own) = (now.all - before.all, now.busy - before.busy, now.own - before.own);
        let others = 100.0 * ((busy - own) / all.max(1.0)).clamp(0.0, 1.0);
        text += &format!(", of which other programs took {others:.0} % meanwhile");
    }
    text
}

/// The vector instructions that matter to matrix products.
fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found = [(std::env::consts::ARCH, true)];
    let names: Vec<_> = found.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect();
    if names.is_empty() { "no AVX2".into() } else { names.join(", ") }
}

/// A time for people: `4.2 s` or `12.3 ms`.
pub fn shown(milliseconds: f64) -> String {
    match milliseconds {
        long if long >= 1000.0 => format!("{:.2} s", long / 1e3),
        middle if middle >= 100.0 => format!("{middle:.0} ms"),
        short => format!("{short:.1} ms"),
    }
}
