//! Fuzz targets for what a user configures: grok patterns, made of parts, over lines made of parts; and redaction. Lines
//! and parts are those of the golden files and of the corpus of secrets, cut, joined and damaged.
//!
//! `WEIR_FUZZ_ITERATIONS` as in `fuzz.rs`.

#[expect(dead_code, reason = "the tests of the golden files use all of it")]
#[path = "support/golden.rs"]
mod golden;
#[expect(dead_code, reason = "the tests of the golden files use all of it")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use golden::{READ_TIME, golden_files};
use ring::hmac;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use support::read_document;
use weir_shipper::parse::{Parser, ParserSettings, PatternLibrary, Patterns};
use weir_shipper::redact::{RedactSettings, Redactor, Replacement};

/// Lines that a target tries where the environment does not say.
const ITERATIONS: usize = 300;

fn iterations() -> usize {
    let iterations = std::env::var("WEIR_FUZZ_ITERATIONS").ok();
    iterations.map_or(ITERATIONS, |number| number.parse().expect("a number"))
}

/// What lines of all formats are made of, and the corpus of secrets without its marks.
fn lines() -> Vec<String> {
    let corpus = include_str!("../src/redact/corpus.txt").lines().filter(|line| !line.starts_with('#'));
    let marked = |line: &str| {
        let line = ["⟦s:", "⟦e:", "⟦c:"].iter().fold(line.to_owned(), |line, mark| line.replace(mark, ""));
        line.replace('⟧', "")
    };
    let mut lines: Vec<String> = corpus.map(marked).collect();
    for file in golden_files() {
        lines.extend(String::from_utf8_lossy(&file.text).lines().take(20).map(str::to_owned));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

const PIECES: &[&str] = &[
    " ",
    "\"",
    "=",
    ": ",
    "@",
    "\\",
    "\\\"",
    "{",
    "}",
    ",",
    "password=",
    "\"token\":\"",
    "Bearer ",
    "é",
    "\u{0}",
    "4111111111111111",
    "a@b.example",
    "https://u:p@h/",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "eyJ",
    "AKIA",
    "%",
    "\t",
];

/// A text made of parts of others: `choices` say which, and where they are cut.
fn damaged(lines: &[String], choices: &[[u16; 3]]) -> String {
    let mut text = String::new();
    for [what, one, other] in choices {
        let place = |text: &str, choice: u16| {
            let mut at = usize::from(choice) % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        match what % 5 {
            0 => text.push_str(&lines[usize::from(*one) % lines.len()]),
            1 => {
                let line = &lines[usize::from(*one) % lines.len()];
                text.push_str(&line[place(line, *other)..]);
            }
            2 => text.truncate(place(&text, *one)),
            3 => text.insert_str(place(&text, *one), PIECES[usize::from(*other) % PIECES.len()]),
            _ => text.push_str(PIECES[usize::from(*one) % PIECES.len()]),
        }
    }
    text
}

/// Everything that can be taken out.
fn settings(replacement: Replacement) -> RedactSettings {
    RedactSettings {
        secrets: true,
        email: true,
        card: true,
        fields: vec!["ssn".to_owned(), "user.pin".to_owned()],
        patterns: vec![r"order-(\d+)".to_owned(), "é+".to_owned()],
        replacement,
    }
}

/// A line as JSON that holds it.
fn as_json(text: &str) -> String {
    serde_json::json!({ "message": text, "password": "hunter2", "n": 1 }).to_string()
}

#[test]
fn what_is_not_redacted_stays_as_it_is() {
    let lines = lines();
    let redactor = Redactor::new(&settings(Replacement::Mask)).expect("settings that are right");
    bolero::check!().with_type::<Vec<[u16; 3]>>().with_iterations(iterations()).for_each(|choices| {
        let line = damaged(&lines, choices);
        let mut out = Vec::new();
        let Some(taken) = redactor.redact(line.as_bytes(), &mut out) else {
            return assert!(out.is_empty(), "a clean line is not written");
        };
        let text = String::from_utf8(out.clone()).expect("nothing is cut inside of a character");
        assert!(taken.iter().sum::<u32>() > 0, "{line:?}");
        assert!(is_line_with_parts_replaced(&line, &text), "{text:?}\nof {line:?}");
        // What touched a part that was taken may be seen only now, such as the address of `a@b.example-----BEGIN`:
        // redacting again takes more, or nothing.
        let mut again = Vec::new();
        if redactor.redact(&out, &mut again).is_some() {
            let again = String::from_utf8(again).expect("nothing is cut inside of a character");
            assert!(is_line_with_parts_replaced(&text, &again), "{again:?}\nof {text:?}\nof {line:?}");
        }
    });
}

/// Whether the parts of `text` between its replacements stand in `line`, in this order, from its start to its end.
fn is_line_with_parts_replaced(line: &str, text: &str) -> bool {
    let mut parts = vec![text];
    for mark in ["[redacted:secret]", "[redacted:email]", "[redacted:card]", "[redacted:own]"] {
        parts = parts.into_iter().flat_map(|part| part.split(mark)).collect();
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let mut rest = line;
    for part in &parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    line.starts_with(first) && line.ends_with(last)
}

#[test]
fn a_json_line_stays_json() {
    let lines = lines();
    let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"a key of the test"));
    for replacement in [Replacement::Mask, Replacement::Hash(key)] {
        let redactor = Redactor::new(&settings(replacement)).expect("settings that are right");
        bolero::check!().with_type::<Vec<[u16; 3]>>().with_iterations(iterations()).for_each(|choices| {
            let line = as_json(&damaged(&lines, choices));
            let mut out = Vec::new();
            redactor.redact(line.as_bytes(), &mut out).expect("a password is in every line");
            let text = String::from_utf8(out).expect("nothing is cut inside of a character");
            let value: Result<Value, _> = serde_json::from_str(&text);
            let value = value.unwrap_or_else(|error| panic!("{error}: {text}\nof {line}"));
            assert!(
                !text.contains("hunter2")
                    || value["message"].as_str().is_some_and(|text| text.contains("hunter2")),
                "{text}"
            );
        });
    }
}

/// Parts of patterns: right ones, and what makes none.
const PATTERN_PIECES: &[&str] = &[
    "%{IP:source.ip}",
    "%{WORD:word}",
    "%{NUMBER:n:int}",
    "%{NUMBER:x:float}",
    "%{DATA:a.b}",
    "%{GREEDYDATA:rest}",
    "%{GREEDYDATA:message}",
    "%{TIMESTAMP_ISO8601:timestamp}",
    "%{LOGLEVEL:log.level}",
    "%{QS}",
    "%{NOTSPACE:[a][b]}",
    "%{COMBINEDAPACHELOG}",
    "%{SYSLOGBASE}",
    "%{JAVASTACKTRACEPART}",
    "(?<own>[a-z]+)",
    "(?:x|y)*",
    "(a|b?)+",
    ".*",
    "\\s+",
    "%{",
    "}",
    "%{NOPE}",
    "%{WORD:}",
    "%{WORD:a:complex}",
    "(?=x)",
    "(",
    ")",
    "[",
    "a{1,3}",
    "{9999}",
    "^",
    "$",
    "\\",
    "é",
    " ",
];

#[test]
fn any_pattern_is_refused_or_reads_any_line() {
    let lines = lines();
    let library = PatternLibrary::default();
    bolero::check!().with_type::<(Vec<u8>, Vec<[u16; 3]>)>().with_iterations(iterations()).for_each(
        |(parts, choices)| {
            let parts =
                parts.iter().take(8).map(|part| PATTERN_PIECES[usize::from(*part) % PATTERN_PIECES.len()]);
            let format = format!("grok:{}", parts.collect::<String>());
            let Some(Ok(patterns)) = Patterns::of_formats(&[&format], &library) else { return };
            let settings = ParserSettings { patterns: Some(patterns), ..ParserSettings::default() };
            let line = damaged(&lines, choices);
            let (mut parser, mut out) = (Parser::new(&settings), Vec::new());
            let parsed = parser.parse(line.as_bytes(), READ_TIME, 0, &mut out);
            let understood = parsed.understood;
            let document = read_document(&out);
            if !understood || !format.contains("message") {
                assert_eq!(document["message"], line.as_str(), "{format}");
            }
        },
    );
}

/// Time that this thread was on a processor: what else the machine does is no part of it.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it does not run backwards")
}

/// The shortest of some runs.
fn shortest(mut run: impl FnMut()) -> Duration {
    let timed = || {
        let started = processor_time();
        run();
        processor_time().saturating_sub(started)
    };
    std::iter::repeat_with(timed).take(3).min().expect("there were runs").max(Duration::from_micros(20))
}

const SHORT_BYTES: usize = 4 << 10;
const TIMES: usize = 16;
/// Quadratic time would be 256.
const RATIO_MAX: u128 = 80;

#[test]
fn redaction_takes_linear_time() {
    let redactor = Redactor::new(&settings(Replacement::Mask)).expect("settings that are right");
    for piece in PIECES.iter().chain(&[
        "a@", "1 1", "4111 ", "://a:", "token=", "eyJ.", "ssn:", "order-1", "sk-", "eyJ-", "eyJ", "xoxb-",
        "token='a", "pwd:\"", "411-", "ssw", "ss",
    ]) {
        let run = |bytes: usize| {
            let line = piece.repeat(bytes / piece.len());
            let mut out = Vec::new();
            shortest(|| {
                redactor.redact(line.as_bytes(), &mut out);
            })
        };
        let (short, long) = (run(SHORT_BYTES), run(SHORT_BYTES * TIMES));
        assert!(long.as_nanos() / short.as_nanos() < RATIO_MAX, "many {piece:?}: {short:?}, then {long:?}");
    }
}

#[test]
fn patterns_take_linear_time() {
    let library = PatternLibrary::default();
    for format in [
        "grok:%{GREEDYDATA:a} %{GREEDYDATA:b} %{GREEDYDATA:c}x",
        "grok:%{COMBINEDAPACHELOG}",
        "grok:(?:%{WORD:a} )*%{NUMBER:n}$",
        "grok:%{DATA:a}:%{DATA:b}:%{DATA:c}:end",
        "grok:%{CISCOTIMESTAMP:a}%{SPACE}%{SYSLOGBASE}",
        "grok:^%{SPACE}%{DATA:a}%{SPACE}%{DATA:b}%{SPACE}$",
        "regex:(a|a)*(a|a)*b",
        "regex:^(\\s*a?)*\\t$",
    ] {
        let patterns = Patterns::of_formats(&[format], &library).expect("a pattern").expect("a right one");
        let settings = ParserSettings { patterns: Some(patterns), ..ParserSettings::default() };
        for piece in [
            "a ",
            "a",
            "1",
            ": ",
            "\"",
            "é ",
            "10.0.0.1 ",
            "\t",
            "a\t",
            " \t",
            "\r",
            "\n",
            "\0",
            "\u{b}\u{1b}",
        ] {
            let run = |bytes: usize| {
                let line = piece.repeat(bytes / piece.len());
                let (mut parser, mut out) = (Parser::new(&settings), Vec::new());
                shortest(|| {
                    out.clear();
                    parser.parse(line.as_bytes(), READ_TIME, 0, &mut out);
                })
            };
            // `regex` changes over to an engine for long texts, once, which is five times slower: one of the two steps
            // shows it. Quadratic time would be 16 in both.
            const STEP: usize = 4;
            const STEP_RATIO_MAX: f64 = 10.0;
            let [short, middle, long] = [1, STEP, STEP * STEP].map(|times| run(SHORT_BYTES * times));
            let first = middle.as_secs_f64() / short.as_secs_f64();
            let second = long.as_secs_f64() / middle.as_secs_f64();
            assert!(
                first.min(second) < STEP_RATIO_MAX,
                "{format}, many {piece:?}: {short:?}, {middle:?}, then {long:?}"
            );
        }
    }
}
