//! What is in directories, read again only when a directory has changed: a scan of an unchanged tree costs one look
//! at each directory, none at its files.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A directory that was changed less than this before it was read may have changed again within one tick of the file
/// system's clock: it is read again.
const MTIME_TRUST: Duration = Duration::from_secs(2);

/// The names in one directory.
pub struct Listing {
    /// None: it is not there, or cannot be looked at.
    stamp: Option<Stamp>,
    is_trusted: bool,
    /// In the order of their bytes.
    entries: Vec<Entry>,
}

/// A name in a directory.
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it is, symbolic links not followed.
    pub kind: Kind,
    metadata: OnceLock<Option<Metadata>>,
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link: what it leads to can change without the directory that it is in.
    Link,
    /// A file, or whatever else.
    Other,
}

/// Which directory it was, in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// Device and inode.
    who: (u64, u64),
    modified_nanos: i128,
}

/// The directories that the last scans have read.
#[derive(Default)]
pub struct Listings {
    listings: HashMap<PathBuf, Cached>,
    round: u64,
}

struct Cached {
    listing: Arc<Listing>,
    /// When it was used last.
    round: u64,
    /// When it was compared with the disk last.
    checked: u64,
}

impl Listings {
    /// A new scan begins: directories are compared with the disk again, and those that the last one did not use are
    /// forgotten.
    pub fn begin(&mut self) {
        let last = self.round;
        self.listings.retain(|_, cached| cached.round == last);
        self.round += 1;
    }

    /// Forgets everything, so that all is read again.
    pub fn clear(&mut self) {
        self.listings.clear();
    }

    /// Whether no directory of the last scan has changed since.
    pub fn is_unchanged(&self) -> bool {
        let mut used = self.listings.iter().filter(|(_, cached)| cached.round == self.round);
        used.all(|(path, cached)| cached.listing.is_trusted && cached.listing.stamp == Stamp::of(path))
    }

    /// What is in a directory, empty if that cannot be known.
    pub fn get(&mut self, directory: &Path) -> Arc<Listing> {
        let round = self.round;
        if let Some(cached) = self.listings.get_mut(directory) {
            cached.round = round;
            let is_valid = cached.checked == round
                || (cached.listing.is_trusted && cached.listing.stamp == Stamp::of(directory));
            if is_valid {
                cached.checked = round;
                return Arc::clone(&cached.listing);
            }
        }
        let listing = Arc::new(Listing::read(directory));
        let cached = Cached { listing: Arc::clone(&listing), round, checked: round };
        self.listings.insert(directory.to_path_buf(), cached);
        listing
    }

    /// The directories that are there, each with its device and inode.
    pub fn directories(&self) -> impl Iterator<Item = (&Path, (u64, u64))> {
        self.listings.iter().filter_map(|(path, cached)| Some((path.as_path(), cached.listing.stamp?.who)))
    }
}

impl Listing {
    fn read(directory: &Path) -> Listing {
        // Looked at before it is read: what changes in between is seen by the next scan.
        let stamp = Stamp::of(directory);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_trusted = stamp.is_none_or(|stamp| {
            stamp.modified_nanos + MTIME_TRUST.as_nanos() as i128 <= now.as_nanos() as i128
        });
        let mut entries: Vec<Entry> = match fs::read_dir(or_here(directory)) {
            Ok(entries) => entries.filter_map(Result::ok).map(|entry| Entry::of(&entry)).collect(),
            Err(_) => Vec::new(),
        };
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Listing { stamp, is_trusted, entries }
    }

    /// All names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One name.
    pub fn find(&self, name: &OsStr) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_os_str().cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// The names that begin with these bytes.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        let from = self.entries.partition_point(|entry| entry.name.as_bytes() < prefix.as_bytes());
        self.entries[from..]
            .iter()
            .take_while(move |entry| entry.name.as_bytes().starts_with(prefix.as_bytes()))
    }
}

impl Entry {
    fn of(entry: &fs::DirEntry) -> Entry {
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_dir() => Kind::Directory,
            Ok(kind) if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        Entry { name: entry.file_name(), kind, metadata: OnceLock::new() }
    }

    /// What the system says of it at `path`, symbolic links followed: asked once while its directory does not change.
    pub fn metadata(&self, path: &Path) -> Option<Metadata> {
        let look = || fs::metadata(path).ok();
        if self.kind == Kind::Link { look() } else { self.metadata.get_or_init(look).clone() }
    }
}

impl Stamp {
    /// Of the directory as it is now.
    fn of(directory: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(or_here(directory)).ok()?;
        let modified_nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Some(Stamp { who: (metadata.dev(), metadata.ino()), modified_nanos })
    }
}

fn or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}
