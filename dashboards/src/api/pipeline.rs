//! How the pipeline around the page does: its numbers, its states, its audit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use weir_indexer::Search;
use weir_process::metrics::{Metric, render};

use super::parameters::{Parameters, now};
use super::{ApiError, Page};

/// What an audit answers in the end: its report, or why there is none.
pub type Audited = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// The pipeline in the page's process.
pub trait Pipeline: fmt::Debug + Send + Sync {
    /// Its numbers now; those of one name next to each other.
    fn metrics(&self) -> Vec<Metric>;

    /// Reads the followed files again and compares them with the index. `since`: files that were last written before, in
    /// nanoseconds since 1970, are left alone.
    fn audit(&self, since: Option<i64>) -> Audited;
}

#[derive(Serialize)]
struct Number {
    name: &'static str,
    labels: Map<String, Value>,
    value: f64,
}

impl From<Metric> for Number {
    fn from(metric: Metric) -> Number {
        let labels = metric.labels.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Number { name: metric.name, labels: labels.collect(), value: metric.value }
    }
}

#[derive(Serialize)]
pub(super) struct PipelineBody {
    /// None: the pipeline is not in this process.
    metrics: Option<Vec<Number>>,
}

pub(super) async fn pipeline<S: Search>(State(page): State<Arc<Page<S>>>) -> Json<PipelineBody> {
    let numbers = |pipeline: &Arc<dyn Pipeline>| pipeline.metrics().into_iter().map(Number::from).collect();
    Json(PipelineBody { metrics: page.pipeline.as_ref().map(numbers) })
}

pub(super) async fn metrics<S: Search>(State(page): State<Arc<Page<S>>>) -> String {
    page.pipeline.as_ref().map(|pipeline| render(&pipeline.metrics())).unwrap_or_default()
}

/// Reads much and searches much: one at a time.
pub(super) async fn audit<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let since = parameters.moment("since", now())?;
    let Some(pipeline) = &page.pipeline else {
        return Err(ApiError::unavailable("the files are not followed by this process".to_owned()));
    };
    let Ok(_permit) = page.audits.try_acquire() else {
        return Err(ApiError::unavailable("an audit is under way: try again when it has ended".to_owned()));
    };
    pipeline.audit(since).await.map(Json).map_err(ApiError::unavailable)
}
