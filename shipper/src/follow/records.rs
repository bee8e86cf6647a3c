//! From the bytes of a file to its records: lines are split, joined, parsed, and framed.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use memchr::memchr_iter;
use weir_config::Ansi;
use weir_record::identity::line_hash;
use weir_record::limits::{FRAME_RECORDS_MAX, LINE_BYTES_MAX};
use weir_record::schema::Origin;
use weir_record::stream::clean_dataset;
use weir_record::{Field, Frame, FrameBuilder, Group, Query};

use super::group;
pub use super::join::WINDOW_BYTES_MAX;
use super::join::{self, Joining};
use super::text::{Newlines, TextRules};
use crate::backfill::Period;
use crate::drift::{Drift, Watch};
use crate::parse::{
    Detection, Envelope, Format, Known, Parser, ParserSettings, Wrapping, is_blank, without_colours,
};
use crate::redact::{self, Redactor};
use crate::settings::{READ_BYTES, SourceSettings};
use crate::shape::{Cut, Incoming, Shaper};

/// Bytes of a file's beginning that its format is detected from.
pub const SAMPLE_BYTES_MAX: usize = 16 * 1024;

/// Notices of cut records that wait for room; beyond, the counters alone tell.
const NOTICES_MAX: usize = 1000;

/// What may be taken for a whole record at the end of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// Only what no later byte can change: a line that the next could continue waits.
    Wait,
    /// Every line that has its newline.
    Lines,
    /// Everything: the file is finished.
    All,
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that are in records, or between them; the rest is to be shown again.
    pub bytes: usize,
    /// Whether a whole line waits for one that may continue it.
    pub holds_record: bool,
}

/// The part of a file's state that parsing needs.
pub struct Assembler {
    emitter: Emitter,
    /// Told by the file's beginning.
    reading: Reading,
    /// The file's beginning, where reading began elsewhere.
    head: Option<Vec<u8>>,
    /// Of lines that name none.
    service: String,
    text: TextRules,
    wraps: Wraps,
}

/// Whether a container engine wraps the lines.
#[derive(Clone, Copy)]
enum Wraps {
    /// The configuration says how.
    Told(Wrapping),
    /// The first line tells.
    Maybe,
    /// The configuration says another format.
    No,
}

/// How lines become text.
enum Reading {
    /// Nothing was seen yet.
    Unknown,
    /// They are parsed where they stand.
    Direct,
    /// They are made.
    Joined(Box<Joining>),
}

/// Makes records out of text.
pub(super) struct Emitter {
    parser: Parser,
    ansi: Ansi,
    /// The text of a record without its colours.
    plain: Vec<u8>,
    redactor: Option<Arc<Redactor>>,
    /// The text of a record that something was taken out of.
    redacted: Vec<u8>,
    shaper: Option<Shaper>,
    /// Is told of records that were not understood.
    drift: Option<Watch>,
    /// Records that tell of others that were cut, until there is room for them.
    notices: VecDeque<Vec<u8>>,
    /// Of the last record that was committed.
    last_offset: Option<u64>,
    group: Group,
    drop: Vec<Query>,
    period: Period,
    /// Of the last record that has one: those without one are of the same time.
    last_time: Option<i64>,
    /// The group of the last line's service, and the service.
    other: Option<(String, Group)>,
    counts: RecordCounts,
}

/// A record on its way into a frame.
pub(super) struct RecordText<'t> {
    /// What is parsed.
    pub text: &'t [u8],
    /// What is known beside.
    pub envelope: Envelope<'t>,
    /// Of its bytes in the file.
    pub hash: u64,
    /// How many of its bytes are cut off.
    pub missing: u64,
    /// Of its first byte in the file.
    pub offset: u64,
}

/// What became of records, since the file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records made, the dropped ones included.
    pub records: u64,
    /// Records that no parser understood: their text is in `message`.
    pub not_understood: u64,
    /// Records that were cut at the limit of a line.
    pub truncated: u64,
    /// Records that a rule dropped.
    pub dropped: u64,
    /// Records of times that are not wanted.
    pub skipped: u64,
    /// Records that a step of `shape` has cut, in the order of [`Cut::ALL`].
    pub cut: [u64; Cut::ALL.len()],
    /// Parts of lines that were taken out, in the order of [`redact::Kind::ALL`].
    pub redacted: [u64; redact::Kind::ALL.len()],
}

