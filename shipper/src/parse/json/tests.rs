use super::super::Format;
use super::super::testing::{check, check_unparsed, parse, quoted_line};

/// Asserts the document of a line whose time of day does not matter.
#[track_caller]
fn json(line: &str, expected: &str) {
    check(Format::Auto, line, expected);
    check(Format::Json, line, expected);
}

#[test]
fn ecs_names_stay_dotted_or_nested() {
    json(
        r#"{"@timestamp":"2026-11-20T21:45:41.656Z","log.level": "INFO","message":"version[9.5.0]", "ecs.version": "1.2.0","service.name":"ES_ECS","event.dataset":"elasticsearch.server","process.thread.name":"main","log.logger":"org.elasticsearch.bootstrap.Elasticsearch","elasticsearch.node.name":"vm"}"#,
        r#"{"@timestamp":"2026-11-20T21:45:41.656Z","log.level":"info","message":"version[9.5.0]","attributes.ecs.version":"1.2.0","SERVICE":"ES_ECS",
           "attributes.event.dataset":"elasticsearch.server","process.thread.name":"main","log.logger":"org.elasticsearch.bootstrap.Elasticsearch","attributes.elasticsearch.node.name":"vm"}"#,
    );
    json(
        r#"{"log":{"level":"error","logger":"a.B","origin":{"file":{"name":"B.java","line":7},"x":[1]}},"trace":{"id":"t1"},"http":{"response":{"status_code":500}},"message":"m","user":{"name":"u","cart":{"n":1}},"host":{"ip":"nowhere"}}"#,
        r#"{"@timestamp":"READ","log.level":"error","log.logger":"a.B","log.origin.file.name":"B.java","log.origin.file.line":7,"attributes.log.origin.x":[1],
           "trace.id":"t1","http.response.status_code":500,"message":"m","user.name":"u","attributes.user.cart":{"n":1},"attributes.host.ip":"nowhere"}"#,
    );
}

#[test]
fn pino_lines_are_read() {
    json(
        r#"{"level":50,"time":1795210759123,"pid":4711,"hostname":"web-1","req":{"id":1,"method":"GET","url":"/cart?id=7","headers":{"host":"x"},"remoteAddress":"::1","remotePort":5000},"res":{"statusCode":500},"err":{"type":"TypeError","message":"x is undefined","stack":"TypeError: x\n    at a"},"responseTime":12.5,"msg":"request failed"}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","process.pid":4711,"host.hostname":"web-1","http.request.id":"1","http.request.method":"GET",
           "url.original":"/cart?id=7","url.path":"/cart","url.query":"id=7","attributes.req.headers":{"host":"x"},"source.ip":"::1","source.port":5000,
           "http.response.status_code":500,"error.type":"TypeError","error.message":"x is undefined","error.stack_trace":"TypeError: x\n    at a","event.duration":12500000,
           "message":"request failed"}"#,
    );
}

#[test]
fn bunyan_lines_name_their_logger() {
    json(
        r#"{"name":"api","hostname":"h","pid":1,"level":30,"msg":"up","time":"2026-11-20T21:39:19.123Z","v":0}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.logger":"api","host.hostname":"h","process.pid":1,"log.level":"info","message":"up","attributes.v":0}"#,
    );
    json(
        r#"{"name":"Ada","msg":"hello"}"#,
        r#"{"@timestamp":"READ","attributes.name":"Ada","message":"hello"}"#,
    );
}

