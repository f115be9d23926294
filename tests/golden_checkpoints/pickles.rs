//! Objects beside the weights in a `.pt` file, and what a pickle would have run.
use crate::path;
use burn::nn::{Linear, LinearConfig};
use burn_mixflow::Error;
use burn_mixflow::models::weights::{ImportOptions, ImportReport, KeyMap, import};
use std::path::Path;

/// Opcodes of protocol 2, as Python's `pickle` writes them.
#[derive(Default)]
pub struct Pickle(Vec<u8>);

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

    pub fn int(self, number: i32) -> Self {
        self.raw(b"J").raw(&number.to_le_bytes())
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    fn dims(self, dims: &[i32]) -> Self {
        dims.iter().fold(self.raw(b"("), |pickle, side| pickle.int(*side)).raw(b"t")
    }

    /// A tensor of all numbers of the storage `key`.
    fn tensor(self, key: &str, shape: &[i32], strides: &[i32]) -> Self {
        let numbers = shape.iter().product();
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text(key)
            .text("cpu")
            .int(numbers)
            .raw(b"tQK\0")
            .dims(shape)
            .dims(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// Key and value of a dictionary.
    pub fn entry(self, key: &str, value: impl FnOnce(Self) -> Self) -> Self {
        value(self.text(key)).raw(b"s")
    }

    fn done(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A file as PyTorch before 1.6 wrote it: the weights of a linear layer under `model`, and whatever `beside` writes.
pub fn saved(file: &Path, beside: impl FnOnce(Pickle) -> Pickle) {
    let magic = Pickle::new().raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").done();
    let version = Pickle::new().int(1001).done();
    let system = Pickle::new().raw(b"}").entry("little_endian", |value| value.raw(b"\x88")).done();
    let model = |value: Pickle| {
        let value = value.raw(b"}").entry("weight", |value| value.tensor("0", &[2, 3], &[3, 1]));
        value.entry("bias", |value| value.tensor("1", &[2], &[1]))
    };
    let object = beside(Pickle::new().raw(b"}").entry("model", model)).done();
    let keys = Pickle::new().raw(b"]").text("0").raw(b"a").text("1").raw(b"a").done();
    let storage = |numbers: u64| [numbers.to_le_bytes().to_vec(), vec![0; 4 * numbers as usize]].concat();
    let all = [magic, version, system, object, keys, storage(6), storage(2)].concat();
    std::fs::write(file, all).expect("a file");
}

fn load(file: &Path) -> Result<ImportReport, Error> {
    let linear: Linear = LinearConfig::new(3, 2).init(&crate::device::device());
    import(&linear, file, &ImportOptions::default(), KeyMap::default()).map(|(_, report)| report)
}

#[test]
fn what_stands_beside_the_weights_is_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ckpt.bin");
    saved(&file, |pickle| {
        pickle
            .entry("epoch", |value| value.int(7))
            .entry("args", |value| {
                let made = value.global("argparse", "Namespace").raw(b")\x81}");
                made.entry("lr", |value| value.raw(b"G\x3f\x50\0\0\0\0\0\0")).raw(b"b")
            })
            .entry("best", |value| {
                let value = value.global("numpy.core.multiarray", "scalar").raw(b"(");
                value.global("numpy", "dtype").raw(b"(").text("f8").raw(b"\x89\x88tR").text("12345678").raw(b"tR")
            })
            .entry("where", |value| value.global("torch", "device").raw(b"(").text("cuda").raw(b"tR"))
            .entry("type", |value| value.global("torch", "float32"))
            .entry("lambda", |value| value.global("__main__", "my_function"))
            .entry("optimizer", |value| value.raw(b"}").entry("state", |value| value.raw(b"}J\x01\0\0\0}s")))
    });
    let report = load(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((report.loaded, report.under.as_str()), (2, "model"));
}

#[test]
fn nothing_that_a_pickle_names_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, mark) = (folder.path().join("evil.pt"), folder.path().join("was-here"));
    let command = format!("touch {}", mark.display());
    let python = format!("open({:?}, 'w')", mark.display().to_string());
    for (module, name, argument) in [
        ("os", "system", &command),
        ("posix", "system", &command),
        ("subprocess", "getoutput", &command),
        ("builtins", "exec", &python),
        ("builtins", "eval", &python),
        ("__builtin__", "eval", &python),
    ] {
        let call = |value: Pickle| value.global(module, name).raw(b"(").text(argument).raw(b"tR");
        saved(&file, |pickle| pickle.entry("hook", call));
        let report = load(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.loaded, 2, "{module}.{name}");
        // Instead of the weights, the call is all there is.
        std::fs::write(&file, call(Pickle::new()).done()).expect("a file");
        assert!(matches!(load(&file), Err(Error::Format { .. })), "{module}.{name}");
        // As the state of an object, and with the argument of another call.
        saved(&file, |pickle| pickle.entry("hook", |value| call(value.global(module, name).raw(b")\x81")).raw(b"b")));
        let _ = load(&file);
        assert!(!mark.exists(), "{module}.{name} was run");
    }
    // The same command does leave its mark where it is run.
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().expect("a shell").success());
    assert!(mark.exists());
}

#[test]
fn a_tensor_that_claims_more_than_the_file_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("stat.pt");
    // Strides of 0: one number stands for a thousand million.
    saved(&file, |pickle| {
        let tensor = |value: Pickle| {
            let value = value.global("torch._utils", "_rebuild_tensor_v2").raw(b"((").text("storage");
            let value = value.global("torch", "FloatStorage").text("0").text("cpu").int(6).raw(b"tQK\0");
            let value = value.dims(&[1000, 1000, 500]).dims(&[0, 0, 0]).raw(b"\x89");
            value.global("collections", "OrderedDict").raw(b")RtR")
        };
        pickle.entry("mean", tensor)
    });
    let error = burn_mixflow::data::Array::read_named(&file, ["mean", "var"]).unwrap_err().to_string();
    assert!(error.contains("`mean`: claims 2000000000 bytes of a file of"), "{error}");
    assert_eq!(load(&file).unwrap_or_else(|error| panic!("{error}")).loaded, 2);
}

#[test]
fn a_tensor_of_a_type_that_is_not_read_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ckpt.pt");
    saved(&file, |pickle| {
        pickle.entry("quantized", |value| {
            let value = value.global("torch._utils", "_rebuild_qtensor").raw(b"((").text("storage");
            value.global("torch", "FloatStorage").text("0").text("cpu").int(6).raw(b"tQtR")
        })
    });
    let error = load(&file).unwrap_err().to_string();
    assert!(error.contains("is a `torch._utils._rebuild_qtensor`, which is not read"), "{error}");
    assert!(error.contains("torch.save(") && error.contains("files that you trust"), "{error}");
    // A subclass of `dict`, as Lightning's `hyper_parameters` are.
    saved(&file, |pickle| {
        pickle.entry("hyper_parameters", |value| {
            let made = value.global("lightning_fabric.utilities.data", "AttributeDict").raw(b")\x81");
            made.entry("lr", |value| value.int(1))
        })
    });
    let error = load(&file).unwrap_err().to_string();
    assert!(error.contains("a dictionary or list of a class of its own") && error.contains("torch.save("), "{error}");
}

#[test]
fn official_checkpoints_say_what_was_taken() {
    let (_, report) = import(
        &crate::golden_checkpoints::systems::sit(),
        &path("sit/ckpt.pt"),
        &ImportOptions::default(),
        KeyMap(burn_mixflow::models::sit::OFFICIAL_NAMES),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.under, "ema");
    assert_eq!(report.beside, ["model", "opt"]);
}
