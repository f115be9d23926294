//! The command line that the examples share: one JSON, perhaps a folder.
use burn_mixflow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `run` with `CONFIG.json [FOLDER]`; 2 for other arguments, 1 with the error printed if it fails.
pub fn main(usage: &str, run: fn(&Path, Option<PathBuf>) -> Result<()>) -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(config), folder, None) = (args.next(), args.next(), args.next()) else {
        eprintln!("{usage}");
        return 2.into();
    };
    match run(Path::new(&config), folder.map(PathBuf::from)) {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("error: {error}");
            1.into()
        }
    }
}

/// `runs/GROUP-NAME` and `suffix` for the configuration GROUP/NAME.json.
pub fn folder(config: &Path, suffix: &str) -> PathBuf {
    let name = |part: Option<&std::ffi::OsStr>| part.and_then(|s| s.to_str()).unwrap_or("run").to_string();
    let (group, stem) = (name(config.parent().and_then(Path::file_name)), name(config.file_stem()));
    Path::new("runs").join(format!("{group}-{stem}{suffix}"))
}
