//! Shaping: a few orthogonal steps on a parsed record, in the order of the configuration, each under a condition in
//! the query language if it has one. What needs more is for an ingest pipeline of Elasticsearch (`pipeline`).

mod document;
mod limit;

use serde_json::Value;
use weir_record::query::FieldPath;
use weir_record::schema::Origin;
use weir_record::time::Timestamp;
use weir_record::{Field, Query};

pub use self::document::Type;
use self::document::{Document, as_text, convert, fit};
use self::limit::{Pass, Windows, sample};
use crate::parse::{Multiline, Parser, ParserSettings, Preset};

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Only records that match; none: all.
    pub when: Option<Query>,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Fields that no name or `prefix.*` names go, but for `@timestamp` and `message`.
    Keep(Vec<String>),
    /// These fields go: names, or `prefix.*`.
    Remove(Vec<String>),
    /// A field gets another name; what does not fit there stays where it is.
    Rename(FieldPath, FieldPath),
    /// As renaming, and the old one stays.
    Copy(FieldPath, FieldPath),
    /// A field is set.
    Set(FieldPath, Template),
    /// A field becomes another type; what cannot, stays as it is.
    Convert(FieldPath, Type),
    /// Text in lower case.
    Lower(FieldPath),
    /// Text in upper case.
    Upper(FieldPath),
    /// Text becomes a list.
    Split(FieldPath, String),
    /// A field's text is parsed as if it were a line. What is found is taken over, and the field goes; what is not
    /// understood stays as it is, and so does the message where the text has none of its own.
    Parse(FieldPath, Box<ParserSettings>),
    /// The record goes to the data stream of another dataset.
    Route(Template),
    /// Only this share goes on, 0 to 1.
    Sample(f64),
    /// Only so many of each key go on in a window of nanoseconds.
    RateLimit {
        /// How many.
        limit: u64,
        /// In how long.
        window: i64,
        /// Whose value is the key; none: all records together.
        per: Option<FieldPath>,
    },
    /// Of records whose level, logger and message are the same, one goes on in a window of nanoseconds.
    Deduplicate(i64),
    /// The record goes nowhere.
    Drop,
}

/// Text with `{field}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(FieldPath),
}

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
#[error("the template `{template}` cannot be used: {reason}")]
pub struct TemplateError {
    template: String,
    reason: String,
}

/// The steps of one file, and what they remember.
#[derive(Debug)]
pub struct Shaper {
    steps: Vec<(Step, Memory)>,
}

#[derive(Debug)]
enum Memory {
    Nothing,
    Windows(Windows),
    Parser(Box<Parser>),
}

/// A parsed record on its way.
pub struct Incoming<'a> {
    /// Its fragment.
    pub fragment: &'a [u8],
    /// The shared fields of its group.
    pub shared: &'a str,
    /// Hash of its bytes and its place: chooses samples.
    pub hash: u64,
    /// When it was read, nanoseconds since 1970.
    pub read_time: i64,
}

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Shaped {
    /// Its new fragment, or why it goes nowhere.
    pub fragment: Result<Vec<u8>, Cut>,
    /// Its `@timestamp`, where a step has set it.
    pub time: Option<i64>,
    /// Another dataset.
    pub route: Option<String>,
    /// Fragments of records that tell what was cut before this one.
    pub notices: Vec<Vec<u8>>,
}

/// Why a record goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A step drops it.
    Dropped,
    /// It is none of the share that goes on.
    Sampled,
    /// There were too many of its key.
    Limited,
    /// It repeats another.
    Repeated,
}

impl Cut {
    /// Every reason.
    pub const ALL: [Cut; 4] = [Cut::Dropped, Cut::Sampled, Cut::Limited, Cut::Repeated];

    /// As it stands in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Cut::Dropped => "dropped",
            Cut::Sampled => "sampled",
            Cut::Limited => "limited",
            Cut::Repeated => "repeated",
        }
    }
}

impl Template {
    /// Reads `text {field} text`; `{{` stands for `{`.
    pub fn read(template: &str) -> Result<Template, TemplateError> {
        let fault = |reason: String| TemplateError { template: template.to_owned(), reason };
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), template);
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            if let Some(behind) = after.strip_prefix('{') {
                text.push('{');
                rest = behind;
                continue;
            }
            let (name, behind) =
                after.split_once('}').ok_or_else(|| fault("a `{` is not closed".to_owned()))?;
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Field(FieldPath::resolve(name).map_err(fault)?));
            rest = behind;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Template(parts))
    }

    /// None: a field that it names is not there.
    fn fill(&self, document: &Document, shared: &Document) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field) => {
                    let name = field.to_string();
                    out.push_str(&document.text(&name).or_else(|| shared.text(&name))?);
                }
            }
        }
        Some(out)
    }
}

