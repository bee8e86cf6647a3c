//! Nanoseconds a line of every parser, of redaction, and of RFC 3339, on one core.
//!
//! `cargo run --release -p weir-shipper --example parse_speed [NAME]...` measures the cases whose names contain one of
//! the words, all without. A batch is 256 lines, as they stand in a file. All cases take turns: what else the machine
//! does makes a batch longer, never shorter, so the minimum is what the code costs, and the median says how far to
//! trust it. Cases that have a bar are marked where their minimum is over it.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use weir_record::Timestamp;
use weir_shipper::parse::{Format, Parser, ParserSettings};
use weir_shipper::redact::{RedactSettings, Redactor};

/// Lines of a batch.
const BATCH_LINES: usize = 256;
/// How often all cases take their turn, and the batches of a turn.
const TURNS: usize = 40;
const TURN_BATCHES: usize = 10;

/// 2026-11-21T12:00:00Z.
const READ_TIME: i64 = 1_795_262_400_000_000_000;

/// Bars, in nanoseconds a line: two million lines a second of JSON and logfmt, three of access logs and syslog, one and
/// a half of plain lines.
const JSON_NANOS: u64 = 500;
const ACCESS_NANOS: u64 = 333;
const LOGFMT_NANOS: u64 = 500;
const SYSLOG_NANOS: u64 = 333;
const PLAIN_NANOS: u64 = 667;
const RFC_3339_NANOS: u64 = 30;
const REDACT_NANOS: u64 = 50;

/// What is measured.
struct Case {
    name: String,
    bar_nanos: Option<u64>,
    lines: Vec<Vec<u8>>,
    work: Work,
    /// Of each batch.
    nanos: Vec<u64>,
}

/// What is done with each line.
enum Work {
    Parse(Box<Parser>),
    Redact(Redactor),
    Time,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut cases = generated_cases()?;
    cases.extend(golden_cases()?);
    cases.retain(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str())));
    let mut out = Vec::new();
    for _ in 0..TURNS {
        for case in &mut cases {
            for _ in 0..TURN_BATCHES {
                case.batch(&mut out);
            }
        }
    }
    println!("{:<36} {:>6} {:>8} {:>8} {:>8}", "ns a line", "bytes", "minimum", "median", "bar");
    cases.iter_mut().for_each(Case::print);
    Ok(())
}

impl Case {
    fn new(name: String, bar_nanos: Option<u64>, lines: &[Vec<u8>], work: Work) -> Case {
        let lines = lines.iter().cycle().take(BATCH_LINES).cloned().collect();
        Case { name, bar_nanos, lines, work, nanos: Vec::with_capacity(TURNS * TURN_BATCHES) }
    }

    /// The parser of a file that begins with these lines.
    fn parse(name: &str, format: Format, bar_nanos: Option<u64>, lines: &[Vec<u8>]) -> Case {
        let mut parser = Parser::new(&ParserSettings { format, ..ParserSettings::default() });
        parser.detect(&lines.join(&b'\n'));
        Case::new(format!("{name} as {format}"), bar_nanos, lines, Work::Parse(Box::new(parser)))
    }

    fn batch(&mut self, out: &mut Vec<u8>) {
        let started = Instant::now();
        for line in &self.lines {
            let line = black_box(line.as_slice());
            match &mut self.work {
                Work::Parse(parser) => {
                    out.clear();
                    black_box(parser.parse(line, READ_TIME, 0, out).understood);
                }
                Work::Redact(redactor) => drop(black_box(redactor.redact(line, out))),
                Work::Time => drop(black_box(Timestamp::parse_rfc3339(line))),
            }
        }
        black_box(out.as_slice());
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.push(nanos / BATCH_LINES as u64);
    }

    fn print(&mut self) {
        self.nanos.sort_unstable();
        let (minimum, median) = (self.nanos[0], self.nanos[self.nanos.len() / 2]);
        let bytes = self.lines.iter().map(Vec::len).sum::<usize>() / self.lines.len();
        let bar = self.bar_nanos.map_or_else(String::new, |bar| bar.to_string());
        let over = if self.bar_nanos.is_some_and(|bar| minimum > bar) { " OVER" } else { "" };
        println!("{:<36} {bytes:>6} {minimum:>8} {median:>8} {bar:>8}{over}", self.name);
    }
}

/// The cases of lines with random parts; each is parsed as its format and as `auto`.
fn generated_cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let kinds: [(&str, Format, u64, LineMaker); 6] = [
        ("json", Format::Json, JSON_NANOS, json_line),
        ("combined", Format::Combined, ACCESS_NANOS, combined_line),
        ("logfmt", Format::Logfmt, LOGFMT_NANOS, logfmt_line),
        ("rfc3164", Format::Syslog, SYSLOG_NANOS, rfc3164_line),
        ("rfc5424", Format::Syslog, SYSLOG_NANOS, rfc5424_line),
        ("plain", Format::Plain, PLAIN_NANOS, plain_line),
    ];
    let everything = RedactSettings { secrets: true, email: true, card: true, ..RedactSettings::default() };
    let mut cases = Vec::new();
    for (name, format, bar, line) in kinds {
        let lines = generate(line);
        cases.push(Case::parse(name, format, Some(bar), &lines));
        cases.push(Case::parse(name, Format::Auto, Some(bar), &lines));
        let redact = Work::Redact(Redactor::new(&everything)?);
        let bar = matches!(format, Format::Combined | Format::Logfmt).then_some(REDACT_NANOS);
        cases.push(Case::new(format!("redact {name}"), bar, &lines, redact));
    }
    let times = generate(time);
    cases.push(Case::new("time rfc3339".to_owned(), Some(RFC_3339_NANOS), &times, Work::Time));
    Ok(cases)
}

