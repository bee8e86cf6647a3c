//! Records whose text does not stand in the file as it is: lines in a container engine's wrapping, in another encoding,
//! or with escape sequences to be removed. Lines of several streams stand between each other, in pieces too:
//!
//! ```text
//! bytes     |P a1|P b1|F a2|F b2|F c |     a, b: a line of stdout and one of stderr, in two pieces each; c: a line
//! records   |a        :    |     |c  |     a is [0, 3), b is [1, 4): a frame may begin before a and before c only,
//!                |b        :     |         or a replay would find half a record
//! ```
//!
//! A *cut* is a place that no record reaches across, as far as is known. One that lies before everything open stays
//! one: a frame may begin there.
//!
//! **Invariant:** whoever begins to read at a cut finds the same records as whoever came from before it, whenever it is
//! read. So when something open is given up depends on bytes behind its own first one only: on the engine's clock,
//! which stands in the lines, and on the number of bytes since its start, or since the last cut. The reader's clock is
//! used at the end of the file only, and is slower.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use memchr::memchr;
use weir_record::identity::line_hash;
use weir_record::limits::LINE_BYTES_MAX;

use super::emit::{Emitter, RecordText, cut};
use super::records::{AtEnd, Sink, Taken};
use super::text::{Newlines, TextRules, TextScratch};
use crate::parse::{Envelope, Known, Piece, Stream, Wrapping, is_blank};

/// Most bytes of a file from the start of a record to its end, other streams' bytes between included; and most bytes
/// without a cut. A line of the longest kind in pieces of 16 KiB still fits.
const TANGLE_BYTES_MAX: usize = LINE_BYTES_MAX + 64 * 1024;

/// The reader's window: whatever is open is given up in it. A tangle may reach as far before the oldest thing open as
/// that reaches back; behind them stands the line that makes them end.
pub const WINDOW_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;
const _: () = assert!(WINDOW_BYTES_MAX > 3 * TANGLE_BYTES_MAX);

/// A record that the next line could continue has ended when a line comes that the engine got this much later.
/// Shorter than [`HOLD`](crate::settings::HOLD), so that no reader ends it earlier.
const HELD_GAP: Duration = Duration::from_millis(150);

/// The same for a line whose last piece has not come. Shorter than [`PARTIAL_HOLD`].
const PARTIAL_GAP: Duration = Duration::from_secs(4);

/// At the end of a file, a line's last piece is waited for this long.
const PARTIAL_HOLD: Duration = Duration::from_secs(5);

/// Buffers that are kept for the next records.
const SPARE_BUFFERS_MAX: usize = 64;

/// Makes records of lines that are not parsed as they stand in the file.
pub struct Joining {
    rules: TextRules,
    wrapping: Option<Wrapping>,
    newlines: Newlines,
    /// Of stdout, of stderr, and of lines without a stream.
    lanes: [Lane; 3],
    /// Records that are ended, but not all that began before them is.
    ended: Vec<Text>,
    spare: Vec<Text>,
    /// Places that no record reaches across, as far as is known, in order. The first is where the next frame begins:
    /// all before is in records.
    cuts: VecDeque<usize>,
    unwrapped: Vec<u8>,
    unwrapped_again: Vec<u8>,
    cleaned: Vec<u8>,
    scratch: TextScratch,
    raw: Vec<u8>,
}

/// The unfinished record of one stream.
#[derive(Default)]
struct Lane {
    /// Pieces of a line whose last piece is to come.
    line: Option<Text>,
    /// Whole lines, to be continued or not.
    record: Option<Text>,
}

/// Text, and the bytes of the window that it was made of.
#[derive(Default)]
struct Text {
    text: Vec<u8>,
    pieces: Vec<Range<usize>>,
    /// After the newline of the last piece.
    next: usize,
    /// Envelope of the first piece.
    time: Option<weir_record::Timestamp>,
    stream: Option<Stream>,
    /// When the engine got the last piece, nanoseconds since 1970.
    last_time: i64,
    is_partial: bool,
    is_damaged: bool,
    /// Of the record, where it is one.
    known: Known,
}

/// A line in the window.
#[derive(Clone, Copy)]
struct Raw {
    start: usize,
    /// After its text.
    end: usize,
    /// After its newline.
    next: usize,
}

