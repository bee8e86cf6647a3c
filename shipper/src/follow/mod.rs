//! Following files: one thread that finds, reads, parses and frames, without async and without a task per file.
//!
//! Every file has a time at which it is looked at next; a file that grows is looked at every
//! [`POLL_INTERVAL_MIN`](crate::settings::POLL_INTERVAL_MIN), an idle one ever more rarely. Finished frames go through
//! one bounded channel to the pushing task: when the buffer is slow, the channel is full, and reading waits. The log
//! files are the write-ahead log: nothing is kept in memory that cannot be read again.

mod checkpoint;
mod clean;
mod container;
mod discover;
mod emit;
mod file;
pub mod group;
mod growth;
mod handles;
mod idle;
mod join;
mod judge;
mod ladder;
mod medium;
mod meet;
mod messages;
mod open;
mod proof;
pub mod records;
mod recover;
mod rotation;
mod scan;
mod schedule;
mod text;
mod watch;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weir_record::{FileIdentity, FileKey, FrameBuilder};

pub use self::checkpoint::CheckpointError;
pub(crate) use self::checkpoint::copy_unread;
use self::checkpoint::{Checkpoint, EntryState, Provenance};
use self::discover::Discovery;
pub use self::discover::{GlobError, Globs};
pub use self::file::nanos_now;
use self::file::{Followed, Presence, Seen, TurnEnd, Workbench};
use self::growth::GrowthWatch;
use self::handles::Handles;
use self::judge::Undecided;
pub use self::messages::{Channels, Event, Order};
use self::records::Assembler;
use self::schedule::{Chores, Schedule};
pub use self::text::{Encoding, EncodingError, TextRules};
use self::watch::DirectoryWatch;
use crate::progress::Progress;
use crate::push::chain;
use crate::settings::{IDLE_CLOSE, Mode, STOP_DEADLINE, Settled, ShipSettings};

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
    discovery: Discovery,
    files: HashMap<FileKey, Followed>,
    /// What each file on the disk is, by its identity without a generation.
    inodes: HashMap<FileIdentity, Standing>,
    /// Files that may be copies of others: not followed until that is clear.
    undecided: HashMap<FileIdentity, Undecided>,
    /// When each file is looked at next.
    schedule: Schedule,
    /// Tells when files at rest grow.
    growth: GrowthWatch,
    handles: Handles,
    /// Files that were read since the last scan.
    advanced: Vec<FileKey>,
    /// Files that this scan has begun to follow.
    met: usize,
    /// Every content that is known, followed or not; of those that are followed, as they were at the last save.
    checkpoint: Checkpoint,
    /// What is said of a checkpoint that cannot be saved, until it can.
    save_complaint: Option<String>,
    /// Files below this birth time that nobody followed are not siblings that appeared since.
    born_after: i64,
    bench: Workbench,
    orders: mpsc::Sender<Order>,
    events: Receiver<Event>,
    complaints: HashSet<PathBuf>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    ending: Ending,
    first_scan: bool,
    /// The scan that is under way got no answer from the buffer, because following ends: what it found says nothing.
    broken_off: bool,
    /// When something has to be looked for again, before the next scan would.
    rescan: Option<Instant>,
    /// By source: `event.sequence` that the next segment of its journal begins at, or after.
    journals_next: HashMap<usize, i64>,
    /// When the last scan looked into the directories.
    scanned: Instant,
    /// How much of the scan that is under way was waiting for the buffer.
    waited: Duration,
    /// Since when files were not seen that are known and not followed.
    unseen: HashMap<FileIdentity, Instant>,
    /// When the last scan began, nanoseconds since 1970: what was born before is in the checkpoint, or not wanted.
    scanned_at: i64,
}

