//! Passwords, keys and tokens.

use std::fmt;
use std::path::PathBuf;

/// A secret of the configuration. `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Origin);

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    Variable { name: String, value: Option<String> },
    Inline(String),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadSecretError {
    /// Its file cannot be read.
    #[error("cannot read the secret in {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its file holds nothing.
    #[error("the file {} is empty, but should hold a secret", path.display())]
    EmptyFile {
        /// Which file.
        path: PathBuf,
    },
    /// Its environment variable is not set.
    #[error("the environment variable {name} is not set, but should hold a secret")]
    Variable {
        /// Which variable.
        name: String,
    },
}

impl Secret {
    /// A secret that stands in `path`; the file is read whenever the secret is used.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// A secret that was given as text.
    pub fn inline(text: impl Into<String>) -> Self {
        Self(Origin::Inline(text.into()))
    }

    pub(crate) fn variable(name: String, value: Option<String>) -> Self {
        Self(Origin::Variable { name, value })
    }

    /// The secret itself. A file is read again each time, so that a rotated one is picked up; newlines at its end are
    /// not part of the secret.
    pub fn read(&self) -> Result<String, ReadSecretError> {
        match &self.0 {
            Origin::Inline(text) => Ok(text.clone()),
            Origin::Variable { name, value } => {
                value.clone().ok_or_else(|| ReadSecretError::Variable { name: name.clone() })
            }
            Origin::File(path) => {
                let mut text = std::fs::read_to_string(path)
                    .map_err(|source| ReadSecretError::File { path: path.clone(), source })?;
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                if text.is_empty() {
                    Err(ReadSecretError::EmptyFile { path: path.clone() })
                } else {
                    Ok(text)
                }
            }
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
