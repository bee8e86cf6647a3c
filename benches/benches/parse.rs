//! Lines to documents: nanoseconds per line of each parser, of splitting a chunk into lines, and of time stamps.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_record::Timestamp;
use weir_record::document::FieldSet;
use weir_record::schema::Field;
use weir_shipper::parse::{Format, Multiline, Parser, ParserSettings, Wrapping, Zone};

/// Different lines, so that branches cannot be learnt from one.
const LINES: usize = 1024;

const READ_TIME: i64 = 1_795_176_000_000_000_000;

/// A small generator of the same numbers in each run (SplitMix64, Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn lines(line: impl Fn(&mut Numbers, u64) -> String) -> Vec<String> {
    let mut numbers = Numbers(7);
    (0..LINES as u64).map(|at| line(&mut numbers, at)).collect()
}

/// About 327 bytes, 11 keys, random trace ids.
fn json_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            r#"{{"timestamp":"2026-11-20T21:{:02}:{:02}.{:06}Z","level":"{}","service":"checkout","trace_id":"{:016x}{:016x}","span_id":"{:016x}","message":"payment authorised for order {} after {} attempts","order_id":{},"user_id":"u-{}","region":"eu-central-1","amount":{}.{:02},"latency_ms":{}}}"#,
            at % 60,
            at / 60 % 60,
            numbers.below(1_000_000),
            ["info", "info", "info", "warn", "error"][numbers.below(5) as usize],
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.below(1_000_000),
            numbers.below(9),
            numbers.below(1_000_000_000),
            numbers.below(100_000),
            numbers.below(1000),
            numbers.below(100),
            numbers.below(5000),
        )
    })
}

/// About 200 bytes.
fn combined_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            r#"{}.{}.{}.{} - - [20/Nov/2026:21:{:02}:{:02} +0100] "GET /shop/product/{}?ref=mail&page={} HTTP/1.1" {} {} "https://shop.example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0""#,
            1 + numbers.below(222),
            numbers.below(256),
            numbers.below(256),
            numbers.below(256),
            at % 60,
            at / 60 % 60,
            numbers.below(100_000),
            numbers.below(10),
            [200, 200, 200, 304, 404][numbers.below(5) as usize],
            numbers.below(100_000),
        )
    })
}

fn logfmt_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            r#"time=2026-11-20T21:39:{:02}.{:03}Z level=info msg="request handled" method=GET path=/api/v1/items/{} status=200 duration={}.{}ms trace_id={:016x}{:016x} user=u-{}"#,
            at % 60,
            numbers.below(1000),
            numbers.below(100_000),
            numbers.below(100),
            numbers.below(100),
            numbers.next(),
            numbers.next(),
            numbers.below(1000),
        )
    })
}

fn rfc3164_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            "Nov 20 11:39:{:02} host-{} sshd[{}]: Accepted publickey for deploy from 192.0.2.{} port {} ssh2",
            at % 60,
            numbers.below(9),
            numbers.below(30_000),
            numbers.below(256),
            numbers.below(60_000),
        )
    })
}

fn rfc5424_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            "<165>1 2026-11-20T21:39:{:02}.{:06}Z host-{} app {} ID47 - payment authorised for order {}",
            at % 60,
            numbers.below(1_000_000),
            numbers.below(9),
            numbers.below(30_000),
            numbers.below(1_000_000),
        )
    })
}

fn java_lines() -> Vec<String> {
    lines(|numbers, at| {
        format!(
            "2026-11-20 21:39:{:02},{:03} INFO  [http-nio-8080-exec-{}] com.example.shop.OrderService - order {} accepted for user {}",
            at % 60,
            numbers.below(1000),
            numbers.below(20),
            numbers.below(1_000_000),
            numbers.below(1000),
        )
    })
}

/// Each format, and what the golden files with its lines are called.
const GOLDEN: &[(Format, &str)] = &[
    (Format::Auto, "json-loggers"),
    (Format::Json, "json-ecs"),
    (Format::Logfmt, "logfmt-"),
    (Format::Combined, "combined-"),
    (Format::Common, "common-"),
    (Format::Envoy, "envoy-"),
    (Format::Haproxy, "haproxy-"),
    (Format::Elb, "elb-"),
    (Format::S3, "s3-"),
    (Format::Squid, "squid-"),
    (Format::NginxError, "nginx_error-"),
    (Format::ApacheError, "apache_error-"),
    (Format::Syslog, "syslog-"),
    (Format::Cef, "cef-"),
    (Format::Leef, "leef-"),
    (Format::W3c, "w3c-iis."),
    (Format::Csv, "csv-header"),
    (Format::Tsv, "tsv-"),
    (Format::Cri, "cri-mixed"),
    (Format::Docker, "docker-"),
    (Format::Journald, "journald-"),
    (Format::Klog, "klog"),
    (Format::Logcat, "logcat"),
    (Format::Redis, "redis"),
    (Format::Postgresql, "postgresql"),
    (Format::Mysql, "mysql."),
    (Format::Mongodb, "mongodb"),
    (Format::Rabbitmq, "rabbitmq"),
    (Format::Hadoop, "kafka"),
    (Format::Openstack, "openstack"),
    (Format::Coredns, "coredns"),
    (Format::Celery, "celery"),
    (Format::Dpkg, "dpkg"),
    (Format::Java, "springboot"),
    (Format::Python, "python"),
    (Format::Go, "go"),
    (Format::Node, "json-pino"),
    (Format::Rust, "tracing"),
    (Format::Ruby, "ruby"),
    (Format::Dotnet, "dotnet"),
    (Format::Php, "php"),
    (Format::Plain, "generic"),
];