impl std::ops::Sub for RecordCounts {
    type Output = RecordCounts;

    /// What has come since `earlier`.
    fn sub(self, earlier: RecordCounts) -> RecordCounts {
        RecordCounts {
            records: self.records - earlier.records,
            not_understood: self.not_understood - earlier.not_understood,
            truncated: self.truncated - earlier.truncated,
            dropped: self.dropped - earlier.dropped,
            skipped: self.skipped - earlier.skipped,
            cut: std::array::from_fn(|at| self.cut[at] - earlier.cut[at]),
            redacted: std::array::from_fn(|at| self.redacted[at] - earlier.redacted[at]),
        }
    }
}

/// Where records go: the frame builder, and the frames it has finished.
pub struct Sink<'a> {
    /// Collects the records of this turn.
    pub builder: &'a mut FrameBuilder,
    /// Takes full frames.
    pub frames: &'a mut Vec<Frame>,
    /// When the bytes were read, nanoseconds since 1970.
    pub read_time: i64,
}

#[derive(Clone, Copy)]
struct Open {
    start: usize,
    /// After its last line's text.
    end: usize,
    /// After its last line's newline.
    next: usize,
}

impl Assembler {
    /// For the lines of the file at `path`, or without a path of a stream.
    pub fn new(source: &SourceSettings, host: Option<&str>, path: Option<&Path>) -> Assembler {
        let shared = group::of_file(source, host, group::node_name().as_deref(), path);
        let reserved = Field::ALL.iter().copied().filter(|field| shared.settled.contains(*field));
        let reserved = reserved.chain(Field::ALL.iter().copied().filter(|f| f.origin() == Origin::Weir));
        // The lines in a container engine's wrapping are the container's own.
        let is_wrapping = matches!(source.format, Format::Cri | Format::Docker);
        let inner = if is_wrapping { Format::Auto } else { source.format };
        let parser = Parser::new(&ParserSettings {
            format: inner,
            patterns: source.patterns.clone(),
            columns: source.columns.clone(),
            multiline: source.multiline.clone(),
            ansi: source.text.ansi,
            zone: source.zone.clone(),
            geo: source.geo.clone(),
            reserved: reserved.collect(),
        });
        let (group, drop) = (shared.group, source.drop.clone());
        Assembler {
            emitter: Emitter {
                parser,
                ansi: source.text.ansi,
                plain: Vec::new(),
                redactor: source.redactor.clone(),
                redacted: Vec::new(),
                shaper: (!source.shape.is_empty()).then(|| Shaper::new(&source.shape)),
                drift: None,
                notices: VecDeque::new(),
                last_offset: None,
                group,
                drop,
                period: source.period,
                last_time: None,
                other: None,
                counts: RecordCounts::default(),
            },
            reading: Reading::Unknown,
            head: None,
            service: shared.service,
            text: source.text,
            wraps: match source.format {
                Format::Cri => Wraps::Told(Wrapping::Cri),
                Format::Docker => Wraps::Told(Wrapping::Docker),
                Format::Auto if source.patterns.is_none() => Wraps::Maybe,
                _ if shared.is_of_container => Wraps::Maybe,
                _ => Wraps::No,
            },
        }
    }

    /// Counts the shapes of records that are not understood.
    pub fn watch(&mut self, drift: &Arc<Drift>) {
        self.emitter.drift = Some(Watch::new(drift, &self.service));
    }

