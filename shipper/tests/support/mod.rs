//! What tests of parsers share: documents read strictly, and whether a line's words are all in one.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use weir_record::{Level, Timestamp};

/// The `@timestamp` of a line without one.
const READ_TIMESTAMP: &str = "2026-11-21T12:00:00.000000000Z";

/// Reads a fragment; a key that stands twice, at any level, is an error, as it is in Elasticsearch.
pub fn read_document(fragment: &[u8]) -> Map<String, Value> {
    let text = format!("{{{}}}", std::str::from_utf8(fragment).expect("a fragment is UTF-8"));
    assert!(!text.contains('\n'), "a document stands on one line: {text}");
    let strict: Strict = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let Value::Object(document) = strict.0 else { panic!("an object: {text}") };
    assert!(document.contains_key("@timestamp") && document.contains_key("message"), "{text}");
    document
}

/// Most words of one time stamp: date, time, fraction, zone (`Fri, Nov 20 2026 09 39 19 123456 PM +01 00 CET`).
const TIME_WORDS_MAX: usize = 12;

/// The words of a record that its document does not hold: conservation, made testable. A word is a run of letters and
/// digits of the record's text; of a structured line, of its values (known keys become the schema's names). Each is a
/// word of the document (keys and values), except what [`Excuses`] names.
pub fn words_lost(record: &str, document: &Map<String, Value>) -> Vec<String> {
    if document["message"] == record {
        return Vec::new();
    }
    let mut text = String::new();
    document.iter().for_each(|(key, value)| push_member(key, value, &mut text));
    // Escapes of quoted values are undone in the document, or stand in it as they are.
    let without_escapes = |text: &str| {
        ["\\\\", "\\n", "\\t", "\\r"].iter().fold(text.to_owned(), |text, escape| text.replace(escape, " "))
    };
    let plain = without_escapes(&text);
    // A message that is JSON, perhaps behind a header, keeps its escapes.
    let values = document["message"].as_str().and_then(read_values).unwrap_or_default();
    let kept: HashSet<&str> =
        split_words(&text).chain(split_words(&plain)).chain(split_words(&values)).collect();
    let listed = read_export(record).or_else(|| read_xml(record)).or_else(|| read_properties(record));
    let source = listed.or_else(|| read_values(record)).unwrap_or_else(|| without_escapes(record));
    let excuses = Excuses::of(record, document);
    let mut time_words = 0;
    words(&source)
        .filter(|word| !kept.contains(word) && !excuses.is_said_otherwise(word))
        .filter(|word| {
            let is_time = excuses.is_time(word) && time_words < TIME_WORDS_MAX;
            time_words += usize::from(is_time);
            !is_time
        })
        .map(str::to_owned)
        .collect()
}

/// What a document says in other words than its line.
struct Excuses<'d> {
    record: &'d str,
    /// The line's own time, as the document writes it; none where it has the time of reading.
    time: Option<&'d str>,
    level: Option<&'d str>,
    /// The number that a JSON line has for its level.
    level_number: Option<String>,
    /// Nanoseconds, in digits.
    duration: Option<String>,
    logger: Option<&'d str>,
    numbers: Vec<f64>,
}

