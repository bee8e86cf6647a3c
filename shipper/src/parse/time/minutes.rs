//! Times to the minute.

use weir_record::Timestamp;
use weir_record::time::{Civil, two_digits};

use super::super::zone::Clock;
use super::months::month;
use super::{short_number, year};

impl Clock {
    /// `20-Nov-2026 21:39`, `20-Nov 21:39`, as all of a text: enough only where nothing else stands.
    pub(super) fn read_minute(&mut self, text: &[u8]) -> Option<Timestamp> {
        let (day, rest) = short_number(text)?;
        let (month, rest) = month(rest.strip_prefix(b"-")?)?;
        let (year, rest) = match rest.strip_prefix(b"-") {
            Some(rest) => (Some(year(rest.get(..4)?)?), rest.get(4..)?),
            None => (None, rest),
        };
        let &[b' ', h, hour, b':', m, minute] = rest else { return None };
        let (hour, minute) = (two_digits(h, hour)?, two_digits(m, minute)?);
        let mut civil =
            Civil { year: year.unwrap_or_default(), month, day, hour, minute, ..Civil::default() };
        match year {
            Some(_) => self.moment(&civil, 0, None),
            None => self.moment_without_year(&mut civil, 0, None),
        }
    }

    /// `2026-11-20 21:39`, `20/11/2026 21:39`, `11/20/2026 9:39 PM` at the start of a text whose start no time stamp is;
    /// returns it with its length. The date has a year of four digits, and what was cut in its seconds is none.
    pub(in crate::parse) fn read_minute_start(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        /// Of a date and a time with its half and zone.
        const TIME_BYTES_MAX: usize = 40;
        const SECONDS: &[u8; 3] = b":00";
        let end = minute_end(text)?;
        let (mut whole, mut length) = ([0; TIME_BYTES_MAX + SECONDS.len()], 0);
        for part in [&text[..end], SECONDS, &text[end..text.len().min(TIME_BYTES_MAX)]] {
            whole[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        let (moment, length) = self.read_prefix(&whole[..length])?;
        (length >= end + SECONDS.len()).then(|| (moment, length - SECONDS.len()))
    }
}

/// Where the minute ends of a date and a time that have no second, by their shape alone.
fn minute_end(text: &[u8]) -> Option<usize> {
    const DATE_BYTES: std::ops::RangeInclusive<usize> = 8..=11;
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    let head = &text[..text.len().min(*DATE_BYTES.end() + 1)];
    let date = &head[..head.iter().position(|byte| matches!(byte, b' ' | b'T' | b','))?];
    let is_year = |digits: Option<&[u8]>| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    let has_year = is_year(date.get(..4)) || is_year(date.len().checked_sub(4).and_then(|at| date.get(at..)));
    if !DATE_BYTES.contains(&date.len()) || !has_year {
        return None;
    }
    let rest = &text[date.len()..];
    let clock = rest.iter().take(3).position(u8::is_ascii_digit)?;
    let hour = rest[clock..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let &[b':', tens, ones, ref behind @ ..] = &rest[clock + hour..] else { return None };
    two_digits(tens, ones)?;
    let ends = matches!(behind, [] | [b' ' | b'\t' | b']' | b'|' | b'Z' | b'+', ..]);
    (ends && hour <= 2).then(|| text.len() - behind.len())
}

#[cfg(test)]
mod tests {
    use super::super::super::Zone;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, length: usize) {
        let read = Clock::new(Zone::Utc).read_minute_start(text.as_bytes());
        let read = read.map(|(moment, length)| (moment.to_string(), length));
        assert_eq!(read, (length > 0).then(|| (expected.to_owned(), length)), "{text}");
    }

    #[test]
    fn a_date_and_a_minute_are_a_time() {
        check("2026-11-20 21:39 INFO x", "2026-11-20T21:39:00.000Z", 16);
        check("2026-11-20T21:39Z x", "2026-11-20T21:39:00.000Z", 17);
        check("2026-11-20 21:39 +0100 x", "2026-11-20T20:39:00.000Z", 22);
        check("2026/11/20 21:39", "2026-11-20T21:39:00.000Z", 16);
        check("20261120 21:39] x", "2026-11-20T21:39:00.000Z", 14);
        check("20/11/2026 21:39 - x", "2026-11-20T21:39:00.000Z", 16);
        check("20/11/2026, 21:39 - x", "2026-11-20T21:39:00.000Z", 17);
        check("11/20/2026 9:39 PM x", "2026-11-20T21:39:00.000Z", 18);
        check("20.11.2026 21:39| x", "2026-11-20T21:39:00.000Z", 16);
        check("20-Nov-2026 21:39 x", "2026-11-20T21:39:00.000Z", 17);
        check("2.11.2026 9:39 x", "2026-11-02T09:39:00.000Z", 14);
    }

    #[test]
    fn what_was_cut_or_is_not_certain_is_none() {
        for text in [
            "2026-11-20 21:39:1",
            "2026-11-20 21:39.5 x",
            "2026-11-20 21:39-22:10 x",
            "2026-11-20 21:390 x",
            "2026-11-20 24:39 x",
            "2026-11-20 1:2 x",
            "2026-11-20",
            "10/11/2026 21:39 x",
            "20/11/26 21:39 x",
            "1120 21:39 x",
            "12345678 x: 21:39",
            "2026-11-20 21:3é",
            "21:39",
            "",
        ] {
            check(text, "", 0);
        }
    }
}
