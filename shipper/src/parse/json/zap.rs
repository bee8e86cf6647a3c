//! zap's keys of one letter, as its configuration for development has them.
//!
//! ```text
//! {"L":"INFO","T":"2026-11-20T21:39:19.123Z","N":"shop","C":"shop/cart.go:12","M":"added","S":"main.main\n\t/a/main.go:7"}
//! ```
//!
//! A key of one letter may mean anything: these are taken only together, where a level, a time and a text stand under
//! them.

use weir_record::Level;

use super::super::draft::Value;
use super::scan::{Cursor, Member};

/// The keys that the same logger writes in production.
const KEYS: [(&str, &str); 6] =
    [("L", "level"), ("T", "ts"), ("N", "logger"), ("C", "caller"), ("M", "msg"), ("S", "stacktrace")];

/// The line with its keys written out; none where it is no such line, which its first key tells of nearly all.
#[inline]
pub(super) fn written_out(line: &str) -> Option<String> {
    let may_be = matches!(line.as_bytes(), [b'{', b'"', b'L' | b'T' | b'C' | b'M' | b'N', b'"', ..]);
    if may_be { rewrite(line) } else { None }
}

#[cold]
fn rewrite(line: &str) -> Option<String> {
    let mut cursor = Cursor::new(line);
    let (mut out, mut copied) = (String::with_capacity(2 * line.len()), 0);
    let (mut has_level, mut has_time, mut has_message) = (false, false, false);
    cursor.expect(b'{')?;
    loop {
        let (key, Member { start, value_start, passed, .. }) = cursor.member(&mut Vec::new())?;
        if let Some((short, long)) = KEYS.iter().find(|(short, _)| *short == key.inside) {
            match (*short, passed.value(line, value_start, cursor.position())) {
                ("L", Value::Clean(text)) => has_level = Level::from_name(text.as_bytes()).is_some(),
                ("T", Value::Clean(_) | Value::Number(_)) => has_time = true,
                ("M", Value::Clean(_) | Value::Escaped(_)) => has_message = true,
                _ => {}
            }
            out.push_str(cursor.between(copied, start));
            out.push_str(long);
            copied = start + short.len();
        }
        if !cursor.has_another() {
            break;
        }
    }
    out.push_str(cursor.between(copied, line.len()));
    (has_level && has_time && has_message).then_some(out)
}
