//! JSON lines: one pass validates the line and writes the document. Known keys become schema fields, the bytes of all
//! others are copied under `attributes`; there is no tree of values.

pub(super) mod otlp;
pub(super) mod scan;
mod template;
mod zap;

use weir_record::Level;
use weir_record::document::AttributeKey;
use weir_record::json::push_string;
use weir_record::limits::DEPTH_MAX;
use weir_record::scan::Specials;
use weir_record::schema::Field;

use super::draft::{Draft, Value};
use super::keys::{self, Known, Meaning, Places};
pub(super) use scan::unescape;
use scan::{Cursor, Member, Passed, Text};

/// What the parser reuses from line to line.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    path: String,
    keys: Vec<u64>,
    specials: Specials,
    places: Places,
}

/// Fills `draft` from `line`. False where the line is no JSON object, or over a limit: the draft has to be reset then.
pub(super) fn parse(line: &str, draft: &mut Draft<'_>, scratch: &mut Scratch) -> bool {
    if let Some(line) = zap::written_out(line) {
        return parse(&line, draft, scratch);
    }
    let Scratch { path, keys, specials, places } = scratch;
    specials.read(line.as_bytes());
    let mut object = Object::new(Cursor::seen(line, specials), draft, path, keys, places);
    if object.fill().is_none() {
        return false;
    }
    if object.cursor.has_newline {
        // Newlines between tokens would be copied into the document, which has to stay on one line.
        draft.reset();
        let joined = line.replace('\n', " ");
        let mut object = Object::new(Cursor::new(&joined), draft, path, keys, places);
        return object.fill().is_some();
    }
    true
}

/// A member whose place is known only when the whole line has been read.
struct Weak<'l> {
    meaning: Meaning,
    key: &'l [u8],
    member: &'l [u8],
    value: Value<'l>,
}

/// One line on its way into a document.
struct Object<'l, 'a, 'd> {
    cursor: Cursor<'l>,
    draft: &'a mut Draft<'d>,
    /// The keys of the opened objects around, each with a dot.
    path: &'a mut String,
    keys: &'a mut Vec<u64>,
    places: &'a mut Places,
    weak: [Option<Weak<'l>>; WEAK_MAX],
    has_weak: bool,
}

/// A message, a logger, a duration, a level.
const WEAK_MAX: usize = 4;

