//! The page's HTTP interface: JSON over GET, nothing that changes anything.
//!
//! `q` is a query, `from` and `until` bound the event time: RFC 3339, milliseconds since 1970, `now`, or `now-15m`.
//!
//! | path | parameters | answer |
//! |---|---|---|
//! | `/api/search` | `q from until limit after order=newest\|oldest` | `{total, took_ms, hits: [{id, cursor, document}]}` |
//! | `/api/histogram` | `q from until buckets` | `{from, until, interval, total, took_ms, buckets: [{start, count, levels}]}`, times in ms |
//! | `/api/terms` | `q from until size field...` | `{took_ms, terms: [{field, total, buckets: [{value, count}], other}]}` |
//! | `/api/fields` | | `{fields: [{name, kind}]}` |
//! | `/api/tail` | `q` | server-sent events, see [`tail`] |
//! | `/api/export` | `q from until order format=ndjson` | every document, one a line |
//! | `/api/drift` | | `{source: "shipper"\|"index", services: [{service, records, shapes?}]}`, see [`drift`] |
//! | `/api/pipeline` | | `{metrics: [{name, labels, value}]}` of the pipeline in this process, else `{metrics: null}` |
//! | `/api/audit` | `since` | the report of an audit, see `weir audit --json` |
//! | `/metrics` | | the same numbers as Prometheus reads them |
//! | `/ready` | | 200 when the index answers, else 503 |
//!
//! Errors: `{error, position?}` with 400 (the request is wrong), 403 (another site asks) or 503 (the index does not
//! answer); `position` counts the characters of `q` before the fault.

mod counts;
mod drift;
mod error;
mod export;
mod moment;
mod parameters;
mod pipeline;
mod records;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::sync::{Semaphore, watch};
use weir_indexer::{Search, SearchRequest, SearchResponse};
use weir_record::Query;

pub use drift::DriftSource;
pub(crate) use error::ApiError;
pub use pipeline::{Audited, Pipeline};

/// Most searches at one time; more wait.
const SEARCHES_MAX: usize = 16;

/// Longest time for a search, its waiting included.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time for the question whether the index answers.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Most open tails: each asks the index twice a second.
const TAILS_MAX: usize = 32;

/// Most exports at one time: each reads as fast as its client.
const EXPORTS_MAX: usize = 4;

/// What the handlers share.
pub(crate) struct Page<S> {
    search: Arc<S>,
    searches: Semaphore,
    tails: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    audits: Semaphore,
    drift: Option<Arc<dyn DriftSource>>,
    pipeline: Option<Arc<dyn Pipeline>>,
    /// Closed when the page is to stop.
    stopping: watch::Receiver<()>,
}

impl<S: Search> Page<S> {
    pub(crate) fn new(
        search: Arc<S>,
        stopping: watch::Receiver<()>,
        drift: Option<Arc<dyn DriftSource>>,
        pipeline: Option<Arc<dyn Pipeline>>,
    ) -> Page<S> {
        Page {
            search,
            searches: Semaphore::new(SEARCHES_MAX),
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            audits: Semaphore::new(1),
            drift,
            pipeline,
            stopping,
        }
    }

    /// Asks the index, within bounds of number and time.
    async fn ask(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        self.bounded(SEARCH_TIMEOUT, self.search.search(request)).await
    }

    async fn bounded<T, E: Into<ApiError>>(
        &self,
        timeout: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError> {
        let answer = async {
            let _permit = self.searches.acquire().await;
            answer.await
        };
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(ApiError::unavailable(format!(
                "no answer within {} seconds: narrow the time range or the query",
                timeout.as_secs()
            ))),
        }
    }
}

pub(crate) fn routes<S: Search>(page: Arc<Page<S>>) -> Router {
    Router::new()
        .route("/api/search", get(records::search))
        .route("/api/histogram", get(counts::histogram))
        .route("/api/terms", get(counts::terms))
        .route("/api/fields", get(counts::fields))
        .route("/api/drift", get(drift::drift::<S>))
        .route("/api/pipeline", get(pipeline::pipeline::<S>))
        .route("/api/audit", get(pipeline::audit::<S>))
        .route("/metrics", get(pipeline::metrics::<S>))
        .route("/api/tail", get(tail::tail))
        .route("/api/export", get(export::export))
        .route("/ready", get(ready))
        .with_state(page)
}

async fn ready<S: Search>(State(page): State<Arc<Page<S>>>) -> Result<&'static str, ApiError> {
    let nothing = SearchRequest { limit: 0, until: Some(0), ..SearchRequest::new(Query::All) };
    page.bounded(READY_TIMEOUT, page.search.search(&nothing)).await?;
    Ok("ready\n")
}
