//! Time stamps as log lines write them, read at the start of a text.

use memchr::memchr;
use weir_record::Timestamp;
use weir_record::time::{Civil, parse_fraction, two_digits};

use super::zone::{Clock, abbreviation};

/// The shortest text that a time stamp with a date can be: `Nov  2 21:39:19`.
const SHORTEST: usize = 15;

impl Clock {
    /// Reads a time stamp at the start of `text`; returns it with its length.
    ///
    /// Read are RFC 3339 and its relatives (`2026-11-20 21:39:19,123`, slashes, no zone, ` +0100`, ` UTC`), the
    /// access log's `20/Nov/2026:21:39:19 +0100`, `20 Nov 2026 21:39:19.123`, syslog's `Nov 20 21:39:19`,
    /// `Nov 20, 2026 9:39:19 PM` and `Fri Nov 20 21:39:19 2026`.
    pub(super) fn read_prefix(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (&first, &third) = (text.first()?, text.get(2)?);
        if text.len() < SHORTEST {
            return None;
        }
        match (first, third) {
            (b'0'..=b'9', b'0'..=b'9') => self.read_iso(text),
            (b'0'..=b'9', _) => self.read_day_first(text),
            (b'A'..=b'Z', b'a'..=b'z') => self.read_month_first(text).or_else(|| self.read_weekday(text)),
            _ => None,
        }
    }

    /// Reads a time stamp that is all of `text`: what [`Clock::read_prefix`] reads, and the seconds, milli-, micro- or
    /// nanoseconds since 1970.
    pub(super) fn read_all(&mut self, text: &[u8]) -> Option<Timestamp> {
        match self.read_prefix(text) {
            Some((moment, length)) if length == text.len() => Some(moment),
            _ => epoch(text),
        }
    }

    fn read_iso(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (civil, digits, rest) = Civil::parse_iso(text)?;
        self.with_zone(text, &civil, digits, rest)
    }

    /// `20/Nov/2026:21:39:19 +0100`, `20 Nov 2026 21:39:19.123`, `20-Nov-2026 21:39:19`.
    fn read_day_first(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let head: &[u8; 12] = text.first_chunk()?;
        let separator = head[2];
        if !matches!(separator, b'/' | b' ' | b'-')
            || head[6] != separator
            || !matches!(head[11], b':' | b' ')
        {
            return None;
        }
        let mut civil = Civil {
            year: year(&head[7..11])?,
            month: month(&head[3..6])?,
            day: two_digits(head[0], head[1])?,
            ..Civil::default()
        };
        let rest = read_clock(&mut civil, &text[12..])?;
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        self.with_zone(text, &civil, digits, rest)
    }

    /// `Nov 20 21:39:19`, `Nov 20 2026 21:39:19`, `Nov 20, 2026 9:39:19 PM`.
    fn read_month_first(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let mut civil = Civil { month: month(text.get(..3)?)?, ..Civil::default() };
        let rest = text[3..].strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, rest) = short_number(rest)?;
        civil.day = day;
        let rest = rest.strip_prefix(b",").unwrap_or(rest).strip_prefix(b" ")?;
        if let (Some(number), Some(rest)) = (rest.get(..4).and_then(year), rest.get(4..)) {
            civil.year = number;
            let rest = rest.strip_prefix(b",").unwrap_or(rest).strip_prefix(b" ")?;
            let rest = read_twelve_hour_clock(&mut civil, rest)?;
            let (nanosecond, digits, rest) = parse_fraction(rest);
            civil.nanosecond = nanosecond;
            return self.with_zone(text, &civil, digits, rest);
        }
        let rest = read_clock(&mut civil, rest)?;
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        let (offset, rest) = device_zone(rest);
        let moment = self.moment_without_year(civil, digits, offset)?;
        Some((moment, text.len() - rest.len()))
    }

    /// `Fri Nov 20 21:39:19.123456 2026`, `Fri, 20 Nov 2026 21:39:19 GMT`.
    fn read_weekday(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        if !matches!(text.get(..3)?, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun") {
            return None;
        }
        if let Some(rest) = text[3..].strip_prefix(b", ") {
            let (moment, length) = self.read_day_first(rest)?;
            return Some((moment, length + 5));
        }
        let rest = text[3..].strip_prefix(b" ")?;
        let mut civil = Civil { month: month(rest.get(..3)?)?, ..Civil::default() };
        let rest = rest[3..].strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, rest) = short_number(rest)?;
        civil.day = day;
        let rest = read_clock(&mut civil, rest.strip_prefix(b" ")?)?;
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        let (offset, rest) = zone_prefix(rest);
        let rest = rest.strip_prefix(b" ")?;
        civil.year = year(rest.get(..4)?)?;
        Some((self.moment(&civil, digits, offset)?, text.len() - rest.len() + 4))
    }

    fn with_zone(
        &mut self,
        text: &[u8],
        civil: &Civil,
        digits: u8,
        rest: &[u8],
    ) -> Option<(Timestamp, usize)> {
        let (offset, rest) = zone_prefix(rest);
        Some((self.moment(civil, digits, offset)?, text.len() - rest.len()))
    }
}

