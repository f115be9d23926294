//! A folder in which the program runs.
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The folder, with its configurations and what the program leaves there.
pub struct Place(tempfile::TempDir);

/// What the program said and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Fails unless the program ended well.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }

    /// The message of a program that failed.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        self.err
    }
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A file or folder here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a configuration.
    pub fn write(&self, name: &str, config: &Value) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, config.to_string()).unwrap();
    }

    /// The program, not yet started, with pipes for what it says.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixflow"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program, not yet started, with signals that do what they do for a program of one's own: tests may run where they are
    /// ignored.
    #[cfg(unix)]
    pub fn heard(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_mixflow")]).args(arguments);
        command.current_dir(self.0.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[cfg(unix)]
    pub fn start_heard(&self, arguments: &[&str]) -> Child {
        self.heard(arguments).spawn().unwrap()
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The names of all files below a folder here, with their bytes.
    pub fn files(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.path(below), &self.path(below), &mut found);
        found
    }

    pub fn json(&self, name: &str) -> Value {
        let file = self.path(name);
        let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Fails unless every one of these files is here and holds something.
    #[track_caller]
    pub fn has(&self, folder: &str, names: &[&str]) {
        for name in names {
            let file = self.path(folder).join(name);
            let length = std::fs::metadata(&file).map(|data| data.len());
            assert!(length.as_ref().is_ok_and(|length| *length > 0), "{}: {length:?}", file.display());
        }
    }
}

fn collect(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, root, found),
            false => drop(found.insert(path.strip_prefix(root).unwrap().into(), std::fs::read(&path).unwrap())),
        }
    }
}

/// A file of this crate.
pub fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).to_str().unwrap().to_string()
}

/// A stage of four steps.
pub fn stage() -> Value {
    json!({"steps": 4, "batch_size": 8, "steps_per_epoch": 2, "optimizer": {"learning_rate": 0.001}})
}

/// A post-training with MixFlow of four steps.
pub fn post_training() -> Value {
    let mut stage = stage();
    stage["strategy"] = json!({"kind": "mixflow", "gamma": 0.3});
    stage
}

/// An experiment on `data`, small in everything.
pub fn small(data: Value, network: Value) -> Value {
    let mut start = stage();
    start["kind"] = "pretrain".into();
    json!({
        "data": data,
        "network": network,
        "start": start,
        "post_train": post_training(),
        "compare": {"evaluations": [2, 3], "seeds": [0], "samples": 16, "batch_size": 16},
        "gamma_search": {"gammas": [0.2, 0.6], "pilot_steps": 2, "seeds": [7]},
        "slow_flow": {"samples": 16, "times": 3, "resamples": 20, "tolerance_samples": 8},
        "sample": {"count": 3, "sampler": {"solver": "euler", "steps": 2, "batch_size": 2}}
    })
}

/// An experiment on the shipped photos.
pub fn photos() -> Value {
    small(
        json!({"kind": "photos", "train": 100, "held_out": 40}),
        json!({"kind": "residual_mlp", "width": 16, "depth": 1}),
    )
}
