//! Time stamps as log lines write them, read at the start of a text.
//!
//! | shape | written by |
//! |---|---|
//! | `2026-11-20T21:39:19.123456789Z`, `... 21:39:19,123 +0100`, `2026/11/20 21:39:19`, `2026.11.20 ...` | most |
//! | `2026-11-20 21:39:19:123`, `2026-11-20 09:39:19 PM`, `2026-11-20  9:39:19` | Log4j patterns, .NET, MariaDB |
//! | `20261120T213919.123Z`, `20261120 21:39:19.123`, `20261120-21:39:19` | ISO 8601 basic, Go, xrdp |
//! | `20/Nov/2026:21:39:19 +0100`, `20 Nov 2026 21:39:19.123`, `20-Nov-2026 21:39:19`, `2 nov. 2026 21:39:19` | access logs, Redis, Tomcat, java.util.logging |
//! | `20.11.2026 21:39:19,123`, `11/20/2026 9:39:19 PM`, `20/11/2026 21:39:19`, `11/20/2026-21:39:19.123456` | localised loggers, Suricata; slashes only where the order is certain |
//! | `Nov 20 21:39:19`, `Nov 20 2026 21:39:19`, `Nov 20, 2026 9:39:19 PM` | syslog, Cisco, java.util.logging |
//! | `Fri Nov 20 21:39:19.123456 2026`, `Fri Nov 20 21:39:19 CET 2026`, `Fri, 20 Nov 2026 21:39:19 GMT` | Apache, `date`, RFC 2822 |
//! | `1120 21:39:19.123456`, `11-20 21:39:19.123` | klog behind its letter, logcat |
//! | `26/11/20 21:39:19`, `261120 21:39:19`, `261120 213919` | Spark, MySQL 5, HDFS |
//! | `20-Nov-2026 21:39`, `20-Nov 21:39`, only where nothing else stands | Bacula |
//! | `2026-11-20 21:39`, `20/11/2026 21:39`, only at the start of a line | scripts |
//! | `1795210759`, `1795210759.123`, `...123`, `...123456`, `...123456789` | seconds, milli-, micro- and nanoseconds since 1970 |
//!
//! A fraction has one to nine digits behind a point or a comma; what is longer is cut. A zone is `Z`, an offset, or an
//! abbreviation that means one zone only; without one the file's zone counts. Names of months may be those of nine
//! languages. A year that is missing is found from the time of reading.

mod minutes;
mod months;

use memchr::memchr;
use weir_record::Timestamp;
use weir_record::time::{Civil, parse_fraction, two_digits};

use super::zone::{Clock, abbreviation, is_shared_zone};
use months::{half_of_day, month};

/// Length of `Nov 20 21:39:19`.
const SYSLOG_BYTES: usize = 15;

/// The shortest text that a time stamp with a date can be: `261120 213919`.
const SHORTEST: usize = 13;

impl Clock {
    /// Reads a time stamp at the start of `text`, in any shape of the table but the last three; returns it with its length.
    pub(super) fn read_prefix(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        // What goes on in letters or digits is another word, or a time stamp that was cut.
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
        let goes_on = |length: usize| text.get(length).is_some_and(is_letter);
        self.read_shape(text).filter(|(_, length)| !goes_on(*length))
    }

    fn read_shape(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (&first, &third) = (text.first()?, text.get(2)?);
        if text.len() < SHORTEST {
            return None;
        }
        match (first, third) {
            (b'0'..=b'9', b'0'..=b'9') => self.read_iso(text).or_else(|| self.read_digits(text)),
            (b'0'..=b'9', _) => self.read_day_first(text).or_else(|| self.read_numeric_date(text)),
            (b'A'..=b'Z' | b'a'..=b'z' | 0x80.., _) => {
                self.read_month_first(text).or_else(|| self.read_weekday(text))
            }
            _ => None,
        }
    }