/// Whether a time stamp with a date stands at the start of `text`, by its shape alone.
pub(super) fn begins_with_time(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let Some(head) = text.first_chunk::<SHORTEST>() else { return false };
    let digits = |from: usize, to: usize| head[from..to].iter().all(u8::is_ascii_digit);
    match head[0] {
        b'0'..=b'9' if head[2].is_ascii_digit() => {
            digits(0, 4)
                && matches!(head[4], b'-' | b'/')
                && digits(5, 7)
                && head[7] == head[4]
                && digits(8, 10)
        }
        b'0'..=b'9' => month(&head[3..6]).is_some() && digits(7, 11),
        b'A'..=b'Z' => {
            let named = if head[3] == b' ' && month(&head[..3]).is_none() { &head[4..7] } else { &head[..3] };
            month(named).is_some() && memchr(b':', text.get(..24).unwrap_or(text)).is_some()
        }
        _ => false,
    }
}

/// Reads `hh:mm:ss` at the start of `text` into `civil`; returns what follows.
fn read_clock<'t>(civil: &mut Civil, text: &'t [u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_first_chunk::<8>()?;
    if head[2] != b':' || head[5] != b':' {
        return None;
    }
    civil.hour = two_digits(head[0], head[1])?;
    civil.minute = two_digits(head[3], head[4])?;
    civil.second = two_digits(head[6], head[7])?;
    Some(rest)
}

/// Reads `9:39:19 PM` or `21:39:19`; returns what follows.
fn read_twelve_hour_clock<'t>(civil: &mut Civil, text: &'t [u8]) -> Option<&'t [u8]> {
    let (hour, after_hour) = short_number(text)?;
    let (head, rest) = after_hour.split_first_chunk::<6>()?;
    if head[0] != b':' || head[3] != b':' {
        return None;
    }
    civil.hour = hour;
    civil.minute = two_digits(head[1], head[2])?;
    civil.second = two_digits(head[4], head[5])?;
    // Newer Java writes a narrow no-break space before AM and PM.
    let half = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix("\u{202f}".as_bytes()));
    let Some((half, rest)) = half.and_then(|half| half.split_first_chunk::<2>()) else { return Some(rest) };
    match half {
        b"AM" if hour <= 12 => civil.hour = hour % 12,
        b"PM" if hour <= 12 => civil.hour = hour % 12 + 12,
        _ => return after_hour.get(head.len()..),
    }
    Some(rest)
}

/// One or two digits at the start of `text`.
fn short_number(text: &[u8]) -> Option<(u8, &[u8])> {
    match *text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Some((two_digits(tens, ones)?, &text[2..])),
        [ones @ b'0'..=b'9', ..] => Some((ones - b'0', &text[1..])),
        _ => None,
    }
}

fn year(text: &[u8]) -> Option<i32> {
    let &[a, b, c, d] = text else { return None };
    Some(i32::from(two_digits(a, b)?) * 100 + i32::from(two_digits(c, d)?))
}

