//! A scan: which files there are now, which of them are known, and which are new.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use weir_record::{FileIdentity, FileKey};

use super::checkpoint::{Entry, EntryState};
use super::discover::Found;
use super::file::{Followed, Place, Presence, Seen, nanos_now};
use super::medium::Medium;
use super::meet::MET_SAID_MAX;
use super::open::{identity, open_same};
use super::{Follower, Standing, without_generation};
use crate::backfill::{Candidate, oldest_first};

/// A vanished file's siblings are looked for this long: its compressed twin comes soon, or with the next rotation.
const SIBLINGS_SECS: u64 = 24 * 3600;

/// A copy, twin or unwanted file that was not seen for so long is gone.
const UNSEEN_MAX: Duration = Duration::from_secs(10);

/// A file that a scan saw.
pub struct Sighting {
    /// Where, and what the system says of it.
    pub found: Found,
    /// Who it is, without a generation.
    pub who: FileIdentity,
    /// Whether a pattern matches its name, or it is only the sibling of one that does.
    pub presence: Presence,
    /// Whether the file that it was rotated away from was known before.
    pub base_known: bool,
    /// The name that it was rotated away from.
    base: Option<PathBuf>,
}

impl Sighting {
    fn new(found: Found, presence: Presence, base_known: bool) -> Sighting {
        Sighting { who: identity(&found.metadata), found, presence, base_known, base: None }
    }

    /// The name that it was written under, as far as its own tells.
    pub fn written_as(&self) -> &Path {
        self.base.as_ref().unwrap_or(&self.found.path)
    }

    /// Where its bytes can be read.
    pub fn place(&self) -> Place {
        Place { path: self.found.path.clone(), inode: self.who }
    }

    /// Opens it; an error too, if another file has its name by now.
    pub fn open(&self) -> io::Result<Medium> {
        open_same(&self.found.path, self.who)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// What tells that it was touched.
    pub fn seen(&self) -> Seen {
        Seen::of(&self.found.metadata)
    }
}

impl Follower {
    /// Finds new files, and notes where the known ones are now.
    pub(super) fn scan(&mut self, now: Instant) {
        let began = nanos_now();
        self.scanned = now;
        if !self.undecided.is_empty() {
            self.discovery.look_at_everything();
        }
        let Some(found) = self.discovery.scan(now) else { return self.end_scan() };
        let sightings = self.sightings(found);
        let seen: HashSet<FileIdentity> = sightings.iter().map(|sighting| sighting.who).collect();
        self.note_gone(&sightings, &seen, now);
        self.undecided.retain(|who, _| seen.contains(who));
        let nothing = sightings.is_empty();
        let asked_back = if self.first_scan { self.asked_back() } else { HashSet::new() };
        if self.broken_off {
            return;
        }
        let mut strangers = Vec::new();
        let mut returned = Vec::new();
        let mut twins = Vec::new();
        for sighting in sightings {
            match self.inodes.get(&sighting.who).copied() {
                None => strangers.push(sighting),
                Some(Standing::Followed(key)) => self.sighted(key, &sighting, now),
                Some(Standing::Dormant(content))
                    if self.is_at_rest(&content, &sighting) && !asked_back.contains(&content) => {}
                Some(Standing::Dormant(content)) => returned.push((content, Some(sighting))),
                Some(Standing::Twin(content)) => twins.push((content, sighting)),
                Some(Standing::Skipped) if sighting.presence == Presence::Gone => {}
                Some(Standing::Refused(seen)) if seen == sighting.seen() => {}
                Some(Standing::Skipped | Standing::Refused(_)) => strangers.push(sighting),
            }
        }
        self.scanned_at = began;
        if self.first_scan {
            let missing = self.missing_since_last_life(&seen, &asked_back);
            returned.extend(missing.into_iter().map(|content| (content, None)));
        }
        self.resume(returned, now);
        if self.broken_off {
            // Without the contents of the last life a copy of one would be a stranger.
            return;
        }
        for (content, sighting) in twins {
            strangers.extend(self.sighted_twin(content, sighting, now));
        }
        self.meet(strangers, now);
        if self.once().is_some() {
            self.line_up(now);
        }
        let met = std::mem::take(&mut self.met);
        if met > MET_SAID_MAX {
            tracing::info!(new = met, files = self.files.len(), took = ?now.elapsed(), "following, some unnamed");
        }
        self.end_scan();
        if std::mem::take(&mut self.first_scan) && nothing {
            // An input's journal is made when something comes in.
            let of_files = self.settings.sources.iter().filter(|source| source.origin.is_none());
            let patterns: Vec<&str> = of_files.flat_map(|source| &source.paths).map(String::as_str).collect();
            if !patterns.is_empty() {
                tracing::warn!(paths = ?patterns, "no file matches: waiting for one");
            }
        }
    }

