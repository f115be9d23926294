//! A SHA-256 hash as a name, and as a seed.
use sha2::{Digest, Sha256};

/// Bytes of a file that are read together.
#[cfg(feature = "data")]
const PIECE: usize = 1 << 20;

/// Adds what a file holds, piece by piece.
#[cfg(feature = "data")]
pub(crate) fn add_file(hash: &mut Sha256, file: &std::path::Path) -> std::io::Result<()> {
    use std::io::Read;
    let mut opened = std::fs::File::open(file)?;
    let mut piece = vec![0; PIECE];
    loop {
        match opened.read(&mut piece)? {
            0 => return Ok(()),
            count => hash.update(&piece[..count]),
        }
    }
}

/// The hash of what a file holds.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if it cannot be read.
#[cfg(feature = "data")]
pub(crate) fn of_file(file: &std::path::Path) -> crate::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    add_file(&mut hash, file).map_err(|e| crate::Error::io(file, e))?;
    Ok(hash.finalize().into())
}

/// All digits of the hash of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes), 32)
}

/// The first `bytes` of a hash as hexadecimal digits.
pub(crate) fn hex(hash: impl AsRef<[u8]>, bytes: usize) -> String {
    hash.as_ref().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// The first 8 bytes of a hash as a number.
pub(crate) fn seed(hash: impl AsRef<[u8]>) -> u64 {
    hash.as_ref().iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_seed_are_those_of_the_first_bytes() {
        let hash = [0x0A, 0xFF, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!((hex(hash, 3), hex(hash, 99).len()), ("0aff01".into(), 18));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert_eq!(seed(hash), 0x0AFF_0102_0304_0506);
    }
}
