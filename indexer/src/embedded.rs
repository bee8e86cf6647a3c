//! The index of Weir's own: tantivy, on one machine, in one directory.
//!
//! ```text
//! <data>/lock                       held by the one process that uses the directory
//! <data>/partitions/0000000001/     a tantivy index: what came in on one day, or until it was full
//! <data>/partitions/0000000002/     the active one: all others never change again
//! <data>/partitions/0000000002.ledger    what was indexed before it: see [`ledger`]
//! <data>/partitions/0000000001.damaged-<seconds>/    one that was set aside
//! ```
//! * One thread writes. A commit holds, beside the documents, which bytes of which files they came from
//!   ([`Embedded::positions`]): index and position cannot disagree. What was not committed when the process ended is
//!   simply not there, and the shippers, who ask for the position, send it again.
//! * A record whose bytes are in the index already is a duplicate, and is not added.
//! * Retention removes whole partitions, the oldest first. A clock that jumps does not make them old: see [`clock`].
//! * A partition that is damaged is set aside, and what it held is taken out of the positions: see [`recover`]. All are
//!   read and compared with their checksums at the start, beside everything else, and when a search fails.
//! * A search skips partitions by their smallest and largest event time.

mod check;
mod clock;
mod document;
mod ledger;
mod names;
mod offsets;
mod partition;
mod query;
mod recover;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod top;
mod writer;

use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use weir_record::FileKey;

use self::check::Checker;
use self::clock::{Clock, WallClock};
use self::partition::Partition;
use self::recover::{Found, open_partitions};
use self::writer::{Job, Writer};
use crate::batch::Batch;
use crate::index::{Index, IndexError, IndexHealth, Outcome, SetupError};
use crate::letter::DeadLetter;
use crate::search::{FieldInfo, Search, SearchError, SearchRequest, SearchResponse};

/// Bulks that may wait for the writing thread; a worker has far fewer under way.
const QUEUE_MAX: usize = 64;

/// Bulks that should be under way, so that one commit answers many of them.
const IN_FLIGHT: usize = 4;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// How the embedded index is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// Its directory.
    pub data: PathBuf,
    /// Partitions whose newest record is older are removed.
    pub retention: Duration,
    /// Above this many bytes on disk the oldest partitions are removed.
    pub max_bytes: u64,
    /// `data_stream.namespace` of dead letters.
    pub namespace: String,
}

/// Why the embedded index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process has it open.
    #[error(
        "{path} is in use by another running Weir; stop that one, or give this one a directory of its own with --data"
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// A directory or file cannot be made or read.
    #[error("cannot use the index directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A partition cannot be opened, for a reason outside of its data.
    #[error("cannot open the index partition {path}")]
    Partition {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<tantivy::TantivyError>,
    },
}

impl EmbeddedError {
    fn open(path: &Path, source: tantivy::TantivyError) -> EmbeddedError {
        EmbeddedError::Partition { path: path.to_owned(), source: Box::new(source) }
    }
}

/// The embedded index. Dropping it commits what is pending and ends the writing thread.
pub struct Embedded {
    shared: Arc<Shared>,
    settings: EmbeddedSettings,
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    checker: Checker,
}

/// What the writing thread and the searches share.
struct Shared {
    data: PathBuf,
    /// In order of their numbers; the last is the active one, which began on the day beside it.
    partitions: RwLock<(Vec<Arc<Partition>>, i64)>,
    positions: Mutex<Vec<(FileKey, u64)>>,
    health: Health,
    /// Locked as long as it is open.
    _lock: File,
}

impl Embedded {
    /// Opens the index at `settings.data`, or creates it. A partition that is damaged is set aside and reported, and the
    /// positions of its files go back.
    ///
    /// # Errors
    /// The directory cannot be used, or another process uses it.
    pub fn open(settings: &EmbeddedSettings) -> Result<Embedded, EmbeddedError> {
        Embedded::open_at(settings, WallClock::system())
    }

