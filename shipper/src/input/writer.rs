//! The one writer of a journal: a thread that takes what an input received, writes many pieces at once, and waits for
//! the disk once for all of them (group commit).
//!
//! What waits to be written is bounded in bytes ([`QUEUE_BYTES`]): when the disk is slow or full, the input waits, and
//! with it whoever sends to it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use memchr::{memchr, memrchr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::counters::InputCounters;
use super::journal::{AppendError, Disk, Journal, Storage};
use crate::push::chain;

/// Bytes that may wait to be written, each piece counted as [`PIECE_BYTES_MIN`] at least.
pub const QUEUE_BYTES: usize = 4 << 20;

/// What a piece costs besides its bytes: it bounds how many wait.
const PIECE_BYTES_MIN: usize = 1024;

/// Pieces are written together up to this many bytes.
const GROUP_BYTES: usize = 1 << 20;

/// Lines that nobody waits for are synced this long after they came: one power cut's loss of a protocol that cannot
/// acknowledge.
const SYNC_INTERVAL: Duration = Duration::from_millis(200);

const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What happens to lines that the journal cannot take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Whoever appends them is told: it can tell the sender.
    Refuse,
    /// They wait, and nothing more is read.
    Wait,
}

/// Why lines were not received.
#[derive(Debug, thiserror::Error)]
pub enum RefusedError {
    /// The journal has as many bytes as it may, or the disk is full.
    #[error(transparent)]
    Journal(#[from] Arc<AppendError>),
    /// The input is being stopped.
    #[error("the input is being stopped")]
    Stopping,
}

/// Appends to one journal; clones share it. The journal is closed when the last one is dropped.
#[derive(Clone)]
pub struct JournalWriter {
    queue: SyncSender<Piece>,
    room: Arc<Semaphore>,
}

/// The thread behind the writers of one journal.
#[derive(Debug)]
pub struct WriterEnd {
    ended: oneshot::Receiver<()>,
    closing: Arc<AtomicBool>,
}

struct Piece {
    lines: Vec<u8>,
    mark: Option<Vec<u8>>,
    reply: Option<oneshot::Sender<Result<(), RefusedError>>>,
    _room: OwnedSemaphorePermit,
}

impl JournalWriter {
    /// Opens the journal in `directory` and starts its thread.
    pub fn start(
        directory: PathBuf,
        bytes_max: u64,
        when_full: WhenFull,
        counters: Arc<InputCounters>,
    ) -> io::Result<(JournalWriter, WriterEnd)> {
        JournalWriter::start_on(Disk, directory, bytes_max, when_full, counters)
    }

    fn start_on<S: Storage>(
        storage: S,
        directory: PathBuf,
        bytes_max: u64,
        when_full: WhenFull,
        counters: Arc<InputCounters>,
    ) -> io::Result<(JournalWriter, WriterEnd)> {
        let journal = Journal::open(directory.clone(), bytes_max, storage)?;
        if journal.was_torn() {
            counters.fault();
            tracing::warn!(journal = %directory.display(), "the last line had no end: the shipper or the machine stopped while it was written");
        }
        let (queue, pieces) = sync_channel(QUEUE_BYTES / PIECE_BYTES_MIN);
        let closing = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let thread = WriterThread {
            journal,
            when_full,
            counters,
            closing: Arc::clone(&closing),
            bytes: Vec::new(),
            unsynced_since: None,
            in_trouble: false,
        };
        thread::Builder::new().name("journal".into()).spawn(move || {
            thread.run(&pieces);
            drop(end);
        })?;
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        Ok((JournalWriter { queue, room }, WriterEnd { ended, closing }))
    }

    /// Appends whole lines, each with its newline; resolves when they are on the disk, or are not in the journal.
    /// `mark`: see [`Journal::set_mark`].
    pub async fn append(&self, lines: Vec<u8>, mark: Option<Vec<u8>>) -> Result<(), RefusedError> {
        let (reply, answer) = oneshot::channel();
        self.send(lines, mark, Some(reply)).await?;
        answer.await.unwrap_or(Err(RefusedError::Stopping))
    }

    /// Appends whole lines, each with its newline; resolves when they wait in memory, of which there is little. For
    /// protocols that cannot acknowledge.
    pub async fn push(&self, lines: Vec<u8>) -> Result<(), RefusedError> {
        self.send(lines, None, None).await
    }

    /// Resolves when everything that was pushed before is on the disk.
    pub async fn flush(&self) -> Result<(), RefusedError> {
        self.append(Vec::new(), None).await
    }

