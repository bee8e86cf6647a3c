//! Beginning to follow: contents of the last life, and files that nobody has seen before.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use weir_buffer::Position;
use weir_record::{FileIdentity, FileKey};

use super::checkpoint::{ContentCheck, Entry, EntryState, Head, Provenance};
use super::file::{Followed, Look, Presence, Seen, nanos_now};
use super::judge::Verdict;
use super::medium::Medium;
use super::open::{not_text, open_same};
use super::proof::head_of;
use super::scan::Sighting;
use super::{Follower, Order, Standing, without_generation};
use crate::settings::Start;

/// Files whose positions are asked for together.
const LOCATE_FILES_MAX: usize = 1000;

/// Room in `event.sequence` for one segment of a journal: as many nanoseconds as it has bytes at most.
const JOURNAL_SPACING: i64 = 64 << 20;

/// Files of one scan that are said each by itself: of thousands, one line is enough.
pub const MET_SAID_MAX: usize = 10;

/// A content that is to be followed from now on.
pub struct Arrival {
    /// What is known of it.
    pub entry: Entry,
    /// Index of its source.
    pub source: usize,
    /// Its file, if it was seen.
    pub sighting: Option<Sighting>,
}

impl Follower {
    /// Goes on with contents of the last life, or with ones that were done and have grown. Without a sighting: a
    /// content whose file is not where it was; a copy or twin of it may turn up.
    pub(super) fn resume(&mut self, contents: Vec<(FileIdentity, Option<Sighting>)>, now: Instant) {
        let arrivals: Vec<Arrival> = contents
            .into_iter()
            .filter_map(|(content, sighting)| {
                let entry = Entry { state: EntryState::Live, ..self.checkpoint.get(&content)?.clone() };
                let source = match &sighting {
                    Some(sighting) => sighting.found.source,
                    None => self.source_of(&entry.path)?,
                };
                Some(Arrival { entry, source, sighting })
            })
            .collect();
        let keys = arrivals.iter().map(|arrival| self.key(&arrival.entry.identity)).collect();
        let Some(positions) = self.locate(keys) else { return };
        let arrivals = self.probe_generations(arrivals.into_iter().zip(positions).collect());
        if self.broken_off {
            return;
        }
        for (arrival, position) in arrivals {
            let key = self.follow(arrival, position, now);
            self.look_closely(key, now);
        }
    }

    /// Takes in files that nobody has seen before: contents of their own, or copies and twins of known ones.
    pub(super) fn meet(&mut self, strangers: Vec<Sighting>, now: Instant) {
        let mut compressed = Vec::new();
        let mut arrivals = Vec::new();
        for sighting in strangers {
            match self.examine(&sighting) {
                None => {}
                Some(medium @ Medium::Compressed(_)) => {
                    drop(medium);
                    compressed.push(sighting);
                }
                Some(medium) => arrivals.extend(self.take_in(sighting, medium, now)),
            }
        }
        self.arrive(arrivals, now);
        if self.broken_off {
            return;
        }
        // Only now all contents are known whose twins these may be.
        if !compressed.is_empty() {
            self.look_at_heads(now);
        }
        let mut arrivals = Vec::new();
        for sighting in compressed {
            if let Some(medium) = self.examine(&sighting) {
                arrivals.extend(self.take_in(sighting, medium, now));
            }
        }
        self.arrive(arrivals, now);
    }

    /// Looks at contents that were empty when they were seen last: without its first bytes nobody knows a twin.
    fn look_at_heads(&mut self, now: Instant) {
        let headless = self.files.values().filter(|file| file.head.length == 0).map(|file| file.key);
        for key in headless.collect::<Vec<FileKey>>() {
            self.look_closely(key, now);
        }
    }

    /// Opens a file. None: it cannot be read, or is no text; said once.
    fn examine(&mut self, sighting: &Sighting) -> Option<Medium> {
        let path = &sighting.found.path;
        // A journal holds what was acknowledged, whatever it is.
        let source = &self.settings.sources[sighting.found.source];
        let (is_journal, encoding) = (source.remove_when_indexed, source.text.encoding);
        let opened = open_same(path, sighting.who).and_then(|opened| {
            let Some(mut medium) = opened else { return Ok(None) };
            let what = if is_journal { None } else { not_text(&mut medium, encoding)? };
            Ok(Some((medium, what)))
        });
        match opened {
            Ok(Some((medium, None))) => Some(medium),
            Ok(None) => {
                // It was renamed or removed since it was listed, and its name may be another's by now.
                self.look_for_others_soon(Instant::now());
                None
            }
            Ok(Some((_, Some(what)))) => {
                self.inodes.insert(sighting.who, Standing::Refused(sighting.seen()));
                if self.complaints.insert(path.clone()) {
                    tracing::info!(path = %path.display(), "skipped: the file is {what}, not a text log");
                    self.progress.skipped();
                }
                None
            }
            Err(error) => {
                self.complain_of(path, &error);
                None
            }
        }
    }