    /// Gives the files that are new their turns: of each family the oldest first, and one after the other.
    fn line_up(&mut self, now: Instant) {
        let fresh = self.files.iter().filter(|(_, file)| file.turn_in_line.is_none());
        let mut line: Vec<Candidate<FileKey>> = fresh
            .map(|(key, file)| {
                let path = file.place.as_ref().map_or(&file.path, |place| &place.path).clone();
                let metadata = fs::metadata(&path).ok();
                let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
                let bytes = stated_bytes(&path).or(metadata.map(|metadata| metadata.len())).unwrap_or(0);
                self.progress.found(bytes.saturating_sub(file.offset));
                Candidate { path, modified: modified.unwrap_or(SystemTime::UNIX_EPOCH), what: *key }
            })
            .collect();
        oldest_first(&mut line);
        for (at, candidate) in line.into_iter().enumerate() {
            let turn = now + Duration::from_nanos(at as u64);
            if let Some(file) = self.files.get_mut(&candidate.what) {
                file.turn_in_line = Some(turn);
            }
            self.schedule.set(candidate.what, turn);
        }
    }

    /// From here on, what appears is new.
    fn end_scan(&mut self) {
        for key in self.advanced.drain(..) {
            if let Some(file) = self.files.get_mut(&key) {
                file.scanned_check = file.check;
            }
        }
        self.bound_deleted();
        let behind = |file: &Followed| file.size.max(file.offset).saturating_sub(file.indexed);
        self.progress.behind(self.files.values().map(behind).sum());
    }

    /// Every file that a pattern matches, and the files that were rotated away from these; each file once.
    fn sightings(&mut self, listed: Vec<Found>) -> Vec<Sighting> {
        let mut sightings: Vec<Sighting> =
            listed.into_iter().map(|found| Sighting::new(found, Presence::Listed, true)).collect();
        let mut bases = self.known_bases();
        for sighting in &sightings {
            bases.entry(sighting.found.path.clone()).or_insert((sighting.found.source, false));
        }
        let mut seen = HashSet::new();
        sightings.retain(|sighting| seen.insert(sighting.who));
        for (base, (source, base_known)) in bases {
            for (path, metadata) in self.discovery.siblings_of(&base) {
                let found = Found { path, metadata, source };
                let sighting =
                    Sighting { base: Some(base.clone()), ..Sighting::new(found, Presence::Gone, base_known) };
                if seen.insert(sighting.who) {
                    sightings.push(sighting);
                }
            }
        }
        sightings
    }

    /// The names that known files were written under, with their sources.
    fn known_bases(&self) -> HashMap<PathBuf, (usize, bool)> {
        let now_secs = (nanos_now() / 1_000_000_000) as u64;
        let is_wanted = |entry: &&Entry| match entry.state {
            EntryState::Live => true,
            EntryState::Vanished { at_secs } => at_secs + SIBLINGS_SECS >= now_secs,
            EntryState::Skipped | EntryState::TwinOf(_) => false,
        };
        let remembered = self
            .checkpoint
            .entries()
            .filter(is_wanted)
            .filter_map(|entry| Some((entry.path.clone(), (self.source_of(&entry.path)?, true))));
        let followed = self.files.values().map(|file| (file.path.clone(), (file.source, true)));
        remembered.chain(followed).collect()
    }

    /// The source whose patterns a path of the last life belongs to.
    pub(super) fn source_of(&self, path: &Path) -> Option<usize> {
        self.discovery.source_of(path)
    }

    /// What was not seen is not there under any name that is known: renamed to another place, or removed.
    fn note_gone(&mut self, sightings: &[Sighting], seen: &HashSet<FileIdentity>, now: Instant) {
        for file in self.files.values_mut() {
            let here = file.place.as_ref().is_some_and(|place| seen.contains(&place.inode));
            if here {
                continue;
            }
            if std::mem::replace(&mut file.presence, Presence::Gone) == Presence::Listed {
                self.schedule.bring_forward(file.key, now);
            }
            let links = file.handle.as_ref().and_then(|medium| medium.file().metadata().ok());
            if links.is_some_and(|metadata| metadata.nlink() == 0) {
                file.place = None;
            }
        }
        self.unseen.retain(|who, _| !seen.contains(who));
        let visible: HashSet<&Path> =
            sightings.iter().filter_map(|sighting| sighting.found.path.parent()).collect();
        let at_secs = (nanos_now() / 1_000_000_000) as u64;
        let gone: Vec<(FileIdentity, Standing)> = self
            .inodes
            .iter()
            .filter(|(who, _)| !seen.contains(who))
            .map(|(who, standing)| (*who, *standing))
            .collect();
        for (who, standing) in gone {
            match standing {
                Standing::Followed(_) => {}
                // Before the first scan is over nobody knows whether it is finished.
                Standing::Dormant(_) if self.first_scan => {}
                Standing::Dormant(content) => self.mark_vanished(&content, at_secs),
                Standing::Refused(_) => drop(self.inodes.remove(&who)),
                Standing::Skipped | Standing::Twin(_) => {
                    // A listing may miss a file that is renamed meanwhile: forgotten, it would be a stranger next time.
                    if now.saturating_duration_since(*self.unseen.entry(who).or_insert(now)) < UNSEEN_MAX {
                        continue;
                    }
                    let directory_is_there = self
                        .checkpoint
                        .get(&who)
                        .is_none_or(|entry| entry.path.parent().is_some_and(|path| visible.contains(path)));
                    if directory_is_there {
                        self.checkpoint.remove(&who);
                        self.inodes.remove(&who);
                        self.unseen.remove(&who);
                    }
                }
            }
        }
    }

