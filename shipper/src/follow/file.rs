//! One followed file: where reading stands, and one turn of reading it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use memchr::memchr;
use weir_record::limits::LINE_BYTES_MAX;
use weir_record::{FileIdentity, FileKey, Frame, FrameBuilder};

use super::checkpoint::{ContentCheck, Entry, EntryState, Head};
use super::open::{check_before, open_log, read_fully};
use super::records::{Assembler, AtEnd, Sink};
use crate::settings::{
    HOLD, POLL_INTERVAL_MAX, POLL_INTERVAL_MIN, READ_BYTES, ROTATED_QUIET, TURN_BYTES_MAX,
};

/// Longest run of bytes that is looked at together: a whole line, and what is read beyond it.
const WINDOW_BYTES_MAX: usize = LINE_BYTES_MAX + READ_BYTES;

/// A file that is followed.
pub struct Followed {
    /// Who it is.
    pub identity: FileIdentity,
    /// Its key in the buffer.
    pub key: FileKey,
    /// Where it was last seen.
    pub path: PathBuf,
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
    /// Open while there is something to read, or to read again.
    pub handle: Option<File>,
    /// Parsing state; made at the first read.
    pub assembler: Option<Assembler>,
    /// Proof for the checkpoint.
    pub check: ContentCheck,
    /// Bytes from `offset` on that are known to hold no newline.
    unterminated: u64,
    /// Size at the last look.
    size: u64,
    last_growth: Instant,
    interval: Duration,
    holds_record: bool,
}

/// Whether a file is still where the globs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Under a name that matches.
    Listed,
    /// Renamed or removed: read to its end, then let go.
    Gone,
}

/// Buffers that all files of a thread share.
pub struct Workbench {
    window: Vec<u8>,
    /// Collects the records of the file whose turn it is.
    pub builder: FrameBuilder,
    /// Finished frames of this turn, to be sent.
    pub frames: Vec<Frame>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// There is more to read at once.
    More,
    /// All there is was read.
    CaughtUp,
    /// The file is shorter than what was read of it.
    Truncated,
}

impl Workbench {
    /// Empty buffers.
    pub fn new(builder: FrameBuilder) -> Workbench {
        Workbench { window: Vec::new(), builder, frames: Vec::new() }
    }
}

impl Followed {
    /// A file to read from `offset`.
    pub fn new(entry: Entry, key: FileKey, source: usize, offset: u64, now: Instant) -> Followed {
        Followed {
            identity: entry.identity,
            key,
            path: entry.path,
            source,
            sequence_base: entry.sequence_base,
            offset,
            pushed: offset,
            indexed: entry.indexed.min(offset),
            epoch: 0,
            presence: Presence::Listed,
            handle: None,
            assembler: None,
            check: entry.check,
            unterminated: 0,
            size: 0,
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
            head: Head::default(),
            size: self.size,
            changed_nanos: 0,
            state: EntryState::Live,
            path: self.path.clone(),
        }
    }

