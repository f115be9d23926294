//! Whether a JPEG is whole: its decoder fills what is missing with grey and says nothing.

/// Whether the end marker comes after the last scan. Thumbnails in the header have ends of their own, and are skipped.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Between scans there are segments with a length; within one, a marker is what follows FF and is neither a stuffed
    // zero nor a restart.
    let mut in_scan = false;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            (0xFF, 0xD9) => return true,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD7) if in_scan => at += 2,
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                in_scan = marker == 0xDA;
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
            _ if in_scan => at += 1,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shorter_file_is_cut_short() {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        bytes.extend([0xFF, 0xDA, 0, 3, 9, 1, 0xFF, 0, 2, 0xFF, 0xD0, 3]);
        bytes.extend([0xFF, 0xC4, 0, 4, 0xFF, 0xD9, 0xFF, 0xDA, 0, 2, 5, 0xFF, 0xD9]);
        assert!(is_whole(&bytes));
        assert!(is_whole(&[&bytes[..], b"trailing"].concat()));
        assert!((0..bytes.len()).all(|length| !is_whole(&bytes[..length])));
    }

    #[test]
    fn the_shipped_photos_are_whole() {
        for name in ["china.jpg", "flower.jpg"] {
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
            let bytes = std::fs::read(file).unwrap();
            assert!(is_whole(&bytes) && !is_whole(&bytes[..bytes.len() * 9 / 10]), "{name}");
        }
    }
}
