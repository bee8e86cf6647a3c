//! The zone of time stamps that name none, and the clock that turns civil times into moments.

use std::str::FromStr;

use jiff::tz::TimeZone;
use weir_record::Timestamp;
use weir_record::time::{Civil, NANOS_PER_SECOND, parse_zone, second_of_day};

/// The zone of time stamps without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Zone {
    /// Coordinated universal time.
    #[default]
    Utc,
    /// Seconds east of UTC.
    Fixed(i32),
    /// A zone with rules, from the system's database.
    Named(TimeZone),
}

/// The zone's name is not known.
#[derive(Debug, thiserror::Error)]
#[error("unknown time zone {name:?}: use local, UTC, an offset like +01:00, or a name like Europe/Berlin")]
pub struct ZoneError {
    /// What was asked for.
    pub name: String,
    #[source]
    source: Option<jiff::Error>,
}

impl Zone {
    /// The system's zone; follows `TZ`.
    pub fn local() -> Zone {
        Zone::Named(TimeZone::system())
    }

    /// Seconds east of UTC at a civil time given as seconds since 1970 as if it were UTC. In the hour that is
    /// repeated in autumn the earlier one is meant, in the hour that is left out in spring the later.
    fn offset_at(&self, civil_seconds: i64) -> i32 {
        match self {
            Zone::Utc => 0,
            Zone::Fixed(seconds) => *seconds,
            Zone::Named(zone) => named_offset_at(zone, civil_seconds).unwrap_or(0),
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Zone, ZoneError> {
        if name.eq_ignore_ascii_case("local") {
            return Ok(Zone::local());
        }
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Zone::Utc);
        }
        if let Some(seconds) = parse_zone(name.as_bytes()) {
            return Ok(Zone::Fixed(seconds));
        }
        TimeZone::get(name)
            .map(Zone::Named)
            .map_err(|error| ZoneError { name: name.to_owned(), source: Some(error) })
    }
}

fn named_offset_at(zone: &TimeZone, civil_seconds: i64) -> Option<i32> {
    let civil = TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(civil_seconds).ok()?);
    let moment = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    i32::try_from(civil_seconds - moment.as_second()).ok()
}

/// Zones change their offset at multiples of this many civil seconds, so that one look-up serves them all.
const OFFSET_SPAN_SECONDS: i64 = 15 * 60;

/// What turns the civil times of one file into moments: its zone, and when the record was read (for time stamps
/// without a year).
#[derive(Debug)]
pub(super) struct Clock {
    zone: Zone,
    read_time: i64,
    cached_span: i64,
    cached_offset: i32,
    /// What was read last at a line's start: every guess at the line's format asks for it.
    start: Option<Start>,
    /// The day that an access log's line had last.
    access_day: Option<AccessDay>,
    /// The day that a line of syslog had last.
    syslog_day: Option<SyslogDay>,
    /// The day that a time stamp of the usual kind had last.
    iso_day: Option<IsoDay>,
    /// The zone that a line has named last; none: there is none of that name.
    named: Option<(String, Option<Zone>)>,
}

/// A day as an access log writes it, with the offset behind its times: `20/Nov/2026:`, ` +0100`.
#[derive(Clone, Copy, Debug)]
struct AccessDay {
    date: [u8; 12],
    offset: [u8; 6],
    /// Its first second, since 1970.
    start: i64,
}

/// A day as RFC 3164 writes it: `Nov 20 `.
#[derive(Clone, Copy, Debug)]
struct SyslogDay {
    date: [u8; 7],
    /// Its first civil second, since 1970 as if it were UTC.
    start: i64,
}

/// A day as most write it, with what stands before the time: `2026-11-20T`.
#[derive(Clone, Copy, Debug)]
struct IsoDay {
    date: [u8; 11],
    /// Its first civil second, since 1970 as if it were UTC.
    start: i64,
}

/// What stands at the start of a text of the current record.
#[derive(Clone, Copy, Debug)]
struct Start {
    address: usize,
    length: usize,
    read: Option<(Timestamp, usize)>,
}