/// What a file on the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The place of a content that is followed.
    Followed(FileKey),
    /// The place of a content that is done, or was at the last save.
    Dormant(FileIdentity),
    /// A copy, or a compressed twin, of this content.
    Twin(FileIdentity),
    /// There before the first start, and rotated away already: not wanted.
    Skipped,
    /// No text, when it looked like this.
    Refused(Seen),
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
        let inodes = standings(&checkpoint);
        let nobody = FileKey::new(
            settings.source,
            &FileIdentity { device: 0, inode: 0, birth_nanos: 0, generation: 0 },
        );
        let builder = FrameBuilder::new(nobody, 0, 0).map_err(FollowError::Compressor)?;
        let watch = DirectoryWatch::new(channels.event_sender.clone(), Arc::clone(&progress));
        let limits = settings.limits;
        let growth = GrowthWatch::new(channels.event_sender, Arc::clone(&progress), limits.watches);
        Ok(Follower {
            settings,
            discovery: Discovery::new(globs, watch),
            files: HashMap::new(),
            inodes,
            undecided: HashMap::new(),
            schedule: Schedule::default(),
            growth,
            handles: Handles::new(limits.handles),
            advanced: Vec::new(),
            met: 0,
            checkpoint,
            save_complaint: None,
            born_after,
            bench: Workbench::new(builder),
            orders: channels.orders,
            events: channels.events,
            complaints: HashSet::new(),
            progress,
            stop,
            ending: Ending { ended, seen: false },
            first_scan: true,
            broken_off: false,
            rescan: None,
            journals_next: HashMap::new(),
            scanned: Instant::now(),
            waited: Duration::ZERO,
            unseen: HashMap::new(),
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
                chores.scanned(now, std::mem::take(&mut self.waited), Instant::now());
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
            if let Some(at) = self.rescan.take() {
                chores.wake(at);
            }
        }
        self.finish();
    }

    fn look(&mut self, key: FileKey, now: Instant) {
        let once = self.once().is_some();
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.is_untouched() {
            return self.look_again(key, TurnEnd::CaughtUp, now);
        }
        let assembler = file.assembler.get_or_insert_with(|| {
            let source = &self.settings.sources[file.source];
            let mut assembler = Assembler::new(source, Some(&self.settings.host), Some(&file.path));
            assembler.watch(self.progress.drift());
            assembler
        });
        let counts = assembler.counts();
        let finish = once || file.is_finished(&self.settings.timing, now);
        let offset = file.offset;
        let end = file.turn(&mut self.bench, finish, now);
        let counted = file.assembler.as_ref().map_or(counts, Assembler::counts) - counts;
        let (epoch, safe) = (file.epoch, file.indexed);
        if file.check != file.scanned_check {
            self.advanced.push(key);
        }
        self.progress.read(file.offset - offset, counted);
        let content = file.identity;
        let is_known = self.checkpoint.get(&content).is_some_and(|entry| entry.head.length > 0);
        if !is_known && !self.bench.frames.is_empty() {
            // Before anything of it is in the buffer: without its first bytes a kill makes its compressed twin a stranger.
            self.save();
        }
        for frame in self.bench.frames.drain(..) {
            // Fails only when the pushing task is gone, which it says itself.
            if self.orders.blocking_send(Order::Push { frame, safe, epoch }).is_err() {
                self.stop.store(true, Ordering::Relaxed);
                return;
            }
        }
        self.bound_handles(key);
        match end {
            Ok(TurnEnd::Cut) => self.cut(key, now),
            Ok(TurnEnd::Missing) => self.miss(key, now),
            Ok(end) => self.look_again(key, end, now),
            Err(error) => {
                self.complain(key, &error);
                self.look_again(key, TurnEnd::CaughtUp, now);
            }
        }
    }

    fn look_again(&mut self, key: FileKey, end: TurnEnd, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if end == TurnEnd::CaughtUp && !file.has_rest() {
            let finished = file.is_finished(&self.settings.timing, now);
            if (finished || self.once().is_some()) && self.files.get(&key).is_some_and(Followed::is_damaged) {
                self.complain_of_damage(key);
            }
            let Some(file) = self.files.get_mut(&key) else { return };
            if file.is_indexed() && finished {
                return self.retire(key);
            }
            if file.is_indexed() && file.presence == Presence::Listed && file.quiet_for(now) >= IDLE_CLOSE {
                file.close();
                self.handles.used(key, false);
            }
        }
        let resting = if end == TurnEnd::CaughtUp { self.rest(key, now) } else { None };
        let Some(file) = self.files.get_mut(&key) else { return };
        let next = match (resting, file.turn_in_line) {
            // The next file is read only when this one is.
            (None, Some(turn)) if end == TurnEnd::More => turn,
            (resting, _) => resting.unwrap_or_else(|| file.next_look(end, now)),
        };
        self.schedule.set(key, next);
    }

    /// Handles the events that there are, and else waits for one until `deadline`. True: a directory changed.
    fn wait(&mut self, mut deadline: Instant) -> bool {
        let mut woken = false;
        loop {
            let left =
                if woken { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            match self.events.recv_timeout(left) {
                Ok(Event::Wake) => woken = true,
                Ok(event) => {
                    self.handle(event);
                    // It may have brought a file's turn forward.
                    deadline = self.schedule.next().map_or(deadline, |look| look.min(deadline));
                }
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
                    if weir_process::is_sabotaged("pushed-trusted") {
                        file.indexed = file.indexed.max(end);
                    }
                }
            }
            Event::Indexed { file, offset } => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.indexed = file.indexed.max(offset.min(file.offset));
                }
            }
            Event::Rewind { .. } | Event::Lost { .. } if weir_process::is_sabotaged("rewind-dropped") => {}
            Event::Rewind { file: key, epoch, to } => {
                // Of frames that were sent before the last rewind nothing needs to be known.
                if self.files.get(&key).is_some_and(|file| file.epoch == epoch) {
                    self.go_to(key, to);
                }
            }
            Event::Lost { file, to } => self.go_to(file, to),
            Event::Grown { watch } => {
                if let Some(key) = self.growth.take(watch).filter(|key| self.files.contains_key(key)) {
                    self.schedule.set(key, Instant::now());
                }
            }
            Event::Wake | Event::Drained => {}
        }
    }

    /// Goes on where the buffer stands with a file; where it knows nothing of it, at what is indexed.
    fn go_to(&mut self, key: FileKey, to: Option<u64>) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let offset = to.unwrap_or(file.indexed);
        tracing::info!(path = %file.path.display(), from = file.offset, to = offset, "the buffer is at another offset: going there");
        file.seek(offset);
        self.schedule.set(key, Instant::now());
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
        self.undecided.is_empty()
            && self.files.values().all(|file| {
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
            if !matches!(event, Event::Rewind { .. } | Event::Lost { .. }) {
                self.handle(event);
            }
        }
        self.save();
    }

    /// Saves what changed. A disk that is full, or a directory that cannot be written, stops nothing: the buffer knows
    /// how far each file was read, and the next save tries again.
    fn save(&mut self) {
        if self.first_scan && self.broken_off {
            // Files may have been taken for something that they are not: what the last life knew is better.
            return;
        }
        for file in self.files.values() {
            if !self.checkpoint.get(&file.identity).is_some_and(|entry| file.is_saved_as(entry)) {
                self.checkpoint.put(file.entry());
            }
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

    fn complain_of_damage(&mut self, key: FileKey) {
        let Some(place) = self.files.get(&key).and_then(|file| file.place.clone()) else { return };
        if self.complaints.insert(place.path.clone()) {
            tracing::warn!(path = %place.path.display(), "the compressed file is damaged or breaks off: what stands before that is shipped");
            self.progress.damaged();
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

fn without_generation(identity: FileIdentity) -> FileIdentity {
    FileIdentity { generation: 0, ..identity }
}

/// What the files of the last life are. Of the generations of one file, the last is the one that is on the disk.
fn standings(checkpoint: &Checkpoint) -> HashMap<FileIdentity, Standing> {
    let mut inodes: HashMap<FileIdentity, Standing> = HashMap::new();
    for entry in checkpoint.entries() {
        let standing = match entry.state {
            EntryState::Live | EntryState::Vanished { .. } => Standing::Dormant(entry.identity),
            EntryState::Skipped => Standing::Skipped,
            EntryState::TwinOf(content) => Standing::Twin(content),
        };
        let known = inodes.entry(without_generation(entry.identity)).or_insert(standing);
        if let (Standing::Dormant(before), Standing::Dormant(this)) = (*known, standing)
            && before.generation < this.generation
        {
            *known = standing;
        }
    }
    inodes
}
