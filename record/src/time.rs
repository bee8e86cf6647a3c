//! Moments: nanoseconds since 1970 with the precision that the line had, and RFC 3339 in both directions.
//!
//! Calendar arithmetic follows Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use std::fmt;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

const SECONDS_PER_DAY: i64 = 86_400;

/// A moment, in the range that `date_nanos` can hold (1970-01-01 to 2262-04-11), with its precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    nanos: i64,
    digits: u8,
}

impl Timestamp {
    /// Fewest digits of a second that are written.
    pub const DIGITS_MIN: u8 = 3;
    /// Most digits of a second that are kept.
    pub const DIGITS_MAX: u8 = 9;

    /// `nanos` since 1970-01-01T00:00:00Z, shown with `digits` digits of a second (held to 3..=9).
    /// Negative moments are none: the index cannot hold them.
    pub const fn from_nanos(nanos: i64, digits: u8) -> Option<Timestamp> {
        if nanos < 0 {
            return None;
        }
        let digits = match digits {
            0..=2 => Self::DIGITS_MIN,
            3..=8 => digits,
            _ => Self::DIGITS_MAX,
        };
        Some(Timestamp { nanos, digits })
    }

    /// From whole `seconds` since 1970 and `nanos` of a second.
    pub fn from_seconds(seconds: i64, nanos: u32, digits: u8) -> Option<Timestamp> {
        Self::from_nanos(seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(nanos))?, digits)
    }

    /// From a calendar date and time in a zone `offset_seconds` east of UTC. A leap second (60) counts as the
    /// next minute's first.
    pub fn from_civil(civil: &Civil, offset_seconds: i32, digits: u8) -> Option<Timestamp> {
        let seconds = civil.seconds()?.checked_sub(i64::from(offset_seconds))?;
        Self::from_seconds(seconds, civil.nanosecond, digits)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// How many digits of a second are shown.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// Reads RFC 3339 (`2026-11-20T21:39:19.123456789Z`): also a space or `t` for `T`, a comma before the
    /// fraction, `+0100` and `+01` for `+01:00`. More than nine digits are cut. A zone is required.
    pub fn parse_rfc3339(text: &[u8]) -> Option<Timestamp> {
        let (civil, digits, rest) = Civil::parse_iso(text)?;
        Self::from_civil(&civil, parse_zone(rest)?, digits)
    }

    /// Appends RFC 3339 in UTC, 24 to 30 bytes.
    pub fn push_rfc3339(self, out: &mut Vec<u8>) {
        let seconds = self.nanos / NANOS_PER_SECOND;
        // A moment is not negative and ends in 2262: 32 bits hold its days, and divide faster.
        let (year, month, day) = civil_from_days((seconds / SECONDS_PER_DAY) as u32);
        let second_of_day = (seconds % SECONDS_PER_DAY) as u32;
        let nanosecond = (self.nanos % NANOS_PER_SECOND) as u32;
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        put_pair(&mut text, 0, year / 100);
        put_pair(&mut text, 2, year % 100);
        put_pair(&mut text, 5, month);
        put_pair(&mut text, 8, day);
        put_pair(&mut text, 11, second_of_day / 3600);
        put_pair(&mut text, 14, second_of_day / 60 % 60);
        put_pair(&mut text, 17, second_of_day % 60);
        text[20] = b'0' + (nanosecond / 100_000_000) as u8;
        put_pair(&mut text, 21, nanosecond / 1_000_000 % 100);
        put_pair(&mut text, 23, nanosecond / 10_000 % 100);
        put_pair(&mut text, 25, nanosecond / 100 % 100);
        put_pair(&mut text, 27, nanosecond % 100);
        let end = 20 + usize::from(self.digits);
        text[end] = b'Z';
        out.extend_from_slice(&text[..=end]);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.push_rfc3339(&mut text);
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}

/// A date and time of day without a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Civil {
    /// Gregorian year, 0 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31, checked against the month.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// 0 to 999,999,999.
    pub nanosecond: u32,
}

impl Civil {
    /// Seconds since 1970 if the zone were UTC; none where a part is out of its range.
    pub fn seconds(&self) -> Option<i64> {
        let valid = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60;
        if !valid {
            return None;
        }
        let days = days_from_civil(self.year, self.month, self.day);
        let second_of_day =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(days * SECONDS_PER_DAY + second_of_day)
    }

