//! The networks between pictures and numbers, here and in diffusers and torch-fidelity, with the same random weights.
//!
//! `MIXFLOW_PYTHON=/path/to/python cargo bench --bench encoders -- --rounds 5` where that Python has `torch`, `diffusers`,
//! `safetensors` and `torch-fidelity`. Behind `--`: `--rounds N`, `--seconds S` of a turn of the slower one, `--device cuda:0`,
//! and names of what to run: `encode` (a picture of 256 × 256 to latents), `decode` (back), `inception` (8 pictures of 32 × 32
//! to the features of FID). The outputs of both are compared before anything is timed.
#[path = "../compare/median.rs"]
mod median;
#[path = "../compare/python.rs"]
mod python;

use burn::tensor::{Device, Tensor};
use burn_mixflow::models::encoders::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig};
use burn_mixflow::models::encoders::inception::Inception;
use burn_mixflow::models::weights::ImportOptions;
use burn_mixflow::post_train::DeviceName;
use median::median;
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

/// What went wrong, and what to do about it.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// The allocator of the program `mixflow`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NAMES: [&str; 3] = ["encode", "decode", "inception"];
/// The largest difference of outputs, as a part of the largest number: ten times what tests hold f32 on a CPU to.
const TOLERANCE: [(&str, f64); 2] = [("cpu", 1e-3), ("cuda", 2e-2)];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nERROR: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    names: Vec<String>,
    rounds: usize,
    seconds: f64,
    device: DeviceName,
}

