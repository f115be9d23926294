//! Training and sampling here and in PyTorch: the same networks, batches, draws and optimizer, in turns.
//!
//! `cargo bench --bench compare` does all of it. It makes a Python environment below `target/` with `pip install torch`,
//! unless `MIXFLOW_PYTHON` names an interpreter that has `torch` and `safetensors`. What can be said behind `--`:
//!
//! | option | what it does |
//! |---|---|
//! | `--size NAME` | one size only; may be repeated; `--list` shows the names |
//! | `--rounds N` | how often both take their turn; 3 |
//! | `--seconds S` | how long a turn of the slower one lasts, about; 4 |
//! | `--losses N` | how many steps the losses of both are held together; 50 |
//! | `--pairs N` | at least so many pairs of a MixFlow and a standard step; as many as there is time for |
//! | `--device cuda:0` | where to compute; on a GPU with bf16 and `torch.compile` as well |
//! | `--eager` | without `torch.compile` |
//! | `--write FILE` | puts the tables between the marks `compare:begin` and `compare:end` of FILE |
//!
//! In order: [`prepare`] writes weights and draws; each side answers the [`protocol`] in a process of its own, ours in
//! [`worker`], PyTorch's in `worker.py`; [`measure`] gives each [`contender`] its turns; [`table`] prints ratios.
mod contender;
mod machine;
mod measure;
mod median;
mod options;
mod prepare;
mod protocol;
mod python;
mod sizes;
mod statistics;
mod table;
mod worker;

use options::{Action, Options};
use std::error::Error;
use std::process::ExitCode;

/// What went wrong, and what to do about it.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// The allocator of the program `mixflow`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nERROR: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    match options::read(std::env::args().skip(1))? {
        Action::Nothing => println!("`cargo bench --bench compare` compares with PyTorch; a test run does nothing"),
        Action::List => sizes::all()?.iter().for_each(|size| println!("{:10} {}", size.name, size.about)),
        Action::Obey(job) => worker::obey(&job)?,
        Action::Compare(options) => compare(&options)?,
    }
    Ok(())
}

fn compare(options: &Options) -> Outcome<()> {
    if let Some(file) = &options.write {
        table::check(file)?;
    }
    let python = python::interpreter()?;
    let before = machine::load();
    let mut rows = Vec::new();
    let measured: Outcome<()> = options.sizes.iter().try_for_each(|size| {
        rows.extend(measure::size(size, options, &python)?);
        Ok(())
    });
    // What was measured before a size that failed is printed too; only a whole run is written.
    let text =
        if rows.is_empty() { String::new() } else { table::text(&rows, options, &machine::describe(before, &rows))? };
    println!("\n{text}");
    measured?;
    if let Some(file) = &options.write {
        table::write(file, &text)?;
        println!("written to {}", file.display());
    }
    Ok(())
}
