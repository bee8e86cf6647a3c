//! The reading side: what is asked of an index, and what it answers.

use std::future::Future;
use std::time::Duration;

use serde_json::value::RawValue;
use weir_record::query::{FieldPath, Test};
use weir_record::schema::Kind;
use weir_record::{Field, Query};

use crate::letter::DEAD_LETTER_DATASET;

/// Most hits of one answer.
pub const LIMIT_MAX: usize = 10_000;

/// Most buckets of one aggregation.
pub const BUCKETS_MAX: usize = 10_000;

/// One search.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Which documents.
    pub query: Query,
    /// First event time, nanoseconds since 1970; none: from the oldest.
    pub from: Option<i64>,
    /// First event time that is too late.
    pub until: Option<i64>,
    /// Which hits come first.
    pub order: Order,
    /// How many hits at most, up to [`LIMIT_MAX`]; zero: only the total and the aggregations.
    pub limit: usize,
    /// Go on after this hit of an earlier answer to the same query in the same order.
    pub after: Option<Cursor>,
    /// What is counted over all documents that match, whatever `limit` and `after` say.
    pub aggregations: Vec<Aggregation>,
}

impl SearchRequest {
    /// The newest 100 of all documents that match.
    pub fn new(query: Query) -> SearchRequest {
        SearchRequest {
            query,
            from: None,
            until: None,
            order: Order::NewestFirst,
            limit: 100,
            after: None,
            aggregations: Vec::new(),
        }
    }
}

/// By event time, then `event.sequence`, then whatever makes the order total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As a page shows them.
    NewestFirst,
    /// As they happened.
    OldestFirst,
}

/// A hit's place in its order: opaque text, to be handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// The most frequent values of a field, which is named as in a query.
    Terms {
        /// Which field.
        field: String,
        /// How many values, up to [`BUCKETS_MAX`].
        size: usize,
    },
    /// Documents over event time.
    DateHistogram {
        /// Length of a bucket, whole milliseconds, one at least; buckets begin at its multiples since 1970.
        interval: Duration,
        /// Also count the most frequent values of this field, so many of them, in each bucket.
        split: Option<(String, usize)>,
    },
}

/// The answer to a search.
#[derive(Debug)]
pub struct SearchResponse {
    /// Documents that match, exactly.
    pub total: u64,
    /// The first of them, in order.
    pub hits: Vec<Hit>,
    /// One for each aggregation asked for, in the same order.
    pub aggregations: Vec<AggregationResult>,
    /// How long it took.
    pub took: Duration,
}

/// One document.
#[derive(Debug)]
pub struct Hit {
    /// Its `_id`.
    pub id: String,
    /// Its place in the order.
    pub cursor: Cursor,
    /// All of it, flat and dotted, as indexed.
    pub document: Box<RawValue>,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregationResult {
    /// Of [`Aggregation::Terms`].
    Terms {
        /// Value and number of documents, the most frequent first.
        buckets: Vec<(String, u64)>,
        /// Documents whose value is not among the buckets.
        other: u64,
    },
    /// Of [`Aggregation::DateHistogram`], in order of time; buckets without a document are left out.
    DateHistogram {
        /// The buckets.
        buckets: Vec<TimeBucket>,
    },
}

/// One bucket of a date histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeBucket {
    /// Its first nanosecond since 1970.
    pub start: i64,
    /// Documents in it.
    pub count: u64,
    /// The most frequent values of the split field among them.
    pub split: Vec<(String, u64)>,
}

/// A field that documents have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its dotted name.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a field holds, as far as a searcher cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Exact values.
    Keyword,
    /// Words.
    Text,
    /// Numbers.
    Number,
    /// True or false.
    Boolean,
    /// Moments.
    Date,
    /// Addresses.
    Ip,
    /// Shown, not searched; or an object of keywords.
    Other,
}

impl FieldKind {
    /// Of a field of the schema.
    pub fn of(kind: Kind) -> FieldKind {
        match kind {
            Kind::DateNanos => FieldKind::Date,
            Kind::Text => FieldKind::Text,
            Kind::Keyword | Kind::ConstantKeyword => FieldKind::Keyword,
            Kind::Long => FieldKind::Number,
            Kind::Ip => FieldKind::Ip,
            Kind::Stored | Kind::Flattened | Kind::GeoPoint => FieldKind::Other,
        }
    }
}

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// What was asked for is not possible, here or at all; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The index does not answer, or not now.
    #[error("the index does not answer: {0}")]
    Unavailable(String),
    /// The index answers something that cannot be read.
    #[error("the index answers something unexpected: {0}")]
    Unexpected(String),
}

impl SearchError {
    /// Whether the same search may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, SearchError::Unavailable(_))
    }
}

/// The field that `name` means, if its values can be counted at all.
pub(crate) fn countable(name: &str) -> Result<FieldPath, SearchError> {
    let path = FieldPath::resolve(name).map_err(SearchError::Refused)?;
    let reason = match (&path, path.kind()) {
        (_, Some(Kind::Text)) => "it is text",
        (_, Some(Kind::Stored)) => "it is shown but not searched",
        (_, Some(Kind::Flattened | Kind::GeoPoint)) => "it is an object",
        (_, Some(Kind::DateNanos)) => "it is a moment; count over time instead",
        (FieldPath::Inner(..), _) => "it stands inside an object that is indexed as one field",
        _ => return Ok(path),
    };
    Err(SearchError::Refused(format!("{path} cannot be counted by value: {reason}")))
}

/// The documents that are dead letters.
pub(crate) fn dead_letters() -> Query {
    Query::Test(FieldPath::Schema(Field::DataStreamDataset), Test::Is(DEAD_LETTER_DATASET.to_owned()))
}

/// Whether a query asks for dead letters: they are shown to nobody else.
pub(crate) fn wants_dead_letters(query: &Query) -> bool {
    match query {
        Query::And(parts) | Query::Or(parts) => parts.iter().any(wants_dead_letters),
        Query::Not(inner) => wants_dead_letters(inner),
        other => *other == dead_letters(),
    }
}

/// An index that can be searched.
pub trait Search: Send + Sync + 'static {
    /// Answers one search.
    fn search(
        &self,
        request: &SearchRequest,
    ) -> impl Future<Output = Result<SearchResponse, SearchError>> + Send;

    /// The fields that documents have, sorted by name: those of the schema that are in use, labels, attributes.
    fn fields(&self) -> impl Future<Output = Result<Vec<FieldInfo>, SearchError>> + Send;
}
