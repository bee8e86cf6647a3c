//! Following files: one thread that finds, reads, parses and frames, without async and without a task per file.
//!
//! Every file has a time at which it is looked at next; a file that grows is looked at every
//! [`POLL_INTERVAL_MIN`](crate::settings::POLL_INTERVAL_MIN), an idle one ever more rarely. Finished frames go through
//! one bounded channel to the pushing task: when the buffer is slow, the channel is full, and reading waits. The log
//! files are the write-ahead log: nothing is kept in memory that cannot be read again.

mod checkpoint;
mod discover;
mod file;
pub mod group;
mod messages;
mod open;
pub mod records;
mod schedule;
mod watch;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weir_buffer::Position;
use weir_record::{FileIdentity, FileKey, FrameBuilder};

pub use self::checkpoint::CheckpointError;
use self::checkpoint::{Checkpoint, ContentCheck, Entry, EntryState, Head, Provenance};
use self::discover::{Found, rotated_siblings};
pub use self::discover::{GlobError, Globs};
pub use self::file::nanos_now;
use self::file::{Followed, Presence, TurnEnd, Workbench};
pub use self::messages::{Channels, Event, Order};
use self::open::{check_before, identity, not_text, open_log};
use self::records::Assembler;
use self::schedule::{Chores, Schedule};
use self::watch::DirectoryWatch;
use crate::progress::Progress;
use crate::push::chain;
use crate::settings::{IDLE_CLOSE, Mode, STOP_DEADLINE, Settled, ShipSettings, Start};

/// The file system's clock ticks coarsely: a file may be born this many nanoseconds before our clock says so.
const BIRTH_CLOCK_LAG: i64 = 20_000_000;

/// Why following could not begin.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A path pattern is wrong.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The compressor cannot be set up.
    #[error("cannot set up compression")]
    Compressor(#[source] std::io::Error),
}

/// Follows files until it is told to stop, or with `--once` until all is done.
pub struct Follower {
    settings: ShipSettings,
    globs: Vec<Globs>,
    files: HashMap<FileKey, Followed>,
    /// Device, inode and birth of every file that is followed, without its generation.
    known: HashMap<FileIdentity, FileKey>,
    /// When each file is looked at next.
    schedule: Schedule,
    /// Files that are not followed yet: of the last life, and those that the buffer is being asked about.
    remembered: HashMap<FileIdentity, Entry>,
    checkpoint: Checkpoint,
    /// What is said of a checkpoint that cannot be saved, until it can.
    save_complaint: Option<String>,
    /// Files below this birth time that nobody followed are not siblings that appeared since.
    born_after: i64,
    bench: Workbench,
    orders: mpsc::Sender<Order>,
    events: Receiver<Event>,
    watch: DirectoryWatch,
    complaints: HashSet<PathBuf>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    ending: Ending,
    first_scan: bool,
    /// When the last scan began, nanoseconds since 1970: what was born before is in the checkpoint, or not wanted.
    scanned_at: i64,
}

impl Follower {
    /// Reads the checkpoint and the patterns. `stop`: set to end. `ended`: set when [`Mode::Input`] has its last line.
    pub fn new(
        settings: ShipSettings,
        channels: Channels,
        progress: Arc<Progress>,
        stop: Arc<AtomicBool>,
        ended: Arc<AtomicBool>,
    ) -> Result<Follower, FollowError> {
        let globs = settings.sources.iter().map(Globs::new).collect::<Result<Vec<_>, _>>()?;
        let mut checkpoint = Checkpoint::open(&settings.state)?;
        checkpoint.expire(nanos_now() as u64 / 1_000_000_000);
        let last_scan = match checkpoint.provenance() {
            Provenance::Whole => checkpoint.scanned_at() as i64,
            Provenance::Nothing | Provenance::Partial => nanos_now(),
        };
        let born_after = last_scan - BIRTH_CLOCK_LAG;
        let remembered =
            checkpoint.entries().map(|entry| (without_generation(entry.identity), entry.clone())).collect();
        let nobody = FileKey::new(
            settings.source,
            &FileIdentity { device: 0, inode: 0, birth_nanos: 0, generation: 0 },
        );
        let builder = FrameBuilder::new(nobody, 0, 0).map_err(FollowError::Compressor)?;
        let mut watch = DirectoryWatch::new(channels.event_sender);
        for root in globs.iter().flat_map(Globs::roots) {
            watch.add(root);
        }
        Ok(Follower {
            settings,
            globs,
            files: HashMap::new(),
            known: HashMap::new(),
            schedule: Schedule::default(),
            remembered,
            checkpoint,
            save_complaint: None,
            born_after,
            bench: Workbench::new(builder),
            orders: channels.orders,
            events: channels.events,
            watch,
            complaints: HashSet::new(),
            progress,
            stop,
            ending: Ending { ended, seen: false },
            first_scan: true,
            scanned_at: born_after + BIRTH_CLOCK_LAG,
        })
    }