impl<'d> Excuses<'d> {
    fn of(record: &'d str, document: &'d Map<String, Value>) -> Excuses<'d> {
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let json = record.find('{').and_then(|at| serde_json::from_str::<Value>(&record[at..]).ok());
        let number = |key| json.as_ref().and_then(|json| json.get(key)).filter(|value| value.is_number());
        Excuses {
            record,
            time: text("@timestamp").filter(|time| *time != READ_TIMESTAMP),
            level: text("log.level"),
            level_number: ["level", "severity"].into_iter().find_map(number).map(Value::to_string),
            duration: document.get("event.duration").map(Value::to_string),
            logger: text("log.logger"),
            numbers: document.values().filter_map(Value::as_f64).collect(),
        }
    }

    /// Whether a word names the level, is part of the duration, or spells the format itself.
    fn is_said_otherwise(&self, word: &str) -> bool {
        self.is_level(word)
            || self.is_duration(word)
            || self.is_of_the_format(word)
            // A number of base 16 is kept without what says so.
            || self.is_rounded(word)
            || self.is_uptime(word)
            || word.bytes().all(|byte| byte.is_ascii_digit()) && !self.record.contains(word)
            || word.strip_prefix("0x").is_some_and(|hex| self.record.contains(&format!("_id\":\"0x{hex}\"")))
    }

    /// The time since its start in a line of Java's virtual machine, `[15ms][info][gc]`: the unit is in the key.
    fn is_uptime(&self, word: &str) -> bool {
        let digits = word.strip_suffix('s').map(|word| word.trim_end_matches(['m', 'n']));
        let number = digits.and_then(|digits| digits.parse::<f64>().ok());
        self.record.starts_with('[') && number.is_some_and(|number| self.numbers.contains(&number))
    }

    /// Digits of a number that this test itself cannot read exactly, or with zeros before it.
    fn is_rounded(&self, word: &str) -> bool {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        self.record.match_indices(word).any(|(at, _)| {
            let start = self.record[..at].trim_end_matches(is_number).len();
            let rest = &self.record[start..];
            let end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
            (rest[..end].contains('.') || word.starts_with('0'))
                && rest[..end].parse().is_ok_and(|number: f64| {
                    let is_same = |known: &f64| (known - number).abs() <= 4.0 * f64::EPSILON * number.abs();
                    self.numbers.iter().any(is_same)
                })
        })
    }

    /// The name of the document's level, perhaps with a degree behind it (`D1`, `trace3`, `I1120` of klog), or its
    /// number.
    fn is_level(&self, word: &str) -> bool {
        let Some(level) = self.level else { return false };
        let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let named = Level::from_name(name.as_bytes()).map(Level::as_str);
        // Those that are called otherwise by one program alone.
        let own = match name {
            "Note" | "System" | "AUDIT" | "SUCCESS" => Some("info"),
            "LOG" => Some("info"),
            "PANIC" => Some("emergency"),
            // Android's assertions.
            "A" => Some("fatal"),
            _ => None,
        };
        // pino's numbers, in any format that has keys.
        let number = word.parse().ok().filter(|_| word.trim_start_matches('0').len() == 2);
        let numbered = number.and_then(Level::from_number).map(Level::as_str);
        // OpenTelemetry's, where no text of it is beside it.
        let of_otel = word.parse().ok().and_then(|number: usize| {
            ["trace", "debug", "info", "warning", "error", "fatal"].get(number.checked_sub(1)? / 4).copied()
        });
        [named, own, numbered, of_otel].contains(&Some(level)) || self.level_number.as_deref() == Some(word)
    }

    /// Digits of the duration, with a unit or without; minutes and hours are converted.
    fn is_duration(&self, word: &str) -> bool {
        let Some(nanos) = &self.duration else { return false };
        let digits = word.trim_end_matches(|c: char| "nsuµμme".contains(c)).trim_start_matches('0');
        let is_duration = word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || "hmsunµμe".contains(c));
        let is_converted = word.contains('h') || word.contains('m') && !word.ends_with("ms");
        // What is less than a nanosecond is cut off.
        let is_cut = digits.len() > 15;
        is_duration && (nanos.contains(digits) || is_converted || is_cut)
            || matches!(word, "ms" | "us" | "µs" | "ns" | "s") && self.record.contains(&format!(" {word}"))
    }

    /// Words that say what a value is, or whose a line is: each in the lines of its format alone.
    fn is_of_the_format(&self, word: &str) -> bool {
        let record = self.record;
        match word {
            // `HTTP/1.1` of a request.
            "HTTP" => record.contains("HTTP/"),
            // Their versions are part of their names.
            "CEF" => record.contains("CEF:"),
            "0" if record.contains("CEF:0|") => true,
            "1" if record.contains("CEF:1|") => true,
            "LEEF" => record.contains("LEEF:"),
            "1" | "2" | "0" if record.contains("LEEF:") => true,
            // Blanks around a key are not its own.
            _ if record.contains("LEEF:")
                && [' ', '\t'].iter().any(|blank| record.contains(&format!("{word}{blank}="))) =>
            {
                true
            }
            // A bar as the delimiter of LEEF's pairs, by its code.
            "0x7C" | "0x09" | "xa6" => record.contains("LEEF:2.0|"),
            // A priority with a zero before it.
            _ if record.starts_with(&format!("<{word}>")) => word.starts_with('0'),
            // RFC 5424's version.
            "1" => record.starts_with('<') && record.contains(">1 "),
            // What Snare writes for nothing.
            "N" | "A" if record.contains("\tN/A\t") => true,
            // Ruby's `ANY` has a letter before it, as the levels have.
            "A" => record.starts_with("A, ["),
            "cee" => record.contains("@cee:"),
            // `[pid 12:tid 34] [client ::1:5]` of Apache.
            "pid" | "tid" | "client" | "remote" if record.starts_with('[') && record.contains("] [") => true,
            // Sidekiq's header, in its two forms.
            "pid" | "tid" | "elapsed" => record.contains(" pid=") && record.contains(" tid="),
            "TID" => record.contains(" TID-"),
            "JID" | "BID" => record.contains(&format!(" {word}-")),
            // Monolog's key.
            "exception" => record.contains("\"exception\":\""),
            "PHP" => record.starts_with("PHP ") || record.contains("] PHP "),
            // What MySQL writes before an entry's statement.
            "Time" | "User" | "Host" | "Id" | "Query_time" | "Thread_id" => record.starts_with("# "),
            // Flask: `ERROR in app: gone`.
            "in" if self.logger.is_some_and(|logger| record.contains(&format!(" in {logger}: "))) => true,
            // `(a/b.go:40 in Run)` of the Datadog agent.
            "in" => record.contains(" | ("),
            // Rust's tracing: `ThreadId(01)`.
            "ThreadId" => record.contains(" ThreadId("),
            _ => false,
        }
    }

    /// Whether a word can be of the time stamp: its digits, whatever its zone was, or a name of a month, a weekday, a
    /// half of the day or a zone.
    fn is_time(&self, word: &str) -> bool {
        let Some(time) = self.time else { return false };
        let letters = word.trim_matches(|c: char| c.is_ascii_digit());
        // `20261120T213919Z`.
        let mut parts = word.split(['T', 'Z']).filter(|part| !part.is_empty());
        if word.starts_with(|c: char| c.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_digit() || b"TZ".contains(&byte))
        {
            return parts.all(|digits| is_digits_of_time(digits, time));
        }
        matches!(letters, "T" | "Z" | "t" | "z" | "_" | "am" | "pm" | "AM" | "PM")
            || letters.chars().count() <= 12 && letters.chars().all(char::is_alphabetic) && is_name(letters)
    }
}

