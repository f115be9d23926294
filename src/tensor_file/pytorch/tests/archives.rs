//! The archive around the pickle.
use super::*;

fn open_entries(entries: &[(&str, &[u8])], method: CompressionMethod) -> Result<Stored, String> {
    let folder = tempfile::tempdir().unwrap();
    open(&written(folder.path(), &zipped(entries, method)))
}

fn pickle() -> Vec<u8> {
    Pickle::with_weights(|pickle| pickle.entry("row", |value| value.view("FloatStorage", 6, 3, &[3], &[1]))).done()
}

#[test]
fn entries_are_found_in_any_folder_packed_or_not() {
    let (pickle, storage) = (pickle(), numbers());
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for folder in ["", "archive/", "a/b/"] {
            let [first, second] = ["data.pkl", "data/0"].map(|name| format!("{folder}{name}"));
            let mut stored = open_entries(&[(&first, &pickle), (&second, &storage)], method).unwrap();
            assert_eq!(values(stored.remove("row").unwrap()), [3.0, 4.0, 5.0]);
            assert_eq!(values(stored.remove("w").unwrap()), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        }
    }
}

#[test]
fn byte_orders_are_told_apart() {
    let (pickle, storage) = (pickle(), numbers());
    let with = |order: &[u8]| {
        let entries = [("w/data.pkl", &pickle[..]), ("w/data/0", &storage), ("w/byteorder", order)];
        open_entries(&entries, CompressionMethod::Stored).map(drop)
    };
    assert_eq!(with(b"little\n"), Ok(()));
    assert!(with(b"big").unwrap_err().contains("big-endian"));
    assert!(with(b"middle").unwrap_err().contains("`middle`"));
}

#[test]
fn archives_of_something_else_and_damaged_ones_say_so() {
    let stored = CompressionMethod::Stored;
    let error = open_entries(&[("word/document.xml", b"<xml/>")], stored).unwrap_err();
    assert!(error.contains("not one of PyTorch (it has no data.pkl)"), "{error}");
    let error = open_entries(&[("w/data.pkl", &pickle())], stored).unwrap_err();
    assert!(error.contains("`data/0` is not in it") && error.contains("get it again"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let (pickle, storage) = (pickle(), numbers());
    let whole = zipped(&[("w/data.pkl", &pickle), ("w/data/0", &storage)], stored);
    for length in 2..whole.len() {
        let error = open(&written(folder.path(), &whole[..length])).unwrap_err();
        assert!(error.contains("get it again"), "{length}: {error}");
    }
    // A bit of the numbers, which only the checksum knows.
    let place = whole.windows(storage.len()).position(|part| part == storage).unwrap();
    let mut flipped = whole.clone();
    flipped[place + 6] ^= 1;
    let mut tensors = open(&written(folder.path(), &flipped)).unwrap();
    let error = tensors.remove("w").unwrap().read().unwrap_err();
    assert!(error.contains("checksum"), "{error}");
    // And one of the pickle.
    let place = whole.windows(pickle.len()).position(|part| part == pickle).unwrap();
    let mut flipped = whole;
    flipped[place + 20] ^= 1;
    let error = open(&written(folder.path(), &flipped)).unwrap_err();
    assert!(error.contains("checksum") && error.contains("get it again"), "{error}");
}

#[test]
fn a_pickle_that_is_packed_too_well_is_refused() {
    let (pickle, storage) = (pickle(), numbers());
    for (zeros, is_read) in [(900_000, true), (2_000_000, false), (130 << 20, false)] {
        let long = [vec![b'0'; 1], vec![b'N'; zeros]].concat();
        let long = [b"N".to_vec(), long, pickle.clone()].concat();
        let entries = [("w/data.pkl", &long[..]), ("w/data/0", &storage)];
        let read = open_entries(&entries, CompressionMethod::Deflated);
        assert_eq!(read.is_ok(), is_read);
        assert!(read.is_ok() || read.unwrap_err().contains("the longest that is read of this file"));
    }
}
