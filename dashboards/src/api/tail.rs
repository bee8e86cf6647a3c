//! New records as server-sent events.
//!
//! * `ready`, data `{}`: whatever becomes searchable from now on will be told of.
//! * `records`, data `{hits: [{id, cursor, document}], left_out}`: new records, the newest first, and how many more came
//!   than are sent: who wants those too searches again.
//! * a comment every 15 seconds, so that nobody takes silence for an end.
//!
//! A record's `event.ingested` is set before it can be found, and not in the order in which records can be found. So
//! each look covers the last minute, and what was sent is remembered; how many came in all is told by a count.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_indexer::{Hit, Search, SearchRequest};
use weir_record::query::{FieldPath, Test};
use weir_record::{Field, Query};

use super::parameters::{Parameters, now};
use super::records::HitBody;
use super::{ApiError, Page};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A look takes at most one part in so many of the time: a slow index is asked less often.
const LOOK_SHARE: u32 = 10;

/// How long a record may take from `event.ingested` until it can be found, clocks that differ included.
const INDEXING_MAX: Duration = Duration::from_secs(60);

/// Most records of one event.
const RECORDS_MAX: usize = 200;

/// Records remembered at the first look, so that they are not taken for new ones.
const REMEMBERED_AT_START: usize = 1_000;

/// Most bytes of documents of one event.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// Events that wait for the client; a slow one gets fewer, which leave more out.
const EVENTS_AHEAD: usize = 2;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct Records {
    hits: Vec<HitBody>,
    left_out: u64,
}

pub(super) async fn tail<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let query = parameters.query()?;
    let Ok(permit) = page.tails.clone().try_acquire_owned() else {
        return Err(ApiError::unavailable("too many pages follow new records already".to_owned()));
    };
    let follower = Follower::start(&page, query).await?;
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(async move {
        let _permit = permit;
        let mut stopping = page.stopping.clone();
        tokio::select! {
            () = follow(&page, follower, &sender) => {}
            () = sender.closed() => {}
            _ = stopping.changed() => {}
        }
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("still here");
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(keep_alive).into_response())
}

async fn follow<S: Search>(
    page: &Page<S>,
    mut follower: Follower,
    sender: &mpsc::Sender<Result<Event, Infallible>>,
) {
    if sender.send(Ok(Event::default().event("ready").data("{}"))).await.is_err() {
        return;
    }
    let mut took = Duration::ZERO;
    loop {
        tokio::time::sleep(LOOK_EVERY.max(took * LOOK_SHARE)).await;
        let started = Instant::now();
        let records = match follower.look(page).await {
            Ok(records) => records,
            Err(error) if error.is_permanent() => return,
            // The next look counts what came meanwhile.
            Err(_) => continue,
        };
        took = started.elapsed();
        if records.hits.is_empty() && records.left_out == 0 {
            continue;
        }
        let Ok(event) = Event::default().event("records").json_data(&records) else { return };
        if sender.send(Ok(event)).await.is_err() {
            return;
        }
    }
}

/// What one tail knows.
struct Follower {
    query: Query,
    /// Nanoseconds since 1970 from which on records are counted.
    since: i64,
    /// Of the records counted, how many were there before, were sent, or were told of as left out.
    accounted: u64,
    /// Records that were there before or were sent, and when they were seen.
    seen: HashMap<String, Instant>,
}

impl Follower {
    /// Takes note of what is there.
    async fn start<S: Search>(page: &Page<S>, query: Query) -> Result<Follower, ApiError> {
        let since = indexing_since();
        let mut follower = Follower { query, since, accounted: 0, seen: HashMap::new() };
        let there = page.ask(&follower.request(since, REMEMBERED_AT_START)).await?;
        follower.accounted = there.total;
        let now = Instant::now();
        follower.seen = there.hits.into_iter().map(|hit| (hit.id, now)).collect();
        Ok(follower)
    }

    /// What is new since the last look.
    async fn look<S: Search>(&mut self, page: &Page<S>) -> Result<Records, ApiError> {
        let total = page.ask(&self.request(self.since, 0)).await?.total;
        let hits = page.ask(&self.request(indexing_since().max(self.since), RECORDS_MAX)).await?.hits;
        let now = Instant::now();
        self.seen.retain(|_, seen| now.duration_since(*seen) < 2 * INDEXING_MAX);
        let unseen = hits.into_iter().filter(|hit| self.seen.insert(hit.id.clone(), now).is_none());
        let hits = fitting(unseen);
        self.accounted += u64::try_from(hits.len()).unwrap_or(u64::MAX);
        // What came between the two searches was sent already: it is counted, and owed, the next time.
        let left_out = total.saturating_sub(self.accounted);
        self.accounted += left_out;
        Ok(Records { hits, left_out })
    }

    fn request(&self, since: i64, limit: usize) -> SearchRequest {
        let ingested = Query::Test(
            FieldPath::Schema(Field::EventIngested),
            Test::Moments(Bound::Included(since), Bound::Unbounded),
        );
        SearchRequest { limit, ..SearchRequest::new(self.query.clone().and(ingested)) }
    }
}

/// As many as one event holds.
fn fitting(unseen: impl Iterator<Item = Hit>) -> Vec<HitBody> {
    let mut bytes = 0;
    let fits = |hit: &Hit| {
        bytes += hit.document.get().len();
        bytes <= EVENT_BYTES_MAX
    };
    unseen.take_while(fits).map(HitBody::from).collect()
}

fn indexing_since() -> i64 {
    now() - i64::try_from(INDEXING_MAX.as_nanos()).unwrap_or(i64::MAX)
}