/// Whether digits can be of a time: a part of two digits, the year, a zone's offset, the fraction, the day or the time of
/// day without separators, or a number since 1970.
fn is_digits_of_time(digits: &str, time: &str) -> bool {
    /// As far from UTC as an offset is read.
    const ZONE_HOURS_MAX: u64 = 18;
    let (year, fraction) = (&time[..4], time[20..].trim_end_matches(['Z', '0']));
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    let is_near = |year: &str| year.parse::<u64>().is_ok_and(|year| year.abs_diff(number) <= 1);
    let seconds =
        Timestamp::parse_rfc3339(time.as_bytes()).map_or(0, |moment| moment.nanos() / 1_000_000_000);
    let is_epoch = |per_second: u64| number / per_second == seconds as u64;
    match digits.len() {
        1 | 2 => true,
        // Some dates stand before their time without anything between.
        4 if is_near(year)
            || number / 100 <= ZONE_HOURS_MAX && number % 100 <= 59
            || number / 100 <= 31 && number % 100 <= 23 =>
        {
            true
        }
        6 | 8 => true,
        10 if is_epoch(1) => true,
        13 if is_epoch(1_000) => true,
        16 if is_epoch(1_000_000) => true,
        19 if is_epoch(1_000_000_000) => true,
        // It may have more digits than are kept.
        3.. => {
            fraction.starts_with(digits.trim_end_matches('0'))
                || digits.starts_with(fraction) && digits.len() > 9
        }
        _ => false,
    }
}

/// The values of an entry in the journal's export format, but for the fields of where it stands. Lengths that are no
/// text cannot be read here: nothing is compared then.
fn read_export(record: &str) -> Option<String> {
    record.starts_with("__CURSOR=").then_some(())?;
    if record.contains('\u{fffd}') {
        return Some(String::new());
    }
    let (mut values, mut rest) = (String::new(), record);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let (name, value, after) = match line.split_once('=') {
            Some((name, value)) => (name, value, after),
            None => {
                let length = u64::from_le_bytes(after.as_bytes().get(..8)?.try_into().ok()?);
                let (value, after) = after.get(8..)?.split_at_checked(usize::try_from(length).ok()?)?;
                (line, value, after.strip_prefix('\n').unwrap_or(after))
            }
        };
        if !name.starts_with("__") {
            values.push_str(value);
            values.push('\n');
        }
        rest = after;
    }
    // What an application wrote may be structured itself: known keys become the schema's names.
    Some(values.lines().map(|line| read_values(line).unwrap_or_else(|| line.to_owned()) + "\n").collect())
}

/// The texts and the attributes' values of an event of Windows.
fn read_xml(record: &str) -> Option<String> {
    record.starts_with("<Event ").then_some(())?;
    let mut values = String::new();
    for part in record.split('<') {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let quoted = tag.split(['\'', '"']).skip(1).step_by(2).filter(|_| !tag.contains("xmlns"));
        quoted.chain([text]).for_each(|value| values.extend([value, "\n"]));
    }
    for entity in ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;", "&#13;", "&#xA;"] {
        values = values.replace(entity, " ");
    }
    Some(values)
}

