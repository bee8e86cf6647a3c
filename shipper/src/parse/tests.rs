use serde_json::Value;
use weir_record::document::FieldSet;
use weir_record::schema::Field;

use super::testing::{READ_TIME, check, parse, parse_with, read_fragment};
use super::{Format, Parser, ParserSettings};

#[test]
fn invalid_utf8_is_replaced_tagged_and_kept_as_bytes() {
    let document = parse(Format::Auto, b"{\"msg\":\"caf\xe9\",\"n\":1}");
    let expected = serde_json::json!({
        "@timestamp": "2026-11-20T12:00:00.000000000Z", "message": "caf\u{fffd}", "attributes.n": 1,
        "tags": ["invalid_utf8"], "event.original": "eyJtc2ciOiJjYWbpIiwibiI6MX0=",
    });
    assert_eq!(Value::Object(document), expected);
    let words = parse(Format::Auto, b"caf\xe9");
    assert_eq!(
        (&words["message"], &words["tags"]),
        (&"caf\u{fffd}".into(), &serde_json::json!(["unparsed", "invalid_utf8"]))
    );
}

#[test]
fn a_truncated_line_says_how_much_is_missing() {
    let mut out = Vec::new();
    let settings = ParserSettings { reserved: FieldSet::weir_only(), ..ParserSettings::default() };
    Parser::new(&settings).parse(b"2026-11-20 21:39:19 long", READ_TIME, 77, &mut out);
    let document = read_fragment(&out);
    assert_eq!(
        (&document["log.truncated_bytes"], &document["tags"]),
        (&77.into(), &serde_json::json!(["truncated"]))
    );
}

#[test]
fn control_characters_are_escaped() {
    let line = "2026-11-20 21:39:19 a\0b\u{1b}[31mc\td";
    assert_eq!(parse(Format::Auto, line.as_bytes())["message"], Value::from("a\0b\u{1b}[31mc\td"));
}

