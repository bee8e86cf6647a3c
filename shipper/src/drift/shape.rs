//! The shape of a line: what varies from line to line is found by how it looks, and named by its kind.
//!
//! Used for lines that no parser understood: a shape says what such lines look like without saying what stands in them,
//! and a pattern can be made of what many shapes have in common.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What a part of a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A time stamp as ISO 8601 writes it, with blank or `T`.
    Iso8601,
    /// `20/Nov/2026:21:39:19 +0000`.
    HttpDate,
    /// `Nov 20 21:39:19`.
    SyslogTime,
    /// A date and a time in any other order of numbers.
    DateTime,
    /// A date alone.
    Date,
    /// A time of day alone.
    Time,
    /// A UUID.
    Uuid,
    /// An e-mail address.
    Email,
    /// An address with its scheme.
    Uri,
    /// A MAC address.
    Mac,
    /// An IP address, version 4 or 6.
    Ip,
    /// Text in double or single quotes, the quotes included.
    Quoted,
    /// A path of files, or of an address.
    Path,
    /// A number in base 16, or a hash.
    Hex,
    /// A number and a unit of time.
    Duration,
    /// A version, a number with letters behind it: `9.6.9`, `37.00EUR`.
    Code,
    /// A number.
    Number,
    /// A level.
    Level,
    /// A word.
    Word,
}

impl Kind {
    /// In the order in which they are tried.
    const ALL: [Kind; 19] = [
        Kind::Iso8601,
        Kind::HttpDate,
        Kind::SyslogTime,
        Kind::DateTime,
        Kind::Date,
        Kind::Mac,
        Kind::Time,
        Kind::Uuid,
        Kind::Email,
        Kind::Uri,
        Kind::Ip,
        Kind::Quoted,
        Kind::Path,
        Kind::Hex,
        Kind::Duration,
        Kind::Code,
        Kind::Number,
        Kind::Level,
        Kind::Word,
    ];

    /// As it stands in a shape.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Iso8601 | Kind::HttpDate | Kind::SyslogTime | Kind::DateTime => "<timestamp>",
            Kind::Date => "<date>",
            Kind::Time => "<time>",
            Kind::Uuid => "<uuid>",
            Kind::Email => "<email>",
            Kind::Uri => "<uri>",
            Kind::Mac => "<mac>",
            Kind::Ip => "<ip>",
            Kind::Quoted => "<quoted>",
            Kind::Path => "<path>",
            Kind::Hex => "<hex>",
            Kind::Duration => "<duration>",
            Kind::Code => "<code>",
            Kind::Number => "<number>",
            Kind::Level => "<level>",
            Kind::Word => "<word>",
        }
    }

    /// Whether it holds date and time.
    pub const fn is_time_stamp(self) -> bool {
        matches!(self, Kind::Iso8601 | Kind::HttpDate | Kind::SyslogTime | Kind::DateTime)
    }

    /// Leftmost first, so that the order counts. What a number or a word ends at is a word's end: `12ab` is a word.
    const fn pattern(self) -> &'static str {
        match self {
            Kind::Iso8601 => {
                r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z\b|[+-]\d{2}:?\d{2}\b)?"
            }
            Kind::HttpDate => r"\b\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\b",
            Kind::SyslogTime => r"\b[A-Z][a-z]{2} {1,2}\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d+)?\b",
            Kind::DateTime => {
                r"\b(?:\d{4}[/.]\d{1,2}[/.]\d{1,2}|\d{1,2}[/.-]\d{1,2}[/.-]\d{4})[ -]\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b"
            }
            Kind::Date => r"\b(?:\d{4}[-/.]\d{2}[-/.]\d{2}|\d{1,2}[/.-]\d{1,2}[/.-]\d{4})\b",
            Kind::Mac => r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",
            Kind::Time => r"\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b",
            Kind::Uuid => r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b",
            Kind::Email => r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
            Kind::Uri => r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>()\[\]{}|]+"#,
            Kind::Ip => {
                r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|(?:\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,5})?::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,5}\b)?"
            }
            Kind::Quoted => r#""(?:[^"\\]|\\.)*"|\B'(?:[^'\\]|\\.)*'\B"#,
            Kind::Path => r"\B(?:/[\w.@%+~:,=?&#-]+)+/?|\B/\B",
            Kind::Hex => r"\b0x[0-9A-Fa-f]+\b|\b(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]*\b",
            Kind::Duration => r"[+-]?\b\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|sec|min)\b",
            Kind::Code => r"\b\d+(?:\.\d+){2,}\w*|\b\d+\.\d+[A-Za-z]\w*",
            Kind::Number => r"[+-]?\b\d+(?:\.\d+)?\b",
            Kind::Level => {
                r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRIT|CRITICAL|ALERT|FATAL|SEVERE|EMERG|trace|debug|info|notice|warn|warning|error|crit|critical|fatal|Trace|Debug|Info|Notice|Warn|Warning|Error|Critical|Fatal)\b"
            }
            Kind::Word => r"\w+(?:[.-]\w+)*",
        }
    }
}

