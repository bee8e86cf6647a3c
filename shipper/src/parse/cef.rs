//! Events of security devices: ArcSight's CEF and QRadar's LEEF, alone or behind a syslog header.
//!
//! ```text
//! CEF:0|vendor|product|version|class|name|severity|src=10.0.0.1 msg=any text request=http://a/?b\=c
//! LEEF:1.0|vendor|product|version|event|src=10.0.0.1<tab>usrName=anna
//! LEEF:2.0|vendor|product|version|event|^|src=10.0.0.1^usrName=anna
//! ```
//! ArcSight Common Event Format 25; <https://www.ibm.com/docs/en/dsm?topic=leef-overview>

use memchr::{memchr, memchr2, memrchr};
use std::borrow::Cow;
use weir_record::Level;
use weir_record::schema::Field;

use super::draft::{Draft, Value};
use super::format::Format;
use super::keys::{Meaning, Unit};

/// Fills `draft` from `line`; returns which of the two it is. None where it is neither: the draft has to be reset then.
pub(super) fn parse(line: &str, draft: &mut Draft<'_>) -> Option<Format> {
    if let Some(rest) = line.strip_prefix("CEF:") {
        cef(line, rest, draft)?;
        return Some(Format::Cef);
    }
    leef(line, line.strip_prefix("LEEF:")?, draft)?;
    Some(Format::Leef)
}

fn cef(line: &str, text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (version, rest) = header_part(text)?;
    matches!(version, "0" | "1").then_some(())?;
    let mut rest = rest;
    let mut parts = [""; 6];
    for part in &mut parts {
        (*part, rest) = header_part(rest)?;
    }
    let [vendor, product, device_version, class, name, severity] = parts;
    extension(rest.trim_start(), draft);
    let name = unescape(name);
    if !draft.writer.string(Field::Message, if name.is_empty() { line } else { &name }) && !name.is_empty() {
        draft.writer.attribute_string("name", &name);
    }
    for (key, value) in
        [("device_vendor", vendor), ("device_product", product), ("device_version", device_version)]
    {
        attribute(key, value, draft);
    }
    draft.writer.string(Field::EventId, &unescape(class));
    write_severity(severity, draft);
    (!draft.writer.is_full()).then_some(())
}

fn leef(line: &str, text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (version, mut rest) = header_part(text)?;
    let has_delimiter = match version {
        "1.0" => false,
        "2.0" => true,
        _ => return None,
    };
    let mut parts = [""; 4];
    for part in &mut parts {
        (*part, rest) = header_part(rest)?;
    }
    let mut delimiter = '\t';
    if has_delimiter
        && let Some((text, after)) = rest.split_once('|')
        && text.len() <= 4
    {
        delimiter = delimiter_of(text)?;
        rest = after;
    }
    let [vendor, product, device_version, event] = parts;
    for pair in rest.split(delimiter) {
        if let Some(level) = pair.strip_prefix("sev=").and_then(level_of) {
            draft.writer.level(level);
        }
        match pair.split_once('=') {
            Some((key, value)) => member(key.trim(), value, draft),
            None if pair.trim().is_empty() => {}
            None => draft.writer.attribute_string("_", pair),
        }
    }
    for (key, value) in
        [("device_vendor", vendor), ("device_product", product), ("device_version", device_version)]
    {
        attribute(key, value, draft);
    }
    draft.writer.string(Field::EventId, event);
    if !draft.writer.has(Field::Message) {
        draft.writer.string(Field::Message, line);
    }
    (!draft.writer.is_full()).then_some(())
}

/// A delimiter: one character, its code as `x5E` or `0x5E`, or nothing for a tab.
fn delimiter_of(text: &str) -> Option<char> {
    let code = text.strip_prefix("0x").or_else(|| text.strip_prefix('x')).filter(|code| !code.is_empty());
    match code {
        Some(code) => char::from_u32(u32::from_str_radix(code, 16).ok()?),
        None if text.is_empty() => Some('\t'),
        None => text.chars().next().filter(|_| text.chars().count() == 1),
    }
}

/// What stands before the next bar that is not escaped, and what follows it.
fn header_part(text: &str) -> Option<(&str, &str)> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    loop {
        at += memchr2(b'|', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'|' {
            return Some((&text[..at], &text[at + 1..]));
        }
        at += 2;
    }
}

/// `key=value key=value`: a value ends where the next key begins, so that it may have blanks.
fn extension(text: &str, draft: &mut Draft<'_>) {
    let Some((mut key, mut rest)) = next_key(text, KeyStart::Anywhere) else {
        attribute("_", text, draft);
        return;
    };
    attribute("_", text[..key.as_ptr() as usize - text.as_ptr() as usize].trim_end(), draft);
    loop {
        let Some((next, after)) = next_key(rest, KeyStart::BehindBlank) else {
            return member(key, rest.trim_end(), draft);
        };
        let value = &rest[..next.as_ptr() as usize - rest.as_ptr() as usize];
        member(key, value.strip_suffix(' ').unwrap_or(value), draft);
        (key, rest) = (next, after);
    }
}

/// Where a key may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyStart {
    /// Also at the very start.
    Anywhere,
    /// Behind a value: its own equals signs are no keys'.
    BehindBlank,
}

