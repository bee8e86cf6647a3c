//! Which parser takes a line: the file's own format first, then what the line's first byte suggests, then plain.

use super::draft::Draft;
use super::format::{CERTAIN, Certainty, Detection, FITTING, Format, RECOGNISED, TEXT, Tally};
use super::multiline::{Joiner, Multiline};
use super::zone::{Clock, Zone};
use super::{
    ParserSettings, access, cef, delimited, errors, haproxy, journald, json, logfmt, plain, row, syslog,
};
use weir_config::Ansi;
use weir_record::document::{DocumentScratch, FieldSet};
use weir_record::schema::Field;
use weir_record::{DocumentWriter, Level};

/// Most lines that a judgement looks at.
const SAMPLE_LINES_MAX: usize = 64;

/// The parsers, with what some of them keep between lines.
#[derive(Debug)]
pub(super) struct Parsers {
    inner: Inner,
    delimited: delimited::Scratch,
}

/// The parsers of formats that may stand inside a syslog message, too.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) json: json::Scratch,
    pub(super) logfmt: logfmt::Scratch,
}

impl Parsers {
    pub(super) fn new(settings: &ParserSettings) -> Parsers {
        Parsers { inner: Inner::default(), delimited: delimited::Scratch::new(&settings.columns) }
    }

    /// Looks at the first lines of a file that is read from its middle.
    pub(super) fn read_head(&mut self, head: &str, format: Format) {
        const HEAD_LINES_MAX: usize = 8;
        for line in head.lines().take(HEAD_LINES_MAX).filter(|line| is_of_columns(line)) {
            self.delimited.read_header(line, format);
        }
        if let Some(line) = head.lines().next() {
            self.delimited.read_header(line, format);
        }
    }

    /// Fills the draft from a record of a file of any format; `detected` is tried first. Returns the format that took
    /// it; none where it was not understood.
    pub(super) fn fill(&mut self, text: &str, detected: Format, draft: &mut Draft<'_>) -> Option<Format> {
        // A JSON line is one wherever it stands.
        let first = text.as_bytes().iter().copied().find(|byte| *byte != b' ').unwrap_or_default();
        if first == b'_' && self.fill_export(text.as_bytes(), draft) {
            return Some(Format::Journald);
        }
        if first.is_ascii_lowercase()
            && let Some(composed) = composed(text)
            && let Some(format) = self.fill_composed(composed, detected, draft)
        {
            return Some(format);
        }
        // Linux' audit log is no logfmt: it has its time among the pairs.
        if first == b't'
            && text.starts_with("type=")
            && let Some(format) = plain::parse_known(text, draft)
        {
            return Some(format);
        }
        if first == b'{' {
            if journald::is_entry(text) && journald::parse(text, draft, &mut self.inner) {
                return Some(Format::Journald);
            }
            draft.reset();
            if json::parse(text, draft, &mut self.inner.json) {
                return Some(Format::Json);
            }
        }
        if !matches!(detected, Format::Auto | Format::Json | Format::Plain) {
            let taken = self.try_as(detected, Certainty::Detected, text, draft);
            if taken.is_some() {
                return taken;
            }
        }
        let mut candidates = guesses(first, text.as_bytes()).iter().chain(&[Format::Plain]).copied();
        candidates.find_map(|guess| self.try_as(guess, Certainty::Guessed, text, draft))
    }

    /// Fills the draft from a line of a container's that Docker Compose shows among those of others. None where the line
    /// is not understood, and its prefix may be a column.
    fn fill_composed(
        &mut self,
        composed_line: Composed<'_>,
        detected: Format,
        draft: &mut Draft<'_>,
    ) -> Option<Format> {
        let Composed { container, line, is_numbered } = composed_line;
        // Once: what looks like two of them is text.
        let inner = if composed(line).is_some() { None } else { self.fill(line, detected, draft) };
        let format = match inner {
            Some(format) => format,
            None => {
                draft.reset();
                is_numbered.then_some(())?;
                draft.writer.string(Field::Message, line);
                Format::Plain
            }
        };
        draft.put(Field::ContainerName, container);
        Some(format)
    }

    /// Fills the draft from an entry of the journal's export format, whose bytes may be no text. False where it is none.
    pub(super) fn fill_export(&mut self, record: &[u8], draft: &mut Draft<'_>) -> bool {
        journald::is_export(record) && journald::parse_export(record, draft, &mut self.inner)
    }

    fn try_as(
        &mut self,
        format: Format,
        certainty: Certainty,
        text: &str,
        draft: &mut Draft<'_>,
    ) -> Option<Format> {
        draft.reset();
        self.fill_as(format, certainty, text, draft)
    }