    fn mark_vanished(&mut self, content: &FileIdentity, at_secs: u64) {
        let Some(entry) = self.checkpoint.get(content).filter(|entry| entry.state == EntryState::Live) else {
            return;
        };
        let entry = Entry { state: EntryState::Vanished { at_secs }, ..entry.clone() };
        self.checkpoint.put(entry);
    }

    fn sighted(&mut self, key: FileKey, sighting: &Sighting, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let before = file.presence;
        file.sighted(sighting.place(), sighting.presence);
        // The look of a file at rest is far away: what nobody else tells of it is seen here.
        let has_changed = file.handle.is_none() && !file.was_seen_as(sighting.seen());
        if has_changed || file.presence != before {
            self.schedule.bring_forward(key, now);
        }
    }

    /// Whether a content that is not followed needs nothing: it was rotated away, is finished, and was not touched.
    fn is_at_rest(&self, content: &FileIdentity, sighting: &Sighting) -> bool {
        self.checkpoint.get(content).is_some_and(|entry| {
            sighting.presence == Presence::Gone
                && entry.state == EntryState::Live
                && entry.indexed >= entry.size
                && entry.size == sighting.found.metadata.len()
        })
    }

    /// A copy or twin is still there: its content may need it now. Returns one that was touched: it is another file.
    fn sighted_twin(&mut self, content: FileIdentity, sighting: Sighting, now: Instant) -> Option<Sighting> {
        let key = self.key(&content);
        let reads_it =
            |file: &&mut Followed| file.place.as_ref().is_some_and(|place| place.inode == sighting.who);
        if let Some(file) = self.files.get_mut(&key).filter(reads_it) {
            file.sighted(sighting.place(), Presence::Gone);
            return None;
        }
        let known = self.checkpoint.get(&sighting.who);
        if known.is_none_or(|entry| entry.size != sighting.found.metadata.len()) {
            self.inodes.remove(&sighting.who);
            return Some(sighting);
        }
        self.adopt(content, &sighting, now);
        None
    }

    /// Contents that were done, and that the buffer stands before the end of: the index has lost what it had of them. What
    /// is not there any more of these is counted as vanished.
    fn asked_back(&mut self) -> HashSet<FileIdentity> {
        let is_done = |entry: &&Entry| {
            matches!(entry.state, EntryState::Live | EntryState::Vanished { .. })
                && entry.indexed > 0
                && entry.indexed >= entry.size
        };
        let done = self.checkpoint.entries().filter(is_done);
        let done: Vec<(FileIdentity, u64)> = done.map(|entry| (entry.identity, entry.indexed)).collect();
        let keys = done.iter().map(|(content, _)| self.key(content)).collect();
        // Without an answer this process ends.
        let positions = self.locate(keys).unwrap_or_default();
        done.into_iter()
            .zip(positions)
            .filter(|((_, indexed), position)| position.pushed.is_some_and(|pushed| pushed < *indexed))
            .map(|((content, _), _)| content)
            .collect()
    }

    /// Contents of the last life whose files are not there: returns those that are not done, or asked back, the others
    /// have vanished.
    fn missing_since_last_life(
        &mut self,
        seen: &HashSet<FileIdentity>,
        asked_back: &HashSet<FileIdentity>,
    ) -> Vec<FileIdentity> {
        let is_missing = |entry: &&Entry| {
            let who = without_generation(entry.identity);
            // Of an earlier generation of a file that is there nothing is left but, perhaps, a copy.
            let is_there =
                seen.contains(&who) && self.inodes.get(&who) == Some(&Standing::Dormant(entry.identity));
            let is_wanted = entry.state == EntryState::Live || asked_back.contains(&entry.identity);
            is_wanted && !is_there
        };
        let missing = self.checkpoint.entries().filter(is_missing);
        let is_done = |entry: &&Entry| entry.indexed >= entry.size && !asked_back.contains(&entry.identity);
        let (done, open): (Vec<&Entry>, Vec<&Entry>) = missing.partition(is_done);
        let open = open.iter().map(|entry| entry.identity).collect();
        let done: Vec<FileIdentity> = done.iter().map(|entry| entry.identity).collect();
        let at_secs = (nanos_now() / 1_000_000_000) as u64;
        done.iter().for_each(|content| self.mark_vanished(content, at_secs));
        open
    }

    /// The buffer's key of a content.
    pub(super) fn key(&self, content: &FileIdentity) -> FileKey {
        FileKey::new(self.settings.source, content)
    }
}

/// Bytes that a compressed file says its content has.
fn stated_bytes(path: &Path) -> Option<u64> {
    match Medium::open(path).ok()? {
        Medium::Plain(_) => None,
        medium @ Medium::Compressed(_) => medium.stated_bytes().map(u64::from),
    }
}
