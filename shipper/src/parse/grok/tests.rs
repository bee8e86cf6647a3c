use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::testing::parse_with;
use super::super::{Parser, ParserSettings};
use super::*;

/// `NAME<tab>what all of it matches<tab>what it refuses`; `\t` and `\n` are a tab and a newline.
const EXAMPLES: &str = include_str!("examples.tsv");

fn patterns(formats: &[&str], library: &PatternLibrary) -> Result<Patterns, PatternError> {
    Patterns::of_formats(formats, library).expect("formats of patterns")
}

fn parse(formats: &[&str], record: &str) -> Map<String, Value> {
    let patterns = patterns(formats, &PatternLibrary::default()).expect("patterns");
    let mut parser = Parser::new(&ParserSettings { patterns: Some(patterns), ..ParserSettings::default() });
    parse_with(&mut parser, record.as_bytes())
}

#[track_caller]
fn check(formats: &[&str], record: &str, expected: Value) {
    let mut document = parse(formats, record);
    if expected.get("@timestamp").is_none() {
        document.remove("@timestamp");
    }
    assert_eq!(Value::Object(document), expected, "{formats:?} on {record}");
}

fn refused(format: &str) -> String {
    patterns(&[format], &PatternLibrary::default()).expect_err("a fault").to_string()
}

#[test]
fn an_access_log_line_becomes_ecs_fields() {
    check(
        &["grok:%{COMBINEDAPACHELOG}"],
        r#"203.0.113.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif?x=1 HTTP/1.0" 200 2326 "-" "curl/8.5""#,
        json!({
            "@timestamp": "2000-10-10T20:55:36.000Z",
            "source.ip": "203.0.113.7", "source.address": "203.0.113.7", "user.name": "frank",
            "http.request.method": "GET", "url.original": "/a.gif?x=1", "http.version": "1.0",
            "http.response.status_code": 200, "http.response.body.bytes": 2326,
            "user_agent.original": "curl/8.5",
            "message": r#"203.0.113.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif?x=1 HTTP/1.0" 200 2326 "-" "curl/8.5""#,
        }),
    );
}

#[test]
fn captures_have_their_names_and_types() {
    check(
        &[
            r"grok:%{WORD:[shop][action]} %{INT:shop.items:int} items, %{NUMBER:total:float} EUR, %{WORD:note:int} (?<by>\w+)",
        ],
        "sold +3 items, 12.50 EUR, dear 007",
        json!({
            "message": "sold +3 items, 12.50 EUR, dear 007", "attributes.shop.action": "sold",
            "attributes.shop.items": 3, "attributes.total": 12.5, "attributes.note": "dear", "attributes.by": "007",
        }),
    );
}

#[test]
fn a_captured_message_replaces_the_line_and_a_level_is_mapped() {
    check(
        &["grok:^%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:log.level} %{GREEDYDATA:message}"],
        "2026-11-20 21:39:19.123 WARN low disk",
        json!({ "@timestamp": "2026-11-20T21:39:19.123Z", "log.level": "warning", "message": "low disk" }),
    );
}

#[test]
fn what_cannot_be_a_fields_value_is_an_attribute() {
    check(
        &["grok:%{NOTSPACE:timestamp} %{NOTSPACE:host.ip} %{NOTSPACE:log.offset}"],
        "noon nowhere 7",
        json!({
            "message": "noon nowhere 7", "attributes.timestamp": "noon", "attributes.host.ip": "nowhere",
            "attributes.log.offset": "7",
        }),
    );
}

#[test]
fn patterns_are_tried_in_order() {
    let formats = ["grok:^a=%{INT:a:int}", r"regex:^b=(?P<b>\d+)"];
    check(&formats, "a=1", json!({ "message": "a=1", "attributes.a": 1 }));
    check(&formats, "b=2", json!({ "message": "b=2", "attributes.b": "2" }));
    check(&formats, "c=3", json!({ "message": "c=3", "tags": ["unparsed"] }));
}

