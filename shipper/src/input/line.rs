//! One message, one line.

use memchr::{memchr_iter, memchr2};

/// Appends a message as one line. Newlines inside become `#012` and NULs `#000`, as rsyslog writes them (its
/// `EscapeControlCharactersOnReceive`); newlines and NULs at its end belong to the framing. Returns whether there was
/// anything in it.
pub(super) fn push_message(message: &[u8], lines: &mut Vec<u8>) -> bool {
    let end = message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |last| last + 1);
    let mut rest = message.get(..end).unwrap_or_default();
    if rest.is_empty() {
        return false;
    }
    while let Some(at) = memchr2(b'\n', 0, rest) {
        let (before, after) = rest.split_at(at);
        lines.extend_from_slice(before);
        lines.extend_from_slice(if after.starts_with(b"\n") { b"#012" } else { b"#000" });
        rest = after.get(1..).unwrap_or_default();
    }
    lines.extend_from_slice(rest);
    lines.push(b'\n');
    true
}

/// Cuts a stream into whole lines, and keeps the open one.
#[derive(Debug)]
pub(super) struct Lines {
    open: Vec<u8>,
    bytes_max: usize,
}

impl Lines {
    /// A line longer than `bytes_max` becomes several: nothing of it is lost, and memory is bounded.
    pub(super) fn new(bytes_max: usize) -> Lines {
        Lines { open: Vec::new(), bytes_max }
    }

    /// Takes bytes; returns the lines that are whole, each with its newline.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(last) = memchr_iter(b'\n', bytes).next_back() else {
            self.open.extend_from_slice(bytes);
            return if self.open.len() > self.bytes_max { self.end() } else { Vec::new() };
        };
        let (whole, rest) = bytes.split_at(last + 1);
        let mut lines = std::mem::take(&mut self.open);
        lines.extend_from_slice(whole);
        self.open.extend_from_slice(rest);
        lines
    }

    /// The open line, ended.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.open);
        if !line.is_empty() {
            line.push(b'\n');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let check = |message: &[u8], expected: &[u8]| {
            let mut lines = Vec::new();
            assert_eq!(push_message(message, &mut lines), !expected.is_empty());
            assert_eq!(lines, expected, "{message:?}");
        };
        check(b"<13>a", b"<13>a\n");
        check(b"<13>a\r\n", b"<13>a\n");
        check(b"<13>a\n\tat b\nc\0", b"<13>a#012\tat b#012c\n");
        check(b"a\0b\0\n", b"a#000b\n");
        check(b"\n", b"");
        check(b"", b"");
    }

    #[test]
    fn a_stream_is_cut_into_whole_lines_wherever_it_is_read() {
        let text = b"one\ntwo\n\nthree";
        for split in 0..=text.len() {
            let mut lines = Lines::new(100);
            let mut found = lines.take(&text[..split]);
            assert!(found.is_empty() || found.ends_with(b"\n"));
            found.extend(lines.take(&text[split..]));
            assert_eq!(found, b"one\ntwo\n\n");
            assert_eq!(lines.end(), b"three\n");
            assert_eq!(lines.end(), b"");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_memory_bounded() {
        let mut lines = Lines::new(10);
        assert_eq!(lines.take(b"12345678"), b"");
        assert_eq!(lines.take(b"9012345"), b"123456789012345\n");
        assert_eq!(lines.take(b"6\n"), b"6\n");
    }
}
