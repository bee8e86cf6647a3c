//! PostgreSQL's log as comma-separated values (`csvlog`), which has no line of names; a statement may have several lines.
//!
//! ```text
//! 2026-11-20 21:39:19.123 UTC,"app","shop",42,"192.0.2.14:40022",65f1.2a,1,"SELECT",2026-11-20 21:39:18 UTC,3/7,0,ERROR,42P01,"relation ""carts"" does not exist",,,,,,"select *
//! from carts",15,,"psql","client backend",,0
//! ```

use std::borrow::Cow;

use weir_record::schema::Field;

use super::super::cut::Cut;
use super::super::draft::{Draft, Value, is_number};
use super::super::keys::{Meaning, Unit};
use super::super::row::address;
use super::stamped::SEVERITIES;

/// The columns behind the time, up to those of the newest version, named as in the same server's `jsonlog`; only the
/// database is called as in its text.
const COLUMNS: [&str; 25] = [
    "user",
    "database",
    "pid",
    "remote_host",
    "session_id",
    "line_num",
    "ps",
    "session_start",
    "vxid",
    "txid",
    "error_severity",
    "state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_position",
    "context",
    "statement",
    "cursor_position",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
];

/// Without these it is another program's.
const COLUMNS_MIN: usize = 22;

/// Whether a line begins as such a record does: a time of day with its milliseconds, a zone, and a column that is quoted
/// or empty.
pub(in super::super) fn begins(line: &[u8]) -> bool {
    const ZONE_AT: usize = 24;
    const ZONE_BYTES_MAX: usize = 6;
    let is_timed = line.first().is_some_and(u8::is_ascii_digit)
        && line.get(19) == Some(&b'.')
        && line.get(ZONE_AT - 1) == Some(&b' ');
    let zone = line.get(ZONE_AT..).filter(|_| is_timed).unwrap_or_default();
    let end = zone.iter().take(ZONE_BYTES_MAX).position(|byte| *byte == b',');
    end.is_some_and(|end| end > 0 && matches!(zone.get(end + 1), Some(b'"' | b',')))
}

/// Fills `draft` from a record. None where it is none: nothing is written then.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    begins(record.as_bytes()).then_some(())?;
    let (moment, length) = draft.clock.read_prefix(record.as_bytes())?;
    let mut values: [&str; COLUMNS.len()] = [""; COLUMNS.len()];
    let (mut rest, mut count) = (record.get(length..)?, 0);
    while let Some(after) = rest.strip_prefix(',') {
        let end = column_end(after)?;
        *values.get_mut(count)? = &after[..end];
        rest = &after[end..];
        count += 1;
    }
    let [pid, severity, state, message] = [2, 10, 11, 12].map(|at| values[at]);
    let (_, level) = SEVERITIES.iter().find(|(name, _)| *name == severity)?;
    let is_state = state.len() == 5 && state.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (rest.is_empty() && count >= COLUMNS_MIN && is_number(pid) && is_state).then_some(())?;
    draft.time(moment);
    if let Some(level) = level {
        draft.writer.level(*level);
    }
    if matches!(message, "" | "\"\"") {
        draft.writer.string(Field::Message, record);
    }
    for (name, value) in COLUMNS.into_iter().zip(values).filter(|(_, value)| !matches!(*value, "" | "\"\"")) {
        write(name, &unquoted(value), draft);
    }
    Some(())
}

fn write(name: &str, value: &str, draft: &mut Draft<'_>) {
    match name {
        "user" => drop(draft.writer.string(Field::UserName, value)),
        "pid" => drop(draft.digits(Field::ProcessPid, value)),
        "remote_host" => address(value, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft),
        "error_severity" => {}
        "state_code" if value != "00000" => drop(draft.writer.string(Field::ErrorCode, value)),
        "message" => {
            draft.writer.string(Field::Message, value);
            let took =
                value.strip_prefix("duration: ").and_then(|rest| rest.cut(" ms")).map(|(took, _)| took);
            if let Some(took) = took {
                draft.assign(Meaning::Duration(Unit::Millis), Value::Number(took));
            }
        }
        // Text, also where it is all digits.
        "state_code" | "session_id" | "vxid" => draft.writer.attribute_string(name, value),
        _ => draft.attribute_text(name, value),
    }
}

/// Where the column at the start of `text` ends.
fn column_end(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        return Some(text.find(',').unwrap_or(text.len()));
    }
    let mut at = 1;
    loop {
        at += text.get(at..)?.find('"')? + 1;
        match text.as_bytes().get(at) {
            Some(b'"') => at += 1,
            None | Some(b',') => return Some(at),
            Some(_) => return None,
        }
    }
}

/// A column's value without its quotes.
fn unquoted(column: &str) -> Cow<'_, str> {
    match column.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')) {
        Some(inside) if inside.contains("\"\"") => Cow::Owned(inside.replace("\"\"", "\"")),
        Some(inside) => Cow::Borrowed(inside),
        None => Cow::Borrowed(column),
    }
}

/// Whether a quote is open behind this line of a record, which was open before it or not.
pub(in super::super) fn is_open_behind(line: &[u8], is_open: bool) -> bool {
    is_open != (memchr::memchr_iter(b'"', line).count() % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::super::super::Format;
    use super::super::super::testing::{check, quoted_line};

    #[test]
    fn a_record_without_a_message_stays_whole() {
        let line = r#"2026-11-20 21:39:19.123 UTC,,,42,,65f1.2a,1,,,,0,LOG,00000,,,,,,,,,,"psql""#;
        let expected = format!(
            r#"{{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","message":{},"process.pid":42,"attributes.session_id":"65f1.2a",
               "attributes.line_num":1,"attributes.txid":0,"attributes.state_code":"00000","attributes.application_name":"psql"}}"#,
            quoted_line(line)
        );
        check(Format::Auto, line, &expected);
    }

    #[test]
    fn what_is_no_record_is_kept_as_text() {
        for line in [
            r#"2026-11-20 21:39:19.123 UTC,"app","shop",42,"x",1,1,"idle",x,3/7,0,LOG,000000,"m",,,,,,,,,"psql""#,
            r#"2026-11-20 21:39:19.123 UTC,"app","shop",p,"x",1,1,"idle",x,3/7,0,LOG,00000,"m",,,,,,,,,"psql""#,
            r#"2026-11-20 21:39:19.123 UTC,"app","shop",42,"x",1,1,"idle",x,3/7,0,WHAT,00000,"m",,,,,,,,,"psql""#,
            r#"2026-11-20 21:39:19.123 UTC,"app","shop",42,"x",1,1,"idle",x,3/7,0,LOG,00000,"m"#,
        ] {
            let expected =
                format!(r#"{{"@timestamp":"2026-11-20T21:39:19.123Z","message":{}}}"#, quoted_line(line));
            check(Format::Auto, line, &expected);
        }
    }
}