    /// Follows until told to stop, or with `--once` until all is done. Blocks: run it on a thread of its own.
    pub fn run(mut self) {
        let mut chores = Chores::new(Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let ends = self.ending.has_just_come();
            if ends {
                // What was seen before says nothing about the last lines: every file is looked at once more.
                self.files.keys().for_each(|&key| self.schedule.set(key, now));
            }
            if ends || chores.is_scan_due(now) {
                self.scan(now);
                chores.scanned(now, Instant::now());
            }
            if chores.take_save(now) {
                self.save();
            }
            let woken = match self.schedule.pop_due(now) {
                // One turn, then what the others want: a flood must not keep them waiting.
                Some(key) => {
                    self.look(key, now);
                    self.wait(now)
                }
                None if self.is_done() => break,
                None => {
                    let next_look = self.schedule.next();
                    self.wait(next_look.map_or(chores.next(), |look| look.min(chores.next())))
                }
            };
            if woken {
                chores.wake(Instant::now());
            }
        }
        self.finish();
    }

    fn look(&mut self, key: FileKey, now: Instant) {
        let once = self.once().is_some();
        let Some(file) = self.files.get_mut(&key) else { return };
        let assembler = file.assembler.get_or_insert_with(|| {
            let source = &self.settings.sources[file.source];
            Assembler::new(source, Some(&self.settings.host), Some(&file.path))
        });
        let counts = assembler.counts();
        let finish = once || file.is_finished(now);
        let offset = file.offset;
        let end = file.turn(&mut self.bench, finish, now);
        let counted = file.assembler.as_ref().map_or(counts, Assembler::counts) - counts;
        let (epoch, safe) = (file.epoch, file.indexed);
        self.progress.read(file.offset - offset, counted);
        for frame in self.bench.frames.drain(..) {
            // Fails only when the pushing task is gone, which it says itself.
            if self.orders.blocking_send(Order::Push { frame, safe, epoch }).is_err() {
                self.stop.store(true, Ordering::Relaxed);
                return;
            }
        }
        match end {
            Ok(TurnEnd::Truncated) => self.restart_truncated(key, now),
            Ok(end) => self.look_again(key, end, now),
            Err(error) => {
                self.complain(key, &error);
                self.look_again(key, TurnEnd::CaughtUp, now);
            }
        }
    }

    fn look_again(&mut self, key: FileKey, end: TurnEnd, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if end == TurnEnd::CaughtUp && file.is_indexed() && !file.has_rest() {
            if file.is_finished(now) {
                self.forget(key);
                return;
            }
            if file.presence == Presence::Listed && file.quiet_for(now) >= IDLE_CLOSE {
                file.refresh_check();
                file.handle = None;
                file.assembler = None;
            }
        }
        let next = file.next_look(end, now);
        self.schedule.set(key, next);
    }

    fn restart_truncated(&mut self, key: FileKey, now: Instant) {
        let Some(mut file) = self.files.remove(&key) else { return };
        self.schedule.remove(&key);
        self.checkpoint.remove(&file.identity);
        let lost = file.offset - file.indexed;
        tracing::info!(path = %file.path.display(), read = file.offset, not_indexed = lost, "file was truncated: reading it from its beginning");
        let source = self.settings.source;
        file.begin_generation(|identity| FileKey::new(source, identity));
        self.known.insert(without_generation(file.identity), file.key);
        self.schedule.set(file.key, now);
        self.files.insert(file.key, file);
    }

