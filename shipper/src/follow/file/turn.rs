//! One turn of reading a file: is it still the same, what is new of it, and was it so until the end.

use std::io;
use std::ops::Range;
use std::time::Instant;

use weir_record::limits::LINE_BYTES_MAX;
use weir_record::{Frame, FrameBuilder};

use super::super::checkpoint::{ContentCheck, Head};
use super::super::medium::{Extent, HEAD_BYTES, MAGIC_BYTES_MAX, Medium};
use super::super::open::{HOLE_BYTES_MIN, open_same};
use super::super::proof::{CHECK_BYTES, begins_with, check_before, head_of, holds};
use super::super::records::{Assembler, AtEnd, SAMPLE_BYTES_MAX, Sink};
use super::super::text::Newlines;
use super::{Followed, Seen, nanos_now};
use crate::settings::{HOLD, POLL_INTERVAL_MIN, READ_BYTES, TURN_BYTES_MAX};

/// Buffers that all files of a thread share.
pub struct Workbench {
    window: Vec<u8>,
    /// The last bytes that were taken in this turn.
    tail: Vec<u8>,
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
    /// The file does not hold what was read of it any more: it was truncated, or overwritten.
    Cut,
    /// It is nowhere to be opened.
    Missing,
}

impl Workbench {
    /// Empty buffers.
    pub fn new(builder: FrameBuilder) -> Workbench {
        Workbench { window: Vec::new(), tail: Vec::new(), builder, frames: Vec::new() }
    }

    /// The first `taken` bytes of the window were taken, for good.
    fn keep_tail(&mut self, taken: usize) {
        let fresh = self.window.get(taken.saturating_sub(CHECK_BYTES as usize)..taken).unwrap_or_default();
        let stale = (self.tail.len() + fresh.len()).saturating_sub(CHECK_BYTES as usize);
        self.tail.drain(..stale);
        self.tail.extend_from_slice(fresh);
    }
}

/// What a look at a file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is what was read, and perhaps more.
    Same,
    /// It does not hold what was read any more.
    Cut,
    /// It is nowhere to be opened.
    Missing,
}

impl Followed {
    /// Reads one turn's worth into frames. `finish`: there will be no more bytes, take the unterminated last line
    /// too.
    pub fn turn(&mut self, bench: &mut Workbench, finish: bool, now: Instant) -> io::Result<TurnEnd> {
        match self.look(now)? {
            Look::Same if self.size > self.offset => {}
            Look::Same => return Ok(TurnEnd::CaughtUp),
            Look::Cut => return Ok(TurnEnd::Cut),
            Look::Missing => return Ok(TurnEnd::Missing),
        }
        let mut medium = self.handle.take().ok_or_else(|| io::Error::other("the file is not open"))?;
        let before = (self.offset, self.check, self.head, self.size);
        let end = self.read_records(&mut medium, bench, finish, now);
        let proof = self.prove(&mut medium, (before.1, before.2), &bench.tail);
        self.handle = Some(medium);
        let end = end?;
        if proof? {
            return Ok(end);
        }
        // It was cut while it was read: what was read is of two contents.
        bench.frames.clear();
        (self.offset, self.check, self.head, self.size) = before;
        self.ladder.step_back(self.offset);
        self.unterminated = 0;
        Ok(TurnEnd::Cut)
    }

    /// Looks whether it is still there, still the same, and how long it is.
    pub fn look(&mut self, now: Instant) -> io::Result<Look> {
        if self.is_untouched() {
            return Ok(Look::Same);
        }
        let mut medium = match self.handle.take() {
            Some(medium) => medium,
            None => match self.place.as_ref().map(|place| open_same(&place.path, place.inode)).transpose()? {
                Some(Some(medium)) => medium,
                Some(None) | None => return Ok(Look::Missing),
            },
        };
        let seen = Seen::of(&medium.file().metadata()?);
        let touched = seen != self.seen;
        if let Medium::Plain(_) = medium
            && (seen.length < self.offset || (touched && !is_still(&mut medium, &self.check, &self.head)?))
        {
            self.handle = Some(medium);
            return Ok(Look::Cut);
        }
        if touched && self.offset == 0 && self.size < MAGIC_BYTES_MAX {
            // A file that was empty may turn out to be a compressed one.
            medium = Medium::again(medium)?;
        }
        if seen.length != self.seen.length {
            self.last_growth = now;
            self.interval = POLL_INTERVAL_MIN;
        }
        self.seen = seen.unless_young();
        self.size = self.size_of(&medium)?;
        if self.check.offset == 0 && self.offset > 0 && matches!(medium, Medium::Plain(_)) {
            // Where to go on came from the buffer: from now on a truncation is seen.
            self.check = check_before(&mut medium, self.offset)?;
        }
        if self.head.length == 0 {
            self.head = head_of(&medium.head()?);
        }
        self.handle = Some(medium);
        Ok(Look::Same)
    }

