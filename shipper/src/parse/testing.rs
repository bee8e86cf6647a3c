//! What the parsers' tests share: one line in, the document out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Format, Parser, ParserSettings};

/// 2026-11-20T12:00:00Z, when the tests read their lines.
pub(super) const READ_TIME: i64 = 1_795_176_000_000_000_000;

const READ_TIME_TEXT: &str = "2026-11-20T12:00:00.000000000Z";

/// Parses one record; the document has no key twice. A `service.name` of the line's own is `SERVICE` in it.
pub(super) fn parse(format: Format, record: &[u8]) -> Map<String, Value> {
    let mut parser = Parser::new(&ParserSettings { format, ..ParserSettings::default() });
    parse_with(&mut parser, record)
}

/// As [`parse`], with a parser that may have seen other lines.
pub(super) fn parse_with(parser: &mut Parser, record: &[u8]) -> Map<String, Value> {
    let mut out = Vec::new();
    let parsed = parser.parse(record, READ_TIME, 0, &mut out);
    let mut document = read_fragment(&out);
    let tags = document.get("tags").and_then(Value::as_array);
    let is_tagged = tags.is_some_and(|tags| tags.contains(&"unparsed".into()));
    assert!(parsed.understood != is_tagged || !parsed.understood, "tags and answer agree");
    assert!(parsed.understood || is_tagged, "what is not understood is tagged");
    let stamp = document["@timestamp"].as_str().expect("@timestamp is text");
    match parsed.time {
        Some(nanos) => {
            let read = weir_record::Timestamp::parse_rfc3339(stamp.as_bytes()).expect("RFC 3339");
            assert_eq!(read.nanos(), nanos);
        }
        None => assert_eq!(stamp, READ_TIME_TEXT),
    }
    if let Some(service) = parsed.service {
        document.insert("SERVICE".to_owned(), service.into());
    }
    document
}

/// Asserts the whole document of a line. In `expected`, `READ` stands for the time of reading.
#[track_caller]
pub(super) fn check(format: Format, line: &str, expected: &str) {
    assert_document(line, parse(format, line.as_bytes()), expected);
}

#[track_caller]
fn assert_document(line: &str, document: Map<String, Value>, expected: &str) {
    let document = Value::Object(document);
    let expected =
        expected.replace("\"@timestamp\":\"READ\"", &format!("\"@timestamp\":\"{READ_TIME_TEXT}\""));
    let expected: Value = serde_json::from_str(&expected).expect("the expectation is JSON");
    assert!(
        document == expected,
        "{line}\n     got {}\nexpected {}",
        serde_json::to_string_pretty(&document).expect("JSON"),
        serde_json::to_string_pretty(&expected).expect("JSON")
    );
}

/// As [`check`], with a parser that may have seen other lines.
#[track_caller]
pub(super) fn check_with(parser: &mut Parser, line: &str, expected: &str) {
    assert_document(line, parse_with(parser, line.as_bytes()), expected);
}

/// Asserts that a line is kept whole, and tagged.
#[track_caller]
pub(super) fn check_unparsed(format: Format, line: &str) {
    check(
        format,
        line,
        &format!(r#"{{"@timestamp":"READ","message":{},"tags":["unparsed"]}}"#, quoted_line(line)),
    );
}

/// A line as a JSON string.
pub(super) fn quoted_line(line: &str) -> String {
    serde_json::to_string(line).expect("text is JSON")
}

/// Reads a fragment; a key that stands twice, at any level, is an error, as it is in Elasticsearch.
pub(super) fn read_fragment(fragment: &[u8]) -> Map<String, Value> {
    let text = format!("{{{}}}", std::str::from_utf8(fragment).expect("a fragment is UTF-8"));
    assert!(!text.contains('\n'), "a document stands on one line: {text}");
    let strict: Strict = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let Value::Object(document) = strict.0 else { panic!("an object: {text}") };
    assert!(document.contains_key("@timestamp") && document.contains_key("message"), "{text}");
    document
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
