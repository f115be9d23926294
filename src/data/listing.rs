//! Which files a folder holds, in sorted order. What is hidden is no data.
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Folders within folders that are listed.
const DEEPEST: usize = 16;

/// The extensions of pictures that can be read.
pub(crate) const PICTURES: [&str; 4] = ["jpeg", "jpg", "png", "webp"];

/// Problems that one message lists.
pub(super) const MOST_LISTED: usize = 10;

/// Files that programs leave in folders of data: previews and settings of Windows.
const LITTER: [&str; 3] = ["thumbs.db", "ehthumbs.db", "desktop.ini"];

/// Whether a file or folder of this name is no data: hidden, or left behind by another program.
///
/// `.ipynb_checkpoints` holds copies, `._x.npy` is no array, `__MACOSX` is full of them.
fn is_litter(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX" || LITTER.iter().any(|litter| name.eq_ignore_ascii_case(litter))
}

/// Whether a name below a folder, with `/`, leads through something hidden.
pub(super) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| !matches!(part, "." | "..") && is_litter(part))
}

/// Files below a folder.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Those with one of the extensions, below the folder, with `/`, sorted.
    pub names: Vec<String>,
    /// How many others there are, by their extension in lower case.
    pub others: BTreeMap<String, usize>,
}

/// A name as a folder is listed: with `/`, from the folder on.
pub(super) fn plain(name: &str) -> String {
    let name = name.replace('\\', "/");
    name.trim_start_matches("./").to_string()
}

impl Listing {
    /// Lists the files below `folder` with one of `extensions`, in any case.
    ///
    /// What is hidden is left out, and so is what other programs leave behind, as if it were not there.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read, [`Error::Format`] for a name that is not UTF-8, a folder linked into
    /// itself, or a pipe or device with one of the extensions.
    pub fn of(folder: &Path, extensions: &[&str]) -> Result<Self> {
        let (mut names, mut others) = (Vec::new(), BTreeMap::new());
        let mut folders = vec![String::new()];
        while let Some(inner) = folders.pop() {
            let path = folder.join(&inner);
            for entry in std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))? {
                let entry = entry.map_err(|e| Error::io(&path, e))?;
                let name = entry.file_name();
                if is_litter(&name.to_string_lossy()) {
                    continue;
                }
                let Ok(name) = name.into_string() else {
                    return Err(Error::format(entry.path(), "has a name that is not UTF-8"));
                };
                let name = if inner.is_empty() { name } else { format!("{inner}/{name}") };
                let kind = entry.file_type().map_err(|e| Error::io(entry.path(), e))?;
                // Links are followed: large sets are often linked together.
                if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                    if name.matches('/').count() >= DEEPEST {
                        return Err(Error::format(entry.path(), "lies too deep: is a folder linked into itself?"));
                    }
                    folders.push(name);
                    continue;
                }
                let extension = Path::new(&name).extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
                if extensions.contains(&extension.as_str()) {
                    // To open a pipe is to wait for its other end. A link to nothing is reported where it is opened.
                    let there = if kind.is_file() { None } else { std::fs::metadata(entry.path()).ok() };
                    if there.is_some_and(|about| !about.is_file()) {
                        return Err(Error::format(entry.path(), "is no file but a pipe or device: remove it"));
                    }
                    names.push(name);
                } else {
                    *others.entry(extension).or_insert(0) += 1;
                }
            }
        }
        names.sort();
        Ok(Self { names, others })
    }

    /// "3 .pt, 1 without extension", or "nothing".
    pub fn found_instead(&self) -> String {
        let one = |(extension, count): (&String, &usize)| match extension.as_str() {
            "" => format!("{count} without extension"),
            extension => format!("{count} .{extension}"),
        };
        if self.others.is_empty() {
            "nothing".into()
        } else {
            self.others.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The first of many names or problems, one a line, and how many more there are.
pub(crate) fn first<S: AsRef<str>>(all: &[S]) -> String {
    let mut lines: Vec<String> = all.iter().take(MOST_LISTED).map(|line| format!("\n  {}", line.as_ref())).collect();
    if all.len() > MOST_LISTED {
        lines.push(format!("\n  and {} more", all.len() - MOST_LISTED));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_copies_of_notebooks_are_no_data() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/.ipynb_checkpoints", "__MACOSX", ".git"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in [
            "z.PNG",
            "b/a.png",
            "b/.ipynb_checkpoints/a-checkpoint.png",
            "__MACOSX/a.png",
            "._z.png",
            ".git/x.png",
            "Thumbs.db",
            "b/thumbs.db",
            "desktop.ini",
            "x.db",
            "x.pt",
            "y.pt",
            "README",
        ] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let listing = Listing::of(folder.path(), &["png"]).unwrap();
        assert_eq!(listing.names, ["b/a.png", "z.PNG"]);
        assert_eq!(listing.found_instead(), "1 without extension, 1 .db, 2 .pt");
        assert_eq!(Listing::of(&folder.path().join("b"), &["npy"]).unwrap().found_instead(), "1 .png");
        assert!(matches!(Listing::of(&folder.path().join("none"), &["npy"]), Err(Error::Io { .. })));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(first(&names[..2]), "\n  0\n  1");
        assert!(first(&names).ends_with("\n  9\n  and 2 more"));
    }

    #[test]
    fn a_hidden_part_hides_the_whole_name() {
        for hidden in
            ["._a.npy", "a/.b/c.npy", "./.a/b.npy", "__MACOSX/a.npy", ".ipynb_checkpoints/a.npy", "a/Desktop.ini"]
        {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for seen in ["a.npy", "./a/b.npy", "../a.b/c.npy", "a/__MACOSX_/b.npy"] {
            assert!(!is_hidden(seen), "{seen}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_and_folders_linked_into_themselves_are_errors() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let message = || Listing::of(folder.path(), &["npy"]).unwrap_err().to_string();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(message().contains("linked into itself"));
        std::fs::remove_file(folder.path().join("again")).unwrap();
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xFF.npy")), b"").unwrap();
        assert!(message().contains("not UTF-8"));
    }
}
