//! Durations as log lines write them, in nanoseconds.

use super::keys::Unit;
use super::time::{decimal, shift};
use weir_record::scan::digits;

/// Reads a duration in nanoseconds where its unit is certain: stated in the value (`1.5ms`, `1m2.3s`), or by the key.
pub(super) fn parse(text: &str, unit: Unit) -> Option<i64> {
    let unit_places = match unit {
        Unit::InValue => return stated(text),
        Unit::Seconds => 9,
        Unit::Millis => 6,
        Unit::Micros => 3,
        Unit::Nanos => 0,
    };
    scaled(text, unit_places).or_else(|| stated(text))
}

/// What makes nanoseconds of a whole number of digits, if it is one and its unit is the key's.
pub(super) fn zeros(text: &str, unit: Unit) -> Option<&'static [u8]> {
    const DIGITS_MAX: usize = 9;
    let zeros: &[u8] = match unit {
        Unit::InValue => return None,
        Unit::Seconds => b"000000000",
        Unit::Millis => b"000000",
        Unit::Micros => b"000",
        Unit::Nanos => b"",
    };
    let is_whole = !text.starts_with('0') && matches!(text.len(), 1..=DIGITS_MAX);
    (is_whole && digits(text.as_bytes()) == text.len()).then_some(zeros)
}

fn stated(text: &str) -> Option<i64> {
    with_units(text).or_else(|| iso(text)).or_else(|| time_span(text))
}

/// `PT1H2M3.5S` (ISO 8601-1, 5.5.2.2), as Java writes a duration.
fn iso(text: &str) -> Option<i64> {
    let units = text.strip_prefix("PT")?;
    units.bytes().all(|byte| byte.is_ascii_digit() || b".HMS".contains(&byte)).then_some(())?;
    with_units(&units.to_ascii_lowercase())
}

/// `00:00:01.5000000`, as .NET writes one.
fn time_span(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let is_pair = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = is_pair(hours) && is_pair(minutes) && seconds.get(..2).is_some_and(is_pair);
    (is_whole && parts.next().is_none()).then_some(())?;
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    Some(minutes * 60_000_000_000 + scaled(seconds, 9)?)
}

/// `1h2m3.5s`, `12.5 ms`, `3µs`: one or more numbers, each with its unit.
fn with_units(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut rest = text;
    let mut unit_before = i64::MAX;
    loop {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let tail = tail.strip_prefix(' ').unwrap_or(tail);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (name, after) = tail.split_at(unit);
        let (places, times) = match name {
            "ns" | "nanos" => (0, 1),
            "us" | "µs" | "μs" | "micros" => (3, 1),
            "ms" | "millis" | "msec" => (6, 1),
            "s" | "sec" | "secs" | "seconds" => (9, 1),
            "m" | "min" => (9, 60),
            "h" => (9, 3600),
            _ => return None,
        };
        // Each unit is a part of the one before.
        let unit = 10_i64.pow(places) * times;
        if unit >= unit_before {
            return None;
        }
        unit_before = unit;
        let nanos = scaled(digits, i32::try_from(places).ok()?)?.checked_mul(times)?;
        total = total.checked_add(nanos)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

/// A decimal number times ten to the power of `unit_places`, cut to whole nanoseconds.
fn scaled(text: &str, unit_places: i32) -> Option<i64> {
    let (mantissa, places) = decimal(text.as_bytes())?;
    i64::try_from(shift(mantissa, unit_places - places)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_where_its_unit_is_certain() {
        let check = |text, unit, expected| assert_eq!(parse(text, unit), expected, "{text}");
        check("1.5ms", Unit::InValue, Some(1_500_000));
        check("1m2.3s", Unit::InValue, Some(62_300_000_000));
        check("3µs", Unit::InValue, Some(3_000));
        check("12 ms", Unit::InValue, Some(12_000_000));
        check("0.012", Unit::Seconds, Some(12_000_000));
        check("12.5", Unit::Millis, Some(12_500_000));
        check("7", Unit::Nanos, Some(7));
        check("12ms", Unit::Seconds, Some(12_000_000));
        check("PT1.5S", Unit::InValue, Some(1_500_000_000));
        check("PT1H2M", Unit::InValue, Some(3_720_000_000_000));
        check("00:01:30.2500000", Unit::InValue, Some(90_250_000_000));
        let others = ["PT", "PT5", "PT1S1H", "P1D", "1:2:3", "00:01", "00:01:30:00", "00:01:30x"];
        for text in
            ["12", "", "ms", "-5ms", "1.5 parsecs", "3ms3ms", "1s2m", "99999999999999999999h", "1..5s"]
                .into_iter()
                .chain(others)
        {
            check(text, Unit::InValue, None);
        }
    }

    #[test]
    fn digits_alone_are_the_same_number_with_zeros_behind_them() {
        for unit in [Unit::Seconds, Unit::Millis, Unit::Micros, Unit::Nanos, Unit::InValue] {
            for text in ["1", "90", "123456789", "1234567890", "0", "01", "1.5", "12x", "", "-1", "1e3"] {
                let written = zeros(text, unit).map(|zeros| [text.as_bytes(), zeros].concat());
                let expected = parse(text, unit).map(|nanos| nanos.to_string().into_bytes());
                assert!(written.is_none() || written == expected, "{text} in {unit:?}");
                let is_whole = matches!(text, "1" | "90" | "123456789") && unit != Unit::InValue;
                assert_eq!(written.is_some(), is_whole, "{text} in {unit:?}");
            }
        }
    }
}
