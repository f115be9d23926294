//! The numbers of a training as two tables: `metrics/train.csv` and `metrics/valid.csv`.
use super::logger::StepSink;
use super::warn;
use crate::{Result, storage};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes rows to one table for each split, `step` first. What cannot be written costs one warning, and no training.
pub(crate) struct MetricFiles {
    folder: PathBuf,
    first_step: i64,
    tables: Vec<Table>,
    off: bool,
}

struct Table {
    split: String,
    columns: Vec<String>,
    out: BufWriter<File>,
}

impl MetricFiles {
    /// Tables below `folder`. Rows that an earlier process wrote for `first_step` or later go: they will come again.
    pub fn new(folder: PathBuf, first_step: i64) -> Self {
        Self { folder, first_step, tables: Vec::new(), off: false }
    }

    fn write(&mut self, split: &str, step: i64, values: &[(String, f64)]) -> Result<()> {
        let place = match self.tables.iter().position(|table| table.split == split) {
            Some(place) => place,
            None => {
                let columns: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
                let out =
                    open(&self.folder.join(format!("{}.csv", split.replace('/', "-"))), &columns, self.first_step)?;
                self.tables.push(Table { split: split.to_string(), columns, out });
                self.tables.len() - 1
            }
        };
        let table = &mut self.tables[place];
        let mut row = step.to_string();
        for column in &table.columns {
            row.push(',');
            if let Some((_, value)) = values.iter().find(|(name, _)| name == column) {
                row += &value.to_string();
            }
        }
        operation(&self.folder)
            .and_then(|()| writeln!(table.out, "{row}"))
            .map_err(|e| crate::Error::io(&self.folder, e))
    }

    fn keep(&mut self, written: Result<()>) {
        if let Err(error) = written {
            warn(&format!("metrics are not written to files any more: {error}"));
            self.off = true;
            // What is left in their buffers would only fail again.
            self.tables.drain(..).for_each(|table| drop(table.out.into_parts()));
        }
    }
}

impl StepSink for MetricFiles {
    fn row(&mut self, split: &str, step: i64, values: &[(String, f64)]) {
        if !self.off {
            let written = self.write(split, step, values);
            self.keep(written);
        }
    }

    fn flush(&mut self) {
        let folder = &self.folder;
        let flush = |table: &mut Table| operation(folder).and_then(|()| table.out.flush());
        let flushed = self.tables.iter_mut().try_for_each(flush).map_err(|e| crate::Error::io(folder, e));
        self.keep(flushed);
    }
}

fn operation(path: &Path) -> io::Result<()> {
    storage::operation(path)
}

/// Opens a table at its end, after the rows before `first_step`. A table with other columns is kept beside it.
fn open(file: &Path, columns: &[String], first_step: i64) -> Result<BufWriter<File>> {
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
    File::options().append(true).open(file).map(BufWriter::new).map_err(|e| crate::Error::io(file, e))
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
            files.off
        };
        while let Some(fault) = storage::faults::walk_lasting(folder.path(), at, work) {
            assert!(fault.told, "{fault:?}");
            at += 1;
        }
        assert!(at > 5, "{at}");
    }
}