impl Clock {
    pub(super) fn new(zone: Zone) -> Clock {
        Clock {
            zone,
            read_time: 0,
            cached_span: i64::MIN,
            cached_offset: 0,
            start: None,
            access_day: None,
            syslog_day: None,
            iso_day: None,
            named: None,
        }
    }

    /// Sets the moment of reading, nanoseconds since 1970.
    pub(super) fn set_read_time(&mut self, nanos: i64) {
        self.read_time = nanos;
    }

    /// Begins a record: what is known of the texts of the one before is forgotten.
    pub(super) fn begin_record(&mut self) {
        self.start = None;
    }

    /// As [`read_prefix`](Self::read_prefix), for a text that stands in the record as it is: read once, however often
    /// it is asked for.
    pub(super) fn read_start(&mut self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let (address, length) = (text.as_ptr().addr(), text.len());
        match self.start {
            Some(start) if (start.address, start.length) == (address, length) => start.read,
            _ => {
                let read = self.read_prefix(text);
                self.start = Some(Start { address, length, read });
                read
            }
        }
    }

    /// Reads a time stamp that is all of `text`, mostly as access logs write it: `20/Nov/2026:21:39:19 +0100`. Of lines
    /// that follow each other nearly all are of the same day.
    pub(super) fn read_access(&mut self, text: &[u8]) -> Option<Timestamp> {
        let parts = access_parts(text);
        if let (Some((date, clock, offset)), Some(day)) = (parts, self.access_day)
            && (day.date, day.offset) == (*date, *offset)
        {
            return Timestamp::from_seconds(day.start + i64::from(second_of_day(*clock)?), 0, 0);
        }
        let (moment, _) = self.read_prefix(text).filter(|(_, length)| *length == text.len())?;
        if let Some((date, clock, offset)) = parts {
            let start = moment.nanos() / NANOS_PER_SECOND - i64::from(second_of_day(*clock)?);
            self.access_day = Some(AccessDay { date: *date, offset: *offset, start });
        }
        Some(moment)
    }

    /// Reads `Nov 20 21:39:19` at the start of a text, with no more behind it than a blank, if the line of that shape before
    /// it was of the same day.
    pub(super) fn read_syslog_day(&mut self, text: &[u8]) -> Option<Timestamp> {
        const YEAR_NANOS: i64 = 365 * 86_400 * NANOS_PER_SECOND;
        let day = self.syslog_day?;
        let (date, rest) = text.split_first_chunk::<7>()?;
        let (clock, rest) = rest.split_first_chunk::<8>()?;
        if *date != day.date || !rest.starts_with(b" ") {
            return None;
        }
        let civil = day.start + i64::from(second_of_day(*clock)?);
        let moment = Timestamp::from_seconds(civil - i64::from(self.offset_at(civil)), 0, 0)?;
        let latest = self.latest();
        // The year is the same as long as the day is not of the future, and was not a year ago.
        (moment.nanos() <= latest && moment.nanos().saturating_add(YEAR_NANOS) > latest).then_some(moment)
    }

    /// Keeps the day of a moment that was read from a text with such a date at its start.
    pub(super) fn note_syslog_day(&mut self, text: &[u8], civil: &Civil) {
        let midnight = Civil { hour: 0, minute: 0, second: 0, nanosecond: 0, ..*civil };
        self.syslog_day =
            text.first_chunk().zip(midnight.seconds()).map(|(date, start)| SyslogDay { date: *date, start });
    }

