//! Pickles that are made to be wrong, to be without end, or to claim what is not there.
use super::*;
use std::time::Instant;

/// A tensor in `pickle` that must be refused.
fn refused(tensor: impl FnOnce(Pickle) -> Pickle) -> String {
    read(&Pickle::with_weights(|pickle| pickle.entry("x", tensor)).done()).unwrap_err()
}

#[test]
fn tensors_that_are_not_within_their_storage_are_refused() {
    const BIG: i64 = i64::MAX;
    for (numbers, offset, shape, strides) in [
        (6, 0, &[7][..], &[1][..]),
        (6, 6, &[1], &[1]),
        (6, 1, &[2, 3], &[3, 1]),
        (6, 0, &[2], &[6]),
        (6, BIG, &[1], &[1]),
        (6, 0, &[2], &[BIG]),
        (6, -1, &[1], &[1]),
        (6, 0, &[-1], &[1]),
        (6, 0, &[2], &[-1]),
        (6, 0, &[BIG, BIG], &[0, 0]),
        (6, 0, &[BIG], &[0]),
        (6, 0, &[2, 3], &[1]),
        (-6, 0, &[1], &[1]),
        (BIG, 0, &[1], &[1]),
    ] {
        let error = refused(|value| value.view("FloatStorage", numbers, offset, shape, strides));
        assert!(error.contains("`x` cannot be a tensor") && error.contains("get it again"), "{error}");
    }
    // The archive has 6 numbers, whatever the pickle says.
    let error = refused(|value| value.view("FloatStorage", 60, 0, &[60], &[1]));
    assert!(error.contains("`x`: needs 240 bytes of the storage `0`, which has 24"), "{error}");
    let many = vec![1; 65];
    let error = refused(|value| value.view("FloatStorage", 6, 0, &many, &many));
    assert!(error.contains("65 dimensions"), "{error}");
}

