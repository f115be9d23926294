//! NumPy's `.npy`: versions 1 and 2, bytes or little-endian floats of 2, 4 or 8 bytes in C order, and nothing else. What is
//! written has the bytes that NumPy writes.
//!
//! Written here because the crates for it bring a parser of Python literals or a version of `ndarray`.
use super::mistaken::instead;
use burn::tensor::{DType, TensorData};
#[cfg(feature = "experiment")]
use std::io::Read;

/// Bytes in which every header that [`header`] accepts has ended.
pub(super) const LONGEST_HEADER: u64 = 70_000;

/// What a file says of itself, and what follows.
pub(super) struct Header<'a> {
    pub dtype: DType,
    pub shape: Vec<usize>,
    data: &'a [u8],
}

/// The header of a file.
pub(super) fn header(bytes: &[u8]) -> Result<Header<'_>, String> {
    let other = || instead(bytes).map_or("is no .npy file".to_string(), |other| format!("is no .npy file: it {other}"));
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(other)?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [version, ..] if !matches!(version, 1 | 2) => return Err(format!(".npy of version {version}: must be 1 or 2")),
        _ => return Err("ends within the header".into()),
    };
    let (header, data) = rest.split_at_checked(length).ok_or("ends within the header")?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;
    let dtype = match value(header, "descr")?.trim_matches(['\'', '"']) {
        "|u1" => DType::U8,
        "<f2" => DType::F16,
        "<f4" => DType::F32,
        "<f8" => DType::F64,
        other => {
            let must = "must be little-endian floats (<f2, <f4 or <f8) or bytes (|u1): save array.astype(\"<f4\")";
            return Err(format!("holds `{other}`: {must}"));
        }
    };
    if value(header, "fortran_order")? != "False" {
        return Err("is in Fortran order: save numpy.ascontiguousarray(..)".into());
    }
    let shape = value(header, "shape")?;
    let sides = shape.strip_prefix('(').and_then(|s| s.strip_suffix(')')).ok_or("the header has no shape")?;
    let side = |s: &str| s.parse::<usize>().map_err(|_| format!("the shape {shape} is not made of numbers"));
    let shape = sides.split(',').map(str::trim).filter(|s| !s.is_empty()).map(side).collect::<Result<Vec<_>, _>>()?;
    Ok(Header { dtype, shape, data })
}

/// The type and shape of an array, whose numbers are what `reader` gives next.
#[cfg(feature = "experiment")]
pub(crate) fn read_header(reader: &mut impl Read) -> Result<(DType, Vec<usize>), String> {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>, count: u64| {
        // What ends too early is recognised with what there is of it.
        reader.by_ref().take(count).read_to_end(bytes).map(|_| ()).map_err(|e| e.to_string())
    };
    // The length of version 2 is longer by two bytes.
    more(&mut bytes, 10)?;
    let rest = match bytes[..] {
        [_, _, _, _, _, _, 2, ..] => {
            more(&mut bytes, 2)?;
            bytes.get(8..12).map_or(0, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        }
        _ => bytes.get(8..10).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]]))),
    };
    more(&mut bytes, rest.min(LONGEST_HEADER))?;
    let header = header(&bytes)?;
    Ok((header.dtype, header.shape))
}

/// The numbers of a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<TensorData, String> {
    let Header { dtype, shape, data } = header(bytes)?;
    let count = shape.iter().try_fold(dtype.size(), |n, side| n.checked_mul(*side));
    if count != Some(data.len()) {
        return Err(format!("{} bytes of numbers do not fill the shape {shape:?}", data.len()));
    }
    TensorData::try_from_bytes_vec(data.to_vec(), shape, dtype).map_err(|e| e.to_string())
}

/// Digits that NumPy leaves room for in the first side, so that an array can grow in its file.
const GROWTH: usize = 21;
/// Numbers begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// The header that NumPy writes before the numbers of an array in C order, such as `<f4` or `|u1`.
pub(crate) fn header_of(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let comma = if sides.len() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", sides.join(", "));
    text.push_str(&" ".repeat(sides.first().map_or(0, |side| GROWTH.saturating_sub(side.len()))));
    // Magic, version and length have ten bytes, the end of the line one. There is always a space.
    let padding = ALIGNMENT - (10 + text.len() + 1) % ALIGNMENT;
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    let length = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, text.as_bytes()].concat()
}