    /// Reads a time stamp that is all of `text`: what [`Clock::read_prefix`] reads, the seconds, milli-, micro- or
    /// nanoseconds since 1970, and a time to the minute.
    pub(super) fn read_all(&mut self, text: &[u8]) -> Option<Timestamp> {
        match self.read_prefix(text) {
            Some((moment, length)) if length == text.len() => Some(moment),
            _ => epoch(text).or_else(|| self.read_minute(text)),
        }
    }

    fn read_iso(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        if let Some((civil_seconds, rest)) = self.read_iso_day(text)
            && !matches!(rest, [b':', ..] | [b' ', b'A' | b'P' | b'a' | b'p', ..])
        {
            let (nanosecond, digits, rest) = parse_fraction(rest);
            if !matches!(rest, [b' ', b'A' | b'P' | b'a' | b'p', ..]) {
                let (offset, rest) = zone_prefix(rest);
                let moment = self.moment_at(civil_seconds, nanosecond, digits, offset)?;
                return Some((moment, text.len() - rest.len()));
            }
        }
        let (mut civil, digits, rest) = Civil::parse_iso(text)?;
        let (digits, rest) = match rest {
            [b':', ..] if digits == 0 => {
                let (nanosecond, digits, rest) = fraction(rest);
                civil.nanosecond = nanosecond;
                (digits, rest)
            }
            [b' ', b'A' | b'P' | b'a' | b'p', ..] => (digits, twelve_hours(&mut civil, rest).unwrap_or(rest)),
            _ => (digits, rest),
        };
        self.note_iso_day(text, &civil);
        self.with_zone(text, &civil, digits, rest)
    }

    /// Shapes of digits that [`Clock::read_iso`] does not know.
    fn read_digits(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let digits = text.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        let pair = |at: usize| two_digits(text[at], text[at + 1]);
        match (digits, text[digits]) {
            // `2.11.2026 21:39:19`
            (1, _) => self.read_numeric_date(text),
            (4, b'-') if text.get(10) == Some(&b'-') && text.get(13) == Some(&b'.') => self.read_ibm(text),
            // `2026.11.20 21:39:19`, `2026-11-20  9:39:19`
            (4, separator @ (b'.' | b'-' | b'/')) if text.get(7) == Some(&separator) => {
                let civil =
                    Civil { year: year(&text[..4])?, month: pair(5)?, day: pair(8)?, ..Civil::default() };
                self.with_clock(text, civil, &text[10..])
            }
            // `1120 21:39:19.123456`
            (4, b' ') => self.with_clock_no_year(
                text,
                Civil { month: pair(0)?, day: pair(2)?, ..Civil::default() },
                &text[5..],
            ),
            // `261120 21:39:19`, `261120 213919`
            (6, b' ') => {
                let year = self.near_year(pair(0)?)?;
                let civil = Civil { year, month: pair(2)?, day: pair(4)?, ..Civil::default() };
                self.with_clock(text, civil, &text[6..])
            }
            // `20261120T213919Z`, `20261120 21:39:19`, `20261120-21:39:19` (xrdp), `20261120-21:39:19.123` (FIX)
            (8, b'T' | b' ' | b'-') => {
                let civil =
                    Civil { year: year(&text[..4])?, month: pair(4)?, day: pair(6)?, ..Civil::default() };
                self.with_clock(text, civil, &text[8..])
            }
            _ => None,
        }
    }