    /// The civil second of `2026-11-20T21:39:19` at the start of a text, since 1970 as if it were UTC, if the time stamp of
    /// that shape before it was of the same day; and what follows.
    #[inline]
    pub(super) fn read_iso_day<'t>(&self, text: &'t [u8]) -> Option<(i64, &'t [u8])> {
        let day = self.iso_day?;
        let (date, rest) = text.split_first_chunk::<11>()?;
        let (clock, rest) = rest.split_first_chunk::<8>()?;
        (*date == day.date).then_some(())?;
        Some((day.start + i64::from(second_of_day(*clock)?), rest))
    }

    /// Keeps the day of a civil time that was read from a text with such a date at its start.
    pub(super) fn note_iso_day(&mut self, text: &[u8], civil: &Civil) {
        let midnight = Civil { hour: 0, minute: 0, second: 0, nanosecond: 0, ..*civil };
        self.iso_day =
            text.first_chunk().zip(midnight.seconds()).map(|(date, start)| IsoDay { date: *date, start });
    }

    /// The latest moment that a time stamp without its year can mean: a day after the reading.
    fn latest(&self) -> i64 {
        const DAY_NANOS: i64 = 86_400 * NANOS_PER_SECOND;
        self.read_time.saturating_add(DAY_NANOS)
    }

    /// The moment of a civil time that the line puts into a zone by its name: `Europe/Berlin`. None where no zone is
    /// called so.
    pub(super) fn read_in_zone(&mut self, text: &[u8], name: &str) -> Option<Timestamp> {
        if self.named.as_ref().is_none_or(|(known, _)| known != name) {
            self.named = Some((name.to_owned(), name.parse().ok()));
        }
        let zone = self.named.as_ref().and_then(|(_, zone)| zone.clone())?;
        let own = std::mem::replace(&mut self.zone, zone);
        self.cached_span = i64::MIN;
        let read = self.read_prefix(text);
        self.zone = own;
        self.cached_span = i64::MIN;
        read.map(|(moment, _)| moment)
    }

    /// The moment of reading.
    pub(super) fn read_time(&self) -> Timestamp {
        let nanos = self.read_time.max(0);
        Timestamp::from_nanos(nanos, Timestamp::DIGITS_MAX).expect("a moment since 1970 is a time stamp")
    }

    /// The moment of a civil time; `offset_seconds` where the time stamp named its zone.
    pub(super) fn moment(&mut self, civil: &Civil, digits: u8, offset: Option<i32>) -> Option<Timestamp> {
        let civil_seconds = civil.seconds()?;
        self.moment_at(civil_seconds, civil.nanosecond, digits, offset)
    }

    /// As [`moment`](Self::moment), of a civil second since 1970 as if it were UTC.
    pub(super) fn moment_at(
        &mut self,
        civil_seconds: i64,
        nanosecond: u32,
        digits: u8,
        offset: Option<i32>,
    ) -> Option<Timestamp> {
        let offset_seconds = offset.unwrap_or_else(|| self.offset_at(civil_seconds));
        Timestamp::from_seconds(civil_seconds - i64::from(offset_seconds), nanosecond, digits)
    }

    /// The moment of a civil time whose year is not known, and is set: the latest that is at most a day after the reading, so
    /// that December's lines read in January belong to the old year, and a clock that is a little ahead to the new.
    pub(super) fn moment_without_year(
        &mut self,
        civil: &mut Civil,
        digits: u8,
        offset: Option<i32>,
    ) -> Option<Timestamp> {
        const YEAR_NANOS: i64 = 31_556_952 * 1_000_000_000;
        /// 29 February is up to eight years back (1896 to 1904, 2096 to 2104).
        const YEARS_BACK: i32 = 8;
        let latest = self.latest();
        let read_year = 1970 + (self.read_time / YEAR_NANOS) as i32;
        // Only January can be of the next year already.
        let last_year = read_year + i32::from(civil.month == 1);
        (read_year - YEARS_BACK..=last_year).rev().find_map(|year| {
            civil.year = year;
            self.moment(civil, digits, offset).filter(|moment| moment.nanos() <= latest)
        })
    }

    /// The year whose last two digits these are, if it is near the reading: up to 20 years back, one ahead.
    pub(super) fn near_year(&self, two_digits: u8) -> Option<i32> {
        const YEAR_NANOS: i64 = 31_556_952 * 1_000_000_000;
        let read_year = 1970 + (self.read_time / YEAR_NANOS) as i32;
        let century = (read_year + 1) / 100 * 100;
        let year = century + i32::from(two_digits);
        let year = if year > read_year + 1 { year - 100 } else { year };
        (year >= read_year - 20).then_some(year)
    }

    fn offset_at(&mut self, civil_seconds: i64) -> i32 {
        let span = civil_seconds.div_euclid(OFFSET_SPAN_SECONDS);
        if span != self.cached_span {
            self.cached_span = span;
            self.cached_offset = self.zone.offset_at(civil_seconds);
        }
        self.cached_offset
    }
}

