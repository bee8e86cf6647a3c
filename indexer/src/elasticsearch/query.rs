//! A [`Query`] in the query language of Elasticsearch and OpenSearch.
//!
//! Words are those of the server's standard analyzer. It keeps `java.net.SocketException` and `10.0.0.7:80` together,
//! where the embedded index has a word for each part, and it has no pairs for Korean.

use std::net::Ipv6Addr;
use std::ops::Bound;

use serde_json::{Map, Value, json};
use weir_record::query::{FieldPath, Pattern, Piece, Query, Test};
use weir_record::{Field, Timestamp};

/// Translates `query`, limited to event times in `[from, until)`.
pub(super) fn translate(query: &Query, from: Option<i64>, until: Option<i64>) -> Value {
    let query = query_of(query);
    if from.is_none() && until.is_none() {
        return json!({"bool": {"filter": [query]}});
    }
    let lower = from.map_or(Bound::Unbounded, Bound::Included);
    let upper = until.map_or(Bound::Unbounded, Bound::Excluded);
    json!({"bool": {"filter": [moments(Field::Timestamp.name(), lower, upper), query]}})
}

fn query_of(query: &Query) -> Value {
    match query {
        Query::All => json!({"match_all": {}}),
        Query::And(parts) => json!({"bool": {"filter": parts.iter().map(query_of).collect::<Vec<_>>()}}),
        Query::Or(parts) if parts.is_empty() => json!({"match_none": {}}),
        Query::Or(parts) => {
            let should: Vec<Value> = parts.iter().map(query_of).collect();
            json!({"bool": {"should": should, "minimum_should_match": 1}})
        }
        Query::Not(part) => json!({"bool": {"must_not": [query_of(part)]}}),
        Query::Test(path, test) => test_of(path, test),
    }
}

fn test_of(path: &FieldPath, test: &Test) -> Value {
    let name = path.to_string();
    match test {
        Test::Exists => json!({"exists": {"field": name}}),
        Test::Words(text) => on("match_phrase", &name, json!({"query": text})),
        Test::WordPattern(pattern) => on("wildcard", &name, json!({"value": wildcard(pattern)})),
        // The type of an attribute is not known: what does not fit it matches nothing.
        Test::Is(text) if is_attribute(path) => on("match", &name, json!({"query": text, "lenient": true})),
        Test::Is(text) => on("term", &name, json!({"value": text})),
        Test::Like(pattern) if is_attribute(path) => {
            json!({"query_string": {
                "query": query_string(pattern), "fields": [name], "lenient": true, "allow_leading_wildcard": true,
            }})
        }
        Test::Like(pattern) if is_prefix(pattern) => on("prefix", &name, json!({"value": pattern.prefix()})),
        Test::Like(pattern) => on("wildcard", &name, json!({"value": wildcard(pattern)})),
        Test::Between(lower, upper) => range(&name, lower, upper, |text| text_or_number(text)),
        Test::Integers(lower, upper) => range(&name, lower, upper, |number| json!(number)),
        Test::Moments(lower, upper) => moments(&name, *lower, *upper),
        Test::Addresses(first, last) => {
            range(&name, &Bound::Included(*first), &Bound::Included(*last), |address| {
                json!(address_text(*address))
            })
        }
    }
}

fn is_attribute(path: &FieldPath) -> bool {
    matches!(path, FieldPath::Attribute(_))
}

fn on(kind: &str, field: &str, body: Value) -> Value {
    json!({kind: {field: body}})
}

fn range<T>(field: &str, lower: &Bound<T>, upper: &Bound<T>, value: impl Fn(&T) -> Value) -> Value {
    let mut bounds = Map::new();
    match lower {
        Bound::Included(bound) => drop(bounds.insert("gte".to_owned(), value(bound))),
        Bound::Excluded(bound) => drop(bounds.insert("gt".to_owned(), value(bound))),
        Bound::Unbounded => {}
    }
    match upper {
        Bound::Included(bound) => drop(bounds.insert("lte".to_owned(), value(bound))),
        Bound::Excluded(bound) => drop(bounds.insert("lt".to_owned(), value(bound))),
        Bound::Unbounded => {}
    }
    on("range", field, Value::Object(bounds))
}

fn moments(field: &str, lower: Bound<i64>, upper: Bound<i64>) -> Value {
    let text = |nanos: &i64| {
        Timestamp::from_nanos((*nanos).max(0), Timestamp::DIGITS_MAX)
            .map_or(Value::Null, |at| json!(at.to_string()))
    };
    range(field, &lower, &upper, text)
}

fn text_or_number(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(_) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Err(_) => json!(text),
    }
}

fn address_text(address: Ipv6Addr) -> String {
    address.to_ipv4_mapped().map_or_else(|| address.to_string(), |address| address.to_string())
}

fn is_prefix(pattern: &Pattern) -> bool {
    matches!(pattern.pieces(), [Piece::Text(_), Piece::Many])
}

fn wildcard(pattern: &Pattern) -> String {
    pattern_text(pattern, |character| matches!(character, '*' | '?' | '\\'))
}

/// As a term of the Lucene syntax, where nearly everything has to be protected.
fn query_string(pattern: &Pattern) -> String {
    pattern_text(pattern, |character| !character.is_alphanumeric())
}

fn pattern_text(pattern: &Pattern, is_special: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    for piece in pattern.pieces() {
        match piece {
            Piece::Many => text.push('*'),
            Piece::Text(part) => {
                for character in part.chars() {
                    if is_special(character) {
                        text.push('\\');
                    }
                    text.push(character);
                }
            }
        }
    }
    text
}
