//! Golden files: `formats/<name>.log` are lines as software writes them, `<name>.expected.jsonl` the documents that they
//! become, one a line. A new format adds its two files; `WEIR_BLESS=1` writes the second one, to be read with care.
//!
//! Where `<name>` begins with a format's name, up to a dash, `auto` must detect that format. An optional
//! `<name>.settings.json` holds `format` and `columns` as the configuration has them.

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use support::{read_document, words_lost};
use weir_shipper::parse::{Format, Parser, ParserSettings};

/// 2026-11-21T12:00:00Z, when the files are read.
const READ_TIME: i64 = 1_795_262_400_000_000_000;
/// As much of a file as the shipper looks at first.
const SAMPLE_BYTES_MAX: usize = 64 * 1024;
/// Fewer would not show a format's variants.
const LINES_MIN: usize = 20;

/// A golden file.
struct Golden {
    path: PathBuf,
    name: String,
    text: Vec<u8>,
}

fn golden_files() -> Vec<Golden> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the directory of the golden files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are golden files");
    let read = |path: PathBuf| Golden {
        name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
        text: std::fs::read(&path).expect("a golden file"),
        path,
    };
    paths.into_iter().map(read).collect()
}

impl Golden {
    fn settings(&self) -> ParserSettings {
        let Ok(text) = std::fs::read(self.path.with_extension("settings.json")) else {
            return ParserSettings::default();
        };
        let settings: HashMap<String, Value> = serde_json::from_slice(&text).expect("settings are JSON");
        let format = settings.get("format").map_or(Format::Auto, |name| {
            name.as_str().expect("a format's name").parse().expect("a known format")
        });
        let columns = settings.get("columns").and_then(Value::as_array).into_iter().flatten();
        let columns = columns.map(|name| name.as_str().expect("a column's name").to_owned()).collect();
        ParserSettings { format, columns, ..ParserSettings::default() }
    }

    /// The format that the file's name promises.
    fn promised(&self) -> Option<Format> {
        self.name.split('-').next()?.parse().ok()
    }

    /// The records of the file and their documents.
    fn documents(&self) -> Vec<(String, Map<String, Value>)> {
        let mut parser = Parser::new(&self.settings());
        let sample = self.text.get(..SAMPLE_BYTES_MAX).unwrap_or(&self.text);
        let detection = parser.detect(sample).expect("a golden file has lines");
        if let Some(promised) = self.promised().filter(|_| self.settings().format == Format::Auto) {
            assert_eq!(detection.format, promised, "{}: {detection:?}", self.name);
        }
        let parse = |record: Vec<u8>| {
            let document = document(&mut parser, &record);
            (String::from_utf8_lossy(&record).into_owned(), document)
        };
        records(&mut Parser::new(&self.settings()), &self.text).into_iter().map(parse).collect()
    }

    fn expected(&self) -> Vec<Map<String, Value>> {
        let text = std::fs::read_to_string(self.path.with_extension("expected.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("an expectation is JSON")).collect()
    }

    fn bless(&self, documents: &[(String, Map<String, Value>)]) {
        let lines: String =
            documents.iter().map(|(_, document)| format!("{}\n", Value::Object(document.clone()))).collect();
        std::fs::write(self.path.with_extension("expected.jsonl"), lines).expect("written");
    }
}

/// A record's document, with the service that the line itself names.
fn document(parser: &mut Parser, record: &[u8]) -> Map<String, Value> {
    let mut out = Vec::new();
    let service = parser.parse(record, READ_TIME, 0, &mut out).service.map(Value::from);
    let mut document = read_document(&out);
    document.extend(service.map(|service| ("service.name".to_owned(), service)));
    document
}

/// The records of a file: its lines, joined as the shipper joins them.
fn records(parser: &mut Parser, text: &[u8]) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match records.last_mut() {
            Some(open) if parser.continues(open, line) => {
                open.push(b'\n');
                open.extend_from_slice(line);
            }
            _ => records.push(line.to_vec()),
        }
    }
    records
}

#[test]
fn every_golden_line_becomes_its_document() {
    for golden in golden_files() {
        let documents = golden.documents();
        if std::env::var_os("WEIR_BLESS").is_some() {
            golden.bless(&documents);
        }
        let expected = golden.expected();
        for (at, (record, document)) in documents.iter().enumerate() {
            let expected = expected.get(at);
            assert!(
                Some(document) == expected,
                "{}, record {}: {record}\n     got {}\nexpected {}",
                golden.name,
                at + 1,
                serde_json::to_string_pretty(document).expect("JSON"),
                serde_json::to_string_pretty(&expected).expect("JSON"),
            );
        }
        assert_eq!(documents.len(), expected.len(), "{}: documents", golden.name);
        let lines = golden.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert!(lines >= LINES_MIN, "{} has {lines} lines: {LINES_MIN} at least", golden.name);
    }
}

