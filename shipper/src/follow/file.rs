//! One followed content: where it is, and where reading it stands.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_record::{FileIdentity, FileKey};

use super::checkpoint::{ContentCheck, Entry, EntryState, Head};
use super::ladder::Ladder;
use super::medium::Medium;
use super::open::identity;
use super::records::Assembler;
use crate::settings::{HOLD, POLL_INTERVAL_MAX, POLL_INTERVAL_MIN, Timing};

mod turn;

pub use self::turn::{Look, TurnEnd, Workbench};

/// No clock of a file system ticks more slowly than this.
const TICK_NANOS: i64 = 20_000_000;

/// A content that is followed.
pub struct Followed {
    /// Who it is.
    pub identity: FileIdentity,
    /// Its key in the buffer.
    pub key: FileKey,
    /// The name it was written under.
    pub path: PathBuf,
    /// Where it can be opened; none: nowhere, as far as is known.
    pub place: Option<Place>,
    /// The last name that it was seen under.
    pub was_at: PathBuf,
    /// Index of its source.
    pub source: usize,
    /// `event.sequence` of its first byte.
    pub sequence_base: i64,
    /// First byte that is in no frame yet.
    pub offset: u64,
    /// Everything before is in the buffer, as far as it said.
    pub pushed: u64,
    /// Everything before is indexed.
    pub indexed: u64,
    /// Counts the rewinds, so that answers to older frames are known as such.
    pub epoch: u32,
    /// Whether its name still matches.
    pub presence: Presence,
    /// With `--once`: when it became due, by its age. Files are then read one after the other.
    pub turn_in_line: Option<Instant>,
    /// Open while there is something to read, or to read again.
    pub handle: Option<Medium>,
    /// Parsing state; made at the first read.
    pub assembler: Option<Assembler>,
    /// Proof that it is still the content that was read.
    pub check: ContentCheck,
    /// The check at the last scan: whatever appears from then on and is a copy has these bytes.
    pub scanned_check: ContentCheck,
    /// When the check was made, nanoseconds since 1970.
    checked_nanos: i64,
    /// Its first bytes.
    pub head: Head,
    /// Samples of what was read, while it is open.
    pub ladder: Ladder,
    /// Bytes that it has, as far as the last look saw.
    pub size: u64,
    /// Since when it is nowhere to be opened.
    pub missing_since: Option<Instant>,
    /// Bytes from `offset` on that are known to hold no newline.
    unterminated: u64,
    /// Of the file at the last look.
    seen: Seen,
    last_growth: Instant,
    interval: Duration,
    holds_record: bool,
}

/// A file that holds a content: its own, a copy of it, or a compressed twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub path: PathBuf,
    /// The file that has to be there.
    pub inode: FileIdentity,
}

/// What tells that a file was touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its bytes on the disk.
    pub length: u64,
    /// Its change time, nanoseconds since 1970.
    pub changed_nanos: i64,
}

impl Seen {
    /// File systems keep time in ticks: after a change within the last ones, the next may not be seen by its time.
    fn unless_young(self) -> Seen {
        let young = nanos_now().saturating_sub(self.changed_nanos) < TICK_NANOS;
        if young { Seen { changed_nanos: 0, ..self } } else { self }
    }

    /// Of a file with this metadata.
    pub fn of(metadata: &fs::Metadata) -> Seen {
        let changed_nanos =
            metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
        Seen { length: metadata.len(), changed_nanos }
    }
}

/// Whether a file is still where the globs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Under a name that matches.
    Listed,
    /// Renamed or removed: read to its end, then let go.
    Gone,
}

impl Followed {
    /// A content to read from `offset` on, in `place`.
    pub fn new(
        entry: Entry,
        key: FileKey,
        source: usize,
        offset: u64,
        place: Option<Place>,
        now: Instant,
    ) -> Followed {
        Followed {
            identity: entry.identity,
            key,
            was_at: place.as_ref().map_or_else(PathBuf::new, |place| place.path.clone()),
            path: entry.path,
            presence: if place.is_some() { Presence::Listed } else { Presence::Gone },
            place,
            source,
            sequence_base: entry.sequence_base,
            offset,
            pushed: offset,
            indexed: entry.indexed.min(offset),
            epoch: 0,
            turn_in_line: None,
            handle: None,
            assembler: None,
            check: entry.check,
            scanned_check: entry.check,
            checked_nanos: 0,
            head: entry.head,
            ladder: Ladder::default(),
            size: entry.size.max(offset),
            missing_since: None,
            unterminated: 0,
            seen: Seen { length: entry.size, changed_nanos: entry.changed_nanos },
            last_growth: now,
            interval: POLL_INTERVAL_MIN,
            holds_record: false,
        }
    }

    /// What the checkpoint keeps of it.
    pub fn entry(&self) -> Entry {
        Entry {
            identity: self.identity,
            sequence_base: self.sequence_base,
            indexed: self.indexed,
            pushed: self.pushed,
            check: self.check,
            head: self.head,
            size: self.size,
            changed_nanos: if self.is_at_home() { self.seen.changed_nanos } else { 0 },
            state: EntryState::Live,
            path: self.path.clone(),
        }
    }