/// What is the same for all lines of a call.
struct Turn<'t, 'f> {
    bytes: &'t [u8],
    offset: u64,
    emitter: &'t mut Emitter,
    sink: &'t mut Sink<'f>,
}

impl Joining {
    /// For a file whose lines are wrapped and written so.
    pub fn new(rules: TextRules, wrapping: Option<Wrapping>) -> Joining {
        Joining {
            rules,
            wrapping,
            newlines: rules.encoding.newlines(),
            lanes: Default::default(),
            ended: Vec::new(),
            spare: Vec::new(),
            cuts: VecDeque::new(),
            unwrapped: Vec::new(),
            unwrapped_again: Vec::new(),
            cleaned: Vec::new(),
            scratch: TextScratch::default(),
            raw: Vec::new(),
        }
    }

    /// How lines end.
    pub fn newlines(&self) -> Newlines {
        self.newlines
    }

    /// Whether the last piece of a line is to come.
    pub fn has_open_line(&self) -> bool {
        self.lanes.iter().any(|lane| lane.line.is_some())
    }

    /// The text of a sample of the file's beginning, for the detection of its format.
    pub fn sample(&mut self, head: &[u8]) -> Vec<u8> {
        let mut sample = Vec::new();
        let mut start = 0;
        while let Some(newline) = self.newlines.find(&head[start..], start as u64) {
            let line = &head[start..start + newline.start];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let piece = self.wrapping.and_then(|wrapping| wrapping.read(line, &mut self.unwrapped));
            let text = piece.map_or(line, |piece| piece.text);
            let inner = read_inner(self.wrapping, text, &mut self.unwrapped_again);
            let text = inner.map_or(text, |inner| inner.text);
            sample.extend_from_slice(self.rules.apply(text, &mut self.scratch).text);
            if !piece.is_some_and(|piece| piece.is_partial) {
                sample.push(b'\n');
            }
            start += newline.end;
        }
        sample
    }

    /// As [`Assembler::take`](super::records::Assembler::take).
    pub fn take(
        &mut self,
        bytes: &[u8],
        offset: u64,
        at_end: AtEnd,
        emitter: &mut Emitter,
        sink: &mut Sink<'_>,
    ) -> Taken {
        self.begin();
        let mut turn = Turn { bytes, offset, emitter, sink };
        let mut start = 0;
        while let Some(newline) = self.newlines.find(&bytes[start..], offset + start as u64) {
            let (end, next) = (start + newline.start, start + newline.end);
            self.take_line(Raw { start, end, next }, &mut turn);
            start = next;
        }
        if at_end == AtEnd::All && start < bytes.len() {
            self.take_line(Raw { start, end: bytes.len(), next: bytes.len() }, &mut turn);
            start = bytes.len();
        } else {
            // The line that follows ends behind these bytes.
            self.end_too_long(bytes.len(), &mut turn);
            self.settle(start, &mut turn);
        }
        let gives_up = match at_end {
            AtEnd::Wait => false,
            AtEnd::Lines => !self.waits_for_piece(turn.sink.read_time),
            AtEnd::All => true,
        };
        if gives_up {
            self.end_from(0, &mut turn);
            self.settle(start, &mut turn);
        }
        Taken { bytes: self.clean(), holds_record: self.lanes.iter().any(|lane| lane.record.is_some()) }
    }

    /// As [`Assembler::take_long_line`](super::records::Assembler::take_long_line).
    pub fn take_long_line(
        &mut self,
        head: &[u8],
        length: u64,
        offset: u64,
        next: u64,
        emitter: &mut Emitter,
        sink: &mut Sink<'_>,
    ) {
        let piece = self.wrapping.and_then(|wrapping| wrapping.read(head, &mut self.unwrapped));
        let text = piece.map_or(head, |piece| piece.text);
        let line = self.rules.apply(text, &mut self.scratch);
        let envelope = Envelope {
            is_redacted: false,
            time: piece.map(|piece| piece.time),
            stream: piece.map(|piece| piece.stream),
            is_partial: piece.is_some_and(|piece| piece.is_partial),
            undecodable: line.is_damaged.then_some(head),
        };
        let missing = length.saturating_sub(head.len() as u64);
        let (text, cut_off) = cut(line.text);
        let missing = missing + cut_off;
        let record = RecordText { text, envelope, hash: line_hash(head), missing, offset };
        emitter.emit_line(&record, sink);
        emitter.finish_full_frame(next, sink);
    }

