//! The error logs of nginx and of Apache.
//!
//! ```text
//! 2026/11/20 21:39:19 [error] 12#34: *5 open() "/x" failed (2: No such file), client: ::1, server: a, request: "GET /x HTTP/1.1"
//! [Fri Nov 20 21:39:19.123456 2026] [core:error] [pid 12:tid 34] [client ::1:5] AH00128: File does not exist: /x, referer: http://a/
//! ```

use memchr::memchr;
use weir_record::Level;
use weir_record::schema::Field;

use super::access;
use super::cut::Cut;
use super::draft::{Draft, Value};
use super::keys::Meaning;
use super::row::address;

/// Fills `draft` from a line of nginx's error log. None where it is none: the draft has to be reset then.
pub(super) fn nginx(line: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (moment, length) = draft.clock.read_start(line.as_bytes())?;
    let (level, rest) = line[length..].strip_prefix(" [")?.cut("] ")?;
    let level = Level::from_name(level.as_bytes())?;
    let (process, rest) = rest.cut(": ")?;
    let (pid, tid) = process.split_once('#')?;
    let (pid, tid) = (pid.parse::<u32>().ok()?, tid.parse::<u32>().ok()?);
    let connection = rest.strip_prefix('*').and_then(|rest| rest.split_once(' '));
    let connection = connection.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    let message = connection.map_or(rest, |(_, message)| message);
    draft.time(moment);
    draft.writer.level(level);
    draft.writer.string(Field::Message, message);
    draft.writer.integer(Field::ProcessPid, i64::from(pid));
    draft.writer.integer(Field::ProcessThreadId, i64::from(tid));
    if let Some((number, _)) = connection {
        draft.attribute_text("connection", number);
        request_parts(message, draft);
    }
    Some(())
}

/// `, client: ::1, server: a, request: "GET / HTTP/1.1", upstream: "http://b/", host: "a", referrer: "http://c/"` at
/// the end of a message.
fn request_parts(message: &str, draft: &mut Draft<'_>) {
    let Some((_, mut rest)) = message.cut_last(", client: ") else { return };
    let client = take_part(&mut rest);
    draft.source(client);
    while let Some((name, value)) = rest.cut(": ") {
        rest = value;
        let value = take_part(&mut rest);
        match name {
            "server" if !value.is_empty() => drop(draft.writer.string(Field::ServerAddress, value)),
            "request" => access::request(value, draft),
            "upstream" => draft.writer.attribute_string("upstream", value),
            "host" => drop(draft.domain(value)),
            "referrer" => drop(draft.writer.string(Field::HttpRequestReferrer, value)),
            _ => {}
        }
    }
}

/// Takes a value, quoted or not, and the comma behind it.
fn take_part<'l>(rest: &mut &'l str) -> &'l str {
    let (value, after) = access::quoted(rest).unwrap_or_else(|| {
        let end = memchr(b',', rest.as_bytes()).unwrap_or(rest.len());
        rest.split_at(end)
    });
    *rest = after.strip_prefix(", ").unwrap_or_default();
    value
}

/// Fills `draft` from a line of Apache's error log. None where it is none: the draft has to be reset then.
pub(super) fn apache(line: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (time, mut rest) = bracket(line)?;
    let (moment, length) = draft.clock.read_prefix(time.as_bytes())?;
    (length == time.len()).then_some(())?;
    // Java's loggers write no blank between their brackets, and levels in capitals.
    line[time.len() + 1..].starts_with("] [").then_some(())?;
    let (severity, after) = bracket(rest)?;
    rest = after;
    let (module, level) = severity.split_once(':').unwrap_or(("", severity));
    level.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).then_some(())?;
    // Apache 2.4 has eight degrees of tracing.
    let is_degree = |degree: &str| matches!(degree.as_bytes(), [b'1'..=b'8']);
    let level = level.strip_prefix("trace").filter(|degree| is_degree(degree)).map_or(level, |_| "trace");
    let level = Level::from_name(level.as_bytes())?;
    while let Some((part, after)) = bracket(rest) {
        if !apache_part(part, draft) {
            break;
        }
        rest = after;
    }
    draft.time(moment);
    draft.writer.level(level);
    draft.writer.string(Field::Message, rest);
    if !matches!(module, "" | "-") {
        draft.writer.string(Field::LogLogger, module);
    }
    apache_tail(rest, draft);
    Some(())
}

/// The inside of a bracket at the start, and what follows it and a blank.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((inside, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// `pid 12:tid 34`, `client ::1:5`, `remote ::1:5`.
fn apache_part(part: &str, draft: &mut Draft<'_>) -> bool {
    let Some((name, value)) = part.split_once(' ') else { return false };
    match name {
        "pid" => {
            let (pid, tid) = value.cut(":tid ").unwrap_or((value, ""));
            draft.assign(Meaning::Long(Field::ProcessPid), Value::Plain(pid))
                && (tid.is_empty() || draft.assign(Meaning::Long(Field::ProcessThreadId), Value::Plain(tid)))
        }
        "client" | "remote" if !value.contains(' ') && !has_source(draft) => {
            address(value, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
            true
        }
        _ => false,
    }
}

fn has_source(draft: &Draft<'_>) -> bool {
    draft.writer.has(Field::SourceIp) || draft.writer.has(Field::SourceAddress)
}

/// `mod_deflate.c(853): (13)Permission denied: [client ::1:5] AH00132: ..., referer: http://a/`: the line's later parts,
/// which stay in the message.
fn apache_tail(message: &str, draft: &mut Draft<'_>) {
    let mut rest = message;
    if let Some((place, after)) = rest.cut("): ")
        && let Some((file, line)) = place.split_once('(').filter(|(file, _)| file.ends_with(".c"))
        && draft.assign(Meaning::Long(Field::LogOriginFileLine), Value::Plain(line))
    {
        draft.put(Field::LogOriginFileName, file);
        rest = after;
    }
    if let Some((client, after)) = rest.strip_prefix("[client ").and_then(|rest| rest.cut("] ")) {
        if !has_source(draft) {
            address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
        }
        rest = after;
    }
    if let Some((_, after)) = rest.strip_prefix('(').and_then(|rest| rest.cut(": [client "))
        && let Some((client, after)) = after.cut("] ")
    {
        address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
        rest = after;
    } else if rest.starts_with('(') {
        rest = rest.cut(": ").map_or(rest, |(_, after)| after);
    }
    if let Some(code) = rest.split(':').next().filter(|code| code.starts_with("AH") && code.len() == 7) {
        draft.writer.string(Field::ErrorCode, code);
    }
    if let Some((_, referrer)) = rest.cut_last(", referer: ") {
        draft.writer.string(Field::HttpRequestReferrer, referrer);
    }
}
