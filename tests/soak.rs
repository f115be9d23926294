//! An hour of everything that goes wrong, after which the weights are those of a quiet run.
//!
//! ```console
//! cargo test --release --test soak -- --ignored --nocapture
//! MIXFLOW_SOAK_MINUTES=2 MIXFLOW_SOAK_SEED=7 cargo test --release --test soak -- --ignored --nocapture
//! ```
//! As root it also fills and locks the disk and takes permissions away, and the program runs as `nobody`. What happened is printed; docs/reliability.md keeps the figures of one hour.
#![cfg(target_os = "linux")]
mod dice;

use dice::Dice;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is done to a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Misfortune {
    Killed,
    Terminated,
    Interrupted,
    SecondProcess,
    PoisonedBatch,
    MissingFile,
    FullDisk,
    ReadOnlyDisk,
    RevokedPermissions,
    DamagedNewestSet,
}

/// Whom the program runs as where the tests are root's, whom no permission stops: `nobody`.
const NOBODY: u32 = 65534;

/// A folder with a configuration and data of its own, on a disk of its own where that is possible.
struct Place {
    root: PathBuf,
    mounted: bool,
}

impl Place {
    fn new(root: &Path) -> Self {
        std::fs::create_dir_all(root).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=200m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(root).stderr(Stdio::null()).status();
        let mounted = mounted.is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("NOT TESTED: full and locked disks, as no filesystem can be mounted without being root");
        }
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny/sit"), &root.join("data"));
        std::fs::write(root.join("run.json"), config().to_string()).unwrap();
        if mounted {
            change(Command::new("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(root));
        }
        Self { root: root.to_path_buf(), mounted }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixflow"));
        command.args(["post-train", "run.json", "--folder", "run"]).current_dir(&self.root);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if self.mounted {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Lets nobody write below here, or everybody who could.
    fn permit(&self, writing: &str) {
        change(Command::new("chmod").args(["-R", writing]).arg(&self.root));
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.root).status();
        assert!(status.unwrap().success(), "remount with {options}");
    }

    /// Leaves so many KiB free. What is written meanwhile may make the disk larger than it was to become, which the system
    /// refuses.
    fn fill(&self, free: u64) {
        let made = (0..20).any(|_| {
            let size = format!("remount,size={}k", self.used_kib() + free);
            let mut mount = Command::new("mount");
            mount.args(["-o", &size]).arg(&self.root).stderr(Stdio::null()).status().unwrap().success()
        });
        assert!(made, "the disk cannot be filled");
    }

    fn used_kib(&self) -> u64 {
        let output = Command::new("df").args(["--output=used", "-k"]).arg(&self.root).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().last().unwrap().trim().parse().unwrap()
    }

    fn latents(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join("data/vae-sd")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path if path.extension().is_some_and(|end| end == "npy") => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }

    fn sets(&self) -> Vec<PathBuf> {
        let sets = std::fs::read_dir(self.root.join("run/post_train/checkpoints")).into_iter().flatten().flatten();
        let mut complete: Vec<PathBuf> =
            sets.map(|set| set.path()).filter(|set| set.join("COMPLETE").exists()).collect();
        complete.sort();
        complete
    }
}

fn change(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(&self.root).status();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => copy(&path, &to.join(entry.file_name())),
            path => drop(std::fs::copy(path, to.join(entry.file_name())).unwrap()),
        }
    }
}

/// The tiny SiT with everything that makes a run harder to bring back: accumulation, two devices, dropout, clipping.
fn config() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sit/tiny.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("$schema");
    config["devices"] = json!(["cpu", "cpu"]);
    config["data"]["folder"] = "data/vae-sd".into();
    config["start"]["file"] = "data/ckpt.pt".into();
    let stage = &mut config["post_train"];
    stage["steps"] = 3000.into();
    stage["steps_per_epoch"] = 250.into();
    stage["optimizer"]["clip"] = 1.0.into();
    stage["schedule"] = json!({"warm_up": 100, "decay": "cosine", "final_fraction": 0.1});
    stage["checkpoints"] = json!({"every_steps": 20, "keep": {"last": 2, "best": 1, "every": 1000}});
    config
}

