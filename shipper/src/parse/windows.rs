//! Events of Windows in files: as `wevtutil qe /f:text` and PowerShell's `Format-List` show them, over several lines, and
//! as XML, an event a line.
//!
//! ```text
//! Event[0]                                       TimeCreated  : 11/20/2026 9:39:19 PM
//!   Log Name: System                             ProviderName : Service Control Manager
//!   Source: Service Control Manager              Id           : 7036
//!   Date: 2026-11-20T21:39:19.0000000Z           Message      : The Windows Update service entered
//!   ...                                                         the running state.
//!   Description:
//! The Windows Update service entered the running state.
//!
//! <Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>...</System>...</Event>
//! ```
//! <https://learn.microsoft.com/windows/win32/wes/eventschema-schema>

mod xml;

use memchr::memchr;
use weir_record::Level;
use weir_record::schema::Field;

use super::cut::Cut;
use super::draft::{Draft, Value};
use super::keys::Meaning;

/// Fills `draft` from an event. None where the record is none: the draft has to be reset then.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    match record.as_bytes().first()? {
        b'<' => xml::parse(record, draft)?,
        b'E' => listed_by_wevtutil(record, draft)?,
        _ => listed_by_powershell(record, draft)?,
    }
    (!draft.writer.is_full()).then_some(())
}

/// How far an event that a tool lists has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Among the properties of wevtutil.
    Properties,
    /// In wevtutil's description, which stands at the margin and may hold anything.
    Description,
    /// In PowerShell's list.
    Padded,
}

impl List {
    /// Reads a first line.
    pub(super) fn begin(line: &[u8]) -> Option<List> {
        begins_list(line).then(|| if line[0] == b'E' { List::Properties } else { List::Padded })
    }

    /// Reads one more line; none where it is of another event.
    pub(super) fn next(self, line: &[u8]) -> Option<List> {
        if begins_list(line) {
            return None;
        }
        match self {
            List::Properties if line.starts_with(b"  Description:") => Some(List::Description),
            List::Properties => line.starts_with(b"  ").then_some(List::Properties),
            List::Description => Some(List::Description),
            List::Padded => {
                let is_own = line.is_empty()
                    || line.starts_with(b"   ")
                    || std::str::from_utf8(line).is_ok_and(|line| split_padded(line).is_some());
                is_own.then_some(List::Padded)
            }
        }
    }
}

/// Whether a line is the first of an event that goes on in the next ones.
pub(super) fn begins_list(line: &[u8]) -> bool {
    match line.first() {
        Some(b'E') => is_event_number(line),
        // Among all properties it stands behind the others.
        Some(b'T') => line.strip_prefix(b"TimeCreated").is_some_and(is_padded_value) && !is_of_all(line),
        // All properties of `Get-WinEvent`, or those of `Get-EventLog`: their longest name tells them from others.
        Some(b'M') => line.starts_with(b"Message") && is_of_all(line),
        Some(b'I') => line.starts_with(b"Index              : "),
        _ => false,
    }
}

/// `Event[17]` or `Event[17]:`.
fn is_event_number(line: &[u8]) -> bool {
    let digits = line.strip_prefix(b"Event[").and_then(|rest| {
        let rest = rest.strip_suffix(b":").unwrap_or(rest);
        rest.strip_suffix(b"]")
    });
    digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// Whether a line is of a list of all properties, by the place of its colon.
fn is_of_all(line: &[u8]) -> bool {
    const COLON_AT: usize = 21;
    memchr(b':', line) == Some(COLON_AT) && line[..COLON_AT].ends_with(b" ")
}

/// Blanks, a colon, a blank.
fn is_padded_value(rest: &[u8]) -> bool {
    rest.first() == Some(&b' ') && rest.trim_ascii_start().starts_with(b": ")
}

fn listed_by_wevtutil(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (first, mut rest) = record.split_once('\n')?;
    is_event_number(first.trim_end().as_bytes()).then_some(())?;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let (key, value) = line.trim_end().strip_prefix("  ")?.split_once(':')?;
        // Names stand behind two blanks: what is further in is none.
        (!key.starts_with(' ')).then_some(())?;
        if key == "Description" {
            let text = &rest[line.len() - line.cut(":")?.1.len()..];
            draft.writer.string(Field::Message, text.trim());
            return Some(());
        }
        member(key, value.trim(), draft);
        rest = after;
    }
    None
}

