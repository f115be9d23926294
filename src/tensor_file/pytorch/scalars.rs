//! Numbers and texts of a pickle.
use super::bytes::Bytes;
use super::heap::Value;
use super::opcodes::*;

/// The number of an opcode.
pub(super) fn number(bytes: &mut Bytes<'_>, opcode: u8) -> Result<Value, String> {
    Ok(match opcode {
        NONE => Value::None,
        NEWTRUE => Value::Bool(true),
        NEWFALSE => Value::Bool(false),
        BININT => Value::Int(i32::from_le_bytes(bytes.array()?).into()),
        BININT1 => Value::Int(bytes.byte()?.into()),
        BININT2 => Value::Int(u16::from_le_bytes(bytes.array()?).into()),
        INT | LONG => {
            let line = bytes.words()?;
            match (opcode, line) {
                // Truth values of protocol 0.
                (INT, "00") => Value::Bool(false),
                (INT, "01") => Value::Bool(true),
                _ => line.trim_end_matches('L').parse().map_or(Value::Other, Value::Int),
            }
        }
        LONG1 => {
            let length = bytes.byte()?.into();
            long(bytes, length)?
        }
        LONG4 => {
            let length = bytes.u32()?.into();
            long(bytes, length)?
        }
        FLOAT => {
            bytes.line()?;
            Value::Other
        }
        _ => {
            bytes.array::<8>()?;
            Value::Other
        }
    })
}

/// An integer of `length` bytes, the least first, in two's complement.
fn long(bytes: &mut Bytes<'_>, length: u64) -> Result<Value, String> {
    let bytes = bytes.span(length)?.of(bytes.pickle());
    let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [sign; 8];
    let (low, high) = bytes.split_at(bytes.len().min(8));
    whole[..low.len()].copy_from_slice(low);
    let number = i64::from_le_bytes(whole);
    let fits = high.iter().all(|byte| *byte == sign) && (number < 0) == (sign != 0);
    Ok(if fits { Value::Int(number) } else { Value::Other })
}

/// The text of an opcode; bytes are left out.
pub(super) fn text(bytes: &mut Bytes<'_>, opcode: u8) -> Result<Value, String> {
    let length = match opcode {
        UNICODE => return bytes.line().map(Value::Escaped),
        // Python 2 wrote it between quotation marks.
        STRING => return bytes.line().map(|line| Value::Text(line.within())),
        NEXT_BUFFER => return Ok(Value::Other),
        SHORT_BINUNICODE | SHORT_BINSTRING | SHORT_BINBYTES => bytes.byte()?.into(),
        BINUNICODE | BINSTRING | BINBYTES => bytes.u32()?.into(),
        BINUNICODE8 | BINBYTES8 | BYTEARRAY8 => bytes.u64()?,
        _ => return Err(format!("{opcode:#04x} is no opcode")),
    };
    let span = bytes.span(length)?;
    let is_text = !matches!(opcode, BINBYTES | SHORT_BINBYTES | BINBYTES8 | BYTEARRAY8);
    Ok(if is_text { Value::Text(span) } else { Value::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_length() {
        for (written, number) in [
            (&b"\x8a\0"[..], Some(0)),
            (b"\x8a\x01\x7f", Some(127)),
            (b"\x8a\x01\xff", Some(-1)),
            (b"\x8a\x09\0\0\0\0\0\0\0\x80\xff", Some(i64::MIN)),
            (b"\x8a\x09\0\0\0\0\0\0\0\x80\0", None),
            (b"\x8a\x09\0\0\0\0\0\0\0\0\x40", None),
            (b"\x8b\x02\0\0\0\0\x01", Some(256)),
            (b"J\xfe\xff\xff\xff", Some(-2)),
            (b"M\x01\x02", Some(513)),
            (b"I-7\n", Some(-7)),
            (b"L12L\n", Some(12)),
            (b"L99999999999999999999L\n", None),
        ] {
            let mut bytes = Bytes::new(&written[1..]);
            let expected = number.map_or(Value::Other, Value::Int);
            assert_eq!(super::number(&mut bytes, written[0]), Ok(expected), "{written:?}");
        }
        assert_eq!(super::number(&mut Bytes::new(b"01\n"), INT), Ok(Value::Bool(true)));
    }
}
