//! Values: what text means beside a field of a certain kind.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Bound;

use super::field::FieldPath;
use super::pattern::{Pattern, Piece};
use super::words::words;
use super::{Query, Test};
use crate::level::Level;
use crate::schema::{Field, Kind};
use crate::time::{Civil, NANOS_PER_SECOND, Timestamp};

pub(super) fn exists(path: FieldPath) -> Query {
    Query::Test(path, Test::Exists)
}

/// `field:value` and `field:"value"`.
pub(super) fn equals(path: FieldPath, text: &str) -> Result<Query, String> {
    let test = match path.kind() {
        Some(Kind::Text) if words(text).next().is_none() => return Ok(Query::All),
        Some(Kind::Text) => Test::Words(text.to_owned()),
        Some(Kind::Long) => {
            let number = integer(&path, text)?;
            Test::Integers(Bound::Included(number), Bound::Included(number))
        }
        Some(Kind::DateNanos) => {
            let (start, end) = moment(text)?;
            Test::Moments(Bound::Included(start), Bound::Excluded(end))
        }
        Some(Kind::Ip) => {
            let (first, last) = network(text)?;
            Test::Addresses(first, last)
        }
        Some(Kind::Keyword) if path == FieldPath::Schema(Field::LogLevel) => Test::Is(level_text(text)),
        Some(Kind::Keyword | Kind::ConstantKeyword) | None => Test::Is(text.to_owned()),
        Some(kind @ (Kind::Stored | Kind::Flattened | Kind::GeoPoint)) => {
            return Err(not_searched(&path, kind));
        }
    };
    Ok(Query::Test(path, test))
}

/// `field:abc*`; `field:*` means that it exists.
pub(super) fn like(path: FieldPath, pattern: Pattern) -> Result<Query, String> {
    let kind = path.kind();
    if pattern.is_any() && kind != Some(Kind::Stored) {
        return Ok(exists(path));
    }
    match kind {
        Some(Kind::Text) => Ok(word_patterns(&path, &pattern)),
        Some(Kind::Keyword) if path == FieldPath::Schema(Field::LogLevel) => {
            Ok(Query::Test(path, Test::Like(pattern.to_lowercase())))
        }
        Some(Kind::Keyword | Kind::ConstantKeyword) | None => Ok(Query::Test(path, Test::Like(pattern))),
        Some(Kind::Long) => Err(format!("{path} is a number: compare it, as in {path}>=500")),
        Some(Kind::DateNanos) => Err(format!("{path} is a moment: write {path}:2026-11-20, or a range")),
        Some(Kind::Ip) => Err(format!("{path} is an address: write a network, as in {path}:10.0.0.0/8")),
        Some(kind @ (Kind::Stored | Kind::Flattened | Kind::GeoPoint)) => Err(not_searched(&path, kind)),
    }
}

/// `field:[a TO b]` and comparisons.
pub(super) fn between(path: FieldPath, lower: Bound<String>, upper: Bound<String>) -> Result<Query, String> {
    let test = match path.kind() {
        Some(Kind::Long) => Test::Integers(
            try_map(lower, |text| integer(&path, &text))?,
            try_map(upper, |text| integer(&path, &text))?,
        ),
        Some(Kind::DateNanos) => moments(lower, upper)?,
        Some(Kind::Ip) => addresses(lower, upper)?,
        Some(Kind::Keyword) if path == FieldPath::Schema(Field::LogLevel) => {
            return levels(lower, upper);
        }
        Some(Kind::Keyword | Kind::ConstantKeyword) | None => Test::Between(lower, upper),
        Some(Kind::Text) => return Err(format!("{path} is text: it is searched by words, not by a range")),
        Some(kind @ (Kind::Stored | Kind::Flattened | Kind::GeoPoint)) => {
            return Err(not_searched(&path, kind));
        }
    };
    Ok(Query::Test(path, test))
}

fn not_searched(path: &FieldPath, kind: Kind) -> String {
    match kind {
        Kind::Stored => format!("{path} is shown but not searched"),
        Kind::GeoPoint => format!("{path} is a place: what can be asked is whether it is there, {path}:*"),
        _ => format!("{path} is an object: name one of its members, as in {path}.key:value"),
    }
}

/// A pattern on text, cut where words are cut: each part has to match a word.
fn word_patterns(path: &FieldPath, pattern: &Pattern) -> Query {
    let mut parts: Vec<Vec<Piece>> = vec![Vec::new()];
    for piece in pattern.to_lowercase().pieces() {
        let Piece::Text(text) = piece else {
            parts.last_mut().expect("never empty").push(Piece::Many);
            continue;
        };
        for character in text.chars() {
            if character.is_alphanumeric() || character == '_' {
                parts.last_mut().expect("never empty").push(Piece::Text(character.to_string()));
            } else {
                parts.push(Vec::new());
            }
        }
    }
    let mut tests: Vec<Query> = Vec::new();
    for pattern in parts.into_iter().map(Pattern::new) {
        if let Some(test) = word_test(&pattern) {
            tests.push(Query::Test(path.clone(), test));
        }
    }
    match tests.pop() {
        None => exists(path.clone()),
        Some(only) if tests.is_empty() => only,
        Some(last) => {
            tests.push(last);
            Query::And(tests)
        }
    }
}

