//! Where frames wait between shippers and workers.
//!
//! A shipper *pushes* the frames of each file in order; the buffer takes a frame only if it begins where the one
//! before ended, and otherwise answers where it wants the file to go on. A worker *claims* frames, and
//! *acknowledges* them when each of their records has a final outcome; only then `indexed`, the offset that the
//! shipper may rely on, moves, and never over a hole. So the log files are the write-ahead log, and the buffer may
//! lose anything at any time.
//!
//! Two implementations keep the same rules: [`RedisBuffer`] between processes, [`MemoryBuffer`] within one.

#![warn(missing_docs)]

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use weir_record::{FileKey, Frame, SourceId};

mod error;
mod memory;
mod ranges;
mod redis;
#[cfg(any(test, feature = "test-server"))]
pub mod testing;

pub use self::redis::{Password, PasswordError, RedisBuffer, RedisConsumer, RedisSettings};
pub use error::BufferError;
pub use memory::{MemoryBuffer, MemoryConsumer};

/// A consumer that was not heard of for this long is dead: others take over what it held.
pub const DEAD_AFTER: Duration = Duration::from_secs(5);

/// A claim that was neither acknowledged nor renewed for this long is stalled, even if its consumer lives.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// How often a frame is delivered among others. After that it is suspected of killing its workers, and comes alone.
pub const DELIVERIES_TOGETHER_MAX: u32 = 3;

/// What the buffer knows about one file, in bytes of that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// End of the last frame that was pushed; none where the file is unknown.
    pub pushed: Option<u64>,
    /// Every record before this offset has a final outcome.
    pub indexed: Option<u64>,
}

/// All that the buffer knows about one file, at one moment: what `weir audit` compares with the file and the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLedger {
    /// Which file.
    pub file: FileKey,
    /// Where it stands.
    pub position: Position,
    /// Ranges that have a final outcome, though something before them has none yet: in order, apart from each other.
    pub done: Vec<Range<u64>>,
    /// Ranges that wait in the buffer, claimed or not: in order, apart from each other.
    pub waiting: Vec<Range<u64>>,
}

impl FileLedger {
    /// Ranges between `indexed` and `pushed` that neither wait nor have an outcome: they vanished from the buffer, and
    /// it has not noticed yet.
    pub fn missing(&self) -> Vec<Range<u64>> {
        let Position { pushed: Some(pushed), indexed: Some(indexed) } = self.position else {
            return Vec::new();
        };
        let mut known: Vec<&Range<u64>> = self.done.iter().chain(&self.waiting).collect();
        known.sort_by_key(|range| range.start);
        let mut missing = Vec::new();
        let mut end = indexed;
        for range in known {
            if range.start > end && end < pushed {
                missing.push(end..range.start.min(pushed));
            }
            end = end.max(range.end);
        }
        if end < pushed {
            missing.push(end..pushed);
        }
        missing
    }
}

/// What became of one pushed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the buffer.
    Accepted,
    /// It does not begin where the buffer's last one of that file ended; nothing changed. That place: none where the
    /// buffer knows nothing of the file, which then has to go on from its safe offset.
    Expected(Option<u64>),
}

/// How much waits, claimed or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Number of frames.
    pub frames: u64,
    /// Their encoded bytes.
    pub bytes: u64,
}

/// One frame to push.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// Where the file may start if the buffer knows nothing of it: its saved `indexed`, or its first offset.
    pub safe: u64,
}

/// One frame that was claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    /// To acknowledge, renew or release it.
    pub id: ClaimId,
    /// The frame as it was pushed. Anybody who can write to the buffer can put anything here.
    pub bytes: Bytes,
    /// How often it was handed out, this time included.
    pub deliveries: u32,
}

/// Names a claimed frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId {
    /// Part of the buffer that holds it.
    pub(crate) partition: u32,
    /// Lane of that part.
    pub(crate) lane: u32,
    /// Its number there: two words, as Redis numbers stream entries.
    pub(crate) entry: (u64, u64),
    /// The bytes of the file that it covers; none for an entry that no shipper wrote.
    pub(crate) range: Option<FileRange>,
    /// Encoded length.
    pub(crate) bytes: u64,
}

impl ClaimId {
    /// The bytes of the file that the frame covers, as the shipper stated them beside the frame.
    pub fn range(&self) -> Option<FileRange> {
        self.range
    }

