//! Years of rotated files at once: which is read first, which records are wanted, and how far it is.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weir_config::parse_duration;

/// Endings that rotation and compression add, and that say nothing about the age.
const ENDINGS: [&str; 8] = [".gz", ".zst", ".bz2", ".log", ".json", ".txt", ".out", ".err"];

/// What stands between a name, its date and its number.
const SEPARATORS: [char; 6] = ['.', '-', '_', ':', 'T', 'Z'];

/// The event times that are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// First moment, nanoseconds since 1970.
    pub from: Option<i64>,
    /// First moment behind.
    pub to: Option<i64>,
}

impl Period {
    /// Whether every time is wanted.
    pub fn is_all(&self) -> bool {
        *self == Period::default()
    }

    /// Whether an event of this time is wanted.
    pub fn contains(&self, nanos: i64) -> bool {
        self.from.is_none_or(|from| nanos >= from) && self.to.is_none_or(|to| nanos < to)
    }

    /// Whether a file that was last written at `modified` can hold anything wanted.
    pub fn may_reach(&self, modified: SystemTime) -> bool {
        let Some(from) = self.from else { return true };
        let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        modified.as_nanos() as i128 >= i128::from(from)
    }
}

/// A moment on the command line is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time: write 2026-11-01, 2026-11-01T10:00, 2026-11-01T10:00:00Z, or 7d for seven days ago"
)]
pub struct MomentError(String);

/// Reads a moment: RFC 3339; a date, or a date and time, in the zone of this machine; or how long ago.
///
/// # Errors
/// It is none of these.
pub fn moment(text: &str, now: SystemTime) -> Result<i64, MomentError> {
    let fault = || MomentError(text.to_owned());
    let nanos = if let Ok(ago) = parse_duration(text) {
        let moment = now.checked_sub(ago).ok_or_else(fault)?;
        moment.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| fault())?.as_nanos() as i128
    } else if let Ok(moment) = text.parse::<Timestamp>() {
        moment.as_nanosecond()
    } else {
        let civil = text.parse::<DateTime>().map_err(|_| fault())?;
        civil.to_zoned(TimeZone::system()).map_err(|_| fault())?.timestamp().as_nanosecond()
    };
    i64::try_from(nanos).map_err(|_| fault())
}

/// A file to be read.
#[derive(Clone, Debug)]
pub struct Candidate<T> {
    /// Where it is.
    pub path: PathBuf,
    /// When it was last written.
    pub modified: SystemTime,
    /// Whose it is.
    pub what: T,
}

/// What a name says about the age of its file, within its family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Age {
    /// Directory and name without what rotation adds.
    family: PathBuf,
    /// Year to second, `20261120000000`; none where the name has no date.
    date: Option<u64>,
    /// The rotation's number.
    number: Option<u64>,
}

/// Sorts files: those of one family together, the oldest first. A date counts before a number; of two files with one
/// date the lower number is older, of two without a date the higher one, unless the times of writing say otherwise;
/// the file without either is the one that is written to.
pub fn oldest_first<T>(files: &mut [Candidate<T>]) {
    let ages = |file: &Candidate<T>| Age::of(&file.path);
    let rising = rising_families(files);
    files.sort_by(|one, other| {
        let (a, b) = (ages(one), ages(other));
        a.family.cmp(&b.family).then_with(|| {
            let is_rising = rising.contains(&a.family);
            a.compare(&b, is_rising).then_with(|| one.modified.cmp(&other.modified))
        })
    });
}

/// The families whose numbers rise with time: most files with a higher number were written later.
fn rising_families<T>(files: &[Candidate<T>]) -> Vec<PathBuf> {
    let mut numbered: Vec<(Age, SystemTime)> = files
        .iter()
        .map(|file| (Age::of(&file.path), file.modified))
        .filter(|(age, _)| age.date.is_none() && age.number.is_some())
        .collect();
    numbered.sort_by(|a, b| (&a.0.family, a.0.number).cmp(&(&b.0.family, b.0.number)));
    let votes = numbered.chunk_by(|a, b| a.0.family == b.0.family).filter_map(|family| {
        let vote = |pair: &[(Age, SystemTime)]| match pair[0].1.cmp(&pair[1].1) {
            Ordering::Less => 1,
            Ordering::Equal => 0,
            Ordering::Greater => -1,
        };
        let rising: i32 = family.windows(2).map(vote).sum();
        (rising > 0).then(|| family[0].0.family.clone())
    });
    votes.collect()
}

impl Age {
    fn of(path: &Path) -> Age {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = without_endings(&name);
        let is_of_rotation = |c: char| c.is_ascii_digit() || SEPARATORS.contains(&c);
        let base = stem.trim_end_matches(is_of_rotation);
        let tail = &stem[base.len()..];
        let (date, number) = if base.is_empty() || tail.starts_with(SEPARATORS) {
            read_rotation(tail)
        } else {
            // A number that belongs to the name: `db2`.
            (None, None)
        };
        let is_rotated = date.is_some() || number.is_some() && !base.is_empty();
        let family = if is_rotated { without_endings(base) } else { stem };
        Age { family: path.with_file_name(family), date, number: number.filter(|_| is_rotated) }
    }

