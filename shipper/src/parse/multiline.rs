//! Which lines go on the record before them.

use std::sync::Arc;

use regex::Regex;
use weir_record::limits::LINE_BYTES_MAX;

use super::access;
use super::format::Format;
use super::grok::{self, PatternError};
use super::time::begins_with_time;
use super::trace::{exception_header, is_frame};

pub use weir_config::Preset;

/// Most lines of one record: bounds what an endless trace may hold up.
pub const LINES_MAX: usize = 500;

/// How the lines of one event are joined.
#[derive(Clone, Debug)]
pub enum Multiline {
    /// As a runtime or program writes them.
    Preset(Preset),
    /// By own patterns.
    Own(Arc<OwnLines>),
}

impl Default for Multiline {
    fn default() -> Multiline {
        Multiline::Preset(Preset::Auto)
    }
}

/// Regular expressions that tell the lines of events.
#[derive(Debug)]
pub struct OwnLines {
    start: Option<Regex>,
    continues: Option<Regex>,
}

impl OwnLines {
    /// `start` matches the first line of each event, `continues` every further line; where both are there, a line that
    /// matches neither begins an event.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn new(start: Option<&str>, continues: Option<&str>) -> Result<OwnLines, PatternError> {
        let compiled = |pattern: Option<&str>| pattern.map(grok::regular_expression).transpose();
        Ok(OwnLines { start: compiled(start)?, continues: compiled(continues)? })
    }

    fn is_further(&self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        match (&self.start, &self.continues) {
            (start, Some(continues)) => {
                continues.is_match(&line) && !start.as_ref().is_some_and(|start| start.is_match(&line))
            }
            (Some(start), None) => !start.is_match(&line),
            (None, None) => false,
        }
    }
}

/// Joins the lines of one file.
#[derive(Debug)]
pub(super) struct Joiner {
    is_joining: bool,
    own: Option<Arc<OwnLines>>,
    /// The open record's length after the last line that was joined, and how many lines it has: saves counting them.
    counted: (usize, usize),
}

impl Joiner {
    pub(super) fn new(multiline: &Multiline, format: Format) -> Joiner {
        let is_joining = match multiline {
            Multiline::Preset(Preset::Auto) => matches!(format, Format::Auto | Format::Java),
            Multiline::Preset(preset) => *preset != Preset::None,
            Multiline::Own(_) => true,
        };
        let own = match multiline {
            Multiline::Own(own) => Some(Arc::clone(own)),
            Multiline::Preset(_) => None,
        };
        Joiner { is_joining, own, counted: (0, 0) }
    }

    /// Whether `line` goes on the record `open`.
    pub(super) fn continues(&mut self, open: &[u8], line: &[u8]) -> bool {
        let goes_on = match &self.own {
            Some(own) => own.is_further(line),
            None => self.is_joining && continues(open, line),
        };
        if !goes_on {
            return false;
        }
        let length = open.len() + 1 + line.len();
        let lines = match self.counted {
            (counted, lines) if counted == open.len() => lines,
            _ => memchr::memchr_iter(b'\n', open).count() + 1,
        };
        let fits = length <= LINE_BYTES_MAX && lines < LINES_MAX;
        if fits {
            self.counted = (length, lines + 1);
        }
        fits
    }

    /// Whether a line that is not there yet could go on `record`.
    pub(super) fn may_continue(&self, record: &[u8]) -> bool {
        self.own.is_some() || self.is_joining && can_be_continued(record)
    }
}

fn continues(open: &[u8], line: &[u8]) -> bool {
    match line.first() {
        Some(b' ' | b'\t') => can_be_continued(open) && (is_frame(line) || begins_with_time(open)),
        Some(b'C' | b'W') if is_frame(line) => can_be_continued(open),
        // An exception's header goes on a log line, not on another trace.
        Some(first) if first.is_ascii_alphabetic() => {
            begins_with_time(open)
                && can_be_continued(open)
                && memchr::memchr(b'\n', open).is_none()
                && std::str::from_utf8(line).is_ok_and(|line| exception_header(line).is_some())
        }
        _ => false,
    }
}