    /// The next scan is at `at`, or before.
    pub(super) fn look_for_others_soon(&mut self, at: Instant) {
        self.rescan = Some(self.rescan.map_or(at, |before| before.min(at)));
    }

    /// Decides what a stranger is. Some: a content of its own.
    fn take_in(&mut self, sighting: Sighting, mut medium: Medium, now: Instant) -> Option<Arrival> {
        // From now on it is recognised, even if it is gone before it is read.
        let head = medium.head().map_or_else(|_| Head::default(), |bytes| head_of(&bytes));
        match self.judge(&sighting, &mut medium, now) {
            Ok(Verdict::Own) => {
                self.undecided.remove(&sighting.who);
                self.is_wanted(&sighting).then(|| self.arrival(sighting, &head))
            }
            Ok(Verdict::Undecided(undecided)) => {
                self.look_for_others_soon(now + self.settings.timing.copy_quiet / 2);
                self.undecided.insert(sighting.who, undecided);
                None
            }
            Ok(Verdict::Empty) => {
                self.undecided.remove(&sighting.who);
                self.inodes.insert(sighting.who, Standing::Refused(sighting.seen()));
                None
            }
            Ok(Verdict::TwinOf(content)) => {
                tracing::info!(path = %sighting.found.path.display(), "a copy or compressed twin of a file that is known");
                let is_whole = self.is_whole(&content, &medium);
                drop(medium);
                self.undecided.remove(&sighting.who);
                if !self.files.contains_key(&self.key(&content)) && !is_whole {
                    self.resume_lost(content, now);
                }
                self.adopt(content, &sighting, now);
                None
            }
            Err(error) => {
                self.complain_of(&sighting.found.path, &error);
                None
            }
        }
    }

    /// Whether a twin states that it has no more than what was indexed of its content.
    fn is_whole(&self, content: &FileIdentity, twin: &Medium) -> bool {
        self.checkpoint.get(content).is_some_and(|entry| {
            twin.stated_bytes() == Some(entry.indexed as u32) && entry.indexed == entry.size
        })
    }

    /// Goes on with a content that had vanished: there is a twin of it.
    fn resume_lost(&mut self, content: FileIdentity, now: Instant) {
        let vanished = |entry: &Entry| matches!(entry.state, EntryState::Vanished { .. });
        if self.checkpoint.get(&content).is_some_and(vanished) {
            self.resume(vec![(content, None)], now);
        }
    }

    /// Whether a new file is to be read: rotated files that were there before the first start are not.
    fn is_wanted(&mut self, sighting: &Sighting) -> bool {
        let period = self.settings.sources[sighting.found.source].period;
        let modified = sighting.found.metadata.modified();
        if modified.is_ok_and(|modified| !period.may_reach(modified)) {
            // Not remembered: another run may want it.
            self.inodes.insert(sighting.who, Standing::Refused(sighting.seen()));
            self.progress.too_old();
            return false;
        }
        if sighting.presence == Presence::Listed {
            return true;
        }
        let whole = self.checkpoint.provenance() == Provenance::Whole;
        let wanted = match (whole, self.first_scan) {
            // The buffer is asked about it.
            (false, true) => true,
            _ => sighting.base_known || sighting.who.birth_nanos > self.born_after,
        };
        if !wanted {
            self.skip(sighting);
        }
        wanted
    }

    pub(super) fn skip(&mut self, sighting: &Sighting) {
        self.inodes.insert(sighting.who, Standing::Skipped);
        self.checkpoint.put(Entry { state: EntryState::Skipped, ..fresh_entry(sighting, 0) });
    }

    fn arrival(&self, sighting: Sighting, head: &Head) -> Arrival {
        let start = match self.settings.sources[sighting.found.source].start {
            Start::End if self.first_scan => sighting.found.metadata.len(),
            _ => 0,
        };
        let entry = Entry { head: *head, ..fresh_entry(&sighting, start) };
        Arrival { entry, source: sighting.found.source, sighting: Some(sighting) }
    }

    /// Begins to follow new contents: asks the buffer whether it knows them.
    fn arrive(&mut self, mut arrivals: Vec<Arrival>, now: Instant) {
        // The order in which they were born is the order of their lines.
        arrivals.sort_by_key(|arrival| arrival.entry.sequence_base);
        self.space_journals(&mut arrivals);
        if self.first_scan {
            // Whatever happens from here on: the next start knows these files, wherever they were rotated to meanwhile.
            arrivals.iter().for_each(|arrival| self.checkpoint.put(arrival.entry.clone()));
            self.save();
        }
        let keys = arrivals.iter().map(|arrival| self.key(&arrival.entry.identity)).collect();
        let Some(positions) = self.locate(keys) else { return };
        let mut arrivals: Vec<(Arrival, Position)> = arrivals.into_iter().zip(positions).collect();
        if self.first_scan && self.checkpoint.provenance() != Provenance::Whole {
            let probed = self.probe_generations(arrivals);
            let others = self.recover_copies(probed, now);
            arrivals = self.without_history(others);
        }
        if self.broken_off {
            return;
        }
        for (arrival, position) in arrivals {
            let key = self.follow(arrival, position, now);
            // Its head tells its twins, which may be there already.
            self.look_closely(key, now);
        }
    }

