//! `mixflow`: does MixFlow post-training help this model, on these data, at these budgets?
mod advise;
mod check;
mod choose_gamma;
mod compare;
mod encode;
mod evaluate;
mod evidence;
mod export;
mod job_devices;
#[cfg(unix)]
mod pages;
mod place;
mod post_train;
mod replay;
mod sample;
mod say;
#[cfg(feature = "remote")]
mod serve;
mod signals;
mod slow_flow;
mod status;
mod until;
mod workers;

use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::encode::EncodeConfig;
use burn_mixflow::{Error, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// MixFlow post-training for flow-matching and diffusion models: train, compare, choose γ, sample.
///
/// One JSON file describes an experiment, and every command reads the same one. Results go to runs/GROUP-NAME for the
/// file GROUP/NAME.json. Every command can be stopped and started again, and goes on where it was.
#[derive(Debug, Parser)]
#[command(name = "mixflow", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print results and errors only.
    #[arg(long, short, global = true)]
    quiet: bool,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong use, 130 and 143 stopped by Ctrl-C or SIGTERM after a save.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Open everything that an experiment names, time one step, and train nothing.
    Check(check::Arguments),
    /// Post-train one model: the weights of `start` in, its average and samples out.
    PostTrain(post_train::Arguments),
    /// Post-train with and without MixFlow, and compare samples at every budget.
    Compare(Experiment),
    /// Say whether post-training is worth it, and what costs nothing instead.
    Advise(advise::Arguments),
    /// Choose the mixture range γ by short trainings, and say why.
    ChooseGamma(Experiment),
    /// Measure how far sampled states lag behind their timestep, before and after post-training.
    SlowFlow(Experiment),
    /// Sample from a finished run.
    Sample(sample::Arguments),
    /// Turn a folder of pictures into latents, features and embedded captions to train on.
    Encode(encode::Arguments),
    /// Measure every distance between two sets of samples.
    Evaluate(evaluate::Arguments),
    /// Write the weights of a finished run under their official names.
    Export(export::Arguments),
    /// Say how far a training is, and whether it is well.
    Status(status::Arguments),
    /// List the trainings below a folder.
    Runs(status::RunsArguments),
    /// Do again the one step at which a training failed, and say what is wrong with its samples.
    Replay(replay::Arguments),
    /// Lend devices of this machine to others, until Ctrl-C or SIGTERM.
    #[cfg(feature = "remote")]
    Serve(serve::Arguments),
    /// Run everything that docs/evidence.md tells of, in a checkout of burn-mixflow, and write it.
    Evidence(evidence::Arguments),
    /// Print the JSON schema of a file, for editors.
    Schema {
        /// Of which file.
        #[arg(value_enum, default_value_t = SchemaOf::Experiment)]
        of: SchemaOf,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// One job of a comparison, in a process that ends with its parent.
    #[command(hide = true)]
    Job(workers::Arguments),
}

impl Command {
    /// Whether it handles signals of its own, and a signal is how it is done.
    fn ends_by_itself(&self) -> bool {
        #[cfg(feature = "remote")]
        return matches!(self, Self::Serve(_));
        #[cfg(not(feature = "remote"))]
        false
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    /// What all commands but one read.
    Experiment,
    /// What `encode` reads.
    Encode,
}

/// What the commands on an experiment share.
#[derive(Debug, Args)]
struct Experiment {
    /// The file that describes the experiment.
    #[arg(value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
    /// Where results go; runs/GROUP-NAME if left out.
    #[arg(long, value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Replace a value of the file, as in --set post_train.steps=100; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<String>,
}

impl Experiment {
    /// Runs a command on the checked configuration and the folder of its results. Its errors name the file.
    fn run(&self, command: impl FnOnce(ExperimentConfig, &Path) -> Result<()>) -> Result<()> {
        let config = ExperimentConfig::read_with(&self.config, &self.set)?;
        let folder = self.folder.clone().unwrap_or_else(|| place::results_of(&self.config));
        command(config, &folder).map_err(|error| ExperimentConfig::of_file(error, &self.config, &self.set))
    }
}

/// A setting as it was given.
fn setting(text: &str) -> std::result::Result<String, String> {
    text.contains('=').then(|| text.to_string()).ok_or_else(|| "must be KEY=VALUE, as post_train.steps=100".into())
}

fn main() -> ExitCode {
    #[cfg(unix)]
    pages::keep();
    let cli = Cli::parse();
    say::set_quiet(cli.quiet);
    if !cli.command.ends_by_itself() {
        signals::listen();
    }
    #[cfg(feature = "remote")]
    burn_mixflow::remote::watch(|lost| {
        say::error(&lost);
        signals::leave(1);
    });
    #[cfg(feature = "remote")]
    let done = burn_mixflow::remote::guarded(|| run(cli.command));
    #[cfg(not(feature = "remote"))]
    let done = run(cli.command);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped @ Error::Stopped { .. }) if signals::stop().reason().as_deref() == Some(until::REASON) => {
            say::line(stopped.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            say::error(&error);
            match error {
                Error::Stopped { .. } => signals::exit_code().unwrap_or(ExitCode::from(STOPPED)),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// The exit code of a stop that was asked for without a signal, at the dashboard: that of Ctrl-C.
const STOPPED: u8 = 130;

fn run(command: Command) -> Result<()> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::PostTrain(of) => {
            of.experiment.run(|config, folder| post_train::run(config, folder, of.until, of.accept_data))
        }
        Command::Status(arguments) => status::run(&arguments),
        Command::Runs(arguments) => status::runs(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Compare(of) => of.run(compare::run),
        Command::Advise(of) => of.experiment.run(|config, folder| advise::run(config, folder, &of.question)),
        Command::ChooseGamma(of) => of.run(|config, folder| choose_gamma::run(&config, folder)),
        Command::SlowFlow(of) => of.run(slow_flow::run),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        #[cfg(feature = "remote")]
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Evidence(arguments) => evidence::run(&arguments),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Experiment => ExperimentConfig::schema(),
                SchemaOf::Encode => EncodeConfig::schema(),
            };
            let schema = serde_json::to_string_pretty(&schema);
            say::answer(&schema.map_err(|e| Error::Invalid(e.to_string()))?)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mixflow", &mut text);
            say::answer(String::from_utf8_lossy(&text).trim_end())
        }
        Command::Job(arguments) => workers::job(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_without_a_value_is_wrong_use() {
        for command in [&["compare", "a.json"][..], &["sample", "runs/a"]] {
            let line = ["mixflow"].iter().chain(command).chain(&["--set", "post_train.steps"]);
            let error = Cli::try_parse_from(line).map(drop).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (clap::error::ErrorKind::ValueValidation, 2));
        }
    }

    #[test]
    fn settings_may_be_repeated() {
        let cli = Cli::parse_from(["mixflow", "compare", "a.json", "--set", "a=1", "--set", "b=2", "--quiet"]);
        let Command::Compare(experiment) = cli.command else { panic!() };
        assert_eq!((experiment.set, cli.quiet), (vec!["a=1".to_string(), "b=2".to_string()], true));
    }
}