/// What the formats that Weir promises to know are called, and the golden files with their lines.
const PROMISED: &[(&str, &[&str])] = &[
    ("ECS", &["json-ecs"]),
    ("Bunyan", &["json-bunyan"]),
    ("pino", &["json-pino"]),
    ("zap", &["json-zap"]),
    ("zerolog", &["json-zerolog"]),
    ("slog", &["json-slog"]),
    ("logrus", &["json-logrus"]),
    ("log4j2 JsonLayout", &["json-log4j2"]),
    ("Logstash encoder", &["json-logstash"]),
    ("Serilog compact", &["json-serilog"]),
    ("structlog", &["json-structlog"]),
    ("Spring Boot structured", &["json-spring"]),
    ("OpenTelemetry log JSON", &["json-otel"]),
    ("Google Cloud", &["json-gcp"]),
    ("GELF", &["json-gelf"]),
    ("logfmt", &["logfmt-loggers"]),
    ("common access log", &["common-servers"]),
    ("combined access log", &["combined-servers"]),
    ("Envoy", &["envoy-default"]),
    ("HAProxy", &["haproxy-httplog"]),
    ("AWS ALB", &["elb-balancers"]),
    ("Amazon S3", &["s3-access"]),
    ("Squid", &["squid-native"]),
    ("nginx error log", &["nginx_error-server"]),
    ("Apache error log", &["apache_error-server"]),
    ("syslog RFC 3164 and 5424", &["syslog-priority"]),
    ("syslog in files", &["syslog-daemons", "syslog-iso"]),
    ("klog", &["klog"]),
    ("logback and log4j", &["logback"]),
    ("Python logging", &["python", "pyapps"]),
    ("Go", &["go"]),
    ("Rust tracing", &["tracing"]),
    ("Ruby", &["ruby"]),
    (".NET console", &["dotnet"]),
    ("PHP", &["php"]),
    ("PostgreSQL", &["postgresql"]),
    ("MySQL", &["mysql"]),
    ("MongoDB", &["mongodb"]),
    ("Redis", &["redis"]),
    ("RabbitMQ", &["rabbitmq"]),
    ("Kafka, Hadoop, Spark", &["hadoop"]),
    ("OpenStack", &["openstack"]),
    ("Celery", &["celery"]),
    ("CoreDNS", &["coredns"]),
    ("dpkg", &["dpkg"]),
    ("Android logcat", &["logcat"]),
    ("CSV and TSV", &["csv-header", "csv-named", "csv-semicolon", "tsv-header"]),
    ("W3C extended and IIS", &["w3c-iis-cloudfront"]),
    ("CEF", &["cef-events"]),
    ("LEEF", &["leef-events"]),
    ("any other text", &["generic"]),
];

#[test]
fn every_promised_format_has_twenty_different_golden_lines() {
    let files = golden_files();
    let mut lacking = Vec::new();
    for (format, names) in PROMISED {
        let named = |name: &&str| files.iter().find(|file| file.name == **name).expect("a golden file");
        let lines = names.iter().map(named).flat_map(|file| file.text.split(|byte| *byte == b'\n'));
        let count = lines.filter(|line| !line.is_empty()).collect::<std::collections::HashSet<_>>().len();
        println!("{count:3} lines of {format}");
        if count < LINES_MIN {
            lacking.push(format);
        }
    }
    assert!(lacking.is_empty(), "fewer than {LINES_MIN} lines: {lacking:?}");
    let is_promised = |name: &str| PROMISED.iter().any(|(_, names)| names.contains(&name));
    let others: Vec<&String> =
        files.iter().map(|file| &file.name).filter(|name| !is_promised(name)).collect();
    assert_eq!(others, ["json-loggers"], "a golden file belongs to a format");
}

#[test]
fn no_word_of_a_golden_line_is_lost() {
    for golden in golden_files() {
        for (record, document) in golden.documents() {
            let lost = words_lost(&record, &document);
            assert!(lost.is_empty(), "{}: {lost:?} of {record}\nin {document:?}", golden.name);
        }
    }
}

#[test]
fn a_golden_line_alone_in_its_file_loses_nothing_either() {
    for golden in golden_files() {
        let mut parser = Parser::new(&ParserSettings::default());
        for record in records(&mut Parser::new(&golden.settings()), &golden.text) {
            let document = document(&mut parser, &record);
            let record = String::from_utf8_lossy(&record);
            let lost = words_lost(&record, &document);
            assert!(lost.is_empty(), "{}: {lost:?} of {record}\nin {document:?}", golden.name);
        }
    }
}

/// Pieces of golden lines, and what separates parts in some format or other.
const SEPARATORS: &[&str] = &[
    "",
    " ",
    "\"",
    "=",
    "|",
    ",",
    ";",
    "\t",
    "[",
    "]",
    "{",
    "}",
    ":",
    "\\",
    "<34>",
    "\n",
    "CEF:0|",
    "#Fields: ",
    " - ",
    "é",
];

