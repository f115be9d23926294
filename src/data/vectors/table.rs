//! The cells of a table: CSV with `,`, `;` or tab, with or without names; or a two-dimensional `.npy` file.
use super::VectorsConfig;
use crate::data::classes::{Classes, classes};
use crate::data::listing::first;
use crate::data::text::{csv_problem, utf8};
use crate::data::{Array, listing::MOST_LISTED};
use crate::{Error, Result};

/// What is used of a file.
#[derive(Debug)]
pub(super) struct Table {
    /// The names of the columns that make a vector.
    pub columns: Vec<String>,
    /// Row after row.
    pub values: Vec<f64>,
    /// One per row; zeros without labels.
    pub classes: Classes,
    /// What was detected.
    pub notes: Vec<String>,
}

/// Rows of text, as in the file.
struct Cells {
    /// The names of the columns, or their numbers from 0.
    names: Vec<String>,
    named: bool,
    rows: Vec<Row>,
}

struct Row {
    /// Of the file, from 1.
    line: u64,
    cells: Vec<String>,
}

/// Reads the columns that the configuration asks for.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] naming every line and column with something else than a number.
pub(super) fn read(config: &VectorsConfig) -> Result<Table> {
    let file = &config.file;
    let wrong = |message: String| Error::format(file, message);
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    match extension.as_str() {
        "npy" => of_array(config),
        "csv" | "tsv" | "txt" => {
            let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
            let bytes = utf8(&bytes).map_err(wrong)?;
            let separator = separator(bytes);
            let cells = split(bytes, separator, config).map_err(wrong)?;
            let (columns, label) = chosen(config, &cells.names).map_err(wrong)?;
            let values = numbers(&cells, &columns).map_err(wrong)?;
            let class = |label: usize| cells.rows.iter().map(move |row| row.cells[label].trim());
            let classes = classes_of(label.map(|label| class(label).collect()), cells.rows.len()).map_err(wrong)?;
            let head = if cells.named { "names of the columns" } else { "numbers, and columns have no names" };
            let shown = match separator {
                b'\t' => "tab".to_string(),
                other => format!("`{}`", other as char),
            };
            let mut notes = vec![format!("the first line holds {head}; the separator is {shown}")];
            notes.extend(classes.note());
            let columns = columns.iter().map(|column| cells.names[*column].clone()).collect();
            Ok(Table { columns, values, classes, notes })
        }
        _ => Err(wrong("must end in .csv, .tsv, .txt or .npy".into())),
    }
}

fn of_array(config: &VectorsConfig) -> Result<Table> {
    let file = &config.file;
    let wrong = |message: String| Error::format(file, message);
    let Array { shape, values } = Array::read(file)?;
    let [rows, width] = shape[..] else {
        return Err(wrong(format!("has shape {shape:?}: must be [rows, columns]")));
    };
    let names: Vec<String> = (0..width).map(|column| column.to_string()).collect();
    let (columns, label) = chosen(config, &names).map_err(wrong)?;
    let at = |row: usize, column: &usize| f64::from(values[row * width + column]);
    let text = |label: usize| (0..rows).map(|row| at(row, &label).to_string()).collect::<Vec<_>>();
    let texts = label.map(text);
    let found = texts.as_ref().map(|texts| texts.iter().map(String::as_str).collect());
    let classes = classes_of(found, rows).map_err(wrong)?;
    let values = (0..rows).flat_map(|row| columns.iter().map(move |column| at(row, column))).collect();
    let columns = columns.iter().map(|column| names[*column].clone()).collect();
    Ok(Table { columns, values, notes: classes.note().into_iter().collect(), classes })
}

/// A tab or a semicolon if the first line has one outside of quotes, else a comma.
pub(in crate::data) fn separator(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or(b"");
    let mut quoted = false;
    let mut outside = line.iter().copied().filter(|byte| {
        quoted ^= *byte == b'"';
        !quoted
    });
    let found: Vec<u8> = outside.by_ref().filter(|byte| matches!(byte, b'\t' | b';')).collect();
    if found.contains(&b'\t') { b'\t' } else { *found.first().unwrap_or(&b',') }
}

