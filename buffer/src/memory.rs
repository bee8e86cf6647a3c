//! The buffer within one process: shipper and worker of `weir up`.
//!
//! What it holds is lost with the process, and that is no harm: the positions that the index committed are where the
//! shipper goes on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use weir_record::{FileKey, SourceId};

use crate::ranges::DoneRanges;
use crate::{
    Buffer, BufferError, Claim, ClaimId, Consumer, DELIVERIES_TOGETHER_MAX, Depth, FileLedger, FileRange,
    Position, Push, Pushed, STALLED_AFTER,
};

/// A buffer in memory, bounded in bytes. Clones share it.
#[derive(Clone)]
pub struct MemoryBuffer {
    shared: Arc<Shared>,
}

/// Claims from a [`MemoryBuffer`].
pub struct MemoryConsumer {
    shared: Arc<Shared>,
    name: Arc<str>,
    life: u64,
}

struct Shared {
    bytes_max: u64,
    state: Mutex<State>,
    /// Something may be there to claim.
    claimable: Notify,
}

#[derive(Default)]
struct State {
    files: HashMap<FileKey, FileState>,
    /// By number: the order of pushing.
    entries: BTreeMap<u64, Entry>,
    /// Number of the first entry that was never claimed; those before it are held, or were.
    first_new: u64,
    next: u64,
    bytes: u64,
    gaps: BTreeMap<SourceId, u64>,
    /// Life of each living consumer.
    living: HashMap<Arc<str>, u64>,
    lives: u64,
}

#[derive(Default)]
struct FileState {
    position: Position,
    done: DoneRanges,
    /// Entries that wait, claimed or not.
    held: u64,
}

struct Entry {
    range: FileRange,
    bytes: Bytes,
    deliveries: u32,
    holder: Option<Holder>,
    /// Nobody gets it before that.
    parked_until: Option<Instant>,
}

struct Holder {
    name: Arc<str>,
    life: u64,
    since: Instant,
}

impl MemoryBuffer {
    /// An empty buffer that takes up to `bytes_max` bytes of frames.
    pub fn new(bytes_max: u64) -> MemoryBuffer {
        MemoryBuffer::with_positions(bytes_max, [])
    }

    /// An empty buffer whose files go on at the given offsets, which are pushed and indexed already.
    pub fn with_positions(
        bytes_max: u64,
        positions: impl IntoIterator<Item = (FileKey, u64)>,
    ) -> MemoryBuffer {
        let known = |offset| Position { pushed: Some(offset), indexed: Some(offset) };
        let files = positions
            .into_iter()
            .map(|(file, offset)| (file, FileState { position: known(offset), ..FileState::default() }))
            .collect();
        let state = Mutex::new(State { files, ..State::default() });
        MemoryBuffer { shared: Arc::new(Shared { bytes_max, state, claimable: Notify::new() }) }
    }
}

impl Buffer for MemoryBuffer {
    type Consumer = MemoryConsumer;

