//! The text of a configuration file, and how a fault in it is shown.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::url;

/// Keys whose values are never shown, not even in the excerpt of a faulty line.
const SECRET_KEYS: [&str; 3] = ["api_key", "password", "bearer"];

/// One thing that is wrong with the configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text that are at fault.
    pub span: Range<usize>,
    /// What is wrong, without a full stop. Never holds the value of a secret.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl Fault {
    /// A fault without help.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A value and where it stands, for checks that another crate makes.
#[derive(Debug, Clone, Default)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Bytes of the [`Document`]; empty for a default.
    pub span: Range<usize>,
}

impl<T> Located<T> {
    /// The same place, another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), span: self.span }
    }
}

/// Two values are equal wherever they stand.
impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

/// The text of a configuration file, for showing faults. Cheap to clone.
#[derive(Clone)]
pub struct Document {
    path: PathBuf,
    text: Arc<str>,
}

impl Document {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.into() }
    }

    /// Where the text came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let start = self.line_start(offset);
        let line = self.text[..start].matches('\n').count() + 1;
        (line, self.text[start..self.floor(offset)].chars().count() + 1)
    }

    /// An error of these faults, to be shown like any other of the configuration.
    pub fn error(&self, faults: Vec<Fault>) -> ConfigError {
        ConfigError::Invalid { document: self.clone(), faults }
    }

    /// A warning as text: several lines, the last without its newline.
    pub fn render_warning(&self, fault: &Fault) -> String {
        self.render("warning", fault)
    }

    /// ```text
    /// error: unknown key `formt` in [[source]]
    ///   --> weir.toml:12:1
    ///    |
    /// 12 | formt = "auto"
    ///    | ^^^^^ did you mean `format`?
    /// ```
    fn render(&self, severity: &str, fault: &Fault) -> String {
        let (line, column) = self.position(fault.span.start);
        let start = self.line_start(fault.span.start);
        let source = self.text[start..].lines().next().unwrap_or_default();
        let at = self.floor(fault.span.start).saturating_sub(start).min(source.len());
        let end = self.floor(fault.span.end).saturating_sub(start).clamp(at, source.len());

        // Tabs stay tabs, so that the caret stands below what it means at any tab width.
        let indent: String = source[..at].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(source[at..end].chars().count().max(1));
        let margin = " ".repeat(line.to_string().len());
        let help = fault.help.as_deref().unwrap_or_default();
        let excerpt = masked(source);

        let mut out = String::new();
        let written = write!(
            out,
            "{severity}: {message}\n{margin}--> {path}:{line}:{column}\n{margin} |\n\
             {line} | {excerpt}\n{margin} | {indent}{carets} {help}",
            message = fault.message,
            path = self.path.display(),
        );
        written.expect("writing to a string cannot fail");
        out.truncate(out.trim_end().len());
        out
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text[..self.floor(offset)].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The nearest character boundary at or before `offset`, within the text.
    fn floor(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset.min(self.text.len()))
    }
}

/// Shows the path only: the text may hold secrets.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.path.display())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has faults: all of them, in the order of the file.
    #[error("{}", render_all(document, faults))]
    Invalid {
        /// The text they are in.
        document: Document,
        /// At least one.
        faults: Vec<Fault>,
    },
}

fn render_all(document: &Document, faults: &[Fault]) -> String {
    let rendered: Vec<_> = faults.iter().map(|fault| document.render("error", fault)).collect();
    rendered.join("\n\n")
}

/// A line of the file with every character of a secret replaced by a star, so that carets stay where they are.
fn masked(line: &str) -> String {
    let secret = secret_spans(line);
    line.char_indices()
        .map(|(at, c)| if secret.iter().any(|span| span.contains(&at)) { '*' } else { c })
        .collect()
}

fn secret_spans(line: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<_> = SECRET_KEYS.iter().filter_map(|key| value_span(line, key)).collect();
    for (scheme, _) in line.match_indices("://") {
        let url = &line[scheme..];
        let url = url.find(['"', '\'']).map_or(url, |end| &url[..end]);
        spans.extend(url::password_span(url).map(|span| scheme + span.start..scheme + span.end));
    }
    spans
}

/// The rest of the line after `key =`, unless it is `{`: then a file or a variable is named, which is no secret.
fn value_span(line: &str, key: &str) -> Option<Range<usize>> {
    let after_key = line.find(key)? + key.len();
    let value = after_key + line[after_key..].find('=')? + 1;
    let blanks = line[value..].len() - line[value..].trim_start().len();
    (!line[value + blanks..].starts_with('{')).then(|| value + blanks..line.len())
}
