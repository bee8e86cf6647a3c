//! From text to records: lines become records, records are redacted, parsed, shaped, and framed.

use std::collections::VecDeque;
use std::sync::Arc;

use memchr::memchr_iter;
use weir_config::Ansi;
use weir_record::identity::line_hash;
use weir_record::limits::{FRAME_RECORDS_MAX, LINE_BYTES_MAX};
use weir_record::stream::clean_dataset;
use weir_record::{Group, Query};

use super::group;
use super::records::{AtEnd, RecordCounts, SAMPLE_BYTES_MAX, Sink, Taken};
use crate::backfill::Period;
use crate::drift::Watch;
use crate::parse::{Detection, Envelope, Export, Known, Parser, is_blank, without_colours};
use crate::redact::Redactor;
use crate::settings::SourceSettings;
use crate::shape::{Incoming, Shaper};

/// Notices of cut records that wait for room; beyond, the counters alone tell.
const NOTICES_MAX: usize = 1000;

/// Makes records out of text.
pub struct Emitter {
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
pub struct RecordText<'t> {
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

#[derive(Clone, Copy)]
struct Open {
    start: usize,
    /// After its last line's text.
    end: usize,
    /// After its last line's newline.
    next: usize,
}

impl Emitter {
    /// For the records of one file, whose lines have this parser. `group`: of lines that name no service.
    pub fn new(source: &SourceSettings, parser: Parser, group: Group) -> Emitter {
        Emitter {
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
            drop: source.drop.clone(),
            period: source.period,
            last_time: None,
            other: None,
            counts: RecordCounts::default(),
        }
    }

    /// Tells of records that are not understood.
    pub fn watch(&mut self, watch: Watch) {
        self.drift = Some(watch);
    }

    /// The format that the lines have, once there were any.
    pub fn detection(&self) -> Option<Detection> {
        self.parser.detection()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> RecordCounts {
        self.counts
    }

    /// Looks at the first lines. `is_elsewhere`: reading begins behind them.
    pub fn see_head(&mut self, sample: &[u8], is_elsewhere: bool) {
        self.parser.detect(sample);
        if is_elsewhere {
            self.parser.read_head(sample);
        }
    }

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

    pub fn emit_record(&mut self, record: &[u8], missing: u64, offset: u64, next: u64, sink: &mut Sink<'_>) {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        let text = if offset == 0 { record.strip_prefix(BOM).unwrap_or(record) } else { record };
        let hash = line_hash(record);
        let line = RecordText { text, envelope: Envelope::default(), hash, missing, offset };
        self.emit_line(&line, sink);
        self.finish_full_frame(next, sink);
    }

    /// Makes a record of a line that stands among no others' bytes, or the several that it holds. False: none was made.
    pub fn emit_line(&mut self, line: &RecordText<'_>, sink: &mut Sink<'_>) -> bool {
        let is_cut = line.missing > 0 || line.envelope.is_partial;
        let may_be_export = self.parser.reads_json() && line.envelope.undecodable.is_none();
        match may_be_export.then(|| Export::read(line.text, is_cut)).flatten() {
            Some(export) => self.emit_export(line, &export, sink),
            None => self.emit(line, sink),
        }
    }

    /// Makes the records of an export. The first has its line's place and the others are bound to it: whoever begins to
    /// read begins before the line.
    fn emit_export(&mut self, line: &RecordText<'_>, export: &Export<'_>, sink: &mut Sink<'_>) -> bool {
        self.make_room(export.count() + 1, line.offset, sink);
        let mut text = String::new();
        let mut is_any = false;
        for record in 0..export.count() {
            let span = export.write(record, &mut text);
            let hash = line_hash(line.text.get(span.clone()).unwrap_or_default());
            let offset = line.offset + if record == 0 { 0 } else { span.start as u64 };
            let envelope = Envelope { is_partial: false, ..line.envelope };
            let record = RecordText { text: text.as_bytes(), envelope, hash, missing: 0, offset };
            is_any |= self.emit_part(line, &record, sink);
        }
        if let Some(rest) = export.rest() {
            let (offset, text) = (line.offset + rest as u64, line.text.get(rest..).unwrap_or_default());
            is_any |= self.emit_part(line, &RecordText { text, offset, ..*line }, sink);
        }
        is_any
    }

    fn emit_part(&mut self, line: &RecordText<'_>, part: &RecordText<'_>, sink: &mut Sink<'_>) -> bool {
        let is_emitted = self.emit(part, sink);
        if is_emitted && part.offset > line.offset {
            sink.builder.bind_last();
        }
        is_emitted
    }

    /// Whether `line` goes on the record whose text so far is `open`, one of several.
    pub fn continues(&mut self, known: &mut Known, open: &[u8], line: &[u8]) -> bool {
        self.parser.resume(*known);
        let continues = self.parser.continues(open, line);
        *known = self.parser.known();
        continues
    }

    /// What is known of `record`, a line, if one that is not there yet could go on it.
    pub fn may_continue(&mut self, record: &[u8]) -> Option<Known> {
        self.parser.may_continue(record).then(|| self.parser.known())
    }

    /// Makes a record. False: a rule dropped it, or its time is not wanted.
    pub fn emit(&mut self, record: &RecordText<'_>, sink: &mut Sink<'_>) -> bool {
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
    pub fn make_room(&mut self, count: usize, start: u64, sink: &mut Sink<'_>) {
        if sink.builder.len() + count > FRAME_RECORDS_MAX {
            sink.builder.finish(start, sink.read_time, sink.frames);
        }
    }

    /// Ends the frame at `next` if it is full.
    pub fn finish_full_frame(&mut self, next: u64, sink: &mut Sink<'_>) {
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
pub fn cut(text: &[u8]) -> (&[u8], u64) {
    let mut length = text.len().min(LINE_BYTES_MAX);
    if text.len() > length {
        while length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
    }
    (&text[..length], (text.len() - length) as u64)
}