/// What must be the same after a quiet run and after a disturbed one.
fn outcome(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let run = place.root.join("run/post_train");
    let mut found = BTreeMap::new();
    for name in ["ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png", "metrics/valid.csv"] {
        found.insert(name.to_string(), std::fs::read(run.join(name)).unwrap());
    }
    let table = std::fs::read_to_string(run.join("metrics/train.csv")).unwrap();
    let speed = table.lines().next().unwrap().split(',').position(|column| column == "samples_per_second").unwrap();
    let kept = |line: &str| {
        let cells: Vec<&str> = line.split(',').enumerate().filter(|(i, _)| *i != speed).map(|(_, cell)| cell).collect();
        cells.join(",")
    };
    found.extend(curves(&run).map(|curves| ("tensorboard".to_string(), curves)));
    found.insert("metrics/train.csv".into(), table.lines().map(kept).collect::<Vec<_>>().join("\n").into_bytes());
    found
}

/// Reads the curves without the speed; Python's JSON has NaN, which ours has not.
const CURVES: &str = "
import json, subprocess, sys
read = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE)
if read.returncode: sys.exit(read.returncode)
curves = json.loads(read.stdout)['scalars']
curves.pop('train/samples_per_second')
assert len(curves) > 10, list(curves)
print(json.dumps(curves, sort_keys=True))
";

/// Every point of every curve as TensorBoard reads it; nothing where it is not installed.
fn curves(run: &Path) -> Option<Vec<u8>> {
    let python = std::env::var("MIXFLOW_PYTHON").ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_events.py");
    let output = Command::new(python).args(["-c", CURVES]).arg(script).arg(run.join("tensorboard")).output().unwrap();
    if output.status.code() == Some(77) {
        eprintln!("NOT TESTED: TensorBoard's steps, as TensorBoard is not installed");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// The first line that differs, of files that have lines.
fn first(expected: &[u8], found: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(1_000_000).collect::<String>();
    let (expected, found) = (text(expected), text(found));
    let differs = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    let lines = |text: &str| text.lines().count();
    let counts = format!("{} and {} lines", lines(&expected), lines(&found));
    differs.map_or(counts, |(a, b)| format!("{a:.300} and {b:.300}"))
}

/// What an hour was like.
#[derive(Default)]
struct Figures {
    events: BTreeMap<Misfortune, usize>,
    codes: BTreeMap<String, usize>,
    runs: usize,
    /// What happened in the run in work, and what the program said.
    said: Vec<String>,
}

fn ended(child: Child) -> (String, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    let code = output
        .status
        .code()
        .map_or_else(|| format!("signal {:?}", output.status.signal()), |code| format!("exit {code}"));
    (code, said)
}

/// One process and what happens to it; whether the run has come to its end.
fn sitting(place: &Place, dice: &mut Dice, figures: &mut Figures) -> bool {
    use Misfortune::*;
    let all = [
        Killed,
        Killed,
        Killed,
        Terminated,
        Interrupted,
        SecondProcess,
        PoisonedBatch,
        MissingFile,
        DamagedNewestSet,
        FullDisk,
        ReadOnlyDisk,
        RevokedPermissions,
    ];
    let misfortune = all[dice.below(all.len() as u64) as usize];
    if matches!(misfortune, FullDisk | ReadOnlyDisk | RevokedPermissions) && !place.mounted {
        return false;
    }
    *figures.events.entry(misfortune).or_default() += 1;
    let latents = place.latents();
    let victim = &latents[dice.below(latents.len() as u64) as usize];
    let whole = std::fs::read(victim).unwrap();
    let pause = Duration::from_millis(300 + dice.below(2500));
    if misfortune == DamagedNewestSet
        && let [.., newest] = &place.sets()[..]
        && place.sets().len() > 1
    {
        let part = newest.join(["model.bpk", "optim.bpk", "scheduler.bpk", "COMPLETE"][dice.below(4) as usize]);
        let mut bytes = std::fs::read(&part).unwrap();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        std::fs::write(&part, bytes).unwrap();
    }
    let child = place.command().spawn().unwrap();
    let pid = Pid::from_child(&child);
    std::thread::sleep(pause);
    match misfortune {
        Killed | DamagedNewestSet => drop(kill_process(pid, Signal::KILL)),
        Terminated => drop(kill_process(pid, Signal::TERM)),
        Interrupted => drop(kill_process(pid, Signal::INT)),
        SecondProcess => {
            let (code, said) = ended(place.command().spawn().unwrap());
            let refused = code == "exit 1" && said.contains("in use by process");
            // The first may have come to its end meanwhile.
            assert!(refused || code == "exit 0", "{code}: {said}");
            let _ = kill_process(pid, Signal::KILL);
        }
        PoisonedBatch => {
            let mut bytes = whole.clone();
            let start = bytes.len() - bytes.len() / 2;
            bytes[start..].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&f32::NAN.to_le_bytes()));
            std::fs::write(victim, bytes).unwrap();
        }
        MissingFile => std::fs::remove_file(victim).unwrap(),
        RevokedPermissions => place.permit("a-w"),
        FullDisk => place.fill(dice.below(200)),
        ReadOnlyDisk => {
            // Open files may keep it from becoming read-only, as on a real disk; then there is nothing to see.
            let _ = Command::new("mount").args(["-o", "remount,ro"]).arg(&place.root).stderr(Stdio::null()).status();
        }
    }
    if !matches!(misfortune, Killed | Terminated | Interrupted | SecondProcess | DamagedNewestSet) {
        std::thread::sleep(Duration::from_secs(4));
        let _ = kill_process(pid, Signal::TERM);
    }
    let (code, said) = ended(child);
    if misfortune == MissingFile && code == "exit 1" {
        assert!(said.contains(victim.file_name().unwrap().to_str().unwrap()), "{said}");
    }
    if place.mounted {
        place.remount("rw,size=200m");
        place.permit("u+w");
    }
    std::fs::write(victim, &whole).unwrap();
    println!("{misfortune:?} after {:.1} s: {code}", pause.as_secs_f64());
    figures.said.push(format!("{misfortune:?}: {code}\n{said}"));
    let done = code == "exit 0";
    *figures.codes.entry(code).or_default() += 1;
    done
}