    async fn send(
        &self,
        lines: Vec<u8>,
        mark: Option<Vec<u8>>,
        reply: Option<oneshot::Sender<Result<(), RefusedError>>>,
    ) -> Result<(), RefusedError> {
        let cost = lines.len().clamp(PIECE_BYTES_MIN, QUEUE_BYTES) as u32;
        let permits = Arc::clone(&self.room).acquire_many_owned(cost).await;
        // The semaphore is never closed.
        let _room = permits.map_err(|_| RefusedError::Stopping)?;
        match self.queue.try_send(Piece { lines, mark, reply, _room }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(RefusedError::Stopping),
        }
    }
}

impl WriterEnd {
    /// Waits until everything is on the disk and the journal is closed. All writers have to be dropped. Lines that
    /// still cannot be written are given up, and counted.
    pub async fn closed(self) {
        self.closing.store(true, Ordering::Relaxed);
        // The thread drops its end, and sends nothing.
        drop(self.ended.await);
    }
}

struct WriterThread<S> {
    journal: Journal<S>,
    when_full: WhenFull,
    counters: Arc<InputCounters>,
    closing: Arc<AtomicBool>,
    /// The lines of one group.
    bytes: Vec<u8>,
    /// Since when lines wait to be synced.
    unsynced_since: Option<Instant>,
    in_trouble: bool,
}

impl<S: Storage> WriterThread<S> {
    fn run(mut self, pieces: &Receiver<Piece>) {
        loop {
            self.counters.journal_bytes(self.journal.bytes());
            let first = match self.unsynced_since {
                None => pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => {
                    pieces.recv_timeout((since + SYNC_INTERVAL).saturating_duration_since(Instant::now()))
                }
            };
            match first {
                Ok(first) => {
                    let mut group = vec![first];
                    let mut bytes = group.iter().map(|piece| piece.lines.len()).sum::<usize>();
                    while bytes < GROUP_BYTES
                        && let Ok(piece) = pieces.try_recv()
                    {
                        bytes += piece.lines.len();
                        group.push(piece);
                    }
                    self.commit(group);
                }
                // A fault was said, and nobody waits for these lines.
                Err(RecvTimeoutError::Timeout) => drop(self.sync()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        drop(self.sync());
        self.counters.journal_bytes(self.journal.count_rotated().map_or(0, |_| self.journal.bytes()));
    }

    /// Writes a group; syncs it where somebody waits for it, or long enough has passed.
    fn commit(&mut self, group: Vec<Piece>) {
        self.bytes.clear();
        let mut ends = Vec::with_capacity(group.len());
        for piece in &group {
            self.bytes.extend_from_slice(&piece.lines);
            ends.push(self.bytes.len());
        }
        if let Some(mark) = group.iter().rev().find_map(|piece| piece.mark.as_deref()) {
            self.journal.set_mark(mark);
        }
        let (written, fault) = self.write(&ends);
        let is_awaited = group.iter().any(|piece| piece.reply.is_some());
        let is_due = self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_INTERVAL);
        let synced = if is_awaited || is_due { self.sync() } else { Ok(()) };
        for (piece, end) in group.into_iter().zip(ends) {
            let lines = memchr::memchr_iter(b'\n', &piece.lines).count() as u64;
            let outcome = match (&fault, &synced) {
                (Some(error), _) if end > written => Err(Arc::clone(error)),
                (_, Err(error)) => Err(Arc::clone(error)),
                _ => Ok(()),
            };
            match outcome {
                Ok(()) => self.counters.received(lines),
                Err(_) => self.counters.refused(lines),
            }
            if let Some(reply) = piece.reply {
                // Who asked may have gone away meanwhile.
                drop(reply.send(outcome.map_err(RefusedError::Journal)));
            }
        }
    }

    /// Writes the group's bytes, whose pieces have these ends. How many are in the journal, and why not all.
    fn write(&mut self, ends: &[usize]) -> (usize, Option<Arc<AppendError>>) {
        let mut written = 0;
        let mut backoff = BACKOFF_MIN;
        while let Some(end) = self.next_end(written, ends) {
            self.unsynced_since.get_or_insert_with(Instant::now);
            let Err(error) = self.journal.append(self.bytes.get(written..end).unwrap_or_default()) else {
                self.recovered();
                (written, backoff) = (end, BACKOFF_MIN);
                continue;
            };
            written += error.kept();
            self.trouble(&error);
            let is_given_up = self.closing.load(Ordering::Relaxed);
            if self.when_full == WhenFull::Refuse || is_given_up {
                return (written, Some(Arc::new(error)));
            }
            self.counters.journal_bytes(self.journal.bytes());
            thread::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        (written, None)
    }

    /// Where to write to next: a piece that can be refused is written whole or not at all; what waits for room goes line
    /// by line, so that any room is of use.
    fn next_end(&self, written: usize, ends: &[usize]) -> Option<usize> {
        if self.when_full == WhenFull::Refuse {
            return ends.iter().copied().find(|end| *end > written);
        }
        let rest = self.bytes.get(written..).filter(|rest| !rest.is_empty())?;
        let limit = (self.journal.segment_bytes() as usize).min(rest.len());
        let (near, far) = rest.split_at(limit);
        let end = memrchr(b'\n', near).or_else(|| memchr(b'\n', far).map(|at| limit + at));
        Some(end.map_or(self.bytes.len(), |at| written + at + 1))
    }

    fn sync(&mut self) -> Result<(), Arc<AppendError>> {
        self.unsynced_since = None;
        self.journal.sync().map_err(|error| {
            self.trouble(&error);
            Arc::new(error)
        })
    }

    fn trouble(&mut self, error: &AppendError) {
        if !self.in_trouble {
            self.in_trouble = true;
            self.counters.fault();
            tracing::warn!(error = %chain(error), "the input's journal takes nothing: waiting for room");
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.in_trouble) {
            tracing::info!("the input's journal takes lines again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;

    use tempfile::TempDir;

    use super::*;

    fn lines(directory: &Path) -> usize {
        let text = std::fs::read_to_string(directory.join("current.log")).expect("read");
        text.lines().count()
    }

    /// Counts syncs, and takes its time for each.
    struct Counting(Arc<AtomicUsize>);

    impl Storage for Counting {
        fn sync(&self, file: &File) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(5));
            Disk.sync(file)
        }
    }

    #[tokio::test]
    async fn many_who_wait_share_one_sync() {
        let directory = TempDir::new().expect("a directory");
        let (syncs, counters) = (Arc::new(AtomicUsize::new(0)), Arc::<InputCounters>::default());
        let (writer, end) = JournalWriter::start_on(
            Counting(Arc::clone(&syncs)),
            directory.path().join("a"),
            1 << 20,
            WhenFull::Refuse,
            Arc::clone(&counters),
        )
        .expect("started");
        let append = |_| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.append(b"a line\n".to_vec(), None).await })
        };
        for task in (0..500).map(append).collect::<Vec<_>>() {
            task.await.expect("ran").expect("received");
        }
        assert_eq!(lines(&directory.path().join("a")), 500);
        assert_eq!(counters.counts().received, 500);
        let syncs = syncs.load(Ordering::Relaxed);
        assert!((1..100).contains(&syncs), "{syncs} syncs");
        drop(writer);
        end.closed().await;
    }

    #[tokio::test]
    async fn a_full_journal_refuses_or_waits_as_it_is_told() {
        let directory = TempDir::new().expect("a directory");
        let counters = Arc::<InputCounters>::default();
        let start = |when_full| {
            JournalWriter::start(directory.path().join("a"), 100, when_full, Arc::clone(&counters))
                .expect("started")
        };
        let (writer, end) = start(WhenFull::Refuse);
        writer.append(vec![b'\n'; 90], None).await.expect("received");
        let error = writer.append(vec![b'\n'; 20], None).await.expect_err("full");
        assert!(error.to_string().contains("is full: 90 of at most 100 bytes"), "{error}");
        assert_eq!((counters.counts().received, counters.counts().refused), (90, 20));
        drop(writer);
        end.closed().await;

        let (writer, end) = start(WhenFull::Wait);
        let waiting = tokio::spawn({
            let writer = writer.clone();
            async move { writer.append(vec![b'\n'; 20], None).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished());
        std::fs::remove_file(directory.path().join("a/current.log.00000001")).expect("removed");
        waiting.await.expect("ran").expect("received");
        drop(writer);
        end.closed().await;
        assert_eq!(lines(&directory.path().join("a")), 20);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_a_stop_gives_up_what_the_disk_does_not_take() {
        struct Full;
        impl Storage for Full {
            fn write(&self, _: &File, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let directory = TempDir::new().expect("a directory");
        let counters = Arc::<InputCounters>::default();
        let (writer, end) = JournalWriter::start_on(
            Full,
            directory.path().join("a"),
            1 << 30,
            WhenFull::Wait,
            Arc::clone(&counters),
        )
        .expect("started");
        let line = [vec![b'x'; 1023], b"\n".to_vec()].concat();
        let mut taken = 0u64;
        let deadline = Duration::from_millis(300);
        while tokio::time::timeout(deadline, writer.push(line.clone())).await.is_ok() {
            taken += 1;
            assert!(taken <= 10_000, "what waits is not bounded");
        }
        drop(writer);
        end.closed().await;
        assert_eq!((counters.counts().received, counters.counts().refused), (0, taken));
    }
}
