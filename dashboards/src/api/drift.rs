//! Lines that no parser understood: their shapes where the shipper is in this process, else their count in the index.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use weir_indexer::{Aggregation, AggregationResult, Search, SearchRequest};
use weir_record::{Field, Query};

use super::parameters::now;
use super::{ApiError, Page};

/// What the index is asked for: the tag of records that no parser understood.
const QUERY: &str = "tags:unparsed";

/// How far back the index is asked, in nanoseconds: a day. What was mended before says nothing.
const PERIOD: i64 = 24 * 3600 * 1_000_000_000;

/// Services that are told of.
const SERVICES_MAX: usize = 100;

/// Knows the shapes of lines that no parser understood.
pub trait DriftSource: fmt::Debug + Send + Sync {
    /// A list of `{service, records, shapes: [{shape, records, first, last}], other_shapes}`, the most frequent first,
    /// times in milliseconds since 1970. A shape holds no value of a line.
    fn services(&self) -> Value;
}

#[derive(Serialize)]
pub(super) struct DriftBody {
    /// `shipper`: since its start, with shapes. `index`: of the last day, counts alone.
    source: &'static str,
    services: Value,
}

#[derive(Serialize)]
struct ServiceCount {
    service: String,
    records: u64,
}

pub(super) async fn drift<S: Search>(State(page): State<Arc<Page<S>>>) -> Result<Json<DriftBody>, ApiError> {
    if let Some(drift) = &page.drift {
        return Ok(Json(DriftBody { source: "shipper", services: drift.services() }));
    }
    let field = Field::ServiceName.name().to_owned();
    let request = SearchRequest {
        limit: 0,
        from: Some(now() - PERIOD),
        aggregations: vec![Aggregation::Terms { field, size: SERVICES_MAX }],
        ..SearchRequest::new(Query::parse(QUERY)?)
    };
    let answer = page.ask(&request).await?.aggregations.into_iter().next();
    let Some(AggregationResult::Terms { buckets, .. }) = answer else {
        return Err(ApiError::unavailable("the index did not count".to_owned()));
    };
    let count = |(service, records)| ServiceCount { service, records };
    let counts: Vec<ServiceCount> = buckets.into_iter().map(count).collect();
    let services = serde_json::to_value(counts).unwrap_or_default();
    Ok(Json(DriftBody { source: "index", services }))
}
