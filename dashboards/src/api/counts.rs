//! What is counted: records over time, values of fields, and which fields there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use weir_indexer::{
    Aggregation, AggregationResult, FieldKind, Order, Search, SearchRequest, SearchResponse, TimeBucket,
};
use weir_record::{Field, Timestamp};

use super::moment::to_milliseconds;
use super::parameters::{Parameters, now};
use super::{ApiError, Page, SEARCH_TIMEOUT};

const BUCKETS_DEFAULT: usize = 100;
const BUCKETS_MAX: usize = 500;

const VALUES_DEFAULT: usize = 10;
const VALUES_MAX: usize = 1_000;

/// Most fields whose values are counted in one request.
const FIELDS_MAX: usize = 20;

/// More than there are levels.
const LEVELS_MAX: usize = 16;

/// The name under which records without a level are counted.
const NO_LEVEL: &str = "none";

/// Shown where there is no record and no time range: milliseconds.
const EMPTY_SPAN: i64 = 15 * 60_000;

/// Lengths of buckets that people can read, in milliseconds.
const INTERVALS: [i64; 33] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];
const DAY: i64 = 86_400_000;

#[derive(Serialize)]
pub(super) struct Histogram {
    from: i64,
    until: i64,
    interval: i64,
    total: u64,
    took_ms: u64,
    buckets: Vec<HistogramBucket>,
}

#[derive(Serialize)]
struct HistogramBucket {
    start: i64,
    count: u64,
    levels: BTreeMap<String, u64>,
}

pub(super) async fn histogram<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Json<Histogram>, ApiError> {
    let mut request = parameters.selection()?;
    let wanted = parameters.count("buckets", BUCKETS_DEFAULT, BUCKETS_MAX)?;
    let (from, until) = bounds(&page, &request).await?;
    let interval = interval(until - from, wanted);
    let length = Duration::from_millis(interval.unsigned_abs());
    let split = Some((Field::LogLevel.name().to_owned(), LEVELS_MAX));
    request.aggregations = vec![Aggregation::DateHistogram { interval: length, split }];
    let response = page.ask(&request).await?;
    let (total, took_ms) = (response.total, milliseconds(response.took));
    let buckets = match response.aggregations.into_iter().next() {
        Some(AggregationResult::DateHistogram { buckets }) => buckets.into_iter().map(bucket).collect(),
        _ => return Err(ApiError::unavailable("the index did not count".to_owned())),
    };
    Ok(Json(Histogram { from, until, interval, total, took_ms, buckets }))
}

/// The span of the histogram in milliseconds: the request's, and where that is open, the records'.
async fn bounds<S: Search>(page: &Page<S>, request: &SearchRequest) -> Result<(i64, i64), ApiError> {
    let first = match request.from {
        Some(from) => Some(to_milliseconds(from)),
        None => edge(page, request, Order::OldestFirst).await?,
    };
    let last = match request.until {
        Some(until) => Some(to_milliseconds(until)),
        None => edge(page, request, Order::NewestFirst).await?.map(|last| last + 1),
    };
    let now = to_milliseconds(now());
    Ok(match (first, last) {
        (Some(first), Some(last)) => (first, last.max(first + 1)),
        (Some(first), None) => (first, now.max(first + 1)),
        (None, last) => (last.unwrap_or(now) - EMPTY_SPAN, last.unwrap_or(now)),
    })
}

/// The time of the first record in this order.
async fn edge<S: Search>(
    page: &Page<S>,
    request: &SearchRequest,
    order: Order,
) -> Result<Option<i64>, ApiError> {
    #[derive(Deserialize)]
    struct Times {
        #[serde(rename = "@timestamp")]
        timestamp: String,
    }
    let response = page.ask(&SearchRequest { order, limit: 1, ..request.clone() }).await?;
    let Some(hit) = response.hits.first() else { return Ok(None) };
    let time = serde_json::from_str::<Times>(hit.document.get())
        .ok()
        .and_then(|times| Timestamp::parse_rfc3339(times.timestamp.as_bytes()));
    Ok(time.map(|time| to_milliseconds(time.nanos())))
}