impl Shaper {
    /// The steps for one file.
    pub fn new(steps: &[Step]) -> Shaper {
        let memory = |action: &Action| match action {
            Action::RateLimit { .. } | Action::Deduplicate(_) => Memory::Windows(Windows::default()),
            Action::Parse(_, settings) => {
                let settings =
                    ParserSettings { multiline: Multiline::Preset(Preset::None), ..(**settings).clone() };
                Memory::Parser(Box::new(Parser::new(&settings)))
            }
            _ => Memory::Nothing,
        };
        Shaper { steps: steps.iter().map(|step| (step.clone(), memory(&step.action))).collect() }
    }

    /// Takes one record through all steps.
    pub fn shape(&mut self, incoming: &Incoming<'_>) -> Shaped {
        let mut shaped = Shaped { fragment: Err(Cut::Dropped), time: None, route: None, notices: Vec::new() };
        // The parser writes valid JSON; what is none goes on as it is.
        let read = Document::read(incoming.fragment).zip(Document::read(incoming.shared.as_bytes()));
        let Some((mut document, shared)) = read else {
            shaped.fragment = Ok(incoming.fragment.to_vec());
            return shaped;
        };
        for (step, memory) in &mut self.steps {
            if let Memory::Windows(windows) = memory {
                let ended = windows.notices(incoming.read_time);
                shaped
                    .notices
                    .extend(ended.iter().map(|notice| tell(notice, &step.action, incoming.read_time)));
            }
            let wanted = step.when.as_ref().is_none_or(|when| when.matches(&document.with_shared(&shared)));
            if !wanted {
                continue;
            }
            if let Err(cut) = act(step, memory, &mut document, &shared, incoming, &mut shaped) {
                shaped.fragment = Err(cut);
                return shaped;
            }
        }
        let mut fragment = Vec::with_capacity(incoming.fragment.len());
        document.write(&mut fragment);
        shaped.fragment = Ok(fragment);
        shaped
    }
}

/// One step on one record.
fn act(
    step: &Step,
    memory: &mut Memory,
    document: &mut Document,
    shared: &Document,
    incoming: &Incoming<'_>,
    shaped: &mut Shaped,
) -> Result<(), Cut> {
    let pass = |pass: Pass, cut| if pass == Pass::Through { Ok(()) } else { Err(cut) };
    match &step.action {
        Action::Keep(names) => {
            document.retain(|name| is_always_kept(name) || names.iter().any(|wanted| is_named(wanted, name)))
        }
        Action::Remove(names) => {
            document.retain(|name| is_always_kept(name) || !names.iter().any(|other| is_named(other, name)))
        }
        Action::Rename(from, to) => {
            if let Some(value) = document.get(&from.to_string()).and_then(|value| fit(to, value)) {
                document.remove(&from.to_string());
                put(document, to, value, shaped);
            }
        }
        Action::Copy(from, to) => {
            if let Some(value) = document.get(&from.to_string()).and_then(|value| fit(to, value)) {
                put(document, to, value, shaped);
            }
        }
        Action::Set(field, template) => {
            let filled = template.fill(document, shared).and_then(|text| fit(field, &Value::from(text)));
            if let Some(value) = filled {
                put(document, field, value, shaped);
            }
        }
        Action::Convert(field, to) => change(document, field, |value| convert(value, *to)),
        Action::Lower(field) => {
            change(document, field, |value| Some(Value::from(as_text(value).to_lowercase())))
        }
        Action::Upper(field) => {
            change(document, field, |value| Some(Value::from(as_text(value).to_uppercase())))
        }
        Action::Split(field, by) => change(document, field, |value| {
            let text = as_text(value);
            Some(text.split(by.as_str()).map(|part| Value::from(part.trim())).collect())
        }),
        Action::Parse(field, _) => {
            if let Memory::Parser(parser) = memory {
                parse_again(document, field, parser, incoming.read_time, shaped);
            }
        }
        Action::Route(template) => shaped.route = template.fill(document, shared),
        Action::Sample(share) => return pass(sample(*share, incoming.hash), Cut::Sampled),
        Action::RateLimit { limit, window, per } => {
            if let Memory::Windows(windows) = memory {
                let key = per.as_ref().map(|field| document.text(&field.to_string()).unwrap_or_default());
                return pass(
                    windows.take(&key.unwrap_or_default(), *limit, *window, incoming.read_time),
                    Cut::Limited,
                );
            }
        }
        Action::Deduplicate(window) => {
            if let Memory::Windows(windows) = memory {
                let parts = [Field::LogLevel, Field::LogLogger, Field::Message]
                    .map(|field| document.text(field.name()));
                let key = parts.into_iter().flatten().collect::<Vec<String>>().join(" ");
                return pass(windows.take(&key, 1, *window, incoming.read_time), Cut::Repeated);
            }
        }
        Action::Drop => return Err(Cut::Dropped),
    }
    Ok(())
}