    /// The format that the lines have, once there were any.
    pub fn detection(&self) -> Option<Detection> {
        self.emitter.parser.detection()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> RecordCounts {
        self.emitter.counts
    }

    /// Whether the file's beginning has to be shown before reading can begin anywhere else: it tells the encoding, how
    /// lines are wrapped, and the format.
    pub fn wants_head(&self) -> bool {
        matches!(self.reading, Reading::Unknown) && self.head.is_none()
    }

    /// Shows the file's beginning, up to [`SAMPLE_BYTES_MAX`].
    pub fn see_head(&mut self, head: &[u8]) {
        self.head = Some(head.to_vec());
    }

    /// How lines end. Told by the file's beginning.
    pub fn newlines(&self) -> Newlines {
        match &self.reading {
            Reading::Joined(joining) => joining.newlines(),
            Reading::Unknown | Reading::Direct => Newlines::Byte,
        }
    }

    /// Longest run of bytes that has to be looked at together.
    pub fn window_bytes_max(&self) -> usize {
        match &self.reading {
            Reading::Joined(_) => WINDOW_BYTES_MAX,
            Reading::Unknown | Reading::Direct => LINE_BYTES_MAX + READ_BYTES,
        }
    }

    /// Whether a line was begun whose last piece has not come: whoever reads on looks again, if only to give it up.
    pub fn waits_for_piece(&self) -> bool {
        matches!(&self.reading, Reading::Joined(joining) if joining.has_open_line())
    }

    /// Takes whole records from `bytes`, which begin at `offset` of the file, at the start of a line.
    pub fn take(&mut self, bytes: &[u8], offset: u64, at_end: AtEnd, sink: &mut Sink<'_>) -> Taken {
        if matches!(self.reading, Reading::Unknown) {
            self.find_out(bytes, at_end);
        }
        match &mut self.reading {
            Reading::Direct => self.emitter.take(bytes, offset, at_end, sink),
            Reading::Joined(joining) => joining.take(bytes, offset, at_end, &mut self.emitter, sink),
            Reading::Unknown => Taken { bytes: 0, holds_record: false },
        }
    }

    /// Takes one line longer than the buffer: `head` is its beginning, `length` all of it, `next` the offset after
    /// its newline.
    pub fn take_long_line(&mut self, head: &[u8], length: u64, offset: u64, next: u64, sink: &mut Sink<'_>) {
        if let Reading::Joined(joining) = &mut self.reading {
            return joining.take_long_line(head, length, offset, next, &mut self.emitter, sink);
        }
        let (kept, _) = cut(head);
        self.emitter.emit_record(kept, length - kept.len() as u64, offset, next, sink);
    }

    /// Looks at the file's beginning; without it, at what is there. Nothing changes before its first line is whole.
    fn find_out(&mut self, bytes: &[u8], at_end: AtEnd) {
        let head = self.head.as_deref().unwrap_or(bytes);
        let head = head.get(..SAMPLE_BYTES_MAX).unwrap_or(head);
        let is_all = at_end == AtEnd::All || head.len() == SAMPLE_BYTES_MAX || self.head.is_some();
        let mut rules = self.text;
        rules.encoding = rules.encoding.or_of_mark(head);
        let wrapping = match self.wraps {
            Wraps::Told(wrapping) => Some(wrapping),
            Wraps::Maybe if !rules.encoding.is_wide() => match join::wrapping_of(head, is_all) {
                Some(wrapping) => wrapping,
                None => return,
            },
            Wraps::Maybe | Wraps::No => None,
        };
        if wrapping.is_none() && rules.change_nothing() {
            self.reading = Reading::Direct;
            self.emitter.see_head(head, self.head.is_some());
        } else {
            let mut joining = Joining::new(rules, wrapping);
            self.emitter.see_head(&joining.sample(head), self.head.is_some());
            self.reading = Reading::Joined(Box::new(joining));
        }
        self.head = None;
    }
}

impl Emitter {
    /// Looks at the first lines. `is_elsewhere`: reading begins behind them.
    fn see_head(&mut self, sample: &[u8], is_elsewhere: bool) {
        self.parser.detect(sample);
        if is_elsewhere {
            self.parser.read_head(sample);
        }
    }