fn split(bytes: &[u8], separator: u8, config: &VectorsConfig) -> Result<Cells, String> {
    let mut builder = csv::ReaderBuilder::new();
    let reader = builder.has_headers(false).flexible(true).delimiter(separator);
    let mut rows = Vec::new();
    for record in reader.from_reader(bytes).into_records() {
        let record = record.map_err(|e| csv_problem(&e))?;
        let line = record.position().map_or(0, |position| position.line());
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push(Row { line, cells: record.iter().map(|cell| cell.trim().to_string()).collect() });
        }
    }
    let Some(head) = rows.first() else { return Err("is empty".into()) };
    let named = is_head(&head.cells, config)?;
    let width = head.cells.len();
    let names = if named { rows.remove(0).cells } else { (0..width).map(|column| column.to_string()).collect() };
    if let Some(place) = names.iter().position(String::is_empty).filter(|_| config.columns.is_none()) {
        let place = place + 1;
        return Err(format!("column {place} has no name, as the index that pandas writes: name the `columns` to use"));
    }
    if let Some(place) = (0..width).find(|place| names[..*place].contains(&names[*place])) {
        return Err(format!("two columns are called `{}`", names[place]));
    }
    let ragged = rows.iter().filter(|row| row.cells.len() != width);
    let ragged: Vec<String> = ragged.map(|row| format!("line {} has {}", row.line, row.cells.len())).collect();
    if !ragged.is_empty() {
        return Err(format!("every line must have {width} cells, as the first has:{}", first(&ragged)));
    }
    if rows.len() < 2 {
        return Err(format!("holds {} row(s) of numbers: there must be at least 2", rows.len()));
    }
    Ok(Cells { names, named, rows })
}

/// Whether the first line holds names: those that the configuration asks for, or nothing that is a number.
fn is_head(cells: &[String], config: &VectorsConfig) -> Result<bool, String> {
    let number = |cell: &String| cell.parse::<f64>().is_ok();
    let mut asked = config.columns.iter().flatten().chain(&config.label).peekable();
    if asked.peek().is_some() && asked.all(|name| cells.contains(name)) {
        return Ok(true);
    }
    if !cells.iter().any(number) {
        return Ok(true);
    }
    let label = config.label.as_ref().and_then(|label| label.parse::<usize>().ok());
    let texts: Vec<usize> = (0..cells.len()).filter(|column| !number(&cells[*column])).collect();
    match texts[..] {
        [] => Ok(false),
        [column] if label == Some(column) => Ok(false),
        [column, ..] => Err(format!(
            "line 1 holds names or numbers, not both: column {} is `{}`, others are numbers; a column of classes is \
             named by `label`, without names by its number from 0",
            column + 1,
            cells[column]
        )),
    }
}

/// The places of the columns and of the label.
fn chosen(config: &VectorsConfig, names: &[String]) -> Result<(Vec<usize>, Option<usize>), String> {
    let place = |name: &String| {
        let found = names.iter().position(|other| other == name);
        let shown: Vec<&str> = names.iter().take(MOST_LISTED).map(String::as_str).collect();
        let more = if names.len() > shown.len() { ", …" } else { "" };
        found.ok_or_else(|| format!("has no column `{name}`: there are {}{more}", shown.join(", ")))
    };
    let label = config.label.as_ref().map(place).transpose()?;
    let columns: Vec<usize> = match &config.columns {
        Some(columns) => columns.iter().map(place).collect::<Result<_, _>>()?,
        None => (0..names.len()).filter(|column| Some(*column) != label).collect(),
    };
    if columns.is_empty() { Err("has no column beside the label".into()) } else { Ok((columns, label)) }
}

fn numbers(cells: &Cells, columns: &[usize]) -> Result<Vec<f64>, String> {
    let (mut values, mut wrong) = (Vec::with_capacity(cells.rows.len() * columns.len()), Vec::new());
    for Row { line, cells: row } in &cells.rows {
        for &column in columns {
            let cell = &row[column];
            match cell.parse::<f64>() {
                Ok(value) if value.is_finite() && (value as f32).is_finite() => values.push(value),
                _ => {
                    let what = match cell.as_str() {
                        "" => "is empty".to_string(),
                        cell if cell.parse::<f64>().is_ok_and(|value| value.abs() > f64::from(f32::MAX)) => {
                            format!("is `{cell}`: too large, must be within ±3.4e38")
                        }
                        cell if cell.replace(',', ".").parse::<f64>().is_ok_and(f64::is_finite) => {
                            format!("is `{cell}`: write numbers with a point")
                        }
                        cell => format!("is `{cell}`: must be a finite number"),
                    };
                    wrong.push(format!("line {line}, column `{}` {what}", cells.names[column]));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(format!("{} cell(s) are no numbers:{}", wrong.len(), first(&wrong))) }
}

fn classes_of(found: Option<Vec<&str>>, rows: usize) -> Result<Classes, String> {
    match found {
        Some(found) => classes(&found),
        None => Ok(Classes { labels: vec![0; rows], names: Vec::new() }),
    }
}
