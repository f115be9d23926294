//! The numbers of a training as two tables: `metrics/train.csv` and `metrics/valid.csv`.
use super::logger::StepSink;
use super::{note, warn};
use crate::storage::{self, Appended};
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes rows to one table for each split, `step` first. What cannot be written costs no training: it waits, is tried
/// again, and is told once.
pub(crate) struct MetricFiles {
    folder: PathBuf,
    first_step: i64,
    tables: Vec<Table>,
    state: State,
}

/// Whether tables can be written.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Written,
    /// Rows wait.
    Waiting,
    /// Too many rows waited.
    Off,
}

struct Table {
    split: String,
    columns: Vec<String>,
    out: Appended,
}

impl MetricFiles {
    /// Tables below `folder`. Rows that an earlier process wrote for `first_step` or later go: they will come again.
    pub fn new(folder: PathBuf, first_step: i64) -> Self {
        Self { folder, first_step, tables: Vec::new(), state: State::Written }
    }

    /// The table of `split`, whose file is opened when the first row is written.
    fn table(&mut self, split: &str, values: &[(String, f64)]) -> &mut Table {
        let place = self.tables.iter().position(|table| table.split == split).unwrap_or_else(|| {
            let columns: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
            let file = self.folder.join(format!("{}.csv", split.replace('/', "-")));
            let (named, first_step) = (columns.clone(), self.first_step);
            let out = Appended::new(move || {
                let opened = open(&file, &named, first_step).map_err(plain)?;
                Ok((opened, file.clone()))
            });
            self.tables.push(Table { split: split.to_string(), columns, out });
            self.tables.len() - 1
        });
        &mut self.tables[place]
    }

    fn told(&mut self, written: io::Result<()>) {
        let waits = self.tables.iter().any(|table| table.out.is_waiting());
        match (written, self.state) {
            (Err(error), State::Written) => {
                let error = Error::io(&self.folder, error);
                warn(&format!("metrics cannot be written to files now, and wait until they can: {error}"));
                self.state = State::Waiting;
            }
            (Ok(()), State::Waiting) if !waits => {
                note("metrics are written to files again, and none is missing");
                self.state = State::Written;
            }
            _ => {}
        }
    }
}

impl StepSink for MetricFiles {
    fn row(&mut self, split: &str, step: i64, values: &[(String, f64)]) {
        if self.state == State::Off {
            return;
        }
        let table = self.table(split, values);
        let mut row = step.to_string();
        for column in &table.columns {
            row.push(',');
            if let Some((_, value)) = values.iter().find(|(name, _)| name == column) {
                row += &value.to_string();
            }
        }
        if let Err(error) = writeln!(table.out, "{row}") {
            warn(&format!("metrics are not written to files any more: {}", Error::io(&self.folder, error)));
            self.state = State::Off;
            return;
        }
        // The first row is there at once: who waits for a table sees that something happens.
        let is_first = table.out.path().is_none();
        let written = if is_first { table.out.flush() } else { table.out.flush_much() };
        self.told(written);
    }

    fn flush(&mut self) {
        if self.state != State::Off {
            let written = self.tables.iter_mut().map(|table| table.out.flush()).collect::<Vec<_>>();
            self.told(written.into_iter().collect());
        }
    }
}

impl Drop for MetricFiles {
    fn drop(&mut self) {
        for table in &mut self.tables {
            if let Err(error) = table.out.flush() {
                let error = Error::io(self.folder.join(&table.split), error);
                warn(&format!("the last rows of the metrics are lost: {error}"));
            }
        }
        self.told(Ok(()));
    }
}

