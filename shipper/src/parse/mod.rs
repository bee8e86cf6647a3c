//! From lines to documents: one parser a file, hand-written for each format, one pass and no allocation per record.
//!
//! What no parser understands is kept whole in `message`, tagged `unparsed`; a wrong guess never drops or garbles.

mod access;
mod cef;
mod colours;
mod cri;
mod cut;
mod delimited;
mod dispatch;
mod docker;
mod draft;
mod duration;
mod envelope;
mod errors;
mod format;
mod grok;
mod haproxy;
mod inner;
mod journald;
mod json;
mod keys;
mod logfmt;
mod multiline;
mod plain;
mod row;
mod syslog;
mod time;
mod trace;
mod url;
mod windows;
mod zone;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use weir_config::Ansi;
use weir_record::document::{DocumentScratch, FieldSet, Tag};
use weir_record::schema::Field;
use weir_record::{DocumentWriter, Timestamp};

pub use colours::{is_blank, without_colours};
pub use envelope::{Envelope, Piece, Stream, Wrapping};
pub use format::{Detection, Format, FormatError};
pub use grok::{PatternError, PatternLibrary, Patterns};
pub use json::otlp::Export;
pub use multiline::{Known, LINES_MAX, Multiline, OwnLines, Preset};
pub use zone::{Zone, ZoneError};

use crate::geo::Geo;
use dispatch::Parsers;
use draft::Draft;
use format::{Certainty, Watch};
use multiline::Joiner;
use zone::Clock;

/// How the lines of a file are parsed.
#[derive(Clone, Debug, Default)]
pub struct ParserSettings {
    /// Their format.
    pub format: Format,
    /// Patterns that take the format's place.
    pub patterns: Option<Patterns>,
    /// The names of the columns of separated values; none: the file's first line has them.
    pub columns: Vec<String>,
    /// How the lines of one event are joined.
    pub multiline: Multiline,
    /// What becomes of colours: lines are joined, and a file is judged, by what is parsed of them.
    pub ansi: Ansi,
    /// The zone of time stamps without one.
    pub zone: Zone,
    /// What tells where a record's `source.ip` is.
    pub geo: Option<Arc<Geo>>,
    /// The schema fields that stand in the shared fragment: a line's own are kept under `attributes`. Where
    /// `service.name` is not among them, the line's own is returned in [`Parsed::service`].
    pub reserved: FieldSet,
}

/// What the caller has to know of a parsed record, beside its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'p> {
    /// The event's own time, nanoseconds since 1970; none where the line states none.
    pub time: Option<i64>,
    /// The `service.name` that the line itself states; not written into the document.
    pub service: Option<&'p str>,
    /// Whether a parser understood the record.
    pub understood: bool,
}

/// Parses the records of one file.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    patterns: Option<(Patterns, grok::Scratch)>,
    detection: Option<Detection>,
    /// The format that is tried first where the format is `auto`; `auto` where no format is sure enough.
    detected: Format,
    watch: Watch,
    reserved: FieldSet,
    takes_service: bool,
    joiner: Joiner,
    ansi: Ansi,
    clock: Clock,
    geo: Option<Arc<Geo>>,
    document: DocumentScratch,
    parsers: Parsers,
    service: String,
}

impl Parser {
    /// A parser for one file.
    pub fn new(settings: &ParserSettings) -> Parser {
        // A line's own keys are never taken for Weir's fields; this one the parser itself writes.
        let reserved =
            |field: &Field| *field != Field::LogTruncatedBytes && settings.reserved.contains(*field);
        Parser {
            format: settings.format,
            patterns: settings.patterns.clone().map(|patterns| {
                let scratch = patterns.scratch();
                (patterns, scratch)
            }),
            detection: None,
            detected: Format::Auto,
            watch: Watch::new(),
            reserved: Field::ALL.iter().copied().filter(reserved).collect(),
            takes_service: !settings.reserved.contains(Field::ServiceName),
            joiner: Joiner::new(&settings.multiline, settings.format, settings.ansi),
            ansi: settings.ansi,
            clock: Clock::new(settings.zone.clone()),
            geo: settings.geo.clone(),
            document: DocumentScratch::default(),
            parsers: Parsers::new(settings),
            service: String::new(),
        }
    }

    /// Looks at a file's first lines, so that `auto` tries their format first. Optional: lines are told apart one by
    /// one without it, only with less certainty where formats look alike. The file is judged anew by itself once its
    /// records have another format for a while.
    pub fn detect(&mut self, sample: &[u8]) -> Option<Detection> {
        const CONFIDENCE_MIN: f32 = 0.5;
        let mut plain = Vec::new();
        let is_kept = self.ansi == Ansi::Keep;
        let sample = if is_kept { sample } else { without_colours(sample, &mut plain) };
        self.detection = self.parsers.judge(sample);
        self.detected = self
            .detection
            .filter(|detection| detection.confidence >= CONFIDENCE_MIN)
            .map_or(Format::Auto, |detection| detection.format);
        self.detection
    }

    /// Looks at the first lines of a file that is read from its middle: separated values are named there.
    pub fn read_head(&mut self, head: &[u8]) {
        self.parsers.read_head(&String::from_utf8_lossy(head), self.format);
    }

