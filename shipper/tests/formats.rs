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
use weir_shipper::parse::{Envelope, Format, Parser, ParserSettings, Wrapping};

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

/// A record of a golden file, out of what a container engine has around its lines.
struct Record {
    text: Vec<u8>,
    envelope: Envelope<'static>,
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
        let is_told = self.settings().format != Format::Auto || self.wrapping().is_some();
        if let Some(promised) = self.promised().filter(|_| !is_told) {
            assert_eq!(detection.format, promised, "{}: {detection:?}", self.name);
        }
        let parse = |record: Record| {
            let document = document(&mut parser, &record);
            (String::from_utf8_lossy(&record.text).into_owned(), document)
        };
        self.records().into_iter().map(parse).collect()
    }

    /// What a container engine has around the lines.
    fn wrapping(&self) -> Option<Wrapping> {
        Wrapping::of(self.text.split(|byte| *byte == b'\n').next().expect("a line"))
    }

    /// The records of the file: its lines, unwrapped and joined as the shipper does it.
    fn records(&self) -> Vec<Record> {
        if let Some(wrapping) = self.wrapping() {
            return unwrapped(wrapping, &self.text);
        }
        let plain = |text| Record { text, envelope: Envelope::default() };
        joined(&mut Parser::new(&self.settings()), &self.text).into_iter().map(plain).collect()
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
fn document(parser: &mut Parser, record: &Record) -> Map<String, Value> {
    let mut out = Vec::new();
    let parsed = parser.parse_within(&record.text, record.envelope, READ_TIME, 0, &mut out);
    let service = parsed.service.map(Value::from);
    let mut document = read_document(&out);
    document.extend(service.map(|service| ("service.name".to_owned(), service)));
    document
}

/// What a container wrote: its lines, of which an engine cuts long ones into pieces that follow each other here. A
/// container inside a container is unwrapped twice.
fn unwrapped(wrapping: Wrapping, text: &[u8]) -> Vec<Record> {
    let (mut records, mut scratch, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let piece = wrapping.read(line, &mut scratch).expect("every line is wrapped");
        open.extend_from_slice(piece.text);
        if piece.is_partial {
            continue;
        }
        let envelope = Envelope { time: Some(piece.time), stream: Some(piece.stream), ..Envelope::default() };
        let whole = Record { text: std::mem::take(&mut open), envelope };
        match Wrapping::of(&whole.text) {
            Some(inner) => records.extend(unwrapped(inner, &whole.text)),
            None => records.push(whole),
        }
    }
    records
}

/// The lines of a file, joined as the shipper joins them.
fn joined(parser: &mut Parser, text: &[u8]) -> Vec<Vec<u8>> {
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

/// What the formats that Weir promises to know are called, each variant apart, and the golden file with its lines.
const PROMISED: &[(&str, &str)] = &[
    ("ECS", "json-ecs"),
    ("Bunyan", "json-bunyan"),
    ("pino", "json-pino"),
    ("zap", "json-zap"),
    ("zerolog", "json-zerolog"),
    ("slog", "json-slog"),
    ("logrus", "json-logrus"),
    ("log4j2 JsonLayout", "json-log4j2"),
    ("log4j2 JsonTemplateLayout", "json-template"),
    ("Logstash encoder", "json-logstash"),
    ("Serilog compact", "json-serilog"),
    ("structlog", "json-structlog"),
    ("Spring Boot structured", "json-spring"),
    ("OpenTelemetry log JSON", "json-otel"),
    ("Google Cloud", "json-gcp"),
    ("GELF", "json-gelf"),
    ("Traefik's JSON", "json-traefik"),
    ("Caddy", "json-caddy"),
    ("other JSON", "json-loggers"),
    ("CRI", "cri-mixed"),
    ("docker json-file", "docker-json"),
    ("docker json-file inside CRI", "cri-docker"),
    ("the journal as JSON", "journald-json"),
    ("logfmt", "logfmt-loggers"),
    ("common access log", "common-servers"),
    ("combined access log", "combined-servers"),
    ("access log with virtual host", "combined-vhost"),
    ("access log with request time", "combined-time"),
    ("Traefik's access log", "combined-traefik"),
    ("Envoy", "envoy-default"),
    ("Istio", "envoy-istio"),
    ("HAProxy", "haproxy-httplog"),
    ("AWS ALB", "elb-alb"),
    ("AWS balancers, mixed", "elb-balancers"),
    ("Amazon S3", "s3-access"),
    ("Squid", "squid-native"),
    ("nginx error log", "nginx_error-server"),
    ("Apache error log", "apache_error-server"),
    ("syslog RFC 3164", "syslog-rfc3164"),
    ("syslog RFC 5424", "syslog-rfc5424"),
    ("syslog of both kinds, mixed", "syslog-priority"),
    ("syslog of vendors", "syslog-vendors"),
    ("syslog in files", "syslog-daemons"),
    ("syslog in files with RFC 3339 times", "syslog-iso"),
    ("sshd, sudo and cron", "syslog-logins"),
    ("klog", "klog"),
    ("log4j", "log4j"),
    ("logback", "logback-console"),
    ("java.util.logging and Tomcat", "jul"),
    ("Java, mixed", "logback"),
    ("Spring Boot", "springboot"),
    ("Spring Boot with trace ids", "springboot-traces"),
    ("Python logging, by its basic format", "python"),
    ("Python logging, by other formats", "pylogging"),
    ("Python's servers", "pyapps"),
    ("Go standard log", "gostd"),
    ("Go, with places and packages", "go"),
    ("Rust tracing", "tracing"),
    ("Rust env_logger", "env_logger"),
    ("Ruby", "ruby"),
    ("Rails", "rails"),
    (".NET console", "dotnet"),
    ("PHP", "php"),
    ("PostgreSQL", "postgresql"),
    ("MySQL error log", "mysql"),
    ("MySQL slow log", "mysql-slow"),
    ("MongoDB", "mongodb"),
    ("Redis", "redis"),
    ("Elasticsearch", "elasticsearch"),
    ("RabbitMQ", "rabbitmq"),
    ("Kafka", "kafka"),
    ("ZooKeeper", "zookeeper"),
    ("HDFS and Hadoop", "hdfs"),
    ("Spark", "spark"),
    ("Kafka, Hadoop and Spark, mixed", "hadoop"),
    ("OpenStack", "openstack"),
    ("Celery", "celery"),
    ("CoreDNS", "coredns"),
    ("dpkg", "dpkg"),
    ("Android logcat", "logcat"),
    ("Windows event text", "windows"),
    ("CSV with a header", "csv-header"),
    ("CSV with named columns", "csv-named"),
    ("CSV with semicolons", "csv-semicolon"),
    ("TSV", "tsv-header"),
    ("W3C extended, IIS", "w3c-iis"),
    ("W3C extended, IIS and CloudFront", "w3c-iis-cloudfront"),
    ("CEF", "cef-events"),
    ("LEEF", "leef-events"),
    ("any other text", "generic"),
];

#[test]
fn every_promised_format_has_twenty_different_golden_lines() {
    let files = golden_files();
    let mut lacking = Vec::new();
    for (format, name) in PROMISED {
        let file = files.iter().find(|file| file.name == *name).expect("a golden file");
        let lines = file.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let count = lines.collect::<std::collections::HashSet<_>>().len();
        println!("{count:3} lines of {format}");
        if count < LINES_MIN {
            lacking.push(format);
        }
    }
    assert!(lacking.is_empty(), "fewer than {LINES_MIN} lines: {lacking:?}");
    let is_promised = |name: &str| PROMISED.iter().any(|(_, promised)| *promised == name);
    let others: Vec<&String> =
        files.iter().map(|file| &file.name).filter(|name| !is_promised(name)).collect();
    assert!(others.is_empty(), "golden files of no format: {others:?}");
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
        for record in golden.records() {
            let document = document(&mut parser, &record);
            let record = String::from_utf8_lossy(&record.text);
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
    let records = golden_files().into_iter().flat_map(|golden| golden.records());
    records.map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect()
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
