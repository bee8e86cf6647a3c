//! What headers are made of, told by its own text: levels, loggers, places in code, times in seconds, traces.

use weir_record::scan::{digits, find, name};
use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::time::epoch;
use super::words::number;

/// Ten digits of seconds with a fraction or without, thirteen of milliseconds, sixteen of microseconds or nineteen of
/// nanoseconds, of the years from 2001 to 2033: what time it is, and the length.
pub(super) fn epoch_at(text: &str) -> Option<(Timestamp, usize)> {
    const SECONDS_DIGITS: usize = 10;
    let bytes = text.as_bytes();
    let whole = digits(bytes);
    let fraction = match &bytes[whole..] {
        [b'.', fraction @ ..] if whole == SECONDS_DIGITS => digits(fraction),
        _ => 0,
    };
    let length = if fraction > 0 { whole + 1 + fraction } else { whole };
    let moment = epoch(&bytes[..length]).filter(|_| text.starts_with('1'))?;
    Some((moment, length))
}

/// What follows the separator that stands behind a logger's name: `- `, `-- `, `: `, `:: `.
pub(super) fn behind_separator(text: &str) -> Option<&str> {
    let length = match text.as_bytes() {
        [b'-' | b':', b' ', ..] => 2,
        [b'-', b'-', b' ', ..] | [b':', b':', b' ', ..] => 3,
        _ => return None,
    };
    text.get(length..)
}

/// `org.foo.Bar:355`: the name, and the line of the code behind it.
pub(super) fn logger_and_line(text: &str) -> (&str, Option<u32>) {
    if !text.ends_with(|last: char| last.is_ascii_digit()) {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((name, line)) if !name.ends_with(':') => match number(line) {
            Some(line) => (name, Some(line)),
            None => (text, None),
        },
        _ => (text, None),
    }
}

/// Whether what stands in a logger's place is a host, with a port or without: no logger is called so.
pub(super) fn is_host(name: &str) -> bool {
    let (host, has_port) = match name.as_bytes() {
        [.., b'0'..=b'9'] => match name.rsplit_once(':') {
            Some((host, port)) => (host, number(port).is_some()),
            None => (name, false),
        },
        _ => (name, false),
    };
    // A class, as most loggers are called, has a capital in its last part.
    let letters = host.bytes().rev().take_while(u8::is_ascii_lowercase).count();
    let (before, label) = host.split_at(host.len() - letters);
    if !matches!(before.as_bytes(), [] | [.., b'.']) {
        return false;
    }
    match label {
        "com" | "org" | "local" | "localhost" | "internal" | "localdomain" => true,
        // Modules may be called so, and may be told with their line: what is told with a port is not lifted.
        "net" | "io" | "dev" | "lan" | "svc" | "cloud" => has_port,
        _ => false,
    }
}

/// Whether a level stands in brackets at the start.
pub(super) fn is_level_in_brackets(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|rest| rest.cut_byte(b']'))
        .is_some_and(|(inside, _)| inside.len() > 1 && Level::from_name(inside.trim().as_bytes()).is_some())
}

/// `views.py:12`, `StorageService.java:42`, but no `redis.example.org:6379`.
pub(super) fn place_in_code(text: &str) -> Option<(&str, u32)> {
    (text.ends_with(|c: char| c.is_ascii_digit()) && text.has(b':')).then_some(())?;
    let (file, line) = text.rsplit_once(':')?;
    Some((file, number(line)?)).filter(|_| is_source(file))
}

/// Whether a text is the name of a file of source code, perhaps with its path.
pub(super) fn is_source(file: &str) -> bool {
    let Some((name, extension)) = file.rsplit_once('.') else { return false };
    let is_extension = match extension {
        "c" | "cpp" | "cs" | "cxx" | "erl" | "ex" | "exs" | "go" | "h" | "hpp" | "hrl" | "java" | "js"
        | "jsx" | "kt" | "kts" | "lua" | "mjs" | "php" | "rb" | "scala" | "swift" | "ts" | "tsx" | "vb"
        | "zig" => true,
        // Countries have these, too: a host has more than one dot, or it would be a country's whole domain.
        "cc" | "clj" | "fs" | "hs" | "ml" | "pl" | "pm" | "py" | "rs" | "sh" => {
            !name.rsplit('/').next().unwrap_or(name).has(b'.')
        }
        _ => false,
    };
    !name.is_empty() && is_extension && is_logger(name.trim_start_matches('/'))
}

