//! The formats of lines, and how one is told from a file's first lines.

use std::fmt;
use std::str::FromStr;

use super::time::begins_with_time;
use super::{access, json};

/// How a file's lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Found out by itself, line by line where the file is mixed.
    #[default]
    Auto,
    /// A JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Access log with referrer and user agent.
    Combined,
    /// Access log.
    Common,
    /// RFC 3164 and RFC 5424, in files without `<PRI>`.
    Syslog,
    /// Plain lines with stack traces.
    Java,
    /// Plain lines: time stamp, level, message.
    Plain,
}

/// The name is none of a format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: use auto, json, logfmt, combined, common, syslog, java or plain")]
pub struct FormatError(String);

/// Whether a format was told or is guessed from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// By the configuration, or by the file's other lines.
    Told,
    /// From the line alone: only what cannot be anything else is taken.
    Guessed,
}

/// What a file's first lines say about its format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The format of most lines.
    pub format: Format,
    /// The share of lines that have it, 0 to 1.
    pub confidence: f32,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 8] = [
        Format::Auto,
        Format::Json,
        Format::Logfmt,
        Format::Combined,
        Format::Common,
        Format::Syslog,
        Format::Java,
        Format::Plain,
    ];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Json => "json",
            Format::Logfmt => "logfmt",
            Format::Combined => "combined",
            Format::Common => "common",
            Format::Syslog => "syslog",
            Format::Java => "java",
            Format::Plain => "plain",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Format, FormatError> {
        let known = Format::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| FormatError(name.to_owned()))
    }
}

/// Most lines that a detection looks at.
const SAMPLE_LINES_MAX: usize = 64;

/// The format of most lines of a sample; continuation lines do not count. None for a sample without lines.
pub fn detect(sample: &[u8]) -> Option<Detection> {
    let mut counts = [0usize; Format::ALL.len()];
    let mut lines = 0;
    for line in sample.split(|&byte| byte == b'\n').take(SAMPLE_LINES_MAX) {
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        if text.is_empty() || text.starts_with([' ', '\t']) {
            continue;
        }
        lines += 1;
        counts[shape(&text) as usize] += 1;
    }
    let (format, count) = Format::ALL.into_iter().zip(counts).max_by_key(|(_, count)| *count)?;
    (lines > 0).then(|| Detection { format, confidence: count as f32 / lines as f32 })
}

/// The format of one line, as far as the line alone tells.
fn shape(line: &str) -> Format {
    let first = line.as_bytes().first().copied().unwrap_or_default();
    if first == b'{' && json::is_object(line) {
        return Format::Json;
    }
    if let Some(access) = access::shape(line) {
        return match access {
            access::Access::Combined => Format::Combined,
            access::Access::Common => Format::Common,
        };
    }
    if is_syslog(line) {
        return Format::Syslog;
    }
    if is_logfmt(line) {
        return Format::Logfmt;
    }
    Format::Plain
}

/// Whether a line is syslog without doubt: `<PRI>`, a time stamp without a year, or a program with its process.
fn is_syslog(line: &str) -> bool {
    if let Some((priority, _)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        return priority.len() <= 3 && priority.bytes().all(|byte| byte.is_ascii_digit());
    }
    if !begins_with_time(line.as_bytes()) {
        return false;
    }
    let is_named_month = line.as_bytes().get(3) == Some(&b' ') && line.as_bytes().get(15) == Some(&b' ');
    let mut words = line.split(' ').skip(1);
    let program = line.contains('T').then(|| words.nth(1)).flatten();
    let has_process = program.is_some_and(|program| program.contains('[') && program.ends_with("]:"));
    is_named_month || has_process
}

fn is_logfmt(line: &str) -> bool {
    line.split(' ').next().is_some_and(|word| word.contains('='))
        && line.matches('=').nth(1).is_some()
        && !line.starts_with(['=', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sample: &str, format: Format, confidence: f32) {
        let found = detect(sample.as_bytes()).expect("lines");
        assert_eq!(found, Detection { format, confidence }, "{sample}");
    }

    #[test]
    fn the_format_of_most_lines_is_found() {
        check("{\"msg\":\"a\"}\n{\"msg\":\"b\"}\nnpm start\n{}\n", Format::Json, 0.75);
        check("level=info msg=a\nlevel=info msg=\"b c\"\n", Format::Logfmt, 1.0);
        check("::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5\n", Format::Common, 1.0);
        check(
            "::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5 \"-\" \"curl\"\n",
            Format::Combined,
            1.0,
        );
        check("Nov 20 21:39:19 host app[1]: x\nNov 20 21:39:19 host kernel: y\n", Format::Syslog, 1.0);
        check("2026-11-20T21:39:19.123456+01:00 host app[1]: x\n", Format::Syslog, 1.0);
        check("2026-11-20 21:39:19 INFO a\n\tat b\n2026-11-20 21:39:19 INFO c=d\n", Format::Plain, 1.0);
        assert_eq!(detect(b"\n\n"), None);
    }

    #[test]
    fn names_read_back_as_their_formats() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("yaml".parse::<Format>().expect_err("unknown").to_string().contains("yaml"));
    }
}