#[test]
fn keys_of_one_letter_are_zaps_only_together() {
    json(
        r#"{"L":"ERROR","T":"2026-11-20T21:39:19.123Z","N":"shop","C":"shop/cart.go:12","M":"declined","error":"no funds","n":{"M":1},"S":"main.main\n\t/a/main.go:7"}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","log.logger":"shop","log.origin.file.name":"shop/cart.go","log.origin.file.line":12,
           "message":"declined","error.message":"no funds","attributes.n":{"M":1},"error.stack_trace":"main.main\n\t/a/main.go:7"}"#,
    );
    for (line, key) in [
        (r#"{"L":"INFO","T":"2026-11-20T21:39:19.123Z"}"#, "L"),
        (r#"{"L":"INFO","M":"x"}"#, "M"),
        (r#"{"L":"left","T":20.5,"M":"x"}"#, "T"),
        (r#"{"L":12,"T":20.5,"M":3}"#, "L"),
        (r#"{"T":20.5,"M":"x","level":"INFO"}"#, "M"),
    ] {
        let document = parse(Format::Auto, line.as_bytes());
        assert!(document.contains_key(&format!("attributes.{key}")), "{line}");
    }
    check_unparsed(Format::Json, r#"{"L":"INFO","T":"2026-11-20T21:39:19.123Z","M":"x","#);
}

#[test]
fn zap_zerolog_slog_and_logrus_lines_are_read() {
    json(
        r#"{"level":"warn","ts":1795210759.1234567,"logger":"db","caller":"store/db.go:42","msg":"slow","latency":"1.5s","error":"timeout"}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.1234567Z","log.level":"warning","log.logger":"db","log.origin.file.name":"store/db.go","log.origin.file.line":42,
           "message":"slow","event.duration":1500000000,"error.message":"timeout"}"#,
    );
    json(
        r#"{"time":"2026-11-20T21:39:19.123456789+01:00","level":"INFO","source":{"function":"main.main","file":"/a/main.go","line":7},"msg":"x","duration":12}"#,
        r#"{"@timestamp":"2026-11-20T20:39:19.123456789Z","log.level":"info","log.origin.function":"main.main","log.origin.file.name":"/a/main.go","log.origin.file.line":7,
           "message":"x","attributes.duration":12}"#,
    );
}

#[test]
fn python_serilog_structlog_and_mongodb_lines_are_read() {
    json(
        r#"{"asctime": "2026-11-20 21:39:19,123", "levelname": "ERROR", "name": "app.views", "message": "a\nb", "exc_info": "Traceback"}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","log.logger":"app.views","message":"a\nb","error.stack_trace":"Traceback"}"#,
    );
    json(
        r#"{"@t":"2026-11-20T21:39:19.1234567Z","@mt":"Hi {Name}","@l":"Warning","@x":"System.Exception","Name":"Ada"}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.1234567Z","message":"Hi Ada","attributes.@mt":"Hi {Name}","log.level":"warning","error.stack_trace":"System.Exception","error.type":"System.Exception","attributes.Name":"Ada"}"#,
    );
    json(
        r#"{"event":"user_created","level":"info","timestamp":"2026-11-20T21:39:19Z","id":7}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"user_created","log.level":"info","attributes.id":7}"#,
    );
    json(
        r#"{"t":{"$date":"2026-11-20T21:39:19.123+00:00"},"s":"I","c":"NETWORK","id":22943,"ctx":"listener","msg":"Connection accepted","attr":{"remote":"127.0.0.1:5"}}"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","log.logger":"NETWORK","attributes.id":22943,"process.thread.name":"listener","message":"Connection accepted","attributes.attr.remote":"127.0.0.1:5"}"#,
    );
}

#[test]
fn trace_headers_are_split_and_kept() {
    json(
        r#"{"msg":"x","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#,
        r#"{"@timestamp":"READ","message":"x","trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","span.id":"00f067aa0ba902b7",
           "attributes.traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#,
    );
    json(
        r#"{"msg":"x","dd":{"trace_id":"123","span_id":456},"b3":"nothing"}"#,
        r#"{"@timestamp":"READ","message":"x","trace.id":"123","span.id":"456","attributes.b3":"nothing"}"#,
    );
}

#[test]
fn a_weak_message_gives_way_to_a_stated_one() {
    json(
        r#"{"event":"login","message":"Ada logged in","text":"t"}"#,
        r#"{"@timestamp":"READ","attributes.event":"login","message":"Ada logged in","attributes.text":"t"}"#,
    );
    json(
        r#"{"log":"a\n","stream":"stdout"}"#,
        r#"{"@timestamp":"READ","message":"a\n","attributes.stream":"stdout"}"#,
    );
}

#[test]
fn a_line_without_a_message_shows_itself() {
    let line = r#"{"level":"info","n":[1,{"a":null}],"empty":{}}"#;
    json(
        line,
        &format!(
            r#"{{"@timestamp":"READ","log.level":"info","attributes.n":[1,{{"a":null}}],"attributes.empty":{{}},"message":{}}}"#,
            quoted_line(line)
        ),
    );
}

#[test]
fn values_that_do_not_fit_stay_attributes() {
    json(
        r#"{"msg":"x","level":"loud","time":"yesterday","pid":"me","status":7,"service":{"id":1},"trace_id":"","thread":3,"tags":"a","latency":12,"log.offset":5,"event.original":"o","error":{"code":7,"hint":"h"}}"#,
        r#"{"@timestamp":"READ","message":"x","attributes.level":"loud","attributes.time":"yesterday","attributes.pid":"me","attributes.status":7,
           "attributes.service.id":1,"attributes.trace_id":"","attributes.thread":3,"attributes.tags":"a","attributes.latency":12,"attributes.log.offset":5,
           "attributes.event.original":"o","error.code":"7","attributes.error.hint":"h"}"#,
    );
}

#[test]
fn arrays_of_words_fit_where_a_word_does() {
    json(
        r#"{"msg":"x","tags":["a","b,\"c"],"event":{"category":["web"]},"user.name":["a",1]}"#,
        r#"{"@timestamp":"READ","message":"x","tags":["a","b,\"c"],"event.category":["web"],"attributes.user.name":["a",1]}"#,
    );
}

#[test]
fn what_stands_twice_is_kept_twice() {
    json(
        r#"{"msg":"a","msg":"b","x":1,"x":2,"level":"info","lvl":"warn","o":{"k":1,"k":2},"p":{"":1},"q":[{"a..b":1}]}"#,
        r#"{"@timestamp":"READ","message":"a","attributes.msg":"b","attributes.x":1,"attributes.x_2":2,"log.level":"info","attributes.lvl":"warn",
           "attributes.o":"{\"k\":1,\"k\":2}","attributes.p":"{\"\":1}","attributes.q":"[{\"a..b\":1}]"}"#,
    );
}

#[test]
fn escapes_and_blanks_are_kept_as_they_are() {
    json(
        " { \"msg\" : \"a\\u00e9\\ud83d\\ude00\\/\\\"\" ,\t\"k\\u0065y\" : [ ] , \"\" : -0.5e+10 , \"a.b\" : true }  ",
        r#"{"@timestamp":"READ","message":"aé😀/\"","attributes.key":[],"attributes._":-0.5e10,"attributes.a.b":true}"#,
    );
    json(
        "{\n \"msg\": \"x\",\n \"o\": {\n  \"a\": 1\n }\n}",
        r#"{"@timestamp":"READ","message":"x","attributes.o":{"a":1}}"#,
    );
}

#[test]
fn what_is_no_json_object_is_kept_as_text() {
    for line in [
        "{",
        "{}x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":'b'}",
        "{a:1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"b",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
        "{\"a\":{\"b\" 1}}",
        "{\"a\":1}{\"b\":2}",
        "{\"a\":nan}",
        "{\"a\":\"\u{1}\"}",
    ] {
        check_unparsed(Format::Json, line);
    }
    for line in ["[1]", "null", "\"text\"", "12", ""] {
        check_unparsed(Format::Json, line);
    }
}

