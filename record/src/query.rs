//! The query language, as typed by people: the Lucene and KQL subset that Kibana users know.
//!
//! ```text
//! level:error service:checkout "connection reset" status>=500 NOT path:/health trace.id:abc*
//! ```
//!
//! * Words and `"phrases"` without a field look into `message` and `error.message`.
//! * `field:value`, `field:"value"`, `field:(a or b)`, `field:*` (it exists), `field:abc*`, `field:[a TO b]`,
//!   `field:{a TO b}` (bounds left out), `field>=5`, `field:>=5`.
//! * `AND` (also: nothing at all), `OR`, `NOT` (also `-` and `!`) in any case, and parentheses. `NOT` binds
//!   strongest, `OR` weakest.
//! * A backslash takes the special meaning from the next character.
//! * Field names are those of the schema, short aliases (`level`, `service`, `status`, ...), `labels.*`, and else
//!   stand for `attributes.*`.
//!
//! Parsing is pure. A [`Query`] holds typed conditions only: the field's kind decides, at parse time, whether a value
//! is a number, a moment, an address, a level or text, and what makes no sense is refused with its position. The
//! indexes translate it; [`Query::matches`] tests one document.

mod field;
mod lexer;
mod matches;
mod parser;
mod pattern;
mod value;
mod words;

pub use field::FieldPath;
pub use pattern::{Pattern, Piece};
pub use words::{Word, Words, words};

use std::net::Ipv6Addr;
use std::ops::Bound;

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Every document.
    All,
    /// Documents that all of these match.
    And(Vec<Query>),
    /// Documents that at least one of these matches.
    Or(Vec<Query>),
    /// Documents that this does not match.
    Not(Box<Query>),
    /// Documents of which one value of the field passes the test.
    Test(FieldPath, Test),
}

/// What a field's value has to be. Which of them can stand beside a field is decided by the field's kind; a query
/// that was parsed holds no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Any field: there is a value.
    Exists,
    /// Text: its words stand in the value, next to each other and in this order.
    Words(String),
    /// Text: one of the value's words matches. The pattern is in lower case.
    WordPattern(Pattern),
    /// Keywords, attributes: the value is this. A number or boolean attribute is compared by its usual text.
    Is(String),
    /// Keywords, attributes: the whole value matches.
    Like(Pattern),
    /// Keywords, attributes: the value lies between these. Where both the bound and an attribute's value are
    /// numbers they are compared as numbers, else as bytes.
    Between(Bound<String>, Bound<String>),
    /// Whole numbers: the value lies between these.
    Integers(Bound<i64>, Bound<i64>),
    /// Moments: the value, nanoseconds since 1970, lies between these.
    Moments(Bound<i64>, Bound<i64>),
    /// Addresses: the value lies between these, both included. IPv4 is mapped into IPv6.
    Addresses(Ipv6Addr, Ipv6Addr),
}

/// Why text is not a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {})", .position + 1)]
pub struct QueryError {
    /// Where in the text: the number of characters before it.
    pub position: usize,
    /// What is wrong, what was expected there, and often how to write it.
    pub message: String,
}

impl Query {
    /// Reads a query. Empty text and `*` match every document.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        parser::parse(text)
    }

    /// The documents of which `field` is exactly `value`; none where the field's kind cannot be compared so.
    pub fn is(field: &str, value: &str) -> Result<Query, QueryError> {
        let path = FieldPath::resolve(field).map_err(|message| QueryError { position: 0, message })?;
        value::equals(path, value).map_err(|message| QueryError { position: 0, message })
    }

    /// Documents that this and `other` match.
    pub fn and(self, other: Query) -> Query {
        match (self, other) {
            (Query::All, other) => other,
            (this, Query::All) => this,
            (Query::And(mut parts), other) => {
                parts.push(other);
                Query::And(parts)
            }
            (this, other) => Query::And(vec![this, other]),
        }
    }

    /// Whether this one document, flat and dotted or nested, matches.
    pub fn matches(&self, document: &serde_json::Value) -> bool {
        matches::matches(self, document)
    }
}

#[cfg(test)]
mod tests;
