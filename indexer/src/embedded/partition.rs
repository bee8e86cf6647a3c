//! One directory with one tantivy index: all documents that came in on one day, or until it was full.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use tantivy::directory::error::OpenReadError;
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
    /// It cannot be read; the text says why.
    Damaged(String),
}

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
            return Ok(Opened::Empty);
        }
        match Partition::read(path, number) {
            Ok(Some((partition, offsets))) => Ok(Opened::Whole(Box::new(partition), offsets)),
            Ok(None) => Ok(Opened::Empty),
            Err(error) if is_damage(&error) => Ok(Opened::Damaged(error.to_string())),
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
        let Ok(entries) = fs::read_dir(&self.path) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}

fn is_damage(error: &TantivyError) -> bool {
    matches!(
        error,
        TantivyError::DataCorruption(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_)
            | TantivyError::FieldNotFound(_)
            | TantivyError::InvalidArgument(_)
            | TantivyError::DeserializeError(_)
            | TantivyError::InternalError(_)
            | TantivyError::OpenReadError(
                OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_)
            )
    )
}