    fn take(&mut self, bytes: &[u8], offset: u64, at_end: AtEnd, sink: &mut Sink<'_>) -> Taken {
        if self.parser.detection().is_none() {
            self.parser.detect(bytes.get(..SAMPLE_BYTES_MAX).unwrap_or(bytes));
        }
        let mut open: Option<Open> = None;
        let mut line_start = 0;
        for newline in memchr_iter(b'\n', bytes) {
            let line =
                Open { start: line_start, end: line_end(bytes, line_start, newline), next: newline + 1 };
            line_start = newline + 1;
            open = self.take_line(bytes, offset, open, line, sink);
        }
        if at_end == AtEnd::All && line_start < bytes.len() {
            let line =
                Open { start: line_start, end: line_end(bytes, line_start, bytes.len()), next: bytes.len() };
            line_start = bytes.len();
            open = self.take_line(bytes, offset, open, line, sink);
        }
        match open {
            Some(record) if at_end == AtEnd::Wait => Taken { bytes: record.start, holds_record: true },
            Some(record) => {
                self.emit_lines(bytes, offset, record, sink);
                Taken { bytes: record.next, holds_record: false }
            }
            None => Taken { bytes: line_start, holds_record: false },
        }
    }

    fn take_line(
        &mut self,
        bytes: &[u8],
        offset: u64,
        open: Option<Open>,
        line: Open,
        sink: &mut Sink<'_>,
    ) -> Option<Open> {
        if let Some(record) = open {
            if self.parser.continues(&bytes[record.start..record.end], &bytes[line.start..line.end]) {
                return Some(Open { start: record.start, ..line });
            }
            self.emit_lines(bytes, offset, record, sink);
        }
        if is_blank(&bytes[line.start..line.end]) {
            return None;
        }
        if self.parser.may_continue(&bytes[line.start..line.end]) {
            return Some(line);
        }
        self.emit_lines(bytes, offset, line, sink);
        None
    }

    fn emit_lines(&mut self, bytes: &[u8], offset: u64, record: Open, sink: &mut Sink<'_>) {
        let (kept, missing) = cut(&bytes[record.start..record.end]);
        self.emit_record(kept, missing, offset + record.start as u64, offset + record.next as u64, sink);
    }

    fn emit_record(&mut self, record: &[u8], missing: u64, offset: u64, next: u64, sink: &mut Sink<'_>) {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        let text = if offset == 0 { record.strip_prefix(BOM).unwrap_or(record) } else { record };
        let hash = line_hash(record);
        self.emit(&RecordText { text, envelope: Envelope::default(), hash, missing, offset }, sink);
        self.finish_full_frame(next, sink);
    }

    /// Whether `line` goes on the record whose text so far is `open`, one of several.
    pub(super) fn continues(&mut self, known: &mut Known, open: &[u8], line: &[u8]) -> bool {
        self.parser.resume(*known);
        let continues = self.parser.continues(open, line);
        *known = self.parser.known();
        continues
    }

    /// What is known of `record`, a line, if one that is not there yet could go on it.
    pub(super) fn may_continue(&mut self, record: &[u8]) -> Option<Known> {
        self.parser.may_continue(record).then(|| self.parser.known())
    }