    /// `2026-11-20-21.39.19.123456`, and DB2's `2026-11-20-21.39.19.123456+060` with its zone in minutes.
    fn read_ibm(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let &[a, b, b'.', c, d, b'.', e, f] = text.get(11..19)? else { return None };
        let mut civil = Civil {
            year: year(&text[..4])?,
            month: two_digits(text[5], text[6])?,
            day: two_digits(text[8], text[9])?,
            hour: two_digits(a, b)?,
            minute: two_digits(c, d)?,
            second: two_digits(e, f)?,
            ..Civil::default()
        };
        let (nanosecond, digits, rest) = parse_fraction(&text[19..]);
        civil.nanosecond = nanosecond;
        let (offset, rest) = match rest {
            [
                sign @ (b'+' | b'-'),
                hundreds @ b'0'..=b'9',
                tens @ b'0'..=b'9',
                ones @ b'0'..=b'9',
                rest @ ..,
            ] => {
                let minutes = i32::from(hundreds - b'0') * 100 + i32::from(two_digits(*tens, *ones)?);
                (Some(if *sign == b'-' { -60 } else { 60 } * minutes), rest)
            }
            _ => (None, rest),
        };
        Some((self.moment(&civil, digits, offset)?, text.len() - rest.len()))
    }

    /// `20/Nov/2026:21:39:19 +0100`, `20 Nov 2026 21:39:19.123`, `20-Nov-2026 21:39:19`, `2. November 2026 21:39:19`.
    fn read_day_first(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (day, rest) = short_number(text)?;
        let rest = rest.strip_prefix(b".").unwrap_or(rest);
        let (&separator, rest) = rest.split_first()?;
        if !matches!(separator, b'/' | b' ' | b'-') || rest.first()?.is_ascii_digit() {
            return None;
        }
        let (month, rest) = month(rest)?;
        let rest = rest.strip_prefix(&[separator])?;
        let civil = Civil { year: year(rest.get(..4)?)?, month, day, ..Civil::default() };
        let rest = rest.get(4..)?;
        self.with_clock(text, civil, rest.strip_prefix(b",").unwrap_or(rest))
    }

    /// `20.11.2026 21:39:19,123`, `11/20/2026 9:39:19 PM`, `26/11/20 21:39:19`, `11-20 21:39:19.123`. With slashes, day
    /// and month are told apart by a number beyond 12, or by a clock of twelve hours, which is American; so are
    /// Suricata's and Snort's, behind a dash.
    fn read_numeric_date(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (first, rest) = short_number(text)?;
        let (&separator, rest) = rest.split_first()?;
        let (second, rest) = short_number(rest)?;
        if separator == b'-' && rest.first() == Some(&b' ') {
            let civil = Civil { month: first, day: second, ..Civil::default() };
            return self.with_clock_no_year(text, civil, &rest[1..]);
        }
        let rest = rest.strip_prefix(&[separator])?;
        if separator == b'/' && rest.get(2) == Some(&b' ') {
            let civil = Civil {
                year: self.near_year(first)?,
                month: second,
                day: two_digits(rest[0], rest[1])?,
                ..Civil::default()
            };
            return self.with_clock(text, civil, &rest[2..]);
        }
        let year = year(rest.get(..4)?)?;
        let rest = rest.get(4..)?;
        let is_american = || {
            let clock = &rest[..rest.len().min(CLOCK_BYTES_MAX)];
            matches!(clock, [b'-', _, _, b':', _, _, b':', _, _, b'.', ..])
                || clock.windows(3).any(|window| matches!(window, b" PM" | b" AM"))
        };
        let (day, month) = match separator {
            b'.' => (first, second),
            b'/' if first > 12 => (first, second),
            b'/' if second > 12 || is_american() => (second, first),
            _ => return None,
        };
        self.with_clock(
            text,
            Civil { year, month, day, ..Civil::default() },
            rest.strip_prefix(b",").unwrap_or(rest),
        )
    }

    /// `Nov 20 21:39:19`, `Nov-20 21:39:19.123`, `Nov 20 2026 21:39:19`, `Nov 20, 2026 9:39:19 PM`.
    fn read_month_first(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        if let Some(moment) = self.read_syslog_day(text)
            && device_zone(&text[SYSLOG_BYTES..]).0.is_none()
        {
            return Some((moment, SYSLOG_BYTES));
        }
        let (month, rest) = month(text)?;
        let rest = match rest {
            [b' ', b' ', rest @ ..] | [b' ' | b'-', rest @ ..] => rest,
            _ => return None,
        };
        let (day, rest) = short_number(rest)?;
        let mut civil = Civil { month, day, ..Civil::default() };
        let rest = rest.strip_prefix(b",").unwrap_or(rest).strip_prefix(b" ")?;
        if let (Some(number), Some(rest)) = (rest.get(..4).and_then(year), rest.get(4..)) {
            civil.year = number;
            return self.with_clock(text, civil, rest.strip_prefix(b",").unwrap_or(rest));
        }
        self.with_clock_no_year(text, civil, rest)
    }

