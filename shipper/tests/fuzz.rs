//! A fuzz target for each format: lines of its golden files, cut, joined, repeated and damaged anywhere. Whatever the
//! line, its document is JSON without a repeated key, and holds all that the line said; what is not understood is the
//! message, whole.
//!
//! `WEIR_FUZZ_ITERATIONS` says how many lines each target tries; a failure prints its seed (`BOLERO_RANDOM_SEED`).

#[expect(dead_code, reason = "the tests of the golden files use all of it")]
#[path = "support/golden.rs"]
mod golden;
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use golden::{READ_TIME, golden_files};
use serde_json::{Map, Value};
use support::{read_document, words_lost};
use weir_shipper::parse::{Export, Format, Parser, ParserSettings, Wrapping};

/// Lines that a target tries where the environment does not say.
const ITERATIONS: usize = 300;

/// As much of a file as the shipper looks at first.
const SAMPLE_BYTES_MAX: usize = 16 << 10;

/// Formats and the golden files that have their lines.
macro_rules! targets {
    ($($name:ident: $format:ident, [$($file:literal),*];)*) => {
        $(mod $name {
            #[test]
            fn any_damaged_line_becomes_a_document_that_loses_nothing() {
                super::fuzz(super::Format::$format, &[$($file),*]);
            }
        })*

        /// The formats that have a target.
        const TARGETS: &[Format] = &[$(Format::$format,)*];
    };
}

targets! {
    auto: Auto, ["generic", "json-loggers", "combined-servers", "syslog-daemons", "logback", "postgresql", "cef-events"];
    json: Json, ["json-"];
    logfmt: Logfmt, ["logfmt-"];
    combined: Combined, ["combined-"];
    common: Common, ["common-"];
    envoy: Envoy, ["envoy-"];
    haproxy: Haproxy, ["haproxy-"];
    elb: Elb, ["elb-"];
    s3: S3, ["s3-"];
    squid: Squid, ["squid-"];
    nginx_error: NginxError, ["nginx_error-"];
    apache_error: ApacheError, ["apache_error-"];
    syslog: Syslog, ["syslog-"];
    cef: Cef, ["cef-"];
    leef: Leef, ["leef-"];
    w3c: W3c, ["w3c-"];
    csv: Csv, ["csv-"];
    tsv: Tsv, ["tsv-"];
    cri: Cri, ["cri-"];
    docker: Docker, ["docker-"];
    journald: Journald, ["journald-"];
    klog: Klog, ["klog"];
    logcat: Logcat, ["logcat"];
    redis: Redis, ["redis"];
    postgresql: Postgresql, ["postgresql"];
    mysql: Mysql, ["mysql"];
    mongodb: Mongodb, ["mongodb"];
    rabbitmq: Rabbitmq, ["rabbitmq"];
    hadoop: Hadoop, ["hadoop", "kafka", "hdfs", "spark"];
    openstack: Openstack, ["openstack"];
    coredns: Coredns, ["coredns"];
    celery: Celery, ["celery"];
    dpkg: Dpkg, ["dpkg"];
    java: Java, ["log4j", "logback", "jul", "springboot", "elasticsearch", "zookeeper", "ttcc"];
    python: Python, ["python", "pylogging", "pyapps"];
    go: Go, ["go", "gin"];
    node: Node, ["generic", "json-pino"];
    rust: Rust, ["tracing", "env_logger"];
    ruby: Ruby, ["ruby", "rails"];
    dotnet: Dotnet, ["dotnet"];
    php: Php, ["php"];
    plain: Plain, ["generic", "windows"];
}

/// Events of Windows have no format's name, and more lines than what else has none.
mod windows {
    #[test]
    fn any_damaged_line_becomes_a_document_that_loses_nothing() {
        super::fuzz(super::Format::Plain, &["windows"]);
    }
}

/// Lines of OpenTelemetry's exporters are several records.
#[test]
fn any_damaged_export_loses_nothing() {
    let lines = corpus(&["json-otlp"]);
    let lines: Vec<Vec<u8>> = lines.into_iter().filter(|line| line.starts_with(b"{\"resource")).collect();
    bolero::check!().with_type::<(bool, Vec<[u16; 3]>)>().with_iterations(iterations()).for_each(
        |(is_cut, choices)| {
            let line = damaged(&lines, choices);
            let Some(export) = Export::read(&line, *is_cut) else { return };
            let rest = export.rest().map_or(line.len(), |rest| rest);
            let (mut text, mut said) = (String::new(), String::from_utf8_lossy(&line[rest..]).into_owned());
            let mut end = 0;
            for record in 0..export.count() {
                let span = export.write(record, &mut text);
                assert!(end <= span.start && span.end <= rest, "{span:?} behind {end}");
                end = span.end;
                serde_json::from_str::<Map<String, Value>>(&text).expect(&text);
                said.push_str(&text);
            }
            let is_word = |char: char| char.is_alphanumeric();
            for word in String::from_utf8_lossy(&line).split(|char| !is_word(char)) {
                let is_frame = ["resourceLogs", "scopeLogs", "scope", "logRecords"].contains(&word);
                assert!(is_frame || said.contains(word), "{word}: {}", String::from_utf8_lossy(&line));
            }
        },
    );
}

#[test]
fn every_format_has_a_target() {
    assert_eq!(TARGETS, Format::ALL);
}

