//! The name of a service, guessed from the path of its log.

use std::path::Path;

/// Stems that say what a file holds, not whose it is: the directory's name is the better guess.
const GENERIC_STEMS: [&str; 17] = [
    "access",
    "app",
    "application",
    "current",
    "debug",
    "err",
    "error",
    "info",
    "log",
    "logs",
    "main",
    "messages",
    "out",
    "output",
    "server",
    "stderr",
    "stdout",
];

/// Directories that hold the logs of many.
const GENERIC_DIRECTORIES: [&str; 4] = ["log", "logs", "tmp", "var"];

/// Whether a name says what something holds, not whose it is.
pub(crate) fn says_nothing(name: &str) -> bool {
    name.is_empty() || GENERIC_STEMS.contains(&name)
}

/// Guesses the service of a log file: its stem, without rotation numbers, dates and `.log`; for a stem such as
/// `access`, the directory's name.
pub fn service_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let stem = stem(&name);
    if !says_nothing(&stem) {
        return stem;
    }
    let directory =
        path.ancestors().skip(1).filter_map(Path::file_name).map(|name| name.to_string_lossy().to_string());
    directory.into_iter().find(|name| !GENERIC_DIRECTORIES.contains(&name.as_str())).unwrap_or(stem)
}

/// `app-2026-11-20.log.1` -> `app`.
fn stem(name: &str) -> String {
    const SUFFIXES: [&str; 6] = [".log", ".json", ".txt", ".out", ".err", ".jsonl"];
    let mut stem = name;
    loop {
        let shorter = stem.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_'));
        // A name that is only digits and dots, or that a number belongs to (`log4j`, `db2`), stays.
        let cut = stem.len() - shorter.len();
        let rotation = cut > 1 && !shorter.is_empty();
        let without_number = if rotation { shorter } else { stem };
        let without_suffix =
            SUFFIXES.iter().find_map(|suffix| without_number.strip_suffix(suffix)).unwrap_or(without_number);
        if without_suffix == stem || without_suffix.is_empty() {
            return stem.to_owned();
        }
        stem = without_suffix;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_is_the_service_unless_it_says_nothing() {
        let check = |path: &str, expected: &str| assert_eq!(service_of(Path::new(path)), expected, "{path}");
        check("/var/log/checkout.log", "checkout");
        check("/var/log/checkout.log.1", "checkout");
        check("/var/log/checkout-2026-11-20.log", "checkout");
        check("/var/log/checkout-20261120.json", "checkout");
        check("/var/log/nginx/access.log", "nginx");
        check("/var/log/nginx/error.log.2", "nginx");
        check("/var/log/syslog", "syslog");
        check("/srv/payments/logs/app.log", "payments");
        check("/var/log/app.log", "app");
        check("/var/log/db2.log", "db2");
        check("/var/log/auth.log", "auth");
        check("relative.log", "relative");
        check("app.log", "app");
    }
}