    async fn push(&self, frames: &[Push<'_>]) -> Result<Vec<Pushed>, BufferError> {
        let answers = {
            let mut state = self.shared.lock();
            frames.iter().map(|push| state.push(push, self.shared.bytes_max)).collect()
        };
        self.shared.claimable.notify_waiters();
        answers
    }

    async fn positions(&self, files: &[FileKey]) -> Result<Vec<Position>, BufferError> {
        let state = self.shared.lock();
        Ok(files
            .iter()
            .map(|file| state.files.get(file).map(|file| file.position).unwrap_or_default())
            .collect())
    }

    async fn rewind(&self, file: &FileKey, seen: u64, to: u64) -> Result<bool, BufferError> {
        let mut state = self.shared.lock();
        let known =
            state.files.get_mut(file).filter(|known| known.held == 0 && known.position.pushed == Some(seen));
        let Some(known) = known else { return Ok(false) };
        known.position.pushed = Some(to);
        *state.gaps.entry(file.source).or_default() += 1;
        Ok(true)
    }

    async fn depth(&self) -> Result<Depth, BufferError> {
        let state = self.shared.lock();
        Ok(Depth { frames: state.entries.len() as u64, bytes: state.bytes })
    }

    async fn gaps(&self) -> Result<Vec<(SourceId, u64)>, BufferError> {
        Ok(self.shared.lock().gaps.iter().map(|(&source, &count)| (source, count)).collect())
    }

    async fn ledger(&self) -> Result<Vec<FileLedger>, BufferError> {
        let state = self.shared.lock();
        let mut waiting: HashMap<FileKey, DoneRanges> = HashMap::new();
        for Entry { range, .. } in state.entries.values() {
            waiting.entry(range.file).or_default().insert(range.start, range.end);
        }
        let ledger = state.files.iter().map(|(&file, known)| FileLedger {
            file,
            position: known.position,
            done: known.done.ranges(),
            waiting: waiting.get(&file).map(DoneRanges::ranges).unwrap_or_default(),
        });
        Ok(ledger.collect())
    }

    async fn consumer(&self, name: &str) -> Result<MemoryConsumer, BufferError> {
        let mut state = self.shared.lock();
        state.lives += 1;
        let (name, life) = (Arc::<str>::from(name), state.lives);
        state.living.insert(name.clone(), life);
        Ok(MemoryConsumer { shared: self.shared.clone(), name, life })
    }

    async fn acknowledge(&self, claims: &[ClaimId]) -> Result<(), BufferError> {
        let mut state = self.shared.lock();
        claims.iter().for_each(|claim| state.acknowledge(claim));
        drop(state);
        self.shared.claimable.notify_waiters();
        Ok(())
    }

    async fn renew(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        let mut state = self.shared.lock();
        for claim in claims {
            if let Some(holder) = state.holder_if(consumer, claim).and_then(Option::as_mut) {
                holder.since = Instant::now();
            }
        }
        Ok(())
    }

    async fn park(&self, consumer: &str, claims: &[ClaimId], wait: Duration) -> Result<(), BufferError> {
        let until = Instant::now() + wait.min(STALLED_AFTER);
        let mut state = self.shared.lock();
        for claim in claims {
            if let Some(holder) = state.holder_if(consumer, claim) {
                *holder = None;
                if let Some(entry) = state.entries.get_mut(&claim.entry.0) {
                    (entry.deliveries, entry.parked_until) = (0, Some(until));
                }
            }
        }
        drop(state);
        self.shared.claimable.notify_waiters();
        Ok(())
    }

    async fn release(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        let mut state = self.shared.lock();
        for claim in claims {
            if let Some(holder) = state.holder_if(consumer, claim) {
                *holder = None;
            }
        }
        drop(state);
        self.shared.claimable.notify_waiters();
        Ok(())
    }
}

impl Consumer for MemoryConsumer {
    async fn claim(
        &mut self,
        frames_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Claim>, BufferError> {
        let deadline = Instant::now() + wait;
        loop {
            let notified = self.shared.claimable.notified();
            tokio::pin!(notified);
            // Before looking, so that nothing is missed in between.
            notified.as_mut().enable();
            let (claims, wake) = {
                let mut state = self.shared.lock();
                let claims = state.claim(&self.name, self.life, frames_max, bytes_max);
                let wake = state.next_stall(Instant::now()).map_or(deadline, |stall| stall.min(deadline));
                (claims, wake)
            };
            if !claims.is_empty() || Instant::now() >= deadline {
                return Ok(claims);
            }
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.living.get(&self.name) == Some(&self.life) {
            state.living.remove(&self.name);
        }
        drop(state);
        self.shared.claimable.notify_waiters();
    }
}

impl Shared {
    /// The state is consistent between its methods, whichever of them panicked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, push: &Push<'_>, bytes_max: u64) -> Result<Pushed, BufferError> {
        let header = &push.frame.header;
        let range = FileRange { file: header.file, start: header.start, end: header.end };
        let known = self.files.get(&range.file).and_then(|file| file.position.pushed);
        if known.unwrap_or(push.safe) != range.start {
            return Ok(Pushed::Expected(known));
        }
        let bytes = Bytes::copy_from_slice(&push.frame.bytes);
        let length = bytes.len() as u64;
        if self.bytes > 0 && self.bytes + length > bytes_max {
            return Err(BufferError::Full { bytes: self.bytes, bytes_max });
        }
        let file = self.files.entry(range.file).or_default();
        file.position.pushed = Some(range.end);
        if known.is_none() {
            file.position.indexed = file.position.indexed.max(Some(push.safe));
        }
        file.held += 1;
        self.entries
            .insert(self.next, Entry { range, bytes, deliveries: 0, holder: None, parked_until: None });
        self.next += 1;
        self.bytes += length;
        Ok(Pushed::Accepted)
    }

    /// The numbers of the entries that this consumer may have now, then the claims.
    fn claim(&mut self, name: &Arc<str>, life: u64, frames_max: usize, bytes_max: usize) -> Vec<Claim> {
        let now = Instant::now();
        let (mut holds, mut holds_suspect) = (false, false);
        let (mut ordinary, mut suspect) = (Vec::new(), None);
        for (&number, entry) in self.entries.range(..self.first_new) {
            let is_suspect = entry.deliveries >= DELIVERIES_TOGETHER_MAX;
            if self.is_free(entry, now) {
                if is_suspect {
                    suspect = suspect.or(Some(number));
                } else {
                    ordinary.push(number);
                }
            } else if entry.holder.as_ref().is_some_and(|holder| holder.life == life) {
                holds = true;
                holds_suspect |= entry.deliveries > DELIVERIES_TOGETHER_MAX;
            }
        }
        let numbers = match suspect {
            _ if holds_suspect => Vec::new(),
            _ if !ordinary.is_empty() => ordinary,
            Some(suspect) if !holds => vec![suspect],
            Some(_) => Vec::new(),
            None => {
                self.entries.range(self.first_new..).take(frames_max).map(|(&number, _)| number).collect()
            }
        };
        self.hand_out(&numbers, name, life, frames_max, bytes_max)
    }

    /// Whether an entry that was claimed once may be claimed again.
    fn is_free(&self, entry: &Entry, now: Instant) -> bool {
        if entry.parked_until.is_some_and(|until| now < until) {
            return false;
        }
        entry.holder.as_ref().is_none_or(|holder| {
            self.living.get(&holder.name) != Some(&holder.life) || now >= holder.since + STALLED_AFTER
        })
    }

    fn hand_out(
        &mut self,
        numbers: &[u64],
        name: &Arc<str>,
        life: u64,
        frames_max: usize,
        bytes_max: usize,
    ) -> Vec<Claim> {
        let since = Instant::now();
        let mut claims = Vec::new();
        let mut bytes = 0;
        for &number in numbers {
            if claims.len() == frames_max || bytes >= bytes_max {
                break;
            }
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            entry.parked_until = None;
            entry.holder = Some(Holder { name: name.clone(), life, since });
            entry.deliveries += 1;
            bytes += entry.bytes.len();
            self.first_new = self.first_new.max(number + 1);
            claims.push(entry.to_claim(number));
        }
        claims
    }

    fn acknowledge(&mut self, claim: &ClaimId) {
        if let Some(entry) = self.entries.remove(&claim.entry.0) {
            self.bytes -= entry.bytes.len() as u64;
            if let Some(file) = self.files.get_mut(&entry.range.file) {
                file.held -= 1;
            }
        }
        let Some(range) = claim.range else { return };
        if let Some(file) = self.files.get_mut(&range.file)
            && let Some(indexed) = file.position.indexed
        {
            file.position.indexed = Some(file.done.finish(indexed, range.start, range.end));
        }
    }

    /// The holder's place of an entry that `consumer` holds.
    fn holder_if(&mut self, consumer: &str, claim: &ClaimId) -> Option<&mut Option<Holder>> {
        let entry = self.entries.get_mut(&claim.entry.0)?;
        (entry.holder.as_ref()?.name.as_ref() == consumer).then_some(&mut entry.holder)
    }

    /// When the next claim of anybody begins to count as stalled, or the next parked frame comes back.
    fn next_stall(&self, now: Instant) -> Option<Instant> {
        let free_at =
            |entry: &Entry| entry.parked_until.or_else(|| Some(entry.holder.as_ref()?.since + STALLED_AFTER));
        let entries = self.entries.range(..self.first_new);
        entries.filter_map(|(_, entry)| free_at(entry)).filter(|&free| free > now).min()
    }
}

impl Entry {
    fn to_claim(&self, number: u64) -> Claim {
        let id = ClaimId {
            partition: 0,
            lane: 0,
            entry: (number, 0),
            range: Some(self.range),
            bytes: self.bytes.len() as u64,
        };
        Claim { id, bytes: self.bytes.clone(), deliveries: self.deliveries }
    }
}
