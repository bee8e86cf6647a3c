//! Which files there are: globs, and the rotated siblings of files that are followed.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::settings::SourceSettings;

const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Endings of files that a rotation has compressed in a way that cannot be read.
const UNREADABLE: [&str; 3] = ["xz", "lz4", "zip"];

/// Endings of files that a rotation has compressed.
pub const COMPRESSED: [&str; 3] = ["gz", "zst", "bz2"];

/// A file that a source wants.
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What the system says of it, symbolic links followed.
    pub metadata: Metadata,
    /// Index of its source.
    pub source: usize,
}

/// The globs of one source, read once.
pub struct Globs {
    patterns: Vec<(String, Pattern)>,
    excluded: Vec<Pattern>,
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
    /// whatever brackets its name has.
    pub fn new(source: &SourceSettings) -> Result<Globs, GlobError> {
        let read = |path: &String| {
            let pattern = to_pattern(path);
            compile(&pattern).map(|compiled| (pattern, compiled))
        };
        let patterns = source.paths.iter().map(read).collect::<Result<_, _>>()?;
        let excluded = source.exclude.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        Ok(Globs { patterns, excluded })
    }

    /// Every file that matches now, unordered. What vanishes or cannot be looked at is left out: the next scan
    /// sees it.
    pub fn scan(&self, source: usize) -> Vec<Found> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (pattern, _) in &self.patterns {
            let Ok(paths) = glob::glob_with(pattern, MATCH) else { continue };
            for path in paths.filter_map(Result::ok) {
                if self.is_excluded(&path) || !seen.insert(path.clone()) {
                    continue;
                }
                if let Ok(metadata) = fs::metadata(&path)
                    && !metadata.is_dir()
                {
                    found.push(Found { path, metadata, source });
                }
            }
        }
        found
    }

    /// The directories that the patterns name without wildcards: where to watch for changes.
    pub fn roots(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.patterns.iter().map(|(pattern, _)| {
            let literal: PathBuf = Path::new(pattern)
                .components()
                .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
                .collect();
            if literal.is_dir() {
                literal
            } else {
                literal.parent().map(Path::to_path_buf).unwrap_or_default()
            }
        })
    }

    /// Whether a path would be found if it were there.
    pub fn matches(&self, path: &Path) -> bool {
        self.patterns.iter().any(|(_, pattern)| pattern.matches_path_with(path, MATCH))
            && !self.is_excluded(path)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        self.excluded.iter().any(|pattern| pattern.matches_path(path) || pattern.matches(&name))
    }
}

/// The files beside `path` whose names say that they were rotated away from it: `app.log.1`, `app.log-20261120`,
/// `app-2026-11-20.log`, `app.log.2.gz`.
pub fn rotated_siblings(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| is_rotated_from(name, other)))
        .filter_map(|entry| Some((entry.path(), fs::metadata(entry.path()).ok()?)))
        .filter(|(_, metadata)| metadata.is_file())
        .collect()
}

/// Whether a file has a name that says that it was rotated away from `base`.
pub fn is_rotated(base: &Path, other: &Path) -> bool {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    base.parent() == other.parent()
        && matches!((name(base), name(other)), (Some(name), Some(other)) if is_rotated_from(&name, &other))
}

fn is_rotated_from(name: &str, other: &str) -> bool {
    let (plain, ending) = other.rsplit_once('.').unwrap_or((other, ""));
    if other == name || UNREADABLE.contains(&ending) {
        return false;
    }
    if COMPRESSED.contains(&ending) {
        // A name with a date may be compressed under itself: `app-2026-11-20.log.gz`.
        return plain == name || is_rotated_from(name, plain);
    }
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let numbered =
        |rest: &str| rest.starts_with(['.', '-', '_']) && rest.contains(|c: char| c.is_ascii_digit());
    let after_name = other.strip_prefix(name);
    let inside = other.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending));
    after_name.is_some_and(numbered) || inside.is_some_and(numbered)
}

fn to_pattern(path: &str) -> String {
    let literal = Path::new(path);
    if literal.is_dir() {
        return format!("{}/**/*", Pattern::escape(path.trim_end_matches('/')));
    }
    if literal.exists() { Pattern::escape(path) } else { path.to_owned() }
}

fn compile(pattern: &str) -> Result<Pattern, GlobError> {
    Pattern::new(pattern).map_err(|error| GlobError { pattern: pattern.to_owned(), reason: error.msg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_recognised() {
        let check =
            |name, other, expected| assert_eq!(is_rotated_from(name, other), expected, "{name} {other}");
        check("app.log", "app.log.1", true);
        check("app.log", "app.log-20261120", true);
        check("app.log", "app-2026-11-20.log", true);
        check("app.log", "app.1.log", true);
        check("app.log", "app.log", false);
        check("app.log", "app.log.2.gz", true);
        check("app.log", "app.log.zst", true);
        check("app.log", "app.log.2.xz", false);
        check("app.log", "app.gz", false);
        check("app.log", "app.log.bak", false);
        check("app.log", "application.log", false);
        check("app.log", "app-worker.log", false);
        check("syslog", "syslog.1", true);
    }

    #[test]
    fn directories_literal_paths_and_globs_are_scanned_and_exclusions_left_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        fs::create_dir_all(root.join("a/b")).expect("made");
        for name in ["a/one.log", "a/b/two.log", "a/b/three.tmp", "odd[1].log"] {
            fs::write(root.join(name), "x\n").expect("written");
        }
        let scan = |paths: &[&str], exclude: &[&str]| {
            let mut source =
                SourceSettings::new(paths.iter().map(|p| format!("{}/{p}", root.display())).collect());
            source.exclude = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
            let found = Globs::new(&source).expect("globs").scan(0);
            let mut names: Vec<String> = found
                .iter()
                .map(|found| found.path.strip_prefix(root).expect("below").display().to_string())
                .collect();
            names.sort();
            names
        };
        assert_eq!(scan(&["a"], &[]), ["a/b/three.tmp", "a/b/two.log", "a/one.log"]);
        assert_eq!(scan(&["a", "a/*.log"], &["*.tmp"]), ["a/b/two.log", "a/one.log"]);
        assert_eq!(scan(&["a/**/*.log"], &[]), ["a/b/two.log", "a/one.log"]);
        assert_eq!(scan(&["odd[1].log"], &[]), ["odd[1].log"]);
        assert!(Globs::new(&SourceSettings::new(vec!["a[".into()])).is_err());
    }
}