/// Date, time of day and offset of `20/Nov/2026:21:39:19 +0100`; none where the offset, in numbers, or a part is missing.
fn access_parts(text: &[u8]) -> Option<(&[u8; 12], &[u8; 8], &[u8; 6])> {
    let (date, rest) = text.split_first_chunk::<12>()?;
    let (clock, rest) = rest.split_first_chunk::<8>()?;
    let offset: &[u8; 6] = rest.try_into().ok()?;
    (date[11] == b':' && matches!(offset, [b' ', b'+' | b'-', ..])).then_some((date, clock, offset))
}

/// Seconds east of UTC of the abbreviations that mean one zone only. Others (CST, IST, BST, ...) are left to the
/// file's own zone.
pub(super) fn abbreviation(name: &[u8]) -> Option<i32> {
    const HOUR: i32 = 3600;
    Some(match name {
        b"UTC" | b"GMT" | b"WET" => 0,
        b"CET" | b"WEST" => HOUR,
        b"CEST" | b"EET" => 2 * HOUR,
        b"EEST" | b"MSK" => 3 * HOUR,
        b"JST" | b"KST" => 9 * HOUR,
        b"EDT" => -4 * HOUR,
        b"EST" | b"CDT" => -5 * HOUR,
        b"PDT" => -7 * HOUR,
        b"PST" => -8 * HOUR,
        _ => return None,
    })
}

