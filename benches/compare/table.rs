//! The tables, in Markdown, and the place in a page where they stand.
use crate::machine::shown;
use crate::measure::{Compared, EULER_STEPS, Row, WARM_UP};
use crate::protocol::Memory;
use crate::statistics::{Spread, median};
use crate::{Options, Outcome};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- compare:begin -->";
const END: &str = "<!-- compare:end -->";

/// All that was measured.
pub fn text(rows: &[Row], options: &Options, machine: &str) -> Outcome<String> {
    let first = rows.first().ok_or("nothing was compared")?;
    let [ours, theirs] = &first.hello;
    let date = theirs.date.as_deref().unwrap_or("a day unknown");
    let rounds = options.rounds;
    let mut text = String::new();
    writeln!(text, "`{}`, {date}, on {machine}.", options.command)?;
    writeln!(text, "{}; {}.", ours.versions, theirs.versions)?;
    writeln!(
        text,
        "Both sides take turns in {rounds} rounds. The first {WARM_UP} repetitions are left out, and the first of each turn."
    )?;
    writeln!(text, "A ratio is the median of the rounds, and in brackets the least and the largest.")?;
    writeln!(text, "\n**Ours / PyTorch.** Below 1 we are faster, or smaller.\n")?;
    ratios(&mut text, rows)?;
    writeln!(
        text,
        "\n**What the ratios are made of.** Ours first, then PyTorch: medians of the rounds, and the memory of a process that trains 3 steps. The last column holds the losses of {} steps together, from the same weights and draws.\n",
        options.losses
    )?;
    amounts(&mut text, rows)?;
    writeln!(
        text,
        "\n**Parts of a step.** MixFlow and standard steps alternate on the same network; in brackets the interval that holds 95 % of the bootstrap's medians. The update is clipping, AdamW and EMA.\n"
    )?;
    parts(&mut text, rows)?;
    Ok(text)
}

fn ratios(text: &mut String, rows: &[Row]) -> Outcome<()> {
    writeln!(
        text,
        "| size | trained parameters | batch | PyTorch | training step | forward | {EULER_STEPS} Euler steps | peak memory |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for row in rows {
        let memory = row.memory[0].peak.zip(row.memory[1].peak).map(|(ours, theirs)| ours / theirs);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.size,
            millions(row.hello[0].parameters),
            row.batch,
            row.kind,
            ratio(Some(&row.step)),
            ratio(row.forward.as_ref()),
            ratio(row.sample.as_ref()),
            or_dash(memory, |ratio| format!("{ratio:.2}")),
        )?;
    }
    Ok(())
}

fn amounts(text: &mut String, rows: &[Row]) -> Outcome<()> {
    writeln!(
        text,
        "| size | PyTorch | training step | forward | {EULER_STEPS} Euler steps | peak memory, MiB | of it before the network | losses differ by at most |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.0e} |",
            row.size,
            row.kind,
            times(Some(&row.step)),
            times(row.forward.as_ref()),
            times(row.sample.as_ref()),
            both(row.memory.map(|Memory { peak, .. }| peak), |mebibytes| format!("{mebibytes:.0}")),
            both(row.memory.map(|Memory { before, .. }| before), |mebibytes| format!("{mebibytes:.0}")),
            row.difference,
        )?;
    }
    Ok(())
}

fn parts(text: &mut String, rows: &[Row]) -> Outcome<()> {
    writeln!(
        text,
        "| size | PyTorch | MixFlow / standard step, ours | pairs | update, share of our step | of PyTorch's | AdamW in PyTorch |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for row in rows {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.size,
            row.kind,
            or_dash(row.pairs, |(spread, _)| spread_of(&spread, 3)),
            or_dash(row.pairs, |(_, count)| count.to_string()),
            or_dash(row.update[0], percent),
            or_dash(row.update[1], percent),
            row.hello[1].optimizer,
        )?;
    }
    Ok(())
}

fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".into(), show)
}

fn both(values: [Option<f64>; 2], show: impl Fn(f64) -> String) -> String {
    or_dash(values[0].zip(values[1]), |(ours, theirs)| format!("{}; {}", show(ours), show(theirs)))
}

fn ratio(compared: Option<&Compared>) -> String {
    or_dash(compared, |compared| spread_of(&compared.ratio(), 2))
}

fn spread_of(spread: &Spread, digits: usize) -> String {
    let Spread { middle, least, most } = spread;
    format!("{middle:.digits$} ({least:.digits$} to {most:.digits$})")
}

fn times(compared: Option<&Compared>) -> String {
    or_dash(compared, |Compared { ours, theirs }| format!("{}; {}", shown(median(ours)), shown(median(theirs))))
}

fn millions(parameters: usize) -> String {
    format!("{:.1} M", parameters as f64 / 1e6)
}

/// Whether `file` has the marks between which the tables go: asked before an hour of measuring.
pub fn check(file: &Path) -> Outcome<()> {
    around(file).map(|_| ())
}

/// Puts `text` between the marks of `file`.
pub fn write(file: &Path, text: &str) -> Outcome<()> {
    let (before, after) = around(file)?;
    Ok(std::fs::write(file, format!("{before}{BEGIN}\n{text}{END}{after}"))?)
}

/// What stands before and after the marks.
fn around(file: &Path) -> Outcome<(String, String)> {
    let page = std::fs::read_to_string(file).map_err(|error| format!("--write {}: {error}", file.display()))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts
        .ok_or_else(|| format!("--write {}: write the lines `{BEGIN}` and `{END}` into it first", file.display()))?;
    Ok((before.into(), after.into()))
}
