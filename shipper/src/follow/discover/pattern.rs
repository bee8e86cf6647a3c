//! The path patterns of one source, part by part: what the walk needs to go down, and to say whether a path would be
//! found.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::settings::SourceSettings;

const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The globs of one source, read once.
pub struct Globs {
    patterns: Vec<PathPattern>,
    excluded: Vec<Pattern>,
}

/// A pattern, cut at its separators.
pub struct PathPattern {
    /// What stands before the first part: `/`, or nothing.
    pub root: PathBuf,
    /// One for each name on the way down.
    pub parts: Vec<Part>,
}

/// One part of a pattern.
pub enum Part {
    /// This very name.
    Literal(OsString),
    /// Names that match.
    Glob(Pattern),
    /// Any number of directories (`**`), none of them hidden or a symbolic link: a link could lead round in circles.
    AnyDepth,
}

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the path pattern `{pattern}` is not a glob: {reason}")]
pub struct GlobError {
    pattern: String,
    reason: &'static str,
}

impl Globs {
    /// Checks the patterns of a source. A directory means every file below it; a path that exists means itself,
    /// whatever brackets its name has. What is excluded is a path or a name, of a file or of a directory on the way.
    pub fn new(source: &SourceSettings) -> Result<Globs, GlobError> {
        let patterns = source.paths.iter().map(|path| PathPattern::new(path)).collect::<Result<_, _>>()?;
        let exclude =
            |pattern: &String| Pattern::new(pattern).map_err(|error| GlobError::new(pattern, &error));
        let excluded = source.exclude.iter().map(exclude).collect::<Result<_, _>>()?;
        Ok(Globs { patterns, excluded })
    }

    /// The patterns.
    pub fn patterns(&self) -> &[PathPattern] {
        &self.patterns
    }

    /// Whether a path would be found if it were there.
    pub fn matches(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path) && !self.is_excluded_below(pattern, path))
    }

    /// Whether this very path, or its name, is excluded.
    pub fn is_excluded(&self, path: &Path) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        self.excluded.iter().any(|pattern| pattern.matches_path(path) || pattern.matches(&name))
    }

    /// Whether a path, or a directory on the way to it that the pattern does not name literally, is excluded.
    fn is_excluded_below(&self, pattern: &PathPattern, path: &Path) -> bool {
        let literal = pattern.literal_directory();
        path.ancestors().take_while(|above| *above != literal).any(|above| self.is_excluded(above))
    }
}

impl PathPattern {
    fn new(path: &str) -> Result<PathPattern, GlobError> {
        let exists = Path::new(path).exists();
        let mut root = PathBuf::new();
        let mut parts = Vec::new();
        for component in Path::new(path).components() {
            match component {
                Component::Prefix(_) | Component::RootDir => root.push(component),
                Component::CurDir | Component::ParentDir => {
                    parts.push(Part::Literal(component.as_os_str().into()))
                }
                Component::Normal(name) => {
                    parts.push(Part::new(name, exists).map_err(|e| GlobError::new(path, &e))?)
                }
            }
        }
        Ok(PathPattern { root, parts })
    }

    /// The directory that is named without wildcards: below it, files are looked for.
    pub fn literal_directory(&self) -> PathBuf {
        let names = self.parts.iter().map_while(|part| match part {
            Part::Literal(name) => Some(name),
            Part::Glob(_) | Part::AnyDepth => None,
        });
        let mut path = self.root.clone();
        path.extend(names.take(self.parts.len().saturating_sub(1)));
        path
    }

    fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        if below.has_root() {
            return false;
        }
        let names: Vec<&OsStr> = below.components().map(Component::as_os_str).collect();
        matches_names(&self.parts, &names)
    }
}

fn matches_names(parts: &[Part], names: &[&OsStr]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((Part::AnyDepth, [])), Some(_)) => !names.iter().any(|name| is_hidden(name)),
        // Zero directories, or one more.
        (Some((Part::AnyDepth, rest)), Some((name, below))) => {
            matches_names(rest, names) || (!is_hidden(name) && matches_names(parts, below))
        }
        // A directory that is named as a whole: all that is below it.
        (Some((Part::Literal(part), [])), Some((name, below))) => {
            part == name && !below.iter().any(|name| is_hidden(name))
        }
        (Some((part, rest)), Some((name, below))) => part.matches(name) && matches_names(rest, below),
    }
}

/// Whether wildcards leave a name alone.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

impl Part {
    fn new(name: &OsStr, exists: bool) -> Result<Part, glob::PatternError> {
        let text = name.to_string_lossy();
        if exists || !text.contains(['*', '?', '[']) {
            return Ok(Part::Literal(name.into()));
        }
        if text == "**" { Ok(Part::AnyDepth) } else { Pattern::new(&text).map(Part::Glob) }
    }

    /// Whether one name matches.
    pub fn matches(&self, name: &OsStr) -> bool {
        match self {
            Part::Literal(part) => part == name,
            Part::Glob(pattern) => pattern.matches_with(&name.to_string_lossy(), MATCH),
            Part::AnyDepth => !is_hidden(name),
        }
    }
}

impl GlobError {
    fn new(pattern: &str, error: &glob::PatternError) -> GlobError {
        GlobError { pattern: pattern.to_owned(), reason: error.msg }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_part_by_part() {
        let check = |pattern: &str, path: &str, expected| {
            let globs = Globs::new(&SourceSettings::new(vec![pattern.into()])).expect("a glob");
            assert_eq!(globs.matches(Path::new(path)), expected, "{pattern} {path}");
        };
        check("/nowhere/*.log", "/nowhere/a.log", true);
        check("/nowhere/*.log", "/nowhere/.a.log", false);
        check("/nowhere/*.log", "/nowhere/b/a.log", false);
        check("/nowhere/*/a.log", "/nowhere/b/a.log", true);
        check("/nowhere/**/*.log", "/nowhere/a.log", true);
        check("/nowhere/**/*.log", "/nowhere/b/c/a.log", true);
        check("/nowhere/**/*.log", "/nowhere/.b/a.log", false);
        check("/nowhere/**", "/nowhere/b/c", true);
        check("/nowhere/a.log", "/nowhere/a.log", true);
        check("/nowhere/a.log", "/nowhere/a.log.1", false);
        check("/nowhere/logs", "/nowhere/logs/b/a.log", true);
        check("logs/*.log", "logs/a.log", true);
        check("logs/*.log", "/logs/a.log", false);
        check("*.log", "a.log", true);
    }

    #[test]
    fn what_is_excluded_is_a_path_a_name_or_a_directory_below_the_literal_one() {
        let check = |exclude: &str, path: &str, expected| {
            let mut source = SourceSettings::new(vec!["/nowhere/log/**/*.log".into()]);
            source.exclude.push(exclude.into());
            assert_eq!(
                Globs::new(&source).expect("globs").matches(Path::new(path)),
                expected,
                "{exclude} {path}"
            );
        };
        check("*.tmp.log", "/nowhere/log/a.tmp.log", false);
        check("/nowhere/log/old/*", "/nowhere/log/old/a.log", false);
        check("old", "/nowhere/log/old/deep/a.log", false);
        check("log", "/nowhere/log/a.log", true);
    }
}
