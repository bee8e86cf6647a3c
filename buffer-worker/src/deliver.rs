//! One bulk, until every document of it has a final outcome.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use weir_buffer::{Buffer, ClaimId};
use weir_indexer::{Batch, DeadLetter, Index, IndexError, Outcome};

use crate::backoff::Backoff;
use crate::load::now;
use crate::worker::Shared;

/// An overloaded index is sent less at once, but not less than this, in bytes: an index that takes no bulk of this size
/// is short of something else, and many small bulks are more work for it, not less.
const OVERLOADED_BYTES_MIN: usize = 1024 * 1024;

/// What is left to do of a bulk.
struct Delivery<B, I> {
    shared: Arc<Shared<B, I>>,
    batch: Arc<Batch>,
    /// Items without a final outcome, ascending.
    pending: Vec<u32>,
    /// Frames that are not acknowledged yet: their numbers in the batch, ascending.
    claims: Vec<(u32, ClaimId)>,
    attempts: u32,
    /// Most items of one attempt: halved when the index is overloaded, because it may be this bulk alone that is
    /// more than it ever takes.
    items_max: usize,
    /// Whether it was told that the index puts these documents off.
    is_parked: bool,
}

/// How an attempt went.
enum Progress {
    /// Every document of it has a final outcome.
    Finished,
    /// Some are to be sent again later.
    Partly,
    /// All are.
    Standstill {
        /// What the index says of one of them.
        reason: String,
    },
}

/// Delivers a batch and acknowledges its frames; returns the batch, for its memory. `first`: the first attempt, of all
/// items, which was begun in the order of claiming.
pub(crate) async fn run<B: Buffer, I: Index>(
    shared: Arc<Shared<B, I>>,
    batch: Arc<Batch>,
    claims: Vec<ClaimId>,
    first: impl Future<Output = Result<Vec<Outcome>, IndexError>>,
) -> Arc<Batch> {
    let pending: Vec<u32> = (0..batch.len() as u32).collect();
    let mut delivery = Delivery {
        items_max: pending.len(),
        shared,
        batch,
        pending,
        claims: (0..).zip(claims).collect(),
        attempts: 0,
        is_parked: false,
    };
    let mut backoff = Backoff::new();
    let mut answer = first.await;
    loop {
        delivery.attempts = delivery.attempts.saturating_add(1);
        match answer {
            Ok(outcomes) => {
                delivery.shared.index_watch.works();
                let progress = delivery.settle(outcomes).await;
                delivery.pace(progress, &mut backoff).await;
            }
            Err(error) => delivery.wait(&error, &mut backoff).await,
        }
        if delivery.pending.is_empty() && delivery.claims.is_empty() {
            return delivery.batch;
        }
        answer = delivery.attempt().await;
    }
}

impl<B: Buffer, I: Index> Delivery<B, I> {
    fn selection(&self) -> &[u32] {
        self.pending.get(..self.items_max.max(1)).unwrap_or(&self.pending)
    }

    /// One more attempt.
    async fn attempt(&self) -> Result<Vec<Outcome>, IndexError> {
        self.shared.counters.retried.add(self.selection().len() as u64);
        self.shared.index.bulk(&self.batch, self.selection()).await
    }

    /// Takes the outcomes of the selection, and acknowledges the frames that are done with.
    async fn settle(&mut self, outcomes: Vec<Outcome>) -> Progress {
        let counters = Arc::clone(&self.shared.counters);
        counters.bulks.add(1);
        let sent = self.selection().to_vec();
        if outcomes.len() != sent.len() {
            let reason = format!("{} outcomes for {} documents", outcomes.len(), sent.len());
            return Progress::Standstill { reason };
        }
        let (mut again, mut letters, mut why) = (Vec::new(), Vec::new(), None);
        let (mut indexed, mut duplicates) = (0, 0);
        for (&item, outcome) in sent.iter().zip(outcomes) {
            match outcome {
                Outcome::Indexed => indexed += 1,
                Outcome::Duplicate => duplicates += 1,
                Outcome::Rejected { status, reason } => letters.extend(self.letter(item, status, reason)),
                Outcome::Retry { reason } => {
                    again.push(item);
                    why = Some(reason);
                }
            }
        }
        let finished = sent.len() - again.len();
        if let Some(letter) = letters.first() {
            tracing::warn!(
                documents = letters.len(),
                status = letter.status,
                "refused documents go to the dead letters"
            );
            counters.rejected.add(letters.len() as u64);
            write_letters(&self.shared, letters).await;
        }
        counters.indexed.add(indexed);
        counters.duplicates.add(duplicates);
        counters.documents.add(finished as u64);
        self.pending.splice(..sent.len(), again);
        self.acknowledge_finished().await;
        match why {
            None => Progress::Finished,
            Some(_) if finished > 0 => Progress::Partly,
            Some(reason) => Progress::Standstill { reason },
        }
    }

