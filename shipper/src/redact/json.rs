//! What is taken out of a JSON line leaves JSON: nothing is cut through an escape sequence, no finding leaves the string
//! that it begins in, and what is no string (a card's number as a number, a list of passwords) becomes one.

use std::cell::OnceCell;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::Finding;

/// The JSON object that a line is, or that stands in it behind a header. Looked at when it is asked for first: most lines
/// hold nothing that has to go.
pub(super) struct Layout<'l> {
    line: &'l [u8],
    object: OnceCell<Option<Object>>,
}

struct Object {
    start: usize,
    end: usize,
    strings: Vec<JsonString>,
}

/// A string with its quotes.
struct JsonString {
    start: usize,
    end: usize,
    /// How far what begins in it may reach.
    reach: usize,
}

impl<'l> Layout<'l> {
    pub(super) const fn new(line: &'l [u8]) -> Layout<'l> {
        Layout { line, object: OnceCell::new() }
    }

    pub(super) const fn line(&self) -> &'l [u8] {
        self.line
    }

    fn object(&self) -> Option<&Object> {
        self.object.get_or_init(|| Object::of(self.line)).as_ref()
    }

    /// The line, up to where a value may reach that is named at `at`: not beyond the string that the name stands in, or
    /// the member that it is the key of.
    pub(super) fn reach(&self, at: usize) -> &'l [u8] {
        let string = self.object().and_then(|object| object.string_at(at));
        &self.line[..string.map_or(self.line.len(), |string| string.reach)]
    }

    /// Fits a finding to the object; one around it is left as it is.
    pub(super) fn fit(&self, finding: &mut Finding) {
        let at = finding.bytes.start;
        let Some(object) = self.object().filter(|object| (object.start..object.end).contains(&at)) else {
            return;
        };
        if at == object.start {
            // All of it is the value of a name in the header.
            finding.bytes.end = finding.bytes.end.max(object.end);
        } else if let Some(string) = object.string_at(at) {
            fit_to_string(self.line, string.start + 1, string.end - 1, finding);
        } else {
            fit_to_value(self.line, at, finding);
        }
    }
}

impl Object {
    fn of(line: &[u8]) -> Option<Object> {
        let (start, end) = object(line)?;
        let (mut at, mut strings) = (start, Vec::<JsonString>::new());
        while at < end {
            if line[at] == b'"' {
                let end = string_end(line, at);
                strings.push(JsonString { start: at, end, reach: end - 1 });
                at = end;
                continue;
            }
            if line[at] == b':'
                && let Some(key) = strings.last_mut()
            {
                let blanks = line[at + 1..end].len() - line[at + 1..end].trim_ascii_start().len();
                let value = at + 1 + blanks;
                key.reach = value + value_length(&line[value..end]).unwrap_or(0);
            }
            at += 1;
        }
        Some(Object { start, end, strings })
    }

    fn string_at(&self, at: usize) -> Option<&JsonString> {
        let before = self.strings.partition_point(|string| string.start <= at);
        before.checked_sub(1).map(|last| &self.strings[last]).filter(|string| at < string.end)
    }
}

/// Where the first JSON object of a line begins and ends.
fn object(line: &[u8]) -> Option<(usize, usize)> {
    let opens = |at: &usize| line[at + 1..].trim_ascii_start().starts_with(b"\"");
    let start = memchr::memchr_iter(b'{', line).find(opens)?;
    let length = value_length(&line[start..])?;
    Some((start, start + length))
}

/// The length of the JSON value that a text begins with.
fn value_length(text: &[u8]) -> Option<usize> {
    let mut values = Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    matches!(values.next(), Some(Ok(_))).then(|| values.byte_offset())
}

/// Behind the closing quote of the string whose opening one is at `start`.
fn string_end(line: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < line.len() && line[at] != b'"' {
        at += if line[at] == b'\\' { 2 } else { 1 };
    }
    line.len().min(at + 1)
}

/// `start..end`: the inside of the string.
fn fit_to_string(line: &[u8], start: usize, end: usize, finding: &mut Finding) {
    let bytes = &mut finding.bytes;
    bytes.start = bytes.start.max(start);
    bytes.end = bytes.end.min(end);
    let behind_escape = |at| escape_around(&line[start..end], at - start).map_or(at, |end| start + end);
    if bytes.start < bytes.end {
        *bytes = behind_escape(bytes.start)..behind_escape(bytes.end);
    }
    bytes.end = bytes.end.max(bytes.start);
}

/// The end of the escape sequence that `at` stands inside of.
fn escape_around(text: &[u8], at: usize) -> Option<usize> {
    (at.saturating_sub(ESCAPE_BYTES_MAX - 1)..at).find_map(|begin| {
        // Of several backslashes each second one is escaped itself.
        let before = text[..begin].iter().rev().take_while(|byte| **byte == b'\\').count();
        let end = begin + escape_length(&text[begin..]);
        (text[begin] == b'\\' && before % 2 == 0 && at < end).then_some(end)
    })
}

/// `\uXXXX`.
const ESCAPE_BYTES_MAX: usize = 6;

/// Of the escape sequence that a text begins with, or one byte.
fn escape_length(text: &[u8]) -> usize {
    let length = match text {
        [b'\\', b'u', ..] => ESCAPE_BYTES_MAX,
        [b'\\', ..] => 2,
        _ => 1,
    };
    length.min(text.len())
}

/// The value that begins at `at`, or goes on there, becomes a string. Between values nothing is: what ended a string was
/// taken for the beginning of another.
fn fit_to_value(line: &[u8], at: usize, finding: &mut Finding) {
    let is_bare = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let begun = if is_bare(&&line[at]) { line[..at].iter().rev().take_while(is_bare).count() } else { 0 };
    let start = at - begun;
    finding.bytes = start..start + value_length(&line[start..]).unwrap_or(0);
    finding.is_value = true;
}