fn listed_by_powershell(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    begins_list(record.lines().next()?.as_bytes()).then_some(())?;
    let mut open: Option<(&str, String)> = None;
    let mut width = None;
    for line in record.lines().map(str::trim_end) {
        let member_here = split_padded(line).filter(|(_, at, _)| width.is_none_or(|width| width == *at));
        match (member_here, &mut open) {
            (Some((key, at, value)), _) => {
                width = Some(at);
                if let Some((key, value)) = open.replace((key, value.to_owned())) {
                    member(key, &value, draft);
                }
            }
            // The further lines of a value stand under its first.
            (None, Some((_, value))) if line.is_empty() || line.starts_with("   ") => {
                value.push('\n');
                let indent = (width? + 2).min(line.len() - line.trim_start().len());
                value.push_str(&line[indent..]);
            }
            _ => return None,
        }
    }
    let (key, value) = open?;
    member(key, &value, draft);
    // Those that are shown when nothing else is asked for.
    let is_event = draft.writer.has(Field::LogLogger) && draft.writer.has(Field::Message);
    is_event.then_some(())
}

/// `ProviderName : x`: the name, where the colon stands, the value.
fn split_padded(line: &str) -> Option<(&str, usize, &str)> {
    let at = memchr(b':', line.as_bytes())?;
    let key = line[..at].strip_suffix(' ')?.trim_end_matches(' ');
    let is_name = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let value = &line[at + 1..];
    is_name.then_some((key, at, value.strip_prefix(' ').unwrap_or(value)))
}

/// Writes a property where it belongs: both tools have their own names.
fn member(key: &str, value: &str, draft: &mut Draft<'_>) {
    let value = value.trim_end();
    if matches!(value, "" | "N/A") || draft.writer.is_full() {
        return;
    }
    let meaning = match key {
        "Date" | "TimeCreated" | "TimeGenerated" => Meaning::Time,
        "Source" | "ProviderName" => Meaning::Keyword(Field::LogLogger),
        "Message" => Meaning::Message,
        "User" | "UserId" => Meaning::Identifier(Field::UserId),
        "User Name" | "UserName" => Meaning::Keyword(Field::UserName),
        "ProcessId" => Meaning::Long(Field::ProcessPid),
        "ThreadId" => Meaning::Long(Field::ProcessThreadId),
        _ => return attribute(key, value, draft),
    };
    if !draft.assign(meaning, Value::Plain(value)) {
        attribute(key, value, draft);
    }
}

fn attribute(key: &str, value: &str, draft: &mut Draft<'_>) {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let name = match key {
        "Log Name" | "LogName" => "channel",
        "Event ID" | "Id" | "EventID" => "event_id",
        "RecordId" | "Index" => "record",
        "Computer" | "MachineName" => "computer",
        "Task" | "Level" | "Opcode" | "Category" if is_number => {
            if let Some(level) = level_of(value).filter(|_| key == "Level") {
                draft.writer.level(level);
            }
            return draft.attribute_text(&key.to_ascii_lowercase(), value);
        }
        "Task" | "TaskDisplayName" | "Category" => "category",
        "Keyword" | "KeywordsDisplayNames" => {
            audit(value, draft);
            "keywords"
        }
        "Opcode" | "OpcodeDisplayName" => "opcode_name",
        "Level" | "LevelDisplayName" | "EntryType" => {
            if let Some(level) = level_of(value) {
                draft.writer.level(level);
            }
            audit(value, draft);
            "event_type"
        }
        _ => return draft.attribute_text(&key.replace(' ', "_"), value),
    };
    draft.attribute_text(name, value);
}

/// A level by its number or its name.
fn level_of(value: &str) -> Option<Level> {
    match value {
        // Events of auditing have none.
        "0" => Some(Level::Info),
        "1" => Some(Level::Critical),
        "2" => Some(Level::Error),
        "3" => Some(Level::Warning),
        "4" => Some(Level::Info),
        "5" => Some(Level::Trace),
        name if name.len() > 1 => Level::from_name(name.as_bytes()),
        _ => None,
    }
}

/// What an audit found.
fn audit(text: &str, draft: &mut Draft<'_>) {
    const SUCCESS: [&str; 3] = ["Audit Success", "SuccessAudit", "0x8020000000000000"];
    const FAILURE: [&str; 3] = ["Audit Failure", "FailureAudit", "0x8010000000000000"];
    if SUCCESS.iter().any(|name| text.contains(name)) {
        draft.writer.string(Field::EventOutcome, "success");
    } else if FAILURE.iter().any(|name| text.contains(name)) {
        draft.writer.string(Field::EventOutcome, "failure");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed};

    #[test]
    fn a_property_whose_place_was_damaged_leaves_the_event_whole() {
        let event = |task: &str| format!("Event[0]\n  Source: Till\n{task}: Sale\n  Description: \nA sale.");
        check(
            Format::Auto,
            &event("  Task"),
            r#"{"@timestamp":"READ","log.logger":"Till","attributes.category":"Sale","message":"A sale."}"#,
        );
        check_unparsed(Format::Auto, &event("   Task"));
        check_unparsed(Format::Auto, &event(" Task"));
    }
}
