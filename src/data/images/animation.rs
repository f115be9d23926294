//! Whether a PNG or WebP holds more than one picture: which of them is meant cannot be known.

/// A chunk `acTL` before the picture of a PNG, or the animation flag in the header of a WebP.
pub(super) fn is_animated(bytes: &[u8]) -> bool {
    if let Some(chunks) = bytes.strip_prefix(b"\x89PNG\r\n\x1A\n") {
        return has_control(chunks);
    }
    let webp = bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WEBPVP8X");
    webp && bytes.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

fn has_control(mut chunks: &[u8]) -> bool {
    while let Some(([a, b, c, d, kind @ ..], rest)) = chunks.split_first_chunk::<8>() {
        match kind {
            b"acTL" => return true,
            b"IDAT" => return false,
            _ => {}
        }
        // The data and a checksum of four bytes.
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(next) = length.checked_add(4).and_then(|length| rest.get(length..)) else { return false };
        chunks = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_animations_are_animated() {
        let chunk = |kind: &[u8], data: &[u8]| [&(data.len() as u32).to_be_bytes(), kind, data, &[0; 4]].concat();
        let png = |chunks: &[Vec<u8>]| [b"\x89PNG\r\n\x1A\n", chunks.concat().as_slice()].concat();
        let [header, control, data] = [chunk(b"IHDR", &[0; 13]), chunk(b"acTL", &[0; 8]), chunk(b"IDAT", b"acTL")];
        assert!(is_animated(&png(&[header.clone(), control.clone(), data.clone()])));
        assert!(!is_animated(&png(&[header.clone(), data, control])));
        let mut huge = png(&[header]);
        huge[8..12].fill(0xFF);
        assert!(!is_animated(&huge));
        let webp = |flags: u8| [b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0".as_slice(), &[flags, 0, 0, 0]].concat();
        assert!(is_animated(&webp(0x12)) && !is_animated(&webp(0x10)));
        assert!((0..24).all(|length| !is_animated(&webp(2)[..length.min(20)])));
    }
}