/// Whether a name is the abbreviation of a zone that means several ones, or is heard of in its own country only.
pub(super) fn is_shared_zone(name: &[u8]) -> bool {
    const NAMES: [&str; 31] = [
        "ACDT", "ACST", "ADT", "AEDT", "AEST", "AKDT", "AKST", "AST", "AWST", "BST", "CAT", "CST", "EAT",
        "HKT", "HST", "IDT", "IST", "MDT", "MST", "NDT", "NST", "NZDT", "NZST", "PKT", "SAST", "SGT", "SST",
        "WAT", "WIB", "WIT", "WITA",
    ];
    NAMES.iter().any(|shared| shared.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN_NANOS: i64 = 1_000_000_000;

    fn clock(zone: &str, read_time: &str) -> Clock {
        let mut clock = Clock::new(zone.parse().expect("a zone"));
        clock.set_read_time(Timestamp::parse_rfc3339(read_time.as_bytes()).expect("a moment").nanos());
        clock
    }

    fn civil(text: &str) -> Civil {
        Civil::parse_iso(text.as_bytes()).expect("a civil time").0
    }

    fn check(zone: &str, text: &str, expected: &str) {
        let moment = clock(zone, "2026-11-20T00:00:00Z").moment(&civil(text), 0, None).expect("a moment");
        assert_eq!(moment.to_string(), expected, "{text} in {zone}");
    }

    #[test]
    fn a_civil_time_means_the_files_own_zone() {
        check("UTC", "2026-11-20 21:39:19", "2026-11-20T21:39:19.000Z");
        check("-03:30", "2026-11-20 21:39:19", "2026-11-21T01:09:19.000Z");
        check("Europe/Berlin", "2026-11-20 21:39:19", "2026-11-20T20:39:19.000Z");
        check("Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01T10:00:00.000Z");
    }

    #[test]
    fn hours_that_are_left_out_or_repeated_have_a_moment() {
        check("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29T01:30:00.000Z");
        check("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25T00:30:00.000Z");
    }

    #[test]
    fn a_cached_offset_ends_where_the_zone_changes() {
        let mut clock = clock("Europe/Berlin", "2026-11-20T00:00:00Z");
        let mut seconds = Vec::new();
        for text in ["2026-03-29 01:59:59", "2026-03-29 03:00:00", "2026-03-29 03:15:00"] {
            seconds.push(clock.moment(&civil(text), 0, None).expect("a moment").nanos() / BERLIN_NANOS);
        }
        assert_eq!((seconds[1] - seconds[0], seconds[2] - seconds[1]), (1, 900));
    }

    #[test]
    fn a_missing_year_is_the_one_nearest_before_the_reading() {
        let year = |read: &str, month, day| {
            let mut civil = Civil { month, day, ..Civil::default() };
            clock("UTC", read)
                .moment_without_year(&mut civil, 0, None)
                .map(|moment| moment.to_string()[..4].to_owned())
        };
        assert_eq!(year("2026-11-20T12:00:00Z", 11, 20).as_deref(), Some("2026"));
        assert_eq!(year("2027-01-01T00:00:05Z", 12, 31).as_deref(), Some("2026"));
        assert_eq!(year("2026-12-31T23:59:58Z", 1, 1).as_deref(), Some("2027"));
        assert_eq!(year("2026-11-20T12:00:00Z", 12, 24).as_deref(), Some("2025"));
        assert_eq!(year("2026-11-20T12:00:00Z", 2, 29).as_deref(), Some("2024"));
        assert_eq!(year("2026-11-20T12:00:00Z", 2, 30), None);
    }

    #[test]
    fn a_clock_that_remembers_days_reads_as_one_that_has_just_begun() {
        const PIECES: [&[&str]; 4] = [
            &["Nov 20 ", "Dec 31 ", "Jan  1 ", "Feb 29 ", "Mar 29 ", "Oct 25 ", "nov. 2 "],
            &[
                "2026-11-20T",
                "2026-11-20 ",
                "2026/12/31 ",
                "2024-02-29T",
                "2026-02-29T",
                "2026-10-25 ",
                "2026-03-29 ",
            ],
            &["20/Nov/2026:", "31/Dec/2026:", "25/Oct/2026:", "29/Mar/2026:", "29/Feb/2026:", "02/nov/2026:"],
            &["21:39:19", "00:00:00", "02:30:00", "23:59:60", "24:00:00", "21:39:1x"],
        ];
        const TAILS: [&str; 14] = [
            " host",
            " UTC: x",
            "",
            ".5 x",
            " +0100",
            " -0330",
            " +9900",
            "+0100",
            "Z",
            ",123+01:00 x",
            ":123 x",
            " PM",
            ".123456789Z",
            " AM x",
        ];
        const READ_TIMES: [&str; 4] =
            ["2026-11-20T12:00:00Z", "2026-12-30T23:59:58Z", "2027-01-01T00:00:05Z", "2028-03-01T00:00:00Z"];
        bolero::check!().with_type::<Vec<[u8; 4]>>().for_each(|choices| {
            for zone in ["UTC", "Europe/Berlin"] {
                let mut seasoned = clock(zone, READ_TIMES[0]);
                for [date, time, tail, read] in choices {
                    let one_of =
                        |texts: &[&'static str], choice: u8| texts[usize::from(choice) % texts.len()];
                    let dates = PIECES[usize::from(*read) % 3];
                    let text =
                        [one_of(dates, *date), one_of(PIECES[3], *time), one_of(&TAILS, *tail)].concat();
                    let read_time = READ_TIMES[usize::from(*read / 3) % READ_TIMES.len()];
                    let mut fresh = clock(zone, read_time);
                    seasoned.read_time = fresh.read_time;
                    let text = text.as_bytes();
                    assert_eq!(
                        seasoned.read_prefix(text),
                        fresh.read_prefix(text),
                        "{text:?} at {read_time}"
                    );
                    let whole = fresh.read_prefix(text).filter(|(_, length)| *length == text.len());
                    assert_eq!(seasoned.read_access(text), whole.map(|(moment, _)| moment), "{text:?}");
                }
            }
        });
    }

    #[test]
    fn an_unknown_zone_is_refused_by_name() {
        let error = "Mars/Olympus".parse::<Zone>().expect_err("no such zone");
        assert!(error.to_string().contains("Mars/Olympus"));
    }
}
