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
