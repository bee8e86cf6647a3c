//! Separated values: CSV and TSV with a header or named columns, the W3C extended log, whose `#Fields` line is one, and
//! Zeek's, whose `#fields` line is one.
//!
//! A line that has not as many values as there are columns is none. `message` is the column of that meaning, else the
//! whole line.

use std::borrow::Cow;

use memchr::memchr;
use weir_record::schema::Field;

use super::draft::{Draft, Value};
use super::format::{Certainty, Format};
use super::keys::{self, Meaning, Unit};

/// Fewer columns than these are found by chance in any text.
const COLUMNS_MIN: usize = 3;
/// Most columns, and bytes of a name.
const COLUMNS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;
/// What values are separated by, the likeliest first.
const SEPARATORS: [u8; 4] = [b'\t', b',', b';', b'|'];

/// What the parser keeps between lines.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The names that the configuration gives.
    named: Vec<String>,
    layout: Option<Layout>,
    date: String,
}

/// The columns of a file.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    separator: u8,
    kind: Kind,
    columns: Vec<Column>,
    /// The line that named them.
    header: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Values may be quoted.
    Separated,
    /// Values are words; `-` is none.
    W3c,
    /// Values have tabs between, and are never quoted; `-` and `(empty)` are none.
    Zeek,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    meaning: Option<Meaning>,
    part: Part,
}

/// A date and a time may stand in columns of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Whole,
    Date,
    Time,
}

impl Scratch {
    pub(super) fn new(columns: &[String]) -> Scratch {
        Scratch { named: columns.to_vec(), ..Scratch::default() }
    }

    /// Whether the lines of a sample are values under a header; remembers the columns then.
    pub(super) fn judge(&mut self, lines: &[&str]) -> Option<Format> {
        let (header, values) = lines.split_first()?;
        let layout = SEPARATORS.iter().find_map(|&separator| Layout::of_header(header, separator))?;
        let fitting = values.iter().filter(|line| layout.count(line) == layout.columns.len()).count();
        let is_known = layout.columns.iter().any(|column| column.meaning.is_some());
        let enough = fitting > 0 && (is_known || fitting > 1) && fitting * 10 >= values.len() * 9;
        enough.then(|| {
            let format = if layout.separator == b'\t' { Format::Tsv } else { Format::Csv };
            self.layout = Some(layout);
            format
        })
    }

    /// Takes the columns that the first line of a file names, for a file that is read from its middle.
    pub(super) fn read_header(&mut self, line: &str, format: Format) {
        if let Some(layout) = Layout::of_directive(line) {
            self.layout = Some(layout);
        } else if matches!(format, Format::Csv | Format::Tsv) && self.named.is_empty() {
            self.layout = SEPARATORS.iter().find_map(|&separator| Layout::of_header(line, separator));
        }
    }
}

impl Layout {
    fn of_header(header: &str, separator: u8) -> Option<Layout> {
        let names = Values::new(header, separator).collect::<Option<Vec<_>>>()?;
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        let is_name = |name: &&str| {
            name.len() <= NAME_BYTES_MAX
                && name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '#'))
                && !name.contains(['=', '{', '[', '"'])
                && name.split(' ').count() <= 4
        };
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let are_names = (COLUMNS_MIN..=COLUMNS_MAX).contains(&names.len())
            && names.iter().all(is_name)
            && sorted.len() == names.len();
        are_names.then(|| Layout::of_names(names.into_iter(), separator, header))
    }

    fn of_names<'n>(names: impl Iterator<Item = &'n str>, separator: u8, header: &str) -> Layout {
        let columns: Vec<Column> = names
            .map(|name| Column { name: name.to_owned(), meaning: meaning_of(name), part: Part::Whole })
            .collect();
        let mut layout = Layout { separator, kind: Kind::Separated, columns, header: header.to_owned() };
        layout.pair_date_and_time();
        layout
    }

    fn w3c(fields: &str, header: &str) -> Option<Layout> {
        let columns: Vec<Column> = fields
            .split_ascii_whitespace()
            .map(|name| Column { name: clean(name), meaning: w3c_meaning(name), part: Part::Whole })
            .collect();
        let separator = b' ';
        let mut layout = Layout { separator, kind: Kind::W3c, columns, header: header.to_owned() };
        layout.pair_date_and_time();
        (1..=COLUMNS_MAX).contains(&layout.columns.len()).then_some(layout)
    }

    /// The columns that a directive names.
    fn of_directive(line: &str) -> Option<Layout> {
        match line.strip_prefix("#fields\t") {
            Some(fields) => Layout::zeek(fields, line),
            None => Layout::w3c(line.strip_prefix("#Fields:")?, line),
        }
    }

    fn zeek(fields: &str, header: &str) -> Option<Layout> {
        let columns: Vec<Column> = fields
            .split('\t')
            .map(|name| Column { name: name.to_owned(), meaning: zeek_meaning(name), part: Part::Whole })
            .collect();
        let layout = Layout { separator: b'\t', kind: Kind::Zeek, columns, header: header.to_owned() };
        (COLUMNS_MIN..=COLUMNS_MAX).contains(&layout.columns.len()).then_some(layout)
    }

    /// A column `date` beside a column `time` is one half of the moment.
    fn pair_date_and_time(&mut self) {
        let find = |name: &str| self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        if let (Some(date), Some(time)) = (find("date"), find("time")) {
            self.columns[date].part = Part::Date;
            self.columns[time].part = Part::Time;
        }
    }

    fn count(&self, line: &str) -> usize {
        Values::new(line, self.separator).map_while(|value| value).count()
    }
}

