//! Moments as clients write them.

use weir_record::Timestamp;

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

const UNITS: [(&str, i64); 6] = [
    ("ms", NANOS_PER_MILLISECOND),
    ("s", 1_000 * NANOS_PER_MILLISECOND),
    ("m", 60_000 * NANOS_PER_MILLISECOND),
    ("h", 3_600_000 * NANOS_PER_MILLISECOND),
    ("d", 86_400_000 * NANOS_PER_MILLISECOND),
    ("w", 604_800_000 * NANOS_PER_MILLISECOND),
];

/// Reads RFC 3339, milliseconds since 1970, `now`, or `now` less a duration such as `15m`: nanoseconds since 1970.
pub(super) fn parse(text: &str, now: i64) -> Option<i64> {
    if text == "now" {
        return Some(now);
    }
    if let Some(duration) = text.strip_prefix("now-") {
        return now.checked_sub(parse_duration(duration)?).map(|moment| moment.max(0));
    }
    if let Ok(milliseconds) = text.parse::<u64>() {
        return i64::try_from(milliseconds).ok()?.checked_mul(NANOS_PER_MILLISECOND);
    }
    Timestamp::parse_rfc3339(text.as_bytes()).map(Timestamp::nanos)
}

fn parse_duration(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<i64>().ok()?.checked_mul(*nanos)
}

/// Whole milliseconds, rounded down.
pub(super) fn to_milliseconds(nanos: i64) -> i64 {
    nanos.div_euclid(NANOS_PER_MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        const NOW: i64 = 1_800_000_000_000_000_000;
        assert_eq!(parse(text, NOW), expected, "{text}");
    }

    #[test]
    fn moments_are_absolute_or_relative_to_now() {
        check("now", Some(1_800_000_000_000_000_000));
        check("now-15m", Some(1_799_999_100_000_000_000));
        check("now-250ms", Some(1_799_999_999_750_000_000));
        check("now-9999w", Some(0));
        check("1700000000123", Some(1_700_000_000_123_000_000));
        check("2026-11-20T21:39:19.123456789Z", Some(1_795_210_759_123_456_789));
        check("2026-11-20T22:39:19+01:00", Some(1_795_210_759_000_000_000));
    }

    #[test]
    fn other_text_is_no_moment() {
        for text in ["", "yesterday", "now-", "now-m", "now-5y", "now-99999999999999999999s", "now+1m", "-5"]
        {
            check(text, None);
        }
        check("18446744073709551615", None);
        check("2026-11-20T21:39:19", None);
    }
}