    /// Reads `YYYY-MM-DD[T ]hh:mm:ss[.,]fraction` at the start of `text` (slashes for dashes too). Returns it
    /// with the number of fraction digits and what follows; ranges are checked by [`Civil::seconds`].
    pub fn parse_iso(text: &[u8]) -> Option<(Civil, u8, &[u8])> {
        let (head, rest) = text.split_at_checked(19)?;
        let head: &[u8; 19] = head.try_into().ok()?;
        let separators = matches!((head[4], head[7]), (b'-', b'-') | (b'/', b'/'))
            && matches!(head[10], b'T' | b' ' | b't' | b'_')
            && head[13] == b':'
            && head[16] == b':';
        if !separators {
            return None;
        }
        let mut civil = Civil {
            year: i32::from(two_digits(head[0], head[1])?) * 100 + i32::from(two_digits(head[2], head[3])?),
            month: two_digits(head[5], head[6])?,
            day: two_digits(head[8], head[9])?,
            hour: two_digits(head[11], head[12])?,
            minute: two_digits(head[14], head[15])?,
            second: two_digits(head[17], head[18])?,
            nanosecond: 0,
        };
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        Some((civil, digits, rest))
    }
}

/// Reads `.123` or `,123` at the start of `text`: nanoseconds, digits read (at most 9), and the rest. Without a
/// fraction: zero, zero, `text`.
pub fn parse_fraction(text: &[u8]) -> (u32, u8, &[u8]) {
    let [b'.' | b',', tail @ ..] = text else { return (0, 0, text) };
    let (mut number, mut digits) = (0u32, 0usize);
    while digits < 9
        && let Some(&byte @ b'0'..=b'9') = tail.get(digits)
    {
        number = number * 10 + u32::from(byte - b'0');
        digits += 1;
    }
    let rest = match digits {
        0 => return (0, 0, text),
        9 => &tail[tail.iter().take_while(|byte| byte.is_ascii_digit()).count()..],
        _ => &tail[digits..],
    };
    (number * UNITS[digits], digits as u8, rest)
}

/// How many nanoseconds the last digit of a fraction counts, by how many there are.
const UNITS: [u32; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];

/// Reads a numeric zone that is all of `text`: `Z`, `+hh:mm`, `+hhmm`, `+hh`. Seconds east of UTC.
pub fn parse_zone(text: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match *text {
        [b'Z' | b'z'] => return Some(0),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => (sign, two_digits(a, b)?, two_digits(c, d)?),
        [sign, a, b] => (sign, two_digits(a, b)?, 0),
        _ => return None,
    };
    if hours > 18 || minutes > 59 {
        return None;
    }
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// The number that two ASCII digits make.
pub const fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { None } else { Some(tens * 10 + ones) }
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let (mut pairs, mut number) = ([[b'0'; 2]; 100], 0);
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Writes a number below 100 as two digits at `at`.
#[inline]
fn put_pair(text: &mut [u8; 30], at: usize, number: u32) {
    text[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a Gregorian date.
const fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    /// With so many years more, no year from zero on is negative: 32 bits divide faster.
    const SHIFT: i32 = 400;
    const DAYS_OF_SHIFT: i64 = 146_097;
    let (month, day) = (month as u32, day as u32);
    let year = (year + SHIFT) as u32 - (month <= 2) as u32;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days as i64 - DAYS_OF_SHIFT - 719_468
}

/// The Gregorian date of a number of days since 1970-01-01, below 2^31.
const fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = Timestamp::parse_rfc3339(text.as_bytes()).map(|timestamp| timestamp.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn rfc_3339_and_its_usual_relatives_are_read() {
        check("2026-11-20T21:39:19Z", Some("2026-11-20T21:39:19.000Z"));
        check("2026-11-20T21:39:19.5Z", Some("2026-11-20T21:39:19.500Z"));
        check("2026-11-20 21:39:19,123456+01:00", Some("2026-11-20T20:39:19.123456Z"));
        check("2026-11-20T21:39:19.123456789123-0330", Some("2026-11-21T01:09:19.123456789Z"));
        check("2024-02-29T00:00:00+00", Some("2024-02-29T00:00:00.000Z"));
        check("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00.000Z"));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T21:39:19",
            "2026-11-20T21:39:19.Z",
            "2026-13-20T21:39:19Z",
            "2025-02-29T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2263-01-01T00:00:00Z",
            "2026-11-20T21:39:19+25:00",
            "2026-11-20T21:39:19Zx",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn any_moment_reads_back_as_itself(nanos in 0..i64::MAX) {
            let timestamp = Timestamp::from_nanos(nanos, 9).expect("not negative");
            prop_assert_eq!(Timestamp::parse_rfc3339(timestamp.to_string().as_bytes()), Some(timestamp));
        }
    }
}