    /// `Fri Nov 20 21:39:19.123456 2026`, `Fri Nov 20 09:39:19 PM CET 2026`, `Fri, 20 Nov 2026 21:39:19 GMT`, `Fri 20 Nov
    /// 2026 09:39:19 PM CET`.
    fn read_weekday(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        if !matches!(text.get(..3)?, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun") {
            return None;
        }
        let rest = text[3..].strip_prefix(b",").unwrap_or(&text[3..]).strip_prefix(b" ")?;
        if rest.first()?.is_ascii_digit() {
            let (moment, length) = self.read_day_first(rest)?;
            return Some((moment, text.len() - rest.len() + length));
        }
        let (month, rest) = month(rest)?;
        let rest = rest.strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, rest) = short_number(rest)?;
        let mut civil = Civil { month, day, ..Civil::default() };
        let rest = read_clock(&mut civil, rest.strip_prefix(b" ")?)?;
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        let rest = twelve_hours(&mut civil, rest).unwrap_or(rest);
        let (offset, rest) = zone_prefix(rest);
        let rest = rest.strip_prefix(b" ")?;
        // An abbreviation that several zones share says nothing: the file's zone counts.
        let letters = rest.iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count();
        let rest = if is_shared_zone(&rest[..letters]) { rest[letters..].strip_prefix(b" ")? } else { rest };
        civil.year = year(rest.get(..4)?)?;
        Some((self.moment(&civil, digits, offset)?, text.len() - rest.len() + 4))
    }

    /// Reads the time of day that follows a date and its separator: blanks, `T`, a colon or a dash.
    fn with_clock(&mut self, text: &[u8], mut civil: Civil, rest: &[u8]) -> Option<(Timestamp, usize)> {
        let rest = match rest {
            [b' ', b' ', rest @ ..] | [b' ' | b'T' | b':', rest @ ..] => rest,
            // Behind a dash any other number may stand.
            [b'-', rest @ ..] if matches!(rest, [_, _, b':', _, _, b':', ..]) => rest,
            _ => return None,
        };
        let rest = read_any_clock(&mut civil, rest)?;
        let (nanosecond, digits, rest) = fraction(rest);
        civil.nanosecond = nanosecond;
        self.with_zone(text, &civil, digits, rest)
    }

    fn with_clock_no_year(
        &mut self,
        text: &[u8],
        mut civil: Civil,
        rest: &[u8],
    ) -> Option<(Timestamp, usize)> {
        let rest = read_clock(&mut civil, rest)?;
        let (nanosecond, digits, rest) = parse_fraction(rest);
        civil.nanosecond = nanosecond;
        let (offset, rest) = device_zone(rest);
        let moment = self.moment_without_year(&mut civil, digits, offset)?;
        let length = text.len() - rest.len();
        if length == SYSLOG_BYTES && offset.is_none() && text[0].is_ascii_alphabetic() {
            self.note_syslog_day(text, &civil);
        }
        Some((moment, length))
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
    let Some(head) = text.first_chunk::<15>() else { return false };
    let digits = |from: usize, to: usize| head[from..to].iter().all(u8::is_ascii_digit);
    let is_dashed = || head[8] == b'-' && head[11] == b':';
    match head[0] {
        b'0'..=b'9' if head[2].is_ascii_digit() => {
            let is_iso = digits(0, 4)
                && matches!(head[4], b'-' | b'/' | b'.')
                && digits(5, 7)
                && head[7] == head[4]
                && digits(8, 10);
            is_iso
                || digits(0, 6)
                    && (head[6] == b' ' && digits(7, 9)
                        || digits(6, 8) && (matches!(head[8], b'T' | b' ') || is_dashed()))
        }
        b'0'..=b'9' => {
            let is_named = |at: usize| month(&text[at..]).is_some();
            let is_dotted = head[2] == head[5] && matches!(head[2], b'.' | b'/') && digits(3, 5);
            is_dotted && digits(6, 8)
                || head[2] == b'-' && digits(3, 5) && head[5] == b' ' && head[8] == b':'
                || is_named(3) && !head[2].is_ascii_digit()
        }
        b'A'..=b'Z' | b'a'..=b'z' | 0x80.. => {
            let is_weekday = head[3] == b' ' && month(text).is_none();
            let named = match (is_weekday, &text[4..]) {
                (false, _) => text,
                (true, [b'0'..=b'9', b' ', named @ ..] | [b'0'..=b'9', b'0'..=b'9', b' ', named @ ..]) => {
                    named
                }
                (true, named) => named,
            };
            month(named).is_some_and(|(_, rest)| matches!(rest, [b' ', ..] | [b'-', b'0'..=b'9', ..]))
                && memchr(b':', text.get(..32).unwrap_or(text)).is_some()
        }
        _ => false,
    }
}

