//! What a worker has done so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counted while the worker runs; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) frames: Counter,
    pub(crate) bytes: Counter,
    pub(crate) documents: Counter,
    pub(crate) indexed: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) retried: Counter,
    pub(crate) rejected: Counter,
    pub(crate) covered_frames: Counter,
    pub(crate) poison_frames: Counter,
    pub(crate) bulks: Counter,
    pub(crate) buffer_is_up: Arc<AtomicBool>,
    pub(crate) index_is_up: Arc<AtomicBool>,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that were acknowledged.
    pub frames: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// Documents that have a final outcome: indexed, duplicates and rejected.
    pub documents: u64,
    /// Documents that were stored.
    pub indexed: u64,
    /// Documents that had been stored before.
    pub duplicates: u64,
    /// Times that a document was sent again.
    pub retried: u64,
    /// Documents that went to the dead letters.
    pub rejected: u64,
    /// Frames that were indexed before, and acknowledged without being sent.
    pub covered_frames: u64,
    /// Frames that could not be decoded, and went to the dead letters.
    pub poison_frames: u64,
    /// Bulks that were answered.
    pub bulks: u64,
}

impl Counters {
    /// The numbers now.
    pub fn counts(&self) -> Counts {
        Counts {
            frames: self.frames.get(),
            bytes: self.bytes.get(),
            documents: self.documents.get(),
            indexed: self.indexed.get(),
            duplicates: self.duplicates.get(),
            retried: self.retried.get(),
            rejected: self.rejected.get(),
            covered_frames: self.covered_frames.get(),
            poison_frames: self.poison_frames.get(),
            bulks: self.bulks.get(),
        }
    }

    /// Whether both the buffer and the index did what they were asked last.
    pub fn is_ready(&self) -> bool {
        self.buffer_is_up.load(Ordering::Relaxed) && self.index_is_up.load(Ordering::Relaxed)
    }
}
