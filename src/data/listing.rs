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

/// Files below a folder.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Those with one of the extensions, below the folder, with `/`, sorted.
    pub names: Vec<String>,
    /// How many others there are, by their extension in lower case.
    pub others: BTreeMap<String, usize>,
}

impl Listing {
    /// Lists the files below `folder` with one of `extensions`, in any case.
    ///
    /// Names that begin with a dot are left out, as are the folders that notebooks and archives of macOS leave behind:
    /// `.ipynb_checkpoints` holds copies, `._x.npy` is no array.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read, [`Error::Format`] for a name that is not UTF-8 or a folder linked into
    /// itself.
    pub fn of(folder: &Path, extensions: &[&str]) -> Result<Self> {
        let (mut names, mut others) = (Vec::new(), BTreeMap::new());
        let mut folders = vec![String::new()];
        while let Some(inner) = folders.pop() {
            let path = folder.join(&inner);
            for entry in std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))? {
                let entry = entry.map_err(|e| Error::io(&path, e))?;
                let name = entry.file_name();
                if name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX" {
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
pub(super) fn first<S: AsRef<str>>(all: &[S]) -> String {
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