/// Fills `draft` from a line of the format. False where it is none: the draft has to be reset then.
pub(super) fn parse(
    line: &str,
    format: Format,
    certainty: Certainty,
    draft: &mut Draft<'_>,
    scratch: &mut Scratch,
) -> bool {
    if format == Format::W3c {
        return w3c(line, draft, scratch);
    }
    if certainty == Certainty::Guessed {
        return false;
    }
    if scratch.layout.is_none() {
        scratch.layout = told_layout(line, format, &scratch.named);
    }
    let Scratch { layout: Some(layout), date, .. } = scratch else { return false };
    if layout.kind != Kind::Separated {
        return false;
    }
    if line == layout.header {
        return draft.writer.string(Field::Message, line);
    }
    values(line, layout, date, draft).is_some()
}

/// The columns of a file of a told format: those of the configuration, else those of this line, which is the first.
fn told_layout(line: &str, format: Format, named: &[String]) -> Option<Layout> {
    let separators = if format == Format::Tsv { &SEPARATORS[..1] } else { &SEPARATORS[1..] };
    if named.is_empty() {
        return separators.iter().find_map(|&separator| Layout::of_header(line, separator));
    }
    let names = || named.iter().map(String::as_str);
    let layouts = separators.iter().map(|&separator| Layout::of_names(names(), separator, ""));
    layouts.into_iter().find(|layout| layout.count(line) == named.len())
}

fn values(line: &str, layout: &Layout, date: &mut String, draft: &mut Draft<'_>) -> Option<()> {
    date.clear();
    let mut count = 0;
    let values = Values { is_quotable: layout.kind != Kind::Zeek, ..Values::new(line, layout.separator) };
    for value in values {
        let value = value?;
        let column = layout.columns.get(count)?;
        count += 1;
        write(column, &value, layout.kind, date, draft);
    }
    (count == layout.columns.len() && !draft.writer.is_full()).then_some(())?;
    if !date.is_empty() && !draft.writer.has(Field::Timestamp) {
        draft.writer.attribute_string("date", date);
    }
    if !draft.writer.has(Field::Message) {
        draft.writer.string(Field::Message, line);
    }
    Some(())
}

fn write(column: &Column, value: &str, kind: Kind, date: &mut String, draft: &mut Draft<'_>) {
    let is_none = match kind {
        Kind::Separated => value.is_empty(),
        Kind::W3c => matches!(value, "" | "-"),
        Kind::Zeek => matches!(value, "" | "-" | "(empty)"),
    };
    if is_none {
        return;
    }
    if column.part != Part::Whole {
        return write_date(column, value, kind, date, draft);
    }
    let placed = match column.meaning {
        // IIS counts milliseconds, CloudFront seconds with their fraction.
        Some(Meaning::Duration(Unit::Millis)) if kind == Kind::W3c && value.contains('.') => {
            draft.assign(Meaning::Duration(Unit::Seconds), Value::Plain(value))
        }
        Some(meaning) => draft.assign(meaning, Value::Plain(value)),
        None => false,
    };
    if !placed {
        draft.attribute_text(&column.name, value);
    }
}

