//! Our reader against Burn's: the same names, types, shapes and numbers, of every file that Burn's reads.
//!
//! `MIXFLOW_PT=FOLDER` compares the files of another folder too.
use super::*;
use burn::store::bridge;
use burn::store::pytorch_reader::PytorchReader;

/// All files below `folder` whose name ends as those of PyTorch do.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if ["pt", "pth", "ckpt", "bin"].contains(&ending.as_str()) => found.push(path),
            false => {}
        }
    }
    found
}

#[test]
fn both_readers_read_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<PathBuf> = ["data", "tests"].iter().flat_map(|folder| files(&root.join(folder))).collect();
    all.extend(std::env::var_os("MIXFLOW_PT").iter().flat_map(|folder| files(Path::new(folder))));
    let (mut compared, mut tensors) = (0, 0);
    for file in all {
        let is_archive = std::fs::read(&file).unwrap().starts_with(b"PK");
        let ours = open(&file);
        let burns = match PytorchReader::new(&file) {
            Ok(reader) if is_archive => reader.into_tensors(),
            Ok(_) => continue,
            Err(error) => {
                let read = ours.map_or_else(|error| error, |stored| format!("{} tensors", stored.len()));
                println!("{}: Burn's: {error}; ours: {read}", file.display());
                continue;
            }
        };
        let mut ours = ours.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        compared += 1;
        for (name, other) in burns {
            let place = format!("{}: `{name}`", file.display());
            let mine = ours.remove(&name).unwrap_or_else(|| panic!("{place} is missing"));
            let other = bridge::from_pytorch(other);
            assert_eq!((mine.dtype(), &mine.shape), (Some(other.dtype), &other.shape.to_vec()), "{place}");
            let (mine, other) = (mine.read().unwrap(), bridge::into_data(other).unwrap());
            assert!(mine.bytes()[..] == other.bytes()[..], "{place}");
            tensors += 1;
        }
        assert!(ours.is_empty(), "{}: more than Burn's: {:?}", file.display(), ours.keys());
    }
    println!("{compared} files, {tensors} tensors alike");
    assert!(compared >= 8, "{compared}");
}
