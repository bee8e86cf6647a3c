//! Lines of Docker's `json-file` driver: `{"log":"text\n","stream":"stdout","time":"2026-11-21T10:00:00.123456789Z"}`.
//!
//! A line of the container that is longer than 16 KiB comes in pieces: all but the last have no newline at the end of
//! `log`. <https://docs.docker.com/engine/logging/drivers/json-file/>

use memchr::memchr2;
use weir_record::Timestamp;

use super::envelope::{Piece, Stream};

/// Unwraps a line; none where it is none of these. The text is made in `scratch`.
pub(super) fn read<'l>(line: &[u8], scratch: &'l mut Vec<u8>) -> Option<Piece<'l>> {
    let (mut has_log, mut stream, mut time) = (false, None, None);
    let mut rest = line.strip_prefix(b"{")?;
    loop {
        let (key, after) = string(rest)?;
        rest = after.strip_prefix(b":")?;
        if key == b"attrs" {
            rest = skip_object(rest)?;
        } else {
            let (value, after) = string(rest)?;
            rest = after;
            match key {
                b"log" => {
                    scratch.clear();
                    unescape(value, scratch)?;
                    has_log = true;
                }
                b"stream" => stream = Stream::from_name(value),
                b"time" => time = Timestamp::parse_rfc3339(value),
                _ => return None,
            }
        }
        match *rest {
            [b',', ..] => rest = &rest[1..],
            [b'}'] => break,
            _ => return None,
        }
    }
    let (stream, time) = (stream?, time?);
    if !has_log {
        return None;
    }
    let is_partial = scratch.pop_if(|last| *last == b'\n').is_none();
    if !is_partial {
        scratch.pop_if(|last| *last == b'\r');
    }
    Some(Piece { time, stream, is_partial, text: scratch })
}

/// A JSON string at the start of `text`: its inside, escapes and all, and what follows.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', inside.get(at..)?)?;
        if inside[at] == b'"' {
            return Some((&inside[..at], &inside[at + 1..]));
        }
        at += 2;
    }
}

/// What follows the JSON object at the start of `text`; its members are not looked at.
fn skip_object(text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0usize;
    let mut rest = text;
    loop {
        rest = match rest.first()? {
            b'"' => string(rest)?.1,
            byte => {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                &rest[1..]
            }
        };
        if depth == 0 {
            return Some(rest);
        }
    }
}

/// Appends the text of a JSON string's inside; none where an escape is wrong. Half a surrogate pair is U+FFFD.
fn unescape(inside: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (&escape, after) = rest[at + 1..].split_first()?;
        rest = after;
        out.push(match escape {
            b'"' | b'\\' | b'/' => escape,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => {
                let (character, after) = unescape_unit(rest)?;
                rest = after;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        });
    }
    out.extend_from_slice(rest);
    Some(())
}

/// The character of `XXXX`, or of `XXXX\uYYYY` where that is a pair.
fn unescape_unit(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = unit(text)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some((second, after)) = rest.strip_prefix(b"\\u").and_then(unit)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code)?, after));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

/// Four hexadecimal digits, and what follows.
fn unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let value = digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | char::from(digit).to_digit(16)?))?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, stream: Stream, is_partial: bool, text: &str) {
        let mut scratch = Vec::new();
        let piece = read(line.as_bytes(), &mut scratch).expect("wrapped");
        assert_eq!((piece.stream, piece.is_partial), (stream, is_partial), "{line}");
        assert_eq!(String::from_utf8_lossy(piece.text), text, "{line}");
        assert_eq!(piece.time.to_string(), "2026-11-21T10:00:00.123456789Z");
    }

    #[test]
    fn whole_lines_and_pieces_are_read_with_their_escapes() {
        let line = |log: &str| {
            format!(r#"{{"log":"{log}","stream":"stdout","time":"2026-11-21T10:00:00.123456789Z"}}"#)
        };
        check(&line(r"hello\n"), Stream::Stdout, false, "hello");
        check(&line(r"hello\r\n"), Stream::Stdout, false, "hello");
        check(&line(r"a piece"), Stream::Stdout, true, "a piece");
        check(&line(r"\n"), Stream::Stdout, false, "");
        check(
            &line(r#"{\"a\":\"\u003cb\u003e \\ \/ \t\"}\n"#),
            Stream::Stdout,
            false,
            "{\"a\":\"<b> \\ / \t\"}",
        );
        check(
            &line(r"gr\u00f6\u00dfe \ud83d\ude00 \ud83d x\n"),
            Stream::Stdout,
            false,
            "größe 😀 \u{fffd} x",
        );
    }

    #[test]
    fn labels_and_another_order_of_members_do_no_harm() {
        check(
            r#"{"log":"x\n","stream":"stderr","attrs":{"tag":"a}\"b","n":{}},"time":"2026-11-21T10:00:00.123456789Z"}"#,
            Stream::Stderr,
            false,
            "x",
        );
        check(
            r#"{"time":"2026-11-21T10:00:00.123456789Z","stream":"stderr","log":"x\n"}"#,
            Stream::Stderr,
            false,
            "x",
        );
    }

    #[test]
    fn json_that_only_looks_alike_is_left_alone() {
        for line in [
            "",
            "{",
            "{}",
            r#"{"log":"x"}"#,
            r#"{"log":"x","stream":"stdout"}"#,
            r#"{"log":"x","stream":"other","time":"2026-11-21T10:00:00Z"}"#,
            r#"{"log":"x","stream":"stdout","time":"yesterday"}"#,
            r#"{"log":"x","stream":"stdout","time":"2026-11-21T10:00:00Z","level":"info"}"#,
            r#"{"log":"x","stream":"stdout","time":"2026-11-21T10:00:00Z"} "#,
            r#"{"log":"x\q","stream":"stdout","time":"2026-11-21T10:00:00Z"}"#,
            r#"{"log":"x","stream":"stdout","attrs":{"a":"b","time":"2026-11-21T10:00:00Z"}"#,
            r#"{"log":"x\"#,
        ] {
            assert_eq!(read(line.as_bytes(), &mut Vec::new()), None, "{line}");
        }
    }
}
