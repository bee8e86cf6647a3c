//! What is taken out of a JSON line leaves JSON: nothing is cut through an escape sequence, no finding leaves the string
//! that it begins in, and what is no string (a card's number as a number, a list of passwords) becomes one.

use std::cell::OnceCell;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::Finding;

/// How far a value reaches that is named at some place of a line: in a JSON line not beyond the string that the name
/// stands in, or the member that it is the key of. Looked at when it is asked for first: most lines hold no secret.
pub(super) struct Reach<'l> {
    line: &'l [u8],
    strings: OnceCell<Vec<JsonString>>,
}

struct JsonString {
    start: usize,
    end: usize,
    /// How far what begins in it may reach.
    reach: usize,
}

impl<'l> Reach<'l> {
    pub(super) const fn new(line: &'l [u8]) -> Reach<'l> {
        Reach { line, strings: OnceCell::new() }
    }

    /// The line, up to where something may reach that begins at `at`.
    pub(super) fn of(&self, at: usize) -> &'l [u8] {
        let strings = self.strings.get_or_init(|| strings(self.line));
        let before = strings.partition_point(|string| string.start <= at);
        let string = before.checked_sub(1).map(|last| &strings[last]).filter(|string| at < string.end);
        &self.line[..string.map_or(self.line.len(), |string| string.reach)]
    }
}

/// The strings of a line's object.
fn strings(line: &[u8]) -> Vec<JsonString> {
    let mut strings: Vec<JsonString> = Vec::new();
    let Some((mut at, end)) = object(line) else { return strings };
    while at < end {
        if line[at] == b'"' {
            let end = string_end(line, at);
            strings.push(JsonString { start: at, end, reach: end - 1 });
            at = end;
        } else {
            if line[at] == b':'
                && let Some(key) = strings.last_mut()
            {
                let blanks = line[at + 1..end].len() - line[at + 1..end].trim_ascii_start().len();
                let value = at + 1 + blanks;
                key.reach = value + value_length(&line[value..end]).unwrap_or(0);
            }
            at += bare_length(&line[at..end]);
        }
    }
    strings
}

/// Fits findings, the first first, to the object that a line is, or that stands behind a header. Any other line, and what
/// stands around the object, is left as it is.
pub(super) fn fit(line: &[u8], findings: &mut [Finding]) {
    let Some((start, end)) = object(line) else { return };
    let mut findings = findings.iter_mut().skip_while(|finding| finding.bytes.start < start).peekable();
    while let Some(finding) = findings.next_if(|finding| finding.bytes.start == start) {
        // All of it is the value of a name in the header.
        finding.bytes.end = finding.bytes.end.max(end);
    }
    let mut at = start;
    while at < end && findings.peek().is_some() {
        let is_string = line[at] == b'"';
        let token_end = if is_string { string_end(line, at) } else { at + bare_length(&line[at..end]) };
        while let Some(finding) = findings.next_if(|finding| finding.bytes.start < token_end) {
            if is_string {
                fit_to_string(line, at + 1, token_end - 1, finding);
            } else {
                fit_to_value(line, at, finding);
            }
        }
        at = token_end;
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

/// A number or a word as a whole, or one byte of what stands between values.
fn bare_length(text: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.iter().take_while(is_part).count().max(1)
}

/// `start..end`: the inside of the string.
fn fit_to_string(line: &[u8], start: usize, end: usize, finding: &mut Finding) {
    let bytes = &mut finding.bytes;
    bytes.start = bytes.start.max(start);
    bytes.end = bytes.end.min(end);
    let mut at = start;
    while at < bytes.end {
        let next = at + escape_length(&line[at..end]);
        if at < bytes.start && bytes.start < next {
            bytes.start = next;
        }
        if bytes.end < next {
            bytes.end = next;
        }
        at = next;
    }
    bytes.end = bytes.end.max(bytes.start);
}

/// Of the escape sequence that a text begins with, or one byte.
fn escape_length(text: &[u8]) -> usize {
    let length = match text {
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        _ => 1,
    };
    length.min(text.len())
}

/// The value that begins at `start`, or goes on there, becomes a string. Between values nothing is: what ended a string
/// was taken for the beginning of another.
fn fit_to_value(line: &[u8], start: usize, finding: &mut Finding) {
    finding.bytes = start..start + value_length(&line[start..]).unwrap_or(0);
    finding.is_value = true;
}