    /// Makes a record. False: a rule dropped it, or its time is not wanted.
    pub(super) fn emit(&mut self, record: &RecordText<'_>, sink: &mut Sink<'_>) -> bool {
        let RecordText { mut text, mut envelope, hash, missing, offset } = *record;
        if self.ansi != Ansi::Keep {
            // Before the redaction: a colour would hide where a secret begins.
            text = without_colours(text, &mut self.plain);
            if text.len() < record.text.len() && std::str::from_utf8(text).is_err() {
                envelope.undecodable = envelope.undecodable.or(Some(record.text));
            }
        }
        if let Some(taken) =
            self.redactor.as_ref().and_then(|redactor| redactor.redact(text, &mut self.redacted))
        {
            self.counts.redacted.iter_mut().zip(taken).for_each(|(count, taken)| *count += u64::from(taken));
            text = &self.redacted;
            // The undecoded bytes hold what was taken out.
            envelope = Envelope { is_redacted: true, undecodable: None, ..envelope };
        }
        let parsed =
            self.parser.parse_within(text, envelope, sink.read_time, missing, sink.builder.document());
        let group = match parsed.service {
            Some(service) if !sink.builder.is_full() => group_of(&mut self.other, &self.group, service),
            _ => &self.group,
        };
        self.counts.records += 1;
        if !parsed.understood {
            self.counts.not_understood += 1;
            if let Some(drift) = &self.drift {
                drift.note(text, sink.read_time);
            }
        }
        self.counts.truncated += u64::from(missing > 0);
        self.last_time = parsed.time.or(self.last_time);
        if self.last_time.is_some_and(|time| !self.period.contains(time)) {
            self.counts.skipped += 1;
            sink.builder.rollback();
            return false;
        }
        let mut time = parsed.time;
        let mut routed = None;
        if let Some(shaper) = &mut self.shaper {
            let fragment = sink.builder.pending_document();
            let shaped = shaper.shape(&Incoming {
                fragment,
                shared: &group.fields,
                hash: hash ^ offset,
                read_time: sink.read_time,
            });
            let room = NOTICES_MAX.saturating_sub(self.notices.len());
            self.notices.extend(shaped.notices.into_iter().take(room));
            sink.builder.rollback();
            match shaped.fragment {
                Ok(fragment) => sink.builder.document().extend_from_slice(&fragment),
                Err(cut) => {
                    self.counts.cut[cut as usize] += 1;
                    return false;
                }
            }
            time = shaped.time.or(time);
            let route = shaped.route.filter(|_| !sink.builder.is_full());
            routed =
                route.map(|dataset| Group { dataset: clean_dataset(&dataset), fields: group.fields.clone() });
        }
        let group = routed.as_ref().unwrap_or(group);
        if !self.drop.is_empty() && matches_any(&self.drop, sink.builder.pending_document(), group) {
            self.counts.dropped += 1;
            sink.builder.rollback();
            return false;
        }
        let group = sink.builder.group(group);
        sink.builder.commit(offset, time, hash, group);
        self.last_offset = Some(offset);
        true
    }

    /// Makes room for `count` records that have to be in one frame: another begins at `start` where they do not fit.
    pub(super) fn make_room(&mut self, count: usize, start: u64, sink: &mut Sink<'_>) {
        if sink.builder.len() + count > FRAME_RECORDS_MAX {
            sink.builder.finish(start, sink.read_time, sink.frames);
        }
    }

    /// Ends the frame at `next` if it is full.
    pub(super) fn finish_full_frame(&mut self, next: u64, sink: &mut Sink<'_>) {
        if !self.notices.is_empty()
            && !sink.builder.is_full()
            && self.last_offset.is_none_or(|last| last + 1 < next)
        {
            // The newline before `next` begins no record: its offset is free.
            if let Some(notice) = self.notices.pop_front() {
                sink.builder.document().extend_from_slice(&notice);
                let group = sink.builder.group(&self.group);
                sink.builder.commit(next - 1, Some(sink.read_time), line_hash(&notice), group);
                self.counts.records += 1;
            }
        }
        if sink.builder.is_full() {
            sink.builder.finish(next, sink.read_time, sink.frames);
        }
    }
}

/// Whether a rule matches the whole document. Only files that have rules pay for reading it.
fn matches_any(rules: &[Query], fragment: &[u8], group: &Group) -> bool {
    let text = format!("{{{},{}}}", String::from_utf8_lossy(fragment), group.fields);
    serde_json::from_str::<serde_json::Value>(&text)
        .is_ok_and(|document| rules.iter().any(|rule| rule.matches(&document)))
}

/// The group of a service that the line itself names, made once for a run of lines that name the same.
fn group_of<'a>(other: &'a mut Option<(String, Group)>, base: &Group, service: &str) -> &'a Group {
    let known = other.as_ref().is_some_and(|(name, _)| name == service);
    if !known {
        *other = None;
    }
    let (_, group) = other.get_or_insert_with(|| (service.to_owned(), group::with_service(base, service)));
    group
}

fn line_end(bytes: &[u8], start: usize, newline: usize) -> usize {
    if newline > start && bytes[newline - 1] == b'\r' { newline - 1 } else { newline }
}

/// The longest prefix that may be kept and does not end inside a character, and how many bytes are missing.
pub(super) fn cut(text: &[u8]) -> (&[u8], u64) {
    let mut length = text.len().min(LINE_BYTES_MAX);
    if text.len() > length {
        while length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
    }
    (&text[..length], (text.len() - length) as u64)
}
