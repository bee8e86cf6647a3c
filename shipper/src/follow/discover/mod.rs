//! Which files there are: those that the patterns name, and the rotated siblings of files that are followed.

mod listing;
mod pattern;
mod rotated;

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weir_record::FileIdentity;

use self::listing::{Entry, Kind, Listings};
pub use self::pattern::{GlobError, Globs};
use self::pattern::{Part, PathPattern, is_hidden};
use self::rotated::is_rotated_from;
pub use self::rotated::{COMPRESSED, is_rotated};
use super::open::identity;
use super::watch::DirectoryWatch;
use crate::settings::SCAN_INTERVAL;

/// Everything is looked at anew at least this often: sizes, and what file systems without reliable times have not told...
const FULL_SCAN_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// ...and as often as it takes no more than this part of the time: every two seconds for a thousand files.
const FULL_SCAN_SHARE: u32 = 1000;

/// A file that a source wants.
#[derive(Clone)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What the system says of it, symbolic links followed: as of when its directory was last seen to change.
    pub metadata: Metadata,
    /// Index of its source.
    pub source: usize,
}

/// Looks for files.
pub struct Discovery {
    sources: Vec<Globs>,
    listings: Listings,
    /// Paths whose identity can change without their directories: links, and paths that are named literally.
    probes: Vec<(PathBuf, Option<FileIdentity>)>,
    next_full_scan: Option<Instant>,
    watch: DirectoryWatch,
}

/// What one scan collects.
struct Walk<'a> {
    globs: &'a Globs,
    source: usize,
    listings: &'a mut Listings,
    probes: &'a mut Vec<(PathBuf, Option<FileIdentity>)>,
    seen: HashSet<PathBuf>,
    found: Vec<Found>,
}

impl Discovery {
    /// Over the patterns of all sources. The directories that it looks into are put under `watch`.
    pub fn new(sources: Vec<Globs>, watch: DirectoryWatch) -> Discovery {
        Discovery { sources, listings: Listings::default(), probes: Vec::new(), next_full_scan: None, watch }
    }

    /// Makes the next scan look at every file anew: its size may decide something.
    pub fn look_at_everything(&mut self) {
        self.next_full_scan = None;
    }

    /// Every file that matches now, unordered; none if nothing can have changed since the last scan. What vanishes or
    /// cannot be looked at is left out: the next scan sees it.
    pub fn scan(&mut self, now: Instant) -> Option<Vec<Found>> {
        let is_full = self.next_full_scan.is_none_or(|next| now >= next);
        if is_full {
            self.listings.clear();
        } else if self.listings.is_unchanged() && self.probes.iter().all(|(path, who)| probe(path) == *who) {
            return None;
        }
        let began = Instant::now();
        self.listings.begin();
        self.probes.clear();
        let mut found = Vec::new();
        for (source, globs) in self.sources.iter().enumerate() {
            let (listings, probes) = (&mut self.listings, &mut self.probes);
            let mut walk = Walk { globs, source, listings, probes, seen: HashSet::new(), found: Vec::new() };
            for pattern in globs.patterns() {
                walk.pattern(pattern);
            }
            found.append(&mut walk.found);
        }
        if is_full {
            let pause = (began.elapsed() * FULL_SCAN_SHARE).clamp(SCAN_INTERVAL, FULL_SCAN_INTERVAL_MAX);
            self.next_full_scan = Some(now + pause);
        }
        self.watch.keep(self.listings.directories());
        Some(found)
    }

    /// The files beside `base` whose names say that they were rotated away from it, compressed ones included. Of a
    /// symbolic link, those beside the file that it leads to. What the system says of them is as of when their
    /// directory was last seen to change.
    pub fn siblings_of(&mut self, base: &Path) -> Vec<(PathBuf, Metadata)> {
        let mut siblings = self.siblings_beside(base);
        let directory = base.parent().unwrap_or(Path::new(""));
        let is_link = base.file_name().is_some_and(|name| {
            self.listings.get(directory).find(name).is_some_and(|entry| entry.kind == Kind::Link)
        });
        if is_link && let Ok(real) = fs::canonicalize(base) {
            siblings.extend(self.siblings_beside(&real));
        }
        siblings
    }

