//! One bulk, until every document of it has a final outcome or is parked.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_buffer::{Buffer, ClaimId};
use weir_indexer::{Batch, DeadLetter, Index, IndexError, Outcome};

use crate::backoff::Backoff;
use crate::letters;
use crate::limits::Signal;
use crate::load::now;
use crate::worker::Shared;

/// An overloaded index is sent less at once, but not at once less than this, in bytes: an index that takes no bulk of
/// this size is short of something else, and many small bulks are more work for it, not less.
const OVERLOADED_BYTES_MIN: usize = 1024 * 1024;

/// After so many attempts, some three seconds, it may be that it never takes that much: its limit
/// (`indexing_pressure.memory.limit`) is small, or others fill it. From then on it is sent as little as it takes.
const OVERLOADED_ATTEMPTS_MAX: u32 = 5;

/// Attempts that store nothing of a stream before its records are parked: about ten seconds.
const STANDSTILLS_MAX: u32 = 8;

/// What is left to do of a bulk.
struct Delivery<B, I> {
    shared: Arc<Shared<B, I>>,
    batch: Arc<Batch>,
    /// Items without a final outcome, ascending.
    pending: Vec<u32>,
    /// Frames that are not acknowledged yet: their numbers in the batch, ascending.
    claims: Vec<(u32, ClaimId)>,
    /// When it was first sent, nanoseconds since 1970.
    began: i64,
    attempts: u32,
    /// Most items of one attempt: halved when the index is overloaded, because it may be this bulk alone that is
    /// more than it ever takes.
    items_max: usize,
    /// Attempts in a row that stored nothing of a stream.
    standstills: BTreeMap<String, u32>,
    /// Whether it was told that the index puts these documents off.
    is_told: bool,
}

/// How an attempt went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Every document of it has a final outcome, or is parked.
    Finished,
    /// Some are to be sent again later.
    Partly,
    /// All are.
    Standstill,
}

/// What an attempt did to one stream.
#[derive(Default)]
struct Tally {
    finished: usize,
    put_off: usize,
    /// Why it takes nothing before somebody mends it.
    blocked: Option<String>,
    reason: String,
}

/// Delivers a batch and acknowledges its frames; returns the batch, for its memory. `first`: the first attempt, of all
/// items, which was begun in the order of claiming.
pub(crate) async fn run<B: Buffer, I: Index>(
    shared: Arc<Shared<B, I>>,
    batch: Arc<Batch>,
    claims: Vec<ClaimId>,
    first: impl Future<Output = Result<Vec<Outcome>, IndexError>>,
) -> Arc<Batch> {
    if weir_process::is_sabotaged("acknowledge-early") {
        acknowledge(&shared, &claims).await;
    }
    let pending: Vec<u32> = (0..batch.len() as u32).collect();
    let mut delivery = Delivery {
        items_max: pending.len(),
        shared,
        batch,
        pending,
        claims: (0..).zip(claims).collect(),
        began: now(),
        attempts: 0,
        standstills: BTreeMap::new(),
        is_told: false,
    };
    let mut backoff = Backoff::new();
    // Where how much goes at once is ours to find out, the first attempt may be less than all: it is begun anew.
    let mut first = (!delivery.shared.limits.is_adaptive()).then_some(first);
    loop {
        let sent = delivery.selection().to_vec();
        let answer = match first.take() {
            Some(first) => first.await,
            None => delivery.attempt(&sent).await,
        };
        delivery.attempts = delivery.attempts.saturating_add(1);
        match answer {
            Ok(outcomes) => {
                if !sent.is_empty() {
                    delivery.shared.gate.works();
                }
                let progress = delivery.settle(&sent, outcomes).await;
                delivery.pace(progress, &mut backoff).await;
            }
            Err(error) => delivery.wait(&error, &mut backoff).await,
        }
        if delivery.pending.is_empty() && delivery.claims.is_empty() {
            return delivery.batch;
        }
    }
}

impl<B: Buffer, I: Index> Delivery<B, I> {
    /// What the next attempt sends.
    fn selection(&self) -> &[u32] {
        let items_max = self.items_in(self.shared.limits.bulk_bytes()).min(self.items_max);
        self.pending.get(..items_max.max(1)).unwrap_or(&self.pending)
    }

    /// About so many items have so many bytes.
    fn items_in(&self, bytes: usize) -> usize {
        // What was loaded for this size may be a frame larger.
        if self.batch.bytes() / 2 < bytes {
            return self.batch.len();
        }
        let bytes_per_item = (self.batch.bytes() / self.batch.len().max(1)).max(1);
        (bytes / bytes_per_item).max(1)
    }