    fn forget(&mut self, key: FileKey) {
        if let Some(file) = self.files.remove(&key) {
            self.schedule.remove(&key);
            self.known.remove(&without_generation(file.identity));
            self.checkpoint.remove(&file.identity);
            tracing::debug!(path = %file.path.display(), "rotated file is indexed: let go");
        }
    }

    /// Finds new files, and notes which names are gone.
    fn scan(&mut self, now: Instant) {
        let began = nanos_now();
        let found: Vec<Found> =
            self.globs.iter().enumerate().flat_map(|(at, globs)| globs.scan(at)).collect();
        let listed: HashSet<FileIdentity> = found.iter().map(|found| identity(&found.metadata)).collect();
        let mut fresh = Vec::new();
        for found in found {
            if let Some(directory) = found.path.parent() {
                self.watch.add(directory.to_path_buf());
            }
            let who = identity(&found.metadata);
            if !self.known.contains_key(&who)
                && !fresh.iter().any(|(other, _): &(FileIdentity, Found)| *other == who)
            {
                fresh.push((who, found));
            }
        }
        self.mark_gone(&listed);
        self.add_siblings(&listed, &mut fresh);
        self.scanned_at = began;
        self.meet(fresh, now);
        if std::mem::take(&mut self.first_scan) && listed.is_empty() {
            let patterns: Vec<&str> =
                self.settings.sources.iter().flat_map(|s| &s.paths).map(String::as_str).collect();
            tracing::warn!(paths = ?patterns, "no file matches: waiting for one");
        }
    }

    fn mark_gone(&mut self, listed: &HashSet<FileIdentity>) {
        for file in self.files.values_mut() {
            let here = listed.contains(&without_generation(file.identity));
            file.presence = if here { Presence::Listed } else { Presence::Gone };
        }
    }

    /// Files that were rotated away from a followed name: known ones from the last life wherever they are now, and
    /// ones that were born and renamed between two looks.
    fn add_siblings(&mut self, listed: &HashSet<FileIdentity>, fresh: &mut Vec<(FileIdentity, Found)>) {
        let followed = self.files.values().map(|file| (file.path.clone(), file.source));
        let remembered = self
            .remembered
            .values()
            .filter_map(|entry| Some((entry.path.clone(), self.source_of(&entry.path)?)));
        let arriving = fresh.iter().map(|(_, found)| (found.path.clone(), found.source));
        let bases: HashMap<PathBuf, usize> = followed.chain(remembered).chain(arriving).collect();
        for (base, source) in bases {
            for (path, metadata) in rotated_siblings(&base) {
                let who = identity(&metadata);
                let new = !self.known.contains_key(&who)
                    && !listed.contains(&who)
                    && !fresh.iter().any(|(other, _)| *other == who);
                let wanted = self.remembered.contains_key(&who) || who.birth_nanos > self.born_after;
                if new && wanted {
                    fresh.push((who, Found { path, metadata, source }));
                }
            }
        }
    }

    /// The source whose patterns a path of the last life belongs to.
    fn source_of(&self, path: &Path) -> Option<usize> {
        self.globs.iter().position(|globs| globs.matches(path))
    }

    /// Begins to follow files: asks the buffer where each stands.
    fn meet(&mut self, fresh: Vec<(FileIdentity, Found)>, now: Instant) {
        let entries: Vec<(Entry, Found)> = fresh
            .into_iter()
            .filter_map(|(who, found)| self.check_kind(&found).then(|| (self.entry_of(who, &found), found)))
            .collect();
        if self.first_scan {
            // Whatever happens from here on: the next start knows these files, wherever they were rotated to meanwhile.
            self.save();
        }
        if entries.is_empty() {
            return;
        }
        let key = |entry: &Entry| FileKey::new(self.settings.source, &entry.identity);
        let files: Vec<FileKey> = entries.iter().map(|(entry, _)| key(entry)).collect();
        let Some(positions) = self.locate(files) else { return };
        for ((entry, found), position) in entries.into_iter().zip(positions) {
            self.follow(entry, &found, position, now);
        }
    }