/// The cases of the golden files, each as `auto`, and as the format that its name begins with.
fn golden_cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        paths.extend(is_log.then_some(path));
    }
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let name = format!("golden {}", path.file_stem().unwrap_or_default().to_string_lossy());
        let lines = records(&std::fs::read(&path)?);
        let format = name.split([' ', '-']).nth(1).and_then(|format| format.parse().ok());
        if let Some(format) = format.filter(|format| *format != Format::Auto) {
            cases.push(Case::parse(&name, format, None, &lines));
        }
        cases.push(Case::parse(&name, Format::Auto, None, &lines));
    }
    Ok(cases)
}

/// The records of a file: its lines, joined as the shipper joins them.
fn records(text: &[u8]) -> Vec<Vec<u8>> {
    let mut parser = Parser::new(&ParserSettings::default());
    let mut records: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match records.last_mut() {
            Some(open) if parser.continues(open, line) => {
                open.push(b'\n');
                open.extend_from_slice(line);
            }
            _ => {
                parser.may_continue(line);
                records.push(line.to_vec());
            }
        }
    }
    records
}

/// Makes a line of random parts.
type LineMaker = fn(&mut Numbers) -> String;

/// The same numbers in each run (SplitMix64; Steele, Lea and Flood 2014).
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

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }
}

fn generate(line: impl Fn(&mut Numbers) -> String) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(7);
    (0..BATCH_LINES).map(|_| line(&mut numbers).into_bytes()).collect()
}

fn time(numbers: &mut Numbers) -> String {
    let (minute, second, micros) = (numbers.below(60), numbers.below(60), numbers.below(1_000_000));
    format!("2026-11-20T21:{minute:02}:{second:02}.{micros:06}Z")
}

/// About 327 bytes, 11 keys.
fn json_line(numbers: &mut Numbers) -> String {
    format!(
        r#"{{"timestamp":"{}","level":"{}","service":"checkout","trace_id":"{:016x}{:016x}","span_id":"{:016x}","message":"payment authorised for order {} after {} attempts","order_id":{},"user_id":"u-{}","region":"eu-central-1","amount":{}.{:02},"latency_ms":{}}}"#,
        time(numbers),
        numbers.one_of(&["info", "info", "info", "warn", "error"]),
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
}

/// About 200 bytes.
fn combined_line(numbers: &mut Numbers) -> String {
    format!(
        r#"{}.{}.{}.{} - - [20/Nov/2026:21:{:02}:{:02} +0100] "GET /shop/product/{}?ref=mail&page={} HTTP/1.1" {} {} "https://shop.example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0""#,
        1 + numbers.below(222),
        numbers.below(256),
        numbers.below(256),
        numbers.below(256),
        numbers.below(60),
        numbers.below(60),
        numbers.below(100_000),
        numbers.below(10),
        numbers.one_of(&["200", "200", "200", "304", "404"]),
        numbers.below(100_000),
    )
}

fn logfmt_line(numbers: &mut Numbers) -> String {
    format!(
        r#"time={} level=info msg="request handled" method=GET path=/api/v1/items/{} status=200 duration={}.{}ms trace_id={:016x}{:016x} user=u-{}"#,
        time(numbers),
        numbers.below(100_000),
        numbers.below(100),
        numbers.below(100),
        numbers.next(),
        numbers.next(),
        numbers.below(1000),
    )
}

fn rfc3164_line(numbers: &mut Numbers) -> String {
    format!(
        "Nov 20 11:39:{:02} host-{} sshd[{}]: Accepted publickey for deploy from 192.0.2.{} port {} ssh2",
        numbers.below(60),
        numbers.below(9),
        numbers.below(30_000),
        numbers.below(256),
        numbers.below(60_000),
    )
}

fn rfc5424_line(numbers: &mut Numbers) -> String {
    format!(
        "<165>1 {} host-{} app {} ID47 - payment authorised for order {}",
        time(numbers),
        numbers.below(9),
        numbers.below(30_000),
        numbers.below(1_000_000),
    )
}

/// A line of no program that is known.
fn plain_line(numbers: &mut Numbers) -> String {
    format!(
        "2026-11-20 21:{:02}:{:02},{:03} {} [worker-{}] com.example.shop.Checkout - order={} authorised for u-{} after {} attempts",
        numbers.below(60),
        numbers.below(60),
        numbers.below(1000),
        numbers.one_of(&["INFO ", "INFO ", "DEBUG", "WARN ", "ERROR"]),
        numbers.below(16),
        numbers.below(1_000_000),
        numbers.below(100_000),
        numbers.below(9),
    )
}
