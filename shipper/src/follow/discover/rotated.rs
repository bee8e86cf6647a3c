//! Names that a rotation gives.

use std::path::Path;

/// Endings of files that a rotation has compressed in a way that cannot be read.
const UNREADABLE: [&str; 3] = ["xz", "lz4", "zip"];

/// Endings of files that a rotation has compressed.
pub const COMPRESSED: [&str; 3] = ["gz", "zst", "bz2"];

/// Whether a file has a name that says that it was rotated away from `base`.
pub fn is_rotated(base: &Path, other: &Path) -> bool {
    fn name(path: &Path) -> Option<&str> {
        path.file_name().and_then(|name| name.to_str())
    }
    base.parent() == other.parent()
        && name(base).zip(name(other)).is_some_and(|(name, other)| is_rotated_from(name, other))
}

/// Whether `other` says that it was rotated away from `name`: `app.log.1`, `app.log-20261120.gz`,
/// `app-2026-11-20.log`, `app.log.gz`.
pub fn is_rotated_from(name: &str, other: &str) -> bool {
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
    after_name.is_some_and(|rest| numbered(rest) || rest == ".old") || inside.is_some_and(numbered)
}

/// What every name that was rotated away from `name` begins with.
pub fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_recognised() {
        let check = |name: &str, other: &str, expected: bool| {
            assert_eq!(is_rotated_from(name, other), expected, "{name} {other}");
            assert!(!expected || other.starts_with(stem(name)), "{name} {other}");
        };
        check("app.log", "app.log.1", true);
        check("app.log", "app.log-20261120", true);
        check("app.log", "app-2026-11-20.log", true);
        check("app.log", "app.1.log", true);
        check("app.log", "app.log", false);
        check("app.log", "app.log.gz", true);
        check("app.log", "app.log.2.gz", true);
        check("app.log", "app-2026-11-20.log.zst", true);
        check("app.log", "app.log.old", true);
        check("app.log", "app.log.2.xz", false);
        check("app.log", "app.gz", false);
        check("app.log", "app.log.bak", false);
        check("app.log", "application.log", false);
        check("app.log", "app-worker.log", false);
        check("app.log", "app-worker.log.gz", false);
        check("syslog", "syslog.1", true);
        check("0.log", "0.log.20261120-101010", true);
    }
}