    fn entry_of(&mut self, who: FileIdentity, found: &Found) -> Entry {
        let start = match self.settings.sources[found.source].start {
            Start::End if self.first_scan => found.metadata.len(),
            _ => 0,
        };
        let fresh = Entry {
            identity: who,
            sequence_base: if who.birth_nanos > 0 { who.birth_nanos } else { nanos_now() },
            indexed: start,
            pushed: start,
            check: ContentCheck::default(),
            head: Head::default(),
            size: found.metadata.len(),
            changed_nanos: 0,
            state: EntryState::Live,
            path: found.path.clone(),
        };
        // A rotated file keeps the name it was written under.
        self.remembered.entry(who).or_insert(fresh).clone()
    }

    fn follow(&mut self, mut entry: Entry, found: &Found, position: Position, now: Instant) {
        let who = without_generation(entry.identity);
        let handle = match open_same(&found.path, who) {
            Ok(Some(handle)) => handle,
            // It was rotated while the buffer was asked: the next scan finds it under its new name.
            Ok(None) => return,
            Err(error) => return self.complain_of(&found.path, &error),
        };
        self.remembered.remove(&who);
        let was_read = entry.pushed.max(position.pushed.unwrap_or(0));
        let same = is_same_content(&found.path, &entry.check, found.metadata.len(), was_read);
        entry.indexed = entry.indexed.max(position.indexed.unwrap_or(0));
        let offset = position.pushed.unwrap_or(entry.indexed);
        let key = FileKey::new(self.settings.source, &entry.identity);
        let mut file = Followed::new(entry, key, found.source, offset, now);
        if !same {
            tracing::info!(path = %file.path.display(), "file was truncated or replaced while nobody looked: reading it from its beginning");
            let source = self.settings.source;
            self.checkpoint.remove(&file.identity);
            file.begin_generation(|identity| FileKey::new(source, identity));
        }
        file.handle = Some(handle);
        tracing::info!(path = %found.path.display(), offset = file.offset, "following");
        self.known.insert(who, file.key);
        self.schedule.set(file.key, now);
        self.files.insert(file.key, file);
    }

    /// Whether a file can be read, and is text. What is not is said once.
    fn check_kind(&mut self, found: &Found) -> bool {
        let path = &found.path;
        // A journal holds what was acknowledged, whatever it is.
        let is_journal = self.settings.sources[found.source].remove_when_indexed;
        match open_log(path).and_then(|file| if is_journal { Ok(None) } else { not_text(&file) }) {
            Ok(None) => true,
            Ok(Some(what)) => {
                if self.complaints.insert(path.clone()) {
                    tracing::info!(path = %path.display(), "skipped: the file is {what}, not a text log");
                    self.progress.skipped();
                }
                false
            }
            Err(error) => {
                self.complain_of(path, &error);
                false
            }
        }
    }

