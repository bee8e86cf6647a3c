//! Durations as log lines write them, in nanoseconds.

use super::keys::Unit;
use super::time::{decimal, shift};

/// Reads a duration in nanoseconds where its unit is certain: stated in the value (`1.5ms`, `1m2.3s`), or by the key.
pub(super) fn parse(text: &str, unit: Unit) -> Option<i64> {
    let unit_places = match unit {
        Unit::InValue => return with_units(text),
        Unit::Seconds => 9,
        Unit::Millis => 6,
        Unit::Micros => 3,
        Unit::Nanos => 0,
    };
    scaled(text, unit_places).or_else(|| with_units(text))
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
        for text in
            ["12", "", "ms", "-5ms", "1.5 parsecs", "3ms3ms", "1s2m", "99999999999999999999h", "1..5s"]
        {
            check(text, Unit::InValue, None);
        }
    }
}
