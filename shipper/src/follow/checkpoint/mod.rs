//! The checkpoint: how far each file was read.
//!
//! One file, to which what changed is appended as checksummed batches, and which is written anew, and put in place of
//! the old one, when most of it is outdated. After a crash there is the state before the last save, or after it.
//! Losing the checkpoint may cost duplicates that `_id` removes, never lines; so a disk that is full, or damaged,
//! never stops the following.

mod entry;
mod format;
#[cfg(test)]
mod tests;
mod version_1;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use weir_record::FileIdentity;

pub use self::entry::{ContentCheck, Entry, EntryState, Head};
use self::format::{Change, Decoded, Flaw};
use crate::disk::{Disk, RealDisk};

const FILE_NAME: &str = "checkpoint";

/// The file is written anew when it holds this many times the bytes that it had then...
const COMPACT_FACTOR: u64 = 2;

/// ...and this many more: few entries are not worth it.
const COMPACT_BYTES_MIN: u64 = 1024 * 1024;

/// Entries of files that are gone from the disk are kept this long: the compressed twin of a file appears sooner.
const VANISHED_SECS_MAX: u64 = 30 * 24 * 3600;

/// And this many of them, the latest.
const VANISHED_ENTRIES_MAX: usize = 100_000;

/// All entries, in memory and on the disk.
pub struct Checkpoint<D: Disk = RealDisk> {
    disk: D,
    directory: PathBuf,
    entries: HashMap<FileIdentity, Entry>,
    scanned_at: u64,
    provenance: Provenance,
    /// Put or removed since the last save.
    changed: HashSet<FileIdentity>,
    /// None: there is no file, or none that may be appended to.
    on_disk: Option<OnDisk>,
    compact_bytes_min: u64,
}

/// Where the entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Nothing was ever saved here: the first start, or a lost state directory.
    Nothing,
    /// All that was saved.
    Whole,
    /// The checkpoint was damaged, or of a later version: entries are missing, others may be old.
    Partial,
}

/// A file that ends with a whole, synced batch.
#[derive(Clone, Copy)]
struct OnDisk {
    bytes: u64,
    base_bytes: u64,
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is there and cannot be read.
    #[error("cannot read the checkpoint {path}")]
    Read {
        /// The checkpoint.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written or replaced.
    #[error("cannot write the checkpoint {path}")]
    Write {
        /// The checkpoint.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Checkpoint {
    /// Reads the checkpoint under `state`. What is damaged, or of a later version, is kept under a name that says so,
    /// with a warning, and as much as is valid is used.
    pub fn open(state: &Path) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open_on(RealDisk, state)
    }
}

impl<D: Disk> Checkpoint<D> {
    fn open_on(disk: D, state: &Path) -> Result<Checkpoint<D>, CheckpointError> {
        let path = state.join(FILE_NAME);
        let (decoded, provenance) = match fs::read(&path) {
            Ok(bytes) => {
                let decoded = format::decode(&bytes);
                let provenance = decoded.flaw.map_or(Provenance::Whole, |flaw| set_aside(&path, flaw));
                (decoded, provenance)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (Decoded::default(), Provenance::Nothing)
            }
            Err(source) => return Err(CheckpointError::Read { path, source }),
        };
        let appendable = provenance == Provenance::Whole && decoded.flaw != Some(Flaw::Earlier);
        let on_disk = OnDisk { bytes: decoded.valid_bytes, base_bytes: decoded.base_bytes };
        Ok(Checkpoint {
            disk,
            directory: state.to_path_buf(),
            entries: decoded.entries,
            scanned_at: decoded.scanned_at,
            provenance,
            changed: HashSet::new(),
            on_disk: appendable.then_some(on_disk),
            compact_bytes_min: COMPACT_BYTES_MIN,
        })
    }

    /// Where the entries come from.
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// When the last scan before the last save began, nanoseconds since 1970; zero where nothing was ever saved. Every
    /// file that was born before is among the entries, or is indexed, or is not wanted.
    pub fn scanned_at(&self) -> u64 {
        self.scanned_at
    }

