//! Where messages begin and end in a stream (RFC 6587), decided anew for each message.
//!
//! ```text
//! 11 <13>1 hello      octet counting: MSG-LEN SP SYSLOG-MSG (§3.4.1; the only way over TLS, RFC 5425 §4.3)
//! <13>hello LF        non-transparent framing (§3.4.2)
//! ```
//! A message that begins with digits, a blank and `<` is counted; anything else ends with a newline. The count's digits
//! are bounded, and a count allocates nothing: memory grows with the bytes that really come, up to the limit of one message
//! (CVE-2022-24903 was a count that nobody checked).

use memchr::memchr;

use crate::input::line::push_message;

/// Longest message; what is beyond is skipped, and counted. Well above what senders make: rsyslog's own default is 8 KiB.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Digits of a count: messages of a gigabyte are no messages.
const DIGITS_MAX: usize = 9;

/// Cuts one connection's bytes into messages.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// What belongs to no whole message yet.
    pending: Vec<u8>,
    /// How much of it is known to hold no newline.
    searched: usize,
    skip: Skip,
}

/// The rest of a message that was longer than the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skip {
    #[default]
    Nothing,
    Bytes(u64),
    ToNewline,
}

/// The messages of one read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    /// One line each.
    pub(super) lines: Vec<u8>,
    /// How many were longer than the limit, and are cut.
    pub(super) cut: u64,
}

enum Frame {
    /// Not known yet.
    More,
    /// The message, and where the next begins.
    Whole { start: usize, end: usize, next: usize },
    /// The message is longer than the limit.
    Cut { start: usize, end: usize, skip: Skip },
}

impl Framer {
    /// Takes bytes as they came; returns the messages that are whole.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Messages {
        self.pending.extend_from_slice(bytes);
        let mut messages = Messages::default();
        let mut at = 0;
        loop {
            at += self.skipped(at);
            if self.skip != Skip::Nothing {
                break;
            }
            let rest = self.pending.get(at..).unwrap_or_default();
            at += rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
            match next(self.pending.get(at..).unwrap_or_default(), &mut self.searched) {
                Frame::More => break,
                Frame::Whole { start, end, next } => {
                    push_message(
                        self.pending.get(at + start..at + end).unwrap_or_default(),
                        &mut messages.lines,
                    );
                    at += next;
                }
                Frame::Cut { start, end, skip } => {
                    push_message(
                        self.pending.get(at + start..at + end).unwrap_or_default(),
                        &mut messages.lines,
                    );
                    messages.cut += 1;
                    at += end;
                    self.skip = skip;
                }
            }
            self.searched = 0;
        }
        self.pending.drain(..at);
        messages
    }

    /// What is left when the connection ends: a message without its end is better than none.
    pub(super) fn end(mut self) -> Messages {
        let mut messages = Messages::default();
        if self.skip == Skip::Nothing {
            let start = count(&self.pending).map_or(0, |(_, start)| start);
            push_message(self.pending.get(start..).unwrap_or_default(), &mut messages.lines);
        }
        self.pending.clear();
        messages
    }

    /// How many of the bytes from `at` on belong to a message that was cut.
    fn skipped(&mut self, at: usize) -> usize {
        let rest = self.pending.get(at..).unwrap_or_default();
        match self.skip {
            Skip::Nothing => 0,
            Skip::Bytes(left) => {
                let skipped = left.min(rest.len() as u64);
                self.skip = if skipped == left { Skip::Nothing } else { Skip::Bytes(left - skipped) };
                skipped as usize
            }
            Skip::ToNewline => match memchr(b'\n', rest) {
                Some(newline) => {
                    self.skip = Skip::Nothing;
                    newline + 1
                }
                None => rest.len(),
            },
        }
    }
}