impl<'l, 'a, 'd> Object<'l, 'a, 'd> {
    fn new(
        cursor: Cursor<'l>,
        draft: &'a mut Draft<'d>,
        path: &'a mut String,
        keys: &'a mut Vec<u64>,
        places: &'a mut Places,
    ) -> Object<'l, 'a, 'd> {
        path.clear();
        keys.clear();
        places.begin();
        Object { cursor, draft, path, keys, places, weak: [const { None }; WEAK_MAX], has_weak: false }
    }

    fn fill(&mut self) -> Option<()> {
        self.cursor.blanks();
        let start = self.cursor.position();
        self.cursor.expect(b'{')?;
        self.members(1)?;
        let end = self.cursor.position();
        self.cursor.is_at_end().then_some(())?;
        if self.has_weak {
            self.place_weak_members();
        }
        // Serilog leaves out the level of most lines.
        if !self.draft.writer.has(Field::LogLevel) && self.cursor.between(start, end).starts_with("{\"@t\":")
        {
            self.draft.writer.level(Level::Info);
        }
        if !self.draft.writer.has(Field::Message) {
            let line = self.cursor.between(start, end);
            self.draft.writer.string(Field::Message, line);
        }
        Some(())
    }

    /// Passes over an object's members, from behind its opening brace to behind its closing one.
    fn members(&mut self, depth: usize) -> Option<()> {
        let mut cursor = self.cursor;
        cursor.blanks();
        let mut is_open = cursor.expect(b'}').is_none();
        while is_open {
            if depth == 1
                && let Some((member, known)) = self.usual_member(&mut cursor)
            {
                self.top_member(member, known, &cursor);
            } else {
                self.cursor = cursor;
                self.other_member(depth)?;
                cursor = self.cursor;
            }
            is_open = cursor.expect(b',').is_some() || cursor.has_another();
            if !is_open {
                cursor.expect(b'}')?;
            }
        }
        self.cursor = cursor;
        Some(())
    }

    /// Passes over a member of the line itself, if it is written in the usual way.
    #[inline(always)]
    fn usual_member(&mut self, cursor: &mut Cursor<'l>) -> Option<(Member<'l>, Known)> {
        if let Some((lead, known)) = self.places.expected()
            && let Some(member) = cursor.expected_member(lead)
        {
            self.places.skip();
            return Some((member, known));
        }
        let member = cursor.usual_member()?;
        Some((member, self.places.next(member.key)))
    }

    /// A member that is not of the line itself, or not written in the usual way.
    fn other_member(&mut self, depth: usize) -> Option<()> {
        self.cursor.blanks();
        let start = self.cursor.position() + 1;
        let key = self.cursor.key()?;
        if depth > 1 || key.escaped || self.cursor.is_known_object(key.inside.as_bytes()) {
            return self.nested_member(key, depth);
        }
        let value_start = self.cursor.position();
        let passed = self.cursor.value(1, self.keys)?;
        let (cursor, known) = (self.cursor, self.places.next(key.inside.as_bytes()));
        self.top_member(Member { key: key.inside.as_bytes(), start, value_start, passed }, known, &cursor);
        Some(())
    }

    /// A member of the line itself that is not opened.
    #[inline(always)]
    fn top_member(&mut self, member: Member<'l>, known: Known, cursor: &Cursor<'l>) {
        let Member { key, start, value_start, passed } = member;
        let end = cursor.position();
        let member = cursor.bytes_between(start, end);
        let Known { meaning, attribute } = known;
        let placed = match meaning {
            None => false,
            Some(meaning) => {
                let value = passed.value(cursor.whole(), value_start, end);
                match is_special(meaning) {
                    true => self.place(Weak { meaning, key, member, value }, passed),
                    false => self.draft.assign(meaning, value),
                }
            }
        };
        let is_usable = passed.is_usable();
        let is_written = placed || is_usable && self.draft.writer.attribute_member(attribute, member);
        if !is_written {
            self.mended_attribute(key, member, is_usable);
        }
    }

    /// Writes a member of a special meaning where that puts it, or keeps it for the end. False, and nothing written, where
    /// it is an attribute.
    fn place(&mut self, member: Weak<'l>, passed: Passed) -> bool {
        let (meaning, value) = (member.meaning, member.value);
        match meaning {
            Meaning::KeyValues => passed.is_usable() && self.key_values(value),
            // Its apps are parts of one service.
            Meaning::Service if self.is_of_nextcloud() => {
                self.draft.assign(Meaning::Keyword(Field::LogLogger), value)
            }
            // A protocol.
            Meaning::Service if self.is_of_zeek() => false,
            _ if is_weak(meaning, value) => self.put_off(member) || self.draft.assign(meaning, value),
            _ => self.draft.assign(meaning, value),
        }
    }

    /// A member of an opened object, or one whose key has escapes.
    fn nested_member(&mut self, key: Text<'l>, depth: usize) -> Option<()> {
        let outer = self.path.len();
        unescape(key.inside, self.path);
        if self.cursor.is_known_object(self.path.as_bytes()) {
            self.opened(depth)?;
        } else {
            let start = self.cursor.position();
            let passed = self.cursor.value(depth, self.keys)?;
            let json = self.cursor.between(start, self.cursor.position());
            let placed = match keys::lookup(self.path.as_bytes()) {
                None => false,
                Some(Meaning::KeyValues) => passed.is_usable() && self.key_values(Value::Other(json)),
                Some(meaning) => self.draft.assign(meaning, passed.value(json, 0, json.len())),
            };
            if !placed {
                push_value(self.draft.writer.attribute(self.path), json, passed.is_usable());
            }
        }
        self.path.truncate(outer);
        Some(())
    }

    /// The members of the object at the cursor, whose path has just been set; the caller resets it.
    fn opened(&mut self, depth: usize) -> Option<()> {
        (depth < DEPTH_MAX).then_some(())?;
        self.path.push('.');
        self.cursor.expect(b'{')?;
        self.members(depth + 1)
    }

    /// Keeps the first weak member of its meaning for the end; false where there is one.
    fn put_off(&mut self, weak: Weak<'l>) -> bool {
        let place = &mut self.weak[match weak.meaning {
            Meaning::WeakMessage => 0,
            Meaning::WeakLogger => 1,
            Meaning::WeakDuration => 2,
            _ => 3,
        }];
        let is_first = place.is_none();
        if is_first {
            *place = Some(weak);
            self.has_weak = true;
        }
        is_first
    }

    fn place_weak_members(&mut self) {
        for weak in std::mem::take(&mut self.weak).into_iter().flatten() {
            let (hints, value) = (self.draft.hints, weak.value);
            let placed = match weak.meaning {
                Meaning::WeakMessage if weak.key == b"@mt" || weak.key == b"MessageTemplate" => {
                    self.render(weak.value);
                    false
                }
                Meaning::WeakLogger => self.names_its_logger() && self.draft.assign(weak.meaning, value),
                Meaning::WeakDuration => {
                    hints.duration.is_some_and(|unit| self.draft.assign(Meaning::Duration(unit), value))
                }
                Meaning::Level if self.is_of_nextcloud() => self.nextcloud_level(value),
                Meaning::Level => hints.has_syslog_level && self.draft.syslog_level(value),
                meaning => self.draft.assign(meaning, value),
            };
            if !placed {
                let attribute = AttributeKey::new(weak.key);
                if !self.draft.writer.attribute_member(attribute, weak.member) {
                    self.mended_attribute(weak.key, weak.member, true);
                }
            }
        }
    }

    /// Writes the message that a template of Serilog makes with the line's own values.
    fn render(&mut self, template: Value<'_>) {
        if let Value::Clean(text) | Value::Escaped(text) = template
            && !self.draft.writer.has(Field::Message)
        {
            let line = self.cursor.between(0, self.cursor.position());
            self.draft.writer.escaped(Field::Message, template::render(text, line).as_bytes());
        }
    }

    /// The attributes of an OpenTelemetry record: a list of keys and typed values, as the protocol has them, or an object,
    /// as the SDKs write it. False, and nothing written, where it is neither.
    fn key_values(&mut self, value: Value<'l>) -> bool {
        let Value::Other(json) = value else { return false };
        if json.starts_with('{') && self.is_of_open_telemetry() {
            return self.plain_key_values(json).is_some();
        }
        let is_list = json.starts_with("[{\"key\":") && template::key_values(json).all(|pair| pair.is_some());
        if is_list {
            template::key_values(json).flatten().for_each(|(key, value)| self.key_value(key, value));
        }
        is_list
    }

    /// The members of an object that was read before.
    fn plain_key_values(&mut self, object: &'l str) -> Option<()> {
        let mut cursor = Cursor::new(object);
        cursor.expect(b'{')?;
        cursor.blanks();
        while cursor.peek()? == b'"' {
            let (key, member) = cursor.member(self.keys)?;
            let mut name = String::new();
            unescape(key.inside, &mut name);
            self.key_value(&name, member.passed.value(object, member.value_start, cursor.position()));
            if cursor.has_another() {
                cursor.blanks();
            }
        }
        cursor.expect(b'}')
    }

    fn key_value(&mut self, key: &str, value: Value<'l>) {
        let placed = match keys::lookup(key.as_bytes()) {
            Some(Meaning::WeakMessage | Meaning::WeakLogger | Meaning::WeakDuration) | None => false,
            Some(meaning) => self.draft.assign(meaning, value),
        };
        if placed {
            return;
        }
        let out = self.draft.writer.attribute(key);
        match value {
            Value::Clean(text) | Value::Escaped(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Value::Number(json) | Value::Other(json) | Value::Plain(json) => {
                out.extend_from_slice(json.as_bytes());
            }
        }
    }

    /// Whether the line begins as Nextcloud's and ownCloud's do.
    fn is_of_nextcloud(&self) -> bool {
        self.cursor.whole().trim_ascii_start().starts_with("{\"reqId\":\"")
    }

    /// Whether the line begins as Zeek's do.
    fn is_of_zeek(&self) -> bool {
        let head = self.cursor.whole().trim_ascii_start().strip_prefix("{\"ts\":");
        let second = head.and_then(|head| head.split(',').nth(1)).unwrap_or_default();
        second.starts_with("\"uid\":\"C")
    }

    /// Writes the level of a line of Nextcloud's, which has numbers of its own.
    fn nextcloud_level(&mut self, value: Value<'_>) -> bool {
        const LEVELS: [Level; 5] = [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Fatal];
        let Value::Number(digits) = value else { return false };
        let level = digits.parse().ok().and_then(|number: usize| LEVELS.get(number));
        level.is_some_and(|level| self.draft.writer.level(*level))
    }

    /// Whether the line has the key that all exporters of OpenTelemetry write, and hardly anybody else.
    fn is_of_open_telemetry(&self) -> bool {
        let line = self.cursor.whole();
        ["\"severity_number\"", "\"severityNumber\"", "\"SeverityNumber\""]
            .iter()
            .any(|key| line.contains(key))
    }

    /// Whether the line's other keys are those of a logger that calls the logger's name `name`: bunyan's and pino's,
    /// or Python's.
    fn names_its_logger(&self) -> bool {
        let line = self.cursor.between(0, self.cursor.position());
        self.draft.writer.has(Field::ProcessPid)
            || ["\"levelname\"", "\"asctime\""].iter().any(|key| line.contains(key))
    }

    /// Writes a member of the line (`key":value`) as an attribute where its bytes cannot stand as they are.
    #[cold]
    fn mended_attribute(&mut self, key: &[u8], member: &[u8], is_usable: bool) {
        let member = String::from_utf8_lossy(member);
        if let Some((key, rest)) = member.split_at_checked(key.len())
            && let Some((_, json)) = rest.split_once(':')
        {
            push_value(self.draft.writer.attribute(key), json.trim_ascii_start(), is_usable);
        }
    }
}

/// Whether a member of this meaning may be weak, or is no value of a field.
const fn is_special(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::WeakMessage
            | Meaning::WeakLogger
            | Meaning::WeakDuration
            | Meaning::SeverityNumber
            | Meaning::Level
            | Meaning::KeyValues
            | Meaning::Service
    )
}

/// Whether a value's place is known only at the line's end.
fn is_weak(meaning: Meaning, value: Value<'_>) -> bool {
    let is_number = matches!(value, Value::Number(_));
    match meaning {
        Meaning::WeakMessage | Meaning::WeakLogger => !is_number && !matches!(value, Value::Other(_)),
        Meaning::WeakDuration | Meaning::SeverityNumber => is_number,
        // GELF's, which are those of syslog: one digit.
        Meaning::Level => matches!(value, Value::Number(digits) if digits.len() == 1),
        _ => false,
    }
}

/// Appends a value as it stands; one that an index would refuse (a key twice, an empty key) as text.
fn push_value(out: &mut Vec<u8>, json: &str, is_usable: bool) {
    match is_usable {
        true => out.extend_from_slice(json.as_bytes()),
        false => push_string(out, json),
    }
}

#[cfg(test)]
mod tests;
