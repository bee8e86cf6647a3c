//! Claiming: a task of its own, so that frames come in while bulks are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weir_buffer::{Buffer, BufferError, Claim, Consumer};

use crate::backoff::Backoff;
use crate::worker::Shared;

/// Frames of one claim: small ones come many at a time, so that each does not cost a round trip.
const FRAMES_MAX: usize = 128;

/// Bytes of one claim, encoded: a few milliseconds of decoding.
const BYTES_MAX: usize = 1024 * 1024;

/// How long a claim waits for a frame.
const WAIT: Duration = Duration::from_secs(1);

/// Claims until `stop`, or until nobody takes the claims any more.
///
/// # Errors
/// What no waiting mends.
pub(crate) async fn run<B: Buffer, I>(
    shared: Arc<Shared<B, I>>,
    claims: mpsc::Sender<Vec<Claim>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), BufferError> {
    tokio::select! {
        result = claim_for_ever(&shared, claims) => result,
        // What a claim brings that is broken off here goes to others: this consumer ends.
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    }
}

async fn claim_for_ever<B: Buffer, I>(
    shared: &Shared<B, I>,
    claims: mpsc::Sender<Vec<Claim>>,
) -> Result<(), BufferError> {
    let mut backoff = Backoff::new();
    let mut consumer = None;
    loop {
        match next(shared, &mut consumer).await {
            Ok(found) => {
                backoff.reset();
                shared.buffer_watch.works();
                if !found.is_empty() && claims.send(found).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.is_transient() => {
                shared.buffer_watch.fails(&error);
                tokio::time::sleep(backoff.next(error.retry_after())).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The next claims that have to be indexed.
async fn next<B: Buffer, I>(
    shared: &Shared<B, I>,
    consumer: &mut Option<B::Consumer>,
) -> Result<Vec<Claim>, BufferError> {
    let consumer = match consumer {
        Some(consumer) => consumer,
        None => consumer.insert(shared.buffer.consumer(&shared.settings.name).await?),
    };
    let claims = consumer.claim(FRAMES_MAX, BYTES_MAX, WAIT).await?;
    shared.held().extend(claims.iter().map(|claim| claim.id.clone()));
    match without_covered(shared, &claims).await {
        Ok(left) => Ok(left),
        // They will be acknowledged when they are indexed again, which is no harm.
        Err(error) => {
            tracing::debug!(%error, "cannot tell which frames were indexed before");
            Ok(claims)
        }
    }
}

/// Acknowledges what was indexed before: after a rewind, or a crash between index and acknowledgement.
async fn without_covered<B: Buffer, I>(
    shared: &Shared<B, I>,
    claims: &[Claim],
) -> Result<Vec<Claim>, BufferError> {
    let mut files: Vec<_> =
        claims.iter().filter_map(|claim| claim.id.range()).map(|range| range.file).collect();
    files.sort_unstable();
    files.dedup();
    if files.is_empty() {
        return Ok(claims.to_vec());
    }
    let positions = shared.buffer.positions(&files).await?;
    let indexed: HashMap<_, _> =
        files.into_iter().zip(positions.iter().map(|position| position.indexed)).collect();
    let is_covered = |claim: &Claim| {
        claim.id.range().is_some_and(|range| {
            indexed.get(&range.file).copied().flatten().is_some_and(|indexed| range.end <= indexed)
        })
    };
    let (covered, left): (Vec<Claim>, Vec<Claim>) = claims.iter().cloned().partition(is_covered);
    if !covered.is_empty() {
        let ids: Vec<_> = covered.iter().map(|claim| claim.id.clone()).collect();
        shared.buffer.acknowledge(&ids).await?;
        shared.forget(&ids);
        shared.counters.covered_frames.add(ids.len() as u64);
    }
    Ok(left)
}