    /// Where the next frame begins.
    fn clean(&self) -> usize {
        self.cuts.front().copied().unwrap_or(0)
    }

    fn begin(&mut self) {
        self.cuts.clear();
        self.cuts.push_back(0);
        let open = self.lanes.iter_mut().flat_map(|lane| [lane.line.take(), lane.record.take()]).flatten();
        self.spare.extend(open.chain(self.ended.drain(..)));
        self.spare.truncate(SPARE_BUFFERS_MAX);
    }

    fn take_line(&mut self, raw: Raw, turn: &mut Turn<'_, '_>) {
        self.end_too_long(raw.next, turn);
        self.cut_at(raw.start);
        let end = match self.newlines {
            Newlines::Byte if turn.bytes[raw.start..raw.end].ends_with(b"\r") => raw.end - 1,
            _ => raw.end,
        };
        let raw = Raw { end, ..raw };
        let mut unwrapped = std::mem::take(&mut self.unwrapped);
        let line = without_mark(&turn.bytes[raw.start..raw.end], turn.offset + raw.start as u64);
        match self.wrapping.and_then(|wrapping| wrapping.read(line, &mut unwrapped)) {
            Some(piece) => self.take_piece(raw, piece, turn),
            None => self.take_whole(raw, line, None, turn),
        }
        self.unwrapped = unwrapped;
        self.settle(raw.next, turn);
    }

    fn take_piece(&mut self, raw: Raw, piece: Piece<'_>, turn: &mut Turn<'_, '_>) {
        self.end_overdue(piece.time.nanos(), turn);
        let lane = &mut self.lanes[lane_of(Some(piece.stream))];
        match lane.line.take() {
            None if !piece.is_partial => self.take_whole(raw, piece.text, Some(piece), turn),
            open => {
                let mut line = open.unwrap_or_else(|| {
                    let mut line = self.spare.pop().unwrap_or_default();
                    line.begin(raw, Some(piece));
                    line
                });
                line.append(raw, piece.text, piece.time.nanos());
                if piece.is_partial {
                    let start = line.start();
                    lane.line = Some(line);
                    self.forget_cuts(start, raw.next);
                } else {
                    self.forget_cuts(line.start(), raw.next);
                    self.complete(line, turn);
                }
            }
        }
    }

    /// Takes a line of one piece.
    fn take_whole(&mut self, raw: Raw, text: &[u8], piece: Option<Piece<'_>>, turn: &mut Turn<'_, '_>) {
        let mut line = self.spare.pop().unwrap_or_default();
        line.begin(raw, piece);
        line.append(raw, text, line.last_time);
        self.complete(line, turn);
    }

    /// Takes a whole line: it goes on its stream's record, or is one.
    fn complete(&mut self, mut line: Text, turn: &mut Turn<'_, '_>) {
        self.unwrap_again(&mut line);
        let lane = lane_of(line.stream);
        self.clean_up(&mut line);
        if let Some(mut record) = self.lanes[lane].record.take() {
            if turn.emitter.continues(&mut record.known, &record.text, &line.text) {
                record.text.push(b'\n');
                record.text.extend_from_slice(&line.text);
                record.pieces.append(&mut line.pieces);
                (record.next, record.last_time) = (line.next, line.last_time);
                record.is_partial |= line.is_partial;
                record.is_damaged |= line.is_damaged;
                self.forget_cuts(record.start(), record.next);
                self.lanes[lane].record = Some(record);
                self.spare.push(line);
                return;
            }
            self.ended.push(record);
        }
        let is_alone = self.wrapping.is_some() && line.stream.is_none() || line.is_partial;
        if is_blank(&line.text) {
            self.spare.push(line);
            return;
        }
        match turn.emitter.may_continue(&line.text).filter(|_| !is_alone) {
            Some(known) => {
                line.known = known;
                self.lanes[lane].record = Some(line);
            }
            None => self.ended.push(line),
        }
    }

    /// A container that runs an engine of its own writes lines in that one's wrapping.
    fn unwrap_again(&mut self, line: &mut Text) {
        let Some(inner) = read_inner(self.wrapping, &line.text, &mut self.unwrapped_again) else { return };
        (line.time, line.stream) = (Some(inner.time), Some(inner.stream));
        line.is_partial |= inner.is_partial;
        self.cleaned.clear();
        self.cleaned.extend_from_slice(inner.text);
        std::mem::swap(&mut line.text, &mut self.cleaned);
    }

