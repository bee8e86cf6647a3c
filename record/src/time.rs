//! Moments: nanoseconds since 1970 with the precision that the line had, and RFC 3339 in both directions.
//!
//! Calendar arithmetic follows Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use std::fmt;

use crate::json::PAIRS;
use crate::scan::{leading_digits, words};

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
    #[inline]
    pub fn from_seconds(seconds: i64, nanos: u32, digits: u8) -> Option<Timestamp> {
        Self::from_nanos(seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(nanos))?, digits)
    }

    /// From a calendar date and time in a zone `offset_seconds` east of UTC. A leap second (60) counts as the
    /// next minute's first.
    #[inline]
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
        self.push_on(&mut Day::default(), out);
    }

    /// As [`push_rfc3339`](Self::push_rfc3339), where moments often are on the same day as the one before.
    #[inline]
    pub fn push_on(self, day: &mut Day, out: &mut Vec<u8>) {
        let seconds = self.nanos / NANOS_PER_SECOND;
        let number = (seconds / SECONDS_PER_DAY) as u32;
        if number != day.number {
            *day = Day::new(number);
        }
        let second_of_day = (seconds % SECONDS_PER_DAY) as u32;
        let nanosecond = (self.nanos % NANOS_PER_SECOND) as u32;
        let mut text = day.text;
        put_pair(&mut text, 11, second_of_day / 3600);
        put_pair(&mut text, 14, second_of_day / 60 % 60);
        put_pair(&mut text, 17, second_of_day % 60);
        let milli = nanosecond / 1_000_000;
        text[20] = b'0' + (milli / 100) as u8;
        put_pair(&mut text, 21, milli % 100);
        if self.digits > Self::DIGITS_MIN {
            put_pair(&mut text, 23, nanosecond / 10_000 % 100);
            put_pair(&mut text, 25, nanosecond / 100 % 100);
            put_pair(&mut text, 27, nanosecond % 100);
        }
        let end = 20 + usize::from(self.digits);
        text[end] = b'Z';
        let start = out.len();
        out.extend_from_slice(&text);
        out.truncate(start + end + 1);
    }
}

/// A day, as RFC 3339 writes its first moment.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    /// Since 1970-01-01.
    number: u32,
    text: [u8; 30],
}

impl Day {
    /// A moment is not negative and ends in 2262: 32 bits hold its days, and divide faster.
    fn new(number: u32) -> Day {
        let (year, month, day) = civil_from_days(number);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        put_pair(&mut text, 0, year / 100);
        put_pair(&mut text, 2, year % 100);
        put_pair(&mut text, 5, month);
        put_pair(&mut text, 8, day);
        Day { number, text }
    }
}

impl Default for Day {
    fn default() -> Day {
        Day::new(0)
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
    #[inline]
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
    #[inline]
    pub fn parse_iso(text: &[u8]) -> Option<(Civil, u8, &[u8])> {
        let (head, rest) = text.split_first_chunk::<19>()?;
        let (date, clock) = (u64::from_le_bytes(*head.first_chunk()?), *head.last_chunk()?);
        let separator = head[4];
        if !matches!(separator, b'-' | b'/') || !matches!(head[10], b'T' | b' ' | b't' | b'_') {
            return None;
        }
        let dates_separators = u64::from(separator) << 32 | u64::from(separator) << 56;
        let date = pairs(date ^ (DATE | dates_separators), DATE)?;
        let [hour, minute, second] = clock_parts(clock)?;
        let part = |at: u32| (date >> (8 * at)) as u8;
        let mut civil = Civil {
            year: i32::from(part(0)) * 100 + i32::from(part(2)),
            month: part(5),
            day: two_digits(head[8], head[9])?,
            hour,
            minute,
            second,
            nanosecond: 0,
        };
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        Some((civil, digits, rest))
    }
}

/// The digits of `YYYY-MM-` and of `hh:mm:ss`, each `0`, as little-endian words; and the latter with its colons.
const DATE: u64 = u64::from_le_bytes(*b"0000\x0000\x00");
const TIME_DIGITS: u64 = u64::from_le_bytes(*b"00\x0000\x0000");
const TIME: u64 = u64::from_le_bytes(*b"00:00:00");

/// The numbers that two neighbours make, each in the byte of its tens. `parts`: each byte the value of a digit, or zero
/// where a separator stands as it should; `digits` has `0` at the digits. None where a part is none of these.
#[inline]
const fn pairs(parts: u64, digits: u64) -> Option<u64> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // A digit above 9, or a separator above 0, carries into its byte's highest bit: 0x76 + 10, 0x7F + 1 are 0x80.
    let carry = ONES * 0x7F - (digits / 0x30) * 9;
    if (parts | parts.wrapping_add(carry)) & HIGH != 0 {
        return None;
    }
    Some(parts.wrapping_mul(10).wrapping_add(parts >> 8))
}

/// The second of the day that `hh:mm:ss` is, a leap second being the next minute's first.
#[inline]
pub fn second_of_day(text: [u8; 8]) -> Option<u32> {
    let [hour, minute, second] = clock_parts(text)?;
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second))
}

/// Hour, minute and second of `hh:mm:ss`, of two digits each.
#[inline]
fn clock_parts(text: [u8; 8]) -> Option<[u8; 3]> {
    let parts = pairs(u64::from_le_bytes(text) ^ TIME, TIME_DIGITS)?;
    Some([parts as u8, (parts >> 24) as u8, (parts >> 48) as u8])
}

/// Reads `.123` or `,123` at the start of `text`: nanoseconds, digits read (at most 9), and the rest. Without a
/// fraction: zero, zero, `text`.
#[inline]
pub fn parse_fraction(text: &[u8]) -> (u32, u8, &[u8]) {
    let [b'.' | b',', tail @ ..] = text else { return (0, 0, text) };
    let (mut number, mut digits) = leading_number(words(tail).0);
    if digits == 8
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

/// The number that the digits at the start of a little-endian word make, and how many there are.
/// <https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/>
#[inline]
const fn leading_number(text: u64) -> (u32, usize) {
    let digits = leading_digits(text);
    if digits == 0 {
        return (0, 0);
    }
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    let values = text ^ ZEROS;
    // With zeros before them, they are a number of eight digits.
    let values = values << (64 - 8 * digits);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    const FOURS: u64 = 0x0000_00FF_0000_00FF;
    let upper = (pairs & FOURS).wrapping_mul(100 + (1_000_000 << 32));
    let lower = (pairs >> 16 & FOURS).wrapping_mul(1 + (10_000 << 32));
    ((upper.wrapping_add(lower) >> 32) as u32, digits)
}

/// How many nanoseconds the last digit of a fraction counts, by how many there are.
const UNITS: [u32; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];

/// Reads a numeric zone that is all of `text`: `Z`, `+hh:mm`, `+hhmm`, `+hh`. Seconds east of UTC.
#[inline]
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
