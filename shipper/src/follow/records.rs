//! From the bytes of a file to its records: how its lines are to be read is found out, then they are emitted.

use std::path::Path;
use std::sync::Arc;

use weir_record::limits::LINE_BYTES_MAX;
use weir_record::schema::Origin;
use weir_record::{Field, Frame, FrameBuilder};

use super::emit::{Emitter, cut};
use super::group;
pub use super::join::WINDOW_BYTES_MAX;
use super::join::{self, Joining};
use super::text::{Newlines, TextRules};
use crate::drift::{Drift, Watch};
use crate::parse::{Detection, Format, Parser, ParserSettings, Wrapping};
use crate::redact;
use crate::settings::{READ_BYTES, SourceSettings};
use crate::shape::Cut;

/// Bytes of a file's beginning that its format is detected from.
pub const SAMPLE_BYTES_MAX: usize = 16 * 1024;

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
        Assembler {
            emitter: Emitter::new(source, parser, shared.group),
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
        self.emitter.watch(Watch::new(drift, &self.service));
    }

    /// The format that the lines have, once there were any.
    pub fn detection(&self) -> Option<Detection> {
        self.emitter.detection()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> RecordCounts {
        self.emitter.counts()
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