    /// Segments of a journal are made faster than the file system's clock ticks: those that it calls equally old are told
    /// apart by their names, and none begins before the one before it ends.
    fn space_journals(&mut self, arrivals: &mut [Arrival]) {
        let is_journal = |arrival: &Arrival| self.settings.sources[arrival.source].origin.is_some();
        arrivals.sort_by_cached_key(|arrival| {
            let sighting = arrival.sighting.as_ref().filter(|_| is_journal(arrival));
            // The one that is written to has no number yet.
            let name = sighting.map(|seen| (seen.presence == Presence::Listed, seen.found.path.clone()));
            (arrival.entry.sequence_base, name)
        });
        for arrival in arrivals {
            if self.settings.sources[arrival.source].origin.is_none() {
                continue;
            }
            let next = self.journals_next.entry(arrival.source).or_insert(i64::MIN);
            let base = arrival.entry.sequence_base.max(*next);
            arrival.entry.sequence_base = base;
            *next = base.saturating_add(JOURNAL_SPACING);
        }
    }

    pub(super) fn follow(&mut self, arrival: Arrival, position: Position, now: Instant) -> FileKey {
        let Arrival { mut entry, source, sighting } = arrival;
        entry.indexed = entry.indexed.max(position.indexed.unwrap_or(0));
        let offset = position.pushed.unwrap_or(entry.indexed);
        let key = self.key(&entry.identity);
        let content = entry.identity;
        let place = sighting.as_ref().map(Sighting::place);
        let mut file = Followed::new(entry, key, source, offset, place, now);
        if let Some(sighting) = &sighting {
            file.presence = sighting.presence;
            self.met += 1;
            if self.met <= MET_SAID_MAX {
                tracing::info!(path = %sighting.found.path.display(), offset, "following");
            } else {
                tracing::debug!(path = %sighting.found.path.display(), offset, "following");
            }
            if sighting.who == without_generation(content) {
                self.inodes.insert(sighting.who, Standing::Followed(key));
            }
        }
        self.schedule.set(key, now);
        self.files.insert(key, file);
        key
    }

    /// Looks at a file now, and not at its turn: whether it still holds what was read decides about others. True: it
    /// does not.
    pub(super) fn look_closely(&mut self, key: FileKey, now: Instant) -> bool {
        let Some(file) = self.files.get_mut(&key) else { return false };
        let was_open = file.handle.is_some();
        match file.look(now) {
            Ok(Look::Cut) => {
                self.cut(key, now);
                true
            }
            Ok(Look::Same | Look::Missing) => {
                if !was_open {
                    file.handle = None;
                }
                false
            }
            Err(error) => {
                self.complain(key, &error);
                false
            }
        }
    }

    /// Where the buffer stands with these files. None: following ends.
    pub(super) fn locate(&mut self, files: Vec<FileKey>) -> Option<Vec<Position>> {
        let began = Instant::now();
        let positions = self.ask_positions(&files);
        self.broken_off |= positions.is_none();
        self.waited += began.elapsed();
        positions
    }

    fn ask_positions(&self, files: &[FileKey]) -> Option<Vec<Position>> {
        let mut positions = Vec::with_capacity(files.len());
        for chunk in files.chunks(LOCATE_FILES_MAX) {
            let (reply, answer) = sync_channel(1);
            self.orders.blocking_send(Order::Locate { files: chunk.to_vec(), reply }).ok()?;
            // While the buffer cannot be reached this waits, and so does everything: nothing could be pushed anyway.
            loop {
                match answer.recv_timeout(Duration::from_millis(100)) {
                    Ok(some) => break positions.extend(some),
                    Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Relaxed) => {}
                    Err(_) => return None,
                }
            }
        }
        Some(positions)
    }
}

fn fresh_entry(sighting: &Sighting, start: u64) -> Entry {
    let Seen { length, changed_nanos } = sighting.seen();
    let who = sighting.who;
    Entry {
        identity: who,
        sequence_base: if who.birth_nanos > 0 { who.birth_nanos } else { nanos_now() },
        indexed: start,
        pushed: start,
        check: ContentCheck::default(),
        head: Head::default(),
        size: length,
        changed_nanos,
        state: EntryState::Live,
        path: sighting.written_as().to_path_buf(),
    }
}
