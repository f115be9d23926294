//! The Python interpreter that has PyTorch.
use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What names an interpreter of one's own.
const VARIABLE: &str = "MIXFLOW_PYTHON";
const PACKAGES: [&str; 3] = ["torch", "numpy", "safetensors"];

/// The interpreter that `MIXFLOW_PYTHON` names, else that of an environment below `target/`, made where it is missing.
pub fn interpreter() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let python = PathBuf::from(named);
        return match has_torch(&python) {
            true => Ok(python),
            false => Err(missing(&format!("{VARIABLE}={} cannot import them", python.display()))),
        };
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare-python");
    let python = if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") };
    if has_torch(&python) {
        return Ok(python);
    }
    eprintln!("making a Python environment with PyTorch in {}: some gigabytes, once", folder.display());
    let system = if cfg!(windows) { "python" } else { "python3" };
    succeed(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    if has_torch(&python) { Ok(python) } else { Err(missing("they are installed, but do not import")) }
}

/// Whether `python` can import what `worker.py` imports.
fn has_torch(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import torch, safetensors.torch"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Outcome<()> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(missing(&format!("{command:?} ended with {status}"))),
        Err(error) => Err(missing(&format!("{command:?} does not start: {error}"))),
    }
}

fn missing(why: &str) -> Box<dyn std::error::Error> {
    format!(
        "there is no PyTorch to compare with, so nothing was measured: {why}.\n\
         Name a Python of at least 3.10 that has `torch` and `safetensors`: {VARIABLE}=/path/to/python"
    )
    .into()
}
