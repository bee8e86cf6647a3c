//! Testing one document.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use super::words::words;
use super::{Query, Test};
use crate::time::Timestamp;

pub(super) fn matches(query: &Query, document: &Value) -> bool {
    match query {
        Query::All => true,
        Query::And(parts) => parts.iter().all(|part| matches(part, document)),
        Query::Or(parts) => parts.iter().any(|part| matches(part, document)),
        Query::Not(part) => !matches(part, document),
        Query::Test(path, Test::Exists) => exists(document, &path.to_string()),
        Query::Test(path, test) => {
            any_value(document, &path.to_string(), &mut |value| value_passes(value, test))
        }
    }
}

/// Whether any value at `path` passes. A path is found however its dots are spread over keys and nesting.
fn any_value(value: &Value, path: &str, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_value(item, path, passes)),
        Value::Object(members) => members.iter().any(|(key, member)| match path.strip_prefix(key.as_str()) {
            Some("") => any_leaf(member, passes),
            Some(rest) => rest.strip_prefix('.').is_some_and(|rest| any_value(member, rest, passes)),
            None => false,
        }),
        _ => false,
    }
}

fn any_leaf(value: &Value, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_leaf(item, passes)),
        Value::Null => false,
        leaf => passes(leaf),
    }
}

fn value_passes(value: &Value, test: &Test) -> bool {
    match test {
        Test::Exists => true,
        Test::Words(text) => value.as_str().is_some_and(|value| has_words(value, text)),
        Test::WordPattern(pattern) => {
            value.as_str().is_some_and(|value| words(value).any(|word| pattern.matches(&word.text)))
        }
        Test::Is(expected) => is(value, expected),
        Test::Like(pattern) => value.as_str().is_some_and(|value| pattern.matches(value)),
        Test::Between(lower, upper) => lies_between(value, lower, upper),
        Test::Integers(lower, upper) => {
            value.as_i64().is_some_and(|number| (*lower, *upper).contains(&number))
        }
        Test::Moments(lower, upper) => value
            .as_str()
            .and_then(|text| Timestamp::parse_rfc3339(text.as_bytes()))
            .is_some_and(|moment| (*lower, *upper).contains(&moment.nanos())),
        Test::Addresses(first, last) => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .is_some_and(|address| (first..=last).contains(&&mapped(address))),
    }
}

/// Whether there is a value at `path`, or at any path below it.
fn exists(value: &Value, path: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| exists(item, path)),
        Value::Object(members) => members.iter().any(|(key, member)| {
            if key == path || key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')) {
                return has_leaf(member);
            }
            let inner = path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.'));
            inner.is_some_and(|inner| exists(member, inner))
        }),
        _ => false,
    }
}

fn has_leaf(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(has_leaf),
        Value::Object(members) => members.values().any(has_leaf),
        _ => true,
    }
}

fn has_words(value: &str, text: &str) -> bool {
    let wanted: Vec<String> = words(text).map(|word| word.text).collect();
    let present: Vec<String> = words(value).map(|word| word.text).collect();
    present.windows(wanted.len().max(1)).any(|window| window == wanted)
}

fn is(value: &Value, expected: &str) -> bool {
    match value {
        Value::String(text) => text == expected,
        Value::Number(number) => {
            number.to_string() == expected
                || expected.parse().is_ok_and(|other| number.as_f64() == Some(other))
        }
        Value::Bool(flag) => expected == if *flag { "true" } else { "false" },
        _ => false,
    }
}

fn lies_between(value: &Value, lower: &Bound<String>, upper: &Bound<String>) -> bool {
    match value {
        Value::String(text) => (borrowed(lower), borrowed(upper)).contains(text.as_str()),
        Value::Number(number) => match (as_number(lower), as_number(upper)) {
            (Some(lower), Some(upper)) => {
                number.as_f64().is_some_and(|number| (lower, upper).contains(&number))
            }
            _ => false,
        },
        _ => false,
    }
}

/// The bound as a number; none where it is none.
fn as_number(bound: &Bound<String>) -> Option<Bound<f64>> {
    Some(match bound {
        Bound::Included(text) => Bound::Included(text.parse().ok()?),
        Bound::Excluded(text) => Bound::Excluded(text.parse().ok()?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

fn borrowed(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