/// A pattern without separators; none where any word would do. Scripts without spaces are indexed in pairs, so
/// there any text is found inside a longer one anyway: as words, and the wildcard goes.
fn word_test(pattern: &Pattern) -> Option<Test> {
    let text: String = pattern
        .pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Many => "",
        })
        .collect();
    if text.is_empty() {
        None
    } else if text == pattern.prefix() && pattern.pieces().len() == 1 || words(&text).nth(1).is_some() {
        Some(Test::Words(text))
    } else {
        Some(Test::WordPattern(pattern.clone()))
    }
}

fn level_text(text: &str) -> String {
    Level::from_name(text.as_bytes())
        .map_or_else(|| text.to_ascii_lowercase(), |level| level.as_str().to_owned())
}

/// Levels are compared by severity.
fn levels(lower: Bound<String>, upper: Bound<String>) -> Result<Query, String> {
    let level = |text: String| {
        Level::from_name(text.as_bytes()).ok_or_else(|| {
            let names: Vec<&str> = Level::ALL.iter().map(|level| level.as_str()).collect();
            format!("\"{text}\" is no level; they are {}", names.join(", "))
        })
    };
    let range = (try_map(lower, level)?, try_map(upper, level)?);
    let path = FieldPath::Schema(Field::LogLevel);
    let within = Level::ALL.iter().filter(|level| std::ops::RangeBounds::contains(&range, *level));
    Ok(Query::Or(
        within.map(|level| Query::Test(path.clone(), Test::Is(level.as_str().to_owned()))).collect(),
    ))
}

/// A whole number; durations may have a unit.
fn integer(path: &FieldPath, text: &str) -> Result<i64, String> {
    if *path == FieldPath::Schema(Field::EventDuration)
        && let Some(nanos) = duration(text)
    {
        return Ok(nanos);
    }
    text.parse().map_err(|_| {
        let hint = if *path == FieldPath::Schema(Field::EventDuration) {
            " of nanoseconds, or a duration such as 250ms"
        } else {
            ""
        };
        format!("{path} is compared with a whole number{hint}, not with \"{text}\"")
    })
}

fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 6] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9)];
    UNITS.iter().find_map(|(unit, nanos)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some((number * nanos) as i64)
    })
}

fn moments(lower: Bound<String>, upper: Bound<String>) -> Result<Test, String> {
    let lower = match lower {
        Bound::Included(text) => Bound::Included(moment(&text)?.0),
        Bound::Excluded(text) => Bound::Included(moment(&text)?.1),
        Bound::Unbounded => Bound::Unbounded,
    };
    let upper = match upper {
        Bound::Included(text) => Bound::Excluded(moment(&text)?.1),
        Bound::Excluded(text) => Bound::Excluded(moment(&text)?.0),
        Bound::Unbounded => Bound::Unbounded,
    };
    Ok(Test::Moments(lower, upper))
}

/// The nanoseconds `[start, end)` that `text` names: a day, a minute, a second or a part of one.
fn moment(text: &str) -> Result<(i64, i64), String> {
    let error = || format!("\"{text}\" is no moment: write 2026-11-20, or 2026-11-20T21:39:19Z");
    let padded = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let (_, digits, zone) = Civil::parse_iso(padded.as_bytes()).ok_or_else(error)?;
    let zoned = if zone.is_empty() { format!("{padded}Z") } else { padded };
    let start = Timestamp::parse_rfc3339(zoned.as_bytes()).ok_or_else(error)?.nanos();
    let length = match text.len() {
        10 => 86_400 * NANOS_PER_SECOND,
        16 => 60 * NANOS_PER_SECOND,
        _ => NANOS_PER_SECOND / 10i64.pow(u32::from(digits)),
    };
    Ok((start, start.saturating_add(length)))
}

fn addresses(lower: Bound<String>, upper: Bound<String>) -> Result<Test, String> {
    let beyond = "there is no address beyond this one";
    let first = match lower {
        Bound::Included(text) => network(&text)?.0,
        Bound::Excluded(text) => {
            u128::from(network(&text)?.1).checked_add(1).map(Ipv6Addr::from).ok_or(beyond)?
        }
        Bound::Unbounded => Ipv6Addr::UNSPECIFIED,
    };
    let last = match upper {
        Bound::Included(text) => network(&text)?.1,
        Bound::Excluded(text) => {
            u128::from(network(&text)?.0).checked_sub(1).map(Ipv6Addr::from).ok_or(beyond)?
        }
        Bound::Unbounded => Ipv6Addr::from(u128::MAX),
    };
    Ok(Test::Addresses(first, last))
}

/// First and last address of `10.0.0.0/8`, or of the network that one address alone is.
fn network(text: &str) -> Result<(Ipv6Addr, Ipv6Addr), String> {
    let error =
        || format!("\"{text}\" is no address: write 10.1.2.3, 2001:db8::1, or a network as 10.0.0.0/8");
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let (address, bits) = match address.parse().map_err(|_| error())? {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 32),
        IpAddr::V6(address) => (address, 128),
    };
    let prefix: u32 = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(error)?,
        None => bits,
    };
    let host_mask = u128::MAX.checked_shr(128 - bits + prefix).unwrap_or(0);
    let first = u128::from(address) & !host_mask;
    Ok((Ipv6Addr::from(first), Ipv6Addr::from(first | host_mask)))
}

fn try_map<T>(
    bound: Bound<String>,
    read: impl FnOnce(String) -> Result<T, String>,
) -> Result<Bound<T>, String> {
    Ok(match bound {
        Bound::Included(text) => Bound::Included(read(text)?),
        Bound::Excluded(text) => Bound::Excluded(read(text)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}