/// What stands between the parts of lines, in some format or other, and what belongs into none.
const PIECES: &[&[u8]] = &[
    b" ",
    b"\"",
    b"=",
    b"|",
    b",",
    b";",
    b"\t",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"\\",
    b"<34>",
    b"\n",
    b"\r",
    b"CEF:0|",
    b"#Fields: ",
    b" - ",
    "é".as_bytes(),
    b"\0",
    b"\xff",
    b"\xf0\x9f",
    b"a=1 ",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"\"a\":1,",
];

/// A line made of parts of others: `choices` say which, where they are cut, and what is done there.
fn damaged(lines: &[Vec<u8>], choices: &[[u16; 3]]) -> Vec<u8> {
    let Some((first, rest)) = choices.split_first() else { return Vec::new() };
    let mut line = lines[usize::from(first[0]) % lines.len()].clone();
    for [what, one, other] in rest {
        let place = |choice: &u16, length: usize| usize::from(*choice) % (length + 1);
        let (from, to) = (place(one, line.len()), place(other, line.len()));
        let range = from.min(to)..from.max(to);
        match what % 6 {
            0 => line.truncate(from),
            1 => drop(line.drain(range)),
            2 => line
                .splice(from..from, PIECES[usize::from(*other) % PIECES.len()].iter().copied())
                .for_each(drop),
            3 => {
                let repeated = line[range.clone()].to_vec();
                line.splice(range.end..range.end, repeated).for_each(drop);
            }
            4 => {
                let source = &lines[usize::from(*other) % lines.len()];
                let cut = place(one, source.len());
                line.extend_from_slice(&source[cut..]);
            }
            _ => line.iter_mut().skip(from).take(1).for_each(|byte| *byte = (*other % 256) as u8),
        }
    }
    line
}

/// The lines of the golden files whose names begin so, and of what is told of one of them.
fn corpus(names: &[&str]) -> Vec<Vec<u8>> {
    let files =
        golden_files().into_iter().filter(|file| names.iter().any(|name| file.name.starts_with(name)));
    let lines: Vec<Vec<u8>> = files
        .flat_map(|file| {
            let records = file.records().into_iter().map(|record| record.text);
            let lines = file.text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
            records.chain(lines).collect::<Vec<_>>()
        })
        .filter(|line| !line.is_empty())
        .collect();
    assert!(lines.len() >= 20, "{names:?} have lines");
    lines
}

fn iterations() -> usize {
    let told = std::env::var("WEIR_FUZZ_ITERATIONS").ok();
    told.map_or(ITERATIONS, |number| number.parse().expect("a number"))
}

fn fuzz(format: Format, names: &[&str]) {
    let lines = corpus(names);
    let columns = ["time", "level", "message"].map(str::to_owned).to_vec();
    let settings = |format, columns: &[String]| ParserSettings {
        format,
        columns: columns.to_vec(),
        ..ParserSettings::default()
    };
    let mut detecting = Parser::new(&settings(Format::Auto, &[]));
    let sample = lines.join(&b'\n');
    detecting.detect(&sample[..sample.len().min(SAMPLE_BYTES_MAX)]);
    let mut parsers =
        [Parser::new(&settings(format, &[])), Parser::new(&settings(format, &columns)), detecting];
    bolero::check!().with_type::<Vec<[u16; 3]>>().with_iterations(iterations()).for_each(|choices| {
        let line = damaged(&lines, choices);
        parsers.iter_mut().for_each(|parser| check(parser, &line));
        check_unwrapped(&line, &mut parsers[0]);
    });
}

/// Parses a line, and compares what it said with what its document says.
fn check(parser: &mut Parser, line: &[u8]) {
    let mut out = Vec::new();
    let parsed = parser.parse(line, READ_TIME, 0, &mut out);
    let (understood, service) = (parsed.understood, parsed.service.map(Value::from));
    let mut document = read_document(&out);
    document.extend(service.map(|service| ("service.name".to_owned(), service)));
    let text = String::from_utf8_lossy(line);
    // The journal's export format has lengths that are no text; its own message may be none either.
    let has_lengths = understood && line.starts_with(b"__CURSOR=");
    if std::str::from_utf8(line).is_err() && !has_lengths {
        assert_eq!(document["event.original"], BASE64.encode(line), "{text:?}");
    }
    if !understood {
        assert_eq!(document["message"], text.as_ref(), "{document:?}");
    }
    let lost = words_lost(&text, &document);
    assert!(lost.is_empty(), "{lost:?} of\n{text}\nare not in\n{document:?}");
}

/// What a container engine wrapped is unwrapped without loss, or not at all.
fn check_unwrapped(line: &[u8], parser: &mut Parser) {
    let mut scratch = Vec::new();
    if let Some(piece) = Wrapping::Cri.read(line, &mut scratch) {
        assert!(line.ends_with(piece.text), "{piece:?}");
        check(parser, piece.text);
    }
    let Some(piece) = Wrapping::Docker.read(line, &mut scratch) else { return };
    let text = String::from_utf8_lossy(piece.text).into_owned();
    if let Ok(wrapped) = serde_json::from_slice::<Value>(line) {
        let log = wrapped["log"].as_str().expect("a text").trim_end_matches('\n').trim_end_matches('\r');
        assert_eq!(text.trim_end_matches(['\n', '\r']), log.trim_end_matches(['\n', '\r']), "{wrapped}");
    }
    check(parser, text.as_bytes());
}