    /// Fills the draft from a record of this format; returns the format it has, which may be a relative. None where
    /// it has another.
    pub(super) fn fill_as(
        &mut self,
        format: Format,
        certainty: Certainty,
        text: &str,
        draft: &mut Draft<'_>,
    ) -> Option<Format> {
        let understood = match format {
            Format::Combined | Format::Common => return access::parse(text, draft),
            Format::Cef | Format::Leef => return cef::parse(text, draft),
            Format::Json => json::parse(text, draft, &mut self.inner.json),
            Format::Logfmt => logfmt::parse(text, certainty, draft, &mut self.inner.logfmt),
            Format::Syslog => syslog::parse(text, certainty, draft, &mut self.inner),
            Format::Journald => {
                self.fill_export(text.as_bytes(), draft) || journald::parse(text, draft, &mut self.inner)
            }
            Format::Haproxy => haproxy::parse(text, draft).is_some(),
            Format::NginxError => errors::nginx(text, draft).is_some(),
            Format::ApacheError => errors::apache(text, draft).is_some(),
            Format::Envoy | Format::Elb | Format::S3 | Format::Squid => {
                (certainty != Certainty::Guessed || row::is_certain(text, format))
                    && row::parse(text, format, draft).is_some()
            }
            Format::W3c | Format::Csv | Format::Tsv => {
                delimited::parse(text, format, certainty, draft, &mut self.delimited)
            }
            _ if certainty == Certainty::Detected && format != Format::Plain => {
                return plain::parse_known(text, draft).filter(|known| *known == format);
            }
            // A container engine's wrapping is undone before a line comes here.
            _ => return plain::parse(text, draft),
        };
        understood.then_some(format)
    }

    /// The format that fits the records of a sample best; indented lines that go on none do not count. None without
    /// lines.
    pub(super) fn judge(&mut self, sample: &[u8]) -> Option<Detection> {
        let sample = String::from_utf8_lossy(sample);
        let records = records(&sample);
        let lines: Vec<&str> = records.iter().filter_map(|record| record.lines().next()).collect();
        let mut trial = Trial::new();
        let (mut tally, mut texts) = (Tally::new(), Vec::new());
        for record in records {
            tally.line();
            match trial.attempt(|draft| self.fill(record, Format::Auto, draft)) {
                Some(Format::Plain) => texts.push((record, RECOGNISED)),
                None => texts.push((record, TEXT)),
                Some(format) => tally.add(format, CERTAIN),
            }
        }
        // What a line alone leaves open is settled by the other lines of the file.
        let formats: Vec<Format> = tally.formats().into_iter().chain(self.delimited.judge(&lines)).collect();
        for (line, score) in texts {
            let mut is_text = true;
            for &format in &formats {
                if trial.attempt(|draft| self.fill_as(format, Certainty::Detected, line, draft)).is_some() {
                    tally.add(format, FITTING);
                    is_text = false;
                }
            }
            tally.add(Format::Plain, if is_text { score } else { TEXT });
        }
        tally.best()
    }
}

/// A line as Docker Compose shows it: `shop-web-1  | text`.
struct Composed<'l> {
    container: &'l str,
    line: &'l str,
    /// Whether the name ends with a number, as Compose gives them.
    is_numbered: bool,
}

/// Reads the name before a bar: it has a number, or at least two blanks fill it to the longest one's width.
fn composed(text: &str) -> Option<Composed<'_>> {
    /// Longer names are none of a container.
    const NAME_BYTES_MAX: usize = 64;
    let head = &text.as_bytes()[..text.len().min(NAME_BYTES_MAX)];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let (container, rest) = text.split_at(head.iter().take_while(|byte| is_name(byte)).count());
    let line = rest.trim_start_matches(' ').strip_prefix('|')?;
    let blanks = rest.len() - line.len() - 1;
    let unnumbered = container.trim_end_matches(|last: char| last.is_ascii_digit());
    let is_numbered = unnumbered.len() < container.len() && unnumbered.ends_with(['-', '_']);
    let is_composed = match is_numbered {
        true => blanks > 0,
        false => blanks > 1 && Level::from_name(container.as_bytes()).is_none(),
    };
    let line = line.strip_prefix(' ').unwrap_or(line);
    is_composed.then_some(Composed { container, line, is_numbered })
}

/// Whether a line names the columns of those below it.
fn is_of_columns(line: &str) -> bool {
    line.starts_with("#Fields:") || line.starts_with("#fields\t")
}

