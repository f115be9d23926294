//! Files that are not what their names say: what they are instead, so that a message can say what to do.

/// What a file with the wrong beginning is; none if that is not known.
pub(super) fn instead(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    let page = |bytes: &[u8]| {
        let start: Vec<u8> = bytes.iter().take(64).copied().collect::<Vec<_>>().trim_ascii_start().to_ascii_lowercase();
        start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
    };
    match bytes {
        [] => Some("is empty: was it copied or written to the end?"),
        _ if bytes.iter().all(|byte| *byte == 0) => Some("holds nothing but zeros: was it written to the end?"),
        _ if begins(b"version https://git-lfs") => Some("is a pointer of Git LFS and not the file: run `git lfs pull`"),
        _ if begins(b"PK\x03\x04") => Some("is a ZIP archive: unpack it"),
        _ if begins(b"\x1F\x8B") => Some("is compressed by gzip: unpack it"),
        _ if page(bytes) => Some("is a web page: the download failed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_mistakes_are_recognised_and_others_are_not() {
        for (bytes, says) in [
            (b"".as_slice(), "is empty"),
            (&[0; 9], "zeros"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            (b"PK\x03\x04\0", "ZIP"),
            (b"\x1F\x8B\x08", "gzip"),
            (b"\n <!DOCTYPE html><head>", "web page"),
            (b"<html>404</html>", "web page"),
        ] {
            assert!(instead(bytes).unwrap().contains(says), "{says}");
        }
        assert_eq!(instead(b"\x93NUMPY\x01\0"), None);
    }
}
