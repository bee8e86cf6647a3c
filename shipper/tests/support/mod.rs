//! What tests of parsers share: documents read strictly, and whether a line's words are all in one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use weir_record::Level;

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
/// digits of the record's text; of a structured line, of its values (known keys become the schema's names). Each stands
/// in the document's text (keys and values), except: the words of one time stamp, what names the level where the
/// document has a level, a number where the document has a duration, and what spells the format itself.
pub fn words_lost(record: &str, document: &Map<String, Value>) -> Vec<String> {
    if document["message"] == record {
        return Vec::new();
    }
    let mut text = String::new();
    document.iter().for_each(|(key, value)| push_member(key, value, &mut text));
    let source = match read_values(record) {
        Some(values) => values,
        // Escapes of quoted values are undone in the document.
        None => {
            ["\\n", "\\t", "\\r"].iter().fold(record.to_owned(), |text, escape| text.replace(escape, " "))
        }
    };
    let is_allowed = |word: &str| {
        document.contains_key("log.level") && is_level(word)
            || document.contains_key("event.duration") && is_duration(word)
            || is_key_of_the_format(word)
    };
    let mut time_words = 0;
    words(&source)
        .filter(|word| !text.contains(word) && !is_allowed(word))
        .filter(|word| {
            let is_time = is_time_word(word) && time_words < TIME_WORDS_MAX;
            time_words += usize::from(is_time);
            !is_time
        })
        .map(str::to_owned)
        .collect()
}

/// A level's name, or a number that pino, OpenTelemetry or syslog have for one.
fn is_level(word: &str) -> bool {
    let is_number = word.parse::<u32>().is_ok_and(|number| number <= 60);
    is_number || Level::from_name(word.trim_end_matches(|c: char| c.is_ascii_digit()).as_bytes()).is_some()
}

/// The values of a JSON line, which may stand behind a syslog header, and that header.
fn read_values(record: &str) -> Option<String> {
    let (header, record) = record.split_at(record.find('{')?);
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
                members.iter().filter(|(key, _)| is_said(key)).for_each(|(_, value)| push(value, text));
            }
            Value::Array(values) => values.iter().for_each(|value| push(value, text)),
            other => push_text(other, text),
        }
    }
    let value: Value = serde_json::from_str(record).ok().filter(Value::is_object)?;
    let mut text = format!("{header} ");
    push(&value, &mut text);
    Some(text)
}

/// Runs of letters and digits that are no key of a pair.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_key = |word: &&str| {
        let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
        // A dotted key is several words.
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        text[end..].trim_start_matches(is_part).starts_with('=')
    };
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .filter(move |word| !is_key(word))
}

/// Digits and units: `12`, `5ms`, `1m2`.
fn is_duration(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || "hmsunµe".contains(c))
}

/// Digits, or a name of a month, a weekday, a half of the day or a zone.
fn is_time_word(word: &str) -> bool {
    let letters = word.trim_matches(|c: char| c.is_ascii_digit());
    letters.is_empty()
        || matches!(letters, "T" | "Z" | "t" | "z" | "_" | "am" | "pm" | "AM" | "PM")
        || letters.chars().count() <= 12 && letters.chars().all(char::is_alphabetic) && is_name(letters)
}

/// Words of dates in the languages that are read, by their first letters, and abbreviations of zones.
fn is_name(letters: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "jan", "feb", "mar", "mär", "mrz", "maa", "mrt", "apr", "abr", "avr", "may", "mai", "maj", "mag",
        "mei", "jun", "jui", "giu", "jul", "lug", "aug", "ago", "aoû", "aou", "sep", "set", "oct", "okt",
        "ott", "out", "nov", "dec", "dez", "déc", "dic", "ene", "gen", "fev", "fév", "янв", "фев", "мар",
        "апр", "май", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек", "mon", "tue", "wed", "thu",
        "fri", "sat", "sun", "utc", "gmt", "cet", "est", "edt", "pst", "pdt", "msk", "cest",
    ];
    let lower = letters.to_lowercase();
    BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
}

/// Keys that say what a value is and are replaced by the schema's names.
fn is_key_of_the_format(word: &str) -> bool {
    const KEYS: &[&str] = &[
        "pid",
        "tid",
        "client",
        "HTTP",
        "CEF",
        "LEEF",
        "0x7C",
        "cee",
        "PHP",
        "Time",
        "User",
        "Host",
        "Id",
        "Query_time",
        "Thread_id",
    ];
    KEYS.contains(&word)
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
        other => text.push_str(&other.to_string()),
    }
    text.push('\n');
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