#[test]
fn a_regular_expression_has_no_grok_in_it() {
    check(
        &[r"regex:100%{1} (?<log.level>\w+)"],
        "100% error",
        json!({ "message": "100% error", "log.level": "error" }),
    );
}

#[test]
fn own_patterns_win_over_built_in_ones() {
    let mut library = PatternLibrary::default();
    library.add_file("# ours\n\nORDER A-[0-9]{4}\nWORD \\S+\n").expect("a file of patterns");
    let patterns = patterns(&["grok:%{WORD:w} %{ORDER:order}"], &library).expect("patterns");
    let mut parser = Parser::new(&ParserSettings { patterns: Some(patterns), ..ParserSettings::default() });
    let document = parse_with(&mut parser, b"--- A-0007");
    assert_eq!((&document["attributes.w"], &document["attributes.order"]), (&json!("---"), &json!("A-0007")));
    assert_eq!(library.add_file("A b\nnothing"), Err(PatternError::Definition { line: 2 }));
}

#[test]
fn what_only_other_engines_have_is_rewritten_or_refused() {
    check(&["grok:(?>a+)(?#why)b (?i:C)"], "aab c", json!({ "message": "aab c" }));
    check(&[r"grok:\h{4}[\h-]+[]x]\Z"], "beef-12]", json!({ "message": "beef-12]" }));
    for pattern in ["(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b"] {
        assert!(refused(&format!("grok:{pattern}")).contains("looks around"), "{pattern}");
    }
    assert!(refused(r"regex:(a)\1").contains("backreference"));
}

#[test]
fn a_fault_says_what_to_mend() {
    assert!(refused("grok:%{TIMESTAMP_ISO801:t}").contains("did you mean %{TIMESTAMP_ISO8601}?"));
    assert!(refused("grok:%{WORD:w:date}").contains("int, float"));
    assert!(refused("grok:%{WORD").contains("is not %{PATTERN}"));
    assert!(refused("grok:%{}").contains("is not %{PATTERN}"));
    assert!(refused("regex:(a").contains("unclosed group"));
    let mut library = PatternLibrary::default();
    library.add("ROUND", "a%{ROUND}");
    assert!(matches!(patterns(&["grok:%{ROUND}"], &library), Err(PatternError::Depth { .. })));
    library.add("D0", &"x".repeat(1000));
    for at in 0..10 {
        library.add(&format!("D{}", at + 1), &format!("%{{D{at}}}").repeat(8));
    }
    assert_eq!(patterns(&["grok:%{D10}"], &library).map(|_| ()), Err(PatternError::Length));
}

#[test]
fn a_pattern_that_would_compile_too_large_is_refused() {
    assert!(refused(r"regex:(?:\w{1000}){100}").contains("size limit"));
}

#[test]
fn a_literal_decides_before_the_engine_runs() {
    let literal = |pattern: &str| {
        let pattern = Pattern::new(pattern, Some(&PatternLibrary::default())).expect("a pattern");
        pattern.required.map(|finder| String::from_utf8_lossy(finder.needle()).into_owned())
    };
    assert_eq!(literal("%{IP:ip} connection reset by %{WORD}").as_deref(), Some(" connection reset by "));
    assert_eq!(literal("(?:a|b)").as_deref(), None);
    assert_eq!(literal("(?:ab)*c+").as_deref(), Some("c"));
    assert_eq!(literal("(?i)abc").as_deref(), None);
}