/// The first message of `bytes`. `searched`: how many of them hold no newline.
fn next(bytes: &[u8], searched: &mut usize) -> Frame {
    if let Some((length, start)) = count(bytes) {
        let limited = start + length.min(MESSAGE_BYTES_MAX as u64) as usize;
        return match bytes.len() >= limited {
            false => Frame::More,
            true if length <= MESSAGE_BYTES_MAX as u64 => Frame::Whole { start, end: limited, next: limited },
            true => Frame::Cut { start, end: limited, skip: Skip::Bytes(length - MESSAGE_BYTES_MAX as u64) },
        };
    }
    if could_become_count(bytes) {
        return Frame::More;
    }
    let newline = memchr(b'\n', bytes.get(*searched..).unwrap_or_default()).map(|at| *searched + at);
    if let Some(end) = newline.filter(|end| *end <= MESSAGE_BYTES_MAX) {
        return Frame::Whole { start: 0, end, next: end + 1 };
    }
    if newline.is_some() || bytes.len() > MESSAGE_BYTES_MAX {
        return Frame::Cut { start: 0, end: MESSAGE_BYTES_MAX, skip: Skip::ToNewline };
    }
    *searched = bytes.len();
    Frame::More
}

/// The count that a message begins with, and where its text does.
fn count(bytes: &[u8]) -> Option<(u64, usize)> {
    let digits = digits(bytes);
    if digits == 0 || digits > DIGITS_MAX || bytes.get(digits..digits + 2)? != b" <" {
        return None;
    }
    let length = std::str::from_utf8(bytes.get(..digits)?).ok()?.parse().ok()?;
    Some((length, digits + 1))
}

/// Whether bytes that have not come yet decide if this is a count.
fn could_become_count(bytes: &[u8]) -> bool {
    let digits = digits(bytes);
    match bytes.get(digits..).unwrap_or_default() {
        [] | [b' '] => digits <= DIGITS_MAX,
        _ => false,
    }
}

/// How many digits a count has; it begins with none that is zero.
fn digits(bytes: &[u8]) -> usize {
    if bytes.first() == Some(&b'0') {
        return 0;
    }
    bytes.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], split: usize) -> (String, u64) {
        let mut framer = Framer::default();
        let mut lines = Vec::new();
        let mut cut = 0;
        let (first, second) = bytes.split_at(split);
        for part in [first, second] {
            let messages = framer.take(part);
            lines.extend(messages.lines);
            cut += messages.cut;
        }
        lines.extend(framer.end().lines);
        (String::from_utf8(lines).expect("text"), cut)
    }

    #[track_caller]
    fn check(bytes: &str, expected: &str) {
        for split in 0..=bytes.len() {
            assert_eq!(all(bytes.as_bytes(), split), (expected.to_owned(), 0), "split at {split}");
        }
    }

    #[test]
    fn messages_are_counted_or_end_with_a_newline_and_both_may_be_mixed() {
        check("8 <13>abc\n<14>d\n", "<13>abc\n<14>d\n");
        check("<13>one\n<13>two\r\n\n<13>three", "<13>one\n<13>two\n<13>three\n");
        check("10 <13>1 a\nbcd", "<13>1 a#012bc\nd\n");
        check("7 <13>abc7 <14>def", "<13>abc\n<14>def\n");
        check("7 <13>abc\n7 <14>def\n", "<13>abc\n<14>def\n");
    }

    #[test]
    fn digits_alone_are_no_count() {
        check("2026 was a year\n<13>a\n", "2026 was a year\n<13>a\n");
        check("0007 <13>abc\n", "0007 <13>abc\n");
        check("12345678901 <13>abc\n", "12345678901 <13>abc\n");
        check("7\n8\n", "7\n8\n");
    }

    #[test]
    fn a_count_that_never_comes_true_keeps_what_came() {
        check("99 <13>abc", "<13>abc\n");
    }

    #[test]
    fn what_is_longer_than_the_limit_is_cut_and_the_next_message_is_whole() {
        let long = "x".repeat(MESSAGE_BYTES_MAX + 1000);
        let kept = format!("<13>{}", &long[..MESSAGE_BYTES_MAX - 4]);
        for bytes in [format!("{} <13>{long}<14>next\n", long.len() + 4), format!("<13>{long}\n<14>next\n")] {
            for split in [0, 5, 100_000, MESSAGE_BYTES_MAX + 4, MESSAGE_BYTES_MAX + 500, bytes.len() - 3] {
                let (lines, cut) = all(bytes.as_bytes(), split);
                assert!(lines == format!("{kept}\n<14>next\n"), "split at {split}");
                assert_eq!(cut, 1);
            }
        }
    }

    #[test]
    fn a_huge_count_allocates_nothing() {
        let mut framer = Framer::default();
        assert_eq!(framer.take(b"999999999 <13>a"), Messages::default());
        assert!(framer.pending.capacity() < 1000);
    }
}
