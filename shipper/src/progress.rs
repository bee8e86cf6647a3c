//! What a shipper has done so far, counted where it happens and read by whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::drift::Drift;
use crate::follow::records::RecordCounts;
use crate::redact;
use crate::shape::Cut;

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_read: AtomicU64,
    records: AtomicU64,
    records_not_understood: AtomicU64,
    records_truncated: AtomicU64,
    records_dropped: AtomicU64,
    records_skipped: AtomicU64,
    records_cut: [AtomicU64; Cut::ALL.len()],
    redacted: [AtomicU64; redact::Kind::ALL.len()],
    bytes_found: AtomicU64,
    files_too_old: AtomicU64,
    frames_pushed: AtomicU64,
    bytes_pushed: AtomicU64,
    files_skipped: AtomicU64,
    files_unreadable: AtomicU64,
    files_damaged: AtomicU64,
    bytes_vanished: [AtomicU64; 3],
    rewinds: AtomicU64,
    directories_unwatched: AtomicU64,
    idle_watched: AtomicU64,
    idle_polled: AtomicU64,
    files_open: AtomicU64,
    bytes_behind: AtomicU64,
    drift: Arc<Drift>,
    connected: AtomicBool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of log files that were read into frames.
    pub bytes_read: u64,
    /// Records read, those that a rule dropped included.
    pub records: u64,
    /// Records that no parser understood: their text is in `message`.
    pub records_not_understood: u64,
    /// Records that were cut at the limit of a line.
    pub records_truncated: u64,
    /// Records that a rule dropped.
    pub records_dropped: u64,
    /// Records of times that are not wanted.
    pub records_skipped: u64,
    /// Records that a step of `shape` has cut, in the order of [`Cut::ALL`].
    pub records_cut: [u64; Cut::ALL.len()],
    /// Parts of lines that were taken out, in the order of [`redact::Kind::ALL`].
    pub redacted: [u64; redact::Kind::ALL.len()],
    /// Bytes of the files that `--once` has found, read or not, as far as their sizes tell.
    pub bytes_found: u64,
    /// Files that `--once` left alone because they were last written before the wanted times.
    pub files_too_old: u64,
    /// Frames that the buffer accepted.
    pub frames_pushed: u64,
    /// Their encoded bytes.
    pub bytes_pushed: u64,
    /// Files left alone because they are no text.
    pub files_skipped: u64,
    /// Files that could not be read.
    pub files_unreadable: u64,
    /// Compressed files whose end cannot be decoded.
    pub files_damaged: u64,
    /// Bytes that were there, and vanished before they were read, in the order of [`Vanished::ALL`].
    pub bytes_vanished: [u64; 3],
    /// How often the buffer was at another offset than the frames.
    pub rewinds: u64,
    /// Directories whose changes the system does not tell (a limit was reached): scanning finds them later.
    pub directories_unwatched: u64,
    /// Idle files whose growth the system tells.
    pub idle_watched: u64,
    /// Idle files that are polled: a limit was reached, or the file system tells nothing.
    pub idle_polled: u64,
    /// Log files that are open now.
    pub files_open: u64,
    /// Bytes of followed files that are not indexed yet, as of the last scan.
    pub bytes_behind: u64,
}

/// Why bytes vanished before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanished {
    /// The file was truncated, and no copy of it was found.
    Truncated,
    /// The file was deleted while nobody had it open.
    Deleted,
    /// The file was deleted, and too many such files were kept open.
    Dropped,
}

impl Vanished {
    /// Every reason.
    pub const ALL: [Vanished; 3] = [Vanished::Truncated, Vanished::Deleted, Vanished::Dropped];

    /// Its name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Vanished::Truncated => "truncated",
            Vanished::Deleted => "deleted",
            Vanished::Dropped => "dropped",
        }
    }
}

