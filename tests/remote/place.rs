//! A folder in which the program runs, a server among it.
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "the token of these tests";

/// The folder, with the configurations and a token.
pub struct Place(tempfile::TempDir);

/// What the program said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
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
        let at = self.err.rfind("error: ").unwrap_or_else(|| panic!("no error in:\n{}", self.err));
        self.err[at..].to_string()
    }
}

/// A server that ends with the test.
pub struct Server {
    child: Child,
    /// What it says after its address; kept open, as it would end where nobody hears it.
    _out: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its devices as it names them.
    pub devices: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as `kill` does; its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        signal("TERM", self.child.id());
        self.child.wait().unwrap().code()
    }
}

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.token("token", TOKEN);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file that holds `token`, for its owner alone.
    pub fn token(&self, name: &str, token: &str) {
        std::fs::write(self.path(name), token).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn write(&self, name: &str, config: &Value) {
        std::fs::write(self.path(name), config.to_string()).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixflow"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("MIXFLOW_REMOTE_TOKEN").env("MIXFLOW_REMOTE_TOKEN_FILE", "token");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).spawn().unwrap())
    }

    /// `mixflow serve` with the token, until it has named its devices.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&["serve", "--token-file", "token"]);
        let mut child = command.args(arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let list = line.trim().strip_prefix("\"devices\": ").unwrap_or_else(|| panic!("{line}"));
        let devices: Vec<String> = serde_json::from_str(list).unwrap();
        let place = devices[0].rsplit_once('#').unwrap().0.rsplit(['/', '@']).next().unwrap();
        let address = place.parse().unwrap_or_else(|e| panic!("{place}: {e}"));
        Server { child, _out: out, address, devices }
    }

    /// Two CPU devices by WebSocket.
    pub fn serve_two(&self) -> Server {
        self.serve(&["--devices", "cpu,cpu", "--websocket", "--bind", "127.0.0.1"])
    }

    /// The weights of a finished training, raw and averaged, by name.
    pub fn weights(&self, run: &str) -> Vec<(String, Vec<f32>)> {
        let mut all = Vec::new();
        for name in ["raw", "ema"] {
            let file = self.path(&format!("{run}/post_train/{name}.safetensors"));
            let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            for (tensor, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                all.push((format!("{name}: {tensor}"), values));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Whether any file below `folder` holds `text`.
    pub fn holds(&self, folder: &str, text: &str) -> Option<PathBuf> {
        let mut waiting = vec![self.path(folder)];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
                return Some(path);
            }
        }
        None
    }
}

/// Sends a signal to a process, as a person does.
fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Waits for the end of a program, a minute and a half at most: none may wait for ever.
pub fn ran(child: Child) -> Ran {
    let pid = child.id();
    let (end, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || end.send(child.wait_with_output().unwrap()));
    let output = ended.recv_timeout(Duration::from_secs(90)).unwrap_or_else(|_| {
        signal("KILL", pid);
        let output = ended.recv().unwrap();
        panic!("it hung:\n{}", String::from_utf8_lossy(&output.stderr));
    });
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Waits until something is there.
pub fn until(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The official tiny SiT, eight steps of eight samples.
pub fn sit() -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("configs/sit/tiny.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config.as_object_mut().unwrap().remove("$schema");
    let data = root.join("data/tiny/sit");
    config["data"]["folder"] = data.join("vae-sd").to_str().unwrap().into();
    config["start"]["file"] = data.join("ckpt.pt").to_str().unwrap().into();
    config["sample"] =
        json!({"count": 4, "labels": "random", "sampler": {"solver": "euler", "steps": 2, "batch_size": 4}});
    // The bias of keys has no gradient but rounding, which a small ε would make into steps as large as any.
    config["post_train"]["optimizer"]["epsilon"] = 1e-4.into();
    for (key, value) in [("steps", 8), ("accumulation", 1), ("steps_per_epoch", 4)] {
        config["post_train"][key] = value.into();
    }
    config
}

/// A small network on shipped photos, with nothing to load.
pub fn photos(steps: usize) -> Value {
    let stage = |steps: usize| json!({"steps": steps, "batch_size": 8, "steps_per_epoch": steps, "optimizer": {"learning_rate": 0.001}});
    let mut start = stage(2);
    start["kind"] = "pretrain".into();
    json!({
        "data": {"kind": "photos", "train": 100, "held_out": 40},
        "network": {"kind": "residual_mlp", "width": 64, "depth": 2},
        "start": start,
        "post_train": stage(steps),
        "sample": {"count": 2, "sampler": {"solver": "euler", "steps": 2, "batch_size": 2}}
    })
}

/// The same on `devices`.
pub fn on(mut config: Value, devices: &[&str]) -> Value {
    config["devices"] = json!(devices);
    config
}