/// Splits off a word with a dash between blanks behind it; blanks may fill the word to a width.
pub(super) fn split_at_dash(text: &str) -> Option<(&str, &str)> {
    let end = find(b' ', text.as_bytes())?;
    let rest = text[end..].trim_start_matches(' ').strip_prefix("- ")?;
    Some((&text[..end], rest))
}

/// A level at the start of a text: a word in capitals with a blank behind it, one with a colon, or one in brackets.
pub(in super::super) fn level_at_start(text: &str) -> Option<Level> {
    if let Some(inside) = text.strip_prefix('[').or_else(|| text.strip_prefix('<')) {
        let end = inside.find([']', '>'])?;
        return Level::from_name(inside[..end].trim().as_bytes()).filter(|_| end > 1);
    }
    level_word(text).map(|(level, _)| level)
}

/// A level as a word, and its length with a colon behind it: capitals that are a level to everybody, or any name with
/// a colon.
pub(super) fn level_word(text: &str) -> Option<(Level, usize)> {
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (word, after) = text.split_at(length);
    let has_colon = after.starts_with(':') && !after[1..].starts_with(|c: char| !c.is_whitespace());
    let is_word = after.is_empty() || after.starts_with([' ', '\t', '[', '|']);
    let may_be_capital = is_word && text.starts_with(|c: char| c.is_ascii_uppercase());
    if !has_colon && !may_be_capital {
        return None;
    }
    let level = Level::from_name(word.as_bytes())?;
    let is_capital = matches!(
        word,
        "TRACE"
            | "DEBUG"
            | "INFO"
            | "NOTICE"
            | "WARN"
            | "WARNING"
            | "ERROR"
            | "CRITICAL"
            | "FATAL"
            | "SEVERE"
            | "FINE"
            | "FINER"
            | "FINEST"
            | "EMERG"
            | "CRIT"
            | "ERR"
            | "TRC"
            | "DBG"
            | "INF"
            | "WRN"
            | "FTL"
    ) && is_word;
    if has_colon && length > 1 {
        return Some((level, length + 1));
    }
    is_capital.then_some((level, length))
}

/// Whether a text can be a logger's name: identifiers with dots, slashes, dollars, dashes or colons between.
pub(super) fn is_logger(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name([b'_', b'$'], text.as_bytes()) == text.len()
}

/// What Spring's libraries write of a trace.
#[derive(Clone, Copy, Default)]
pub(super) struct TraceContext<'l> {
    pub(super) service: Option<&'l str>,
    /// Of the trace and the span.
    pub(super) ids: Option<(&'l str, &'l str)>,
    /// Whether the span is exported, where it is said.
    pub(super) exported: Option<&'l str>,
}

/// `service,trace,span` and `service,trace,span,exported` (Sleuth) or `trace-span` (Micrometer).
pub(super) fn trace_context(text: &str) -> Option<TraceContext<'_>> {
    /// The shortest pair of ids.
    const PAIR_BYTES_MIN: usize = 33;
    let has_comma = text.has(b',');
    if text.len() < PAIR_BYTES_MIN && !has_comma {
        return None;
    }
    let is_id = |id: &str| matches!(id.len(), 16 | 32) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some((trace, span)) = text.cut_byte(b'-') {
        let context = TraceContext { ids: Some((trace, span)), ..TraceContext::default() };
        return (is_id(trace) && is_id(span)).then_some(context);
    }
    has_comma.then_some(())?;
    let mut parts = text.split(',').map(str::trim);
    let (service, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let exported = parts.next().filter(|exported| !exported.is_empty());
    let is_known = exported.is_none_or(|exported| matches!(exported, "true" | "false"));
    if parts.next().is_some() || !is_known {
        return None;
    }
    let context = TraceContext { service: Some(service), ids: None, exported };
    if trace.is_empty() && span.is_empty() {
        return Some(context);
    }
    (is_id(trace) && is_id(span)).then_some(TraceContext { ids: Some((trace, span)), ..context })
}