    /// Whether [`Followed::entry`] would be this.
    pub fn is_saved_as(&self, entry: &Entry) -> bool {
        let Entry { identity, sequence_base, indexed, pushed, check, head, size, changed_nanos, state, path } =
            entry;
        let changed = if self.is_at_home() { self.seen.changed_nanos } else { 0 };
        (*identity, *sequence_base, *indexed) == (self.identity, self.sequence_base, self.indexed)
            && (*pushed, *check, *head) == (self.pushed, self.check, self.head)
            && (*size, *changed_nanos, *state) == (self.size, changed, EntryState::Live)
            && *path == self.path
    }

    /// Whether it is closed, was read to its end, and nobody has touched it since: seen without opening it. Not so
    /// where only the buffer knew how far it was read: there are no proofs yet, by which it can be recognised.
    pub fn is_untouched(&self) -> bool {
        let is_proven = self.offset == 0 || self.check.offset > 0;
        is_proven
            && self.handle.is_none()
            && !self.has_rest()
            && self.seen.changed_nanos != 0
            && self.is_as_seen()
    }

    /// Whether what stands under its name is the file that it was at the last look.
    pub fn is_as_seen(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            fs::metadata(&place.path)
                .is_ok_and(|metadata| identity(&metadata) == place.inode && Seen::of(&metadata) == self.seen)
        })
    }

    /// Whether it can still be opened under the name that it was seen under last.
    pub fn has_its_name(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            fs::metadata(&place.path).is_ok_and(|metadata| identity(&metadata) == place.inode)
        })
    }

    /// Whether it looked like this at the last look.
    pub fn was_seen_as(&self, seen: Seen) -> bool {
        self.seen == seen
    }

    /// Whether a whole line waits for one that may continue it.
    pub fn holds_record(&self) -> bool {
        self.holds_record
    }

    /// Closes it, until there is something to read.
    pub fn close(&mut self) {
        self.handle = None;
        self.assembler = None;
        self.ladder = Ladder::default();
    }

    /// Whether it is read from its own file, not from a copy or twin.
    pub fn is_at_home(&self) -> bool {
        self.place
            .as_ref()
            .is_some_and(|place| place.inode == FileIdentity { generation: 0, ..self.identity })
    }

    /// Whether its own file stands under the name it was written under: only there it can be truncated by a rotation.
    pub fn is_at_base(&self) -> bool {
        self.is_at_home() && self.place.as_ref().is_some_and(|place| place.path == self.path)
    }

    /// Bytes that it certainly had when a file was born that is seen now for the first time: a copy has as many.
    pub fn bytes_before(&self, birth_nanos: i64) -> u64 {
        let checked_before = self.checked_nanos > 0 && self.checked_nanos < birth_nanos + TICK_NANOS;
        if checked_before { self.check.offset } else { self.scanned_check.offset }
    }

    /// Whether nothing but its open handle keeps its bytes.
    pub fn is_unlinked(&self) -> bool {
        self.place.is_none() && self.handle.is_some()
    }

    /// It was seen in `place`.
    pub fn sighted(&mut self, place: Place, presence: Presence) {
        if self.place.as_ref() != Some(&place) {
            if self.place.as_ref().is_none_or(|before| before.inode != place.inode) && self.handle.is_some() {
                self.handle = None;
            }
            self.was_at.clone_from(&place.path);
            self.place = Some(place);
        }
        self.presence = presence;
        self.missing_since = None;
    }

    /// It is to be read on in another file.
    pub fn move_to(&mut self, place: Place, now: Instant) {
        self.sighted(place, Presence::Gone);
        self.handle = None;
        self.seen = Seen::default();
        self.last_growth = now;
        self.interval = POLL_INTERVAL_MIN;
    }

    /// The place that it was moved to may have more than what was known of it: before that was looked at, the content is
    /// not done, also for the next life.
    pub fn expect_more(&mut self) {
        self.size = self.size.max(self.offset + 1);
    }

    /// Its file is gone: under no name, and not open.
    pub fn lose_place(&mut self) {
        self.place = None;
        self.handle = None;
        self.presence = Presence::Gone;
    }

    /// Goes back (or ahead) to `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.epoch += 1;
        self.offset = offset;
        self.pushed = offset;
        self.indexed = self.indexed.min(offset);
        self.unterminated = 0;
        self.holds_record = false;
        self.interval = POLL_INTERVAL_MIN;
    }

    /// Whether the buffer has all that was read.
    pub fn is_pushed(&self) -> bool {
        self.pushed >= self.offset
    }

    /// Whether the index has all that was read.
    pub fn is_indexed(&self) -> bool {
        self.indexed >= self.offset
    }

    /// Whether bytes are left that no frame covers, as far as the last look saw.
    pub fn has_rest(&self) -> bool {
        self.offset < self.size
    }

    /// How long it has not grown.
    pub fn quiet_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_growth)
    }

    /// When to look again.
    pub fn next_look(&mut self, end: TurnEnd, now: Instant) -> Instant {
        if end == TurnEnd::More {
            return now;
        }
        let held = self.holds_record.then(|| self.last_growth + HOLD);
        let next = now + self.interval;
        self.interval = (self.interval * 2).min(POLL_INTERVAL_MAX);
        held.map_or(next, |held| next.min(held.max(now)))
    }

    /// Whether nobody will write to it any more: it was rotated away, removed or compressed, and has not grown since.
    pub fn is_finished(&self, timing: &Timing, now: Instant) -> bool {
        let compressed = matches!(self.handle, Some(Medium::Compressed(_)));
        (self.presence == Presence::Gone || compressed) && self.quiet_for(now) >= timing.rotated_quiet
    }
}

/// Nanoseconds since 1970.
pub fn nanos_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