/// The values of an event of Windows that a tool lists: `  Source: x`, `ProviderName : x`.
fn read_properties(record: &str) -> Option<String> {
    let is_list = ["Event[", "TimeCreated  :", "Message              :", "Index              :"];
    is_list.iter().any(|start| record.starts_with(start)).then_some(())?;
    let mut values = String::new();
    let mut is_description = false;
    for (at, line) in record.lines().enumerate() {
        let key = line.split(':').next().unwrap_or_default();
        let is_property = key.len() < line.len()
            && !is_description
            && (line.starts_with("  ") && !line.starts_with("   ") || key.ends_with(' '))
            && !key.trim().is_empty();
        is_description |= line.starts_with("  Description:");
        let value = if is_property { &line[key.len()..] } else { line };
        if !(at == 0 && line.starts_with("Event[") || value.trim_start_matches(':').trim() == "N/A") {
            values.extend([value, "\n"]);
        }
    }
    Some(values)
}

/// At most so many braces are tried for the one that an object begins with.
const BRACES_MAX: usize = 8;

/// The values of a JSON line, which may stand behind a syslog header, and that header.
fn read_values(record: &str) -> Option<String> {
    // A damaged header may have braces, too.
    let is_object = |at: &usize| serde_json::from_str::<Value>(&record[*at..]).is_ok();
    let mut braces = record.match_indices('{').map(|(at, _)| at).take(BRACES_MAX);
    let (header, record) = record.split_at(braces.find(is_object)?);
    fn push(value: &Value, text: &mut String) {
        match value {
            // The journal's messages may be such lines themselves.
            Value::String(inner) if inner.starts_with('{') => {
                text.push_str(&read_values(inner).unwrap_or_else(|| inner.clone()));
                text.push('\n');
            }
            // OpenTelemetry's lists of pairs have their keys as values; two underscores begin the journal's own fields
            // of where an entry stands, which say nothing of the event.
            Value::Object(members) => {
                let is_said = |key: &str| key != "key" && !key.starts_with("__");
                for (key, value) in members.iter().filter(|(key, _)| is_said(key)) {
                    // The journal's bytes that are no text.
                    match value.as_array().filter(|_| key == "MESSAGE").and_then(|values| bytes_of(values)) {
                        Some(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                        None => push(value, text),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| push(value, text)),
            Value::Number(number) => text.push_str(&format!("{number}\n")),
            other => push_text(other, text),
        }
    }
    let value: Value = serde_json::from_str(record).ok().filter(Value::is_object)?;
    let mut text = format!("{header} ");
    push(&value, &mut text);
    Some(text)
}

fn bytes_of(values: &[Value]) -> Option<Vec<u8>> {
    values.iter().map(|value| value.as_u64()?.try_into().ok()).collect()
}

/// Runs of letters and digits that are no key of a pair.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_key = |word: &&str| {
        let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
        // A dotted key is several words.
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        text[end..].trim_start_matches(is_part).starts_with('=')
    };
    split_words(text).filter(move |word| !is_key(word))
}

fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Words of dates in the languages that are read, by their first letters, and abbreviations of zones.
fn is_name(letters: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "jan", "feb", "mar", "mär", "mrz", "maa", "mrt", "apr", "abr", "avr", "may", "mai", "maj", "mag",
        "mei", "jun", "jui", "giu", "jul", "lug", "aug", "ago", "aoû", "aou", "sep", "set", "oct", "okt",
        "ott", "out", "nov", "dec", "dez", "déc", "dic", "ene", "gen", "fev", "fév", "янв", "фев", "мар",
        "апр", "май", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек", "mon", "tue", "wed", "thu",
        "fri", "sat", "sun", "utc", "gmt", "cet", "est", "edt", "pst", "pdt", "msk", "cest", "bst", "cst",
        "eet", "hst", "idt", "ist", "mdt", "mst",
    ];
    let lower = letters.to_lowercase();
    BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
}

fn push_member(key: &str, value: &Value, text: &mut String) {
    text.push_str(key);
    text.push('\n');
    push_text(value, text);
}

/// Appends every key and text of a value.
fn push_text(value: &Value, text: &mut String) {
    match value {
        Value::String(part) => text.push_str(part),
        Value::Array(parts) => parts.iter().for_each(|part| push_text(part, text)),
        Value::Object(parts) => parts.iter().for_each(|(key, part)| push_member(key, part, text)),
        Value::Number(number) => push_number(number, text),
        other => text.push_str(&other.to_string()),
    }
    text.push('\n');
}

/// Appends a number as it may have been written: with zeros at its end.
fn push_number(number: &serde_json::Number, text: &mut String) {
    text.push_str(&number.to_string());
    if let Some(fraction) = number.as_f64().filter(|_| number.is_f64()) {
        (1..=9).for_each(|digits| text.push_str(&format!(" {fraction:.digits$}")));
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
            if object.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key {key:?} stands twice")));
            }
        }
        Ok(object.into())
    }
}