/// The shortest readable length that makes at most `wanted` buckets of `span` milliseconds.
fn interval(span: i64, wanted: usize) -> i64 {
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    let fits = |interval: &i64| span.div_euclid(*interval) < wanted;
    INTERVALS.into_iter().find(fits).unwrap_or(INTERVALS[INTERVALS.len() - 1])
}

fn bucket(bucket: TimeBucket) -> HistogramBucket {
    let mut levels: BTreeMap<String, u64> = bucket.split.into_iter().collect();
    let counted: u64 = levels.values().sum();
    if bucket.count > counted {
        *levels.entry(NO_LEVEL.to_owned()).or_default() += bucket.count - counted;
    }
    HistogramBucket { start: to_milliseconds(bucket.start), count: bucket.count, levels }
}

#[derive(Serialize)]
pub(super) struct TermsBody {
    took_ms: u64,
    terms: Vec<FieldTerms>,
}

#[derive(Serialize)]
struct FieldTerms {
    field: String,
    total: u64,
    buckets: Vec<ValueCount>,
    other: u64,
}

#[derive(Serialize)]
struct ValueCount {
    value: String,
    count: u64,
}

pub(super) async fn terms<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Json<TermsBody>, ApiError> {
    let fields: Vec<&str> = parameters.all("field").collect();
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        return Err(ApiError::bad_request(format!("name 1 to {FIELDS_MAX} fields: field=service.name")));
    }
    let size = parameters.count("size", VALUES_DEFAULT, VALUES_MAX)?;
    let mut request = parameters.selection()?;
    request.aggregations =
        fields.iter().map(|field| Aggregation::Terms { field: (*field).to_owned(), size }).collect();
    let SearchResponse { total, aggregations, took, .. } = page.ask(&request).await?;
    let terms = fields
        .into_iter()
        .zip(aggregations)
        .filter_map(|(field, result)| match result {
            AggregationResult::Terms { buckets, other } => {
                let buckets = buckets.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
                Some(FieldTerms { field: field.to_owned(), total, buckets, other })
            }
            AggregationResult::DateHistogram { .. } => None,
        })
        .collect();
    Ok(Json(TermsBody { took_ms: milliseconds(took), terms }))
}

#[derive(Serialize)]
pub(super) struct FieldsBody {
    fields: Vec<FieldBody>,
}

#[derive(Serialize)]
struct FieldBody {
    name: String,
    kind: &'static str,
}

pub(super) async fn fields<S: Search>(
    State(page): State<Arc<Page<S>>>,
) -> Result<Json<FieldsBody>, ApiError> {
    let fields = page.bounded(SEARCH_TIMEOUT, page.search.fields()).await?;
    let fields =
        fields.into_iter().map(|field| FieldBody { name: field.name, kind: kind_name(field.kind) }).collect();
    Ok(Json(FieldsBody { fields }))
}

fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword => "keyword",
        FieldKind::Text => "text",
        FieldKind::Number => "number",
        FieldKind::Boolean => "boolean",
        FieldKind::Date => "date",
        FieldKind::Ip => "ip",
        FieldKind::Other => "other",
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_readable_and_never_more_than_wanted() {
        let check =
            |span: i64, wanted, expected| assert_eq!(interval(span, wanted), expected, "{span} {wanted}");
        check(15 * 60_000, 100, 10_000);
        check(3_600_000, 100, 60_000);
        check(7 * DAY, 100, 7_200_000);
        check(1, 100, 1);
        check(0, 1, 1);
        check(300 * 365 * DAY, 100, 365 * DAY);
        for span in [1, 999, 60_001, 86_400_001, 40 * DAY] {
            for wanted in [20, 77, 200] {
                let buckets = span / interval(span, wanted);
                assert!(buckets < i64::try_from(wanted).unwrap(), "{span} {wanted}: {buckets}");
            }
        }
    }

    #[test]
    fn records_without_a_level_are_counted_too() {
        let counted = bucket(TimeBucket {
            start: 5_999_999,
            count: 10,
            split: vec![("error".to_owned(), 3), ("info".to_owned(), 5)],
        });
        assert_eq!(counted.start, 5);
        assert_eq!(counted.levels.get("none"), Some(&2));
        assert_eq!(counted.levels.get("error"), Some(&3));
    }
}
