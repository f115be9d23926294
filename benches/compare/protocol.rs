//! Commands and answers, one line of JSON each, and the process that answers.
use crate::Outcome;
use crate::sizes::Job;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Program, Stdio};

/// What a process is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// [`Hello`].
    Hello,
    /// [`Times`] of whole MixFlow steps.
    Train { count: usize },
    /// [`Times`] of forward passes without gradients.
    Forward { count: usize },
    /// [`Times`] of drawing a batch in so many Euler steps.
    Sample { count: usize, steps: usize },
    /// [`Pairs`]; asked of our side only.
    Pairs { count: usize },
    /// [`Losses`] from the weights and the draws in the files.
    Losses,
    /// [`Memory`].
    Memory,
}

/// Who answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    pub versions: String,
    /// The kind of AdamW.
    pub adamw: String,
    /// What each kind of AdamW takes, where there are several.
    pub tried: String,
    /// Trained parameters.
    pub parameters: usize,
    /// The day, where the side knows it.
    pub date: Option<String>,
}

/// Milliseconds of each repetition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Times {
    pub steps: Vec<f64>,
    /// The part of each step that clips, updates and averages; empty if that is not told apart.
    pub updates: Vec<f64>,
}

/// Milliseconds of a standard and of a MixFlow step, one after the other on the same network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pairs {
    pub standard: Vec<f64>,
    pub mixflow: Vec<f64>,
    /// Drawing the timesteps of a batch, by both: the medians of many. All else of a step is the same work.
    pub draws: Option<[f64; 2]>,
    /// Standard and MixFlow steps whose gradients were clipped, which is a pass over them more.
    pub clipped: [usize; 2],
}

/// The loss of each step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Losses {
    pub losses: Vec<f64>,
}

/// Memory in MiB, where the system tells it: resident on a CPU, on a GPU what the process holds there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Memory {
    /// The largest before there was a network.
    pub before: Option<f64>,
    /// The largest of all.
    pub peak: Option<f64>,
}

/// One side in a process of its own; it does nothing until it is asked.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `program`, which is to answer for `job`, kept in the folder of the job as `name`.json.
    pub fn start(name: String, mut program: Program, job: &Job) -> Outcome<Self> {
        let file = job.folder.join(format!("{}.json", name.replace([' ', ','], "-")));
        std::fs::write(&file, serde_json::to_string_pretty(job)?)?;
        let threads = job.threads.to_string();
        program
            .arg(&file)
            .envs(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"].map(|key| (key, &threads)))
            // Threads that wait must not take the cores of the side whose turn it is.
            .env("OMP_WAIT_POLICY", "PASSIVE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = program.spawn().map_err(|error| format!("{name}: {program:?} does not start: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("a pipe")?;
        Ok(Self { name, child, input, output: BufReader::new(output) })
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The answer to `command`.
    pub fn ask<R: DeserializeOwned>(&mut self, command: Command) -> Outcome<R> {
        self.answer(command).map_err(|error| format!("{}, asked for {command:?}: {error}", self.name).into())
    }

    fn answer<R: DeserializeOwned>(&mut self, command: Command) -> Outcome<R> {
        let input = self.input.as_mut().ok_or("it has ended")?;
        let ended = |_| "the process has ended; what it wrote stands above";
        writeln!(input, "{}", serde_json::to_string(&command)?).map_err(ended)?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the process has ended; what it wrote stands above".into());
        }
        let reply: Value = serde_json::from_str(&line).map_err(|error| format!("{error} in `{}`", line.trim()))?;
        if let Some(error) = reply.get("error") {
            return Err(error.as_str().unwrap_or("an error without a text").into());
        }
        Ok(serde_json::from_value(reply)?)
    }
}

/// A process ends when its input does.
impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Reads commands until the input ends, and writes what `answer` says.
pub fn serve(mut answer: impl FnMut(Command) -> Outcome<Value>) -> Outcome<()> {
    for line in std::io::stdin().lines() {
        let reply = serde_json::from_str(&line?).map_err(Into::into).and_then(&mut answer);
        let reply = reply.unwrap_or_else(|error| serde_json::json!({"error": error.to_string()}));
        println!("{reply}");
    }
    Ok(())
}

/// The job in `file`.
pub fn job(file: &Path) -> Outcome<Job> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}