    async fn attempt(&self, sent: &[u32]) -> Result<Vec<Outcome>, IndexError> {
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.gate.pass().await;
        let slot = self.shared.limits.acquire().await;
        if self.attempts > 0 {
            self.shared.counters.retried.add(sent.len() as u64);
        }
        let began = Instant::now();
        let answer = self.shared.index.bulk(&self.batch, sent).await;
        let is_put_off =
            |outcomes: &Vec<Outcome>| outcomes.iter().any(|outcome| matches!(outcome, Outcome::Retry { .. }));
        let signal = match &answer {
            Ok(outcomes) if !is_put_off(outcomes) => Signal::Good,
            _ => Signal::Pressure,
        };
        drop(slot);
        self.shared.limits.note(signal, began);
        answer
    }

    /// Takes the outcomes of what was sent, and acknowledges the frames that are done with.
    async fn settle(&mut self, sent: &[u32], outcomes: Vec<Outcome>) -> Progress {
        let counters = Arc::clone(&self.shared.counters);
        if !sent.is_empty() {
            counters.bulks.add(1);
        }
        if outcomes.len() != sent.len() {
            return Progress::Standstill;
        }
        let (mut again, mut refused) = (Vec::new(), Vec::new());
        let tallies = self.tallies(sent, &outcomes);
        for (&item, outcome) in sent.iter().zip(outcomes) {
            match outcome {
                Outcome::Indexed => counters.indexed.add(1),
                Outcome::Duplicate => counters.duplicates.add(1),
                Outcome::Healed { field } => {
                    counters.indexed.add(1);
                    counters.note_healed(self.target(item), field);
                }
                Outcome::Diverted => {
                    counters.indexed.add(1);
                    counters.note_diverted(self.target(item));
                }
                Outcome::Rejected { status, reason } => {
                    refused.extend(self.letter(item, status, reason).map(|letter| (item, letter)));
                }
                Outcome::Retry { .. } | Outcome::Blocked { .. } => again.push(item),
            }
        }
        self.note_streams(&tallies);
        again.extend(self.bury(refused).await);
        again.sort_unstable();
        let finished = sent.len() - again.len();
        counters.documents.add(finished as u64);
        self.pending.splice(..sent.len(), again.iter().copied());
        let parked = self.park_blocked().await;
        self.acknowledge_finished().await;
        match again.len() {
            open if open <= parked => Progress::Finished,
            _ if finished > 0 => Progress::Partly,
            _ => {
                self.tell(&tallies);
                Progress::Standstill
            }
        }
    }

    /// What happened to each stream; nothing where nothing is wrong, now or before.
    fn tallies(&self, sent: &[u32], outcomes: &[Outcome]) -> BTreeMap<String, Tally> {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        let is_quiet = self.standstills.is_empty() && self.shared.streams.are_all_closed();
        if is_quiet && !outcomes.iter().any(Outcome::is_open) {
            return tallies;
        }
        for (&item, outcome) in sent.iter().zip(outcomes) {
            let name = self.target(item);
            if !tallies.contains_key(name) {
                tallies.insert(name.to_owned(), Tally::default());
            }
            let Some(tally) = tallies.get_mut(name) else { continue };
            match outcome {
                Outcome::Blocked { reason } => tally.blocked = Some(reason.clone()),
                Outcome::Retry { reason } => {
                    tally.put_off += 1;
                    reason.clone_into(&mut tally.reason);
                }
                _ => tally.finished += 1,
            }
        }
        tallies
    }

    /// Opens and closes the breakers of streams.
    fn note_streams(&mut self, tallies: &BTreeMap<String, Tally>) {
        for (name, tally) in tallies {
            match &tally.blocked {
                _ if tally.finished > 0 => {
                    self.standstills.remove(name);
                    self.shared.streams.works(name);
                }
                Some(reason) => self.shared.streams.fails(name, reason),
                None => {
                    let standstills = self.standstills.entry(name.clone()).or_default();
                    *standstills += 1;
                    if *standstills >= STANDSTILLS_MAX {
                        self.shared.streams.fails(name, &tally.reason);
                    }
                }
            }
        }
    }

    fn target(&self, item: u32) -> &str {
        self.batch.items().get(item as usize).map(|item| self.batch.target(item)).unwrap_or_default()
    }

    fn letter(&self, item: u32, status: u16, reason: String) -> Option<DeadLetter> {
        let item = self.batch.items().get(item as usize)?;
        Some(DeadLetter {
            id: String::from_utf8_lossy(&item.id.to_text()).into_owned(),
            target: self.batch.target(item).to_owned(),
            pipeline: self.batch.pipeline(item).map(str::to_owned),
            document: Bytes::copy_from_slice(self.batch.document(item)),
            status,
            reason,
            attempts: self.attempts,
            first_time: self.began,
            time: now(),
            replays: 0,
        })
    }

