//! TFRecord framing: `length (u64), crc(length), data, crc(data)`, all little-endian, `crc` a masked CRC-32C.
use std::io::{self, Write};

/// Writes records; every error of the writer is returned.
pub(super) struct RecordWriter<W: Write> {
    out: W,
}

impl<W: Write> RecordWriter<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// One record that holds `data`.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let parts = [&length, &masked_crc(&length).to_le_bytes()[..], data, &masked_crc(data).to_le_bytes()];
        // At once, so that none is taken in part.
        self.out.write_all(&parts.concat())
    }

    pub fn out(&self) -> &W {
        &self.out
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The CRC-32C turned right by 15 bits plus `0xa282ead8`, so that the checksum of data that hold their own checksum is no constant.
pub(super) fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_framed_as_tensorboard_frames_it() {
        let mut records = RecordWriter::new(Vec::new());
        records.write(b"brain.Event:2").unwrap();
        records.write(b"").unwrap();
        records.flush().unwrap();
        let hex: String = records.out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0d000000000000003c37b834627261696e2e4576656e743a32ee01067c000000000000000029039807d8ea82a2");
    }

    #[test]
    fn errors_of_the_writer_are_returned() {
        let mut full = [0_u8; 14];
        let error = RecordWriter::new(&mut full[..]).write(b"data").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
