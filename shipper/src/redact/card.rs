//! Numbers of payment cards: the length and first digits of an issuer (ISO/IEC 7812), plain or in groups, that pass
//! the Luhn check. Other long numbers (times, ids) are left alone.

use super::{Finding, Kind};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// Most groups that a number is written in.
const GROUPS_MAX: usize = 5;

/// Bytes that are looked at together, and how far their places may be apart: of any 13 digits, with one separator at
/// most between two of them, one such place is whole.
const PLACE_BYTES: usize = 4;
const STRIDE_BYTES: usize = DIGITS_MIN - PLACE_BYTES + 1;

/// Finds the numbers of a line in which no row of digits and separators that could be one begins before `from`.
pub(super) fn find(line: &[u8], from: usize, findings: &mut Vec<Finding>) {
    let mut at = from;
    while let Some(place) = line.get(at..).and_then(<[u8]>::first_chunk::<PLACE_BYTES>) {
        let next = at + STRIDE_BYTES;
        if !may_be_digits(*place) || !is_row(*place) || !goes_on(line, at) {
            at = next;
            continue;
        }
        let digit = place.iter().position(u8::is_ascii_digit);
        at = digit.map_or(next, |digit| {
            let (start, end) = run(line, at + digit);
            find_in_run(line, start, end, findings);
            end.max(next)
        });
    }
}

/// Where in 64 bytes the first row begins that could be a number, by the bits of digits and of separators: at least 13
/// bytes, and one separator between groups of three digits or more (see [`is_grouped_as_cards_are`]).
pub(super) const fn row(digits: u64, separators: u64) -> Option<usize> {
    let groups = digits & digits >> 1 & digits >> 2;
    let long = long_rows(digits | separators & groups >> 1 & groups << 3);
    if long == 0 { None } else { Some(long.trailing_zeros() as usize) }
}

/// The bits from which on 13 are set.
pub(super) const fn long_rows(bits: u64) -> u64 {
    let two = bits & bits >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    eight & eight >> (DIGITS_MIN - 8)
}

/// Whether none of the bytes is a letter or a control character: digits and separators lie from 0x20 to 0x3F.
const fn may_be_digits(place: [u8; PLACE_BYTES]) -> bool {
    u32::from_ne_bytes(place) & 0xE0E0_E0E0 == 0x2020_2020
}

/// Whether all of the bytes are digits or separators.
fn is_row(place: [u8; PLACE_BYTES]) -> bool {
    const IN_ROW: [bool; 256] = {
        let mut in_row = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            in_row[byte] = matches!(byte as u8, b'0'..=b'9' | b' ' | b'-');
            byte += 1;
        }
        in_row
    };
    let [first, second, third, fourth] = place.map(|byte| IN_ROW[usize::from(byte)]);
    first & second & third & fourth
}

/// Whether a row goes on before or behind one place in it: of at least 13 bytes, nine or more are around the place.
fn goes_on(line: &[u8], at: usize) -> bool {
    let is_row_at = |start: usize| {
        line.get(start..).and_then(<[u8]>::first_chunk::<PLACE_BYTES>).is_some_and(|place| is_row(*place))
    };
    is_row_at(at + PLACE_BYTES) || at.checked_sub(PLACE_BYTES).is_some_and(is_row_at)
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-')
}

/// The longest run of digits with single separators around the digit at `inside`.
fn run(line: &[u8], inside: usize) -> (usize, usize) {
    let mut start = inside;
    loop {
        if start >= 1 && line[start - 1].is_ascii_digit() {
            start -= 1;
        } else if start >= 2 && is_separator(line[start - 1]) && line[start - 2].is_ascii_digit() {
            start -= 2;
        } else {
            break;
        }
    }
    let mut end = inside + 1;
    loop {
        if line.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        } else if line.get(end).is_some_and(|byte| is_separator(*byte))
            && line.get(end + 1).is_some_and(u8::is_ascii_digit)
        {
            end += 2;
        } else {
            break;
        }
    }
    (start, end)
}

/// A number inside a word, a decimal or a path is none of a card.
fn is_alone(line: &[u8], start: usize, end: usize) -> bool {
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-');
    let before = start.checked_sub(1).and_then(|at| line.get(at));
    let after = line.get(end);
    let ends_sentence = after == Some(&b'.') && !line.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    !before.is_some_and(joins) && (ends_sentence || !after.is_some_and(joins))
}

/// Looks at every row of whole groups: a date or a number may stand before the card's.
fn find_in_run(line: &[u8], start: usize, end: usize, findings: &mut Vec<Finding>) {
    let mut from = start;
    while end - from >= DIGITS_MIN {
        let found = rows(line, from, end).find(|to| is_alone(line, from, *to) && is_card(&line[from..*to]));
        match (found, line[from..end].iter().position(|byte| is_separator(*byte))) {
            (Some(to), _) => {
                findings.push(Finding::new(Kind::Card, from..to));
                from = (to + 1).min(end);
            }
            (None, Some(separator)) => from += separator + 1,
            (None, None) => return,
        }
    }
}

/// The ends of the groups after `from`, as far as a card's number can reach, the farthest first.
fn rows(line: &[u8], from: usize, end: usize) -> impl Iterator<Item = usize> {
    let farthest = end.min(from + DIGITS_MAX + GROUPS_MAX);
    (from + DIGITS_MIN..=farthest)
        .rev()
        .filter(move |to| *to == end || line.get(*to).is_some_and(|byte| is_separator(*byte)))
}

fn is_card(run: &[u8]) -> bool {
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    for byte in run.iter().filter(|byte| byte.is_ascii_digit()) {
        if count == DIGITS_MAX {
            return false;
        }
        digits[count] = byte - b'0';
        count += 1;
    }
    let digits = &digits[..count];
    count >= DIGITS_MIN && is_grouped_as_cards_are(run) && is_issued(digits) && luhn(digits)
}

/// No separators, or one kind of them between groups of three to seven digits.
fn is_grouped_as_cards_are(run: &[u8]) -> bool {
    let mut separators = run.iter().filter(|byte| !byte.is_ascii_digit());
    let Some(first) = separators.next() else { return true };
    let groups = run.split(|byte| byte == first);
    separators.all(|other| other == first) && groups.map(<[u8]>::len).all(|length| (3..=7).contains(&length))
}

/// Issuer ranges and their lengths: Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, Maestro.
fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        13 => prefix / 1000 == 4,
        14 => matches!(prefix / 10, 300..=305) || matches!(prefix / 100, 36 | 38 | 39),
        15 => matches!(prefix / 100, 34 | 37),
        16 => {
            prefix / 1000 == 4
                || matches!(prefix, 2221..=2720 | 3528..=3589 | 5100..=5599 | 6011)
                || matches!(prefix / 10, 644..=649)
                || matches!(prefix / 100, 62 | 65 | 67)
        }
        17 | 18 => matches!(prefix / 100, 62 | 67),
        19 => prefix / 1000 == 4 || matches!(prefix / 100, 62 | 67),
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => u32::from(*digit),
            _ => u32::from(*digit) * 2 / 10 + u32::from(*digit) * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