    /// Brings the content check up to what was read, for the next checkpoint.
    pub fn refresh_check(&mut self) {
        if self.check.offset != self.offset
            && let Some(file) = &self.handle
            && let Ok(check) = check_before(file, self.offset)
        {
            self.check = check;
        }
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

    /// Begins anew after a truncation: everything from byte 0 on is another file, with another key.
    pub fn begin_generation(&mut self, key: impl Fn(&FileIdentity) -> FileKey) {
        self.identity.generation += 1;
        self.key = key(&self.identity);
        self.sequence_base = nanos_now();
        self.check = ContentCheck::default();
        self.indexed = 0;
        self.assembler = None;
        self.seek(0);
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

    /// Reads one turn's worth into frames. `finish`: there will be no more bytes, take the unterminated last line
    /// too.
    pub fn turn(&mut self, bench: &mut Workbench, finish: bool, now: Instant) -> io::Result<TurnEnd> {
        let Some(size) = self.look(now)? else { return Ok(TurnEnd::Truncated) };
        if size == self.offset {
            return Ok(TurnEnd::CaughtUp);
        }
        let file = self.handle.take().ok_or_else(|| io::Error::other("the file is not open"))?;
        let end = self.read_records(&file, bench, finish, now);
        self.handle = Some(file);
        end
    }

    /// Looks at the size. None: it is shorter than what was read.
    fn look(&mut self, now: Instant) -> io::Result<Option<u64>> {
        if self.handle.is_none() {
            self.handle = Some(open_log(&self.path)?);
        }
        let size =
            self.handle.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
        if size < self.offset {
            return Ok(None);
        }
        if size != self.size {
            self.size = size;
            self.last_growth = now;
            self.interval = POLL_INTERVAL_MIN;
        }
        Ok(Some(size))
    }

    fn read_records(
        &mut self,
        file: &File,
        bench: &mut Workbench,
        finish: bool,
        now: Instant,
    ) -> io::Result<TurnEnd> {
        bench.builder.restart(self.key, self.offset, self.sequence_base);
        let turn_start = self.offset;
        let end = loop {
            if self.offset - turn_start >= TURN_BYTES_MAX {
                break TurnEnd::More;
            }
            if !self.read_window(file, bench, finish, now)? {
                break TurnEnd::CaughtUp;
            }
        };
        if bench.builder.start() < self.offset {
            bench.builder.finish(self.offset, nanos_now(), &mut bench.frames);
        }
        Ok(end)
    }

    /// Takes the records of one window. False: nothing more can be taken now.
    fn read_window(
        &mut self,
        file: &File,
        bench: &mut Workbench,
        finish: bool,
        now: Instant,
    ) -> io::Result<bool> {
        if self.unterminated > 0 && !finish && !self.newline_appeared(file, bench)? {
            return Ok(false);
        }
        let mut window_bytes = READ_BYTES;
        loop {
            if bench.window.len() < window_bytes {
                bench.window.resize(window_bytes, 0);
            }
            let read = read_fully(file, &mut bench.window[..window_bytes], self.offset)?;
            let file_ends = read < window_bytes;
            let at_end = self.at_end(file_ends, finish, now);
            let (window, builder, frames) = (&bench.window[..read], &mut bench.builder, &mut bench.frames);
            let mut sink = Sink { builder, frames, read_time: nanos_now() };
            let assembler =
                self.assembler.as_mut().ok_or_else(|| io::Error::other("the file has no parser"))?;
            let mut taken = assembler.take(window, self.offset, at_end, &mut sink);
            if taken.holds_record && window_bytes == WINDOW_BYTES_MAX {
                // The line after it is too long to continue it.
                taken = assembler.take(window, self.offset, AtEnd::Lines, &mut sink);
            }
            self.holds_record = taken.holds_record && file_ends;
            self.offset += taken.bytes as u64;
            if taken.bytes > 0 || file_ends {
                let rest = &window[taken.bytes..];
                self.unterminated =
                    if file_ends && memchr(b'\n', rest).is_none() { rest.len() as u64 } else { 0 };
                return Ok(!file_ends);
            }
            if window_bytes == WINDOW_BYTES_MAX {
                return self.take_long_line(file, bench, finish);
            }
            window_bytes = (window_bytes * 2).min(WINDOW_BYTES_MAX);
        }
    }

    fn at_end(&self, file_ends: bool, finish: bool, now: Instant) -> AtEnd {
        match (file_ends, finish) {
            (false, _) => AtEnd::Wait,
            (true, true) => AtEnd::All,
            (true, false) if self.quiet_for(now) >= HOLD => AtEnd::Lines,
            (true, false) => AtEnd::Wait,
        }
    }

    /// Whether the open line has got its newline: only bytes that are new are read.
    fn newline_appeared(&mut self, file: &File, bench: &mut Workbench) -> io::Result<bool> {
        bench.window.resize(bench.window.len().max(READ_BYTES), 0);
        loop {
            let read = read_fully(file, &mut bench.window[..READ_BYTES], self.offset + self.unterminated)?;
            if memchr(b'\n', &bench.window[..read]).is_some() {
                return Ok(true);
            }
            self.unterminated += read as u64;
            if read < READ_BYTES {
                return Ok(false);
            }
        }
    }

    /// A line that is longer than the window: its head is kept, the rest counted. The window holds the head.
    fn take_long_line(&mut self, file: &File, bench: &mut Workbench, finish: bool) -> io::Result<bool> {
        let head = bench.window[..=LINE_BYTES_MAX].to_vec();
        self.unterminated = self.unterminated.max(WINDOW_BYTES_MAX as u64);
        let terminated = self.newline_appeared(file, bench)?;
        if !terminated && !finish {
            return Ok(false);
        }
        let found = terminated.then(|| memchr(b'\n', &bench.window[..READ_BYTES])).flatten();
        let length = self.unterminated + found.unwrap_or(0) as u64;
        let next = self.offset + length + u64::from(found.is_some());
        let mut sink =
            Sink { builder: &mut bench.builder, frames: &mut bench.frames, read_time: nanos_now() };
        if let Some(assembler) = &mut self.assembler {
            assembler.take_long_line(&head, length, self.offset, next, &mut sink);
        }
        self.offset = next;
        self.unterminated = 0;
        Ok(true)
    }

    /// Whether it was rotated away or removed, and its writer has stopped writing to it.
    pub fn is_finished(&self, now: Instant) -> bool {
        self.presence == Presence::Gone && self.quiet_for(now) >= ROTATED_QUIET
    }
}

/// Nanoseconds since 1970.
pub fn nanos_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
