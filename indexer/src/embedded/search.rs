//! Searching all partitions and putting their answers together.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::agg_result::{
    AggregationResult as TantivyResult, AggregationResults, BucketEntries, BucketEntry, BucketResult,
};
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector, Key};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, Searcher, TantivyDocument, TantivyError};
use weir_record::Field;
use weir_record::query::{FieldPath, Query};

use super::document::split_source;
use super::partition::Partition;
use super::query::translate;
use super::schema::Fields;
use super::top::{Found, Place, Top, first_in_order};
use crate::search::{
    Aggregation, AggregationResult, BUCKETS_MAX, Hit, LIMIT_MAX, SearchError, SearchRequest, SearchResponse,
    TimeBucket, countable, dead_letters, wants_dead_letters,
};

/// Memory that the aggregations of one search may take, in bytes.
const AGGREGATION_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Hits of one partition, which has to be kept until they were read.
struct Part {
    searcher: Searcher,
    fields: Fields,
}

/// Runs `request` over the partitions that it may concern.
pub(super) fn search(
    partitions: &[Arc<Partition>],
    request: &SearchRequest,
) -> Result<SearchResponse, SearchError> {
    let started = Instant::now();
    let top = top_of(request)?;
    let aggregations = aggregations_of(&request.aggregations)?;
    let context = || {
        let limits = AggregationLimitsGuard::new(Some(AGGREGATION_BYTES_MAX), None);
        AggContextParams::new(limits, tantivy::tokenizer::TokenizerManager::default())
    };
    let query = without_dead_letters(&request.query);
    let (mut total, mut places, mut counted, mut parts) = (0, Vec::new(), None, Vec::new());
    for partition in partitions.iter().filter(|partition| partition.overlaps(request.from, request.until)) {
        let searcher = partition.reader.searcher();
        let query = translate(&partition.fields, &query, request.from, request.until).map_err(read_error)?;
        let found = if aggregations.is_empty() {
            searcher.search(&query, &top).map_err(read_error)?
        } else {
            let counting = DistributedAggregationCollector::from_aggs(aggregations.clone(), context());
            let (found, counts) = searcher.search(&query, &(copy(&top), counting)).map_err(read_error)?;
            merge(&mut counted, counts)?;
            found
        };
        let Found { total: found_total, first } = found;
        total += found_total;
        let part = parts.len();
        places.extend(first.into_iter().map(|(place, address)| (place, (part, address))));
        parts.push(Part { searcher, fields: partition.fields.clone() });
    }
    let places = first_in_order(places, request.order, top.limit);
    let hits = places.into_iter().map(|(place, at)| hit(&parts, place, at)).collect::<Result<_, _>>()?;
    let counted = counted
        .unwrap_or_default()
        .into_final_result(aggregations, AggregationLimitsGuard::new(Some(AGGREGATION_BYTES_MAX), None))
        .map_err(read_error)?;
    let aggregations = request
        .aggregations
        .iter()
        .enumerate()
        .map(|(index, asked)| result_of(asked, counted.0.get(&index.to_string())))
        .collect();
    Ok(SearchResponse { total, hits, aggregations, took: started.elapsed() })
}

fn top_of(request: &SearchRequest) -> Result<Top, SearchError> {
    if request.limit > LIMIT_MAX {
        return Err(SearchError::Refused(format!("a search returns {LIMIT_MAX} records at most")));
    }
    let after = match &request.after {
        None => None,
        Some(cursor) => Some(
            Place::parse(cursor)
                .ok_or_else(|| SearchError::Refused("the cursor is not one of this index".to_owned()))?,
        ),
    };
    Ok(Top { order: request.order, limit: request.limit, after })
}

fn copy(top: &Top) -> Top {
    Top { order: top.order, limit: top.limit, after: top.after }
}

/// Dead letters stand in the same partitions.
fn without_dead_letters(query: &Query) -> Query {
    if wants_dead_letters(query) {
        query.clone()
    } else {
        query.clone().and(Query::Not(Box::new(dead_letters())))
    }
}

fn hit(parts: &[Part], place: Place, (part, address): (usize, DocAddress)) -> Result<Hit, SearchError> {
    let unexpected = || SearchError::Unexpected("a document without its text".to_owned());
    let Part { searcher, fields } = parts.get(part).ok_or_else(unexpected)?;
    let document: TantivyDocument = searcher.doc(address).map_err(read_error)?;
    let source =
        document.get_first(fields.source).and_then(|value| value.as_bytes()).ok_or_else(unexpected)?;
    let (id, text) = split_source(source).ok_or_else(unexpected)?;
    let document = RawValue::from_string(text.to_owned())
        .map_err(|error| SearchError::Unexpected(format!("a document that is no JSON: {error}")))?;
    Ok(Hit { id: id.to_owned(), cursor: place.cursor(), document })
}

