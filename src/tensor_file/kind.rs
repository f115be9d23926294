//! What a file is, by its first bytes; its name only helps to say what else it may be.
use crate::{Error, Result};
use std::io::Read;
use std::path::Path;

/// How much of a file is looked at.
const HEAD: u64 = 4096;
/// The fewest bytes that any kind of file has.
const FEWEST: usize = 10;
/// Where the name of the TAR format stands in a TAR archive.
const TAR: usize = 257;
/// How the first pickle of PyTorch before 1.6 begins, as a number and as text.
const LEGACY: [&[u8]; 2] = [&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"119547037146038801333356"];

/// A file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Safetensors.
    Safetensors,
    /// What `torch.save` writes, now or before.
    PyTorch,
    /// The list of the files over which tensors are spread.
    Index,
}

/// How a file begins that is not read, what it is and what to do instead.
const NOT_READ: [(&[u8], &str, &str); 12] = [
    (b"GGUF", "a GGUF file", CONVERT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", CONVERT),
    (b"\x93NUMPY", "an array of NumPy", "take a .safetensors or .pt file"),
    (
        b"NRUB",
        "weights as Burn stores them",
        "name the folder of the run: \"start\": {\"kind\": \"run\", \"folder\": …}",
    ),
    (b"\x1f\x8b", "packed with gzip", UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", UNPACK),
    (b"\xfd7zXZ", "packed with xz", UNPACK),
    (b"BZh", "packed with bzip2", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"model_checkpoint_path:", "the list of TensorFlow checkpoints", CONVERT),
    (b"\x89PNG", "a picture", "name the file of weights"),
];
/// How the name of a file ends that is not read, and what it usually is.
const NOT_READ_BY_NAME: [(&str, &str); 8] = [
    (".onnx", "an ONNX file"),
    (".pb", "a TensorFlow model"),
    (".index", "a TensorFlow checkpoint"),
    (".meta", "a TensorFlow checkpoint"),
    (".tflite", "a TensorFlow model"),
    (".msgpack", "a Flax checkpoint"),
    (".engine", "a TensorRT engine"),
    (".mlmodel", "a Core ML model"),
];
const CONVERT: &str = "convert it to .safetensors, or take the official .safetensors or .pt file";
const UNPACK: &str = "unpack it and name the file in it";

/// What `file` is.
pub(super) fn of(file: &Path) -> Result<FileKind> {
    let mut head = Vec::new();
    let opened = std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
    opened.take(HEAD).read_to_end(&mut head).map_err(|e| Error::io(file, e))?;
    let name = file.file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
    recognise(&head, &name).map_err(|message| Error::format(file, message))
}

fn recognise(head: &[u8], name: &str) -> Result<FileKind, String> {
    if head.is_empty() {
        return Err("is empty: get it again".into());
    }
    if head.len() < FEWEST {
        return Err(format!("has only {} bytes: it is cut off, get it again", head.len()));
    }
    if head.starts_with(b"version https://git-lfs") {
        return Err(lfs_pointer(head));
    }
    let (first, text) = (&head[..head.len().min(64)], text(head));
    let has_legacy_mark = LEGACY.iter().any(|mark| first.windows(mark.len()).any(|part| part == *mark));
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || has_legacy_mark || is_tar(head) {
        return Ok(FileKind::PyTorch);
    }
    // The length of the header is no text: its upper bytes are 0.
    if head.get(8) == Some(&b'{') && text.is_none() {
        return Ok(FileKind::Safetensors);
    }
    if head[0] == 0x80 {
        return Ok(FileKind::PyTorch);
    }
    if let Some((_, what, then)) = NOT_READ.iter().find(|(start, ..)| head.starts_with(start)) {
        return Err(format!("is {what}, not weights that are read: {then}"));
    }
    if let Some(text) = text {
        return of_text(text, name);
    }
    // A message of protocol buffers whose first field is a small version number, and whose second is a text.
    let is_onnx = head[0] == 0x08 && head[1] < 32 && head[2] == 0x12;
    let ending = NOT_READ_BY_NAME.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, what)| *what);
    let is_shard_of_tensorflow = name.contains(".data-0").then_some("a TensorFlow checkpoint");
    match is_onnx.then_some("an ONNX file").or(ending).or(is_shard_of_tensorflow) {
        Some(what) => Err(format!("is {what}, not weights that are read: {CONVERT}")),
        None => Err(format!("is neither safetensors nor PyTorch (its first bytes are {:02x?}): {CONVERT}", &head[..8])),
    }
}

