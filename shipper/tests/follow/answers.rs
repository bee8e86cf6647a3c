//! Answers of the buffer that never arrive: what was pushed is in it all the same, and it may lose that too.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use weir_buffer::{
    Buffer, BufferError, ClaimId, Depth, FileLedger, MemoryBuffer, MemoryConsumer, Position, Push, Pushed,
};
use weir_record::{FileKey, SourceId};
use weir_shipper::{Mode, Shipper};

use crate::rig::{DEADLINE, Rig, append};

/// A buffer that does not answer to one batch, and that can be put back to another state.
struct Unsure {
    inner: Mutex<MemoryBuffer>,
    /// It takes nothing.
    is_away: AtomicBool,
    /// It does not tell where files stand.
    is_silent: AtomicBool,
    /// How often it was asked that.
    asked: AtomicUsize,
    /// Frames of the batch whose answer was lost.
    unanswered: AtomicUsize,
}

impl Unsure {
    fn new(inner: MemoryBuffer) -> Arc<Unsure> {
        Arc::new(Unsure {
            inner: Mutex::new(inner),
            is_away: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
        })
    }

    /// Waits until it was asked so often.
    async fn asked(&self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.asked.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "it is not asked where files stand");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn inner(&self) -> MemoryBuffer {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put_back(&self, buffer: MemoryBuffer) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = buffer;
    }
}

impl Buffer for Unsure {
    type Consumer = MemoryConsumer;

    async fn push(&self, frames: &[Push<'_>]) -> Result<Vec<Pushed>, BufferError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(BufferError::Full { bytes: 1, bytes_max: 1 });
        }
        let answers = self.inner().push(frames).await?;
        if frames.len() > 1 && self.unanswered.load(Ordering::SeqCst) == 0 {
            self.unanswered.store(frames.len(), Ordering::SeqCst);
            return Err(BufferError::Full { bytes: 1, bytes_max: 1 });
        }
        Ok(answers)
    }

    async fn positions(&self, files: &[FileKey]) -> Result<Vec<Position>, BufferError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(BufferError::Full { bytes: 1, bytes_max: 1 });
        }
        self.inner().positions(files).await
    }

    async fn rewind(&self, file: &FileKey, seen: u64, to: u64) -> Result<bool, BufferError> {
        self.inner().rewind(file, seen, to).await
    }

    async fn depth(&self) -> Result<Depth, BufferError> {
        self.inner().depth().await
    }

    async fn gaps(&self) -> Result<Vec<(SourceId, u64)>, BufferError> {
        self.inner().gaps().await
    }

    async fn ledger(&self) -> Result<Vec<FileLedger>, BufferError> {
        self.inner().ledger().await
    }

    async fn consumer(&self, name: &str) -> Result<MemoryConsumer, BufferError> {
        self.inner().consumer(name).await
    }

    async fn acknowledge(&self, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.inner().acknowledge(claims).await
    }

    async fn renew(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.inner().renew(consumer, claims).await
    }

    async fn park(&self, consumer: &str, claims: &[ClaimId], wait: Duration) -> Result<(), BufferError> {
        self.inner().park(consumer, claims, wait).await
    }

    async fn release(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.inner().release(consumer, claims).await
    }
}

/// Waits until the one file is in the buffer up to `end`.
async fn pushed_to(buffer: &Unsure, end: u64, what: &str) -> FileKey {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let files = buffer.ledger().await.expect("a ledger");
        if let Some(file) = files.iter().find(|file| file.position.pushed == Some(end)) {
            return file.file;
        }
        assert!(Instant::now() < deadline, "{what}: {files:?} instead of {end}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The answer to the first of these frames is the end of the last: the follower goes there, has nothing to send, and
/// counts what it would send as another try. Of the end of the file the pushing task only knows the try before.
#[tokio::test]
async fn what_was_pushed_without_an_answer_and_lost_after_it_is_sent_again() {
    let rig = Rig::new().await;
    // Lines that do not compress: several frames.
    let words = (0_u64..30_000).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29));
    let text: String = words.map(|word| format!("{word:016x}{:016x}\n", word.wrapping_mul(word))).collect();
    append(&rig.log("a.log"), &text);
    let end = fs::metadata(rig.log("a.log")).expect("there").len();

    let buffer = Unsure::new(MemoryBuffer::new(1 << 30));
    buffer.is_away.store(true, Ordering::SeqCst);
    let shipper = Shipper::new(rig.settings(Mode::Follow)).expect("started");
    let progress = shipper.progress();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(shipper.run(Arc::clone(&buffer), async {
        drop(stopped.await);
    }));
    let deadline = Instant::now() + DEADLINE;
    while progress.counts().bytes_read < end {
        assert!(Instant::now() < deadline, "it is not read to its end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // All but the first frame wait, and come together.
    buffer.is_away.store(false, Ordering::SeqCst);
    let file = pushed_to(&buffer, end, "it is not pushed to its end").await;
    assert!(buffer.unanswered.load(Ordering::SeqCst) > 1, "the answer to several frames was lost");
    let rewinds = || progress.counts().rewinds;
    while rewinds() == 0 {
        assert!(Instant::now() < deadline, "the answer came all the same");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    buffer.put_back(MemoryBuffer::with_positions(1 << 30, [(file, 0)]));
    pushed_to(&buffer, end, "what was lost is not sent again").await;
    drop(stop);
    running.await.expect("no panic").expect("a clean end");
}

/// Which file is a copy of which is only known with the contents of the last life, and these are followed only when the
/// buffer has told where they stand.
#[tokio::test]
async fn a_start_that_is_stopped_while_the_buffer_is_away_takes_no_copy_for_a_file_of_its_own() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 20);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.acknowledge().await;
    rig.stop().await;
    rig.append("a.log", 5);
    rig.copytruncate("a.log", "a.log.1");

    let buffer = Unsure::new(MemoryBuffer::clone(&rig.buffer));
    buffer.is_silent.store(true, Ordering::SeqCst);
    let shipper = Shipper::new(rig.settings(Mode::Follow)).expect("started");
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(shipper.run(Arc::clone(&buffer), async {
        drop(stopped.await);
    }));
    buffer.asked(2).await;
    drop(stop);
    // The following thread notices the stop within a few of these.
    buffer.asked(buffer.asked.load(Ordering::SeqCst) + 3).await;
    buffer.is_silent.store(false, Ordering::SeqCst);
    running.await.expect("no panic").expect("a clean end");

    rig.append("a.log", 3);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}