/// Without these a record is none.
fn is_always_kept(name: &str) -> bool {
    name == Field::Timestamp.name() || name == Field::Message.name()
}

/// `a.b`, or with `a.*` all below it.
fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

fn put(document: &mut Document, field: &FieldPath, value: Value, shaped: &mut Shaped) {
    if *field == FieldPath::Schema(Field::Timestamp) {
        shaped.time = nanos(&value);
    }
    document.set(&field.to_string(), value);
}

fn nanos(time: &Value) -> Option<i64> {
    Timestamp::parse_rfc3339(time.as_str()?.as_bytes()).map(|time| time.nanos())
}

fn change(document: &mut Document, field: &FieldPath, into: impl FnOnce(&Value) -> Option<Value>) {
    let name = field.to_string();
    if let Some(value) = document.get(&name).and_then(into) {
        document.set(&name, value);
    }
}

fn parse_again(
    document: &mut Document,
    field: &FieldPath,
    parser: &mut Parser,
    read_time: i64,
    shaped: &mut Shaped,
) {
    let name = field.to_string();
    let Some(text) = document.text(&name) else { return };
    let mut fragment = Vec::new();
    let parsed = parser.parse(text.as_bytes(), read_time, 0, &mut fragment);
    if !parsed.understood {
        return;
    }
    let (time, service) = (parsed.time, parsed.service.map(str::to_owned));
    let Some(inner) = Document::read(&fragment) else { return };
    document.remove(&name);
    for (name, value) in inner.into_members() {
        // The time of reading is none of the inner line's, and all of its text no message.
        let is_found = match name.as_str() {
            name if name == Field::Timestamp.name() => time.is_some(),
            name if name == Field::Message.name() => {
                value.as_str() != Some(&text) || document.get(name).is_none()
            }
            _ => true,
        };
        if is_found {
            document.set(&name, value);
        }
    }
    if let Some(service) = service {
        shaped.route.get_or_insert(service);
    }
    shaped.time = time.or(shaped.time);
}

/// The record that tells what was cut.
fn tell(notice: &limit::Notice, action: &Action, read_time: i64) -> Vec<u8> {
    let mut document = Document::default();
    let mut time = Vec::new();
    if let Some(now) = Timestamp::from_nanos(read_time, Timestamp::DIGITS_MIN) {
        now.push_rfc3339(&mut time);
    }
    document.set(Field::Timestamp.name(), Value::from(String::from_utf8_lossy(&time)));
    let (what, kind) = match action {
        Action::Deduplicate(_) => ("repeated", "deduplicate"),
        _ => ("cut by the rate limit", "rate_limit"),
    };
    let of = if notice.key.is_empty() { String::new() } else { format!(" of {}", notice.key) };
    document.set(Field::Message.name(), Value::from(format!("weir: {} records{of} were {what}", notice.cut)));
    document.set(Field::LogLevel.name(), Value::from("notice"));
    document.set(Field::EventAction.name(), Value::from(kind));
    document.set("attributes.weir.cut", Value::from(notice.cut));
    let mut fragment = Vec::new();
    document.write(&mut fragment);
    fragment
}

/// The fields that only a record's group may hold: a step cannot write them.
pub fn is_writable(field: &FieldPath) -> bool {
    const GROUPS: [Field; 3] = [Field::HostName, Field::ServiceName, Field::ServiceEnvironment];
    match field {
        FieldPath::Schema(field) => field.origin() == Origin::Line && !GROUPS.contains(field),
        FieldPath::Label(_) => false,
        FieldPath::Attribute(_) | FieldPath::Inner(..) => true,
    }
}

#[cfg(test)]
mod tests;
