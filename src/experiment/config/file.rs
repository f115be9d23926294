//! What every kind of configuration file shares: read, parse strictly, check whole, describe itself to editors.
use crate::{Error, Problem, Result};

/// A JSON text as `T`; a misspelt, missing or mistyped key is named by its path.
pub fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let config = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        Error::Config(vec![Problem { path, message: format!(": {}", e.into_inner()) }])
    })?;
    json.end().map_err(|e| Error::Config(vec![Problem { path: ".".into(), message: format!(": {e}") }]))?;
    Ok(config)
}

/// Gives a type with a method `problems` the functions `read`, `parse` and `schema`.
macro_rules! configuration_file {
    ($config:ty) => {
        impl $config {
            /// Reads and checks a JSON file. Files that it names are not opened.
            ///
            /// # Errors
            /// [`Error::Io`](crate::Error::Io) if the file cannot be read, else as [`parse`](Self::parse).
            pub fn read(file: impl AsRef<std::path::Path>) -> crate::Result<Self> {
                let text = std::fs::read_to_string(&file).map_err(|e| crate::Error::io(&file, e))?;
                Self::parse(&text)
            }

            /// Parses and checks a JSON text.
            ///
            /// # Errors
            /// [`Error::Config`](crate::Error::Config) with the path of a misspelt, missing or mistyped key, or with
            /// every value that violates a condition or would be ignored.
            pub fn parse(text: &str) -> crate::Result<Self> {
                let config: Self = $crate::experiment::config::file::parse(text)?;
                crate::Error::if_any(config.problems())?;
                Ok(config)
            }

            /// The JSON schema of this type, for editors.
            pub fn schema() -> serde_json::Value {
                schemars::schema_for!(Self).to_value()
            }
        }
    };
}
pub(crate) use configuration_file;
