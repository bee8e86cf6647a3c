//! What a new file is: a content of its own, or the copy or compressed twin of a known one.
//!
//! A wrong answer shows lines twice, or loses them. So a file is a twin only by the proof of its bytes, and where
//! equal bytes prove little, because lines repeat, it is shown twice rather than lost.
//!
//! - Copies (`copytruncate`) have a rotated name, and are younger than the file they are made of, which stays under
//!   its name. A file that was renamed away is older than the one that is now under the name: so it is never taken for
//!   a copy, however equal it is.
//! - Compressed twins begin with the content's first bytes, and have the ones before its offset.

use std::collections::HashSet;
use std::time::Instant;
use std::{fs, io};

use weir_record::{FileIdentity, FileKey};

use super::checkpoint::{ContentCheck, Entry, EntryState, Head};
use super::discover::is_rotated;
use super::file::{Presence, nanos_now};
use super::ladder::Ladder;
use super::medium::{Codec, Extent, HEAD_BYTES, Medium};
use super::open::{identity, open_same};
use super::proof::{begins_with, equal_until, holds, repeats};
use super::scan::Sighting;
use super::{Followed, Follower, Standing, without_generation};

/// A copy is finished before the original is truncated; clocks of file systems tick coarsely.
const COPIED_BEFORE_SECS: i64 = 2;

/// What a file is.
pub enum Verdict {
    /// A content of its own.
    Own,
    /// A copy or twin of this content.
    TwinOf(FileIdentity),
    /// Nothing yet, and perhaps for long: it is looked at again when it has changed.
    Empty,
    /// It cannot be said yet.
    Undecided(Undecided),
}

/// What is known of a file that cannot be judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Since when it has this many bytes.
    since: Instant,
    bytes: u64,
    /// What it was equal to, as far as it went.
    like: Option<FileIdentity>,
    /// Bytes that a copy of that has at least: they were there before this file was.
    bytes_min: u64,
}

/// A known content that is nowhere to be read.
struct Lost {
    identity: FileIdentity,
    head: Head,
    check: ContentCheck,
    scanned_check: ContentCheck,
    ladder: Ladder,
    size: u64,
    /// Whether the file has a name that says that it was rotated away from this one's.
    is_kin: bool,
    /// Whether its own file is still there, with other content.
    was_cut: bool,
    vanished_secs: Option<u64>,
    has_twin: bool,
}

impl Lost {
    /// Whether a file that is shorter than what was read begins as this did, and lines do not repeat.
    fn began_as(&self, medium: &mut Medium, bytes: u64) -> io::Result<bool> {
        let scanned = &self.scanned_check;
        if scanned.offset > 0 && scanned.offset <= bytes && holds(medium, scanned)? {
            return Ok(true);
        }
        Ok(self.ladder.reaches(medium, bytes)? && !repeats(medium, bytes)?)
    }

    /// Whether a compressed file, decoded to its end, is a copy that was made before all was written that was read.
    fn was_longer_than(&self, medium: &mut Medium) -> io::Result<bool> {
        let Extent::Exactly(bytes) = medium.extent()? else { return Ok(false) };
        Ok(bytes < self.check.offset && self.began_as(medium, bytes)?)
    }
}

/// A known content that can be read.
struct Readable {
    identity: FileIdentity,
    check: ContentCheck,
    size: u64,
    /// Whether the compressed file has its name, with an ending; or was made of it when it was removed.
    is_named_for: bool,
}

impl Readable {
    /// Whether a compressed file may have as many bytes, as far as it was decoded.
    fn may_be_in(&self, medium: &Medium) -> io::Result<bool> {
        Ok(match medium.extent()? {
            Extent::Exactly(bytes) => bytes == self.size,
            extent => extent.bytes() <= self.size,
        })
    }
}