/// Most bytes of a time of day with its half.
const CLOCK_BYTES_MAX: usize = 20;

/// Reads `21:39:19`, `9:39:19 PM` or `213919` into `civil`; returns what follows.
fn read_any_clock<'t>(civil: &mut Civil, text: &'t [u8]) -> Option<&'t [u8]> {
    let is_basic = text.get(..6).is_some_and(|head| head.iter().all(u8::is_ascii_digit));
    if !is_basic {
        return read_twelve_hour_clock(civil, text);
    }
    civil.hour = two_digits(text[0], text[1])?;
    civil.minute = two_digits(text[2], text[3])?;
    civil.second = two_digits(text[4], text[5])?;
    Some(&text[6..])
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
    Some(twelve_hours(civil, rest).unwrap_or(rest))
}

/// Moves an hour into the half of the day that follows it; returns what follows that. None where there is none.
fn twelve_hours<'t>(civil: &mut Civil, text: &'t [u8]) -> Option<&'t [u8]> {
    let (is_second_half, rest) = half_of_day(text).filter(|_| (1..=12).contains(&civil.hour))?;
    civil.hour = civil.hour % 12 + if is_second_half { 12 } else { 0 };
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
                let ends = !tail.get(length).is_some_and(u8::is_ascii_alphanumeric);
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

/// Nanoseconds, their digits, and what follows a fraction: behind a point or a comma, or three digits behind a colon, as
/// patterns of Log4j have it.
fn fraction(text: &[u8]) -> (u32, u8, &[u8]) {
    match *text {
        [b':', a, b, c, ref rest @ ..] if [a, b, c].iter().all(u8::is_ascii_digit) => {
            (parse_fraction(&[b'.', a, b, c]).0, 3, rest)
        }
        _ => parse_fraction(text),
    }
}

fn numeric_zone(text: &[u8]) -> Option<(Option<i32>, &[u8])> {
    // A colon may end the time (`+01:00: started`); with a digit behind it, it is part of something else.
    let ends = |length: usize| match text.get(length) {
        Some(b':') => !text.get(length + 1).is_some_and(u8::is_ascii_digit),
        next => !next.is_some_and(u8::is_ascii_digit),
    };
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
    let (mantissa, places) = decimal(text).filter(|_| text.first() != Some(&b'0'))?;
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
    const POWERS: [u64; 20] = {
        let mut powers = [1; 20];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let power = POWERS.get(places.unsigned_abs() as usize).copied();
    if places >= 0 { number.checked_mul(power?) } else { Some(power.map_or(0, |power| number / power)) }
}

#[cfg(test)]
mod tests;
