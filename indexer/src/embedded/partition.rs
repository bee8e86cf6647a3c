//! One directory with one tantivy index: all documents that came in on one day, or until it was full.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use tantivy::directory::error::OpenReadError;
use tantivy::index::SegmentComponent;
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyError};

use super::EmbeddedError;
use super::offsets::{Offsets, Summary, read_commit};
use super::schema::{self, Fields};

/// A partition that can be searched.
pub(super) struct Partition {
    pub number: u64,
    pub path: PathBuf,
    pub index: Index,
    pub reader: IndexReader,
    pub fields: Fields,
    summary: RwLock<Summary>,
}

/// What came of opening a directory.
pub(super) enum Opened {
    /// It is whole.
    Whole(Box<Partition>, Offsets),
    /// It was made, and nothing was ever committed.
    Empty,
    /// It cannot be read, or not all of it.
    Damaged(Damage),
}

/// What is wrong with a partition.
pub(super) struct Damage {
    /// As it is told.
    pub reason: String,
    /// Its last commit, where at least that can be read.
    pub commit: Option<(Summary, Offsets)>,
}

/// The files of each segment.
const COMPONENTS: [SegmentComponent; 6] = [
    SegmentComponent::Terms,
    SegmentComponent::Postings,
    SegmentComponent::Positions,
    SegmentComponent::FastFields,
    SegmentComponent::FieldNorms,
    SegmentComponent::Store,
];

/// System errors that say nothing of the data: too many files open, in the process or on the machine; no memory.
const MACHINE_ERRORS: [i32; 3] = [24, 23, 12];

impl Partition {
    /// Creates the partition `number` below `parent`.
    pub fn create(parent: &Path, number: u64) -> Result<Partition, EmbeddedError> {
        let path = parent.join(format!("{number:010}"));
        fs::create_dir_all(&path)
            .map_err(|source| EmbeddedError::Directory { path: path.clone(), source })?;
        let index = schema::create(&path).map_err(|source| EmbeddedError::open(&path, source))?;
        Partition::new(number, &path, index, Summary::default())
            .map_err(|source| EmbeddedError::open(&path, source))
    }

    /// Opens the one at `path`. An error is one of the machine (rights, open files), not of the data.
    pub fn open(path: &Path, number: u64) -> Result<Opened, EmbeddedError> {
        if !path.join("meta.json").exists() {
            let reason = "its meta.json is missing".to_owned();
            let is_empty = !has_segments(path);
            return Ok(if is_empty {
                Opened::Empty
            } else {
                Opened::Damaged(Damage { reason, commit: None })
            });
        }
        // Where bytes are not what they should be, tantivy may panic.
        let read = catch_unwind(AssertUnwindSafe(|| Partition::read(path, number)));
        match read.unwrap_or_else(|_| Err(TantivyError::InternalError("it cannot be read".to_owned()))) {
            Ok(Some((partition, offsets))) => Ok(Opened::Whole(Box::new(partition), offsets)),
            Ok(None) => Ok(Opened::Empty),
            Err(error) if is_damage(&error) => {
                Ok(Opened::Damaged(Damage { reason: error.to_string(), commit: read_last_commit(path) }))
            }
            Err(error) => Err(EmbeddedError::open(path, error)),
        }
    }

    fn read(path: &Path, number: u64) -> tantivy::Result<Option<(Partition, Offsets)>> {
        let index = schema::open(path)?;
        let Some(payload) = index.load_metas()?.payload else { return Ok(None) };
        let (summary, offsets) = read_commit(&payload).ok_or_else(|| {
            TantivyError::SchemaError("its commit is damaged, or of another version of Weir".to_owned())
        })?;
        Ok(Some((Partition::new(number, path, index, summary)?, offsets)))
    }

    /// What its last commit on the disk says; none where nothing was committed.
    pub fn last_commit(&self) -> tantivy::Result<Option<(Summary, Offsets)>> {
        Ok(self.index.load_metas()?.payload.as_deref().and_then(read_commit))
    }

    /// Reads all of it: whether each file is there, and as it was written. Takes about a second for a gigabyte.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(&self) -> Result<(), String> {
        let is_damaged = |error: TantivyError| is_damage(&error).then(|| error.to_string());
        let metas = match self.index.load_metas() {
            Ok(metas) => metas,
            Err(error) => return is_damaged(error).map_or(Ok(()), Err),
        };
        let documents: u64 = metas.segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
        let expected = metas.payload.as_deref().and_then(read_commit).map(|(summary, _)| summary.documents);
        if expected.is_some_and(|expected| expected != documents) {
            return Err(format!("its segments are said to hold {documents} documents, and hold others"));
        }
        for segment in &metas.segments {
            for component in COMPONENTS {
                let file = segment.relative_path(component);
                match self.index.directory().validate_checksum(&file) {
                    Ok(true) => {}
                    Ok(false) => return Err(format!("{} is not as it was written", file.display())),
                    Err(error) => {
                        if let Some(reason) = is_damaged(error.into()) {
                            return Err(format!("{}: {reason}", file.display()));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn new(number: u64, path: &Path, index: Index, summary: Summary) -> tantivy::Result<Partition> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let fields = Fields::of(&index.schema())?;
        Ok(Partition { number, path: path.to_owned(), index, reader, fields, summary: RwLock::new(summary) })
    }

    /// What its last commit says.
    pub fn summary(&self) -> Summary {
        self.summary.read().expect("no panic while it is held").clone()
    }

    /// Makes a commit visible to searches.
    pub fn committed(&self, summary: Summary) -> tantivy::Result<()> {
        *self.summary.write().expect("no panic while it is held") = summary;
        self.reader.reload()
    }

    /// Whether it may hold documents with an event time in `[from, until)`.
    pub fn overlaps(&self, from: Option<i64>, until: Option<i64>) -> bool {
        let summary = self.summary();
        summary.documents > 0
            && from.is_none_or(|from| summary.last >= from)
            && until.is_none_or(|until| summary.first < until)
    }

    /// Its bytes on disk.
    pub fn disk_bytes(&self) -> u64 {
        bytes_below(&self.path)
    }
}

/// Bytes of the files in a directory.
pub(super) fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Whether there are files of segments.
fn has_segments(path: &Path) -> bool {
    let is_store = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|name| name == "store");
    fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| is_store(&entry)))
}

/// Of a partition that cannot be opened.
fn read_last_commit(path: &Path) -> Option<(Summary, Offsets)> {
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(path.join("meta.json")).ok()?).ok()?;
    read_commit(meta.get("payload")?.as_str()?)
}

/// Whether an error says something of the data, and not of the machine.
fn is_damage(error: &TantivyError) -> bool {
    let is_of_data = |error: &io::Error| {
        let is_of_machine = error.raw_os_error().is_some_and(|code| MACHINE_ERRORS.contains(&code));
        error.kind() != io::ErrorKind::PermissionDenied && !is_of_machine
    };
    match error {
        TantivyError::IoError(error)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. }) => is_of_data(error),
        TantivyError::LockFailure(..)
        | TantivyError::OpenDirectoryError(_)
        | TantivyError::SystemError(_)
        | TantivyError::ErrorInThread(_)
        | TantivyError::Poisoned => false,
        _ => true,
    }
}