    fn open_at(settings: &EmbeddedSettings, wall: WallClock) -> Result<Embedded, EmbeddedError> {
        let path = settings.data.join("partitions");
        fs::create_dir_all(&path)
            .map_err(|source| EmbeddedError::Directory { path: path.clone(), source })?;
        let lock = lock(&settings.data)?;
        let mut found = open_partitions(&path)?;
        let mut clock = Clock::new(wall, found.partitions.iter().map(|found| found.summary().time).max());
        let day = begin_if_needed(&path, &mut found, clock.now())?;
        let Found { partitions, offsets, commit, damaged, .. } = found;
        let active = Arc::clone(partitions.last().expect("there is one, or it was just made"));
        let shared = Arc::new(Shared {
            data: settings.data.clone(),
            partitions: RwLock::new((partitions, day)),
            positions: Mutex::new(offsets.positions()),
            health: Health::default(),
            _lock: lock,
        });
        let mut writer = Writer::new(Arc::clone(&shared), settings.clone(), active, offsets, commit, clock)?;
        if !damaged.is_empty() {
            writer.commit_positions()?;
            damaged.iter().try_for_each(|damaged| damaged.set_aside(&path, &shared.health))?;
        }
        let checker = Checker::start(Arc::downgrade(&shared));
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("weir-index".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|source| EmbeddedError::Directory { path: settings.data.clone(), source })?;
        Ok(Embedded { shared, settings: settings.clone(), queue: Some(queue), thread: Some(thread), checker })
    }

    /// Up to where each file is in the index without a hole, as of the last commit.
    pub fn positions(&self) -> Vec<(FileKey, u64)> {
        self.shared.positions.lock().expect("no panic while it is held").clone()
    }

    /// Documents in the index.
    pub fn documents(&self) -> u64 {
        self.shared.partitions().iter().map(|partition| partition.summary().documents).sum()
    }

    /// Bytes that it takes on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.partitions().iter().map(|partition| partition.disk_bytes()).sum()
    }

    /// Puts a job into the queue at once; the answer comes with the commit.
    fn submit(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<Vec<Outcome>, IndexError>>) -> Job,
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let queued = match &self.queue {
            None => Err(IndexError::Closed),
            Some(queue) => queue.try_send(job(reply)).map_err(|error| match error {
                TrySendError::Full(_) => IndexError::Overloaded {
                    node: "the embedded index".to_owned(),
                    reason: format!("{QUEUE_MAX} bulks wait already"),
                    retry_after: None,
                },
                TrySendError::Disconnected(_) => IndexError::Closed,
            }),
        };
        async move {
            queued?;
            answer.await.unwrap_or(Err(IndexError::Closed))
        }
    }

    /// Runs a search on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[Arc<Partition>]) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let partitions = self.shared.partitions();
        let answer = tokio::task::spawn_blocking(move || work(&partitions))
            .await
            .unwrap_or_else(|error| Err(SearchError::Unexpected(error.to_string())));
        if matches!(answer, Err(SearchError::Unexpected(_))) {
            // What cannot be read may be damaged.
            self.checker.ask();
        }
        answer
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the embedded index ended with a panic");
        }
    }
}

impl Index for Embedded {
    fn bulk(
        &self,
        batch: &Arc<Batch>,
        selection: &[u32],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send + 'static {
        let (batch, selection) = (Arc::clone(batch), selection.to_vec());
        self.submit(|reply| Job::Bulk { batch, selection, reply })
    }