/// The first records of a sample: its lines, joined as they will be.
fn records(sample: &str) -> Vec<&str> {
    let mut joiner = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Auto);
    let (mut records, mut start, mut end) = (Vec::<&str>::new(), 0, 0);
    let mut is_open = false;
    for with_newline in sample.split_inclusive('\n') {
        let line = with_newline.strip_suffix('\n').unwrap_or(with_newline);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let at = end;
        end += with_newline.len();
        let is_full = records.len() == SAMPLE_LINES_MAX;
        match records.last_mut() {
            Some(open) if is_open && joiner.continues(open.as_bytes(), line.as_bytes()) => {
                *open = &sample[start..at + line.len()];
            }
            _ if line.is_empty() => is_open = false,
            _ if line.starts_with([' ', '\t']) => {}
            _ if is_full => break,
            _ => {
                start = at;
                is_open = true;
                records.push(line);
            }
        }
    }
    records
}

/// The formats that a line beginning with this byte may have beside plain, in the order in which they are tried. A date
/// at the start is no client's address, and says who writes it so.
fn guesses(first: u8, line: &[u8]) -> &'static [Format] {
    match first {
        b'{' => &[],
        b'<' => &[Format::Syslog],
        b'0'..=b'9' if matches!(line, [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..]) => {
            &[Format::Syslog, Format::Elb, Format::W3c]
        }
        b'0'..=b'9' if matches!(line, [_, _, _, _, b'-', _, _, b'-', _, _, b' ', ..]) => {
            &[Format::Syslog, Format::W3c]
        }
        b'0'..=b'9' if matches!(line, [_, _, _, _, b'/', _, _, b'/', _, _, b' ', ..]) => {
            &[Format::NginxError, Format::Syslog]
        }
        b'0'..=b'9' => &[
            Format::Combined,
            Format::Syslog,
            Format::NginxError,
            Format::Haproxy,
            Format::Elb,
            Format::Squid,
            Format::S3,
            Format::W3c,
        ],
        b'[' => &[Format::ApacheError, Format::Envoy],
        b':' => &[Format::Combined, Format::Haproxy],
        b'#' => &[Format::W3c],
        b'C' | b'L' => &[Format::Cef, Format::Syslog, Format::Combined, Format::Logfmt, Format::Haproxy],
        _ => &[Format::Syslog, Format::Combined, Format::Logfmt, Format::Elb, Format::S3],
    }
}

/// What a judgement parses lines into.
struct Trial {
    out: Vec<u8>,
    document: DocumentScratch,
    clock: Clock,
    service: String,
}

impl Trial {
    fn new() -> Trial {
        /// 2100-01-01: whatever the year, a date without one has a moment before it.
        const READ_TIME: i64 = 4_102_444_800_000_000_000;
        let mut clock = Clock::new(Zone::Utc);
        clock.set_read_time(READ_TIME);
        Trial { out: Vec::new(), document: DocumentScratch::default(), clock, service: String::new() }
    }

    fn attempt<R>(&mut self, parse: impl FnOnce(&mut Draft<'_>) -> R) -> R {
        self.out.clear();
        let writer = DocumentWriter::new(&mut self.out, &mut self.document, b"", FieldSet::EMPTY);
        parse(&mut Draft::new(writer, &mut self.clock, &mut self.service, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(sample: &str) -> Option<Detection> {
        Parsers::new(&ParserSettings::default()).judge(sample.as_bytes())
    }

    #[track_caller]
    fn check(sample: &str, format: Format, confidence: f32) {
        assert_eq!(judge(sample), Some(Detection { format, confidence }), "{sample}");
    }

    #[test]
    fn the_format_that_fits_best_is_found() {
        check("{\"msg\":\"a\"}\n{\"msg\":\"b\"}\nnpm start\n{}\n", Format::Json, 0.75);
        check("level=info msg=a\nlevel=info msg=\"b c\"\n", Format::Logfmt, 1.0);
        check("::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5\n", Format::Common, 1.0);
        check("Nov 20 21:39:19 host app[1]: x\nNov 20 21:39:19 host kernel: y\n", Format::Syslog, 1.0);
        check("2026-11-20T21:39:19.123456+01:00 host app[1]: x\n", Format::Syslog, 1.0);
        check("2026-11-20 21:39:19 INFO a\n\tat b\n2026-11-20 21:39:19 INFO c=d\n", Format::Plain, 0.9);
        check("hello\nworld\n", Format::Plain, 0.2);
        assert_eq!(judge("\n\n"), None);
    }

    #[test]
    fn a_line_that_could_be_two_things_is_what_the_others_are() {
        check("2026-11-20T21:39:19Z host app[1]: x\n2026-11-20T21:39:19Z host app: y\n", Format::Syslog, 0.9);
    }
}
