//! A file that grows, whose bytes wait while it cannot be written.
//!
//! A full disk has room again later, and a file system that was read-only for a moment is not any more: what was to be
//! written meanwhile is then written where it belongs, once.
use super::operation;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Bytes that may wait. Who appends more while nothing can be written is told that it is hopeless.
const MOST_WAITING: usize = 64 << 20;
/// So many are written without being asked.
const ENOUGH: usize = 8 << 10;

/// Bytes for the end of a file that `open` opens or makes when the first are written, and again until it can.
pub(crate) struct Appended {
    open: Box<dyn FnMut() -> io::Result<(File, PathBuf)> + Send>,
    opened: Option<Opened>,
    waiting: Vec<u8>,
    refused: bool,
}

struct Opened {
    file: File,
    path: PathBuf,
    /// How long the file is without what a failed write left of its bytes.
    whole: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Whole,
    /// A write failed: there may be a part of it.
    Torn,
    /// It failed for another reason than room: the disk may be there again under the same name.
    Lost,
}

impl Appended {
    pub fn new(open: impl FnMut() -> io::Result<(File, PathBuf)> + Send + 'static) -> Self {
        Self { open: Box::new(open), opened: None, waiting: Vec::new(), refused: false }
    }

    /// Where the file is, once it was opened.
    pub fn path(&self) -> Option<&PathBuf> {
        self.opened.as_ref().map(|opened| &opened.path)
    }

    /// Whether bytes wait that could not be written.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether bytes were refused, as too many waited.
    pub fn is_hopeless(&self) -> bool {
        self.refused
    }

    /// Writes what waits if it is much.
    pub fn flush_much(&mut self) -> io::Result<()> {
        if self.waiting.len() < ENOUGH { Ok(()) } else { self.flush() }
    }

    fn append(&mut self) -> io::Result<()> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            None => {
                let (file, path) = (self.open)()?;
                let whole = file.metadata()?.len();
                self.opened.insert(Opened { file, path, whole, state: State::Whole })
            }
        };
        let written = opened.append(&self.waiting);
        if let Err(error) = &written {
            let full = error.kind() == io::ErrorKind::StorageFull;
            opened.state = if full { State::Torn } else { State::Lost };
        }
        written
    }
}

impl Opened {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state == State::Lost {
            let file = File::options().write(true).open(&self.path)?;
            if file.metadata()?.len() < self.whole {
                return Err(io::Error::other(format!("{} is shorter than what was written", self.path.display())));
            }
            self.file = file;
        }
        if self.state != State::Whole {
            self.file.set_len(self.whole)?;
        }
        self.file.seek(SeekFrom::Start(self.whole))?;
        #[cfg(test)]
        super::faults::bytes(&self.path, &mut self.file, bytes)?;
        operation(&self.path)?;
        self.file.write_all(bytes)?;
        self.whole += bytes.len() as u64;
        self.state = State::Whole;
        Ok(())
    }
}

/// A last try; who wants to know how it ends calls `flush` before.
impl Drop for Appended {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Bytes are taken whatever the disk says, up to a limit; `flush` says what it says, and leaves them waiting then.
impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() + bytes.len() > MOST_WAITING {
            self.flush().inspect_err(|_| self.refused = true)?;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_waiting() {
            self.append()?;
            self.waiting.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults;
    use super::*;

    #[test]
    fn whatever_fails_once_nothing_is_lost_or_there_twice() {
        let folder = tempfile::tempdir().unwrap();
        for at in 0.. {
            let path = folder.path().join(format!("{at}"));
            std::fs::write(&path, "before\n").unwrap();
            let name = path.clone();
            let mut file = Appended::new(move || {
                operation(&name)?;
                Ok((File::options().write(true).open(&name)?, name.clone()))
            });
            let fault = faults::walk(&path, at, || {
                let mut told = false;
                for line in 0..3 {
                    writeln!(file, "line {line}").unwrap();
                    told |= file.flush().is_err();
                }
                told
            });
            file.flush().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nline 0\nline 1\nline 2\n");
            match fault {
                Some(fault) => assert!(fault.told, "{fault:?}"),
                None => return assert!(at > 5, "{at}"),
            }
        }
    }

    #[test]
    fn a_disk_that_is_there_again_is_written_under_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let name = path.clone();
        let mut file = Appended::new(move || Ok((File::create(&name)?, name.clone())));
        file.write_all(b"first\n").unwrap();
        file.flush().unwrap();
        // A handle that cannot be written any more, as after a disk was unplugged.
        file.opened.as_mut().unwrap().file = File::open(&path).unwrap();
        file.write_all(b"second\n").unwrap();
        assert!(file.flush().is_err());
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn what_waits_has_a_limit() {
        let mut file = Appended::new(|| Err(io::ErrorKind::StorageFull.into()));
        let piece = vec![7; 16 << 20];
        (0..4).for_each(|_| file.write_all(&piece).unwrap());
        assert_eq!(file.write_all(&piece).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.waiting.len(), 64 << 20);
    }
}
