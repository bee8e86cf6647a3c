//! Time stamps that only some programs write: without a year, or with two digits of it.

use weir_record::Timestamp;
use weir_record::scan::find;
use weir_record::time::{Civil, parse_fraction, two_digits};

use super::super::zone::Clock;

impl Clock {
    /// `1120` and `21:39:19.123456`: the moment, and the length of the time of day.
    pub(super) fn read_month_and_day(&mut self, date: &str, time: &str) -> Option<(Timestamp, usize)> {
        let (month, day) = (date.len() == 4).then(|| date.split_at_checked(2))??;
        self.read_month_and_day_of(month, day, time)
    }

    /// `11`, `20` and `21:39:19.123456`.
    pub(super) fn read_month_and_day_of(
        &mut self,
        month: &str,
        day: &str,
        time: &str,
    ) -> Option<(Timestamp, usize)> {
        let mut civil = Civil { month: pair(month)?, day: pair(day)?, ..Civil::default() };
        let (digits, length) = time_of_day(&mut civil, time)?;
        Some((self.moment_without_year(&mut civil, digits, None)?, length))
    }

    /// `2026-11-20][21:39:19` (Rust's fern): a date and a time in brackets of their own. The length ends before the last
    /// bracket.
    pub(super) fn read_split(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        const DATE_BYTES: usize = 10;
        const LONGEST: usize = 40;
        let rest = text.get(DATE_BYTES..)?.strip_prefix(b"][")?;
        let end = find(b']', &rest[..rest.len().min(LONGEST)])?;
        let mut joined = [b' '; DATE_BYTES + 1 + LONGEST];
        joined[..DATE_BYTES].copy_from_slice(&text[..DATE_BYTES]);
        joined[DATE_BYTES + 1..][..end].copy_from_slice(&rest[..end]);
        let (moment, length) = self.read_prefix(&joined[..DATE_BYTES + 1 + end])?;
        (length == DATE_BYTES + 1 + end).then_some((moment, DATE_BYTES + 2 + end))
    }

    /// `20 Nov 21:39:19.123`.
    pub(super) fn read_day_and_month(&mut self, text: &str) -> Option<(Timestamp, usize)> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.iter().position(|month| text.get(3..6) == Some(month))? + 1;
        let mut civil = Civil { month: month as u8, day: pair(text.get(..2)?)?, ..Civil::default() };
        let (digits, length) = time_of_day(&mut civil, text.get(7..)?)?;
        Some((self.moment_without_year(&mut civil, digits, None)?, 7 + length))
    }

    /// `26/11/20 21:39:19`, `261120 21:39:19`, `261120  9:39:19`, `261120 213919`.
    pub(super) fn read_short_year(&mut self, text: &str) -> Option<(Timestamp, usize)> {
        let date = text.split(' ').next()?;
        let (year, month, day) = match date.len() {
            6 => (date.get(..2)?, date.get(2..4)?, date.get(4..)?),
            8 if date.get(2..3) == Some("/") && date.get(5..6) == Some("/") => {
                (date.get(..2)?, date.get(3..5)?, date.get(6..)?)
            }
            _ => return None,
        };
        let year = 2000 + i32::from(pair(year)?);
        let mut civil = Civil { year, month: pair(month)?, day: pair(day)?, ..Civil::default() };
        let rest = text.get(date.len() + 1..)?;
        let (digits, length) = match rest.strip_prefix(' ') {
            Some(rest) => {
                let padded = format_args!("0{}", rest.get(..7)?).to_string();
                time_of_day(&mut civil, &padded)?
            }
            None => time_of_day(&mut civil, rest).or_else(|| tight_time_of_day(&mut civil, rest))?,
        };
        Some((self.moment(&civil, digits, None)?, date.len() + 1 + length))
    }
}

/// `21:39:19.123`: how many digits behind the second, and the length of all of it.
pub(super) fn time_of_day(civil: &mut Civil, text: &str) -> Option<(u8, usize)> {
    if text.get(2..3) != Some(":") || text.get(5..6) != Some(":") {
        return None;
    }
    (civil.hour, civil.minute, civil.second) =
        (pair(text.get(..2)?)?, pair(text.get(3..5)?)?, pair(text.get(6..8)?)?);
    let (nanosecond, digits, rest) = parse_fraction(&text.as_bytes()[8..]);
    civil.nanosecond = nanosecond;
    // `21:39:195` is something else.
    rest.first().is_none_or(|next| !next.is_ascii_digit()).then_some((digits, text.len() - rest.len()))
}

/// `213919`.
fn tight_time_of_day(civil: &mut Civil, text: &str) -> Option<(u8, usize)> {
    (civil.hour, civil.minute, civil.second) =
        (pair(text.get(..2)?)?, pair(text.get(2..4)?)?, pair(text.get(4..6)?)?);
    (text.as_bytes().get(6) == Some(&b' ')).then_some((0, 6))
}

fn pair(text: &str) -> Option<u8> {
    let &[tens, ones] = text.as_bytes() else { return None };
    two_digits(tens, ones)
}
