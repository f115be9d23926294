//! Files as PyTorch writes them, as nobody should, and as Burn's reader reads them.
mod alike;
mod archives;
mod hostile;
mod objects;
mod real;

use super::*;
use crate::tensor_file::FileTensor;
use std::io::Write;
use std::path::PathBuf;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Opcodes of protocol 2, as Python's `pickle` writes them.
#[derive(Default, Clone)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(vec![0x80, 2])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    fn int(self, number: i64) -> Self {
        self.raw(b"\x8a\x08").raw(&number.to_le_bytes())
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    fn dims(self, dims: &[i64]) -> Self {
        dims.iter().fold(self.raw(b"("), |pickle, side| pickle.int(*side)).raw(b"t")
    }

    /// The storage `key` of `numbers` numbers of a class of `torch`.
    fn storage(self, class: &str, key: &str, numbers: i64) -> Self {
        self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").int(numbers).raw(b"tQ")
    }

    /// A tensor of the first numbers of the storage `0`, of six numbers.
    fn tensor(self, shape: &[i64], strides: &[i64]) -> Self {
        self.view("FloatStorage", 6, 0, shape, strides)
    }

    fn view(self, class: &str, numbers: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        let pickle =
            self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage(class, "0", numbers).int(offset);
        pickle.dims(shape).dims(strides).raw(b"\x89").global("collections", "OrderedDict").raw(b")RtR")
    }

    /// A tensor that names its type.
    fn typed(self, dtype: &str, shape: &[i64], strides: &[i64]) -> Self {
        let pickle = self.global("torch._utils", "_rebuild_tensor_v3").raw(b"(");
        let pickle = pickle.storage("UntypedStorage", "0", 24).int(0).dims(shape).dims(strides).raw(b"\x89");
        pickle.global("collections", "OrderedDict").raw(b")R").global("torch", dtype).raw(b"tR")
    }

    /// Key and value of a dictionary.
    fn entry(self, key: &str, value: impl FnOnce(Self) -> Self) -> Self {
        value(self.text(key)).raw(b"s")
    }

    /// A file with this pickle, which is a dictionary with `w`, the numbers 0 to 5.
    fn with_weights(value: impl FnOnce(Self) -> Self) -> Self {
        value(Self::new().raw(b"}").entry("w", |value| value.tensor(&[2, 3], &[3, 1])))
    }

    fn done(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

fn numbers() -> Vec<u8> {
    (0..6).flat_map(|number| (number as f32).to_le_bytes()).collect()
}

/// A ZIP archive of some entries.
fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let file = folder.join("w.pt");
    std::fs::write(&file, bytes).unwrap();
    file
}

/// What is read of a file with this pickle and the storage `0`, the numbers 0 to 5.
fn read(pickle: &[u8]) -> Result<Stored, String> {
    let folder = tempfile::tempdir().unwrap();
    let storage = numbers();
    let entries = [("w/data.pkl", pickle), ("w/byteorder", b"little"), ("w/data/0", &storage)];
    // The file stays open.
    open(&written(folder.path(), &zipped(&entries, CompressionMethod::Stored)))
}

fn names(stored: &Stored) -> Vec<&str> {
    stored.keys().map(String::as_str).collect()
}

fn values(tensor: FileTensor) -> Vec<f32> {
    tensor.read().unwrap().try_into_vec_as::<f32>().unwrap()
}

/// Reads a pickle with weights in it, which must be as they are.
fn weights_beside(value: impl FnOnce(Pickle) -> Pickle) -> Stored {
    let mut stored = read(&Pickle::with_weights(value).done()).unwrap();
    let w = stored.remove("w").unwrap();
    assert_eq!(w.shape, [2, 3]);
    assert_eq!(values(w), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    stored
}