fn is_tar(head: &[u8]) -> bool {
    head.get(TAR..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

/// The beginning as text, if it is nothing else.
fn text(head: &[u8]) -> Option<&str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end within a character.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    (!text.chars().any(|c| c.is_control() && !c.is_whitespace())).then_some(text.trim_start())
}

fn of_text(text: &str, name: &str) -> Result<FileKind, String> {
    let is_json = text.starts_with(['{', '[']);
    if is_json && (name.ends_with(".index.json") || text.contains("\"weight_map\"")) {
        return Ok(FileKind::Index);
    }
    let what = match text.as_bytes().first() {
        Some(b'<') => "a web page",
        Some(b'{' | b'[') => "JSON",
        _ => "text",
    };
    let begins: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    Err(format!(
        "is {what}, not weights (it begins `{}`): perhaps an error was saved instead of the file; get it again, logged in where a licence must be accepted",
        begins.trim_end()
    ))
}

fn lfs_pointer(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let size = text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse::<u64>().ok());
    let of = size.map_or(String::new(), |size| format!(" of {size} bytes"));
    format!(
        "is a Git LFS pointer to a file{of}, not the weights: run `git lfs pull` in its folder, or get the file itself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(head: &[u8], name: &str) -> Result<FileKind, String> {
        recognise(head, name)
    }

    #[test]
    fn files_that_are_read_under_any_name() {
        let safetensors = [&[0x80, 0, 0, 0, 0, 0, 0, 0][..], b"{\"a\": {}}       "].concat();
        assert_eq!(of(&safetensors, "w.ckpt"), Ok(FileKind::Safetensors));
        assert_eq!(of(b"PK\x03\x04............", "w.safetensors"), Ok(FileKind::PyTorch));
        let legacy = [b"\x80\x02\x8a\x0a".as_slice(), LEGACY[0], b"........"].concat();
        assert_eq!(of(&legacy, "w.bin"), Ok(FileKind::PyTorch));
        assert_eq!(of(b"{\"metadata\": {}, \"weight_map\": {}}", "w"), Ok(FileKind::Index));
        // A header that claims more than there is has the same form; its reader says so.
        let claims = [&(1u64 << 60).to_le_bytes()[..], b"{\"a\": {}}       "].concat();
        assert_eq!(of(&claims, "w"), Ok(FileKind::Safetensors));
    }

    #[test]
    fn what_is_not_read_is_named_with_what_to_do() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 5107104246\n";
        for (head, name, what, then) in [
            (&b""[..], "w", "is empty", "get it again"),
            (b"PK\x03", "w.pt", "only 3 bytes", "cut off"),
            (pointer, "w.safetensors", "a Git LFS pointer to a file of 5107104246 bytes", "`git lfs pull`"),
            (b"<!DOCTYPE html><html><head>", "w.pt", "is a web page", "get it again"),
            (b"{\"error\": \"Access to model is restricted\"}", "w.pt", "is JSON", "Access to model is restricted"),
            (b"Invalid username or password.", "w.pt", "is text", "Invalid username or password."),
            (b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0", "w.gguf", "a GGUF file", "convert it"),
            (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0", "w.bin", "HDF5", "convert it"),
            (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0", "w", "an ONNX file", "convert it"),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", "m.ckpt.index", "a TensorFlow checkpoint", "convert it"),
            (b"NRUB\x01\0\0\0\0\0\0\0\0\0\0\0", "ema.bpk", "weights as Burn stores them", "\"kind\": \"run\""),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0\0\0\0", "w.pt.gz", "gzip", "unpack it"),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\0\0\0\0\0\0\0\xff",
                "w",
                "neither safetensors nor PyTorch",
                "01, 02",
            ),
        ] {
            let message = of(head, name).unwrap_err();
            assert!(message.contains(what) && message.contains(then), "{name}: {message}");
        }
    }
}