    /// Encoded length of the frame.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The bytes `[start, end)` of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileRange {
    /// Which file.
    pub file: FileKey,
    /// First byte.
    pub start: u64,
    /// First byte after it.
    pub end: u64,
}

/// A buffer of frames.
pub trait Buffer: Send + Sync + 'static {
    /// Claims from this buffer.
    type Consumer: Consumer;

    /// Pushes frames: one answer per frame, in order. After a mismatch the later frames of the same file do not match
    /// either; those of other files go on.
    ///
    /// # Errors
    /// Some of the frames may have been taken. Push the same ones again: what was taken answers
    /// [`Pushed::Expected`] with a higher offset.
    fn push(&self, frames: &[Push<'_>]) -> impl Future<Output = Result<Vec<Pushed>, BufferError>> + Send;

    /// What is known of each file, in order.
    fn positions(&self, files: &[FileKey])
    -> impl Future<Output = Result<Vec<Position>, BufferError>> + Send;

    /// Sets `pushed` of a file back to `to`, so that what got lost inside the buffer is pushed again. Only if it is
    /// still `seen`, and the buffer holds no frame of the file; else false.
    fn rewind(
        &self,
        file: &FileKey,
        seen: u64,
        to: u64,
    ) -> impl Future<Output = Result<bool, BufferError>> + Send;

    /// How much waits.
    fn depth(&self) -> impl Future<Output = Result<Depth, BufferError>> + Send;

    /// How many gaps were found, ever, of each source that has any. A gap is a frame that vanished from the buffer
    /// before it was indexed, or a range of a file that no frame covered although a later one came. Each was mended by
    /// letting the file go on from there: its shipper sends it again, if the file still exists.
    fn gaps(&self) -> impl Future<Output = Result<Vec<(SourceId, u64)>, BufferError>> + Send;

    /// What is known of every file, in no order. Costs some microseconds a file, in pages between which others go on:
    /// made for audits, not for polling.
    fn ledger(&self) -> impl Future<Output = Result<Vec<FileLedger>, BufferError>> + Send;

    /// A consumer with a name that no living one has.
    fn consumer(&self, name: &str) -> impl Future<Output = Result<Self::Consumer, BufferError>> + Send;

    /// Frees frames whose records all have a final outcome, and advances `indexed` over contiguous ranges. Doing so
    /// twice, or for frames that others claimed since, does no harm.
    fn acknowledge(&self, claims: &[ClaimId]) -> impl Future<Output = Result<(), BufferError>> + Send;

    /// Tells that `consumer` still works on these: they do not count as stalled for another [`STALLED_AFTER`].
    /// Ignores what it does not hold any more.
    fn renew(
        &self,
        consumer: &str,
        claims: &[ClaimId],
    ) -> impl Future<Output = Result<(), BufferError>> + Send;

    /// Puts frames aside that the index does not take for now: nobody gets them before `wait` is over (at most
    /// [`STALLED_AFTER`]), and anybody may then. Meanwhile they do not count as held, and their deliveries count from
    /// the beginning again: whoever parks a frame has survived it.
    fn park(
        &self,
        consumer: &str,
        claims: &[ClaimId],
        wait: Duration,
    ) -> impl Future<Output = Result<(), BufferError>> + Send;

    /// Gives claimed frames back: any consumer may get them at its next claim, with one more delivery counted.
    fn release(
        &self,
        consumer: &str,
        claims: &[ClaimId],
    ) -> impl Future<Output = Result<(), BufferError>> + Send;
}

/// Claims frames; one per worker. When it is dropped, others may claim what it held.
pub trait Consumer: Send + 'static {
    /// About `frames_max` frames of about `bytes_max` bytes at most; waits up to `wait` for the first. Frames that its own
    /// earlier life, dead or stalled consumers held come first. One that was delivered
    /// [`DELIVERIES_TOGETHER_MAX`] times already comes alone: when this consumer holds no other, and no other comes
    /// before it is acknowledged or released.
    ///
    /// Must not be cancelled by dropping the future while others wait for its frames: a claim that was on its way is
    /// redelivered only when it has stalled.
    fn claim(
        &mut self,
        frames_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Claim>, BufferError>> + Send;
}

#[cfg(test)]
mod tests;