    fn compare(&self, other: &Age, is_rising: bool) -> Ordering {
        match (self.date, other.date) {
            (Some(a), Some(b)) => a.cmp(&b).then(self.number.cmp(&other.number)),
            (Some(_), None) if other.number.is_none() => Ordering::Less,
            (None, Some(_)) if self.number.is_none() => Ordering::Greater,
            (None, None) => match (self.number, other.number) {
                (Some(a), Some(b)) if is_rising => a.cmp(&b),
                (Some(a), Some(b)) => b.cmp(&a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
            // A date beside a number: only the times of writing tell.
            _ => Ordering::Equal,
        }
    }
}

fn without_endings(name: &str) -> &str {
    let mut stem = name;
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter;
    }
    stem
}

/// The date and the number of `-2026-11-20.3`, `.20261121-100000`, `.1`.
fn read_rotation(tail: &str) -> (Option<u64>, Option<u64>) {
    let parts: Vec<&str> =
        tail.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let is_year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    let mut date = String::new();
    let mut used = 0;
    for part in &parts {
        let fits = match date.len() {
            0 => (8..=14).contains(&part.len()) || is_year(part) && parts.len() > 1,
            length => matches!(part.len(), 2 | 4 | 6) && length + part.len() <= 14,
        };
        if !fits {
            break;
        }
        date.push_str(part);
        used += 1;
    }
    let number = parts.get(used).and_then(|part| part.parse().ok());
    let date = (date.len() >= 6).then(|| format!("{date:0<14}").parse().ok()).flatten();
    (date, number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Sorts the names, each written so many minutes after the one before it in `written`.
    fn sorted(names: &[&str], written: &[&str]) -> Vec<String> {
        let minute = |name: &&str| written.iter().position(|other| other == name).unwrap_or(0) as u64 * 60;
        let candidate = |name: &&str| Candidate {
            path: Path::new("/var/log").join(name),
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + minute(name)),
            what: (),
        };
        let mut files: Vec<Candidate<()>> = names.iter().map(candidate).collect();
        oldest_first(&mut files);
        let name =
            |file: &Candidate<()>| file.path.strip_prefix("/var/log").expect("below").display().to_string();
        files.iter().map(name).collect()
    }

    #[test]
    fn numbers_grow_with_age_and_the_file_without_one_is_the_newest() {
        let names = ["app.log", "app.log.1", "app.log.10.gz", "app.log.2.gz", "app.log.9.gz"];
        let expected = ["app.log.10.gz", "app.log.9.gz", "app.log.2.gz", "app.log.1", "app.log"];
        assert_eq!(sorted(&names, &[]), expected);
    }

    #[test]
    fn numbers_that_the_times_of_writing_contradict_shrink_with_age() {
        let names = ["app.log", "app.3.log", "app.1.log", "app.2.log"];
        let expected = ["app.1.log", "app.2.log", "app.3.log", "app.log"];
        assert_eq!(sorted(&names, &expected), expected);
    }

    #[test]
    fn dates_count_before_numbers_whatever_way_they_are_written() {
        let check = |expected: &[&str]| {
            let mut names = expected.to_vec();
            names.reverse();
            assert_eq!(sorted(&names, &[]), expected);
        };
        check(&["app.log-20251231.gz", "app.log-20260101.gz", "app.log-20260102", "app.log"]);
        check(&["app-2026-11-20.1.log", "app-2026-11-20.2.log", "app-2026-11-21.1.log", "app.log"]);
        check(&["0.log.20261121-095959.gz", "0.log.20261121-100000", "0.log"]);
        check(&["app.log.2026-11-20T09", "app.log.2026-11-20T10", "app.log"]);
        check(&["2026-11-20.log", "2026-11-21.log"]);
        check(&["app.log.2026-10", "app.log.2026-11", "app.log"]);
    }

    #[test]
    fn families_stay_together_and_equal_names_go_by_the_time_of_writing() {
        let names = ["b.log", "a.log.1", "b.log.1", "a.log", "db2.log", "db2.log.1"];
        assert_eq!(sorted(&names, &[]), ["a.log.1", "a.log", "b.log.1", "b.log", "db2.log.1", "db2.log"]);
        assert_eq!(sorted(&["x.log.gz", "x.log"], &["x.log.gz", "x.log"]), ["x.log.gz", "x.log"]);
    }

    #[test]
    fn moments_are_dates_times_and_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let second = 1_000_000_000;
        assert_eq!(moment("1970-01-02T00:00:00Z", now), Ok(86_400 * second));
        assert_eq!(moment("1970-01-02T01:00:00.5+01:00", now), Ok(86_400 * second + second / 2));
        assert_eq!(moment("1d", now), Ok((1_000_000 - 86_400) * second));
        let midnight = moment("2026-11-01", now).expect("a date");
        assert_eq!(moment("2026-11-01T10:30", now), Ok(midnight + (10 * 60 + 30) * 60 * second));
        assert!(moment("yesterday", now).is_err());
        let period = Period { from: Some(5), to: Some(7) };
        assert_eq!([4, 5, 6, 7].map(|nanos| period.contains(nanos)), [false, true, true, false]);
    }
}
