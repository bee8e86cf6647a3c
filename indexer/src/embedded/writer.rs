//! The thread that writes: it alone adds documents, commits, begins new partitions and removes old ones.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tantivy::IndexWriter;
use tokio::sync::oneshot;
use weir_record::FileKey;

use super::clock::{Clock, now_seconds};
use super::ledger::Ledger;
use super::offsets::{Offsets, Summary, write_commit};
use super::partition::Partition;
use super::{EmbeddedError, EmbeddedSettings, NANOS_PER_SECOND, SECONDS_PER_DAY, Shared, document};
use crate::batch::{Batch, FrameRange, Item};
use crate::index::{IndexError, Outcome};
use crate::letter::{DeadLetter, after_replay};

/// A document is searchable so long after it came in, at the latest.
const COMMIT_AGE_MAX: Duration = Duration::from_millis(500);

/// Documents, in bytes, that are committed together at the most: bounds what a crash makes shippers send again.
const COMMIT_BYTES_MAX: u64 = 96 * 1024 * 1024;

/// With so many bytes waiting, a commit is worth making as soon as nothing more comes.
const COMMIT_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// What counts as "nothing more comes": those who wait for the commit cannot send more before it.
const QUIET: Duration = Duration::from_millis(15);

/// Memory that new documents are collected in before tantivy writes a segment, in bytes.
const WRITER_BYTES: usize = 64 * 1024 * 1024;

/// Threads of tantivy: with ids in each record one takes 80,000 records/s, while reading their JSON, done in the
/// thread of this module, would allow three times that.
const WRITER_THREADS: usize = 2;

/// A partition takes so many bytes of documents (as JSON): about a quarter of it on disk.
const PARTITION_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Parts that the allowed disk space is divided into at least: the oldest is what goes when it is used up.
const PARTITIONS_MIN: u64 = 10;

/// JSON takes about so many times the space of its index on disk.
const DISK_RATIO: u64 = 3;

/// How often age and size of all partitions are looked at.
const RETENTION_INTERVAL: Duration = Duration::from_secs(30);

type Reply = oneshot::Sender<Result<Vec<Outcome>, IndexError>>;

/// What the thread is asked to do; it answers when that is on disk.
pub(super) enum Job {
    Bulk { batch: Arc<Batch>, selection: Vec<u32>, reply: Reply },
    Letters { letters: Vec<DeadLetter>, namespace: String, reply: Reply },
    Replay { letters: Vec<DeadLetter>, namespace: String, reply: Reply },
}

/// State of the thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    settings: EmbeddedSettings,
    clock: Clock,
    active: Arc<Partition>,
    /// None after an error: made anew when it is needed.
    tantivy: Option<IndexWriter>,
    /// None where it cannot be written to.
    ledger: Option<Ledger>,
    /// As committed, and what was added since.
    committed: Offsets,
    offsets: Offsets,
    summary: Summary,
    /// Files that are new, or begin earlier than was known, and stand in no ledger yet.
    begun: Vec<(FileKey, u64)>,
    /// Ids of dead letters that were written here, and that the worker will hand over again.
    letters_kept: HashSet<String>,
    waiting: Vec<(Reply, Vec<Outcome>)>,
    pending_since: Option<Instant>,
    pending_bytes: u64,
    retention_checked: Instant,
}

impl Writer {
    /// Begins to write into `active`; `offsets`: of the newest commit, which has the number `commit`.
    pub fn new(
        shared: Arc<Shared>,
        settings: EmbeddedSettings,
        active: Arc<Partition>,
        offsets: Offsets,
        commit: u64,
        clock: Clock,
    ) -> Result<Writer, EmbeddedError> {
        let tantivy = open_writer(&active).map_err(|source| EmbeddedError::open(&active.path, source))?;
        let summary = Summary { commit, ..active.summary() };
        let ledger = Ledger::open(&shared.partitions_path(), active.number);
        Ok(Writer {
            shared,
            settings,
            clock,
            active,
            tantivy: Some(tantivy),
            ledger,
            committed: offsets.clone(),
            offsets,
            summary,
            begun: Vec::new(),
            letters_kept: HashSet::new(),
            waiting: Vec::new(),
            pending_since: None,
            pending_bytes: 0,
            retention_checked: Instant::now(),
        })
    }

    /// Commits the positions alone.
    pub fn commit_positions(&mut self) -> Result<(), EmbeddedError> {
        self.commit().map_err(|source| EmbeddedError::open(&self.active.path, source))
    }