/// The next key of `text`, a word before an equals sign that is not escaped, and what follows that sign.
fn next_key(text: &str, key_start: KeyStart) -> Option<(&str, &str)> {
    let (bytes, mut at, mut word) = (text.as_bytes(), 0, 0);
    loop {
        at += memchr2(b'=', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'\\' {
            at += 2;
            continue;
        }
        // Looked for behind the last equals sign only, so that the time stays linear.
        let start = memrchr(b' ', &bytes[word..at]).map_or(0, |blank| word + blank + 1);
        let key = &text[start..at];
        let is_key =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
        let may_start = start > word || word == 0 && start == 0 && key_start == KeyStart::Anywhere;
        if !key.is_empty() && may_start && key.bytes().all(is_key) {
            return Some((key, &text[at + 1..]));
        }
        at += 1;
        word = at;
    }
}

/// Writes one pair; none beyond the limit of a document, whose line is kept as text then.
fn member(key: &str, value: &str, draft: &mut Draft<'_>) {
    if draft.writer.is_full() {
        return;
    }
    let value = unescape(value);
    let placed = meaning(key).is_some_and(|meaning| draft.assign(meaning, Value::Plain(&value)));
    if !placed {
        draft.attribute_text(key, &value);
    }
}

/// The dictionaries of both formats.
fn meaning(key: &str) -> Option<Meaning> {
    Some(match key {
        "rt" | "end" | "devTime" => Meaning::Time,
        "msg" => Meaning::Message,
        "act" | "action" => Meaning::Keyword(Field::EventAction),
        "cat" => Meaning::Keyword(Field::EventCategory),
        "outcome" => Meaning::Keyword(Field::EventOutcome),
        "reason" => Meaning::Text(Field::ErrorMessage),
        "src" | "shost" => Meaning::Address(Field::SourceIp, Field::SourceAddress),
        "spt" | "srcPort" => Meaning::Long(Field::SourcePort),
        "dst" | "dhost" => Meaning::Address(Field::DestinationIp, Field::DestinationAddress),
        "dpt" | "dstPort" => Meaning::Long(Field::DestinationPort),
        "suser" | "usrName" => Meaning::Keyword(Field::UserName),
        "suid" => Meaning::Identifier(Field::UserId),
        "request" | "url" => Meaning::Url,
        "requestMethod" => Meaning::Method,
        "requestClientApplication" => Meaning::Keyword(Field::UserAgentOriginal),
        // `identHostName` is the host of who did it, no field of which there is.
        "dvchost" => Meaning::Keyword(Field::HostName),
        "sproc" => Meaning::Keyword(Field::ProcessName),
        "spid" | "dvcpid" => Meaning::Long(Field::ProcessPid),
        "cn1ms" => Meaning::Duration(Unit::Millis),
        _ => return None,
    })
}

fn write_severity(severity: &str, draft: &mut Draft<'_>) {
    if let Some(level) = level_of(severity) {
        draft.writer.level(level);
    }
    draft.attribute_text("severity", severity);
}

/// 0 to 3 are low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
fn level_of(severity: &str) -> Option<Level> {
    Some(match severity {
        "0" | "1" | "2" | "3" | "Low" | "Unknown" => Level::Info,
        "4" | "5" | "6" | "Medium" => Level::Warning,
        "7" | "8" | "High" => Level::Error,
        "9" | "10" | "Very-High" => Level::Critical,
        _ => return None,
    })
}

fn attribute(key: &str, value: &str, draft: &mut Draft<'_>) {
    if !value.is_empty() {
        draft.writer.attribute_string(key, &unescape(value));
    }
}

/// Undoes `\|`, `\=`, `\\`, `\n` and `\r`.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.clone().next() {
            Some(escaped @ ('|' | '=' | '\\')) => out.push(escaped),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            _ => {
                out.push('\\');
                continue;
            }
        }
        chars.next();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed};

    #[test]
    fn values_may_have_blanks_and_escapes() {
        check(
            Format::Cef,
            r"CEF:0|Acme|Wall\|1|1.0|100|worm stopped|10|src=10.0.0.1 spt=1232 msg=a = b c\=d\\e request=http://a/?q\=1 cs1=x y",
            r#"{"@timestamp":"READ","message":"a = b c=d\\e","attributes.name":"worm stopped","attributes.device_vendor":"Acme","attributes.device_product":"Wall|1",
               "attributes.device_version":"1.0","event.id":"100","log.level":"critical","attributes.severity":10,"source.ip":"10.0.0.1","source.port":1232,
               "url.original":"http://a/?q=1","url.scheme":"http","url.domain":"a","url.path":"/","url.query":"q=1","attributes.cs1":"x y"}"#,
        );
    }

    #[test]
    fn a_delimiter_may_be_named() {
        let expected = r#"{"@timestamp":"READ","message":LINE,"attributes.device_vendor":"v","attributes.device_product":"p","attributes.device_version":"1",
            "event.id":"7","source.ip":"10.0.0.1","user.name":"anna b"}"#;
        for line in [
            "LEEF:1.0|v|p|1|7|src=10.0.0.1\tusrName=anna b",
            "LEEF:2.0|v|p|1|7|^|src=10.0.0.1^usrName=anna b",
            "LEEF:2.0|v|p|1|7|x5E|src=10.0.0.1^usrName=anna b",
            "LEEF:2.0|v|p|1|7||src=10.0.0.1\tusrName=anna b",
        ] {
            check(Format::Auto, line, &expected.replace("LINE", &super::super::testing::quoted_line(line)));
        }
    }

    #[test]
    fn what_is_torn_is_kept_as_text() {
        for line in ["CEF:0|a|b|c|d|e", "CEF:x|a|b|c|d|e|f|", "LEEF:3.0|a|b|c|d|", r"CEF:0|a|b|c|d|e\|5"] {
            check_unparsed(Format::Cef, line);
        }
    }
}
