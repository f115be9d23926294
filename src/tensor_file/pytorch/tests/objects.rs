//! Objects of classes that are not known, beside and around the weights.
use super::*;

#[test]
fn dictionaries_of_a_class_of_their_own_are_skipped() {
    let stored = weights_beside(|pickle| {
        pickle.entry("hyper_parameters", |value| {
            let value = value.global("lightning_fabric.utilities.data", "AttributeDict").raw(b")\x81(");
            value.text("lr").int(1).text("name").text("run").raw(b"u")
        })
    });
    assert_eq!(names(&stored), [""; 0]);
}

#[test]
fn tensors_in_dictionaries_of_any_class_are_found() {
    let tensor = |pickle: Pickle| pickle.tensor(&[2], &[1]);
    let stored = weights_beside(|pickle| {
        // A factory that is a class, as that of `defaultdict(list)`.
        let pickle = pickle.entry("default", |value| {
            let value = value.global("collections", "defaultdict").global("builtins", "list").raw(b"\x85R");
            value.entry("a", tensor)
        });
        let pickle = pickle.entry("own", |value| value.global("my.code", "Dict").raw(b")\x81").entry("b", tensor));
        // One that keeps its items also as attributes, as `easydict` does.
        let pickle = pickle.entry("both", |value| {
            let value = value.global("easydict", "EasyDict").raw(b")\x81").entry("c", tensor);
            value.raw(b"}").entry("c", tensor).raw(b"b")
        });
        // Protocols 0 and 1, and Python 2.
        let pickle = pickle.entry("old", |value| {
            let value = value.global("copy_reg", "_reconstructor").raw(b"(").global("my.code", "Dict");
            value.global("__builtin__", "dict").raw(b"}").entry("d", tensor).raw(b"tR")
        });
        let pickle = pickle.entry("pairs", |value| {
            tensor(value.global("collections", "OrderedDict").raw(b"]]").text("e").raw(b"a")).raw(b"aa\x85R")
        });
        let pickle = pickle.entry("list", |value| tensor(value.global("my.code", "List").raw(b")\x81")).raw(b"a"));
        let pickle = pickle.entry("set", |value| tensor(value.raw(b"\x8f(")).raw(b"\x90"));
        let pickle = pickle.entry("named", |value| tensor(value.global("my.code", "Tuple").int(1)).raw(b"\x86\x81"));
        pickle.entry("slots", |value| value.global("my.code", "Slots").raw(b")\x81N}").entry("f", tensor).raw(b"\x86b"))
    });
    let expected = ["both.c", "default.a", "list.0", "named.1", "old.d", "own.b", "pairs.e", "set.0", "slots.f"];
    assert_eq!(names(&stored), expected);
    assert!(stored.into_values().all(|tensor| values(tensor) == [0.0, 1.0]));
}

/// What `torch._neg_view` and the conjugate of a complex tensor leave behind: numbers that are not those of the storage.
#[test]
fn negated_views_are_not_read_with_the_wrong_sign() {
    let view = |mark: &'static str| {
        move |pickle: Pickle| {
            let pickle = pickle.global("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage("FloatStorage", "0", 6);
            let pickle = pickle.int(0).dims(&[2]).dims(&[1]).raw(b"\x89").global("collections", "OrderedDict");
            pickle.raw(b")R}").text(mark).raw(b"\x88stR")
        }
    };
    let stored = weights_beside(|pickle| {
        pickle.entry("neg", view("neg")).entry("conj", view("conj")).entry("other", view("future"))
    });
    assert_eq!(names(&stored), ["conj", "neg", "other"]);
    for (name, tensor) in stored {
        assert_eq!(tensor.shape, [2]);
        match name.as_str() {
            "other" => assert_eq!(values(tensor), [0.0, 1.0]),
            _ => assert!(tensor.read().unwrap_err().contains("a negated or conjugated view, which is not read")),
        }
    }
}

#[test]
fn objects_of_every_opcode_are_skipped_and_take_what_they_are_given() {
    for made in [
        &b"cposix\nsystem\nX\x02\0\0\0ls\x85R"[..],
        b"(cos\nsystem\nX\x02\0\0\0lso",
        b"(X\x02\0\0\0lsios\nsystem\n",
        b"cmy\nClass\n)\x81",
        b"cmy\nClass\n)}\x92",
        b"X\x02\0\0\0osX\x06\0\0\0system\x93)R",
        b"\x82\x01)R",
        b"\x83\x01\0)\x81",
        b"\x84\x01\0\0\0)R",
        b"Psomething\n)R",
        b"X\x02\0\0\0idQ)R",
        b"Poutside\n",
        b"\x97\x98",
        b"N)R",
    ] {
        let stored = weights_beside(|pickle| pickle.entry("beside", |value| value.raw(made)));
        assert_eq!(names(&stored), [""; 0]);
        let is_object = made.ends_with(b"R") || made.ends_with(b"\x81") || made.ends_with(b"o");
        if is_object || made.ends_with(b"\x92") || made.starts_with(b"(X") {
            let filled = b"K\x01a(K\x01K\x02e(K\x03\x90K\x01K\x02s(NNu}b";
            let stored = weights_beside(|pickle| pickle.entry("beside", |value| value.raw(made).raw(filled)));
            assert_eq!(names(&stored), [""; 0]);
        }
    }
}