/// Whichever of date and time comes second makes the moment. The W3C format's are in UTC.
fn write_date(column: &Column, value: &str, kind: Kind, other: &mut String, draft: &mut Draft<'_>) {
    if other.is_empty() {
        return other.push_str(value);
    }
    if column.part == Part::Date {
        other.insert(0, ' ');
        other.insert_str(0, value);
    } else {
        other.push(' ');
        other.push_str(value);
    }
    if kind == Kind::W3c {
        other.push('Z');
    }
    if let Some(moment) = draft.clock.read_all(other.as_bytes()) {
        draft.time(moment);
    }
}

/// A line of a W3C log, or of Zeek's: `#Fields` names the columns, other directives are text.
fn w3c(line: &str, draft: &mut Draft<'_>, scratch: &mut Scratch) -> bool {
    if let Some(layout) = Layout::of_directive(line) {
        scratch.layout = Some(layout);
        return draft.writer.string(Field::Message, line);
    }
    if is_directive(line) {
        return draft.writer.string(Field::Message, line);
    }
    let Scratch { layout: Some(layout), date, .. } = scratch else { return false };
    match layout.kind {
        Kind::Separated => return false,
        // CloudFront separates its values by tabs, others by blanks.
        Kind::W3c => {
            layout.separator = if memchr(b'\t', line.as_bytes()).is_some() { b'\t' } else { b' ' };
        }
        Kind::Zeek => {}
    }
    values(line, layout, date, draft).is_some()
}

/// Whether a line tells something of the file, other than its columns.
fn is_directive(line: &str) -> bool {
    const DIRECTIVES: [&str; 14] = [
        "#Software:",
        "#Version:",
        "#Date:",
        "#Start-Date:",
        "#End-Date:",
        "#Remark:",
        "#separator ",
        "#set_separator\t",
        "#empty_field\t",
        "#unset_field\t",
        "#path\t",
        "#open\t",
        "#close\t",
        "#types\t",
    ];
    line.starts_with('#') && DIRECTIVES.iter().any(|directive| line.starts_with(directive))
}

/// Reads values one by one; a torn quote ends them with none.
struct Values<'l> {
    rest: Option<&'l str>,
    separator: u8,
    is_quotable: bool,
}