    fn dead_letters(
        &self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send {
        let (letters, namespace) = (letters.to_vec(), self.settings.namespace.clone());
        self.submit(|reply| Job::Letters { letters, namespace, reply })
    }

    fn replay(
        &self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send {
        let (letters, namespace) = (letters.to_vec(), self.settings.namespace.clone());
        self.submit(|reply| Job::Replay { letters, namespace, reply })
    }

    async fn ensure_setup(&self) -> Result<(), SetupError> {
        Ok(())
    }

    fn in_flight(&self) -> Option<usize> {
        Some(IN_FLIGHT)
    }

    fn health(&self) -> Option<IndexHealth> {
        Some(self.shared.health.now())
    }
}

/// Damage so far, counted.
#[derive(Debug, Default)]
struct Health {
    partitions: AtomicU64,
    documents: AtomicU64,
    bytes: AtomicU64,
}

impl Health {
    /// A partition was set aside that held so many documents, of so many bytes of log files, as far as that is known.
    fn note_damage(&self, documents: u64, bytes: u64) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
        self.documents.fetch_add(documents, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn now(&self) -> IndexHealth {
        IndexHealth {
            partitions_set_aside: self.partitions.load(Ordering::Relaxed),
            documents_set_aside: self.documents.load(Ordering::Relaxed),
            bytes_taken_back: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Search for Embedded {
    async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        let request = request.clone();
        self.blocking(move |partitions| search::search(partitions, &request)).await
    }

    async fn fields(&self) -> Result<Vec<FieldInfo>, SearchError> {
        self.blocking(names::fields).await
    }
}

impl Shared {
    fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().expect("no panic while it is held").0.clone()
    }

    fn partitions_path(&self) -> PathBuf {
        self.data.join("partitions")
    }

    /// The day on which the active partition began, in days since 1970.
    fn day_of_active(&self) -> i64 {
        self.partitions.read().expect("no panic while it is held").1
    }

    fn add_partition(&self, partition: Arc<Partition>, day: i64) {
        let mut partitions = self.partitions.write().expect("no panic while it is held");
        partitions.0.push(partition);
        partitions.1 = day;
    }

    fn set_positions(&self, positions: Vec<(FileKey, u64)>) {
        *self.positions.lock().expect("no panic while it is held") = positions;
    }

    /// Takes a damaged partition away from searches, unless it is the active one. What it held is sent again after the
    /// next start, which takes it out of the positions.
    fn set_aside(&self, partition: &Partition, reason: &str) {
        let number = partition.number;
        {
            let mut partitions = self.partitions.write().expect("no panic while it is held");
            let is_active = partitions.0.last().is_none_or(|active| active.number == number);
            let is_there = partitions.0.iter().any(|other| other.number == number);
            if is_active || !is_there {
                return;
            }
            partitions.0.retain(|other| other.number != number);
        }
        let documents = partition.summary().documents;
        self.health.note_damage(documents, 0);
        let set_aside = recover::move_aside(&self.partitions_path(), number);
        tracing::error!(
            partition = number,
            documents,
            reason,
            ?set_aside,
            "a partition of the index is damaged and was set aside; the next start has its records sent again"
        );
    }

    /// Removes partitions, never the active one, whose newest record is older than `oldest` (seconds since 1970),
    /// and the oldest while all take more than `bytes_max`.
    fn remove_partitions(&self, active: u64, oldest: i64, bytes_max: u64) {
        let (partitions, path) = (self.partitions(), self.partitions_path());
        let mut bytes: u64 = partitions.iter().map(|partition| partition.disk_bytes()).sum();
        bytes += recover::set_aside_bytes(&path);
        for partition in partitions.iter().filter(|partition| partition.number != active) {
            let summary = partition.summary();
            // A record may claim to be of the future: then it is as old as its arrival.
            let newest = (summary.last / NANOS_PER_SECOND).min(summary.time);
            let is_old = newest < oldest;
            if !is_old && bytes <= bytes_max {
                continue;
            }
            bytes = bytes.saturating_sub(partition.disk_bytes());
            self.partitions
                .write()
                .expect("no panic while it is held")
                .0
                .retain(|other| other.number != partition.number);
            let reason = if is_old { "retention" } else { "max_bytes" };
            let documents = summary.documents;
            match recover::remove_partition(&path, partition.number) {
                Ok(()) => {
                    tracing::info!(partition = partition.number, documents, reason, "removed a partition")
                }
                Err(error) => {
                    tracing::warn!(partition = partition.number, %error, "could not remove a partition")
                }
            }
        }
        let oldest = self.partitions().first().map_or(active, |oldest| oldest.number);
        recover::remove_ledgers(&path, oldest);
    }
}

/// Goes on with the last partition of today, else begins a new one; answers the day on which the active one began. A new
/// one that cannot be made, on a full disk, is made later: the last one is used on.
fn begin_if_needed(path: &Path, found: &mut Found, now: i64) -> Result<i64, EmbeddedError> {
    let today = now / SECONDS_PER_DAY;
    let is_whole = found.damaged.is_empty();
    let last = found.partitions.last().map(|last| (last.number, last.summary().time / SECONDS_PER_DAY));
    if let Some((number, day)) = last
        && day == today
        && is_whole
        && ledger::Ledger::open(path, number).is_some()
    {
        return Ok(today);
    }
    match (writer::begin(path, found.next, &found.offsets, now), last) {
        (Ok(partition), _) => {
            found.partitions.push(partition);
            Ok(today)
        }
        (Err(error), Some((_, day))) if is_whole => {
            tracing::error!(%error, "cannot begin a new partition; the old one is used on");
            Ok(day)
        }
        (Err(error), _) => Err(error),
    }
}

fn lock(data: &Path) -> Result<File, EmbeddedError> {
    let path = data.join("lock");
    let error = |source| EmbeddedError::Directory { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { path: data.to_owned() }),
        Err(TryLockError::Error(source)) => Err(error(source)),
    }
}
