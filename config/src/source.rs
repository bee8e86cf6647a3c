//! `[[source]]`: files to follow, and what their lines are.

use std::collections::BTreeMap;
use std::fmt;

use crate::document::{Fault, Located};
use crate::enrich::EnrichConfig;
use crate::format::Format;
use crate::multiline::Multiline;
use crate::reader::Reader;
use crate::redact::RedactConfig;
use crate::shape::ShapeConfig;

/// One `[[source]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// `service`: value of `service.name`. Default: from the path of each file (its stem). Set it when the file is not
    /// named after the service.
    pub service: Option<String>,
    /// `paths`: globs of the files, `**` included; at least one. Rotated siblings are found by themselves.
    pub paths: Vec<Located<String>>,
    /// `exclude`: globs of files that are left out. Default: none. A glob without a `/` is matched against file names.
    pub exclude: Vec<Located<String>>,
    /// `format`: what a line is. Default `auto`. Set it when detection is wrong, or to be sure that it never changes.
    pub format: Format,
    /// `format`, where it is a pattern (`grok:...`, `regex:...`) or a list of them, tried in order. `format` is `plain`
    /// then. Not checked here.
    pub format_patterns: Vec<Located<String>>,
    /// `patterns`: named patterns for `grok:`. Default: none but the built-in ones. Not checked here.
    pub patterns: Vec<(String, String)>,
    /// `pattern_files`: files of such, in Logstash's format. Default: none.
    pub pattern_files: Vec<Located<String>>,
    /// `columns`: names of a `csv` or `tsv` file's columns. Default: its first line is the header. Set it when the file
    /// has none.
    pub columns: Vec<String>,
    /// `multiline`: how lines are joined to one record. Default `auto`.
    pub multiline: Multiline,
    /// `timezone`: of time stamps without a zone: `local` (which follows `TZ`), `UTC`, a name such as `Europe/Berlin`,
    /// or an offset such as `+02:00`. Default `local`. Set it when the service writes another zone than the host's.
    pub timezone: Located<String>,
    /// `encoding`: what the bytes are: a label of the WHATWG Encoding Standard, such as `utf-16le`, `latin1`,
    /// `windows-1251`, `shift_jis` or `gbk`. Default `utf-8`; a byte order mark tells UTF-16 by itself. Not checked here.
    pub encoding: Located<String>,
    /// `ansi`: what becomes of escape sequences. Default `auto`. Set `strip` for services that move a terminal's cursor in
    /// files, `keep` where the colours are wanted.
    pub ansi: Ansi,
    /// `carriage_return`: what becomes of carriage returns inside a line. Default `keep`. Set `last` for progress bars.
    pub carriage_return: CarriageReturn,
    /// `start`: where a file that is met for the first time is read from. Default `beginning`. Set `end` when the past
    /// is of no interest.
    pub start: Start,
    /// `environment`: value of `service.environment`, such as `production`. Default: none.
    pub environment: Option<String>,
    /// `labels`: constant `labels.*` of every record. Default: none.
    pub labels: BTreeMap<String, String>,
    /// `pipeline`, `geoip`: what is added to records. Default: nothing.
    pub enrich: EnrichConfig,
    /// `redact`, `redact_fields`, `redact_patterns`, `redact_key`: what is taken out of lines. Default: nothing.
    pub redact: RedactConfig,
    /// `[[source.shape]]`: what is done to parsed records, in this order. Default: nothing.
    pub shape: Vec<ShapeConfig>,
    /// `drop`: queries; a record that matches one is dropped and counted. Default: none. Not checked here.
    pub drop: Vec<Located<String>>,
    /// `[[source.test]]`: lines, and what `weir check` expects of them. Default: none.
    pub tests: Vec<SourceTest>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            service: None,
            paths: Vec::new(),
            exclude: Vec::new(),
            format: Format::default(),
            format_patterns: Vec::new(),
            patterns: Vec::new(),
            pattern_files: Vec::new(),
            columns: Vec::new(),
            multiline: Multiline::default(),
            timezone: Located::from("local".to_owned()),
            encoding: Located::from("utf-8".to_owned()),
            ansi: Ansi::default(),
            carriage_return: CarriageReturn::default(),
            start: Start::default(),
            environment: None,
            labels: BTreeMap::new(),
            enrich: EnrichConfig::default(),
            redact: RedactConfig::default(),
            shape: Vec::new(),
            drop: Vec::new(),
            tests: Vec::new(),
        }
    }
}

impl SourceConfig {
    /// A source of these globs, all else default: what paths on the command line mean.
    pub fn of_paths(paths: impl IntoIterator<Item = String>) -> Self {
        Self { paths: paths.into_iter().map(Located::from).collect(), ..Self::default() }
    }

