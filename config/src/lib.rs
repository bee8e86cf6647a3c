//! The configuration: one TOML file for all roles, of which each role uses its own sections.
//!
//! [`Config::load`] reads and checks the whole file and reports every fault in it at once, each with file, line, column
//! and caret. A document is walked by `reader.rs` rather than deserialized, because a derived `Deserialize` stops at
//! the first fault. Nothing is read from outside the file except environment variables (`${VAR}`, `${VAR:-default}`
//! inside strings); files of [secrets](Secret) are read when a secret is used, so that they may change.
//!
//! `weir.toml` in the root of the repository is the reference: it names every key with its default.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

mod document;
mod enrich;
mod expand;
mod format;
mod input;
mod multiline;
mod reader;
mod redact;
mod secret;
mod sections;
mod shape;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod units;
mod url;

pub use document::{ConfigError, Document, Fault, Located};
pub use enrich::{EnrichConfig, MetadataConfig};
pub use format::{Format, FormatError};
pub use input::{HttpConfig, InputConfig, InputKind, JournaldConfig, SyslogConfig, TlsConfig, Transport};
pub use multiline::{Multiline, Preset, PresetError};
pub use redact::RedactConfig;
pub use secret::{ReadSecretError, Secret};
pub use sections::{
    Auth, BULK_BYTES_MAX, BufferConfig, EmbeddedConfig, IN_FLIGHT_MAX, IndexConfig, MetricsConfig,
    PARTITIONS_MAX, PageConfig,
};
pub use shape::{ShapeAction, ShapeConfig};
pub use source::{Ansi, CarriageReturn, Scalar, SourceConfig, SourceTest, Start};
pub use units::{UnitError, parse_duration, parse_size};
pub use url::{ServerUrl, UrlError};

use reader::{Context, Reader};

/// Everything that can be set, with defaults where nothing was set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `state`: directory of the shipper's checkpoints and of its inputs' journals. Default `/var/lib/weir`. Change it when the shipper runs as a
    /// user that cannot write there, or when two shippers run on one machine: each needs its own.
    pub state: PathBuf,
    /// `metadata`: what every record says of the machine that it was written on. Default: its name alone.
    pub metadata: MetadataConfig,
    /// `[[source]]`: the files to follow, in the order of the file. Default: none.
    pub sources: Vec<SourceConfig>,
    /// `[[input]]`: what is received instead of read from files, in the order of the file. Default: none.
    pub inputs: Vec<InputConfig>,
    /// `[buffer]`: where frames wait between shipper and worker.
    pub buffer: BufferConfig,
    /// `[index]`: the Elasticsearch or OpenSearch to write to.
    pub index: IndexConfig,
    /// `[embedded]`: the index that is used when `[index]` names no server.
    pub embedded: EmbeddedConfig,
    /// `[page]`: the search page.
    pub page: PageConfig,
    /// `[metrics]`: where each role serves its metrics and health.
    pub metrics: MetricsConfig,
    /// The text all this was read from: renders faults that are found later, such as in a query of `drop`.
    pub document: Document,
    /// What is allowed but unwise, such as a password in the file itself. Render it with [`Document::render_warning`].
    pub warnings: Vec<Fault>,
}

impl Config {
    /// Reads and checks the file at `path`; variables come from the environment of the process.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text, path, &|name| std::env::var(name).ok())
    }

    /// Checks `text`, which faults name as `path`; `env` answers the value of an environment variable.
    pub fn from_toml(
        text: &str,
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let document = Document::new(path, text);
        let context = Context::new(env);
        let config = context.read_document(text, |root| Self::read(root, document.clone()));
        let (mut faults, warnings) = context.into_findings();
        if faults.is_empty() {
            return Ok(Self { warnings, ..config });
        }
        faults.sort_by_key(|fault| fault.span.start);
        Err(ConfigError::Invalid { document, faults })
    }

    fn read(root: &mut Reader<'_, '_>, document: Document) -> Self {
        Self {
            state: root.path("state", "/var/lib/weir"),
            metadata: MetadataConfig::read(root),
            sources: root.sections("source", SourceConfig::read),
            inputs: root.sections("input", InputConfig::read).into_iter().flatten().collect(),
            buffer: root.section("buffer", BufferConfig::read),
            index: root.section("index", IndexConfig::read),
            embedded: root.section("embedded", EmbeddedConfig::read),
            page: root.section("page", PageConfig::read),
            metrics: root.section("metrics", MetricsConfig::read),
            document,
            warnings: Vec::new(),
        }
    }
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        Self::from_toml("", Path::new("defaults"), &|_| None).expect("everything has a default")
    }
}