    fn size_of(&self, medium: &Medium) -> io::Result<u64> {
        Ok(match medium.extent()? {
            Extent::Beyond(bytes) => bytes.max(self.offset + 1),
            extent => extent.bytes(),
        })
    }

    /// Brings the proofs up to what was read. False: what was read before is not there any more.
    fn prove(
        &mut self,
        medium: &mut Medium,
        (before, head): (ContentCheck, Head),
        tail: &[u8],
    ) -> io::Result<bool> {
        self.size = self.size_of(medium)?;
        if self.head.length < HEAD_BYTES as u32 {
            self.head = head_of(&medium.head()?);
        }
        if let Medium::Compressed(_) = medium {
            if self.offset > before.offset {
                self.check = check_before(medium, self.offset)?;
            }
            return Ok(true);
        }
        if self.offset != before.offset {
            self.check = check_before(medium, self.offset)?;
            self.checked_nanos = nanos_now();
            self.ladder.climb(medium, before.offset, self.offset)?;
        }
        // Last: what holds now held when the bytes above were read.
        Ok(is_still(medium, &before, &head)? && ends_with(medium, self.offset, tail)?)
    }

    /// Whether what follows in a compressed file cannot be decoded, or breaks off.
    pub fn is_damaged(&self) -> bool {
        self.handle
            .as_ref()
            .is_some_and(|medium| matches!(medium.extent(), Ok(Extent::Damaged(_) | Extent::BreaksOff(_))))
    }

