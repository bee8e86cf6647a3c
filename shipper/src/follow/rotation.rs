//! What happens to contents: they are cut, move into a copy or twin, go missing, are done.

use std::fs;
use std::time::Instant;

use weir_record::{FileIdentity, FileKey};

use super::checkpoint::{ContentCheck, Entry, EntryState, Head};
use super::file::{Followed, Presence, nanos_now};
use super::open::identity;
use super::scan::Sighting;
use super::{Follower, Standing, without_generation};
use crate::progress::Vanished;

/// A missing content is waited for so much longer while there are files of which nobody knows yet what they are.
const MISSING_FACTOR: u32 = 4;

impl Follower {
    /// A file does not hold any more what was read of it. What it holds now is its next generation, from byte 0 on;
    /// what it held before may go on in a copy.
    pub(super) fn cut(&mut self, key: FileKey, now: Instant) {
        let Some(mut file) = self.files.remove(&key) else { return };
        self.release(&key);
        let Some(place) = file.place.clone() else {
            // Nobody can write to it under a name: it goes on as it is.
            file.lose_place();
            self.files.insert(key, file);
            return self.schedule.set(key, now);
        };
        if file.is_at_home() {
            let next = self.next_generation(&file, now);
            tracing::info!(path = %file.path.display(), read = file.offset, not_indexed = file.offset - file.indexed, "file was truncated: reading it from its beginning");
            self.inodes.insert(place.inode, Standing::Followed(next.key));
            self.schedule.set(next.key, now);
            self.files.insert(next.key, next);
        } else {
            // The copy was overwritten: it is another file now.
            self.inodes.remove(&place.inode);
            self.checkpoint.remove(&place.inode);
        }
        file.lose_place();
        file.missing_since = Some(now);
        self.schedule.set(key, now + self.settings.timing.rotated_quiet);
        self.files.insert(key, file);
        self.rescan = Some(now);
        // Before anything of the new generation is pushed: the next start must not take it for the one before.
        self.save();
    }

    fn next_generation(&self, file: &Followed, now: Instant) -> Followed {
        let identity = FileIdentity { generation: file.identity.generation + 1, ..file.identity };
        let entry = Entry {
            identity,
            sequence_base: nanos_now(),
            indexed: 0,
            pushed: 0,
            check: ContentCheck::default(),
            head: Head::default(),
            size: 0,
            changed_nanos: 0,
            state: EntryState::Live,
            path: file.path.clone(),
        };
        let presence = file.presence;
        let mut next = Followed::new(entry, self.key(&identity), file.source, 0, file.place.clone(), now);
        next.presence = presence;
        next
    }

    /// A file is a copy or compressed twin of a content: what is not read yet is read there, if it is nowhere else.
    pub(super) fn adopt(&mut self, content: FileIdentity, sighting: &Sighting, now: Instant) {
        self.inodes.insert(sighting.who, Standing::Twin(content));
        let seen = sighting.seen();
        self.checkpoint.put(Entry {
            identity: sighting.who,
            sequence_base: 0,
            indexed: 0,
            pushed: 0,
            check: ContentCheck::default(),
            head: Head::default(),
            size: seen.length,
            changed_nanos: 0,
            state: EntryState::TwinOf(content),
            path: sighting.found.path.clone(),
        });
        let key = self.key(&content);
        let is_nowhere = |file: &&mut Followed| file.place.is_none() && file.handle.is_none();
        if let Some(file) = self.files.get_mut(&key).filter(is_nowhere) {
            file.move_to(sighting.place(), now);
            file.expect_more();
            self.schedule.set(key, now);
        }
    }

    /// A content is nowhere to be opened. For a while a copy or twin may turn up; then what was not read is lost.
    pub(super) fn miss(&mut self, key: FileKey, now: Instant) {
        let quiet = self.settings.timing.rotated_quiet;
        let Some(file) = self.files.get_mut(&key) else { return };
        file.lose_place();
        let since = *file.missing_since.get_or_insert(now);
        let missing = now.saturating_duration_since(since);
        // Nobody has looked for it since, or what is not decided yet may be its twin.
        let is_looked_for = self.scanned > since;
        if missing < quiet
            || !is_looked_for
            || (missing < quiet * MISSING_FACTOR && !self.undecided.is_empty())
        {
            self.look_for_others_soon(now);
            return self.schedule.set(key, (since + quiet).max(now + quiet / 4));
        }
        if file.has_rest() {
            let home = without_generation(file.identity);
            let reason = match self.inodes.get(&home) {
                Some(Standing::Followed(other)) if *other != key => Vanished::Truncated,
                _ => Vanished::Deleted,
            };
            self.give_up(key, reason);
        }
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.is_indexed() {
            return self.retire(key);
        }
        // The buffer has the rest: until it is indexed it may ask for it again.
        self.schedule.set(key, now + quiet);
    }

    /// Counts what was not read of a content as vanished.
    fn give_up(&mut self, key: FileKey, reason: Vanished) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let bytes = file.size.saturating_sub(file.offset);
        tracing::error!(path = %file.path.display(), bytes, reason = reason.name(), "lines vanished before they were read");
        file.size = file.offset;
        self.progress.vanished(reason, bytes);
    }

    /// A content is done: its entry stays, so that its growth, its copy or its twin is recognised.
    pub(super) fn retire(&mut self, key: FileKey) {
        let Some(file) = self.files.remove(&key) else { return };
        self.release(&key);
        let removed = self.settings.sources[file.source].remove_when_indexed && remove(&file);
        let at_secs = (nanos_now() / 1_000_000_000) as u64;
        let is_there = !removed && file.is_at_home();
        let state = if is_there { EntryState::Live } else { EntryState::Vanished { at_secs } };
        let home = without_generation(file.identity);
        if self.inodes.get(&home) == Some(&Standing::Followed(key)) {
            self.inodes.insert(home, Standing::Dormant(file.identity));
        }
        if removed {
            // Nothing can be a copy of a journal.
            self.inodes.remove(&home);
            self.checkpoint.remove(&file.identity);
        } else {
            self.checkpoint.put(Entry { state, ..file.entry() });
        }
        tracing::debug!(path = %file.path.display(), "rotated file is indexed: let go");
    }

    /// Deleted files are kept open until they are read, but not so many that they fill the disk.
    pub(super) fn bound_deleted(&mut self) {
        let mut deleted: Vec<(i64, FileKey, u64)> = self
            .files
            .values()
            .filter(|file| file.is_unlinked())
            .map(|file| (file.sequence_base, file.key, file.size))
            .collect();
        let mut bytes: u64 = deleted.iter().map(|(_, _, size)| size).sum();
        deleted.sort_unstable();
        for (_, key, size) in deleted {
            if bytes <= self.settings.deleted_bytes_max {
                return;
            }
            bytes -= size;
            if let Some(file) = self.files.get_mut(&key) {
                file.lose_place();
            }
            self.give_up(key, Vanished::Dropped);
        }
    }
}

/// Deletes a file that is done. False: it is not rotated away yet, or is not there.
fn remove(file: &Followed) -> bool {
    let Some(place) = file.place.as_ref().filter(|_| file.presence == Presence::Gone) else { return false };
    let is_same = fs::metadata(&place.path).is_ok_and(|metadata| identity(&metadata) == place.inode);
    is_same
        && fs::remove_file(&place.path)
            .inspect_err(|error| tracing::warn!(path = %place.path.display(), %error, "cannot remove a journal that is indexed"))
            .is_ok()
}
