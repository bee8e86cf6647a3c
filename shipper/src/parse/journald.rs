//! The journal of systemd: an entry a line, as `journalctl --output=json` writes it, or a field a line, as
//! `--output=export` does.
//!
//! ```text
//! {"__CURSOR":"s=..","__REALTIME_TIMESTAMP":"1795212000123456","PRIORITY":"3","_SYSTEMD_UNIT":"nginx.service","MESSAGE":"..."}
//! ```
//! Values are strings; bytes that are no text are an array of numbers, a field that stands several times an array of
//! both. In the export format a blank line ends an entry; a field that holds a newline, or no text, has its name alone in
//! a line, and below it the value's length in 64 bits, the lowest first, the value and a newline:
//!
//! ```text
//! __CURSOR=s=..        MESSAGE
//! PRIORITY=3           |09 00 00 00 00 00 00 00|t w o \n l i n e s|\n
//! ```
//! <https://systemd.io/JOURNAL_EXPORT_FORMATS/>, systemd.journal-fields(7).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memchr;
use weir_record::document::{AttributeKey, Tag};
use weir_record::schema::Field;
use weir_record::{Level, Timestamp};

use super::dispatch::Inner;
use super::draft::{Draft, Value};
use super::inner;
use super::json::scan::{Cursor, Member, unescape};
use super::keys::Meaning;

/// Whether a JSON line is an entry of the journal: only there all keys are in capitals, and this one in every entry.
pub(super) fn is_entry(line: &str) -> bool {
    // Until systemd 237 there were blanks between all parts.
    matches!(line.as_bytes(), [b'{', b'"', b'A'..=b'Z' | b'_', ..] | [b'{', b' ', b'"', b'_', ..])
        && memchr::memmem::find(line.as_bytes(), b"\"__REALTIME_TIMESTAMP\"").is_some()
}

/// Fills `draft` from `line`. False where the line is no entry: the draft has to be reset then.
pub(super) fn parse(line: &str, draft: &mut Draft<'_>, inner: &mut Inner) -> bool {
    let mut entry = Entry::default();
    if members(line, |key, value, _| entry.note(key, value)).is_none() || !entry.is_one {
        return false;
    }
    // What the message itself states is the application's own word: it comes first, and wins.
    entry.write_message(draft, inner);
    let mut messages = 0;
    let written = members(line, |key, value, member| {
        messages += usize::from(key == "MESSAGE");
        // An entry may have a field several times.
        let is_further = key == "MESSAGE" && messages > 1;
        if (is_further || !place(key, value, draft))
            && !draft.writer.attribute_member(AttributeKey::new(key.as_bytes()), member.as_bytes())
        {
            draft.writer.attribute_string(key, &text_of(value));
        }
    });
    if let Some(identifier) = entry.identifier {
        draft.assign(Meaning::Keyword(Field::ProcessName), identifier);
    }
    entry.write_service(draft);
    written.is_some()
}

/// How far an entry of the export format has been read, a line at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    /// A field begins.
    Fields,
    /// In a value's length: so many of its bytes were read.
    Length { read: u8, length: u64 },
    /// In a value: so many of its bytes are to come, and a newline.
    Value { left: u64 },
}

impl Export {
    /// Reads a line and its newline; none where it is not of the entry.
    pub(super) fn next(self, line: &[u8]) -> Option<Export> {
        if self == Export::Fields {
            let name = memchr(b'=', line);
            return match name {
                _ if is_export(line) => None,
                Some(end) => is_name(&line[..end]).then_some(Export::Fields),
                None => is_name(line).then_some(Export::Length { read: 0, length: 0 }),
            };
        }
        let (mut state, mut rest) = (self, line);
        loop {
            state = match (state, rest.split_first()) {
                (Export::Value { left: 0 }, None) => return Some(Export::Fields),
                (Export::Value { left: 0 }, Some(_)) | (Export::Fields, _) => return None,
                // The newline at the end is one of the bytes.
                (Export::Value { left }, _) if left > rest.len() as u64 => {
                    return Some(Export::Value { left: left - rest.len() as u64 - 1 });
                }
                (Export::Value { left }, _) => {
                    rest = &rest[usize::try_from(left).ok()?..];
                    Export::Value { left: 0 }
                }
                (Export::Length { read, length }, None) => return Some(with_byte(read, length, b'\n')),
                (Export::Length { read, length }, Some((byte, after))) => {
                    rest = after;
                    with_byte(read, length, *byte)
                }
            };
        }
    }
}

/// A length with one more of its bytes.
fn with_byte(read: u8, length: u64, byte: u8) -> Export {
    let length = length | u64::from(byte) << (8 * u32::from(read));
    if read == 7 { Export::Value { left: length } } else { Export::Length { read: read + 1, length } }
}