#[test]
fn nothing_that_a_pickle_names_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("was-here");
    let command = format!("touch {}", mark.display());
    for (module, name) in [("os", "system"), ("posix", "system"), ("builtins", "exec"), ("subprocess", "getoutput")] {
        let call = |value: Pickle| value.global(module, name).text(&command).raw(b"\x85R");
        weights_beside(|pickle| pickle.entry("hook", call));
        // As a class, as a state, as what tensors are made of, and instead of the weights.
        weights_beside(|pickle| pickle.entry("hook", |value| call(value.global(module, name).raw(b")\x81")).raw(b"b")));
        let stored = weights_beside(|pickle| {
            pickle.entry("hook", |value| value.global(module, name).tensor(&[1], &[1]).raw(b"\x85R"))
        });
        let hook = &stored["hook"];
        assert_eq!((hook.type_name.clone(), hook.dtype()), (format!("{module}.{name}"), None));
        let error = read(&call(Pickle::new()).done()).unwrap_err();
        assert!(
            error.contains(&format!("is a `{module}.{name}` as a whole")) && error.contains("torch.save("),
            "{error}"
        );
    }
    assert!(!mark.exists());
    // The same command does leave its mark where it is run.
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success() && mark.exists());
}

#[test]
fn numbers_that_nobody_reads_are_an_error_only_where_they_are_asked_for() {
    let stored = weights_beside(|pickle| {
        let pickle = pickle.entry("fp8", |value| value.typed("float8_e4m3fn", &[3, 2], &[2, 1]));
        let pickle = pickle.entry("unsigned", |value| value.typed("uint16", &[2], &[1]));
        let pickle = pickle.entry("complex", |value| value.view("ComplexFloatStorage", 3, 0, &[3], &[1]));
        let pickle = pickle.entry("new", |value| value.view("Float4Storage", 3, 0, &[3], &[1]));
        let pickle = pickle.entry("untyped", |value| value.view("UntypedStorage", 24, 0, &[3], &[1]));
        pickle.entry("unknown", |value| {
            value.global("torch._utils", "_rebuild_something_v7").raw(b"(").storage("FloatStorage", "0", 6).raw(b"tR")
        })
    });
    let types: Vec<_> = stored.values().map(|tensor| (tensor.type_name.as_str(), tensor.shape.clone())).collect();
    let expected = [
        ("complex64", vec![3]),
        ("float8_e4m3fn", vec![3, 2]),
        ("Float4", vec![3]),
        ("_rebuild_something_v7", vec![]),
        ("U16", vec![2]),
        ("untyped", vec![3]),
    ];
    assert_eq!(types, expected);
    for (name, tensor) in stored {
        let type_name = tensor.type_name.clone();
        match (name.as_str(), tensor.read()) {
            ("unsigned", read) => assert_eq!(read.unwrap().as_slice::<u16>().unwrap(), [0, 0]),
            (_, read) => assert_eq!(read.unwrap_err(), format!("its numbers are {type_name}, which is not read")),
        }
    }
}

#[test]
fn what_is_no_dictionary_says_what_to_do() {
    for (root, kind) in [
        (Pickle::new().tensor(&[2], &[1]), "torch._utils._rebuild_tensor_v2"),
        (Pickle::new().int(3), "int"),
        (Pickle::new().raw(b"N"), "None"),
        (Pickle::new().text("weights"), "text"),
        (Pickle::new().global("my.code", "Net"), "my.code.Net"),
        (Pickle::new().global("my.code", "Net").raw(b")\x81"), "my.code.Net"),
        (Pickle::new().storage("FloatStorage", "0", 6), "storage"),
    ] {
        let error = read(&root.done()).unwrap_err();
        assert!(error.contains(&format!("is a `{kind}` as a whole")) && error.contains("trust"), "{error}");
    }
    assert!(read(b"}.").unwrap().is_empty());
    assert!(read(b"ccollections\nOrderedDict\n)R.").unwrap().is_empty());
}