fn aggregations_of(asked: &[Aggregation]) -> Result<Aggregations, SearchError> {
    let mut aggregations = Map::new();
    for (index, aggregation) in asked.iter().enumerate() {
        let value = match aggregation {
            Aggregation::Terms { field, size } => terms(field, *size)?,
            Aggregation::DateHistogram { interval, split } => {
                let interval = format!("{}ms", interval.as_millis().max(1));
                let histogram =
                    json!({"field": Field::Timestamp.name(), "fixed_interval": interval, "min_doc_count": 1});
                let mut value = json!({"date_histogram": histogram});
                if let (Some((field, size)), Some(members)) = (split, value.as_object_mut()) {
                    members.insert("aggs".to_owned(), json!({"split": terms(field, *size)?}));
                }
                value
            }
        };
        aggregations.insert(index.to_string(), value);
    }
    serde_json::from_value(Value::Object(aggregations))
        .map_err(|error| SearchError::Unexpected(format!("an aggregation was not understood: {error}")))
}

fn terms(field: &str, size: usize) -> Result<Value, SearchError> {
    let path = counted_field(field)?;
    let size = size.clamp(1, BUCKETS_MAX);
    Ok(json!({"terms": {"field": Fields::column(&path), "size": size, "segment_size": BUCKETS_MAX}}))
}

/// The field that a name means, if its values are in a column.
fn counted_field(name: &str) -> Result<FieldPath, SearchError> {
    let path = countable(name)?;
    match &path {
        FieldPath::Schema(field) if !Fields::is_counted(*field) => Err(SearchError::Refused(format!(
            "{path} cannot be counted by value in the embedded index: nearly every record has another value"
        ))),
        _ => Ok(path),
    }
}

fn merge(
    counted: &mut Option<IntermediateAggregationResults>,
    more: IntermediateAggregationResults,
) -> Result<(), SearchError> {
    match counted {
        None => {
            *counted = Some(more);
            Ok(())
        }
        Some(counted) => counted.merge_fruits(more).map_err(read_error),
    }
}

fn result_of(asked: &Aggregation, result: Option<&TantivyResult>) -> AggregationResult {
    match (asked, result) {
        (
            Aggregation::Terms { .. },
            Some(TantivyResult::BucketResult(BucketResult::Terms { buckets, sum_other_doc_count, .. })),
        ) => AggregationResult::Terms {
            buckets: buckets.iter().map(value_count).collect(),
            other: *sum_other_doc_count,
        },
        (Aggregation::Terms { .. }, _) => AggregationResult::Terms { buckets: Vec::new(), other: 0 },
        (
            Aggregation::DateHistogram { .. },
            Some(TantivyResult::BucketResult(BucketResult::Histogram {
                buckets: BucketEntries::Vec(buckets),
            })),
        ) => AggregationResult::DateHistogram { buckets: buckets.iter().map(time_bucket).collect() },
        (Aggregation::DateHistogram { .. }, _) => AggregationResult::DateHistogram { buckets: Vec::new() },
    }
}

fn value_count(bucket: &BucketEntry) -> (String, u64) {
    let value = match (&bucket.key_as_string, &bucket.key) {
        (Some(text), _) | (None, Key::Str(text)) => text.clone(),
        (None, Key::I64(number)) => number.to_string(),
        (None, Key::U64(number)) => number.to_string(),
        (None, Key::F64(number)) => number.to_string(),
    };
    (value, bucket.doc_count)
}

fn time_bucket(bucket: &BucketEntry) -> TimeBucket {
    const NANOS_PER_MILLISECOND: i64 = 1_000_000;
    let milliseconds = match bucket.key {
        Key::F64(key) => key.round() as i64,
        Key::I64(key) => key,
        _ => 0,
    };
    TimeBucket {
        start: milliseconds.saturating_mul(NANOS_PER_MILLISECOND),
        count: bucket.doc_count,
        split: split_of(&bucket.sub_aggregation),
    }
}

fn split_of(results: &AggregationResults) -> Vec<(String, u64)> {
    match results.0.get("split") {
        Some(TantivyResult::BucketResult(BucketResult::Terms { buckets, .. })) => {
            buckets.iter().map(value_count).collect()
        }
        _ => Vec::new(),
    }
}

fn read_error(error: TantivyError) -> SearchError {
    match error {
        TantivyError::InvalidArgument(reason) => SearchError::Refused(reason),
        TantivyError::AggregationError(error) => SearchError::Refused(error.to_string()),
        other => SearchError::Unexpected(other.to_string()),
    }
}