    /// Writes dead letters. Those that nobody takes stop their own stream: their items are answered, to be kept.
    async fn bury(&self, refused: Vec<(u32, DeadLetter)>) -> Vec<u32> {
        let Some((_, letter)) = refused.first() else { return Vec::new() };
        let (documents, status) = (refused.len(), letter.status);
        tracing::warn!(documents, status, "refused documents go to the dead letters");
        let (items, letters): (Vec<u32>, Vec<DeadLetter>) = refused.into_iter().unzip();
        let left = letters::write(&self.shared, &letters).await;
        self.shared.counters.rejected.add((items.len() - left.len()) as u64);
        for (place, reason) in &left {
            let Some(letter) = letters.get(*place) else { continue };
            let reason = format!("its dead letters are refused: {reason}");
            self.shared.streams.fails(&letter.target, &reason);
        }
        left.iter().filter_map(|(place, _)| items.get(*place).copied()).collect()
    }

    /// Parks the frames of streams that take nothing; answers how many items those had pending.
    async fn park_blocked(&mut self) -> usize {
        if self.shared.streams.are_all_closed() {
            return 0;
        }
        let blocked = |item: &u32| {
            let name = self.target(*item);
            self.shared.streams.is_open(name).then(|| Some((self.frame_of(*item)?, name)))?
        };
        let frames: BTreeMap<u32, &str> = self.pending.iter().filter_map(blocked).collect();
        if frames.is_empty() {
            return 0;
        }
        let mut wait = Duration::ZERO;
        for (frame, claim) in &self.claims {
            if let Some(name) = frames.get(frame) {
                wait = wait.max(self.shared.streams.keep(claim.range().map(|range| range.file), name));
            }
        }
        let frames: BTreeSet<u32> = frames.into_keys().collect();
        let before = self.pending.len();
        let batch = Arc::clone(&self.batch);
        self.pending.retain(|item| {
            batch.items().get(*item as usize).is_none_or(|item| !frames.contains(&item.frame))
        });
        let (parked, open) =
            std::mem::take(&mut self.claims).into_iter().partition(|(frame, _)| frames.contains(frame));
        self.claims = open;
        let parked: Vec<ClaimId> = parked.into_iter().map(|(_, claim)| claim).collect();
        park(&self.shared, &parked, wait).await;
        before - self.pending.len()
    }

    fn frame_of(&self, item: u32) -> Option<u32> {
        self.batch.items().get(item as usize).map(|item| item.frame)
    }

    /// A frame is acknowledged only when none of its items is pending.
    async fn acknowledge_finished(&mut self) {
        let mut open: Vec<u32> = self.pending.iter().filter_map(|item| self.frame_of(*item)).collect();
        open.dedup();
        let is_open = |(frame, _): &(u32, ClaimId)| open.binary_search(frame).is_ok();
        let (open, finished) = std::mem::take(&mut self.claims).into_iter().partition(is_open);
        self.claims = open;
        let finished: Vec<ClaimId> = finished.into_iter().map(|(_, claim)| claim).collect();
        if !finished.is_empty() {
            acknowledge(&self.shared, &finished).await;
        }
    }

    fn tell(&mut self, tallies: &BTreeMap<String, Tally>) {
        if !std::mem::replace(&mut self.is_told, true) {
            let reason = tallies.values().find(|tally| tally.put_off > 0).map(|tally| tally.reason.as_str());
            let reason = reason.unwrap_or_default();
            tracing::warn!(documents = self.pending.len(), "the index puts documents off: {reason}");
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
            Progress::Standstill => self.send_less(),
        }
        tokio::time::sleep(backoff.next(None)).await;
    }

    /// The next attempts send half as many documents at once.
    fn send_less(&mut self) {
        let is_patient = self.attempts <= OVERLOADED_ATTEMPTS_MAX;
        let items_min =
            if is_patient { self.items_in(OVERLOADED_BYTES_MIN).min(self.batch.len()).max(1) } else { 1 };
        self.items_max = (self.selection().len() / 2).max(items_min);
    }

    /// Waits after an answer that says nothing of any document. Where it broke off, the bulk may be too large for
    /// something in between: a server that closes the connection while it says 413 is not heard.
    async fn wait(&mut self, error: &IndexError, backoff: &mut Backoff) {
        if matches!(error, IndexError::Overloaded { .. }) || self.attempts.is_multiple_of(2) {
            self.send_less();
        }
        if self.shared.gate.fails(error) {
            self.shared.limits.note(Signal::Outage, Instant::now());
        }
        self.shared.gate.wait(backoff.next(error.retry_after())).await;
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

/// Parks frames, for as long as it takes.
pub(crate) async fn park<B: Buffer, I>(shared: &Shared<B, I>, claims: &[ClaimId], wait: Duration) {
    if claims.is_empty() {
        return;
    }
    let mut backoff = Backoff::new();
    while let Err(error) = shared.buffer.park(&shared.settings.name, claims, wait).await {
        shared.buffer_watch.fails(&error);
        shared.buffer_watch.wait(backoff.next(error.retry_after())).await;
    }
    shared.forget(claims);
}
