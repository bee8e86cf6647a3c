//! From the bytes of a file to its records: lines are split, joined, parsed, and framed.

use std::path::Path;

use memchr::memchr_iter;
use weir_record::document::FieldSet;
use weir_record::identity::line_hash;
use weir_record::limits::LINE_BYTES_MAX;
use weir_record::{Frame, FrameBuilder, Group, Query};

use super::group;
use crate::parse::{Detection, Parser, ParserSettings};
use crate::settings::SourceSettings;

/// Bytes of a file's beginning that its format is detected from.
const SAMPLE_BYTES_MAX: usize = 16 * 1024;

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
    parser: Parser,
    group: Group,
    drop: Vec<Query>,
    /// The group of the last line's service, and the service.
    other: Option<(String, Group)>,
    counts: RecordCounts,
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
        let mut reserved = FieldSet::weir_only();
        for field in source.settled_fields() {
            reserved.insert(field);
        }
        Assembler {
            parser: Parser::new(&ParserSettings {
                format: source.format,
                patterns: source.patterns.clone(),
                columns: source.columns.clone(),
                multiline: source.multiline.clone(),
                zone: source.zone.clone(),
                reserved,
            }),
            group: group::of_file(source, host, path),
            drop: source.drop.clone(),
            other: None,
            counts: RecordCounts::default(),
        }
    }

    /// The format that the lines have, once there were any.
    pub fn detection(&self) -> Option<Detection> {
        self.parser.detection()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> RecordCounts {
        self.counts
    }

    /// Takes whole records from `bytes`, which begin at `offset` of the file, at the start of a line.
    pub fn take(&mut self, bytes: &[u8], offset: u64, at_end: AtEnd, sink: &mut Sink<'_>) -> Taken {
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
                self.emit(bytes, offset, record, sink);
                Taken { bytes: record.next, holds_record: false }
            }
            None => Taken { bytes: line_start, holds_record: false },
        }
    }

    /// Takes one line longer than the buffer: `head` is its beginning, `length` all of it, `next` the offset after
    /// its newline.
    pub fn take_long_line(&mut self, head: &[u8], length: u64, offset: u64, next: u64, sink: &mut Sink<'_>) {
        let kept = cut(head);
        self.emit_record(kept, length - kept.len() as u64, offset, next, sink);
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
            self.emit(bytes, offset, record, sink);
        }
        if is_blank(&bytes[line.start..line.end]) {
            return None;
        }
        if self.parser.may_continue(&bytes[line.start..line.end]) {
            return Some(line);
        }
        self.emit(bytes, offset, line, sink);
        None
    }

    fn emit(&mut self, bytes: &[u8], offset: u64, record: Open, sink: &mut Sink<'_>) {
        let text = &bytes[record.start..record.end];
        let kept = if text.len() > LINE_BYTES_MAX { cut(text) } else { text };
        let missing = (text.len() - kept.len()) as u64;
        self.emit_record(kept, missing, offset + record.start as u64, offset + record.next as u64, sink);
    }

    fn emit_record(&mut self, record: &[u8], missing: u64, offset: u64, next: u64, sink: &mut Sink<'_>) {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        let text = if offset == 0 { record.strip_prefix(BOM).unwrap_or(record) } else { record };
        let parsed = self.parser.parse(text, sink.read_time, missing, sink.builder.document());
        let group = match parsed.service {
            Some(service) => group_of(&mut self.other, &self.group, service),
            None => &self.group,
        };
        self.counts.records += 1;
        self.counts.not_understood += u64::from(!parsed.understood);
        self.counts.truncated += u64::from(missing > 0);
        if !self.drop.is_empty() && matches_any(&self.drop, sink.builder.pending_document(), group) {
            self.counts.dropped += 1;
            sink.builder.rollback();
            return;
        }
        let group = sink.builder.group(group);
        sink.builder.commit(offset, parsed.time, line_hash(record), group);
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

fn is_blank(line: &[u8]) -> bool {
    // Nearly every line is decided by its first byte.
    line.iter().all(u8::is_ascii_whitespace)
}

/// The longest prefix that may be kept and does not end inside a character.
fn cut(text: &[u8]) -> &[u8] {
    let mut length = text.len().min(LINE_BYTES_MAX);
    if text.len() > length {
        while length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
    }
    &text[..length]
}
