//! One error type; every message names the file, the key or the violated condition.
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing wrong with a configuration: where, and which condition it violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, for example `strategy.gamma`.
    pub path: String,
    /// The value found and the condition it violates, for example `1.1: must be in [0, 1]`.
    pub message: String,
}

impl Problem {
    /// Adds `path.key = value: condition` unless it `holds`; write checks that NaN fails.
    pub(crate) fn unless(
        problems: &mut Vec<Self>,
        holds: bool,
        path: &str,
        key: &str,
        value: impl std::fmt::Display,
        condition: impl std::fmt::Display,
    ) {
        if !holds {
            let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            let value = readable(value.to_string());
            problems.push(Self { path, message: format!("= {value}: {condition}") });
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.path, self.message)
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is not usable. Holds every problem found, not only the first.
    #[error("the configuration has {} problem(s):\n{}", .0.len(), list(.0))]
    Config(Vec<Problem>),
    /// The configuration of a file is not usable. Holds every problem found, not only the first.
    #[error("{}: the configuration has {} problem(s):\n{}", path.display(), problems.len(), list(problems))]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The problems.
        problems: Vec<Problem>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read but does not hold what it should.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Weights do not fit the model they were to be loaded into.
    #[error("weights do not fit: {0}")]
    Weights(String),
    /// The requested device is not there or not compiled in.
    #[error("device `{name}`: {message}")]
    Device {
        /// The name in the JSON.
        name: String,
        /// Why it cannot be used.
        message: String,
    },
    /// A condition on the arguments of a function is violated.
    #[error("{0}")]
    Invalid(String),
    /// Another process is at work in a folder.
    #[error("{}: in use by {by}; wait until it has ended, or take another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process and its machine.
        by: String,
    },
    /// The checkpoints of a folder belong to another training.
    #[error("{}: holds the checkpoints of another training; take another folder, or remove this one:\n{}", path.display(), lines(differences))]
    OtherTraining {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// Each key with its value there and its value here.
        differences: Vec<String>,
    },
    /// The results of a folder are of other data.
    #[error("{}: holds the results of other data; take another folder, or remove this one:\n{}", path.display(), lines(differences))]
    OtherData {
        /// The folder of the results.
        path: PathBuf,
        /// How the data differ, in words.
        differences: Vec<String>,
    },
    /// Every checkpoint of a folder is damaged.
    #[error(
        "{}: every checkpoint is damaged, so that the training cannot go on; bring one back from a copy, or remove the folder to \
         begin again:\n{}", path.display(), lines(reasons)
    )]
    Damaged {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// What is wrong with each of them, the newest first.
        reasons: Vec<String>,
    },
    /// A training ended before its last step because it was asked to; what it reached is saved.
    #[error("{what}: stopped {reason}, {at}; the same command goes on from there")]
    Stopped {
        /// The training.
        what: String,
        /// Who asked.
        reason: String,
        /// What was reached and saved.
        at: String,
    },
    /// Training stopped with an error.
    #[error("training stopped: {0}")]
    Training(String),
}

impl Error {
    /// [`Error::Config`] if there is any problem.
    pub(crate) fn if_any(problems: Vec<Problem>) -> Result<()> {
        if problems.is_empty() { Ok(()) } else { Err(Self::Config(problems)) }
    }

    /// Wraps an I/O error together with the path it happened on.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// A file with the wrong contents.
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_path_buf(), message: message.into() }
    }
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("  {text}")).collect::<Vec<_>>().join("\n")
}

/// A number of hundreds of digits with an exponent; anything else as it is.
fn readable(value: String) -> String {
    let long = (value.len() > 30).then(|| value.parse::<f64>().ok()).flatten();
    long.map_or(value, |number| format!("{number:e}"))
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_hundreds_of_digits_are_short() {
        for (value, expected) in [(1e308, "1e308"), (1.5, "1.5"), (2e-300, "2e-300"), (f64::NAN, "NaN")] {
            assert_eq!(readable(value.to_string()), expected);
        }
        let list = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]";
        assert_eq!(readable(list.into()), list);
    }
}
