//! Exports of OpenTelemetry's protocol as JSON, as the Collector's file exporter and the SDKs' OTLP loggers write them:
//! one line holds the log records of several programs (`ExportLogsServiceRequest`, or one `ResourceLogs`; OTLP 1.x,
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
//!
//! ```text
//! {"resourceLogs":[{"resource":{...},"scopeLogs":[{"scope":{...},"logRecords":[{...},{...}],"schemaUrl":""}]}]}
//! ```

use std::ops::Range;

use memchr::memmem;
use weir_record::limits::{FRAME_RECORDS_MAX, LINE_BYTES_MAX};

use super::scan::Cursor;

/// What an export may grow to when each record says what it shares with the others; beyond, it stays one record.
const GROWN_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;

/// The log records of an export.
#[derive(Debug)]
pub struct Export<'l> {
    line: &'l str,
    records: Vec<LogRecord>,
    /// The members that records share, each list as the end of an object.
    shared: Vec<String>,
    is_whole: bool,
}

#[derive(Debug)]
struct LogRecord {
    /// Its object.
    span: Range<usize>,
    /// Which of the shared members are its own too.
    shared: usize,
}

impl<'l> Export<'l> {
    /// The records of `line`; none where it is no export, or one that says more than records of theirs, or too large a
    /// one. `is_cut`: its end is missing, which only costs the records there.
    pub fn read(line: &'l [u8], is_cut: bool) -> Option<Export<'l>> {
        let kind = kind_of(line)?;
        let line = std::str::from_utf8(line).ok()?;
        let export = Export { line, records: Vec::new(), shared: Vec::new(), is_whole: false };
        let mut reader = Reader { cursor: Cursor::new(line), keys: Vec::new(), export };
        let end = reader.line(kind);
        let mut export = reader.export;
        export.is_whole = end.is_some();
        let is_usable = (export.is_whole || is_cut) && !export.records.is_empty();
        (is_usable && export.is_in_bounds()).then_some(export)
    }

    /// How many there are: one at least.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Writes a record as a line of its own, which says what it shares with the others too. Where it stands.
    pub fn write(&self, record: usize, text: &mut String) -> Range<usize> {
        text.clear();
        let Some(LogRecord { span, shared }) = self.records.get(record) else { return 0..0 };
        let object = self.line.get(span.clone()).unwrap_or_default();
        let members = object.strip_suffix('}').unwrap_or_default().trim_end();
        let shared = self.shared.get(*shared).map_or("}", String::as_str);
        text.push_str(members);
        text.push_str(if members == "{" { shared.trim_start_matches(',') } else { shared });
        span.clone()
    }

    /// Where the rest begins that belongs to no whole record; none where the end is not missing.
    pub fn rest(&self) -> Option<usize> {
        if self.is_whole { None } else { self.records.last().map(|last| last.span.end) }
    }

    fn is_in_bounds(&self) -> bool {
        let shared = |record: &LogRecord| self.shared.get(record.shared).map_or(0, String::len);
        let bytes = self.records.iter().map(|record| record.span.len() + shared(record)).sum::<usize>();
        bytes <= GROWN_BYTES_MAX && self.records.len() <= FRAME_RECORDS_MAX / 2
    }
}

/// What a line may be.
#[derive(Clone, Copy)]
enum Kind {
    /// Logs of several resources.
    Request,
    /// Those of one.
    ResourceLogs,
}

/// What a line's first member says that it is.
fn kind_of(line: &[u8]) -> Option<Kind> {
    let members = line.strip_prefix(b"{")?.trim_ascii_start();
    if members.starts_with(b"\"resourceLogs\"") {
        return Some(Kind::Request);
    }
    let is_one = members.starts_with(b"\"resource\"") && memmem::find(members, b"\"scopeLogs\"").is_some();
    is_one.then_some(Kind::ResourceLogs)
}

/// Passes over a line once. Each step answers none where something is no valid JSON, or none of the protocol's.
struct Reader<'l> {
    cursor: Cursor<'l>,
    keys: Vec<u64>,
    export: Export<'l>,
}

impl<'l> Reader<'l> {
    fn line(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Request => self.members(Self::top_member)?,
            Kind::ResourceLogs => self.resource_logs()?,
        }
        self.cursor.is_at_end().then_some(())
    }

    fn top_member(&mut self, key: &'l str) -> Option<()> {
        (key == "resourceLogs").then(|| self.elements(Self::resource_logs)).flatten()
    }

    fn resource_logs(&mut self) -> Option<()> {
        let first = self.export.shared.len();
        let mut own = String::new();
        let read = self.members(|reader, key| match key {
            "scopeLogs" => reader.elements(Self::scope_logs),
            _ => reader.shared_member("resource", key, &mut own),
        });
        own.push('}');
        let scopes = self.export.shared.get_mut(first..)?;
        scopes.iter_mut().for_each(|shared| shared.push_str(&own));
        // Whose resource is it where nobody has it?
        read.filter(|()| !scopes.is_empty())
    }

    fn scope_logs(&mut self) -> Option<()> {
        let first = self.export.records.len();
        let mut own = String::new();
        let read = self.members(|reader, key| match key {
            "logRecords" => reader.elements(Self::log_record),
            "scope" => reader.shared_member("instrumentationScope", "instrumentationScope", &mut own),
            _ => reader.shared_member("instrumentationScope", key, &mut own),
        });
        self.export.shared.push(own);
        read.filter(|()| self.export.records.len() > first)
    }

    fn log_record(&mut self) -> Option<()> {
        (self.cursor.peek()? == b'{').then_some(())?;
        let span = self.value()?;
        self.export.records.push(LogRecord { span, shared: self.export.shared.len() });
        Some(())
    }

    /// Copies a member: of `object`, or that object itself.
    fn shared_member(&mut self, object: &str, key: &str, out: &mut String) -> Option<()> {
        let span = self.value()?;
        let value = self.cursor.between(span.start, span.end);
        let dot = if key == object { ["", ""] } else { [".", key] };
        out.extend([",\"", object, dot[0], dot[1], "\":", value]);
        Some(())
    }

    fn value(&mut self) -> Option<Range<usize>> {
        self.cursor.forget_keys();
        let start = self.cursor.position();
        self.cursor.value(0, &mut self.keys)?;
        Some(start..self.cursor.position())
    }

    /// Passes over an object; `member` over each of its values.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'l str) -> Option<()>) -> Option<()> {
        self.cursor.blanks();
        self.cursor.expect(b'{')?;
        loop {
            self.cursor.blanks();
            self.cursor.forget_keys();
            let key = self.cursor.key()?;
            member(self, key.inside)?;
            if !self.cursor.has_another() {
                return self.cursor.expect(b'}');
            }
        }
    }

    /// Passes over an array; `element` over each of its elements.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.cursor.expect(b'[')?;
        loop {
            self.cursor.blanks();
            element(self)?;
            if !self.cursor.has_another() {
                return self.cursor.expect(b']');
            }
        }
    }
}
