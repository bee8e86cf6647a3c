//! `multiline`: how the lines of one event are joined.

use std::str::FromStr;

use crate::document::{Fault, Located};
use crate::reader::Reader;

/// How lines are joined to one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Multiline {
    /// As a preset does it.
    Preset(Preset),
    /// By own patterns. Not checked here.
    Own {
        /// `start`: a regular expression that matches the first line of each event.
        start: Option<Located<String>>,
        /// `continue`: one that matches every further line. At least one of the two is there.
        continues: Option<Located<String>>,
    },
}

impl Default for Multiline {
    fn default() -> Self {
        Self::Preset(Preset::default())
    }
}

macro_rules! presets {
    ($($(#[$attribute:meta])* $variant:ident $name:literal,)*) => {
        /// Whose events of several lines are joined.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum Preset { $($(#[$attribute])* $variant,)* }

        impl Preset {
            /// Every preset and its name.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$variant),)*];

            /// The name in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

presets! {
    /// As the format does; a format that was set explicitly and has no multiline form joins nothing.
    #[default]
    Auto "auto",
    /// Each line is a record.
    None "none",
    /// Java's stack traces, with their causes and suppressed exceptions.
    Java "java",
    /// Python's tracebacks, chained ones too.
    Python "python",
    /// Go's panics and dumps of goroutines.
    Go "go",
    /// JavaScript's errors with their stacks and properties.
    Node "node",
    /// Ruby's exceptions, in either order.
    Ruby "ruby",
    /// .NET's exceptions, and messages of its console logger.
    Dotnet "dotnet",
    /// Rust's panics and backtraces.
    Rust "rust",
    /// PHP's exceptions with their stack traces.
    Php "php",
    /// JSON objects that are written over several lines.
    Json "json",
    /// PostgreSQL's statements and further messages of one event.
    Sql "sql",
    /// Lines that begin with a blank go on the line before.
    Indented "indented",
}

impl Multiline {
    /// None where the key is not there.
    pub(crate) fn read(source: &mut Reader<'_, '_>) -> Option<Self> {
        if source.is_table("multiline") {
            return Some(source.section("multiline", Self::read_own));
        }
        source.choice("multiline", Preset::NAMES).map(Self::Preset)
    }

    fn read_own(own: &mut Reader<'_, '_>) -> Self {
        let (start, continues) = (own.verbatim("start"), own.verbatim("continue"));
        if start.is_none() && continues.is_none() {
            let fault = Fault::new(own.span(), "`multiline` says neither how an event starts nor goes on");
            own.fault(fault.with_help("write multiline = { start = \"^[0-9]{4}-\" }"));
        }
        Self::Own { start, continues }
    }
}

/// The name is none of a preset.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown multiline preset {name:?}: use one of{}", Preset::NAMES.iter().map(|(name, _)| format!(" {name}")).collect::<String>())]
pub struct PresetError {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Preset {
    type Err = PresetError;

    fn from_str(name: &str) -> Result<Preset, PresetError> {
        let known = Preset::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, preset)| *preset).ok_or_else(|| PresetError { name: name.to_owned() })
    }
}