/// The month, 1 to 12, of an English abbreviation.
fn month(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Reads the zone that a Cisco writes behind a time without a year, ` UTC:`; the colon tells it from a host.
fn device_zone(text: &[u8]) -> (Option<i32>, &[u8]) {
    let name = text.strip_prefix(b" ").unwrap_or_default();
    let length = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match abbreviation(&name[..length]).filter(|_| name.get(length..length + 2) == Some(b": ")) {
        Some(offset) => (Some(offset), &name[length..]),
        None => (None, text),
    }
}

/// Reads a zone at the start of `text`: `Z`, `+01:00`, `+0100`, `+01`, or after a blank `+0100`, `UTC`, `+0000 UTC`.
/// Returns seconds east of UTC where one was read, and what follows.
fn zone_prefix(text: &[u8]) -> (Option<i32>, &[u8]) {
    match text {
        [b'Z' | b'z', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_alphanumeric) => (Some(0), rest),
        [b'+' | b'-', ..] => numeric_zone(text).unwrap_or((None, text)),
        [b' ', tail @ ..] => match tail {
            [b'+' | b'-', b'0'..=b'9', ..] => match numeric_zone(tail) {
                Some((offset, rest)) => (offset, rest.strip_prefix(b" UTC").unwrap_or(rest)),
                None => (None, text),
            },
            [b'A'..=b'Z', b'A'..=b'Z', ..] => {
                let length = tail.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
                let ends =
                    !tail.get(length).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b':');
                match abbreviation(&tail[..length]).filter(|_| ends) {
                    Some(offset) => (Some(offset), &tail[length..]),
                    None => (None, text),
                }
            }
            _ => (None, text),
        },
        _ => (None, text),
    }
}

fn numeric_zone(text: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let ends = |length: usize| text.get(length).is_none_or(|byte| !byte.is_ascii_digit() && *byte != b':');
    let length = match text.get(1..6) {
        Some([_, _, b':', d, _]) if d.is_ascii_digit() => 6,
        _ if text.get(3..5).is_some_and(|tail| tail.iter().all(u8::is_ascii_digit)) => 5,
        _ => 3,
    };
    let offset = weir_record::time::parse_zone(text.get(..length)?)?;
    ends(length).then_some((Some(offset), &text[length..]))
}

/// Reads a decimal number as a moment since 1970; its size tells the unit: ten digits before the point are seconds
/// (2001 to 2286), thirteen milliseconds, sixteen microseconds, nineteen nanoseconds.
pub(super) fn epoch(text: &[u8]) -> Option<Timestamp> {
    let (mantissa, places) = decimal(text)?;
    let integer_digits = i32::try_from(mantissa.checked_ilog10()?).ok()? + 1 - places;
    let unit = match integer_digits {
        10 => 9,
        13 => 6,
        16 => 3,
        19 => 0,
        _ => return None,
    };
    let nanos = shift(mantissa, unit - places)?;
    let digits = (9 - unit + places).clamp(0, 9) as u8;
    Timestamp::from_nanos(i64::try_from(nanos).ok()?, digits)
}

/// Reads a decimal number, not negative: its digits as one integer, and how many of them stand behind the point
/// (negative where an exponent says so). Digits beyond what 64 bits hold are cut behind the point.
pub(super) fn decimal(text: &[u8]) -> Option<(u64, i32)> {
    let (mut mantissa, mut places, mut behind_point, mut digits) = (0u64, 0i32, false, 0usize);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                let longer =
                    mantissa.checked_mul(10).and_then(|value| value.checked_add(u64::from(byte - b'0')));
                match longer {
                    Some(value) => {
                        mantissa = value;
                        places += i32::from(behind_point);
                    }
                    None if behind_point => {}
                    None => return None,
                }
            }
            b'.' if !behind_point && digits > 0 => behind_point = true,
            b'e' | b'E' if digits > 0 => {
                let exponent: i32 = std::str::from_utf8(&text[at + 1..]).ok()?.parse().ok()?;
                return (-18..=18).contains(&exponent).then_some((mantissa, places - exponent));
            }
            _ => return None,
        }
    }
    (digits > 0).then_some((mantissa, places))
}