#[test]
fn fields_of_the_shared_fragment_stay_attributes_of_the_line() {
    let reserved = [Field::ServiceName, Field::HostName].into_iter().collect();
    let mut parser = Parser::new(&ParserSettings { reserved, ..ParserSettings::default() });
    let document = parse_with(&mut parser, br#"{"msg":"x","service":"a","host.name":"h"}"#);
    assert_eq!(
        (&document["attributes.service"], &document["attributes.host.name"]),
        (&"a".into(), &"h".into())
    );
}

#[test]
fn the_lines_of_a_mixed_file_are_told_apart() {
    let mut parser = Parser::new(&ParserSettings::default());
    parser.detect(b"{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n");
    let mut message = |line: &str| parse_with(&mut parser, line.as_bytes())["message"].clone();
    assert_eq!(message(r#"{"msg":"a"}"#), "a");
    assert_eq!(message("2026-11-20 21:39:19 INFO b"), "b");
    assert_eq!(message("level=info msg=c"), "c");
    assert_eq!(message("Nov 20 01:39:19 host app[1]: d"), "d");
    assert_eq!(message(r#"{"msg":"torn"#), r#"{"msg":"torn"#);
}

#[test]
fn a_file_of_syslog_is_read_as_such_where_a_line_alone_is_not_certain() {
    let line = "2026-11-20T21:39:19Z host app: x";
    check(Format::Auto, line, r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"host app: x"}"#);
    let mut parser = Parser::new(&ParserSettings::default());
    parser.detect(b"2026-11-20T21:39:19Z host app[1]: x\n");
    assert_eq!(parse_with(&mut parser, line.as_bytes())["process.name"], "app");
}

#[test]
fn a_file_whose_shape_changes_is_judged_anew() {
    let mut parser = Parser::new(&ParserSettings::default());
    parser.detect(b"{\"msg\":\"a\"}\n");
    let mut detected_after = |line: &str, count: u32| {
        for _ in 0..count {
            parse_with(&mut parser, line.as_bytes());
        }
        parser.detection().expect("judged").format
    };
    assert_eq!(detected_after("Nov 20 01:39:19 host app[1]: d", 31), Format::Json);
    assert_eq!(detected_after(r#"{"msg":"b"}"#, 100), Format::Json);
    assert_eq!(detected_after("Nov 20 01:39:19 host app[1]: d", 31), Format::Json);
    assert_eq!(detected_after("Nov 20 01:39:19 host app[1]: d", 1), Format::Syslog);
    assert_eq!(detected_after("level=info msg=x", 32), Format::Logfmt);
}

#[test]
fn any_bytes_become_a_document_that_has_lost_nothing() {
    let mut parsers: Vec<Parser> = Format::ALL
        .iter()
        .map(|&format| Parser::new(&ParserSettings { format, ..ParserSettings::default() }))
        .collect();
    bolero::check!().with_type::<Vec<u8>>().with_iterations(20_000).for_each(|bytes| {
        for parser in &mut parsers {
            assert_nothing_lost(parser, bytes);
        }
    });
}

#[test]
fn any_pieces_of_real_lines_become_documents_that_have_lost_nothing() {
    const PIECES: &[&str] = &[
        "I1120 21:39:19.123456 7 a.go:1] ",
        "I/key( 7): ",
        ", [2026-11-20T21:39:19.123456 #7] ",
        " -- ",
        "LOG:  ",
        "PHP Warning:  ",
        "7:M 20 Nov 2026 21:39:19.123 * ",
        "# Time: ",
        "# Query_time: 1 ",
        "key=\"",
        "2026-11-20T21:39:19.123+0000 I ",
        "info: a.b.C[7]",
        "\n",
        "Traceback (most recent call last):",
        "panic: ",
        "goroutine 1 [running]:",
        "2026-11-20T21:39:19.123Z",
        "2026-11-20 21:39:19,123",
        "Nov 20 21:39:19",
        "20/Nov/2026:21:39:19 +0100",
        "[",
        "]",
        " ",
        " ",
        " - ",
        "INFO",
        "error:",
        "host",
        "app[1]:",
        "<34>",
        "1 ",
        "\"",
        "\\",
        "{",
        "}",
        ":",
        ",",
        "key=",
        "\"msg\":",
        "\"a\":1",
        "com.x.FooException: y",
        "\n",
        "\tat com.x.Foo",
        "Caused by: z",
        "---",
        "key=host ",
        "msg=m ",
        "level=info ",
        "a=app ",
        "12345",
        "::1",
        "GET / HTTP/1.1",
        "200",
        "é",
        "\u{0}",
        "\\x22",
        "(main)",
        "|",
        "PM",
        "UTC",
        "[a@1 b=\"c\"]",
        "\"log\":{\"level\":\"info\"}",
        "[main]",
        "a.b.C",
        " : ",
        "-",
    ];
    let mut parsers: Vec<Parser> = Format::ALL
        .iter()
        .map(|&format| Parser::new(&ParserSettings { format, ..ParserSettings::default() }))
        .collect();
    bolero::check!().with_type::<Vec<u8>>().with_iterations(20_000).for_each(|choices| {
        let line: String = choices.iter().map(|choice| PIECES[usize::from(*choice) % PIECES.len()]).collect();
        for parser in &mut parsers {
            assert_nothing_lost(parser, line.as_bytes());
            parser.continues(line.as_bytes(), line.as_bytes());
        }
        // The first one is `auto`: the others are told their format.
        parsers[0].detect(line.as_bytes());
    });
}

/// Words of the pieces that are neither a time nor a level: each stands in the document as often as in the record.
const WORDS: &[&str] = &["FooException", "host", "app", "key", "com.x.Foo", "GET", "main", "a.b.C", "Caused"];

/// Asserts that a record's document is valid, and that its text is in it: whole where it was not understood, else each
/// of [`WORDS`].
fn assert_nothing_lost(parser: &mut Parser, record: &[u8]) {
    let mut out = Vec::new();
    let understood = parser.parse(record, READ_TIME, 0, &mut out).understood;
    let document = read_fragment(&out);
    let record = String::from_utf8_lossy(record);
    if !understood {
        assert_eq!(document["message"], Value::from(&*record));
        return;
    }
    let mut text = String::new();
    for (key, value) in document {
        text.push_str(&key);
        push_text(&value, &mut text);
    }
    for word in WORDS {
        assert!(
            text.matches(word).count() >= record.matches(word).count(),
            "{word} of {record:?} in {text:?}"
        );
    }
}

/// Appends every key and text of a value.
fn push_text(value: &Value, text: &mut String) {
    match value {
        Value::String(part) => text.push_str(part),
        Value::Array(parts) => parts.iter().for_each(|part| push_text(part, text)),
        Value::Object(parts) => parts.iter().for_each(|(key, part)| {
            text.push_str(key);
            push_text(part, text);
        }),
        other => text.push_str(&other.to_string()),
    }
    text.push('\n');
}

#[test]
fn an_address_is_typed_only_where_it_is_one_in_every_format() {
    let client = |line: &str| {
        let document = parse(Format::Auto, line.as_bytes());
        let text = |name: &str| document.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        (text("source.ip"), text("source.address"))
    };
    let lines = [
        r#"CLIENT - - [20/Nov/2026:21:39:19 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#,
        r#"{"time":"2026-11-20T21:39:19Z","msg":"x","source.ip":"CLIENT"}"#,
        r#"{"time":"2026-11-20T21:39:19Z","msg":"x","source":{"ip":"CLIENT"}}"#,
        r#"{"time":"2026-11-20T21:39:19Z","msg":"x","remote_addr":"CLIENT"}"#,
        "time=2026-11-20T21:39:19Z level=info msg=x client_ip=CLIENT",
        "CEF:0|v|p|1|7|name|3|src=CLIENT",
    ];
    for line in lines {
        for address in ["203.0.113.7", "2001:db8::1"] {
            let found = client(&line.replace("CLIENT", address));
            assert_eq!(found, (Some(address.to_owned()), None), "{line}");
        }
        for name in ["client.example.org", "203.0.113.777", "fe80::1%eth0"] {
            let found = client(&line.replace("CLIENT", name));
            assert_eq!(found, (None, Some(name.to_owned())), "{line}");
        }
    }
    let both = client(r#"{"time":"2026-11-20T21:39:19Z","msg":"x","source.address":"::1"}"#);
    assert_eq!(both, (Some("::1".to_owned()), Some("::1".to_owned())));
}

#[test]
fn a_url_is_split_in_every_format_as_far_as_the_line_has_its_parts() {
    let url = |line: &str| {
        let document = parse(Format::Auto, line.as_bytes());
        let parts = ["scheme", "domain", "port", "path", "query"];
        let part = |part: &&str| document.get(&format!("url.{part}")).map(ToString::to_string);
        parts.iter().map(|name| part(name).unwrap_or_default().replace('"', "")).collect::<Vec<_>>().join(" ")
    };
    let check = |line: &str, expected: &str| assert_eq!(url(line), expected, "{line}");
    let time = r#""time":"2026-11-20T21:39:19Z","msg":"x""#;
    let whole = "https shop.example.org 8443 /a b=c";
    let target = "https://shop.example.org:8443/a?b=c#d";
    check(
        &format!(r#"1.1.1.1 - - [20/Nov/2026:21:39:19 +0000] "GET {target} HTTP/1.1" 200 1 "-" "-""#),
        whole,
    );
    check(&format!(r#"{{{time},"url":"{target}"}}"#), whole);
    check(&format!("time=2026-11-20T21:39:19Z level=info msg=x url=\"{target}\""), whole);
    check(&format!("CEF:0|v|p|1|7|name|3|request={}", target.replace('=', "\\=")), whole);
    let virtual_host =
        r#"shop.example.org:8443 1.1.1.1 - - [20/Nov/2026:21:39:19 +0000] "GET /a?b=c HTTP/1.1" 200 1"#;
    check(virtual_host, " shop.example.org 8443 /a b=c");
    check(&format!(r#"{{{time},"authority":"[::1]:80","method":"GET","path":"/a"}}"#), " ::1 80 /a ");
    let connect =
        r#"1.1.1.1 - - [20/Nov/2026:21:39:19 +0000] "CONNECT shop.example.org:443 HTTP/1.1" 200 1 "-" "-""#;
    check(connect, " shop.example.org 443  ");
}