    fn letter(&self, item: u32, status: u16, reason: String) -> Option<DeadLetter> {
        let item = self.batch.items().get(item as usize)?;
        Some(DeadLetter {
            id: String::from_utf8_lossy(&item.id.to_text()).into_owned(),
            target: self.batch.target(item).to_owned(),
            document: Bytes::copy_from_slice(self.batch.document(item)),
            status,
            reason,
            attempts: self.attempts,
            time: now(),
        })
    }

    /// A frame is acknowledged only when none of its items is pending.
    async fn acknowledge_finished(&mut self) {
        let frame_of = |item: &u32| self.batch.items().get(*item as usize).map(|item| item.frame);
        let mut open: Vec<u32> = self.pending.iter().filter_map(frame_of).collect();
        open.dedup();
        let is_open = |(frame, _): &(u32, ClaimId)| open.binary_search(frame).is_ok();
        let (open, finished) = std::mem::take(&mut self.claims).into_iter().partition(is_open);
        self.claims = open;
        let finished: Vec<ClaimId> = finished.into_iter().map(|(_, claim)| claim).collect();
        if !finished.is_empty() {
            acknowledge(&self.shared, &finished).await;
        }
    }

    /// Waits before the next attempt, where one is needed, and decides how much it sends.
    async fn pace(&mut self, progress: Progress, backoff: &mut Backoff) {
        match progress {
            Progress::Finished => {
                backoff.reset();
                self.items_max = self.items_max.saturating_mul(2);
                return;
            }
            Progress::Partly => backoff.reset(),
            Progress::Standstill { reason } => {
                self.send_less();
                if !self.is_parked {
                    tracing::warn!(documents = self.pending.len(), "the index puts documents off: {reason}");
                }
                self.is_parked = true;
            }
        }
        tokio::time::sleep(backoff.next(None)).await;
    }

    /// The next attempts send half as many documents at once.
    fn send_less(&mut self) {
        let bytes_per_item = (self.batch.bytes() / self.batch.len().max(1)).max(1);
        let items_min = (OVERLOADED_BYTES_MIN / bytes_per_item).max(1);
        self.items_max = (self.selection().len() / 2).max(items_min);
    }

    /// Waits after an answer that says nothing of any document.
    async fn wait(&mut self, error: &IndexError, backoff: &mut Backoff) {
        if let IndexError::Overloaded { .. } = error {
            self.send_less();
        }
        self.shared.index_watch.fails(error);
        self.shared.index_watch.wait(backoff.next(error.retry_after())).await;
    }
}

/// Writes letters, for as long as it takes.
pub(crate) async fn write_letters<B: Buffer, I: Index>(shared: &Shared<B, I>, mut letters: Vec<DeadLetter>) {
    let mut backoff = Backoff::new();
    loop {
        match shared.index.dead_letters(&letters).await {
            Ok(outcomes) => {
                let mut outcomes = outcomes.iter();
                // A letter without an outcome is sent again: it is stored once in any case.
                letters.retain(|_| !outcomes.next().is_some_and(Outcome::is_stored));
                if letters.is_empty() {
                    return;
                }
                tokio::time::sleep(backoff.next(None)).await;
            }
            Err(error) => {
                shared.index_watch.fails(&error);
                shared.index_watch.wait(backoff.next(error.retry_after())).await;
            }
        }
    }
}

/// Acknowledges, for as long as it takes.
pub(crate) async fn acknowledge<B: Buffer, I>(shared: &Shared<B, I>, claims: &[ClaimId]) {
    let mut backoff = Backoff::new();
    while let Err(error) = shared.buffer.acknowledge(claims).await {
        shared.buffer_watch.fails(&error);
        shared.buffer_watch.wait(backoff.next(error.retry_after())).await;
    }
    shared.buffer_watch.works();
    shared.forget(claims);
    shared.counters.frames.add(claims.len() as u64);
    shared.counters.bytes.add(claims.iter().map(ClaimId::bytes).sum());
}
