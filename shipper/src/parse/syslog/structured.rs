//! Structured data: `[id@1 key="value"]` (RFC 5424, section 6.3).

use std::borrow::Cow;

use weir_record::json::push_string;
use weir_record::scan::{find, find_either};

use super::super::cut::Cut;

/// Length of the structured data at the start of `text`: `-`, or elements in brackets.
pub(super) fn structured_data_length(text: &str) -> Option<usize> {
    if text.starts_with('-') {
        return Some(1);
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        at += element_length(&bytes[at..])?;
    }
    (at > 0).then_some(at)
}

fn element_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_either(b'"', b']', bytes.get(at..)?)?;
        if bytes[at] == b']' {
            return Some(at + 1);
        }
        at += 1;
        loop {
            at += find_either(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                break;
            }
            at += 2;
        }
        at += 1;
    }
}

/// Appends `[id k="v"][...]` as `{"id":{"k":"v"}}`; a repeated name keeps its last part under a number.
pub(super) fn push_structured_data(text: &str, out: &mut Vec<u8>) {
    let mut ids: Vec<String> = Vec::new();
    let mut rest = text;
    out.push(b'{');
    while let Some(length) = rest.starts_with('[').then(|| element_length(rest.as_bytes())).flatten() {
        let inside = &rest[1..length - 1];
        let (id, parameters) = inside.cut_byte(b' ').unwrap_or((inside, ""));
        push_name(id, &mut ids, out);
        push_parameters(parameters, out);
        rest = &rest[length..];
    }
    out.push(b'}');
}

fn push_parameters(text: &str, out: &mut Vec<u8>) {
    let mut names: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    out.push(b'{');
    while let Some((name, tail)) = rest.cut("=\"") {
        let end = quoted_end(tail);
        push_name(name, &mut names, out);
        push_string(out, &unescape(&tail[..end]));
        rest = tail.get(end + 1..).unwrap_or_default().trim_start();
    }
    if !rest.is_empty() {
        push_name("_", &mut names, out);
        push_string(out, rest);
    }
    out.push(b'}');
}

/// Where a value whose opening quote was passed ends.
fn quoted_end(text: &str) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| find_either(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// Appends `"name":`; a repeated or empty name gets a number.
fn push_name(name: &str, names: &mut Vec<String>, out: &mut Vec<u8>) {
    if !names.is_empty() {
        out.push(b',');
    }
    let name = if name.trim().is_empty() { "_" } else { name };
    let mut unique = name.to_owned();
    let mut number = 1;
    while names.contains(&unique) {
        number += 1;
        unique = format!("{name}_{number}");
    }
    push_string(out, &unique);
    out.push(b':');
    names.push(unique);
}

/// Undoes `\"`, `\\` and `\]` (RFC 5424 §6.3.3).
fn unescape(text: &str) -> Cow<'_, str> {
    if find(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match chars.peek() {
            Some(next @ ('"' | '\\' | ']')) if char == '\\' => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(char),
        }
    }
    Cow::Owned(out)
}
