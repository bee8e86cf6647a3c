//! Patterns that users give: grok (`%{PATTERN:field:type}`) and plain regular expressions with named groups, both on an
//! engine whose work is linear in the line. A literal that every match must hold decides before the engine runs.

mod expand;
mod library;

use std::sync::Arc;

use memchr::memmem::Finder;
use regex::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use weir_record::json::push_i64;
use weir_record::schema::Field;

use super::draft::{Draft, Value};
use super::keys::{self, Meaning};
use expand::expand;

pub use library::PatternLibrary;

/// Before a grok pattern in a format's name.
pub const GROK_PREFIX: &str = "grok:";

/// Before a regular expression in a format's name.
pub const REGEX_PREFIX: &str = "regex:";

/// Bytes that one compiled pattern may take. The largest of the library takes a tenth.
const COMPILED_BYTES_MAX: usize = 8 << 20;

/// Bytes of the cache in which the engine keeps what it has worked out, per file.
const CACHE_BYTES_MAX: usize = 1 << 20;

/// The pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It names one that does not exist.
    #[error("the pattern %{{{name}}} is not known{}", hint(.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// A known one like it.
        nearest: Option<String>,
    },
    /// It names itself, or others too deep.
    #[error("the pattern %{{{name}}} names itself, or goes deeper than {} levels", expand::DEPTH_MAX)]
    Depth {
        /// The name.
        name: String,
    },
    /// It is too long once all names are replaced.
    #[error("the pattern has more than {} bytes once all names are replaced", expand::EXPANDED_BYTES_MAX)]
    Length,
    /// What stands in `%{..}` cannot be read.
    #[error("`%{{{text}}}` is not %{{PATTERN}}, %{{PATTERN:field}} or %{{PATTERN:field:type}}")]
    Reference {
        /// What stands there.
        text: String,
    },
    /// An unknown type.
    #[error("the type {name:?} is not known: use int, float, boolean or string")]
    Type {
        /// Its name.
        name: String,
    },
    /// Look-ahead or look-behind.
    #[error("`{text}` looks around: that cannot be matched in linear time; write what stands there instead")]
    LookAround {
        /// How it begins.
        text: String,
    },
    /// A line of a file of patterns.
    #[error("line {line} is no pattern: NAME, a blank, the pattern")]
    Definition {
        /// From 1.
        line: usize,
    },
    /// The regular expression itself.
    #[error("{0}")]
    Syntax(String),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(": did you mean %{{{name}}}?"))
}

/// Patterns, tried in this order; the first that matches counts.
#[derive(Clone, Debug)]
pub struct Patterns(Arc<[Pattern]>);

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// A literal that every match holds.
    required: Option<Finder<'static>>,
    /// What the groups stand for, in order.
    captures: Vec<Capture>,
}

/// What a group of a pattern becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Capture {
    name: String,
    target: Target,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Message,
    Timestamp,
    Field,
    Attribute,
}

/// The type that a pattern asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Integer,
    Float,
    Boolean,
}

/// What one file's parser reuses from line to line.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    locations: Vec<CaptureLocations>,
}

impl Patterns {
    /// Compiles `formats`: each is `grok:` or `regex:` and a pattern. None where one is something else.
    ///
    /// # Errors
    /// The first pattern that cannot be used.
    pub fn of_formats<T: AsRef<str>>(
        formats: &[T],
        library: &PatternLibrary,
    ) -> Option<Result<Patterns, PatternError>> {
        let is_pattern = |name: &str| name.starts_with(GROK_PREFIX) || name.starts_with(REGEX_PREFIX);
        if formats.is_empty() || !formats.iter().all(|name| is_pattern(name.as_ref())) {
            return None;
        }
        let compiled = formats.iter().map(|name| Pattern::of_format(name.as_ref(), library));
        Some(compiled.collect::<Result<Vec<_>, _>>().map(|patterns| Patterns(patterns.into())))
    }

