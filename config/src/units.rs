//! Durations and sizes: a whole number and a unit, in one string.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const MILLISECONDS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Why a duration or a size cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: write a whole number and a unit ({units}), such as \"{example}\"")]
pub struct UnitError {
    text: String,
    what: &'static str,
    units: &'static str,
    example: &'static str,
}

/// Parses a duration such as `50ms`, `10s`, `5m`, `1h`, `14d` or `2w`; a blank may stand before the unit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse(text, &MILLISECONDS).map(Duration::from_millis).ok_or_else(|| UnitError {
        text: text.into(),
        what: "duration",
        units: "ms, s, m, h, d, w",
        example: "14d",
    })
}

/// Parses a size in bytes such as `65300B`, `8MiB` (2^20) or `8MB` (10^6); a blank may stand before the unit.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse(text, &SIZES).ok_or_else(|| UnitError {
        text: text.into(),
        what: "size",
        units: "B, kB, MB, GB, KiB, MiB, GiB, TiB",
        example: "8MiB",
    })
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