    fn read_records(
        &mut self,
        medium: &mut Medium,
        bench: &mut Workbench,
        finish: bool,
        now: Instant,
    ) -> io::Result<TurnEnd> {
        bench.builder.restart(self.key, self.offset, self.sequence_base);
        bench.tail.clear();
        self.show_head(medium)?;
        let turn_start = self.offset;
        let end = loop {
            if self.offset - turn_start >= TURN_BYTES_MAX {
                break TurnEnd::More;
            }
            if !self.read_window(medium, bench, finish, now)? {
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
        medium: &mut Medium,
        bench: &mut Workbench,
        finish: bool,
        now: Instant,
    ) -> io::Result<bool> {
        if self.unterminated > 0 && !finish && self.newline_appeared(medium, bench)?.is_none() {
            return Ok(false);
        }
        let mut window_bytes = READ_BYTES;
        loop {
            if bench.window.len() < window_bytes {
                bench.window.resize(window_bytes, 0);
            }
            let read = medium.read(&mut bench.window[..window_bytes], self.offset)?;
            if self.skips_hole(medium, &bench.window[..read])? {
                bench.tail.clear();
                return Ok(true);
            }
            let file_ends = read < window_bytes;
            let finish = finish || (file_ends && medium.is_complete());
            let at_end = self.at_end(file_ends, finish, now);
            let (window, builder, frames) = (&bench.window[..read], &mut bench.builder, &mut bench.frames);
            let mut sink = Sink { builder, frames, read_time: nanos_now() };
            let assembler =
                self.assembler.as_mut().ok_or_else(|| io::Error::other("the file has no parser"))?;
            let mut taken = assembler.take(window, self.offset, at_end, &mut sink);
            let window_bytes_max = assembler.window_bytes_max();
            if taken.bytes == 0 && taken.holds_record && window_bytes >= window_bytes_max {
                // The line after it is too long to continue it.
                taken = assembler.take(window, self.offset, AtEnd::Lines, &mut sink);
            }
            self.holds_record = taken.holds_record && file_ends;
            self.offset += taken.bytes as u64;
            if taken.bytes > 0 || file_ends {
                bench.keep_tail(taken.bytes);
                let window = &bench.window[..read];
                let rest = &window[taken.bytes..];
                let newlines = assembler.newlines();
                let is_open = file_ends && newlines.find(rest, self.offset).is_none();
                self.unterminated = if is_open { newlines.whole_units(rest.len()) as u64 } else { 0 };
                return Ok(!file_ends);
            }
            if window_bytes >= window_bytes_max {
                return self.take_long_line(medium, bench, finish, read);
            }
            window_bytes = (window_bytes * 2).min(window_bytes_max);
        }
    }

    /// A hole in a file reads as NULs where a line should begin: a writer that does not append leaves one after a
    /// truncation, a crash another. It is no line; and the line behind it must not be cut because of it.
    fn skips_hole(&mut self, medium: &Medium, window: &[u8]) -> io::Result<bool> {
        let nulls = window.iter().take_while(|&&byte| byte == 0).count();
        if nulls < HOLE_BYTES_MIN {
            return Ok(false);
        }
        self.offset += nulls as u64;
        self.unterminated = 0;
        if nulls == window.len() {
            self.offset = medium.next_data(self.offset)?;
        }
        Ok(true)
    }

    fn at_end(&self, file_ends: bool, finish: bool, now: Instant) -> AtEnd {
        match (file_ends, finish) {
            (false, _) => AtEnd::Wait,
            (true, true) => AtEnd::All,
            (true, false) if self.quiet_for(now) >= HOLD => AtEnd::Lines,
            (true, false) => AtEnd::Wait,
        }
    }

    /// Shows a new parser the content's beginning, where reading goes on elsewhere.
    fn show_head(&mut self, medium: &mut Medium) -> io::Result<()> {
        let Some(assembler) = self.assembler.as_mut().filter(|assembler| assembler.wants_head()) else {
            return Ok(());
        };
        if self.offset == 0 {
            return Ok(());
        }
        let kept = medium.head()?;
        if matches!(medium, Medium::Compressed(_)) && kept.contains(&b'\n') {
            // Enough, and nothing has to be decoded again.
            assembler.see_head(&kept);
            return Ok(());
        }
        let mut head = vec![0; SAMPLE_BYTES_MAX];
        let read = medium.read(&mut head, 0)?;
        assembler.see_head(&head[..read]);
        Ok(())
    }

    /// Whether the open line has got its newline, and where that is behind `offset + unterminated`: only bytes that
    /// are new are read.
    fn newline_appeared(
        &mut self,
        medium: &mut Medium,
        bench: &mut Workbench,
    ) -> io::Result<Option<Range<usize>>> {
        let newlines = self.assembler.as_ref().map_or(Newlines::Byte, Assembler::newlines);
        bench.window.resize(bench.window.len().max(READ_BYTES), 0);
        loop {
            let at = self.offset + self.unterminated;
            let read = medium.read(&mut bench.window[..READ_BYTES], at)?;
            if let Some(newline) = newlines.find(&bench.window[..read], at) {
                return Ok(Some(newline));
            }
            self.unterminated += newlines.whole_units(read) as u64;
            if read < READ_BYTES {
                return Ok(None);
            }
        }
    }

    /// A line that is longer than the window: its head is kept, the rest counted. The window holds `filled` bytes of
    /// it.
    fn take_long_line(
        &mut self,
        medium: &mut Medium,
        bench: &mut Workbench,
        finish: bool,
        filled: usize,
    ) -> io::Result<bool> {
        let head = bench.window[..=LINE_BYTES_MAX].to_vec();
        self.unterminated = self.unterminated.max(filled as u64);
        let found = self.newline_appeared(medium, bench)?;
        if found.is_none() && !finish {
            return Ok(false);
        }
        let newline = found.unwrap_or(0..0);
        let length = self.unterminated + newline.start as u64;
        let next = self.offset + self.unterminated + newline.end as u64;
        let mut sink =
            Sink { builder: &mut bench.builder, frames: &mut bench.frames, read_time: nanos_now() };
        if let Some(assembler) = &mut self.assembler {
            assembler.take_long_line(&head, length, self.offset, next, &mut sink);
        }
        self.offset = next;
        self.unterminated = 0;
        bench.tail.clear();
        Ok(true)
    }
}

/// Whether a file still is what was read of it, or, before anything was read, what was seen of its beginning.
fn is_still(medium: &mut Medium, check: &ContentCheck, head: &Head) -> io::Result<bool> {
    if check.offset > 0 || head.length == 0 {
        return holds(medium, check);
    }
    Ok(begins_with(&medium.head()?, head))
}

/// Whether these are the bytes before an offset.
fn ends_with(medium: &mut Medium, offset: u64, tail: &[u8]) -> io::Result<bool> {
    let mut bytes = [0; CHECK_BYTES as usize];
    let Some(there) = bytes.get_mut(..tail.len()) else { return Ok(false) };
    let read = medium.read(there, offset.saturating_sub(tail.len() as u64))?;
    Ok(there.get(..read) == Some(tail))
}