    /// Works until the other end of `jobs` is gone and all of them are done.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        self.hand_over_offsets();
        self.remove_old_partitions();
        loop {
            match jobs.recv_timeout(self.patience()) {
                Ok(Job::Bulk { batch, selection, reply }) => self.add_batch(&batch, &selection, reply),
                Ok(Job::Letters { letters, namespace, reply }) => {
                    self.add_letters(&letters, &namespace, reply)
                }
                Ok(Job::Replay { letters, namespace, reply }) => self.replay(&letters, &namespace, reply),
                Err(RecvTimeoutError::Timeout) => self.commit_if_pending(),
                Err(RecvTimeoutError::Disconnected) => return self.commit_if_pending(),
            }
            if self.is_commit_due() {
                self.commit_if_pending();
            }
            if self.retention_checked.elapsed() >= RETENTION_INTERVAL {
                self.remove_old_partitions();
            }
        }
    }

    fn patience(&self) -> Duration {
        match self.pending_since {
            None => RETENTION_INTERVAL,
            Some(_) if self.pending_bytes >= COMMIT_BYTES_MIN => QUIET,
            Some(since) => COMMIT_AGE_MAX.saturating_sub(since.elapsed()),
        }
    }

    fn is_commit_due(&self) -> bool {
        self.pending_since.is_some_and(|since| since.elapsed() >= COMMIT_AGE_MAX)
            || self.pending_bytes >= COMMIT_BYTES_MAX
    }

    fn add_batch(&mut self, batch: &Batch, selection: &[u32], reply: Reply) {
        let now = self.clock.now();
        for frame in batch.frames() {
            // What was begun stays begun, also where this bulk fails.
            self.committed.begin(frame.file, frame.start, now);
            if self.offsets.begin(frame.file, frame.start, now) {
                self.begun.push((frame.file, frame.start));
            }
        }
        let mut outcomes = Vec::with_capacity(selection.len());
        let mut uncovered = batch.frames();
        for index in selection {
            let outcome = match batch.items().get(*index as usize) {
                Some(item) => {
                    // Frames of one bulk may overlap: what an earlier one has brought is a duplicate in a later one.
                    while let Some((frame, later)) = uncovered.split_first()
                        && frame.items.end <= *index
                    {
                        self.cover(batch, frame, selection);
                        uncovered = later;
                    }
                    self.add_item(batch, item)
                }
                None => Ok(Outcome::Rejected { status: 400, reason: "no such item".to_owned() }),
            };
            match outcome {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => return self.fail(reply, &error),
            }
        }
        for frame in uncovered {
            self.cover(batch, frame, selection);
        }
        self.waiting.push((reply, outcomes));
        self.pending_since.get_or_insert_with(Instant::now);
    }

    /// Notes which bytes of a frame are done: of each chosen record from its first byte to the next record's. What
    /// made no record belongs to the record before it, or to the first.
    fn cover(&mut self, batch: &Batch, frame: &FrameRange, selection: &[u32]) {
        if frame.items.is_empty() {
            return self.offsets.insert(&frame.file, frame.start, frame.end);
        }
        let first = selection.partition_point(|index| *index < frame.items.start);
        let chosen = selection.get(first..).unwrap_or_default().iter().copied();
        let start_of = |index: u32| match batch.items().get(index as usize) {
            Some(item) if index > frame.items.start && index < frame.items.end => item.offset,
            _ if index == frame.items.start => frame.start,
            _ => frame.end,
        };
        let mut run: Option<Range<u32>> = None;
        for index in chosen.take_while(|index| *index < frame.items.end) {
            match &mut run {
                Some(run) if run.end == index => run.end += 1,
                _ => {
                    let next = index..index + 1;
                    if let Some(run) = run.replace(next) {
                        self.offsets.insert(&frame.file, start_of(run.start), start_of(run.end));
                    }
                }
            }
        }
        if let Some(run) = run {
            self.offsets.insert(&frame.file, start_of(run.start), start_of(run.end));
        }
    }

    fn add_item(&mut self, batch: &Batch, item: &Item) -> tantivy::Result<Outcome> {
        let Some(frame) = batch.frames().get(item.frame as usize) else {
            return Ok(Outcome::Rejected { status: 400, reason: "no such frame".to_owned() });
        };
        if self.offsets.contains(&frame.file, item.offset) {
            return Ok(Outcome::Duplicate);
        }
        let id = item.id.to_text();
        let outcome = self.add_document(&id, batch.document(item))?;
        if let Outcome::Rejected { status, reason } = &outcome {
            self.keep_rejected(batch, item, *status, reason)?;
        }
        Ok(outcome)
    }

    /// Its bytes count as done with this commit: so its dead letter has to be in the same one.
    fn keep_rejected(
        &mut self,
        batch: &Batch,
        item: &Item,
        status: u16,
        reason: &str,
    ) -> tantivy::Result<()> {
        let time = now_seconds().saturating_mul(NANOS_PER_SECOND);
        let letter = DeadLetter {
            id: String::from_utf8_lossy(&item.id.to_text()).into_owned(),
            target: batch.target(item).to_owned(),
            pipeline: batch.pipeline(item).map(str::to_owned),
            document: Bytes::copy_from_slice(batch.document(item)),
            status,
            reason: reason.to_owned(),
            attempts: 1,
            first_time: time,
            time,
            replays: 0,
        };
        let document = letter.to_document(&self.settings.namespace);
        self.add_document(letter.letter_id().as_bytes(), document.as_bytes())?;
        self.letters_kept.insert(letter.id);
        Ok(())
    }

    fn add_letters(&mut self, letters: &[DeadLetter], namespace: &str, reply: Reply) {
        let mut outcomes = Vec::with_capacity(letters.len());
        for letter in letters {
            if self.letters_kept.remove(&letter.id) {
                outcomes.push(Outcome::Duplicate);
                continue;
            }
            let document = letter.to_document(namespace);
            match self.add_document(letter.letter_id().as_bytes(), document.as_bytes()) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => return self.fail(reply, &error),
            }
        }
        self.waiting.push((reply, outcomes));
        self.pending_since.get_or_insert_with(Instant::now);
    }

    /// The documents, and that they were sent again, in one commit: a document is never stored twice.
    fn replay(&mut self, letters: &[DeadLetter], namespace: &str, reply: Reply) {
        let now = now_seconds().saturating_mul(NANOS_PER_SECOND);
        let mut outcomes = Vec::with_capacity(letters.len());
        for letter in letters {
            let added = self.add_document(letter.id.as_bytes(), &letter.document).and_then(|outcome| {
                for (id, record) in after_replay(letter, &outcome, namespace, now) {
                    self.add_document(id.as_bytes(), record.as_bytes())?;
                }
                Ok(outcome)
            });
            match added {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => return self.fail(reply, &error),
            }
        }
        self.waiting.push((reply, outcomes));
        self.pending_since.get_or_insert_with(Instant::now);
    }

    fn add_document(&mut self, id: &[u8], json: &[u8]) -> tantivy::Result<Outcome> {
        let tie = weir_record::identity::line_hash(id);
        let read = match document::read(&self.active.fields, id, tie, json) {
            Ok(read) => read,
            Err(error) => return Ok(Outcome::Rejected { status: 400, reason: error.to_string() }),
        };
        self.tantivy()?.add_document(read.document)?;
        self.summary.first =
            if self.summary.documents == 0 { read.time } else { self.summary.first.min(read.time) };
        self.summary.last = self.summary.last.max(read.time);
        self.summary.documents += 1;
        self.summary.bytes += json.len() as u64;
        self.pending_bytes += json.len() as u64;
        Ok(Outcome::Indexed)
    }

    fn commit_if_pending(&mut self) {
        if self.pending_since.is_none() {
            return;
        }
        if let Err(error) = self.commit() {
            return self.fail_all(&error.to_string());
        }
        self.pending_since = None;
        self.pending_bytes = 0;
        for (reply, outcomes) in self.waiting.drain(..) {
            // Whoever asked may be gone; the documents are stored all the same.
            drop(reply.send(Ok(outcomes)));
        }
        if self.is_partition_full() {
            self.begin_partition();
        }
    }

    fn commit(&mut self) -> tantivy::Result<()> {
        self.summary.commit += 1;
        self.summary.time = self.clock.of_commit();
        let text = write_commit(&self.summary, &self.offsets)
            .map_err(|error| tantivy::TantivyError::InternalError(error.to_string()))?;
        self.note_in_ledger()?;
        let mut prepared = self.tantivy()?.prepare_commit()?;
        prepared.set_payload(&text);
        prepared.commit()?;
        self.committed.clone_from(&self.offsets);
        self.shared.set_positions(self.committed.positions());
        self.active.committed(self.summary.clone())
    }

    /// Before documents are committed, so that what is damaged later is known to have been there.
    fn note_in_ledger(&mut self) -> io::Result<()> {
        if self.summary.documents > 0
            && let Some(ledger) = &mut self.ledger
        {
            ledger.note(&self.begun)?;
        }
        self.begun.clear();
        Ok(())
    }

    /// Tantivy's writer, made anew where an error has ended the one before: a disk that was full may have room again.
    fn tantivy(&mut self) -> tantivy::Result<&mut IndexWriter> {
        match &mut self.tantivy {
            Some(tantivy) => Ok(tantivy),
            ended => Ok(ended.insert(open_writer(&self.active)?)),
        }
    }

    fn fail(&mut self, reply: Reply, error: &tantivy::TantivyError) {
        self.waiting.push((reply, Vec::new()));
        self.fail_all(&error.to_string());
    }

    /// Takes back what is not committed, and tells everybody who waits for it. After an error tantivy's writer is of no
    /// use; the next one is made when it is needed.
    pub(super) fn fail_all(&mut self, reason: &str) {
        tracing::error!(reason, "cannot write to the embedded index; the records are sent again");
        self.tantivy = None;
        self.read_committed();
        for (reply, _) in self.waiting.drain(..) {
            drop(reply.send(Err(IndexError::Write(reason.to_owned()))));
        }
        self.pending_since = None;
        self.pending_bytes = 0;
        self.letters_kept.clear();
        self.offsets.clone_from(&self.committed);
        self.summary = Summary { commit: self.summary.commit, ..self.active.summary() };
    }

    /// Asks the disk what is committed: a commit may fail after it was made, by what comes behind it.
    fn read_committed(&mut self) {
        match self.active.last_commit() {
            Ok(Some((summary, mut offsets))) if summary.commit > self.active.summary().commit => {
                offsets.begin_all(&self.committed);
                self.committed = offsets;
                self.shared.set_positions(self.committed.positions());
                if let Err(error) = self.active.committed(summary) {
                    tracing::warn!(%error, "what was committed last cannot be searched yet");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot read what was committed last"),
        }
    }

    fn is_partition_full(&mut self) -> bool {
        let by_disk = self.settings.max_bytes / PARTITIONS_MIN * DISK_RATIO;
        self.summary.bytes >= PARTITION_BYTES_MAX.min(by_disk)
            || self.clock.now() / SECONDS_PER_DAY != self.shared.day_of_active()
    }

    /// Leaves the active partition for a new one. If that cannot be made, the old one is used on.
    fn begin_partition(&mut self) {
        let (number, path, now) = (self.active.number + 1, self.shared.partitions_path(), self.clock.now());
        match begin(&path, number, &self.committed, now) {
            Ok(partition) => {
                if let Some(old) = self.tantivy.take() {
                    finish_merges(old);
                }
                self.ledger = Ledger::open(&path, number);
                self.active = Arc::clone(&partition);
                self.summary = Summary { commit: self.summary.commit, ..Summary::default() };
                self.shared.add_partition(partition, now / SECONDS_PER_DAY);
                tracing::info!(partition = number, "began a new partition of the embedded index");
                self.hand_over_offsets();
                self.remove_old_partitions();
            }
            Err(error) => tracing::error!(%error, "cannot begin a new partition; the old one is used on"),
        }
    }

    /// Commits the offsets into a new partition, before an old one that holds them may be removed.
    fn hand_over_offsets(&mut self) {
        if self.active.summary().commit > 0 {
            return;
        }
        if let Err(error) = self.commit() {
            self.fail_all(&error.to_string());
        }
    }

    fn remove_old_partitions(&mut self) {
        self.retention_checked = Instant::now();
        if self.active.summary().commit == 0 {
            return; // the offsets are in an old one only
        }
        let retention = i64::try_from(self.settings.retention.as_secs()).unwrap_or(i64::MAX);
        let oldest = self.clock.now().saturating_sub(retention);
        self.shared.remove_partitions(self.active.number, oldest, self.settings.max_bytes);
    }
}

/// Makes a new partition, behind its ledger. `offsets`: as committed. `now`: seconds since 1970.
pub(super) fn begin(
    partitions: &Path,
    number: u64,
    offsets: &Offsets,
    now: i64,
) -> Result<Arc<Partition>, EmbeddedError> {
    Ledger::create(partitions, number, offsets, now)
        .map_err(|source| EmbeddedError::Directory { path: partitions.to_owned(), source })?;
    Partition::create(partitions, number).map(Arc::new)
}

fn open_writer(partition: &Partition) -> tantivy::Result<IndexWriter> {
    let writer = partition.index.writer_with_num_threads(WRITER_THREADS, WRITER_BYTES)?;
    // What was begun before an error, or a kill, is of no use to anybody, and takes room.
    if let Err(error) = writer.garbage_collect_files().wait() {
        tracing::debug!(%error, "cannot remove what was not committed");
    }
    Ok(writer)
}

/// Lets a writer that is no longer used merge its segments, beside everything else.
fn finish_merges(writer: IndexWriter) {
    let merging = std::thread::Builder::new().name("weir-index-merge".to_owned()).spawn(move || {
        if let Err(error) = writer.wait_merging_threads() {
            tracing::warn!(%error, "could not merge the segments of a partition; its searches stay slower");
        }
    });
    if let Err(error) = merging {
        tracing::warn!(%error, "could not start the merging of a partition");
    }
}