#[test]
fn every_pattern_of_the_library_matches_its_example_and_refuses_another() {
    let library = PatternLibrary::default();
    let mut missing: Vec<&str> = PatternLibrary::built_in_names().collect();
    let unescaped = |text: &str| text.replace("\\t", "\t").replace("\\n", "\n");
    for line in EXAMPLES.lines() {
        let mut parts = line.split('\t');
        let (Some(name), Some(matches), Some(refuses), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            panic!("three columns: {line}");
        };
        let (expanded, _) = expand(&format!("%{{{name}}}"), Some(&library)).expect("a pattern");
        let whole = Regex::new(&format!("^(?:{expanded})$")).expect("a regular expression");
        assert!(whole.is_match(&unescaped(matches)), "{name} has to match {matches:?}");
        assert!(!whole.is_match(&unescaped(refuses)), "{name} has to refuse {refuses:?}");
        missing.retain(|other| *other != name);
    }
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

#[test]
fn a_line_of_zeek_has_its_columns_and_what_is_not_set_is_left_out() {
    check(
        &["grok:^%{ZEEK_FILES}$"],
        "1795210759.123456\tFMnx\t198.51.100.9\t192.0.2.7,192.0.2.8\tCHhA\tHTTP\t0\t(empty)\t-\t-\t0.25\t-\tF\t1270\t-\t0\t0\tF\t-\t-\t-\t-\t-",
        json!({
            "@timestamp": "2026-11-20T21:39:19.123456Z", "client.ip": "192.0.2.7", "attributes.server.ip": "198.51.100.9",
            "attributes.zeek.files.fuid": "FMnx", "attributes.zeek.files.rx_hosts": "192.0.2.7,192.0.2.8",
            "attributes.zeek.files.session_ids": "CHhA", "attributes.zeek.files.source": "HTTP",
            "attributes.zeek.files.depth": 0, "attributes.zeek.files.duration": 0.25, "attributes.zeek.files.is_orig": "F",
            "attributes.zeek.files.seen_bytes": 1270, "attributes.zeek.files.missing_bytes": 0,
            "attributes.zeek.files.overflow_bytes": 0, "attributes.zeek.files.timedout": "F",
            "message": "1795210759.123456\tFMnx\t198.51.100.9\t192.0.2.7,192.0.2.8\tCHhA\tHTTP\t0\t(empty)\t-\t-\t0.25\t-\tF\t1270\t-\t0\t0\tF\t-\t-\t-\t-\t-",
        }),
    );
}

#[test]
fn a_connection_of_zeek_is_read_with_and_without_the_newer_column() {
    let connection = |local: &str| {
        let line = format!(
            "1795210759.5\tCHhA\t192.0.2.7\t41230\t198.51.100.9\t443\ttcp\tssl\t-\t-\t-\tSF\t-\t{local}0\tShA\t11\t1828\t10\t7959\t(empty)"
        );
        let mut document = parse(&["grok:^%{BRO_CONN}$"], &line);
        [
            "source.port",
            "attributes.source.packets",
            "attributes.destination.bytes",
            "attributes.zeek.connection.local_resp",
        ]
        .map(|name| document.remove(name).unwrap_or_default())
    };
    assert_eq!(connection(""), [json!(41230), json!(11), json!(7959), Value::Null]);
    assert_eq!(connection("T\t"), [json!(41230), json!(11), json!(7959), json!("T")]);
}

#[test]
fn a_message_that_arrives_at_exim_has_its_sender_or_none() {
    let line = "2026-11-20 21:39:19 [1487] 1u5VhP-0000000047d-2Hr2 <= anna@red.example H=(pc-7) [192.0.2.7]:34785 P=esmtps CV=no K S=5678 T=\"all \\\"well\\\"\" from <anna@red.example> for otto@blue.example";
    check(
        &["grok:^%{EXIM}$"],
        line,
        json!({
            "@timestamp": "2026-11-20T21:39:19.000Z", "process.pid": 1487, "message": line,
            "source.ip": "192.0.2.7", "source.port": 34785, "attributes.network.protocol": "esmtps",
            "attributes.exim.log.message.id": "1u5VhP-0000000047d-2Hr2", "attributes.exim.log.flags": "<=",
            "attributes.exim.log.sender.email": "anna@red.example", "attributes.exim.log.remote_address": "pc-7",
            "attributes.exim.log.message.size": 5678, "attributes.exim.log.message.subject": "all \\\"well\\\"",
            "attributes.exim.log.sender.original": "anna@red.example",
            "attributes.exim.log.recipient.email": "otto@blue.example",
        }),
    );
    let bounce = parse(
        &["grok:^%{EXIM}$"],
        "2026-11-20 21:39:19 1u5VhP-2Hr2aa-Af <= <> R=1u5VhP-2Hr2aa-Ab P=local S=1712",
    );
    assert_eq!(bounce["attributes.exim.log.message.size"], json!(1712));
}

#[test]
fn a_line_of_bacula_has_its_time_to_the_minute() {
    let line = "20-Nov 21:39 backup1-sd JobId 7: Warning: bsock.c:140 Could not connect to Client: client1-fd on 192.0.2.7:9102. ERR=timed out";
    check(
        &["grok:^%{BACULA_LOG}"],
        line,
        json!({
            "@timestamp": "2026-11-20T21:39:00.000Z", "host.hostname": "backup1-sd", "message": line,
            "attributes.bacula.job.id": "7", "attributes.bacula.client.name": "client1-fd", "client.address": "192.0.2.7",
            "client.ip": "192.0.2.7", "client.port": 9102, "error.message": "timed out",
        }),
    );
}

#[test]
fn a_command_to_nagios_is_read_to_its_end_and_an_unknown_one_as_a_whole() {
    let command = |text: &str| {
        let mut document =
            parse(&["grok:^%{NAGIOSLOGLINE}"], &format!("[1795210759] EXTERNAL COMMAND: {text}"));
        ["command", "service", "comment", "arguments"]
            .map(|name| document.remove(&format!("attributes.nagios.log.{name}")).unwrap_or_default())
    };
    let none = Value::Null;
    assert_eq!(
        command("DISABLE_SVC_CHECK;web1;HTTP"),
        [json!("DISABLE_SVC_CHECK"), json!("HTTP"), none.clone(), none.clone()],
    );
    assert_eq!(
        command("SCHEDULE_HOST_DOWNTIME;web1;1795210800;1795214400;1;0;3600;anna;new memory"),
        [json!("SCHEDULE_HOST_DOWNTIME"), none.clone(), json!("new memory"), none.clone()],
    );
    assert_eq!(command("DEL_HOST_COMMENT;7"), [json!("DEL_HOST_COMMENT"), none.clone(), none, json!("7")]);
}

/// Numbers in an order that nobody chose (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// A line of the pieces that log lines are made of, in no order.
fn random_line(random: &mut Random, bytes: usize) -> String {
    const PIECES: [&str; 30] = [
        "2026-11-20",
        " ",
        "21:39:19",
        "203.0.113.7",
        "::1",
        "fe80:",
        "\"",
        "\\",
        "/",
        "a",
        "GET",
        "-",
        "[",
        "]",
        "{",
        "}",
        "=",
        "Nov",
        "Fri",
        "4bf92f3577b34da6",
        "%",
        "ä",
        ".",
        "x@y.example",
        "\t",
        "\r",
        "\n",
        "\0",
        "\u{b}",
        "\u{1b}[31m",
    ];
    let mut line = String::new();
    while line.len() < bytes {
        line.push_str(PIECES[random.below(PIECES.len())]);
    }
    line
}

#[test]
fn a_thousand_random_lines_cannot_make_a_pattern_slow() {
    const SEED: u64 = 20_261_121;
    const LINE_BYTES: usize = 300;
    /// Many times what it takes in an unoptimised build: backtracking would need years.
    const PATTERN_TIME_MAX: Duration = Duration::from_secs(5);
    println!("seed {SEED}");
    let mut random = Random(SEED);
    let lines: Vec<String> = (0..1000).map(|_| random_line(&mut random, LINE_BYTES)).collect();
    for name in PatternLibrary::built_in_names() {
        let pattern = patterns(&[&format!("grok:%{{{name}:captured}}")], &PatternLibrary::default());
        let pattern = &pattern.expect("a pattern").0[0];
        let mut locations = pattern.regex.capture_locations();
        let began = Instant::now();
        for line in &lines {
            std::hint::black_box(pattern.regex.captures_read(&mut locations, line));
        }
        let took = began.elapsed();
        assert!(took < PATTERN_TIME_MAX, "{name} took {took:?}");
        if took > Duration::from_millis(500) {
            println!("{name}: {took:?}");
        }
    }
}