    /// A scan began. It is saved with the next entry that changes: before that, nothing hangs on it.
    pub fn set_scanned_at(&mut self, nanos: u64) {
        self.scanned_at = nanos;
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// One entry.
    pub fn get(&self, identity: &FileIdentity) -> Option<&Entry> {
        self.entries.get(identity)
    }

    /// Takes a new or changed entry; one that is as it was costs nothing on the disk.
    pub fn put(&mut self, entry: Entry) {
        let identity = entry.identity;
        if self.entries.get(&identity) != Some(&entry) {
            self.entries.insert(identity, entry);
            self.changed.insert(identity);
        }
    }

    /// Forgets an entry.
    pub fn remove(&mut self, identity: &FileIdentity) -> Option<Entry> {
        let entry = self.entries.remove(identity)?;
        self.changed.insert(*identity);
        Some(entry)
    }

    /// Forgets the entries of files that are gone from the disk for long, and the oldest of too many.
    pub fn expire(&mut self, now_secs: u64) {
        let vanished = |entry: &Entry| match entry.state {
            EntryState::Vanished { at_secs } => Some((at_secs, entry.identity)),
            _ => None,
        };
        let mut gone: Vec<(u64, FileIdentity)> = self.entries.values().filter_map(vanished).collect();
        gone.sort_unstable_by(|one, other| other.cmp(one));
        for (at, (at_secs, identity)) in gone.into_iter().enumerate() {
            if at >= VANISHED_ENTRIES_MAX || at_secs.saturating_add(VANISHED_SECS_MAX) < now_secs {
                self.remove(&identity);
            }
        }
    }

    /// Brings the disk up to date. Nothing changed: nothing is written. After an error the entries are as changed as
    /// before, and the next call tries again.
    pub fn save(&mut self) -> Result<(), CheckpointError> {
        let saved = match self.on_disk {
            Some(_) if self.changed.is_empty() => return Ok(()),
            Some(on_disk) if self.is_worth_compacting(on_disk) => {
                // A disk that has no room for a second file may have some for a few changes.
                self.rewrite().or_else(|_| self.append(on_disk))
            }
            Some(on_disk) => self.append(on_disk),
            None => self.rewrite(),
        };
        saved.map_err(|source| CheckpointError::Write { path: self.directory.join(FILE_NAME), source })?;
        self.changed.clear();
        Ok(())
    }

    fn is_worth_compacting(&self, on_disk: OnDisk) -> bool {
        on_disk.bytes > on_disk.base_bytes * COMPACT_FACTOR + self.compact_bytes_min
    }

    fn append(&mut self, on_disk: OnDisk) -> io::Result<()> {
        let change = |identity| match self.entries.get(identity) {
            Some(entry) => Change::Put(entry),
            None => Change::Removed(*identity),
        };
        let batch = format::encode_changes(self.scanned_at, self.changed.iter().map(change).collect());
        let mut file = match self.disk.open_at_end(&self.directory.join(FILE_NAME)) {
            Ok(file) => file,
            // Somebody has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.rewrite(),
            Err(error) => return Err(error),
        };
        let length = self.disk.length(&file)?;
        if length < on_disk.bytes {
            return self.rewrite();
        }
        if length > on_disk.bytes {
            // What a crash, or a write that failed, has left.
            self.disk.cut(&mut file, on_disk.bytes)?;
        }
        // A write that fails (the disk is full, most likely) is tried again where the valid bytes end. After a failed
        // sync nobody knows what is on the disk: the file is written anew.
        self.disk.write(&mut file, &batch)?;
        self.on_disk = None;
        self.disk.sync(&file)?;
        self.on_disk = Some(OnDisk { bytes: on_disk.bytes + batch.len() as u64, ..on_disk });
        Ok(())
    }

    /// Writes all entries into a new file, and puts it in place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let bytes = format::encode_base(self.scanned_at, self.entries.values());
        let path = self.directory.join(FILE_NAME);
        let temporary = path.with_extension("new");
        let mut file = self.disk.create(&temporary)?;
        let written = self.disk.write(&mut file, &bytes).and_then(|()| self.disk.sync(&file));
        if let Err(error) = written {
            // It would only take room on a disk that is full.
            drop(self.disk.remove(&temporary));
            return Err(error);
        }
        self.on_disk = None;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_directory(&self.directory)?;
        self.on_disk = Some(OnDisk { bytes: bytes.len() as u64, base_bytes: bytes.len() as u64 });
        Ok(())
    }
}

/// Copies the checkpoint under `state` into the directory `copy`, as if nothing had been read yet: whoever goes on from
/// the copy reads all that still exists, under the same identities. Returns the entries as they were, of contents alone;
/// none where there is no checkpoint. The original may be in use, and is left as it is.
pub(crate) fn copy_unread(state: &Path, copy: &Path) -> Result<Vec<Entry>, CheckpointError> {
    let (from, to) = (state.join(FILE_NAME), copy.join(FILE_NAME));
    match fs::read(&from) {
        Ok(bytes) => fs::write(&to, bytes).map_err(|source| CheckpointError::Write { path: to, source })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(CheckpointError::Read { path: from, source }),
    }
    let mut checkpoint = Checkpoint::open(copy)?;
    let with_twins: HashSet<FileIdentity> = checkpoint.entries().filter_map(Entry::twin_of).collect();
    let is_content = |entry: &&Entry| matches!(entry.state, EntryState::Live | EntryState::Vanished { .. });
    let contents: Vec<Entry> = checkpoint.entries().filter(is_content).cloned().collect();
    for entry in &contents {
        // What vanished is read in its copy or compressed twin, where there is one.
        let state = if with_twins.contains(&entry.identity) { EntryState::Live } else { entry.state };
        let check = ContentCheck::default();
        checkpoint.put(Entry { indexed: 0, pushed: 0, check, changed_nanos: 0, state, ..entry.clone() });
    }
    checkpoint.save()?;
    Ok(contents)
}

/// Keeps a file that cannot be used as it is under another name too, until the next save replaces it. Returns what the
/// entries are worth.
fn set_aside(path: &Path, flaw: Flaw) -> Provenance {
    let (suffix, sentence) = match flaw {
        Flaw::TornTail | Flaw::Earlier => return Provenance::Whole,
        Flaw::Damaged => ("damaged".to_owned(), "the checkpoint is damaged"),
        Flaw::OtherVersion(version) => {
            (format!("version-{version}"), "the checkpoint is of a later version of Weir")
        }
    };
    let aside = path.with_extension(suffix);
    let kept = fs::remove_file(&aside)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .and_then(|()| fs::hard_link(path, &aside))
        .or_else(|_| fs::copy(path, &aside).map(drop));
    match kept {
        Ok(()) => tracing::warn!(
            path = %path.display(), aside = %aside.display(),
            "{sentence}: it is kept aside, what is valid of it is used, and the buffer knows the rest"
        ),
        Err(error) => tracing::warn!(
            path = %path.display(), %error,
            "{sentence} and cannot be kept aside: what is valid of it is used, and the buffer knows the rest"
        ),
    }
    Provenance::Partial
}