/// A file of floats of 4 bytes.
pub(crate) fn of_floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut bytes = header_of("<f4", shape);
    bytes.reserve(4 * values.len());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// The text of the value of `key` in the header, which is a Python dictionary on one line.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("the header has no `{key}`");
    let (_, rest) = header.split_once(&format!("'{key}':")).ok_or_else(missing)?;
    let rest = rest.trim_start();
    let end = if rest.starts_with('(') { rest.find(')').map(|i| i + 1) } else { rest.find([',', '}']) };
    Ok(rest[..end.ok_or_else(missing)?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn reads_what_numpy_writes() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }     \n";
        let data: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = file(header, &data);
        let array = parse(&bytes).unwrap();
        assert_eq!((array.shape().to_vec(), array.try_to_vec::<f32>().unwrap()), (vec![2, 1], vec![1.5, -2.0]));
        let mut second = b"\x93NUMPY\x02\x00".to_vec();
        second.extend((header.len() as u32).to_le_bytes());
        second.extend(&bytes[10..]);
        assert_eq!(parse(&second).unwrap(), array);
        for bytes in [&bytes, &second] {
            let mut rest = &bytes[..];
            assert_eq!(read_header(&mut rest), Ok((DType::F32, vec![2, 1])));
            assert_eq!(rest, data);
        }
        for shape in ["(2,)", "(1, 2, 1)"] {
            assert!(parse(&file(&header.replace("(2, 1)", shape), &data)).is_ok(), "{shape}");
        }
        let bytes = parse(&file("{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", &[3, 255])).unwrap();
        assert_eq!(bytes.try_to_vec::<u8>().unwrap(), [3, 255]);
        let half = parse(&file("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", &[0, 0x3C])).unwrap();
        assert_eq!(half.convert::<f32>().try_to_vec::<f32>().unwrap(), [1.0]);
    }

    #[test]
    fn everything_else_is_an_error() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
        let data = [0; 8];
        assert!(parse(&file(good, &data)).is_ok());
        for (from, to, says) in [
            ("<f4", ">f4", "little-endian"),
            ("<f4", "|O", "little-endian"),
            ("<f4", "|u1", "do not fill"),
            ("False", "True", "Fortran"),
            ("(2,)", "(3,)", "do not fill"),
            ("(2,)", "(18446744073709551615, 3)", "do not fill"),
            ("(2,)", "(-2,)", "not made of numbers"),
            ("'shape'", "'form'", "no `shape`"),
        ] {
            let message = parse(&file(&good.replace(from, to), &data)).unwrap_err();
            assert!(message.contains(says), "{message}");
        }
        let bytes = file(good, &data);
        assert!((0..bytes.len()).all(|length| parse(&bytes[..length]).is_err()));
        assert!((0..bytes.len() - data.len()).all(|length| read_header(&mut &bytes[..length]).is_err()));
        let mut third = bytes.clone();
        third[6] = 3;
        assert!(parse(&third).is_err());
    }

    #[test]
    fn what_is_written_is_read_back_and_numbers_are_aligned() {
        for shape in [&[][..], &[3], &[8, 32, 32], &[123_456_789, 1, 2, 3]] {
            let bytes = header_of("<f4", shape);
            assert_eq!((bytes.len() % 64, bytes.last()), (0, Some(&b'\n')));
            assert_eq!(header(&bytes).unwrap().shape, shape);
        }
        let array = parse(&of_floats(&[2, 2], &[1.0, -2.0, 0.5, 1e-30])).unwrap();
        assert_eq!(
            (array.shape().to_vec(), array.try_to_vec::<f32>().unwrap()),
            (vec![2, 2], vec![1.0, -2.0, 0.5, 1e-30])
        );
    }
}