fn options(arguments: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options { names: Vec::new(), rounds: 5, seconds: 4.0, device: DeviceName::default() };
    let mut rest = arguments.filter(|argument| argument != "--bench");
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{option}` must be followed by a value"));
        match option.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--device" => options.device = DeviceName(value()?),
            name if NAMES.contains(&name) => options.names.push(option),
            _ => {
                return Err(format!(
                    "`{option}`: must be --rounds, --seconds, --device, or one of {}",
                    NAMES.join(", ")
                )
                .into());
            }
        }
    }
    if options.names.is_empty() {
        options.names = NAMES.map(String::from).into();
    }
    Ok(options)
}

fn run() -> Outcome<()> {
    // `cargo test --benches` runs a benchmark without any argument.
    if std::env::args().len() == 1 {
        println!("`cargo bench --bench encoders` compares with diffusers and torch-fidelity; a test run does nothing");
        return Ok(());
    }
    let options = options(std::env::args().skip(1))?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encoders");
    std::fs::create_dir_all(&folder)?;
    let mut theirs = Theirs::start(&folder, &options.device)?;
    let device = options.device.open()?;
    let ours = Ours::load(&folder, &device)?;
    println!("{}", theirs.versions);
    println!("| network | ours / PyTorch | ours | PyTorch | outputs differ by |\n|---|---|---|---|---|");
    for name in &options.names {
        row(name, &ours, &mut theirs, &folder, &options)?;
    }
    Ok(())
}

fn row(name: &str, ours: &Ours, theirs: &mut Theirs, folder: &Path, options: &Options) -> Outcome<()> {
    theirs.ask::<Value>(json!({"save": name}))?;
    let expected = numbers(&folder.join(format!("{name}.safetensors")), "output")?.0;
    let own = ours.run(name)?.into_data().iter::<f32>().collect::<Vec<_>>();
    let largest = expected.iter().fold(0.0, |most: f32, number| most.max(number.abs()));
    let off = own.iter().zip(&expected).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs())) / largest;
    let (_, tolerance) = TOLERANCE[usize::from(options.device.0 != "cpu")];
    // A NaN is not near.
    let is_near = own.len() == expected.len() && f64::from(off) <= tolerance;
    if !is_near {
        return Err(format!("{name}: the outputs differ by {off:.1e} of the largest, more than {tolerance:.0e}").into());
    }
    let mine = |count: usize| -> Outcome<Vec<f64>> { (0..count).map(|_| ours.timed(name)).collect() };
    let slower = median(&mine(2)?).max(median(&theirs.times(name, 2)?));
    let count = (1e3 * options.seconds / slower).clamp(1.0, 1000.0) as usize;
    let (mut medians, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let both = [median(&mine(count)?), median(&theirs.times(name, count)?)];
        ratios.push(both[0] / both[1]);
        medians.push(both);
    }
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let (middle, most) = (median(&ratios), ratios.iter().copied().fold(0.0, f64::max));
    let [own, other] = [0, 1].map(|side| median(&medians.iter().map(|both| both[side]).collect::<Vec<_>>()));
    println!("| {name} | {middle:.2} ({least:.2} to {most:.2}) | {own:.0} ms | {other:.0} ms | {off:.0e} |");
    Ok(())
}

/// A tensor of a file in `f32`, with its shape.
fn numbers(file: &Path, name: &str) -> Outcome<(Vec<f32>, Vec<usize>)> {
    let bytes = std::fs::read(file)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = file.tensor(name)?;
    let numbers = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok((numbers, tensor.shape().to_vec()))
}

struct Ours {
    autoencoder: AutoencoderKl,
    inception: Inception,
    inputs: PathBuf,
    device: Device,
}

impl Ours {
    fn load(folder: &Path, device: &Device) -> Outcome<Self> {
        let config = AutoencoderKlConfig::sd1();
        let (autoencoder, _) =
            AutoencoderKl::load(&config, &folder.join("vae.safetensors"), &ImportOptions::default(), device)?;
        let inception = Inception::load(folder.join("inception.pth"), device)?;
        Ok(Self { autoencoder, inception, inputs: folder.join("inputs.safetensors"), device: device.clone() })
    }

    fn run(&self, name: &str) -> Outcome<Tensor<4>> {
        self.of(name, self.input(name)?)
    }

    fn input(&self, name: &str) -> Outcome<Tensor<4>> {
        let (numbers, shape) = numbers(&self.inputs, name)?;
        Ok(Tensor::<1>::from_data(numbers.as_slice(), &self.device).reshape([shape[0], shape[1], shape[2], shape[3]]))
    }

    fn of(&self, name: &str, input: Tensor<4>) -> Outcome<Tensor<4>> {
        Ok(match name {
            "encode" => self.autoencoder.encode(input)?.mean,
            "decode" => self.autoencoder.decode(input)?,
            _ => self.inception.forward(input)?.pool.unsqueeze_dims(&[2, 3]),
        })
    }

    /// Milliseconds of one run.
    fn timed(&self, name: &str) -> Outcome<f64> {
        let input = self.input(name)?;
        self.device.sync()?;
        let started = Instant::now();
        self.of(name, input)?;
        self.device.sync()?;
        Ok(1e3 * started.elapsed().as_secs_f64())
    }
}

/// The Python process, which ends when its input does.
struct Theirs {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    versions: String,
}

impl Theirs {
    fn start(folder: &Path, device: &DeviceName) -> Outcome<Self> {
        let threads = std::thread::available_parallelism()?.to_string();
        let mut program = Command::new(python::interpreter()?);
        program.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/encoders/worker.py"));
        program.arg(folder).arg(threads).arg(&device.0).env("OMP_WAIT_POLICY", "PASSIVE");
        program.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a pipe")?).lines();
        let mut started = Self { child, input, output, versions: String::new() };
        started.versions = started.answer()?;
        Ok(started)
    }

    fn ask<R: DeserializeOwned>(&mut self, command: Value) -> Outcome<R> {
        writeln!(self.input.as_mut().ok_or("it has ended")?, "{command}")?;
        self.answer()
    }

    fn answer<R: DeserializeOwned>(&mut self) -> Outcome<R> {
        let line = self.output.next().ok_or("Python has ended: does it have `diffusers` and `torch-fidelity`?")??;
        Ok(serde_json::from_str(&line)?)
    }

    fn times(&mut self, name: &str, count: usize) -> Outcome<Vec<f64>> {
        self.ask(json!({"run": name, "count": count}))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