impl Progress {
    /// Bytes were read and made into records.
    pub fn read(&self, bytes: u64, counted: RecordCounts) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(counted.records, Ordering::Relaxed);
        self.records_not_understood.fetch_add(counted.not_understood, Ordering::Relaxed);
        self.records_truncated.fetch_add(counted.truncated, Ordering::Relaxed);
        self.records_dropped.fetch_add(counted.dropped, Ordering::Relaxed);
        self.records_skipped.fetch_add(counted.skipped, Ordering::Relaxed);
        add_each(&self.records_cut, counted.cut);
        add_each(&self.redacted, counted.redacted);
    }

    /// There are so many bytes more to be read.
    pub fn found(&self, bytes: u64) {
        self.bytes_found.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file was last written before the wanted times.
    pub fn too_old(&self) {
        self.files_too_old.fetch_add(1, Ordering::Relaxed);
    }

    /// The buffer accepted a frame.
    pub fn pushed(&self, bytes: usize) {
        self.frames_pushed.fetch_add(1, Ordering::Relaxed);
        self.bytes_pushed.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A file is no text.
    pub fn skipped(&self) {
        self.files_skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// A file cannot be read.
    pub fn unreadable(&self) {
        self.files_unreadable.fetch_add(1, Ordering::Relaxed);
    }

    /// The end of a compressed file cannot be decoded.
    pub fn damaged(&self) {
        self.files_damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes vanished before they were read.
    pub fn vanished(&self, reason: Vanished, bytes: u64) {
        self.bytes_vanished[reason as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many idle files are watched and polled now.
    pub fn idle(&self, watched: usize, polled: usize) {
        self.idle_watched.store(watched as u64, Ordering::Relaxed);
        self.idle_polled.store(polled as u64, Ordering::Relaxed);
    }

    /// So many log files are open now.
    pub fn open_files(&self, count: usize) {
        self.files_open.store(count as u64, Ordering::Relaxed);
    }

    /// So many bytes of the followed files are not indexed.
    pub fn behind(&self, bytes: u64) {
        self.bytes_behind.store(bytes, Ordering::Relaxed);
    }

    /// A directory cannot be watched.
    pub fn directory_unwatched(&self) {
        self.directories_unwatched.fetch_add(1, Ordering::Relaxed);
    }

    /// The buffer was at another offset.
    pub fn rewound(&self) {
        self.rewinds.fetch_add(1, Ordering::Relaxed);
    }

    /// The buffer answered, or did not.
    pub fn connected(&self, yes: bool) {
        self.connected.store(yes, Ordering::Relaxed);
    }

    /// Whether the buffer answered lately.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// The shapes of lines that no parser understood.
    pub fn drift(&self) -> &Arc<Drift> {
        &self.drift
    }

    /// All counters now.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            bytes_read: read(&self.bytes_read),
            records: read(&self.records),
            records_not_understood: read(&self.records_not_understood),
            records_truncated: read(&self.records_truncated),
            records_dropped: read(&self.records_dropped),
            records_skipped: read(&self.records_skipped),
            records_cut: self.records_cut.each_ref().map(read),
            redacted: self.redacted.each_ref().map(read),
            bytes_found: read(&self.bytes_found),
            files_too_old: read(&self.files_too_old),
            frames_pushed: read(&self.frames_pushed),
            bytes_pushed: read(&self.bytes_pushed),
            files_skipped: read(&self.files_skipped),
            files_unreadable: read(&self.files_unreadable),
            files_damaged: read(&self.files_damaged),
            bytes_vanished: self.bytes_vanished.each_ref().map(read),
            rewinds: read(&self.rewinds),
            directories_unwatched: read(&self.directories_unwatched),
            idle_watched: read(&self.idle_watched),
            idle_polled: read(&self.idle_polled),
            files_open: read(&self.files_open),
            bytes_behind: read(&self.bytes_behind),
        }
    }
}

fn add_each<const N: usize>(counters: &[AtomicU64; N], counted: [u64; N]) {
    counters.iter().zip(counted).for_each(|(counter, more)| {
        counter.fetch_add(more, Ordering::Relaxed);
    });
}