    /// Decodes the line, and removes what is not wanted in it.
    fn clean_up(&mut self, line: &mut Text) {
        if self.rules.change_nothing() {
            return;
        }
        let cleaned = self.rules.apply(&line.text, &mut self.scratch);
        line.is_damaged = cleaned.is_damaged;
        self.cleaned.clear();
        self.cleaned.extend_from_slice(cleaned.text);
        std::mem::swap(&mut line.text, &mut self.cleaned);
    }

    /// Ends what has waited too long by the engine's clock.
    fn end_overdue(&mut self, now: i64, turn: &mut Turn<'_, '_>) {
        for lane in 0..self.lanes.len() {
            if let Some(line) = self.lanes[lane].line.take_if(|line| line.is_older(PARTIAL_GAP, now)) {
                self.end_partial(line, turn);
            }
            let waits_for_line = self.lanes[lane].line.is_some();
            let overdue = |record: &mut Text| !waits_for_line && record.is_older(HELD_GAP, now);
            if let Some(record) = self.lanes[lane].record.take_if(overdue) {
                self.ended.push(record);
            }
        }
    }

    fn end_partial(&mut self, mut line: Text, turn: &mut Turn<'_, '_>) {
        line.is_partial = true;
        self.complete(line, turn);
    }

    /// Ends what is open and would be too long if it went on until `next`, and whatever keeps the bytes since the last
    /// cut from having one.
    fn end_too_long(&mut self, next: usize, turn: &mut Turn<'_, '_>) {
        for lane in 0..self.lanes.len() {
            let is_too_long = |text: &mut Text| next - text.start() > TANGLE_BYTES_MAX;
            if let Some(line) = self.lanes[lane].line.take_if(is_too_long) {
                self.end_partial(line, turn);
            }
            if let Some(record) = self.lanes[lane].record.take_if(is_too_long) {
                self.ended.push(record);
            }
        }
        let last_cut = self.cuts.back().copied().unwrap_or(0);
        if next - last_cut > TANGLE_BYTES_MAX {
            self.end_from(last_cut, turn);
        }
    }

    /// Ends everything that began at `from` or behind it.
    fn end_from(&mut self, from: usize, turn: &mut Turn<'_, '_>) {
        for lane in 0..self.lanes.len() {
            if let Some(line) = self.lanes[lane].line.take_if(|line| line.start() >= from) {
                self.end_partial(line, turn);
            }
            if let Some(record) = self.lanes[lane].record.take_if(|record| record.start() >= from) {
                self.ended.push(record);
            }
        }
    }

    /// A line begins: nothing that is known so far reaches across its start.
    fn cut_at(&mut self, start: usize) {
        if self.cuts.back() != Some(&start) {
            self.cuts.push_back(start);
        }
    }

    /// What reaches from `start` to `next` has no cut between.
    fn forget_cuts(&mut self, start: usize, next: usize) {
        let from = self.cuts.partition_point(|cut| *cut <= start);
        let to = self.cuts.partition_point(|cut| *cut < next);
        self.cuts.drain(from..to.max(from));
    }

    /// Whether a line's last piece may still come at the end of the file.
    fn waits_for_piece(&self, now: i64) -> bool {
        let mut lines = self.lanes.iter().filter_map(|lane| lane.line.as_ref());
        lines.any(|line| !line.is_older(PARTIAL_HOLD, now))
    }

    /// Emits the records before the last cut that nothing open stands before. `next`: after the last line taken.
    fn settle(&mut self, next: usize, turn: &mut Turn<'_, '_>) {
        let open = self.lanes.iter().flat_map(|lane| [&lane.line, &lane.record]).flatten();
        let open_from = open.map(Text::start).min();
        if open_from.is_none() {
            self.cut_at(next);
        }
        if self.ended.len() > 1 {
            self.ended.sort_unstable_by_key(Text::start);
        }
        let mut emitted = 0;
        while let Some(&cut) = self.cuts.get(1).filter(|cut| open_from.is_none_or(|open| **cut <= open)) {
            let tangle = self.ended[emitted..].iter().take_while(|record| record.start() < cut).count();
            self.emit(emitted..emitted + tangle, turn);
            emitted += tangle;
            self.cuts.pop_front();
            turn.emitter.finish_full_frame(turn.offset + cut as u64, turn.sink);
        }
        self.spare.extend(self.ended.drain(..emitted));
        self.spare.truncate(SPARE_BUFFERS_MAX);
    }