/// Lines of the golden files whose names begin so, without what continues a record, as often as is needed.
fn golden_lines(name: &str) -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../shipper/tests/formats");
    let entries =
        std::fs::read_dir(directory).expect("the golden files").map(|entry| entry.expect("one").path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)))
        .collect();
    paths.sort();
    // The journal's export format has bytes that are no text.
    let texts = paths.iter().map(|path| std::fs::read(path).expect("a golden file"));
    let texts = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(!lines.is_empty(), "{name} has lines");
    lines.into_iter().filter(|line| !line.starts_with([' ', '\t'])).collect()
}

/// What each format costs, a line of its golden files; where an engine wraps lines, unwrapping too.
fn formats(criterion: &mut Criterion) {
    assert!(GOLDEN.iter().map(|(format, _)| format).eq(Format::ALL), "every format is measured");
    let mut group = criterion.benchmark_group("format");
    for (format, name) in GOLDEN {
        let lines = golden_lines(name);
        let mut parser = Parser::new(&ParserSettings { format: *format, ..ParserSettings::default() });
        parser.detect(lines.join("\n").as_bytes());
        let wrapping = Wrapping::of(lines[0].as_bytes());
        let (mut out, mut scratch) = (Vec::with_capacity(1 << 20), Vec::new());
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function(format.as_str(), |bencher| {
            bencher.iter(|| {
                out.clear();
                for line in &lines {
                    let piece = wrapping.and_then(|wrapping| wrapping.read(line.as_bytes(), &mut scratch));
                    let text = piece.map_or(line.as_bytes(), |piece| piece.text);
                    black_box(parser.parse(text, READ_TIME, 0, &mut out));
                }
            });
        });
    }
    group.finish();
}

fn parsers(criterion: &mut Criterion) {
    let formats: [(&str, Format, Vec<String>); 7] = [
        ("json", Format::Json, json_lines()),
        ("json detected", Format::Auto, json_lines()),
        ("combined", Format::Combined, combined_lines()),
        ("logfmt", Format::Logfmt, logfmt_lines()),
        ("syslog rfc3164", Format::Syslog, rfc3164_lines()),
        ("syslog rfc5424", Format::Syslog, rfc5424_lines()),
        ("java", Format::Java, java_lines()),
    ];
    let mut group = criterion.benchmark_group("parse");
    for (name, format, lines) in formats {
        let mut reserved = FieldSet::weir_only();
        reserved.insert(Field::HostName);
        let settings = ParserSettings {
            format,
            multiline: Multiline::default(),
            zone: Zone::local(),
            reserved,
            ..ParserSettings::default()
        };
        let mut parser = Parser::new(&settings);
        parser.detect(lines[..32].join("\n").as_bytes());
        let mut out = Vec::with_capacity(1 << 20);
        group.throughput(Throughput::Elements(LINES as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for line in &lines {
                    black_box(parser.parse(line.as_bytes(), READ_TIME, 0, &mut out));
                }
            });
        });
    }
    group.finish();
}

fn joining(criterion: &mut Criterion) {
    let lines = java_lines();
    let mut parser = Parser::new(&ParserSettings::default());
    let mut group = criterion.benchmark_group("multiline");
    group.throughput(Throughput::Elements(LINES as u64 - 1));
    group.bench_function("lines that are records", |bencher| {
        bencher.iter(|| {
            lines.windows(2).filter(|pair| parser.continues(pair[0].as_bytes(), pair[1].as_bytes())).count()
        });
    });
    group.finish();
}

fn splitting(criterion: &mut Criterion) {
    let chunk = json_lines().join("\n");
    let mut group = criterion.benchmark_group("split");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("memchr", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\n', black_box(chunk.as_bytes())).count());
    });
    group.finish();
}

fn time_stamps(criterion: &mut Criterion) {
    let texts = lines(|numbers, at| {
        format!("2026-11-20T21:{:02}:{:02}.{:06}Z", at % 60, at / 60 % 60, numbers.below(1_000_000))
    });
    let mut group = criterion.benchmark_group("time");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("rfc3339", |bencher| {
        bencher.iter(|| {
            texts.iter().filter_map(|text| Timestamp::parse_rfc3339(black_box(text.as_bytes()))).count()
        });
    });
    let moments: Vec<_> = texts.iter().filter_map(|text| Timestamp::parse_rfc3339(text.as_bytes())).collect();
    let mut out = Vec::with_capacity(64 * LINES);
    group.bench_function("written", |bencher| {
        bencher.iter(|| {
            out.clear();
            for moment in &moments {
                moment.push_rfc3339(&mut out);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, parsers, formats, joining, splitting, time_stamps);
criterion_main!(benches);