/// Digits of what is told to be a hash without `0x`, at least.
const HASH_DIGITS_MIN: usize = 8;

static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    let each: Vec<String> = Kind::ALL.iter().map(|kind| format!("({})", kind.pattern())).collect();
    Regex::new(&each.join("|")).expect("the patterns of this file are regular expressions")
});

/// A part of a line that may vary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it looks like.
    pub kind: Kind,
    /// Its bytes in the line; between parts stand blanks and punctuation.
    pub span: Range<usize>,
}

/// The parts of `line`, at most `parts_max`, in their order.
pub fn parts(line: &str, parts_max: usize) -> Vec<Part> {
    let of_captures = |captures: regex::Captures<'_>| {
        let (at, group) = captures.iter().skip(1).enumerate().find_map(|(at, group)| Some((at, group?)))?;
        let kind = match Kind::ALL[at] {
            // The address of nobody is punctuation to everybody else.
            Kind::Ip if group.as_str() == "::" => return None,
            Kind::Hex if !group.as_str().starts_with("0x") && group.len() < HASH_DIGITS_MIN => Kind::Word,
            kind => kind,
        };
        Some(Part { kind, span: group.range() })
    };
    PARTS.captures_iter(line).filter_map(of_captures).take(parts_max).collect()
}

/// Bytes of a line that a shape is made of.
const LINE_BYTES_MAX: usize = 1024;

/// Parts of a shape; a longer line ends with `...`.
const PARTS_MAX: usize = 40;

/// A shape that may leave the host: kinds, punctuation, and words of every log; no value of the line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineShape(String);