    /// Whether lines may be JSON.
    pub fn reads_json(&self) -> bool {
        self.patterns.is_none() && matches!(self.format, Format::Auto | Format::Json)
    }

    /// What the last judgement was; none before the first.
    pub fn detection(&self) -> Option<Detection> {
        self.detection
    }

    /// Whether `line` (no newline, no trailing CR) goes on the record whose bytes so far are `open`: the one that
    /// [`may_continue`](Self::may_continue) was asked of last, or [`resume`](Self::resume) went back to.
    pub fn continues(&mut self, open: &[u8], line: &[u8]) -> bool {
        self.joiner.continues(open, line)
    }

    /// Opens a record of one line. Whether a line that is not there yet could go on it: whoever has its last line then
    /// waits a moment.
    pub fn may_continue(&mut self, record: &[u8]) -> bool {
        self.joiner.may_continue(record)
    }

    /// What is known of the open record: whoever has several keeps it for each.
    pub fn known(&self) -> Known {
        self.joiner.known()
    }

    /// Goes back to another open record.
    pub fn resume(&mut self, known: Known) {
        self.joiner.resume(known);
    }

    /// Appends the fragment of `record` to `out`. `record`: as in the file, newlines between its lines included, the
    /// last newline and CR removed. `read_time`, nanoseconds since 1970: `@timestamp` where the line has none.
    /// `truncated_bytes`: how many of the record's bytes are missing. Always succeeds: what is not understood is the
    /// text in `message`, tagged `unparsed`.
    pub fn parse(
        &mut self,
        record: &[u8],
        read_time: i64,
        truncated_bytes: u64,
        out: &mut Vec<u8>,
    ) -> Parsed<'_> {
        self.parse_within(record, Envelope::default(), read_time, truncated_bytes, out)
    }

    /// As [`parse`](Self::parse), for a record that something is known of beside its text.
    pub fn parse_within(
        &mut self,
        record: &[u8],
        envelope: Envelope<'_>,
        read_time: i64,
        truncated_bytes: u64,
        out: &mut Vec<u8>,
    ) -> Parsed<'_> {
        self.clock.set_read_time(envelope.time.map_or(read_time, Timestamp::nanos));
        let text = match simdutf8::basic::from_utf8(record) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(record),
        };
        let writer = DocumentWriter::new(out, &mut self.document, text.as_bytes(), self.reserved);
        let mut draft = Draft::new(writer, &mut self.clock, &mut self.service, self.takes_service);
        draft.is_locating = self.geo.is_some();
        let is_text = matches!(text, Cow::Borrowed(_));
        // Lengths in the journal's export format are bytes that make no text.
        let is_export = !is_text
            && self.patterns.is_none()
            && matches!(self.format, Format::Auto | Format::Journald)
            && self.parsers.fill_export(record, &mut draft);
        draft.is_damaged = !is_text && !is_export;
        if draft.is_damaged {
            draft.reset();
        }
        let fit = if is_export {
            Some(Format::Journald)
        } else if let Some((patterns, scratch)) = &mut self.patterns {
            patterns.parse(&text, &mut draft, scratch).then_some(self.format)
        } else if self.format == Format::Auto {
            self.parsers.fill(&text, self.detected, &mut draft)
        } else {
            self.parsers.fill_as(self.format, Certainty::Told, &text, &mut draft)
        };
        let understood = fit.is_some();
        if !understood {
            draft.reset();
            draft.writer.string(Field::Message, &text);
            draft.writer.tag(Tag::Unparsed);
        }
        if let Some(bytes) = envelope.undecodable.or(draft.is_damaged.then_some(record)) {
            draft.writer.tag(Tag::InvalidUtf8);
            draft.writer.escaped(Field::EventOriginal, BASE64.encode(bytes).as_bytes());
        }
        if envelope.is_redacted {
            draft.writer.tag(Tag::Redacted);
        }
        if envelope.is_partial {
            draft.writer.tag(Tag::Partial);
        }
        if let Some(stream) = envelope.stream {
            draft.put(Field::LogIostream, stream.as_str());
        }
        if let Some(time) = envelope.time {
            draft.time(time);
        }
        if truncated_bytes > 0 {
            draft.writer.tag(Tag::Truncated);
            let bytes = i64::try_from(truncated_bytes).unwrap_or(i64::MAX);
            draft.writer.integer(Field::LogTruncatedBytes, bytes);
        }
        if let Some(geo) = &self.geo {
            draft.locate(geo);
        }
        let time = draft.finish();
        if self.format == Format::Auto {
            self.watch(fit, &text);
        }
        Parsed { time, service: Some(self.service.as_str()).filter(|name| !name.is_empty()), understood }
    }

    /// Judges the file anew once its records have not been of the detected format for a while.
    fn watch(&mut self, fit: Option<Format>, record: &str) {
        if fit.is_some_and(|format| format == self.detected) {
            return self.watch.own();
        }
        if let Some(sample) = self.watch.stranger(record) {
            let before = self.detected;
            self.detect(&sample);
            self.watch.judged(self.detected != before);
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
