//! Text lines: the formats of programs that are written as nobody else writes them, and for all others a time stamp at
//! or near the start, a level, and where the usual patterns make them certain the thread, the logger, the process and
//! the trace.
//!
//! `message` is what follows the header when the header stands at the very start of the line; else the whole line. A
//! stack trace goes to `error.stack_trace`.

mod columns;
mod csvlog;
mod daemons;
mod dialect;
mod header;
mod jvm;
mod layouts;
mod objects;
mod pairs;
mod parts;
mod reader;
mod sidekiq;
mod slow_query;
mod stamped;
mod times;
mod vmware;
mod web;
mod words;

use weir_record::scan::find;
use weir_record::schema::Field;

use super::cut::Cut;
use super::draft::Draft;
use super::format::Format;
use super::{trace, windows};
use header::Header;

pub(super) use csvlog::{begins as begins_csvlog, is_open_behind};
pub(super) use parts::level_at_start;

/// How far behind the start of a line a time stamp is looked for, in bytes.
const TIME_OFFSET_MAX: usize = 64;

/// So many pairs make a line a regular one, also where it has neither a time nor a level.
const PAIRS_MIN: usize = 2;

/// Fills `draft` from `record`, which may have several lines. Returns whose format it is, `plain` where it is of no
/// program that is known. None where nothing in it was recognised: all of it is in `message`.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<Format> {
    let first = first_line(record);
    if let Some(format) = known(record, first, draft) {
        return Some(format);
    }
    let mut header = Header::default();
    match dialect::java_util(record, first, draft.clock) {
        Some(read) => header = read,
        None => header.read(first, draft.clock),
    }
    let is_recognised = !header.is_empty();
    let has_trace = write(record, first, &header, draft);
    // Beside the message, nothing but pairs can have been written for a header in which nothing was recognised.
    let has_pairs = draft.writer.members() > PAIRS_MIN;
    (is_recognised | has_trace | later_parts(record, draft) | has_pairs).then_some(Format::Plain)
}

/// As [`parse`], but only the lines of programs that are known; nothing is written where it is none.
pub(super) fn parse_known(record: &str, draft: &mut Draft<'_>) -> Option<Format> {
    known(record, first_line(record), draft)
}

fn known(record: &str, first: &str, draft: &mut Draft<'_>) -> Option<Format> {
    if record.starts_with("# ") {
        return slow_query::parse(record, draft).map(|()| Format::Mysql);
    }
    if let Some(format) = web::parse(record, draft) {
        return Some(format);
    }
    let is_event = record.starts_with("<Event") || windows::begins_list(first.as_bytes());
    if is_event && windows::parse(record, draft).is_some() {
        return Some(Format::Plain);
    }
    if is_event {
        draft.reset();
    }
    let Some((format, header)) = dialect::read(first, draft.clock) else {
        if csvlog::parse(record, draft).is_some() {
            return Some(Format::Postgresql);
        }
        return slow_query::parse_head(first, record, draft).map(|()| Format::Mysql);
    };
    write(record, first, &header, draft);
    let message = &record[header.message_start..];
    match format {
        Format::Ruby if sidekiq::lift(&first[..header.message_start], draft).is_some() => {}
        Format::Ruby => drop(web::rails(without_tags(message), draft)),
        Format::Python => drop(web::uvicorn(message, draft)),
        Format::Openstack => drop(web::eventlet(message, draft)),
        _ => {}
    }
    Some(format)
}

/// A message without the tags in brackets that Rails writes before it: a request's, a job's.
fn without_tags(message: &str) -> &str {
    let mut rest = message;
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        rest = after;
    }
    rest
}

fn first_line(record: &str) -> &str {
    &record[..find(b'\n', record.as_bytes()).unwrap_or(record.len())]
}

/// Writes the header, the message and the stack trace behind it, if there is one.
fn write(record: &str, first: &str, header: &Header<'_>, draft: &mut Draft<'_>) -> bool {
    let has_one_line = first.len() == record.len();
    let mut text = &record[header.message_start..];
    if text.starts_with('\n') {
        // The header has a line of its own.
        text = text.trim_start();
    }
    let stack_trace = if has_one_line { None } else { trace::find(text) };
    let message = match &stack_trace {
        Some(trace) if trace.start > 0 => text[..trace.start].trim_end_matches(['\n', '\r']),
        Some(_) => first_line(text),
        None if has_one_line => text,
        // A report may end with blank lines.
        None => text.trim_end_matches(['\n', '\r']),
    };
    header.write(draft);
    // What a program writes behind its message stands at the end of the first line.
    let is_one_line = has_one_line || !message.has(b'\n');
    draft.writer.string(Field::Message, header.message.as_deref().filter(|_| is_one_line).unwrap_or(message));
    if !header.objects.is_empty() {
        objects::lift(header.objects, draft);
    }
    if header.lifts_pairs {
        pairs::lift(message, draft);
    }
    match &stack_trace {
        Some(trace) => trace.write(text, draft),
        None => return false,
    }
    true
}

/// A time and a level that do not stand at the start: the line stays whole.
fn later_parts(record: &str, draft: &mut Draft<'_>) -> bool {
    let mut found = false;
    if !draft.writer.has(Field::Timestamp)
        && let Some(moment) = later_time(record, draft)
    {
        found |= draft.time(moment);
    }
    if !draft.writer.has(Field::LogLevel)
        && let Some(level) = level_at_start(record).or_else(|| level_behind_name(record))
    {
        found |= draft.writer.level(level);
    }
    found
}

/// The level of `nginx: [emerg] bind() to 0.0.0.0:80 failed`, which a program writes before its log is open.
fn level_behind_name(record: &str) -> Option<weir_record::Level> {
    let (name, rest) = record.split_once(": [")?;
    let (level, _) = rest.split_once("] ").filter(|_| parts::is_logger(name))?;
    weir_record::Level::from_name(level.as_bytes()).filter(|_| level.len() > 2)
}

/// A time stamp with its date and year, at a word's start near the start of the line.
fn later_time(record: &str, draft: &mut Draft<'_>) -> Option<weir_record::Timestamp> {
    let bytes = record.as_bytes();
    let head = &bytes[..bytes.len().min(TIME_OFFSET_MAX)];
    head.windows(2).enumerate().find_map(|(at, pair)| {
        let starts_word =
            matches!(pair[0], b' ' | b'[' | b'(' | b'<' | b'|' | b'\t') && pair[1].is_ascii_digit();
        if !starts_word {
            return None;
        }
        draft.clock.read_prefix(&bytes[at + 1..]).map(|(moment, _)| moment)
    })
}

#[cfg(test)]
mod tests;