/// Whether bytes are a field's name.
fn is_name(bytes: &[u8]) -> bool {
    const NAME_BYTES_MAX: usize = 64;
    (1..=NAME_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// Whether a record, or its first line, is an entry of the export format: this field is the first of each.
pub(super) fn is_export(record: &[u8]) -> bool {
    record.starts_with(b"__CURSOR=")
}

/// Fills `draft` from an entry of the export format. False where it is none: the draft has to be reset then.
pub(super) fn parse_export(record: &[u8], draft: &mut Draft<'_>, inner: &mut Inner) -> bool {
    let Some(fields) = fields(record) else { return false };
    let texts: Vec<(&str, Cow<'_, str>)> =
        fields.iter().map(|(name, value)| (*name, String::from_utf8_lossy(value))).collect();
    let mut entry = Entry::default();
    for ((name, text), (_, value)) in texts.iter().zip(&fields) {
        entry.note(name, Value::Plain(text));
        if *name == "MESSAGE" && entry.bytes.is_none() {
            entry.bytes = Some(value);
        }
    }
    entry.write_message(draft, inner);
    let mut messages = 0;
    for (name, text) in &texts {
        messages += usize::from(*name == "MESSAGE");
        let is_further = *name == "MESSAGE" && messages > 1;
        if is_further || !place(name, Value::Plain(text), draft) {
            draft.writer.attribute_string(name, text);
        }
    }
    if let Some(identifier) = entry.identifier {
        draft.assign(Meaning::Keyword(Field::ProcessName), identifier);
    }
    entry.write_service(draft);
    !draft.writer.is_full()
}

/// The fields of an entry, their values as bytes. None where it is cut, or none.
fn fields(record: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    const LENGTH_BYTES: usize = 8;
    let (mut fields, mut rest) = (Vec::new(), record);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        let name_end = memchr(b'=', line).unwrap_or(line.len());
        let name = std::str::from_utf8(&line[..name_end]).ok().filter(|name| is_name(name.as_bytes()))?;
        if let Some(value) = line.get(name_end + 1..) {
            fields.push((name, value));
            rest = rest.get(end + 1..).unwrap_or_default();
            continue;
        }
        let (length, value) = rest.get(end + 1..)?.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (value, after) = value.split_at_checked(length)?;
        fields.push((name, value));
        // The record's own last newline is not part of it.
        rest = match after {
            [] => after,
            [b'\n', after @ ..] => after,
            _ => return None,
        };
    }
    fields.iter().any(|(name, _)| *name == "__REALTIME_TIMESTAMP").then_some(fields)
}

/// Calls `each` with every member: key, value, and the member as it stands, without its first quote.
fn members<'l>(line: &'l str, mut each: impl FnMut(&'l str, Value<'l>, &'l str)) -> Option<()> {
    let (mut cursor, mut keys) = (Cursor::new(line), Vec::new());
    cursor.blanks();
    cursor.expect(b'{')?;
    loop {
        let (key, Member { start, value_start, passed, .. }) = cursor.member(&mut keys)?;
        let value = passed.value(line, value_start, cursor.position());
        // Field names are letters, digits and underscores.
        if !key.escaped {
            each(key.inside, value, cursor.between(start, cursor.position()));
        }
        if !cursor.has_another() {
            cursor.expect(b'}')?;
            return cursor.is_at_end().then_some(());
        }
    }
}

/// What has to be known before anything is written.
#[derive(Default)]
struct Entry<'l> {
    is_one: bool,
    message: Option<Value<'l>>,
    /// The message's own bytes, where they are at hand.
    bytes: Option<&'l [u8]>,
    identifier: Option<Value<'l>>,
    container: Option<Value<'l>>,
    unit: Option<Value<'l>>,
    transport: Option<Value<'l>>,
}

impl<'l> Entry<'l> {
    fn note(&mut self, key: &str, value: Value<'l>) {
        match key {
            "__REALTIME_TIMESTAMP" | "__CURSOR" => self.is_one = true,
            "MESSAGE" => self.message = self.message.or(Some(value)),
            "SYSLOG_IDENTIFIER" => self.identifier = Some(value),
            "CONTAINER_NAME" => self.container = Some(value),
            "_SYSTEMD_UNIT" => self.unit = Some(value),
            "_TRANSPORT" => self.transport = Some(value),
            _ => {}
        }
    }

    fn write_message(&self, draft: &mut Draft<'_>, inner: &mut Inner) {
        let bytes = match self.message {
            Some(Value::Other(json)) => bytes_of(json),
            _ => None,
        };
        let message = match (&bytes, self.message) {
            (Some(bytes), _) => String::from_utf8_lossy(bytes),
            // Several messages, or null: one that journalctl left out because of its size.
            (None, Some(Value::Other("null")) | None) => Cow::Borrowed(""),
            (None, Some(value)) => text_of(value),
        };
        let program = self.identifier.map_or(Cow::Borrowed(""), text_of);
        if !inner::structured(&program, &message, draft, inner) {
            draft.writer.string(Field::Message, &message);
            inner::usual(&program, &message, draft);
        }
        let bytes = bytes.as_deref().or(self.bytes);
        if let Some(bytes) = bytes.filter(|bytes| std::str::from_utf8(bytes).is_err()) {
            draft.writer.tag(Tag::InvalidUtf8);
            if draft.is_damaged {
                return;
            }
            draft.writer.escaped(Field::EventOriginal, BASE64.encode(bytes).as_bytes());
        }
    }

    /// The container, the unit without its instance, or the kernel. Scopes are as many as sessions: they name none.
    fn write_service(&self, draft: &mut Draft<'_>) {
        let container = self.container.map(text_of);
        let unit = self.unit.map(text_of);
        let of_unit = unit.as_deref().and_then(|unit| unit.strip_suffix(".service"));
        let of_unit = of_unit.map(|unit| unit.split_once('@').map_or(unit, |(template, _)| template));
        let is_kernel = matches!(self.transport, Some(Value::Clean("kernel") | Value::Plain("kernel")));
        let service = container.as_deref().or(of_unit).or(is_kernel.then_some("kernel"));
        if let Some(service) = service {
            draft.service(service);
        }
    }
}

/// Writes a member where it belongs. False: it is an attribute.
fn place(key: &str, value: Value<'_>, draft: &mut Draft<'_>) -> bool {
    let meaning = match key {
        // Addresses of the entry in its file, not part of it; and what was written already.
        _ if key.starts_with("__") && key != "__REALTIME_TIMESTAMP" => return true,
        "MESSAGE" => return true,
        "__REALTIME_TIMESTAMP" => return write_time(value, draft),
        "PRIORITY" => return write_priority(value, draft),
        "_COMM" => Meaning::Keyword(Field::ProcessName),
        "_PID" => Meaning::Long(Field::ProcessPid),
        "TID" => Meaning::Long(Field::ProcessThreadId),
        "_UID" => Meaning::Identifier(Field::UserId),
        "_HOSTNAME" => Meaning::Keyword(Field::HostName),
        "SYSLOG_IDENTIFIER" => Meaning::Keyword(Field::SyslogAppname),
        "SYSLOG_PID" => Meaning::Identifier(Field::SyslogProcid),
        "SYSLOG_FACILITY" => Meaning::Long(Field::SyslogFacilityCode),
        "CODE_FILE" => Meaning::Keyword(Field::LogOriginFileName),
        "CODE_LINE" => Meaning::Long(Field::LogOriginFileLine),
        "CODE_FUNC" => Meaning::Keyword(Field::LogOriginFunction),
        "CONTAINER_NAME" => Meaning::Keyword(Field::ContainerName),
        "CONTAINER_ID_FULL" => Meaning::Keyword(Field::ContainerId),
        "IMAGE_NAME" => Meaning::Keyword(Field::ContainerImageName),
        _ => return false,
    };
    draft.assign(meaning, value)
}

/// Microseconds since 1970.
fn write_time(value: Value<'_>, draft: &mut Draft<'_>) -> bool {
    /// Fraction digits of a microsecond.
    const DIGITS: u8 = 6;
    let micros = text_of(value).parse::<i64>().ok();
    let moment = micros
        .and_then(|micros| micros.checked_mul(1000))
        .and_then(|nanos| Timestamp::from_nanos(nanos, DIGITS));
    // A message's own time is nearer to the event: then it stays, and the journal's is the later one of reading it.
    moment.is_some_and(|moment| draft.time(moment) || draft.writer.has(Field::Timestamp))
}

fn write_priority(value: Value<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((priority, level)) = text_of(value)
        .parse::<u8>()
        .ok()
        .and_then(|priority| Some((priority, Level::from_syslog_severity(priority)?)))
    else {
        return false;
    };
    draft.writer.integer(Field::SyslogSeverityCode, i64::from(priority));
    draft.writer.level(level);
    true
}

fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Clean(text) | Value::Plain(text) | Value::Number(text) | Value::Other(text) => {
            Cow::Borrowed(text)
        }
        Value::Escaped(inside) => {
            let mut text = String::with_capacity(inside.len());
            unescape(inside, &mut text);
            Cow::Owned(text)
        }
    }
}

