//! `key=value` pairs inside a message's text, which stays whole: they are lifted into attributes, trace ids and
//! durations into their fields.

use std::borrow::Cow;

use weir_record::scan::{find, word};
use weir_record::schema::Field;

use super::super::cut::Cut;
use super::super::draft::{Draft, Value};
use super::super::keys::{self, Meaning, Unit};
use super::super::logfmt;

/// Most pairs of one message: what has more is no log line but a dump.
const PAIRS_MAX: usize = 32;

/// Bytes of a key. Longer ones are no names.
const KEY_BYTES_MAX: usize = 48;

/// Lifts the pairs of `text`.
pub(super) fn lift(text: &str, draft: &mut Draft<'_>) {
    let (bytes, mut at, mut lifted) = (text.as_bytes(), 0, 0);
    while let Some(equals) = find(b'=', &bytes[at..]).map(|found| at + found) {
        let key = key_before(&text[at..equals]);
        let (value, end) = value_after(text, equals + 1);
        let value = with_unit(text, value, end);
        at = end;
        if let Some(key) = key
            && !value.is_empty()
            && !(bytes[equals + 1] == b'"' && is_in_tag(&text[..equals]))
        {
            match value.contains('\\') && bytes[equals + 1] == b'"' {
                true => place(key, &unquoted(value), draft),
                false => place(key, value, draft),
            }
            lifted += 1;
            if lifted == PAIRS_MAX || draft.writer.is_full() {
                return;
            }
        }
    }
}

/// Whether a text ends inside of a tag of XML.
fn is_in_tag(text: &str) -> bool {
    memchr::memrchr2(b'<', b'>', text.as_bytes()).is_some_and(|at| text.as_bytes()[at] == b'<')
}

/// The value with the unit that stands behind a blank: `latency=12 ms`.
fn with_unit<'t>(text: &'t str, value: &'t str, end: usize) -> &'t str {
    const UNITS: [&str; 6] = ["ns", "us", "µs", "μs", "ms", "s"];
    let is_number = value.ends_with(|last: char| last.is_ascii_digit());
    let rest = text.get(end..).and_then(|rest| rest.strip_prefix(' ')).filter(|_| is_number);
    // `µ` and `μ` begin with these bytes.
    let may_be_unit = |rest: &&str| matches!(rest.as_bytes(), [b'n' | b'u' | b'm' | b's' | 0xC2 | 0xCE, ..]);
    let Some(rest) = rest.filter(may_be_unit) else { return value };
    let unit = rest.split([' ', '\t', '\n', ',', ';']).next().unwrap_or_default();
    let start = end - value.len();
    match UNITS.contains(&unit) && text.get(start..end) == Some(value) {
        true => &text[start..end + 1 + unit.len()],
        false => value,
    }
}

/// Whether a text is nothing but pairs, each of which is lifted.
pub(super) fn is_all(text: &str) -> bool {
    let mut rest = text;
    while let Some((key, value)) = rest.cut_byte(b'=') {
        if key_before(key).is_none_or(|name| name.len() < key.trim_start_matches([' ', ',']).len()) {
            return false;
        }
        let start = rest.len() - value.len();
        let (value, end) = value_after(rest, start);
        rest = rest.get(end..).unwrap_or_default();
        if value.is_empty() || !rest.is_empty() && !rest.starts_with([' ', ',']) {
            return false;
        }
    }
    rest.is_empty() && !text.is_empty()
}

/// Whether a text begins with a pair.
pub(super) fn begins(text: &str) -> bool {
    text.cut_byte(b'=').is_some_and(|(key, _)| !key.has(b' ') && key_before(key).is_some())
}

/// The key at the end of a text: a name with a blank or an opening bracket before it.
fn key_before(text: &str) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let length = text.as_bytes().iter().rev().take_while(|byte| is_name(byte)).count();
    let (before, key) = text.split_at(text.len() - length);
    let is_separate = before
        .bytes()
        .next_back()
        // Linux' audit log has a separator of ASCII's before what it says in words.
        .is_none_or(|byte| matches!(byte, b' ' | b'\t' | b',' | b';' | b'(' | b'[' | b'{' | b'|' | b'\x1d'));
    let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !key.ends_with(['.', '-'])
        && !(key.has(b'.') && key.contains(".."))
        && key.len() <= KEY_BYTES_MAX;
    (is_separate && is_key).then_some(key)
}

/// The value at a place, empty where there is none that is certain, and where to go on.
fn value_after(text: &str, start: usize) -> (&str, usize) {
    let rest = &text[start..];
    if let Some(quoted) = rest.strip_prefix('"') {
        return match quoted_length(quoted) {
            Some(length) => (&quoted[..length], start + length + 2),
            None => ("", start + 1),
        };
    }
    let end = word(*b",;)]}|\"'=", rest.as_bytes());
    let opening = word(*b"{[(<", &rest.as_bytes()[..end]);
    let is_plain = opening == end && !rest[end..].starts_with(['=', '"', '\'']);
    let value = rest[..end].trim_end_matches(['.', ':']);
    (if is_plain { value } else { "" }, start + end.max(usize::from(end == 0 && rest.starts_with('='))))
}

/// The length of a quoted value of one line, up to the quote that ends it.
pub(super) fn quoted_length(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.find(['"', '\\', '\n'])?;
        match text.as_bytes()[at] {
            b'"' => return Some(at),
            b'\\' if text.as_bytes().get(at + 1)?.is_ascii() => at += 2,
            _ => return None,
        }
    }
}

/// What a quoted text means.
pub(super) fn unquoted(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut text = String::new();
    logfmt::unquote(inside, &mut text);
    Cow::Owned(text)
}

fn place(key: &str, value: &str, draft: &mut Draft<'_>) {
    let meaning = keys::lookup(key.as_bytes()).filter(|meaning| {
        matches!(
            meaning,
            Meaning::Identifier(Field::TraceId | Field::SpanId)
                | Meaning::Traceparent
                | Meaning::B3
                | Meaning::Duration(Unit::InValue)
                | Meaning::WeakDuration
        ) || key == "resource.service.name"
    });
    if !meaning.is_some_and(|meaning| draft.assign(meaning, Value::Plain(value))) {
        draft.attribute_text(key, value);
    }
}