#[test]
fn limits_hold() {
    use weir_record::limits::{DEPTH_MAX, FIELDS_MAX};
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        assert!(!parse(Format::Json, nested(open, close, DEPTH_MAX - 1).as_bytes()).contains_key("tags"));
        check_unparsed(Format::Json, &nested(open, close, DEPTH_MAX));
        check_unparsed(Format::Json, &nested(open, close, 100_000));
    }
    let wide = |fields: usize| {
        format!("{{{}}}", (0..fields).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","))
    };
    assert!(!parse(Format::Json, wide(FIELDS_MAX).as_bytes()).contains_key("tags"));
    check_unparsed(Format::Json, &wide(FIELDS_MAX + 1));
}

/// Whether what the cursor, which is fresh, is over is a whole JSON object.
fn is_object(mut cursor: super::Cursor<'_>) -> bool {
    cursor.blanks();
    cursor.peek() == Some(b'{') && cursor.value(0, &mut Vec::new()).is_some() && cursor.is_at_end()
}

#[test]
fn what_the_cursor_takes_serde_json_takes_and_the_other_way_round() {
    bolero::check!().with_type::<Vec<u8>>().with_iterations(20_000).for_each(|noise| {
        let mut specials = weir_record::scan::Specials::default();
        // Letters of JSON are likelier to make some than any bytes.
        const LETTERS: &[u8] = br#"{}[]:,"\u0012dDef-+.trunlas a"#;
        let text: String =
            noise.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
        for line in [format!("{{{text}}}"), format!("{{\"a\":{text}}}"), format!("{{\"a\":\"{text}\"}}")] {
            let expected = serde_json::from_str::<serde_json::Map<_, _>>(&line).is_ok();
            assert_eq!(is_object(super::Cursor::new(&line)), expected, "{line}");
            specials.read(line.as_bytes());
            assert_eq!(is_object(super::Cursor::seen(&line, &specials)), expected, "{line}, looked through");
        }
    });
}

#[test]
fn time_stamps_are_copied_only_where_they_are_written_as_a_document_writes_them() {
    let check = |text: &str, expected: &str| {
        json(
            &format!(r#"{{"time":"{text}","msg":"x"}}"#),
            &format!(r#"{{"@timestamp":"{expected}","message":"x"}}"#),
        );
    };
    check("2026-11-20T21:39:19.1234Z", "2026-11-20T21:39:19.1234Z");
    check("2026-11-20T21:39:19Z", "2026-11-20T21:39:19.000Z");
    check("2026-11-20T21:39:19.12Z", "2026-11-20T21:39:19.120Z");
    check("2026-11-20T21:39:60.123Z", "2026-11-20T21:40:00.123Z");
    check("2026-11-20 21:39:19.123Z", "2026-11-20T21:39:19.123Z");
    check("2026-11-20T21:39:19,123Z", "2026-11-20T21:39:19.123Z");
    check("2026-11-20T21:39:19.1234567891Z", "2026-11-20T21:39:19.123456789Z");
    check("2026-11-20T21:39:19.123z", "2026-11-20T21:39:19.123Z");
    check("2026/11/20T21:39:19.123Z", "2026-11-20T21:39:19.123Z");
}
