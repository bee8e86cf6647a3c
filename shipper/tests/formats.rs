//! Golden files: `formats/<name>.log` are lines as software writes them, `<name>.expected.jsonl` the documents that they
//! become, one a line. A new format adds its two files; `WEIR_BLESS=1` writes the second one, to be read with care.
//!
//! Where `<name>` begins with a format's name, up to a dash, `auto` must detect that format. An optional
//! `<name>.settings.json` holds `format` and `columns` as the configuration has them.

#[path = "support/golden.rs"]
mod golden;
mod support;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use golden::{READ_TIME, document, golden_files};
use support::words_lost;
use weir_shipper::parse::{Format, Parser, ParserSettings};

/// Fewer would not show a format's variants.
const LINES_MIN: usize = 20;

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
    ("OpenTelemetry's exports (OTLP JSON)", "json-otlp"),
    ("Google Cloud", "json-gcp"),
    ("GELF", "json-gelf"),
    ("Traefik's JSON", "json-traefik"),
    ("Caddy", "json-caddy"),
    ("other JSON", "json-loggers"),
    ("CRI", "cri-mixed"),
    ("docker json-file", "docker-json"),
    ("docker json-file inside CRI", "cri-docker"),
    ("the journal as JSON", "journald-json"),
    ("the journal's export format", "journald-export"),
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
    ("log4j's TTCC", "ttcc"),
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
    ("the Datadog agent", "go-datadog"),
    ("Gin", "gin"),
    ("Rust tracing", "tracing"),
    ("Rust env_logger", "env_logger"),
    ("Ruby", "ruby"),
    ("Sidekiq", "ruby-sidekiq"),
    ("Rails", "rails"),
    ("Rails without a logger's prefix", "rails-development"),
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
    ("Windows events, by wevtutil", "windows-wevtutil"),
    ("Windows events, by PowerShell", "windows-powershell"),
    ("Windows events as XML", "windows-xml"),
    ("CSV with a header", "csv-header"),
    ("CSV with named columns", "csv-named"),
    ("CSV with semicolons", "csv-semicolon"),
    ("TSV", "tsv-header"),
    ("W3C extended, IIS", "w3c-iis"),
    ("Zeek", "w3c-zeek"),
    ("W3C extended, IIS and CloudFront", "w3c-iis-cloudfront"),
    ("CEF", "cef-events"),
    ("LEEF", "leef-events"),
    ("lines with colours", "coloured"),
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

/// Time that this thread was on a processor: what else the machine does is no part of it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it does not run backwards")
}

/// The shortest of some runs, in processor time.
fn shortest_run(parser: &mut Parser, line: &str) -> Duration {
    let run = || {
        let (mut out, started) = (Vec::new(), processor_time());
        parser.parse(line.as_bytes(), READ_TIME, 0, &mut out);
        processor_time().saturating_sub(started)
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
        "2026-11-20 21:39:19 | INFO | ",
        "2026-11-20T21:39:19Z pid=1 tid=a ",
        "{\"L\":\"INFO\",\"T\":1,\"M\":\"",
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
