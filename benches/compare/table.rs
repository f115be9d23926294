//! The tables, in Markdown, and the place in a page where they stand.
use crate::contender::{EULER_STEPS, STEPS_FOR_MEMORY, WARM_UP};
use crate::machine::shown;
use crate::measure::{Compared, Row};
use crate::median::median;
use crate::statistics::Spread;
use crate::{Options, Outcome};
use std::path::Path;

const BEGIN: &str = "<!-- compare:begin -->";
const END: &str = "<!-- compare:end -->";

/// A column: its head, and what stands in it.
type Column = (String, fn(&Row) -> String);

/// All that was measured.
pub fn text(rows: &[Row], options: &Options, machine: &str) -> Outcome<String> {
    let [ours, theirs] = &rows.first().ok_or("nothing was compared")?.hello;
    let date = theirs.date.as_deref().unwrap_or("on a day unknown");
    let Options { rounds, losses, command, .. } = options;
    let on_gpu = rows.iter().any(|row| row.device != "cpu");
    let memory = match on_gpu {
        false => format!("that of a process that trains {STEPS_FOR_MEMORY} steps"),
        true => "what `nvidia-smi` says of a process that has trained".into(),
    };
    let products = if on_gpu { " On this GPU both multiply f32 in TF32." } else { "" };
    let paragraphs = [
        format!("`{command}`, {date}, on {machine}.\n{}; {}.", ours.versions, theirs.versions),
        format!(
            "Both take turns in {rounds} rounds. Of steps and forward passes the first {WARM_UP} are left out, and the first of \
             each turn; of sampling the first.\nA ratio is the median of the rounds, and in brackets the least and the largest. \
             The fastest step of each side says most where other programs were busy."
        ),
        "**Ours / PyTorch.** Below 1 we are faster, or smaller.".into(),
        table(&ratios(), rows),
        format!(
            "**What the ratios are made of.** Ours first, then PyTorch: medians of the rounds. The memory is {memory}.\n\
             The losses are those of {losses} steps from the same weights and draws.{products}"
        ),
        table(&amounts(), rows),
        "**Parts of a step.** MixFlow and standard steps alternate on the same network. In brackets is the interval that \
         holds 95 % of the bootstrap's medians.\nBoth do the same work but for their timesteps: what drawing those of MixFlow takes longer was timed apart. \
         Where more of its steps are clipped, a pass over the gradients is added. \
         The update is clipping, AdamW and EMA."
            .into(),
        table(&parts(), rows),
    ];
    Ok(paragraphs.map(|paragraph| paragraph + "\n").join("\n"))
}

fn table(columns: &[Column], rows: &[Row]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = line(columns.iter().map(|(head, _)| head.clone()).collect());
    let rule = format!("|{}", "---|".repeat(columns.len()));
    let body = rows.iter().map(|row| line(columns.iter().map(|(_, cell)| cell(row)).collect()));
    [head, rule].into_iter().chain(body).collect::<Vec<_>>().join("\n")
}

fn column(head: &str, cell: fn(&Row) -> String) -> Column {
    (head.into(), cell)
}

fn names() -> Vec<Column> {
    vec![column("size", |row| row.size.into()), column("PyTorch", |row| row.kind.clone())]
}

fn ratios() -> Vec<Column> {
    let mut columns = names();
    columns.extend([
        column("trained parameters", |row| format!("{:.1} M", row.hello[0].parameters as f64 / 1e6)),
        column("batch", |row| row.batch.to_string()),
        column("training step", |row| ratio(Some(&row.step))),
        column("fastest step", |row| format!("{:.2}", row.step.fastest())),
        column("forward", |row| ratio(row.forward.as_ref())),
        (format!("{EULER_STEPS} Euler steps"), |row| ratio(row.sample.as_ref())),
        column("peak memory", |row| {
            let [ours, theirs] = row.memory.map(|memory| memory.peak);
            or_dash(ours.zip(theirs), |(ours, theirs)| format!("{:.2}", ours / theirs))
        }),
    ]);
    columns
}

fn amounts() -> Vec<Column> {
    let mut columns = names();
    columns.extend([
        column("training step", |row| times(Some(&row.step))),
        column("forward", |row| times(row.forward.as_ref())),
        (format!("{EULER_STEPS} Euler steps"), |row| times(row.sample.as_ref())),
        column("peak memory, MiB", |row| mebibytes(row.memory.map(|memory| memory.peak))),
        column("of it before the network", |row| mebibytes(row.memory.map(|memory| memory.before))),
        column("losses differ by at most", |row| format!("{:.0e}", row.difference)),
    ]);
    columns
}

fn parts() -> Vec<Column> {
    let mut columns = names();
    columns.extend([
        column("MixFlow / standard step, ours", |row| or_dash(row.pairs, |(spread, _)| spread_of(&spread, 3))),
        column("pairs", |row| or_dash(row.pairs, |(_, count)| count.to_string())),
        column("clipped, of MixFlow's and of standard steps", |row| {
            or_dash(row.clipped, |[standard, mixflow]| format!("{:.0} %; {:.0} %", 100.0 * mixflow, 100.0 * standard))
        }),
        column("its draws, share of a step", |row| or_dash(row.draws, |share| format!("{:+.3} %", 100.0 * share))),
        column("update, share of our step", |row| or_dash(row.update[0], percent)),
        column("of PyTorch's", |row| or_dash(row.update[1], percent)),
        column("AdamW in PyTorch", |row| format!("{}, of {}", row.hello[1].adamw, row.hello[1].tried)),
    ]);
    columns
}

fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".into(), show)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn ratio(compared: Option<&Compared>) -> String {
    or_dash(compared, |compared| spread_of(&compared.ratio(), 2))
}

fn spread_of(spread: &Spread, digits: usize) -> String {
    let Spread { middle, least, most } = spread;
    format!("{middle:.digits$} ({least:.digits$} to {most:.digits$})")
}

fn times(compared: Option<&Compared>) -> String {
    or_dash(compared.map(Compared::medians), |medians| medians.map(|rounds| shown(median(&rounds))).join("; "))
}

fn mebibytes([ours, theirs]: [Option<f64>; 2]) -> String {
    or_dash(ours.zip(theirs), |(ours, theirs)| format!("{ours:.0}; {theirs:.0}"))
}

/// Whether `file` has the marks between which the tables go: asked before anything is measured.
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