    fn locate(&self, files: Vec<FileKey>) -> Option<Vec<Position>> {
        let (reply, answer) = sync_channel(1);
        self.orders.blocking_send(Order::Locate { files, reply }).ok()?;
        // While the buffer cannot be reached this waits, and so does everything: nothing could be pushed anyway.
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(positions) => return Some(positions),
                Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Relaxed) => {}
                Err(_) => return None,
            }
        }
    }

    /// Handles the events that there are, and else waits for one until `deadline`. True: a directory changed.
    fn wait(&mut self, deadline: Instant) -> bool {
        let mut woken = false;
        loop {
            let left =
                if woken { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            match self.events.recv_timeout(left) {
                Ok(Event::Wake) => woken = true,
                Ok(event) => self.handle(event),
                Err(_) => return woken,
            }
            if self.stop.load(Ordering::Relaxed) {
                return woken;
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Pushed { file, epoch, end } => {
                if let Some(file) = self.files.get_mut(&file).filter(|file| file.epoch == epoch) {
                    file.pushed = file.pushed.max(end);
                }
            }
            Event::Indexed { file, offset } => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.indexed = file.indexed.max(offset.min(file.offset));
                }
            }
            Event::Rewind { file: key, epoch, to } => {
                if let Some(file) = self.files.get_mut(&key).filter(|file| file.epoch == epoch) {
                    let offset = to.unwrap_or(file.indexed);
                    tracing::info!(path = %file.path.display(), from = file.offset, to = offset, "the buffer is at another offset: going there");
                    file.seek(offset);
                    self.schedule.set(key, Instant::now());
                }
            }
            Event::Wake | Event::Drained => {}
        }
    }

    /// Where records have to be for this to end, once no more lines will come.
    fn once(&self) -> Option<Settled> {
        match self.settings.mode {
            Mode::Once(settled) => Some(settled),
            Mode::Input(settled) => self.ending.seen.then_some(settled),
            Mode::Follow => None,
        }
    }

    /// With `--once`: whether everything was read and has arrived.
    fn is_done(&self) -> bool {
        let Some(settled) = self.once() else { return false };
        self.files.values().all(|file| {
            let arrived = match settled {
                Settled::Pushed => file.is_pushed(),
                Settled::Indexed => file.is_pushed() && file.is_indexed(),
            };
            arrived && !file.has_rest()
        })
    }

    /// Lets the pushing task finish what it has, then saves.
    fn finish(mut self) {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.orders, closed));
        let deadline = Instant::now() + STOP_DEADLINE;
        while let Ok(event) = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if matches!(event, Event::Drained) {
                break;
            }
            if !matches!(event, Event::Rewind { .. }) {
                self.handle(event);
            }
        }
        self.save();
    }

    /// Saves what changed. A disk that is full, or a directory that cannot be written, stops nothing: the buffer knows
    /// how far each file was read, and the next save tries again.
    fn save(&mut self) {
        for file in self.files.values_mut() {
            file.refresh_check();
            self.checkpoint.put(file.entry());
        }
        for entry in self.remembered.values() {
            self.checkpoint.put(entry.clone());
        }
        self.checkpoint.set_scanned_at(self.scanned_at as u64);
        match self.checkpoint.save() {
            Ok(()) => {
                if self.save_complaint.take().is_some() {
                    tracing::info!("the checkpoint is saved again");
                }
            }
            Err(error) => {
                let reason = chain(&error);
                if self.save_complaint.as_ref() != Some(&reason) {
                    tracing::warn!(error = %reason, "cannot save how far files were read: following goes on, it is tried again");
                    self.save_complaint = Some(reason);
                }
            }
        }
    }

    fn complain(&mut self, key: FileKey, error: &std::io::Error) {
        let Some(path) = self.files.get(&key).map(|file| file.path.clone()) else { return };
        self.complain_of(&path, error);
    }

    fn complain_of(&mut self, path: &Path, error: &std::io::Error) {
        if self.complaints.insert(path.to_path_buf()) {
            tracing::warn!(path = %path.display(), %error, "cannot read this file: it is tried again at every scan");
            self.progress.unreadable();
        }
    }
}

/// The end of an input whose lines are followed.
struct Ending {
    ended: Arc<AtomicBool>,
    seen: bool,
}

impl Ending {
    /// True once, when the end has come.
    fn has_just_come(&mut self) -> bool {
        !self.seen && {
            self.seen = self.ended.load(Ordering::Relaxed);
            self.seen
        }
    }
}

/// Opens the file at `path`; none if it is not, or no longer, the one that is meant.
fn open_same(path: &Path, meant: FileIdentity) -> std::io::Result<Option<File>> {
    match open_log(path) {
        Ok(handle) => Ok((identity(&handle.metadata()?) == meant).then_some(handle)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn without_generation(identity: FileIdentity) -> FileIdentity {
    FileIdentity { generation: 0, ..identity }
}

/// Whether the file is still the one that was read up to `was_read`.
fn is_same_content(path: &Path, check: &ContentCheck, size: u64, was_read: u64) -> bool {
    if size < was_read {
        return false;
    }
    if check.offset == 0 {
        return true;
    }
    match open_log(path).and_then(|file| check_before(&file, check.offset)) {
        Ok(now) => now == *check,
        // Unreadable now: nothing says that it changed.
        Err(_) => true,
    }
}
