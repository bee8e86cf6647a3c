//! JSON objects that programs write behind a message: zap's console, Monolog's context and what is extra to it.
//!
//! ```text
//! unable to start<tab>{"error": "listen tcp :8080"}
//! Order failed {"order":7} []
//! ```

use super::super::draft::Draft;
use super::super::json;
use super::super::json::scan::Cursor;

/// Places that are tried: a message may have braces of its own.
const TRIES_MAX: usize = 4;

/// The message, and the one or two objects (or empty lists) behind it. None where there are none, or no message.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_end();
    if !text.ends_with(['}', ']']) || text.starts_with('{') {
        return None;
    }
    let begins = |at: &usize| {
        matches!(&text.as_bytes()[at + 1..], [b'{', b'"', ..] | [b'{', b'}', ..] | [b'[', b']', ..])
    };
    let blanks = memchr::memchr2_iter(b' ', b'\t', text.as_bytes()).filter(begins);
    let mut tries = blanks.take(TRIES_MAX).map(|at| (text[..at].trim_end(), &text[at + 1..]));
    tries.find(|(message, objects)| !message.is_empty() && values(objects).is_some())
}

/// Whether a text is one object or two, or an empty list in the place of one.
fn values(text: &str) -> Option<()> {
    let mut cursor = Cursor::new(text);
    value(&mut cursor)?;
    cursor.blanks();
    if !cursor.is_at_end() {
        value(&mut cursor)?;
    }
    cursor.is_at_end().then_some(())
}

/// The bytes of one value, which the cursor passes over.
fn value<'t>(cursor: &mut Cursor<'t>) -> Option<&'t str> {
    let start = cursor.position();
    let is_value = matches!(cursor.peek()?, b'{' | b'[');
    cursor.value(1, &mut Vec::new()).filter(|_| is_value)?;
    Some(cursor.between(start, cursor.position()))
}

/// Writes the members of objects that [`split`] has found.
pub(super) fn lift(objects: &str, draft: &mut Draft<'_>) {
    let mut cursor = Cursor::new(objects);
    while let Some(object) = value(&mut cursor) {
        // It has been read before, and the message is written already; a list has nothing in it.
        json::parse(object, draft, &mut json::Scratch::default());
        cursor.blanks();
    }
}