impl<'l> Values<'l> {
    fn new(line: &'l str, separator: u8) -> Values<'l> {
        Values { rest: Some(line), separator, is_quotable: true }
    }

    /// A quoted value: two quotes in it are one.
    fn quoted(&mut self, text: &'l str) -> Option<Cow<'l, str>> {
        let (bytes, mut at) = (text.as_bytes(), 1);
        let mut has_quotes = false;
        loop {
            at += memchr(b'"', bytes.get(at..)?)?;
            if bytes.get(at + 1) != Some(&b'"') {
                break;
            }
            has_quotes = true;
            at += 2;
        }
        let inside = &text[1..at];
        self.rest = match bytes.get(at + 1) {
            None => None,
            Some(&byte) if byte == self.separator => Some(&text[at + 2..]),
            Some(_) => return None,
        };
        Some(if has_quotes { inside.replace("\"\"", "\"").into() } else { inside.into() })
    }
}

impl<'l> Iterator for Values<'l> {
    type Item = Option<Cow<'l, str>>;

    fn next(&mut self) -> Option<Option<Cow<'l, str>>> {
        let text = self.rest.take()?;
        if self.is_quotable && text.starts_with('"') {
            return Some(self.quoted(text));
        }
        let value = match memchr(self.separator, text.as_bytes()) {
            Some(at) => {
                self.rest = Some(&text[at + 1..]);
                &text[..at]
            }
            None => text,
        };
        Some(Some(value.into()))
    }
}

/// A key's meaning, whatever its case, with blanks for underscores.
fn meaning_of(name: &str) -> Option<Meaning> {
    keys::lookup(name.as_bytes()).or_else(|| {
        let name = name.to_ascii_lowercase().replace([' ', '-'], "_");
        keys::lookup(name.as_bytes())
    })
}

/// W3C names without their brackets: `cs(User-Agent)` is `cs_user_agent`.
fn clean(name: &str) -> String {
    name.trim_end_matches(')').to_ascii_lowercase().replace(['(', '-'], "_")
}

/// <https://www.w3.org/TR/WD-logfile>, IIS, CloudFront
fn w3c_meaning(name: &str) -> Option<Meaning> {
    Some(match clean(name).as_str() {
        "cs_method" => Meaning::Keyword(Field::HttpRequestMethod),
        "cs_uri" => Meaning::Url,
        "cs_uri_stem" => Meaning::Text(Field::UrlPath),
        "cs_uri_query" => Meaning::Text(Field::UrlQuery),
        "cs_username" => Meaning::Keyword(Field::UserName),
        "c_ip" => Meaning::Address(Field::SourceIp, Field::SourceAddress),
        "c_port" => Meaning::Long(Field::SourcePort),
        "s_ip" => Meaning::Address(Field::DestinationIp, Field::DestinationAddress),
        "s_port" => Meaning::Long(Field::DestinationPort),
        "s_computername" => Meaning::Keyword(Field::HostHostname),
        "cs_user_agent" => Meaning::Keyword(Field::UserAgentOriginal),
        "cs_referer" => Meaning::Keyword(Field::HttpRequestReferrer),
        "cs_host" => Meaning::Domain,
        "cs_protocol" => Meaning::Keyword(Field::UrlScheme),
        "cs_version" | "cs_protocol_version" => Meaning::Protocol,
        "sc_status" => Meaning::Status,
        "sc_bytes" => Meaning::Long(Field::HttpResponseBodyBytes),
        "cs_bytes" => Meaning::Long(Field::HttpRequestBodyBytes),
        "time_taken" => Meaning::Duration(Unit::Millis),
        "x_edge_request_id" => Meaning::Identifier(Field::HttpRequestId),
        _ => return None,
    })
}

/// <https://docs.zeek.org/en/master/logs/>: what is called `service` and `version` there is no service's.
fn zeek_meaning(name: &str) -> Option<Meaning> {
    Some(match name {
        "ts" => Meaning::Time,
        "id.orig_h" => Meaning::Address(Field::SourceIp, Field::SourceAddress),
        "id.orig_p" => Meaning::Long(Field::SourcePort),
        "id.resp_h" => Meaning::Address(Field::DestinationIp, Field::DestinationAddress),
        "id.resp_p" => Meaning::Long(Field::DestinationPort),
        "duration" => Meaning::Duration(Unit::Seconds),
        "method" => Meaning::Keyword(Field::HttpRequestMethod),
        "uri" => Meaning::Url,
        "referrer" => Meaning::Keyword(Field::HttpRequestReferrer),
        "user_agent" => Meaning::Keyword(Field::UserAgentOriginal),
        "request_body_len" => Meaning::Long(Field::HttpRequestBodyBytes),
        "response_body_len" => Meaning::Long(Field::HttpResponseBodyBytes),
        "status_code" => Meaning::Status,
        "username" => Meaning::Keyword(Field::UserName),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_with, parse_with};
    use super::super::{Format, Parser, ParserSettings};

    fn parser(format: Format, columns: &[&str]) -> Parser {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Parser::new(&ParserSettings { format, columns, ..ParserSettings::default() })
    }

    #[test]
    fn named_columns_need_no_header() {
        let mut parser = parser(Format::Csv, &["time", "level", "msg", "n"]);
        check_with(
            &mut parser,
            r#"2026-11-20 21:39:19;warn;"a; ""b""";7"#,
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"warning","message":"a; \"b\"","attributes.n":7}"#,
        );
    }

    #[test]
    fn a_line_with_other_columns_is_kept_whole() {
        let mut parser = parser(Format::Csv, &[]);
        assert_eq!(parse_with(&mut parser, b"time,level,msg")["message"], "time,level,msg");
        for line in ["2026-11-20 21:39:19,info", "a,b,c,d", "a,\"b,c", "a,\"b\"x,c", ""] {
            let document = parse_with(&mut parser, line.as_bytes());
            assert_eq!(
                (&document["message"], &document["tags"][0]),
                (&line.into(), &"unparsed".into()),
                "{line}"
            );
        }
        assert_eq!(parse_with(&mut parser, b"2026-11-20 21:39:19,info,ok")["message"], "ok");
    }

    #[test]
    fn a_file_that_is_read_from_its_middle_has_the_columns_of_its_head() {
        let mut parser = parser(Format::Auto, &[]);
        parser.read_head(b"#Software: x\n#Fields: date time cs-method sc-status\n");
        check_with(
            &mut parser,
            "2026-11-20 21:39:19 GET 200",
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"2026-11-20 21:39:19 GET 200",
               "http.request.method":"GET","http.response.status_code":200}"#,
        );
    }
}
