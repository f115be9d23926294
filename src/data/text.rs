//! Text of other programs: marks of the encoding, other encodings, and what the CSV reader says of them.

/// The bytes of a UTF-8 text without the mark that spreadsheets and editors begin it with.
///
/// # Errors
/// What to do about UTF-16, which is told by its own mark.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err("is text in UTF-16: save it as UTF-8".into());
    }
    Ok(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
}

/// What is wrong with a CSV file, with its line where the reader knows it.
pub(super) fn csv_problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, err } => {
            let line = pos.as_ref().map_or(String::new(), |pos| format!("line {}, ", pos.line()));
            let column = err.field() + 1;
            format!("{line}column {column} is not UTF-8 (Latin-1?): save the file as UTF-8")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_other_encodings_are_known() {
        assert_eq!((utf8(b"\xEF\xBB\xBFa"), utf8(b"a"), utf8(b"")), (Ok(&b"a"[..]), Ok(&b"a"[..]), Ok(&b""[..])));
        for bytes in [b"\xFF\xFEa\0", b"\xFE\xFF\0a"] {
            assert!(utf8(bytes).unwrap_err().contains("save it as UTF-8"));
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&b"a,b\n1,K\xF6ln\n"[..]);
        let error = reader.records().find_map(|record| record.err()).unwrap();
        assert_eq!(csv_problem(&error), "line 2, column 2 is not UTF-8 (Latin-1?): save the file as UTF-8");
    }
}