/// An error without its path, which is told beside it.
fn plain(error: Error) -> io::Error {
    match error {
        Error::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}

/// Opens a table at its end, after the rows before `first_step`. A table with other columns is kept beside it.
fn open(file: &Path, columns: &[String], first_step: i64) -> Result<File> {
    let header = format!("step,{}", columns.join(","));
    let old = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| crate::Error::io(file, e))?,
    };
    let mut lines = old.lines();
    let kept: String = match lines.next() {
        Some(first) if first == header => {
            let whole = old.ends_with('\n');
            let count = lines.clone().count();
            let before =
                |line: &&str| line.split(',').next().and_then(|s| s.parse().ok()).is_some_and(|s: i64| s < first_step);
            // The last line of a killed process may be torn.
            let rows = lines.enumerate().filter(|(i, _)| whole || i + 1 < count).map(|(_, line)| line).filter(before);
            rows.map(|line| format!("{line}\n")).collect()
        }
        Some(_) if first_step > 0 => {
            let aside = file.with_extension(format!("before-{first_step}.csv"));
            std::fs::rename(file, &aside).map_err(|e| crate::Error::io(aside, e))?;
            String::new()
        }
        _ => String::new(),
    };
    if let Some(folder) = file.parent() {
        storage::create_folder(folder)?;
    }
    storage::write(file, format!("{header}\n{kept}").as_bytes())?;
    File::options().write(true).open(file).map_err(|e| crate::Error::io(file, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(loss: f64) -> Vec<(String, f64)> {
        vec![("loss".into(), loss), ("lr".into(), 1e-4)]
    }

    #[test]
    fn rows_that_come_again_replace_those_of_a_killed_process() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let mut files = MetricFiles::new(folder.path().to_path_buf(), 0);
        for step in 0..4 {
            files.row("train", step, &values(0.5));
        }
        files.row("valid", 3, &[("loss".into(), f64::NAN)]);
        files.flush();
        assert_eq!(text("train.csv"), "step,loss,lr\n0,0.5,0.0001\n1,0.5,0.0001\n2,0.5,0.0001\n3,0.5,0.0001\n");
        assert_eq!(text("valid.csv"), "step,loss\n3,NaN\n");
        let mut torn = text("train.csv");
        torn += "4,0.";
        std::fs::write(folder.path().join("train.csv"), torn).unwrap();
        let mut files = MetricFiles::new(folder.path().to_path_buf(), 2);
        files.row("train", 2, &values(0.25));
        files.flush();
        assert_eq!(text("train.csv"), "step,loss,lr\n0,0.5,0.0001\n1,0.5,0.0001\n2,0.25,0.0001\n");
        let mut files = MetricFiles::new(folder.path().to_path_buf(), 3);
        files.row("train", 3, &[("other".into(), 1.0)]);
        files.flush();
        assert_eq!(text("train.csv"), "step,other\n3,1\n");
        assert!(text("train.before-3.csv").ends_with("2,0.25,0.0001\n"));
    }

    #[test]
    fn whatever_cannot_be_written_is_told_once_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut at = 0;
        let work = || {
            let mut files = MetricFiles::new(folder.path().join("metrics"), 0);
            (0..3).for_each(|step| files.row("train", step, &values(0.5)));
            files.flush();
            files.state == State::Waiting
        };
        while let Some(fault) = storage::faults::walk_lasting(folder.path(), at, work) {
            assert!(fault.told, "{fault:?}");
            at += 1;
        }
        assert!(at > 5, "{at}");
    }

    #[test]
    fn rows_that_could_not_be_written_for_a_moment_are_all_there() {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let metrics = folder.path().join("metrics");
            let mut files = MetricFiles::new(metrics.clone(), 0);
            let fault = storage::faults::walk(folder.path(), at, || {
                (0..3).for_each(|step| {
                    files.row("train", step, &values(0.5));
                    files.row("valid", step, &values(0.25));
                    files.flush();
                });
                true
            });
            drop(files);
            for (name, loss) in [("train", "0.5"), ("valid", "0.25")] {
                let text = std::fs::read_to_string(metrics.join(format!("{name}.csv"))).unwrap();
                let rows: String = (0..3).map(|step| format!("{step},{loss},0.0001\n")).collect();
                assert_eq!(text, format!("step,loss,lr\n{rows}"), "operation {at}");
            }
            if fault.is_none() {
                return assert!(at > 10, "{at}");
            }
        }
    }
}
