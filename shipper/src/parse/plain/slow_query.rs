//! MySQL's and MariaDB's slow log: an entry of several lines.
//!
//! ```text
//! # Time: 2026-11-20T21:39:19.123456Z
//! # User@Host: app[app] @ localhost [127.0.0.1]  Id:     8
//! # Query_time: 2.000202  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 0
//! SET timestamp=1795210759;
//! SELECT * FROM orders;
//! ```

use weir_record::Timestamp;
use weir_record::schema::Field;

use super::super::cut::Cut;
use super::super::draft::{Draft, Value};
use super::super::keys::{Meaning, Unit};
use super::super::time::epoch;

/// Fills `draft` from the lines that the server begins its log with; they say nothing but what it is.
pub(super) fn parse_head(first: &str, record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (_, version) = first.strip_suffix(". started with:")?.cut(", Version: ")?;
    draft.writer.string(Field::Message, record);
    draft.writer.attribute_string("version", version);
    Some(())
}

/// Fills `draft` from an entry. None where it is none, in every word: nothing is written then.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let statement_at =
        record.match_indices('\n').map(|(at, _)| at + 1).find(|at| is_statement(&record[*at..]))?;
    let (head, statement) = record.split_at(statement_at);
    let lines = head.lines().map(|line| line.trim_start_matches(['#', ' ']));
    if !head.contains("# Query_time: ") || !lines.clone().all(|line| is_known(line, draft)) {
        return None;
    }
    for line in lines {
        if let Some(text) = line.strip_prefix("Time: ") {
            if let Some(moment) = time(text, draft) {
                draft.time(moment);
            }
        } else if let Some(client) = line.strip_prefix("User@Host: ") {
            user_and_host(client, draft);
        } else {
            named_numbers(line).for_each(|(name, value)| number(name, value, draft));
        }
    }
    // Entries of one second share the first one's `# Time`; this, when the statement began, each has.
    if !draft.writer.has(Field::Timestamp)
        && let Some(moment) = begin(statement)
    {
        draft.time(moment);
    }
    draft.writer.string(Field::Message, statement.trim_end());
    Some(())
}

/// The `SET timestamp=1795210759;` before a statement: seconds since 1970, with a fraction in some versions.
fn begin(statement: &str) -> Option<Timestamp> {
    let seconds = statement.lines().find_map(|line| line.strip_prefix("SET timestamp="))?;
    epoch(seconds.strip_suffix(';')?.as_bytes())
}

fn is_statement(text: &str) -> bool {
    !text.starts_with('#') || text.starts_with("# administrator command: ")
}

/// Whether all of a line can be written.
fn is_known(line: &str, draft: &mut Draft<'_>) -> bool {
    if let Some(text) = line.strip_prefix("Time: ") {
        return time(text, draft).is_some();
    }
    line.starts_with("User@Host: ") || named_numbers(line).all(|(name, _)| name.ends_with(':'))
}

/// A time that is all of a text.
fn time(text: &str, draft: &mut Draft<'_>) -> Option<Timestamp> {
    let read = draft.clock.read_prefix(text.as_bytes()).or_else(|| draft.clock.read_short_year(text));
    read.filter(|(_, length)| *length == text.len()).map(|(moment, _)| moment)
}

/// `app[app] @ localhost [127.0.0.1]  Id:     8`.
fn user_and_host(text: &str, draft: &mut Draft<'_>) {
    let (user, host) = text.cut(" @ ").unwrap_or((text, ""));
    let (user, inside) = user.split_once('[').unwrap_or((user, ""));
    let keyword = |field| Meaning::Keyword(field);
    put(keyword(Field::UserName), "user", user.trim(), draft);
    if inside.trim_end_matches(']') != user {
        put(keyword(Field::UserName), "user", inside.trim_end_matches(']'), draft);
    }
    let (place, id) = host.cut("Id:").unwrap_or((host, ""));
    let (name, address) = place.split_once('[').unwrap_or((place, ""));
    let client = Meaning::Address(Field::SourceIp, Field::SourceAddress);
    put(client, "client", address.trim().trim_end_matches(']'), draft);
    put(client, "client", name.trim(), draft);
    put(Meaning::Long(Field::ProcessThreadId), "id", id.trim(), draft);
}

/// `Query_time: 2.000202  Lock_time: 0.000000 Rows_sent: 1`: names and values in turn; a value may be missing.
fn named_numbers(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut words = line.split_ascii_whitespace().peekable();
    std::iter::from_fn(move || {
        let name = words.next()?;
        Some((name, words.next_if(|word| !word.ends_with(':')).unwrap_or_default()))
    })
}

fn number(name: &str, value: &str, draft: &mut Draft<'_>) {
    match name.trim_end_matches(':') {
        "Query_time" => put(Meaning::Duration(Unit::Seconds), "Query_time", value, draft),
        "Id" | "Thread_id" => put(Meaning::Long(Field::ProcessThreadId), "id", value, draft),
        other => draft.attribute_text(other, value),
    }
}

/// Writes a value where it belongs; as an attribute where it does not fit.
fn put(meaning: Meaning, name: &str, value: &str, draft: &mut Draft<'_>) {
    if !value.is_empty() && !draft.assign(meaning, Value::Plain(value)) {
        draft.attribute_text(name, value);
    }
}