    fn siblings_beside(&mut self, base: &Path) -> Vec<(PathBuf, Metadata)> {
        let (Some(directory), Some(name)) = (base.parent(), base.file_name().and_then(|name| name.to_str()))
        else {
            return Vec::new();
        };
        let is_sibling = |entry: &&Entry| {
            entry.kind != Kind::Directory
                && entry.name.to_str().is_some_and(|other| is_rotated_from(name, other))
        };
        let found = |entry: &Entry| {
            let path = directory.join(&entry.name);
            let metadata = entry.metadata(&path)?;
            metadata.is_file().then_some((path, metadata))
        };
        let listing = self.listings.get(directory);
        listing.starting_with(rotated::stem(name)).filter(is_sibling).filter_map(found).collect()
    }

    /// The source whose patterns a path belongs to.
    pub fn source_of(&self, path: &Path) -> Option<usize> {
        self.sources.iter().position(|globs| globs.matches(path))
    }
}

impl Walk<'_> {
    fn pattern(&mut self, pattern: &PathPattern) {
        self.descend(&pattern.root, &pattern.parts);
    }

    fn descend(&mut self, directory: &Path, parts: &[Part]) {
        match parts {
            [] => {}
            [Part::Literal(name)] => self.literal(&directory.join(name)),
            // Not listed: one may be allowed to pass through a directory that one may not read.
            [Part::Literal(name), rest @ ..] => self.descend(&directory.join(name), rest),
            [Part::AnyDepth] => self.below(directory),
            [Part::AnyDepth, rest @ ..] => {
                self.descend(directory, rest);
                self.each(directory, |walk, path, entry| {
                    if entry.kind == Kind::Directory && !is_hidden(&entry.name) {
                        walk.descend(path, parts);
                    }
                });
            }
            [part, rest @ ..] => self.each(directory, |walk, path, entry| {
                if !part.matches(&entry.name) {
                    return;
                }
                if rest.is_empty() {
                    walk.file(path, entry);
                } else if entry.kind != Kind::Other {
                    walk.descend(path, rest);
                }
            }),
        }
    }

    /// Every file below a directory.
    fn below(&mut self, directory: &Path) {
        self.each(directory, |walk, path, entry| match entry.kind {
            _ if is_hidden(&entry.name) => {}
            Kind::Directory => walk.below(path),
            Kind::Link | Kind::Other => walk.file(path, entry),
        });
    }

    fn each(&mut self, directory: &Path, mut act: impl FnMut(&mut Self, &Path, &Entry)) {
        for entry in self.listings.get(directory).entries() {
            let path = directory.join(&entry.name);
            if !self.globs.is_excluded(&path) {
                act(self, &path, entry);
            }
        }
    }

    /// A path that is named as it is: a file, or a directory with all that is below.
    fn literal(&mut self, path: &Path) {
        let metadata = fs::metadata(path).ok();
        self.probes.push((path.to_path_buf(), metadata.as_ref().map(identity)));
        match metadata {
            Some(metadata) if metadata.is_dir() => self.below(path),
            Some(metadata) if !self.globs.is_excluded(path) => self.take(path, metadata),
            _ => {}
        }
    }

    fn file(&mut self, path: &Path, entry: &Entry) {
        if entry.kind == Kind::Directory {
            return;
        }
        let metadata = entry.metadata(path);
        if entry.kind == Kind::Link {
            self.probes.push((path.to_path_buf(), metadata.as_ref().map(identity)));
        }
        if let Some(metadata) = metadata.filter(|metadata| !metadata.is_dir()) {
            self.take(path, metadata);
        }
    }

    fn take(&mut self, path: &Path, metadata: Metadata) {
        if self.seen.insert(path.to_path_buf()) {
            self.found.push(Found { path: path.to_path_buf(), metadata, source: self.source });
        }
    }
}

fn probe(path: &Path) -> Option<FileIdentity> {
    fs::metadata(path).ok().as_ref().map(identity)
}

#[cfg(test)]
mod tests;