impl LineShape {
    /// The shape of the first line of `record`.
    pub fn of(record: &[u8]) -> LineShape {
        let line = record.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_cut = line.len() > LINE_BYTES_MAX;
        let text = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
        let found = parts(&text, PARTS_MAX);
        let (mut shape, mut end) = (String::new(), 0);
        for part in &found {
            push_between(&mut shape, &text[end..part.span.start]);
            let is_common = part.kind == Kind::Word && is_common(&text[part.span.clone()]);
            shape.push_str(if is_common { &text[part.span.clone()] } else { part.kind.name() });
            end = part.span.end;
        }
        if found.len() == PARTS_MAX || is_cut {
            shape.push_str("...");
        } else {
            push_between(&mut shape, &text[end..]);
        }
        LineShape(shape)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LineShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Runs of blanks are one, and what is no ASCII punctuation says nothing.
fn push_between(shape: &mut String, between: &str) {
    for character in between.chars() {
        let written = match character {
            _ if character.is_whitespace() => ' ',
            _ if character.is_ascii_punctuation() => character,
            _ => '?',
        };
        let is_repeated = matches!(written, ' ' | '?') && shape.ends_with(written);
        if !is_repeated {
            shape.write_char(written).expect("a String takes everything");
        }
    }
}

/// Words that stand in the log of anything: they say what a line is about, and nothing of whom.
const COMMON_WORDS: [&str; 96] = [
    "accepted",
    "access",
    "account",
    "action",
    "address",
    "after",
    "allowed",
    "and",
    "at",
    "attempt",
    "available",
    "bytes",
    "cache",
    "call",
    "cannot",
    "client",
    "closed",
    "code",
    "command",
    "commit",
    "completed",
    "connect",
    "connected",
    "connection",
    "count",
    "created",
    "data",
    "database",
    "deleted",
    "denied",
    "disconnected",
    "done",
    "duration",
    "elapsed",
    "end",
    "event",
    "exception",
    "exit",
    "expired",
    "failed",
    "failure",
    "file",
    "finished",
    "for",
    "found",
    "from",
    "host",
    "id",
    "ignored",
    "in",
    "invalid",
    "is",
    "job",
    "job_id",
    "length",
    "level",
    "listening",
    "loaded",
    "login",
    "lost",
    "message",
    "method",
    "missing",
    "not",
    "of",
    "on",
    "opened",
    "order",
    "path",
    "pid",
    "port",
    "processed",
    "query",
    "queue",
    "read",
    "received",
    "refused",
    "rejected",
    "request",
    "response",
    "retry",
    "sent",
    "server",
    "session",
    "size",
    "started",
    "status",
    "stopped",
    "task",
    "thread",
    "timeout",
    "to",
    "user",
    "waiting",
    "was",
    "with",
];

fn is_common(word: &str) -> bool {
    const LENGTH_MAX: usize = 12;
    word.len() <= LENGTH_MAX && COMMON_WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, shape: &str) {
        assert_eq!(LineShape::of(line.as_bytes()).as_str(), shape, "{line}");
    }

    #[test]
    fn what_varies_is_named_by_its_kind() {
        check("2026-11-20 21:39:19,123 [main] WARN x", "<timestamp> [<word>] <level> <word>");
        check("2026-11-20T21:39:19.123456Z|10.0.0.1|12.5ms", "<timestamp>|<ip>|<duration>");
        check("[20/Nov/2026:21:39:19 +0000] fe80::1 ::1", "[<timestamp>] <ip> <ip>");
        check("@@ 7 :: shop::cart", "@@ <number> :: <word>::<word>");
        check("Nov  9 21:39:19 host app[12]: /var/lib/x", "<timestamp> host <word>[<number>]: <path>");
        check("20.11.2026 21:39:19 took=-5 0xff deadbeef01", "<timestamp> <word>=<number> <hex> <hex>");
        check("a@b.org https://x/y?z \"q \\\" r\" it's", "<email> <uri> <quoted> <word>'<word>");
        check("fw 9.6.9 37.00EUR 1.5ms 1.5", "<word> <code> <code> <duration> <number>");
        check("12ab ab12 1a2b 00:1a:2b:3c:4d:5e 10:20:30", "<word> <word> <word> <mac> <time>");
        check("6ba7b810-9dad-11d1-80b4-00c04fd430c8; ключ=€", "<uuid>; <word>=?");
    }

    #[test]
    fn a_shape_holds_words_of_every_log_and_no_other() {
        check("login failed for user alice password hunter2", "login failed for user <word> <word> <word>");
        let of_everything = LineShape::of("secret \u{1b}[31mмалина  \u{202e}x\n second line".as_bytes());
        assert_eq!(of_everything.as_str(), "<word> ?[<word> ?<word>");
        let is_sorted = COMMON_WORDS.is_sorted();
        assert!(is_sorted, "they are looked up by halving");
    }

    #[test]
    fn the_shape_of_a_long_line_is_short() {
        let shape = LineShape::of("word ".repeat(100_000).as_bytes());
        assert!(shape.as_str().len() < 400 && shape.as_str().ends_with("..."), "{shape}");
        let shape = LineShape::of(&b"x".repeat(100_000));
        assert_eq!(shape.as_str(), "<word>...");
    }
}
