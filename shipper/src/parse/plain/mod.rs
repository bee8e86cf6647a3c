//! Plain lines: a time stamp at or near the start, a level, and where the usual Java patterns make them certain the
//! thread, the logger, the process and the trace.
//!
//! `message` is what follows the header when the header stands at the very start of the line; else the whole line. A
//! stack trace goes to `error.stack_trace`.

mod header;

use weir_record::schema::Field;

use super::draft::Draft;
use super::trace;
use header::Header;

pub(super) use header::level_at_start;

/// How far behind the start of a line a time stamp is looked for, in bytes.
const TIME_OFFSET_MAX: usize = 64;

/// Fills `draft` from `record`, which may have several lines. False where nothing in it was recognised: all of it is
/// in `message`.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> bool {
    let header = Header::read(record, draft.clock);
    let text = &record[header.message_start..];
    let stack_trace = trace::find(text);
    let message = match &stack_trace {
        Some(trace) if trace.start > 0 => text[..trace.start].trim_end_matches(['\n', '\r']),
        Some(_) => text.lines().next().unwrap_or_default(),
        None => text,
    };
    let is_recognised = !header.is_empty() || stack_trace.is_some();
    header.write(draft);
    draft.writer.string(Field::Message, message);
    if let Some(trace) = stack_trace {
        trace.write(text, draft);
    }
    is_recognised | later_parts(record, draft)
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
        && let Some(level) = level_at_start(record)
    {
        found |= draft.writer.level(level);
    }
    found
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