/// JSON lines, access logs and syslog are whole as they are.
fn can_be_continued(record: &[u8]) -> bool {
    let is_json = record.first() == Some(&b'{');
    let is_syslog = record.first() == Some(&b'<') || record.get(3) == Some(&b' ') && begins_with_time(record);
    !is_json && !is_syslog && !std::str::from_utf8(record).is_ok_and(access::is_access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[usize]) {
        let mut joiner = Joiner::new(&Multiline::default(), Format::Auto);
        let mut records: Vec<(String, usize)> = Vec::new();
        for line in lines {
            match records.last_mut() {
                Some((open, count)) if joiner.continues(open.as_bytes(), line.as_bytes()) => {
                    open.push('\n');
                    open.push_str(line);
                    *count += 1;
                }
                _ => records.push(((*line).to_owned(), 1)),
            }
        }
        let counts: Vec<usize> = records.iter().map(|record| record.1).collect();
        assert_eq!(counts, expected, "{records:?}");
    }

    #[test]
    fn a_stack_trace_goes_on_its_log_line() {
        check(
            &[
                "2026-11-20 21:39:19,123 ERROR [main] com.x.Foo - failed",
                "java.lang.IllegalStateException: outer",
                "\tat com.x.Foo.bar(Foo.java:1)",
                "\tSuppressed: java.io.IOException: close",
                "\t\tat com.x.Foo.close(Foo.java:9)",
                "Caused by: java.io.IOException: inner",
                "\tat com.x.Foo.baz(Foo.java:2)",
                "\t... 1 more",
                "2026-11-20 21:39:19,124 INFO [main] com.x.Foo - next",
            ],
            &[8, 1],
        );
    }

    #[test]
    fn a_trace_without_a_log_line_is_a_record() {
        check(
            &["Exception in thread \"main\" java.lang.Error: x", "\tat com.x.Foo.main(Foo.java:1)", "hello"],
            &[2, 1],
        );
    }

    #[test]
    fn strangers_are_not_glued_together() {
        check(&["2026-11-20 21:39:19 INFO a", "plain words", "more words"], &[1, 1, 1]);
        check(&["{\"msg\":\"a\"}", "\tat com.x.Foo", "{\"msg\":\"b\"}"], &[1, 1, 1]);
        check(
            &[
                "::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5",
                "\tat com.x.Foo",
                "  indented",
            ],
            &[1, 1, 1],
        );
        check(&["Nov 20 21:39:19 host app[1]: x", "\tat com.x.Foo"], &[1, 1]);
        check(&["words", "java.lang.IllegalStateException: x", "words", "  indented"], &[1, 1, 1, 1]);
    }

    #[test]
    fn indented_lines_go_on_a_line_with_a_time_stamp() {
        check(&["2026-11-20 21:39:19.123 UTC [12] LOG:  statement: SELECT", "\t  1", "\tFROM x"], &[3]);
    }

    #[test]
    fn a_record_ends_at_the_limit_of_lines() {
        let mut lines = vec!["2026-11-20 21:39:19 ERROR x"];
        lines.resize(2 * LINES_MAX, "\tat com.x.Foo");
        // What follows the cut is a record of frames alone.
        check(&lines, &[LINES_MAX, LINES_MAX]);
    }

    #[test]
    fn nothing_is_joined_where_nothing_was_asked_for() {
        for (multiline, format) in [(Preset::None, Format::Auto), (Preset::Auto, Format::Plain)] {
            let mut joiner = Joiner::new(&Multiline::Preset(multiline), format);
            assert!(!joiner.continues(b"2026-11-20 21:39:19 ERROR x", b"\tat com.x.Foo"));
            assert!(!joiner.may_continue(b"2026-11-20 21:39:19 ERROR x"));
        }
    }

    #[test]
    fn only_plain_records_may_go_on() {
        let joiner = Joiner::new(&Multiline::default(), Format::Auto);
        assert!(joiner.may_continue(b"2026-11-20 21:39:19 ERROR x"));
        assert!(!joiner.may_continue(b"{\"msg\":\"a\"}"));
        assert!(!joiner.may_continue(b"::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5"));
    }
}