/// The bytes of `[104,105]`; none where it is another array.
fn bytes_of(json: &str) -> Option<Vec<u8>> {
    let inside = json.strip_prefix('[')?.strip_suffix(']')?;
    inside.split(',').map(|number| number.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed};

    #[test]
    fn an_entry_is_a_document_and_its_addresses_are_not() {
        check(
            Format::Journald,
            r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795212000123456","__MONOTONIC_TIMESTAMP":"5","_BOOT_ID":"b","PRIORITY":"3",
               "_HOSTNAME":"web-1","_SYSTEMD_UNIT":"nginx.service","SYSLOG_IDENTIFIER":"nginx","_PID":"71","_COMM":"nginx","_UID":"33","MESSAGE":"it \"broke\""}"#
                .replace('\n', "")
                .as_str(),
            r#"{"@timestamp":"2026-11-20T22:00:00.123456Z","message":"it \"broke\"","log.level":"error","log.syslog.severity.code":3,"host.name":"web-1",
               "SERVICE":"nginx","log.syslog.appname":"nginx","process.name":"nginx","process.pid":71,"user.id":"33",
               "attributes._BOOT_ID":"b","attributes._SYSTEMD_UNIT":"nginx.service"}"#,
        );
    }

    #[test]
    fn a_message_of_bytes_is_text_where_it_can_be() {
        check(
            Format::Journald,
            r#"{"__REALTIME_TIMESTAMP":"1795212000000000","SYSLOG_IDENTIFIER":"app","MESSAGE":[27,91,51,49,109,104,105]}"#,
            "{\"@timestamp\":\"2026-11-20T22:00:00.000000Z\",\"message\":\"\\u001b[31mhi\",\"log.syslog.appname\":\"app\",\"process.name\":\"app\"}",
        );
        check(
            Format::Journald,
            r#"{"__REALTIME_TIMESTAMP":"1795212000000000","MESSAGE":[255,104,105]}"#,
            "{\"@timestamp\":\"2026-11-20T22:00:00.000000Z\",\"message\":\"\u{fffd}hi\",\"event.original\":\"/2hp\",\"tags\":[\"invalid_utf8\"]}",
        );
    }

    #[test]
    fn a_container_s_own_json_is_opened_and_its_level_wins() {
        check(
            Format::Journald,
            r#"{"__REALTIME_TIMESTAMP":"1795212000000000","PRIORITY":"6","CONTAINER_NAME":"shop","CONTAINER_ID_FULL":"abc","CONTAINER_ID":"a","_SYSTEMD_UNIT":"docker.service","MESSAGE":"{\"level\":\"warn\",\"msg\":\"low\"}"}"#,
            r#"{"@timestamp":"2026-11-20T22:00:00.000000Z","message":"low","log.level":"warning","log.syslog.severity.code":6,"container.name":"shop","container.id":"abc",
               "SERVICE":"shop","attributes.CONTAINER_ID":"a","attributes._SYSTEMD_UNIT":"docker.service"}"#,
        );
    }

    #[test]
    fn an_instance_belongs_to_its_template_and_a_scope_names_no_service() {
        check(
            Format::Journald,
            r#"{"__CURSOR":"c","_SYSTEMD_UNIT":"getty@tty1.service","MESSAGE":"x"}"#,
            r#"{"@timestamp":"READ","message":"x","SERVICE":"getty","attributes._SYSTEMD_UNIT":"getty@tty1.service"}"#,
        );
        check(
            Format::Journald,
            r#"{"__CURSOR":"c","_SYSTEMD_UNIT":"session-3.scope","MESSAGE":null,"TWICE":["a","b"]}"#,
            r#"{"@timestamp":"READ","message":"","attributes._SYSTEMD_UNIT":"session-3.scope","attributes.TWICE":["a","b"]}"#,
        );
        check(
            Format::Journald,
            r#"{"__CURSOR":"c","MESSAGE":"a","MESSAGE":"b"}"#,
            r#"{"@timestamp":"READ","message":"a","attributes.MESSAGE":"b"}"#,
        );
        check(
            Format::Journald,
            r#"{"__CURSOR":"c","_TRANSPORT":"kernel","MESSAGE":"oom"}"#,
            r#"{"@timestamp":"READ","message":"oom","SERVICE":"kernel","attributes._TRANSPORT":"kernel"}"#,
        );
    }

    #[test]
    fn what_is_no_entry_is_kept_as_text() {
        for line in ["{}", r#"{"MESSAGE":"x"}"#, r#"{"__CURSOR":"c","MESSAGE":"x""#, "text"] {
            check_unparsed(Format::Journald, line);
        }
    }
}