#[test]
fn wrong_ids_and_arguments_are_refused() {
    let rebuild = |value: Pickle| value.global("torch._utils", "_rebuild_tensor_v2");
    let rest = |value: Pickle| value.int(0).dims(&[1]).dims(&[1]).raw(b"tR");
    for (id, says) in [
        (&b"Psomewhere\n"[..], "another id"),
        (b"NQ", "another id"),
        (b")Q", "another id"),
        (b"(X\x07\0\0\0storageNNNNtQ", "no name"),
        (b"(NNNNNtQ", "not that of a storage"),
        (b"(X\x07\0\0\0storageNX\x01\0\0\x000NK\x06tQ", "no type"),
        (b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000NNtQ", "a number is missing"),
        (b"K\x01", "a int is no storage"),
    ] {
        let error = refused(|value| rest(rebuild(value).raw(b"(").raw(id)));
        assert!(error.contains(says) && error.contains("get it again"), "{error}");
    }
    let error = refused(|value| {
        rebuild(value).raw(b"(").storage("FloatStorage", "7", 6).int(0).dims(&[1]).dims(&[1]).raw(b"tR")
    });
    assert!(error.contains("`data/7` is not in it"), "{error}");
    let error = refused(|value| rebuild(value).raw(b")R"));
    assert!(error.contains("too few arguments"), "{error}");
    let error = refused(|value| {
        rebuild(value).raw(b"(").storage("FloatStorage", "0", 6).int(0).text("no").dims(&[1]).raw(b"tR")
    });
    assert!(error.contains("a text is no shape"), "{error}");
}

#[test]
fn pickles_that_are_cut_or_wrong_are_refused() {
    let whole = Pickle::with_weights(|pickle| pickle).done();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(error.contains("ends in the middle") && error.contains("get it again"), "{length}: {error}");
    }
    for (pickle, says) in [
        (&b"."[..], "a value is missing"),
        (b"(.", "a value is missing"),
        (b"t.", "a mark is missing"),
        (b"(o.", "no class"),
        (b"}(K\x01u.", "has no value"),
        (b"h\x05.", "asks for value 5"),
        (b"gx\n.", "`x` is no number"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\xff.", "0xff is no opcode"),
        (b"K\x01K\x02a.", "fills a int"),
        (b"K\x01K\x02K\x03s.", "fills a int"),
        (b"}K\x01a.", "fills a dict"),
        (b"]}b.", "fills a list"),
        (b"X\xff\xff\xff\xffab.", "ends in the middle"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.", "ends in the middle"),
        (b"\x8b\xff\xff\xff\x7f.", "ends in the middle"),
        (b"\x96\0\0\0\0\0\x01\0\0.", "ends in the middle"),
        (b"I12", "ends in the middle"),
    ] {
        let error = read(pickle).unwrap_err();
        assert!(error.contains(says) && error.contains("at byte") && error.contains("get it again"), "{error}");
    }
}

#[test]
fn what_holds_itself_is_walked_once() {
    let tensor = |value: Pickle| value.tensor(&[2], &[1]);
    // A dictionary in itself, a list in itself, an object in its own attributes, a parameter of itself.
    let pickle = Pickle::new().raw(b"}q\x07").entry("w", tensor).entry("itself", |value| value.raw(b"h\x07"));
    let pickle = pickle.entry("list", |value| tensor(value.raw(b"]q\x08h\x08a")).raw(b"a"));
    let pickle = pickle.entry("object", |value| {
        let value = value.global("my.code", "Net").raw(b")\x81q\x09}").entry("me", |value| value.raw(b"h\x09"));
        value.entry("x", tensor).raw(b"b")
    });
    assert_eq!(names(&read(&pickle.clone().done()).unwrap()), ["list.1", "object.x", "w"]);
    let parameter = |value: Pickle| {
        value.global("torch._utils", "_rebuild_parameter").raw(b"]q\x0a(h\x0aNNeRq\x0b0h\x0ah\x0ba0h\x0b")
    };
    let _ = read(&pickle.entry("parameter", parameter).done());
    // Its own first argument: a list that got the parameter in it later.
    let itself = |value: Pickle| value.global("torch._utils", "_rebuild_parameter").raw(b"]q\x0aRq\x0bh\x0ah\x0ba0");
    let error = refused(itself);
    assert!(error.contains("a parameter of itself"), "{error}");
}

/// A list of two of the list before it, many times over.
fn laughs(mut pickle: Pickle, levels: usize) -> Pickle {
    for level in 0..levels {
        let get = [b'h', 20 + level as u8];
        pickle = pickle.raw(&[b'q', 20 + level as u8, b'0']).raw(b"(").raw(&get).raw(&get).raw(b"l");
    }
    pickle
}

#[test]
fn a_thousand_million_laughs() {
    let started = Instant::now();
    // Of texts, which nobody asks for.
    let stored = weights_beside(|pickle| pickle.entry("x", |value| laughs(value.text("ha"), 100)));
    assert!(stored.is_empty());
    // Of tensors, which would have 2¹⁰⁰ names.
    let error = refused(|value| laughs(value.tensor(&[1], &[1]), 100));
    assert!(error.contains("again and again"), "{error}");
    // A few names of the same are as PyTorch has them.
    assert_eq!(weights_beside(|pickle| pickle.entry("x", |value| laughs(value.tensor(&[1], &[1]), 8))).len(), 256);
    // A long list with a tensor, many times in another.
    let long = Pickle::new().raw(b"](").raw(&b"N".repeat(100_000)).tensor(&[1], &[1]).raw(b"eq\x07(");
    let error = read(&long.raw(&b"h\x07".repeat(100_000)).raw(b"t.").0).unwrap_err();
    assert!(error.contains("again and again"), "{error}");
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn no_depth_is_too_deep() {
    const DEEP: usize = 1_000_000;
    for step in [&b"\x85"[..], b"R", b"b"] {
        // Tuples in tuples, calls of calls, attributes of attributes.
        let begin = match step {
            b"\x85" => b"N".to_vec(),
            b"R" => b"N".repeat(DEEP + 1),
            _ => b"NN\x81".repeat(DEEP / 3),
        };
        let end = if step == b"b" { step.repeat(DEEP / 3 - 1) } else { step.repeat(DEEP) };
        let stored = weights_beside(|pickle| pickle.entry("x", |value| value.raw(&begin).raw(&end)));
        assert!(stored.is_empty());
    }
    let error = refused(|value| value.tensor(&[1], &[1]).raw(&b"\x85".repeat(DEEP)));
    assert!(error.contains("more than 1000 deep"), "{error}");
    assert_eq!(
        weights_beside(|pickle| pickle.entry("x", |value| value.tensor(&[1], &[1]).raw(&b"\x85".repeat(900)))).len(),
        1
    );
    // Marks without anything between, and texts that are never asked for.
    assert!(read(&b"(".repeat(DEEP)).is_err());
    assert!(read(&[b"(".repeat(DEEP), b"1".repeat(DEEP), b"}.".to_vec()].concat()).unwrap().is_empty());
    let kept = [b"N".to_vec(), b"\x94".repeat(DEEP), b"0}.".to_vec()].concat();
    assert!(read(&kept).unwrap().is_empty());
}

#[test]
fn one_number_may_stand_for_many_but_not_for_all() {
    let expanded = |shape: &'static [i64], strides: &'static [i64]| {
        let mut stored = weights_beside(|pickle| pickle.entry("x", |value| value.tensor(shape, strides)));
        stored.remove("x").unwrap()
    };
    assert_eq!(values(expanded(&[2, 3], &[1, 0])), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let error = expanded(&[1000, 1000, 500], &[0, 0, 0]).read().unwrap_err();
    assert!(error.contains("claims 2000000000 bytes of a file of"), "{error}");
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let error = read(
        &Pickle::with_weights(|pickle| {
            let pickle = pickle.entry("a.b", |value| value.tensor(&[1], &[1]));
            pickle.entry("a", |value| value.raw(b"}").entry("b", |value| value.tensor(&[2], &[1])))
        })
        .done(),
    );
    assert!(error.unwrap_err().contains("two tensors called `a.b`"));
}