impl Follower {
    /// Says what a new file is.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn judge(
        &mut self,
        sighting: &Sighting,
        medium: &mut Medium,
        now: Instant,
    ) -> io::Result<Verdict> {
        self.look_at_kin(sighting, now);
        let head = medium.head()?;
        // The kubelet compresses into a file with a name of its own, and renames that.
        let may_be_compressed = Codec::is_name(&sighting.found.path) || sighting.presence == Presence::Gone;
        if matches!(medium, Medium::Plain(_))
            && may_be_compressed
            && (head.is_empty() || Codec::may_become(&head))
        {
            // The compressor has just begun, or takes its time.
            return Ok(self.wait_or(sighting, None, 0, Verdict::Empty, now));
        }
        match medium {
            Medium::Plain(_) => self.judge_plain(sighting, medium, &head, now),
            Medium::Compressed(_) => self.judge_compressed(sighting, medium, &head, now),
        }
    }

    /// Before bytes are compared: files of the same family may have been truncated just now, and this is a copy.
    fn look_at_kin(&mut self, sighting: &Sighting, now: Instant) {
        let is_kin = |file: &&Followed| {
            without_generation(file.identity) != sighting.who && is_rotated(&file.path, &sighting.found.path)
        };
        let kin: Vec<FileKey> = self.files.values().filter(is_kin).map(|file| file.key).collect();
        for key in kin {
            self.look_closely(key, now);
        }
    }

    fn judge_plain(
        &mut self,
        sighting: &Sighting,
        medium: &mut Medium,
        head: &[u8],
        now: Instant,
    ) -> io::Result<Verdict> {
        let bytes = medium.extent()?.bytes();
        for key in self.originals(sighting) {
            let Some(equal) = self.equals_original(key, medium, bytes)? else { continue };
            if !equal && self.look_closely(key, now) {
                return Ok(self.wait_or(sighting, None, 0, Verdict::Own, now));
            }
            let Some(original) = self.files.get(&key).filter(|_| equal) else { continue };
            let (content, bytes_min) = (original.identity, original.bytes_before(sighting.who.birth_nanos));
            let bytes_min = self.undecided.get(&sighting.who).map_or(bytes_min, |known| known.bytes_min);
            let proven = bytes_min > 0 && bytes >= bytes_min && !repeats(medium, bytes)?;
            let verdict = if proven { Verdict::TwinOf(content) } else { Verdict::Own };
            return Ok(self.wait_or(sighting, Some(content), bytes_min, verdict, now));
        }
        self.judge_copy_of_lost(sighting, medium, head, bytes)
    }

    /// The files that this one may be a copy of, and that can be read.
    fn originals(&self, sighting: &Sighting) -> Vec<FileKey> {
        let is_original = |file: &&Followed| {
            (file.is_at_base() || file.is_unlinked())
                && without_generation(file.identity) != sighting.who
                && is_rotated(&file.path, &sighting.found.path)
                && is_younger(&sighting.who, &file.identity)
        };
        self.files.values().filter(is_original).map(|file| file.key).collect()
    }

    /// Whether the original begins with these bytes. None: it cannot be read now.
    fn equals_original(&mut self, key: FileKey, copy: &mut Medium, bytes: u64) -> io::Result<Option<bool>> {
        let Some(file) = self.files.get_mut(&key) else { return Ok(None) };
        if file.size < bytes {
            return Ok(Some(false));
        }
        if let Some(place) = &file.place {
            let Some(mut original) = open_same(&place.path, place.inode)? else { return Ok(None) };
            return equal_until(&mut original, copy, bytes).map(Some);
        }
        let Some(original) = &mut file.handle else { return Ok(None) };
        equal_until(original, copy, bytes).map(Some)
    }

    /// A copy of what was there before a truncation, or before it was moved to where it cannot be seen.
    fn judge_copy_of_lost(
        &self,
        sighting: &Sighting,
        medium: &mut Medium,
        head: &[u8],
        bytes: u64,
    ) -> io::Result<Verdict> {
        let like = self.undecided.get(&sighting.who).and_then(|known| known.like);
        for lost in self.lost(sighting, head) {
            if !lost.is_kin || !is_younger(&sighting.who, &lost.identity) {
                continue;
            }
            let too_young = lost.vanished_secs.is_some_and(|secs| {
                sighting.who.birth_nanos / 1_000_000_000 > secs as i64 + COPIED_BEFORE_SECS
            });
            if lost.was_cut && too_young {
                continue;
            }
            let same = like == Some(lost.identity)
                || holds(medium, &lost.check)?
                || (bytes < lost.check.offset && lost.began_as(medium, bytes)?);
            if same && (lost.was_cut || !repeats(medium, lost.check.offset.min(bytes))?) {
                return Ok(Verdict::TwinOf(lost.identity));
            }
        }
        Ok(Verdict::Own)
    }

    fn judge_compressed(
        &mut self,
        sighting: &Sighting,
        medium: &mut Medium,
        head: &[u8],
        now: Instant,
    ) -> io::Result<Verdict> {
        for lost in self.lost(sighting, head) {
            if !lost.is_kin && (lost.head.length as usize) < HEAD_BYTES {
                continue;
            }
            let stated = medium.stated_bytes() == Some(lost.size as u32) && lost.check.offset == lost.size;
            let same = (stated && lost.is_kin) || holds(medium, &lost.check)?;
            let same = same || (lost.is_kin && lost.was_longer_than(medium)?);
            if same && lost.has_twin {
                let doubtful = repeats(medium, lost.check.offset)?;
                let verdict = if doubtful { Verdict::Own } else { Verdict::TwinOf(lost.identity) };
                return Ok(self.wait_or(sighting, None, 0, verdict, now));
            }
            if same {
                return Ok(Verdict::TwinOf(lost.identity));
            }
            if let Extent::BreaksOff(bytes) = medium.extent()?
                && bytes < lost.check.offset
            {
                // All of what it has was read, if it is what it looks like.
                let verdict = if lost.is_kin { Verdict::TwinOf(lost.identity) } else { Verdict::Own };
                return Ok(self.wait_or(sighting, None, 0, verdict, now));
            }
        }
        for like in self.readable_like(sighting, head) {
            // It is being compressed, and then it goes; or it stays, and this is a twin.
            // Of a content of which nothing was read yet, its head alone says little.
            let is_unread = like.check.offset == 0;
            if is_unread && !like.may_be_in(medium)? {
                continue;
            }
            if is_unread || !self.is_quiet(sighting, now) {
                return Ok(self.postpone(sighting, None, 0, now));
            }
            let same = holds(medium, &like.check)?;
            if same && (like.is_named_for || !repeats(medium, like.check.offset)?) {
                return Ok(Verdict::TwinOf(like.identity));
            }
        }
        if matches!(medium.extent()?, Extent::BreaksOff(_)) {
            return Ok(self.wait_or(sighting, None, 0, Verdict::Own, now));
        }
        Ok(Verdict::Own)
    }

    /// Contents that begin like this file, and are nowhere to be read; the likeliest first.
    fn lost(&self, sighting: &Sighting, head: &[u8]) -> Vec<Lost> {
        let twins = self.twins();
        let lost = |entry: &Entry, scanned_check, ladder| {
            let standing = self.inodes.get(&without_generation(entry.identity));
            let now = match standing {
                Some(Standing::Followed(key)) => self.files.get(key).map(|file| file.identity),
                Some(Standing::Dormant(content)) => Some(*content),
                _ => None,
            };
            Lost {
                identity: entry.identity,
                head: entry.head,
                check: entry.check,
                scanned_check,
                ladder,
                size: entry.size,
                is_kin: is_rotated(&entry.path, &sighting.found.path),
                was_cut: now.is_some_and(|now| now.generation > entry.identity.generation),
                vanished_secs: match entry.state {
                    EntryState::Vanished { at_secs } => Some(at_secs),
                    _ => None,
                },
                has_twin: twins.contains(&entry.identity),
            }
        };
        let followed = self
            .files
            .values()
            .filter(|file| file.place.is_none() && file.handle.is_none() && is_of(head, file))
            .map(|file| lost(&file.entry(), file.scanned_check, file.ladder.clone()));
        let remembered = self
            .checkpoint
            .entries()
            .filter(|entry| {
                matches!(entry.state, EntryState::Vanished { .. }) && begins_with(head, &entry.head)
            })
            .filter(|entry| !self.files.contains_key(&self.key(&entry.identity)))
            .map(|entry| lost(entry, entry.check, Ladder::default()));
        let mut all: Vec<Lost> = followed.chain(remembered).collect();
        all.sort_by_key(|lost| (lost.has_twin, !lost.is_kin, !lost.was_cut, lost.vanished_secs.is_some()));
        all
    }

    /// Contents that have a copy or twin on the disk.
    fn twins(&self) -> HashSet<FileIdentity> {
        let there = self.inodes.iter().filter(|(who, _)| !self.unseen.contains_key(who));
        let twin = |(_, standing): (&FileIdentity, &Standing)| match standing {
            Standing::Twin(content) => Some(*content),
            _ => None,
        };
        there.filter_map(twin).collect()
    }

    /// Contents that begin like this file, and that can be read themselves.
    fn readable_like(&self, sighting: &Sighting, head: &[u8]) -> Vec<Readable> {
        let is_other = |identity: &FileIdentity| without_generation(*identity) != sighting.who;
        let namesake = self.namesake(sighting);
        let plain = sighting.found.path.with_extension("");
        let twins = self.twins();
        let readable = |identity, check, size, is_named_for| Readable {
            identity,
            check,
            size,
            is_named_for: is_named_for || namesake == Some(identity),
        };
        let followed = self
            .files
            .values()
            .filter(|file| file.place.is_some() || file.handle.is_some())
            .filter(|file| is_other(&file.identity) && begins_with(head, &file.head))
            .map(|file| {
                let was_removed = file.is_unlinked() && !twins.contains(&file.identity);
                readable(file.identity, file.check, file.size, was_removed || file.was_at == plain)
            });
        let dormant = self
            .checkpoint
            .entries()
            .filter(|entry| entry.state == EntryState::Live && is_other(&entry.identity))
            .filter(|entry| begins_with(head, &entry.head))
            .filter(|entry| !self.files.contains_key(&self.key(&entry.identity)))
            .map(|entry| readable(entry.identity, entry.check, entry.size, false));
        followed.chain(dormant).collect()
    }

    /// The content of the file whose name a compressed one has, with an ending.
    fn namesake(&self, sighting: &Sighting) -> Option<FileIdentity> {
        let plain = fs::metadata(sighting.found.path.with_extension("")).ok()?;
        match self.inodes.get(&identity(&plain))? {
            Standing::Followed(key) => self.files.get(key).map(|file| file.identity),
            Standing::Dormant(content) | Standing::Twin(content) => Some(*content),
            Standing::Skipped | Standing::Refused(_) => None,
        }
    }

    /// The verdict, if the file has not changed for long; else it is looked at again.
    fn wait_or(
        &self,
        sighting: &Sighting,
        like: Option<FileIdentity>,
        bytes_min: u64,
        verdict: Verdict,
        now: Instant,
    ) -> Verdict {
        if self.is_quiet(sighting, now) {
            return verdict;
        }
        self.postpone(sighting, like, bytes_min, now)
    }

    /// Looked at again later, whatever it seems now.
    fn postpone(
        &self,
        sighting: &Sighting,
        like: Option<FileIdentity>,
        bytes_min: u64,
        now: Instant,
    ) -> Verdict {
        let bytes = sighting.found.metadata.len();
        let since = self
            .undecided
            .get(&sighting.who)
            .filter(|known| known.bytes == bytes)
            .map_or(now, |known| known.since);
        Verdict::Undecided(Undecided { since, bytes, like, bytes_min })
    }

    /// Whether a file has not changed for long, by its change time or by our own clock.
    fn is_quiet(&self, sighting: &Sighting, now: Instant) -> bool {
        let quiet = self.settings.timing.copy_quiet;
        let by_clock = nanos_now() - sighting.seen().changed_nanos >= quiet.as_nanos() as i64;
        by_clock
            || self.undecided.get(&sighting.who).is_some_and(|known| {
                known.bytes == sighting.found.metadata.len()
                    && now.saturating_duration_since(known.since) >= quiet
            })
    }
}

/// Whether a file that begins with `head` may hold a content, or the beginning of it.
fn is_of(head: &[u8], content: &Followed) -> bool {
    let is_shorter = head.len() < content.head.length as usize;
    if is_shorter { content.ladder.begins_with(head) } else { begins_with(head, &content.head) }
}

/// Whether a file was born after another; where the file system keeps no births, it may have been.
fn is_younger(file: &FileIdentity, other: &FileIdentity) -> bool {
    file.birth_nanos == 0 || other.birth_nanos == 0 || file.birth_nanos > other.birth_nanos
}