/// A line made of halves of golden lines, cut anywhere, with a separator between them.
fn spliced(lines: &[String], choices: &[u16]) -> String {
    let mut line = String::new();
    for choice in choices.chunks_exact(3) {
        let source = &lines[usize::from(choice[0]) % lines.len()];
        let cut = source.floor_char_boundary(usize::from(choice[1]) % (source.len() + 1));
        line.push_str(if choice[2] & 1 == 0 { &source[..cut] } else { &source[cut..] });
        line.push_str(SEPARATORS[usize::from(choice[2] / 2) % SEPARATORS.len()]);
    }
    line
}

fn golden_lines() -> Vec<String> {
    let records = |golden: Golden| records(&mut Parser::new(&golden.settings()), &golden.text);
    let records = golden_files().into_iter().flat_map(records);
    records.map(|record| String::from_utf8_lossy(&record).into_owned()).collect()
}

#[test]
fn any_splice_of_golden_lines_becomes_a_document_in_every_format() {
    let lines = golden_lines();
    let columns = vec!["time".to_owned(), "level".to_owned(), "message".to_owned()];
    let parser = |format: &Format| {
        Parser::new(&ParserSettings {
            format: *format,
            columns: columns.clone(),
            ..ParserSettings::default()
        })
    };
    let mut parsers: Vec<Parser> = Format::ALL.iter().map(parser).collect();
    bolero::check!().with_type::<Vec<u16>>().with_iterations(5_000).for_each(|choices| {
        let line = spliced(&lines, choices);
        for parser in &mut parsers {
            let mut out = Vec::new();
            let understood = parser.parse(line.as_bytes(), READ_TIME, 0, &mut out).understood;
            let document = read_document(&out);
            assert!(understood || document["message"] == line, "{line:?} in {document:?}");
            parser.detect(line.as_bytes());
        }
    });
}

/// The shortest of some runs: what else the machine does makes a run longer, never shorter.
fn shortest_run(parser: &mut Parser, line: &str) -> Duration {
    let run = || {
        let (mut out, started) = (Vec::new(), Instant::now());
        parser.parse(line.as_bytes(), READ_TIME, 0, &mut out);
        started.elapsed()
    };
    std::iter::repeat_with(run).take(5).min().expect("there were runs")
}

#[test]
fn a_line_sixteen_times_as_long_takes_no_parser_much_longer_than_that() {
    const SHORT_BYTES: usize = 4 << 10;
    const TIMES: usize = 16;
    /// Quadratic time would be 256.
    const RATIO_MAX: u128 = 80;
    const PIECES: &[&str] = &[
        "a=1 ",
        "a=\"\\\"\" ",
        "[",
        "\"",
        "\\",
        "{\"a\":",
        "[1,",
        "key key ",
        "a b=",
        "=",
        "|",
        ",",
        "x,",
        "\t",
        ": ",
        "1: ",
        "[a b=\"c\"]",
        "at x\n",
        "Caused by: x\n",
        "10.0.0.1:80 ",
        "é",
        "<1>",
        "{A}",
        "Nov 20 21:39:19 ",
        "2026-11-20 21:39:19 ",
        "a: b, ",
        "(a) ",
    ];
    const PREFIXES: &[&str] = &[
        "",
        "CEF:0|a|b|c|d|e|5|",
        "LEEF:1.0|a|b|c|d|",
        "<13>1 - - - - - ",
        "<13>Nov 20 21:39:19 h a: ",
        "{\"@t\":\"\",\"@mt\":\"",
        "1.1.1.1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" ",
        "[2026-11-20T21:39:19Z] \"",
        "2026/11/20 21:39:19 [error] 1#1: *1 x, client: ",
        "[Fri Nov 20 21:39:19 2026] [x:error] ",
        "#Fields: ",
    ];
    for format in Format::ALL {
        let mut parser = Parser::new(&ParserSettings { format: *format, ..ParserSettings::default() });
        // A detected format is told by its prefix; one that is told needs none.
        let prefixes = if *format == Format::Auto { PREFIXES } else { &PREFIXES[..1] };
        for (prefix, piece) in
            prefixes.iter().flat_map(|prefix| PIECES.iter().map(move |piece| (prefix, piece)))
        {
            let line = |bytes: usize| format!("{prefix}{}", piece.repeat(bytes / piece.len()));
            let short = shortest_run(&mut parser, &line(SHORT_BYTES)).max(Duration::from_micros(20));
            let long = shortest_run(&mut parser, &line(SHORT_BYTES * TIMES));
            assert!(
                long.as_nanos() / short.as_nanos() < RATIO_MAX,
                "{format}: {prefix:?} and many {piece:?}: {short:?}, then {long:?}"
            );
        }
    }
}