/// `number` times ten to the power of `places`, cut to an integer.
pub(super) fn shift(number: u64, places: i32) -> Option<u64> {
    let power = 10u64.checked_pow(places.unsigned_abs());
    if places >= 0 { number.checked_mul(power?) } else { Some(power.map_or(0, |power| number / power)) }
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::*;

    fn clock() -> Clock {
        let mut clock = Clock::new(Zone::Fixed(3600));
        clock.set_read_time(1_795_212_000_000_000_000);
        clock
    }

    fn check(text: &str, expected: &str) {
        let read = clock().read_all(text.as_bytes()).map(|moment| moment.to_string());
        assert_eq!(read.as_deref(), (!expected.is_empty()).then_some(expected), "{text}");
    }

    #[test]
    fn time_stamps_of_many_programs_are_read() {
        check("2026-11-20T21:39:19.123456789Z", "2026-11-20T21:39:19.123456789Z");
        check("2026-11-20T21:39:19,123+0000", "2026-11-20T21:39:19.123Z");
        check("2026-11-20 21:39:19,123", "2026-11-20T20:39:19.123Z");
        check("2026/11/20 21:39:19", "2026-11-20T20:39:19.000Z");
        check("2026-11-20 21:39:19.5 +0000 UTC", "2026-11-20T21:39:19.500Z");
        check("2026-11-20 21:39:19.123 CEST", "2026-11-20T19:39:19.123Z");
        check("20/Nov/2026:21:39:19 -0330", "2026-11-21T01:09:19.000Z");
        check("20 Nov 2026 21:39:19.123", "2026-11-20T20:39:19.123Z");
        check("20-Nov-2026 21:39:19.123 UTC", "2026-11-20T21:39:19.123Z");
        check("Nov 20 21:39:19", "2026-11-20T20:39:19.000Z");
        check("Nov  2 21:39:19.250", "2026-11-02T20:39:19.250Z");
        check("Nov 2 21:39:19.250", "2026-11-02T20:39:19.250Z");
        check("Nov 20 2025 21:39:19", "2025-11-20T20:39:19.000Z");
        check("Nov 20, 2026 9:39:19 PM", "2026-11-20T20:39:19.000Z");
        check("Nov 20, 2026 12:00:00 AM", "2026-11-19T23:00:00.000Z");
        check("Fri Nov 20 21:39:19.123456 2026", "2026-11-20T20:39:19.123456Z");
        check("Fri Nov 20 21:39:19 UTC 2026", "2026-11-20T21:39:19.000Z");
        check("Fri, 20 Nov 2026 21:39:19 GMT", "2026-11-20T21:39:19.000Z");
    }

    #[test]
    fn numbers_are_moments_where_their_size_tells_the_unit() {
        check("1795210759", "2026-11-20T21:39:19.000Z");
        check("1795210759.123456", "2026-11-20T21:39:19.123456Z");
        check("1795210759123", "2026-11-20T21:39:19.123Z");
        check("1795210759123.5", "2026-11-20T21:39:19.1235Z");
        check("1795210759123456", "2026-11-20T21:39:19.123456Z");
        check("1795210759123456789", "2026-11-20T21:39:19.123456789Z");
        check("1.795210759123e9", "2026-11-20T21:39:19.123Z");
        for text in
            ["12", "179521075", "17952107591", "-1795210759", "1795210759x", "1e99", ".", "", "1795210759e+"]
        {
            check(text, "");
        }
    }

    #[test]
    fn what_is_no_time_stamp_is_refused() {
        for text in [
            "2026-11-20",
            "Nov 31 21:39:19",
            "Foo 20 21:39:19",
            "21:39:19",
            "2026-11-20T21:39:19Zulu",
            "May I",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn a_prefix_ends_where_the_time_stamp_does() {
        let length = |text: &str| clock().read_prefix(text.as_bytes()).map(|(_, length)| length);
        assert_eq!(length("2026-11-20 21:39:19,123 INFO x"), Some(23));
        assert_eq!(length("2026-11-20 21:39:19 UTC [12] x"), Some(23));
        assert_eq!(length("2026-11-20 21:39:19 GET /"), Some(19));
        assert_eq!(length("2026-11-20T21:39:19.1Z] x"), Some(22));
        assert_eq!(length("2026-11-20 21:39:19-03 x"), Some(22));
        assert_eq!(length("2026-11-20 21:39:19 -- x"), Some(19));
        assert_eq!(length("Nov 20 21:39:19 host"), Some(15));
    }

    #[test]
    fn shapes_of_time_stamps_are_told_without_reading_them() {
        for text in [
            "2026-11-20 21:39:19 x",
            "[2026-11-20T21:39:19] x",
            "20/Nov/2026:21:39:19 x",
            "Nov 20 21:39:19 host",
            "Fri Nov 20 21:39:19 2026",
        ] {
            assert!(begins_with_time(text.as_bytes()), "{text}");
        }
        for text in
            ["\tat com.x.Foo", "java.lang.IllegalState: x", "12345678901234567890", "Novelty is a good thing"]
        {
            assert!(!begins_with_time(text.as_bytes()), "{text}");
        }
    }
}
