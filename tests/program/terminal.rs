//! The program in a terminal, where Burn's dashboard is shown: keys, signals and failures there.
use crate::place::{Place, photos};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the dashboard sends to leave its screen.
const LEFT: &[u8] = b"\x1b[?1049l";
const ENTERED: &[u8] = b"\x1b[?1049h";

/// A program in a terminal of its own.
struct Terminal {
    keys: Option<File>,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
    slave: OwnedFd,
}

impl Terminal {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || File::options().read(true).write(true).open(Path::new(name.to_str().unwrap())).unwrap();
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let slave = open();
        // setsid makes the terminal that of the program, so that Ctrl-C is its signal.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "env", "--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_mixflow")])
            .args(arguments)
            .current_dir(place.path(""))
            .env_remove("CI")
            .env("TERM", "xterm-256color")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("setsid of util-linux starts the program in a terminal");
        let mut reader = File::from(master.try_clone().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                if count == 0 {
                    break;
                }
                seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { keys: Some(File::from(master)), child, screen, slave: slave.into() }
    }

    fn screen(&self) -> Vec<u8> {
        self.screen.lock().unwrap().clone()
    }

    /// The end of what was written, without what draws the dashboard.
    fn text(&self) -> String {
        let screen = self.screen();
        let text = String::from_utf8_lossy(&screen);
        let plain: String =
            text.split('\x1b').map(|part| part.trim_start_matches(|c: char| !c.is_alphabetic())).collect();
        plain.chars().rev().take(2000).collect::<Vec<_>>().into_iter().rev().collect()
    }

    fn shows(&self, what: &[u8]) -> bool {
        self.screen().windows(what.len()).any(|window| window == what)
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !reached(self) {
            assert!(self.child.try_wait().unwrap().is_none(), "ended before {what}: {}", self.text());
            assert!(started.elapsed() < Duration::from_secs(120), "{what} did not come: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(100));
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(120), "it did not end: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was said after the dashboard had gone.
    fn last_words(&self) -> String {
        let screen = self.screen();
        let after = screen.windows(LEFT.len()).rposition(|window| window == LEFT).map_or(0, |at| at + LEFT.len());
        String::from_utf8_lossy(&screen[after..]).into_owned()
    }

    /// Fails unless the terminal is as it was: its own screen, lines and signals.
    #[track_caller]
    fn is_restored(&self) {
        assert!(self.shows(LEFT), "{}", self.text());
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
    }
}

/// Long enough to be stopped in the middle of.
fn long() -> Value {
    let mut config = photos();
    config["post_train"]["steps"] = 3000.into();
    config["post_train"]["steps_per_epoch"] = 1000.into();
    config
}

fn is_training(place: &Place) -> impl Fn(&Terminal) -> bool + use<> {
    let table = place.path("runs/run-a/post_train/metrics/train.csv");
    move |terminal| terminal.shows(ENTERED) && std::fs::read_to_string(&table).is_ok_and(|text| !text.is_empty())
}

/// A long training under the dashboard, some steps after its beginning.
fn training() -> (Place, Terminal) {
    let place = Place::new();
    place.write("a.json", &long());
    let mut terminal = Terminal::start(&place, &["post-train", "a.json"]);
    terminal.wait_for("the dashboard", is_training(&place));
    (place, terminal)
}

/// The step of the newest checkpoint, by the name of its folder.
fn saved(place: &Place) -> usize {
    let sets = std::fs::read_dir(place.path("runs/run-a/post_train/checkpoints")).into_iter().flatten().flatten();
    let complete = sets.filter(|set| set.path().join("COMPLETE").exists());
    complete.filter_map(|set| set.file_name().to_str()?.strip_prefix("step-")?.parse().ok()).max().unwrap_or(0)
}

#[track_caller]
fn is_unfinished(place: &Place) {
    let step = saved(place);
    assert!(step > 0 && step < 3000, "step {step}");
    for name in ["ema.bpk", "ema.safetensors", "raw.safetensors", "samples.safetensors"] {
        assert!(!place.path("runs/run-a/post_train").join(name).exists(), "{name} of weights that are not trained");
    }
}

#[test]
fn stopped_by_its_keys_it_saves_and_is_no_success() {
    let (place, mut terminal) = training();
    terminal.press("q");
    std::thread::sleep(Duration::from_millis(400));
    terminal.press("s");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.text());
    terminal.is_restored();
    let said = terminal.last_words();
    assert!(said.contains("stopped asked for at the dashboard") && said.contains("the same command goes on"), "{said}");
    is_unfinished(&place);
}

#[test]
fn ctrl_c_under_the_dashboard_saves_and_gives_the_terminal_back() {
    let (place, mut terminal) = training();
    std::thread::sleep(Duration::from_millis(400));
    terminal.press("\x03");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.text());
    terminal.is_restored();
    let said = terminal.last_words();
    assert!(said.contains("stopped by SIGINT, with step "), "{said}");
    is_unfinished(&place);
}

#[test]
fn pretraining_that_was_stopped_is_not_kept_for_the_next_run() {
    let place = Place::new();
    let mut config = long();
    config["start"]["steps"] = 3000.into();
    config["start"]["steps_per_epoch"] = 1000.into();
    place.write("a.json", &config);
    let mut terminal = Terminal::start(&place, &["post-train", "a.json"]);
    terminal.wait_for("the dashboard", |terminal| terminal.shows(ENTERED));
    std::thread::sleep(Duration::from_millis(600));
    terminal.press("\x03");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.text());
    terminal.is_restored();
    let kept = place.files("runs/cache");
    assert!(!kept.keys().any(|file| file.ends_with("ema.bpk")), "{:?}", kept.keys());
}

#[test]
fn a_failure_under_the_dashboard_is_one() {
    let place = Place::new();
    let mut config = photos();
    // Weights that leave the range of f32 within a step or two.
    config["post_train"]["optimizer"] = serde_json::json!({"learning_rate": 1.0, "weight_decay": 1e38});
    config["post_train"]["steps"] = 400.into();
    place.write("a.json", &config);
    let mut terminal = Terminal::start(&place, &["post-train", "a.json"]);
    assert_eq!(terminal.end(), Some(1), "{}", terminal.text());
    let said = terminal.last_words();
    assert!(said.contains("error: ") && (said.contains("gradient norm") || said.contains("not finite")), "{said}");
    terminal.is_restored();
    assert!(!place.path("runs/run-a/post_train/ema.bpk").exists());
}

#[test]
fn a_terminal_that_is_closed_ends_the_training_saved() {
    let (place, mut terminal) = training();
    // What a terminal that is closed sends to all in it.
    let group = rustix::process::Pid::from_raw(child_of(terminal.child.id())).unwrap();
    rustix::process::kill_process(group, rustix::process::Signal::HUP).unwrap();
    assert_eq!(terminal.end(), Some(129), "{}", terminal.text());
    is_unfinished(&place);
    let told = place.run(&["post-train", "a.json"]).done().out;
    assert!(told.contains("weights: "), "{told}");
}

/// The process that setsid started, or setsid itself where it did not have to fork.
fn child_of(parent: u32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(parent as i32)
}