    /// What a file's parser needs to run them.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch { locations: self.0.iter().map(|pattern| pattern.regex.capture_locations()).collect() }
    }

    /// Fills `draft` from `record`. False where no pattern matches.
    pub(super) fn parse(&self, record: &str, draft: &mut Draft<'_>, scratch: &mut Scratch) -> bool {
        let matching = self.0.iter().zip(&mut scratch.locations).find_map(|(pattern, locations)| {
            let may_match =
                pattern.required.as_ref().is_none_or(|literal| literal.find(record.as_bytes()).is_some());
            (may_match && pattern.regex.captures_read(locations, record).is_some())
                .then_some((pattern, &*locations))
        });
        let Some((pattern, locations)) = matching else { return false };
        for (at, capture) in pattern.captures.iter().enumerate() {
            let text = locations.get(at + 1).and_then(|(start, end)| record.get(start..end));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                capture.write(text, draft);
            }
        }
        if !draft.writer.has(Field::Message) {
            draft.writer.string(Field::Message, record);
        }
        true
    }
}

impl Pattern {
    fn of_format(format: &str, library: &PatternLibrary) -> Result<Pattern, PatternError> {
        match format.strip_prefix(GROK_PREFIX) {
            Some(pattern) => Pattern::new(pattern, Some(library)),
            None => Pattern::new(format.strip_prefix(REGEX_PREFIX).unwrap_or(format), None),
        }
    }

    /// `library`: none where `%{` has no meaning.
    fn new(pattern: &str, library: Option<&PatternLibrary>) -> Result<Pattern, PatternError> {
        let (expanded, captures) = expand(pattern, library)?;
        let regex = regular_expression(&expanded)?;
        let hir = regex_syntax::parse(&expanded).map_err(|error| PatternError::Syntax(error.to_string()))?;
        let mut literal = Vec::new();
        longest_required_literal(&hir, &mut literal);
        let required = (!literal.is_empty()).then(|| Finder::new(&literal).into_owned());
        Ok(Pattern { regex, required, captures })
    }
}

/// Compiles a regular expression within the limits.
pub(super) fn regular_expression(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .build()
        .map_err(|error| PatternError::Syntax(error.to_string()))
}

/// The longest literal that stands in every match.
fn longest_required_literal(hir: &Hir, longest: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.len() > longest.len() => {
            longest.clear();
            longest.extend_from_slice(&literal.0);
        }
        HirKind::Capture(capture) => longest_required_literal(&capture.sub, longest),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            longest_required_literal(&repetition.sub, longest);
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| longest_required_literal(part, longest)),
        _ => {}
    }
}

impl Capture {
    /// `name`: `a.b`, or `[a][b]` as Logstash writes it. None for what Logstash throws away.
    fn new(name: &str, kind: Kind) -> Option<Capture> {
        let name = name.trim_end_matches('?');
        let name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(inside) => inside.replace("][", "."),
            None => name.to_owned(),
        };
        if name.starts_with("@metadata") {
            return None;
        }
        let target = match name.as_str() {
            "message" => Target::Message,
            "timestamp" | "@timestamp" => Target::Timestamp,
            other => Field::from_name(other.as_bytes()).map_or(Target::Attribute, |_| Target::Field),
        };
        Some(Capture { name, target, kind })
    }

    fn write(&self, text: &str, draft: &mut Draft<'_>) {
        let placed = match self.target {
            Target::Message => draft.writer.string(Field::Message, text),
            Target::Timestamp => draft.assign(Meaning::Time, Value::Plain(text)),
            Target::Field => keys::lookup(self.name.as_bytes())
                .is_some_and(|meaning| draft.assign(meaning, Value::Plain(text))),
            Target::Attribute => false,
        };
        if !placed {
            self.write_attribute(text, draft);
        }
    }

    /// As the type that was asked for, where the text is one.
    fn write_attribute(&self, text: &str, draft: &mut Draft<'_>) {
        let is_true_or_false = self.kind == Kind::Boolean && matches!(text, "true" | "false");
        let is_number = matches!(self.kind, Kind::Integer | Kind::Float);
        let integer = text.parse::<i64>().ok().filter(|_| is_number);
        let float = text.parse::<f64>().ok().filter(|number| self.kind == Kind::Float && number.is_finite());
        if is_true_or_false {
            draft.writer.attribute(&self.name).extend_from_slice(text.as_bytes());
        } else if let Some(integer) = integer {
            push_i64(draft.writer.attribute(&self.name), integer);
        } else if let Some(float) = float {
            draft.writer.attribute(&self.name).extend_from_slice(float.to_string().as_bytes());
        } else {
            draft.writer.attribute_string(&self.name, text);
        }
    }
}

#[cfg(test)]
mod tests;
