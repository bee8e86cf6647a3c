//! Data streams that take nothing: their records wait in the buffer, and all others flow.
//!
//! Frames of such a stream are *parked*: the buffer keeps them aside for a while and then hands them out again, to
//! whichever worker. So nothing of them is in memory here but the name of the stream, and the files that its frames
//! came from. When the wait is over the next frame is the probe; if it is stored, all others follow as they come back.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_record::FileKey;

use crate::backoff::{Backoff, jitter};
use crate::breaker::{Admission, Breaker, BreakerState};
use crate::counters::Counter;

/// How long a stream is left alone at first, and at most. The buffer keeps frames aside for up to a minute.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Frames come back a little later than the probe may go.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// Files whose frames are parked without being decoded; those of others are decoded first. A bound of memory: 4 MiB.
const FILES_MAX: usize = 64 * 1024;

/// A stream that takes nothing.
#[derive(Clone, Debug)]
pub struct BlockedStream {
    /// Its name.
    pub name: String,
    /// Of its breaker; never closed.
    pub state: BreakerState,
    /// What the index said last.
    pub reason: String,
    /// For how long.
    pub since: Instant,
    /// How often a frame of it was parked.
    pub parked: u64,
}

#[derive(Default)]
pub(crate) struct Streams {
    blocked: Mutex<HashMap<String, Blocked>>,
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
    pub(crate) openings: Counter,
    pub(crate) parked: Counter,
}

struct Blocked {
    breaker: Breaker,
    reason: String,
    since: Instant,
    parked: u64,
    files: HashSet<FileKey>,
}

impl Streams {
    /// Whether all streams take what they get.
    pub(crate) fn are_all_closed(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// How long to park a frame of this file, where that is known without looking into it.
    pub(crate) fn park_file(&self, file: &FileKey) -> Option<Duration> {
        if self.are_all_closed() {
            return None;
        }
        let (mut blocked, now) = (self.lock(), Instant::now());
        let stream = blocked.values_mut().find(|stream| stream.files.contains(file))?;
        match stream.breaker.peek(now) {
            Admission::Send => None,
            Admission::Wait(wait) => Some(self.parked(stream, wait)),
        }
    }

    /// How long to park a frame with records of these streams; none where it may be sent, perhaps as the probe.
    pub(crate) fn park<S: AsRef<str>>(&self, file: &FileKey, streams: &[S]) -> Option<Duration> {
        if self.are_all_closed() {
            return None;
        }
        let (mut blocked, now) = (self.lock(), Instant::now());
        for name in streams {
            let Some(stream) = blocked.get_mut(name.as_ref()) else { continue };
            if let Admission::Wait(wait) = stream.breaker.peek(now) {
                if stream.files.len() < FILES_MAX {
                    stream.files.insert(*file);
                }
                return Some(self.parked(stream, wait));
            }
        }
        for name in streams {
            if let Some(stream) = blocked.get_mut(name.as_ref()) {
                stream.breaker.admit(now);
            }
        }
        None
    }

    fn parked(&self, stream: &mut Blocked, wait: Duration) -> Duration {
        stream.parked += 1;
        self.parked.add(1);
        // Spread, so that not all of it comes back at the same moment.
        wait.min(WAIT_MAX).max(WAIT_MIN) + jitter(wait.min(WAIT_MAX) / 2)
    }

    /// How long to park a frame that a stream has just not taken.
    pub(crate) fn keep(&self, file: Option<FileKey>, name: &str) -> Duration {
        let (mut blocked, now) = (self.lock(), Instant::now());
        let Some(stream) = blocked.get_mut(name) else { return WAIT_MIN };
        if stream.files.len() < FILES_MAX {
            stream.files.extend(file);
        }
        match stream.breaker.peek(now) {
            Admission::Send => self.parked(stream, WAIT_MIN),
            Admission::Wait(wait) => self.parked(stream, wait),
        }
    }

    /// The stream takes nothing until somebody mends it.
    pub(crate) fn fails(&self, name: &str, reason: &str) {
        let mut blocked = self.lock();
        let is_new = !blocked.contains_key(name);
        let stream = blocked.entry(name.to_owned()).or_insert_with(|| Blocked {
            breaker: Breaker::new(1, Backoff::between(WAIT_FIRST, WAIT_MAX)),
            reason: String::new(),
            since: Instant::now(),
            parked: 0,
            files: HashSet::new(),
        });
        if stream.breaker.failed(Instant::now(), None) {
            self.openings.add(1);
        }
        if is_new {
            tracing::error!(stream = name, "a data stream takes nothing, its records wait: {reason}");
        }
        reason.clone_into(&mut stream.reason);
        self.count.store(blocked.len(), Ordering::Release);
    }

    /// The stream took something.
    pub(crate) fn works(&self, name: &str) {
        if self.are_all_closed() {
            return;
        }
        let mut blocked = self.lock();
        if let Some(stream) = blocked.remove(name) {
            let seconds = stream.since.elapsed().as_secs_f64();
            tracing::info!(
                stream = name,
                seconds,
                parked = stream.parked,
                "a data stream takes records again"
            );
        }
        self.count.store(blocked.len(), Ordering::Release);
    }

    /// Whether this stream is to be left alone now. Not while its probe is under way.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        !self.are_all_closed()
            && self.lock().get(name).is_some_and(|stream| stream.breaker.state() == BreakerState::Open)
    }

    /// All that take nothing, by name.
    pub(crate) fn blocked(&self) -> Vec<BlockedStream> {
        let mut streams: Vec<BlockedStream> = self
            .lock()
            .iter()
            .map(|(name, stream)| BlockedStream {
                name: name.clone(),
                state: stream.breaker.state(),
                reason: stream.reason.clone(),
                since: stream.since,
                parked: stream.parked,
            })
            .collect();
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        streams
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Blocked>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
