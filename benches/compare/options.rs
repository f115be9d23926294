//! What the command line asks for.
use crate::Outcome;
use crate::sizes::{self, Size};
use burn_mixflow::post_train::DeviceName;
use std::path::PathBuf;

/// How to compare.
pub struct Options {
    pub sizes: Vec<Size>,
    pub rounds: usize,
    pub seconds: f64,
    pub losses: usize,
    /// The least number of pairs of a MixFlow and a standard step.
    pub pairs: usize,
    pub device: DeviceName,
    /// Whether PyTorch's compiled networks are left out.
    pub eager: bool,
    pub write: Option<PathBuf>,
    /// The command, to be printed above the tables.
    pub command: String,
}

/// What to do.
pub enum Action {
    /// `cargo test --benches` runs a benchmark without any argument.
    Nothing,
    List,
    /// Answer the commands of another process, for the job in this file.
    Obey(PathBuf),
    Compare(Options),
}

/// Reads the arguments behind the name of the program.
pub fn read(arguments: impl Iterator<Item = String>) -> Outcome<Action> {
    let all: Vec<String> = arguments.collect();
    if all.is_empty() {
        return Ok(Action::Nothing);
    }
    let said: Vec<String> = all.into_iter().filter(|argument| argument != "--bench").collect();
    let mut options = Options {
        sizes: Vec::new(),
        rounds: 3,
        seconds: 4.0,
        losses: 50,
        pairs: 1,
        device: DeviceName::default(),
        eager: false,
        write: None,
        command: command(&said),
    };
    let mut rest = said.into_iter();
    while let Some(option) = rest.next() {
        if option == "--list" {
            return Ok(Action::List);
        }
        if option == "--eager" {
            options.eager = true;
            continue;
        }
        let mut value = || rest.next().ok_or_else(|| format!("`{option}` must be followed by a value"));
        match option.as_str() {
            "--worker" => return Ok(Action::Obey(value()?.into())),
            "--size" => options.sizes.push(sizes::named(&value()?)?),
            "--rounds" => options.rounds = at_least_one(&option, &value()?)?,
            "--losses" => options.losses = at_least_one(&option, &value()?)?,
            "--pairs" => options.pairs = at_least_one(&option, &value()?)?,
            "--seconds" => options.seconds = seconds(&value()?)?,
            "--device" => options.device = device(value()?)?,
            "--write" => options.write = Some(value()?.into()),
            _ => return Err(format!("`{option}` is unknown: benches/compare/main.rs lists the options").into()),
        }
    }
    if options.sizes.is_empty() {
        options.sizes = sizes::all()?.into_iter().filter(|size| size.by_default).collect();
    }
    Ok(Action::Compare(options))
}

fn command(said: &[String]) -> String {
    let plain = "cargo bench --bench compare";
    if said.is_empty() { plain.into() } else { format!("{plain} -- {}", said.join(" ")) }
}

fn at_least_one(option: &str, value: &str) -> Outcome<usize> {
    let number = value.parse().ok().filter(|number| *number > 0);
    Ok(number.ok_or_else(|| format!("{option} {value}: must be a whole number of at least 1"))?)
}

fn seconds(value: &str) -> Outcome<f64> {
    let number = value.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    Ok(number.ok_or_else(|| format!("--seconds {value}: must be a positive number"))?)
}

fn device(name: String) -> Outcome<DeviceName> {
    let name = DeviceName(name);
    if let Some(problem) = name.problems("--device").first() {
        return Err(problem.to_string().into());
    }
    if name.0.starts_with("wgpu") {
        return Err("--device wgpu: PyTorch has no such device; take \"cpu\" or \"cuda:N\"".into());
    }
    Ok(name)
}