    pub(crate) fn read(source: &mut Reader<'_, '_>) -> Self {
        let default = Self::default();
        let paths = source.texts("paths");
        if paths.is_empty() {
            let fault = Fault::new(source.span(), "this source has no files");
            source.fault(fault.with_help("add paths = [\"/var/log/app/*.log\"]"));
        }
        let (format, format_patterns) = read_format(source);
        let timezone = source.text("timezone").unwrap_or(default.timezone);
        check_timezone(source, &timezone);
        Self {
            service: source.text("service").map(|text| text.value),
            paths,
            exclude: source.texts("exclude"),
            format,
            format_patterns,
            patterns: source.verbatim_table("patterns"),
            pattern_files: source.texts("pattern_files"),
            columns: source.texts("columns").into_iter().map(|text| text.value).collect(),
            multiline: Multiline::read(source).unwrap_or_default(),
            timezone,
            encoding: source.text("encoding").unwrap_or(default.encoding),
            ansi: source.choice("ansi", Ansi::NAMES).unwrap_or_default(),
            carriage_return: source.choice("carriage_return", CarriageReturn::NAMES).unwrap_or_default(),
            start: source.choice("start", Start::NAMES).unwrap_or_default(),
            environment: source.text("environment").map(|text| text.value),
            labels: source.string_table("labels").into_iter().collect(),
            enrich: EnrichConfig::read(source),
            redact: RedactConfig::read(source),
            shape: source.sections("shape", ShapeConfig::read).into_iter().flatten().collect(),
            drop: source.strings("drop"),
            tests: source.sections("test", SourceTest::read),
        }
    }
}

/// A format's name, or patterns.
fn read_format(source: &mut Reader<'_, '_>) -> (Format, Vec<Located<String>>) {
    let span = source.span();
    let mut told = source.strings("format");
    let is_pattern =
        |text: &Located<String>| ["grok:", "regex:"].iter().any(|prefix| text.value.starts_with(prefix));
    if !told.is_empty() && told.iter().all(is_pattern) {
        return (Format::Plain, told);
    }
    let name = told.pop();
    if !told.is_empty() {
        let fault = Fault::new(span, "only patterns can be several formats of one source");
        source.fault(fault.with_help("write format = [\"grok:...\", \"regex:...\"], or one name"));
    }
    let format = name.and_then(|name| source.one_of("format", name, Format::NAMES));
    (format.unwrap_or_default(), Vec::new())
}

/// The shape only: which names exist is known to the time zone database of the shipper's host.
pub(crate) fn check_timezone(source: &Reader<'_, '_>, timezone: &Located<String>) {
    let is_plausible = !timezone.value.is_empty()
        && timezone
            .value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '/' | ':'));
    if !is_plausible {
        let fault = Fault::new(timezone.span.clone(), format!("`{}` is not a time zone", timezone.value));
        source.fault(fault.with_help("write \"local\", \"UTC\", \"Europe/Berlin\" or \"+02:00\""));
    }
}

/// Where a file that is met for the first time is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// All that is in it already.
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

impl Start {
    /// Both and their names.
    pub const NAMES: &'static [(&'static str, Self)] = &[("beginning", Self::Beginning), ("end", Self::End)];
}

/// What becomes of the escape sequences in a line: colours, links, cursor movements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ansi {
    /// Colours are removed; all others stay in the text.
    #[default]
    Auto,
    /// They stay in the text.
    Keep,
    /// They are removed.
    Strip,
}

impl Ansi {
    /// All and their names.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("keep", Self::Keep), ("strip", Self::Strip)];
}

/// What becomes of the carriage returns inside a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CarriageReturn {
    /// They stay in the text.
    #[default]
    Keep,
    /// What a terminal shows in the end: later text overwrites earlier. A tab and a wide character count as one cell.
    Last,
}

impl CarriageReturn {
    /// Both and their names.
    pub const NAMES: &'static [(&'static str, Self)] = &[("keep", Self::Keep), ("last", Self::Last)];
}

/// One `[[source.test]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTest {
    /// `input`: a line, or several lines of one record, exactly as in the file.
    pub input: Located<String>,
    /// `expect`: fields of the document, by their names with dots, and their values.
    pub expect: BTreeMap<String, Scalar>,
    /// `dropped`: the record has to be dropped, by `drop` or by a step of `shape`; then nothing else is expected.
    /// Default: no.
    pub dropped: bool,
}

impl SourceTest {
    fn read(test: &mut Reader<'_, '_>) -> Self {
        let span = test.span();
        let input = test.verbatim("input").unwrap_or_else(|| {
            test.fault(Fault::new(span.clone(), "this test has no `input`"));
            Located::default()
        });
        let expect: BTreeMap<_, _> = test.scalar_table("expect").into_iter().collect();
        let dropped = test.flag("dropped", false);
        let fault = match (dropped, expect.is_empty()) {
            (false, true) => Some("this test expects nothing"),
            (true, false) => Some("a record that is dropped has no fields"),
            _ => None,
        };
        if let Some(message) = fault {
            let help = "add expect = { \"log.level\" = \"error\" }, or dropped = true";
            test.fault(Fault::new(span, message).with_help(help));
        }
        Self { input, expect, dropped }
    }
}

/// A value that a test expects of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
}

/// As in JSON, but strings without escapes.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(flag) => write!(f, "{flag}"),
        }
    }
}