#[test]
#[ignore = "an hour: cargo test --release --test soak -- --ignored --nocapture"]
fn an_hour_of_misfortune_ends_as_a_quiet_run() {
    let number = |name: &str, left_out: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(left_out);
    let time = Duration::from_secs(60 * number("MIXFLOW_SOAK_MINUTES", 60));
    let seed = number("MIXFLOW_SOAK_SEED", std::process::id().into());
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    // Others than its owner must come through to the places in it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let quiet = Place::new(&folder.path().join("quiet"));
    assert!(quiet.command().status().unwrap().success());
    let expected = outcome(&quiet);
    let (started, mut figures) = (Instant::now(), Figures::default());
    while started.elapsed() < time {
        let place = Place::new(&folder.path().join(format!("run-{}", figures.runs)));
        while !sitting(&place, &mut dice, &mut figures) && started.elapsed() < time {}
        let (code, said) = ended(place.command().spawn().unwrap());
        assert_eq!(code, "exit 0", "{said}");
        let found = outcome(&place);
        for (name, bytes) in &expected {
            let (run, said) = (figures.runs, figures.said.join("\n"));
            let difference = first(bytes, &found[name]);
            assert!(*bytes == found[name], "seed {seed}, run {run}: {name} differs: {difference}\n{said}");
        }
        figures.said.clear();
        figures.runs += 1;
    }
    println!(
        "\n{} runs in {:.0} min, each equal to the quiet one",
        figures.runs,
        started.elapsed().as_secs_f64() / 60.0
    );
    figures.events.iter().for_each(|(what, count)| println!("{count:5}  {what:?}"));
    figures.codes.iter().for_each(|(code, count)| println!("{count:5}  {code}"));
}
