//! Named patterns: the usual ones of Logstash, and those of the configuration.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::PatternError;

/// Logstash's format: a name, a blank, the pattern; `#` begins a comment's line.
const FILES: [&str; 3] = [
    include_str!("library/base.grok"),
    include_str!("library/services.grok"),
    include_str!("library/networks.grok"),
];

static BUILT_IN: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = FILES.iter().flat_map(|file| file.lines());
    lines.filter_map(|line| definition(line).ok().flatten()).collect()
});

/// The patterns that others may name: the built-in ones, and own ones, which win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternLibrary {
    own: BTreeMap<String, String>,
}

impl PatternLibrary {
    /// Adds a pattern.
    pub fn add(&mut self, name: &str, pattern: &str) {
        self.own.insert(name.to_owned(), pattern.to_owned());
    }

    /// Adds the patterns of a file in Logstash's format.
    ///
    /// # Errors
    /// A line that is no definition.
    pub fn add_file(&mut self, text: &str) -> Result<(), PatternError> {
        for (at, line) in text.lines().enumerate() {
            match definition(line) {
                Ok(Some((name, pattern))) => self.add(name, pattern),
                Ok(None) => {}
                Err(()) => return Err(PatternError::Definition { line: at + 1 }),
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(String::as_str).or_else(|| BUILT_IN.get(name).copied())
    }

    /// The name that is most like an unknown one.
    pub(super) fn nearest(&self, name: &str) -> Option<String> {
        let names = self.own.keys().map(String::as_str).chain(BUILT_IN.keys().copied());
        names
            .map(|known| (distance(known, name), known))
            .min()
            .filter(|(distance, _)| *distance <= 2)
            .map(|(_, known)| known.to_owned())
    }

    /// The names of the built-in patterns.
    #[cfg(test)]
    pub(super) fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.keys().copied()
    }
}

/// Reads a line of a file of patterns; none for a blank line or a comment.
fn definition(line: &str) -> Result<Option<(&str, &str)>, ()> {
    let line = line.trim_end_matches('\r');
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, pattern) = line.split_once([' ', '\t']).ok_or(())?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let pattern = pattern.trim_start();
    if is_name && !pattern.is_empty() { Ok(Some((name, pattern))) } else { Err(()) }
}

/// How many letters have to be changed, added or taken away (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, b) in other.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
