//! The little of XML that events are written in: elements, attributes, text and entities, on one line.

use std::borrow::Cow;

use memchr::memchr;
use weir_record::schema::Field;

use super::super::cut::Cut;
use super::super::draft::{Draft, Value};
use super::super::keys::Meaning;
use super::{audit, level_of};

/// Elements in each other: an event has four, data of its own perhaps some more.
const DEPTH_MAX: usize = 16;

/// Fills `draft` from an event. None where the line is none, or is cut.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let line = record.trim_end();
    (line.starts_with("<Event ") || line.starts_with("<Event>")).then_some(())?;
    let mut reader = Reader { rest: line, path: Vec::new(), data_name: None, data: 0 };
    while !reader.rest.is_empty() {
        reader.step(draft)?;
        if draft.writer.is_full() {
            return None;
        }
    }
    reader.path.is_empty().then_some(())?;
    // Every event has them.
    (draft.writer.has(Field::LogLogger)).then_some(())?;
    if !draft.writer.has(Field::Message) {
        draft.writer.string(Field::Message, record);
    }
    Some(())
}

struct Reader<'l> {
    rest: &'l str,
    path: Vec<&'l str>,
    /// What the open `Data` is called.
    data_name: Option<Cow<'l, str>>,
    /// How many had no name.
    data: usize,
}

impl<'l> Reader<'l> {
    /// Passes over a tag and the text behind it.
    fn step(&mut self, draft: &mut Draft<'_>) -> Option<()> {
        let (tag, after) = self.rest.strip_prefix('<')?.split_once('>')?;
        let end = memchr(b'<', after.as_bytes()).unwrap_or(after.len());
        let (text, rest) = after.split_at(end);
        self.rest = rest;
        if let Some(name) = tag.strip_prefix('/') {
            let text_is_blank = text.trim().is_empty();
            return (self.path.pop()? == name && text_is_blank).then_some(());
        }
        let (tag, is_closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.cut_word().unwrap_or((tag, ""));
        (self.path.len() < DEPTH_MAX && !name.is_empty()).then_some(())?;
        self.path.push(name);
        self.attributes(attributes, draft)?;
        if is_closed {
            self.path.pop();
            return text.trim().is_empty().then_some(());
        }
        if !text.trim().is_empty() {
            self.text(&unescape(text), draft);
        }
        Some(())
    }

    fn attributes(&mut self, text: &'l str, draft: &mut Draft<'_>) -> Option<()> {
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (name, value) = rest.split_once('=')?;
            let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let (value, after) = value[1..].split_once(quote)?;
            rest = after.trim_start();
            if !name.starts_with("xmlns") {
                self.attribute(name.trim(), unescape(value), draft);
            }
        }
        Some(())
    }

    fn attribute(&mut self, name: &str, value: Cow<'l, str>, draft: &mut Draft<'_>) {
        let element = self.path.last().copied().unwrap_or_default();
        let meaning = match (element, name) {
            ("Data", "Name") => {
                self.data_name = Some(value);
                return;
            }
            ("Provider", "Name") => Some(Meaning::Keyword(Field::LogLogger)),
            ("TimeCreated", "SystemTime") => Some(Meaning::Time),
            ("Execution", "ProcessID") => Some(Meaning::Long(Field::ProcessPid)),
            ("Execution", "ThreadID") => Some(Meaning::Long(Field::ProcessThreadId)),
            ("Security", "UserID") => Some(Meaning::Identifier(Field::UserId)),
            _ => None,
        };
        if value.is_empty() || meaning.is_some_and(|meaning| draft.assign(meaning, Value::Plain(&value))) {
            return;
        }
        draft.attribute_text(&[element, name].join("."), &value);
    }

    fn text(&mut self, text: &str, draft: &mut Draft<'_>) {
        let (parent, element) = match self.path.as_slice() {
            [.., parent, element] => (*parent, *element),
            _ => return,
        };
        let name = match (parent, element) {
            ("RenderingInfo", "Message") => {
                draft.writer.string(Field::Message, text);
                return;
            }
            ("System" | "RenderingInfo", "Level") => {
                if let Some(level) = level_of(text) {
                    draft.writer.level(level);
                }
                if parent == "System" { "level" } else { "event_type" }
            }
            ("System", "Keywords") => {
                audit(text, draft);
                "keywords"
            }
            ("Keywords", "Keyword") => "keywords_name",
            ("System", "EventID") => "event_id",
            ("System", "EventRecordID") => "record",
            ("System", "Channel") => "channel",
            ("System", "Computer") => "computer",
            ("System", "Task") => "task",
            ("RenderingInfo", "Task") => "category",
            ("System", "Opcode") => "opcode",
            ("RenderingInfo", "Opcode") => "opcode_name",
            ("System", "Version") => "version",
            ("EventData", "Data") => {
                let name = self.data_name.take().unwrap_or_else(|| {
                    self.data += 1;
                    Cow::Owned(format!("param{}", self.data))
                });
                return draft.attribute_text(&["event_data", &*name].join("."), text);
            }
            // The same as in the system's part, in words.
            ("RenderingInfo", "Channel" | "Provider") => {
                return draft.attribute_text(&["rendering", element].join("."), text);
            }
            _ => return draft.attribute_text(&[parent, element].join("."), text),
        };
        draft.attribute_text(name, text);
    }
}

/// Undoes entities; what is none stays.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr(b'&', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((char, length)) => {
                out.push(char);
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of `&lt;`, `&#13;` or `&#x0A;` at the start, and the length of it.
fn entity(text: &str) -> Option<(char, usize)> {
    const LENGTH_MAX: usize = 10;
    let end = text.bytes().take(LENGTH_MAX).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let char = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((char, end + 1))
}
