//! The secret that a server shares with those whom it serves.
use crate::{Error, Result};
use std::path::Path;

/// Holds the token itself.
const VALUE: &str = "MIXFLOW_REMOTE_TOKEN";

/// Names a file that holds it.
const FILE: &str = "MIXFLOW_REMOTE_TOKEN_FILE";

/// A token. It stands in no message, and no file is written with it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// What a file holds, without white space around it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Format`] if it holds nothing, no text, or is readable by others than its
    /// owner (Unix).
    pub fn read(file: &Path) -> Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(file).map_err(|e| Error::io(file, e))?.permissions().mode();
            if mode & 0o077 != 0 {
                let mode = mode & 0o777;
                return Err(Error::format(
                    file,
                    format!("holds a token that others may read (mode {mode:03o}); chmod 600 it, and take a new token"),
                ));
            }
        }
        let text = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        let text = String::from_utf8(text).map_err(|_| Error::format(file, "must hold a token in UTF-8"))?;
        Self::of(&text).ok_or_else(|| Error::format(file, "holds no token: it is empty"))
    }

    /// That of the environment: `MIXFLOW_REMOTE_TOKEN`, or what the file `MIXFLOW_REMOTE_TOKEN_FILE` holds.
    ///
    /// # Errors
    /// [`Error::Invalid`] if neither is set, or the value is empty; as [`read`](Self::read) for the file.
    pub fn of_environment() -> Result<Self> {
        if let Some(text) = std::env::var_os(VALUE) {
            let token = text.to_str().and_then(Self::of);
            return token.ok_or_else(|| Error::Invalid(format!("{VALUE} holds no token: it is empty or no text")));
        }
        match std::env::var_os(FILE) {
            Some(file) => Self::read(Path::new(&file)),
            None => Err(Error::Invalid(format!(
                "the token of a remote device is missing: set {VALUE} to it, or {FILE} to a file that holds it"
            ))),
        }
    }

    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_must_hold_a_token_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let write = |text: &[u8], mode| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&file)
        };
        assert!(matches!(Token::read(&file), Err(Error::Io { .. })));
        assert_eq!(write(b" a secret \n", 0o600).unwrap().secret(), "a secret");
        assert_eq!(format!("{:?}", write(b"a secret", 0o400).unwrap()), "Token");
        for (text, mode, expected) in [
            (&b"a secret"[..], 0o640, "others may read (mode 640)"),
            (b"a secret", 0o604, "others may read (mode 604)"),
            (b" \n", 0o600, "it is empty"),
            (b"\xff\xfe", 0o600, "UTF-8"),
        ] {
            let error = write(text, mode).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("token") && !error.contains("a secret"), "{error}");
        }
    }
}