    /// Emits records whose bytes stand among each other: no frame begins between them.
    fn emit(&mut self, tangle: Range<usize>, turn: &mut Turn<'_, '_>) {
        turn.emitter.make_room(tangle.len(), turn.offset + self.clean() as u64, turn.sink);
        for at in tangle.clone() {
            let record = &self.ended[at];
            let raw = record.raw(turn.bytes, &mut self.raw);
            let (text, missing) = cut(&record.text);
            let envelope = Envelope {
                is_redacted: false,
                time: record.time,
                stream: record.stream,
                undecodable: record.is_damaged.then_some(raw),
                is_partial: record.is_partial,
            };
            let offset = turn.offset + record.start() as u64;
            let record = RecordText { text, envelope, hash: line_hash(raw), missing, offset };
            if tangle.len() == 1 {
                turn.emitter.emit_line(&record, turn.sink);
            } else if turn.emitter.emit(&record, turn.sink) && at > tangle.start {
                turn.sink.builder.bind_last();
            }
        }
    }
}

impl Text {
    fn begin(&mut self, raw: Raw, piece: Option<Piece<'_>>) {
        self.text.clear();
        self.pieces.clear();
        self.next = raw.next;
        self.time = piece.map(|piece| piece.time);
        self.stream = piece.map(|piece| piece.stream);
        self.last_time = piece.map_or(i64::MAX, |piece| piece.time.nanos());
        (self.is_partial, self.is_damaged) = (false, false);
    }

    fn append(&mut self, raw: Raw, text: &[u8], time: i64) {
        self.text.extend_from_slice(text);
        self.pieces.push(raw.start..raw.end);
        (self.next, self.last_time) = (raw.next, time);
    }

    fn start(&self) -> usize {
        self.pieces.first().map_or(0, |piece| piece.start)
    }

    /// Whether its last piece came longer ago. Lines without a time are never old.
    fn is_older(&self, gap: Duration, now: i64) -> bool {
        now.saturating_sub(self.last_time) > gap.as_nanos() as i64
    }

    /// The bytes in the file, without those of other streams between them.
    fn raw<'r>(&self, bytes: &'r [u8], scratch: &'r mut Vec<u8>) -> &'r [u8] {
        match self.pieces.as_slice() {
            [] => &[],
            [one] => &bytes[one.clone()],
            [first, rest @ ..] => {
                scratch.clear();
                scratch.extend_from_slice(&bytes[first.clone()]);
                for piece in rest {
                    scratch.push(b'\n');
                    scratch.extend_from_slice(&bytes[piece.clone()]);
                }
                scratch
            }
        }
    }
}

/// Docker's wrapping inside of that of another engine.
fn read_inner<'t>(outer: Option<Wrapping>, text: &'t [u8], scratch: &'t mut Vec<u8>) -> Option<Piece<'t>> {
    let may_be = outer == Some(Wrapping::Cri) && text.starts_with(b"{\"log\":");
    may_be.then(|| Wrapping::Docker.read(text, scratch))?
}

fn lane_of(stream: Option<Stream>) -> usize {
    match stream {
        Some(Stream::Stdout) => 0,
        Some(Stream::Stderr) => 1,
        None => 2,
    }
}

/// The first line without a byte order mark.
fn without_mark(line: &[u8], offset: u64) -> &[u8] {
    const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    if offset > 0 {
        return line;
    }
    MARKS.iter().find_map(|mark| line.strip_prefix(*mark)).unwrap_or(line)
}

/// How the lines of a file are wrapped, told by its first line that is not blank. None: it is not there yet.
pub fn wrapping_of(head: &[u8], is_all: bool) -> Option<Option<Wrapping>> {
    let mut rest = head;
    loop {
        let (line, after) = match memchr(b'\n', rest) {
            Some(newline) => (&rest[..newline], &rest[newline + 1..]),
            None if is_all => return Some(Wrapping::of(rest.strip_suffix(b"\r").unwrap_or(rest))),
            None => return None,
        };
        if !line.iter().all(u8::is_ascii_whitespace) {
            return Some(Wrapping::of(without_mark(line.strip_suffix(b"\r").unwrap_or(line), 0)));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;
