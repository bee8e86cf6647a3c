use super::super::Format;
use super::super::testing::{check, check_unparsed, quoted_line};

#[track_caller]
fn plain(line: &str, expected: &str) {
    check(Format::Auto, line, expected);
    check(Format::Plain, line, expected);
}

#[test]
fn java_patterns_are_read() {
    plain(
        "2026-11-20 21:39:19,123 ERROR [main] com.x.Foo - it broke",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","process.thread.name":"main","log.logger":"com.x.Foo","message":"it broke"}"#,
    );
    plain(
        "2026-11-20 21:39:19.123 [http-nio-8080-exec-1] WARN  c.x.Foo - slow: 5s",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","process.thread.name":"http-nio-8080-exec-1","log.logger":"c.x.Foo","message":"slow: 5s"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123 INFO  [org.jboss.as] (MSC service thread 1-2) WFLYSRV0049: starting",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","process.thread.name":"MSC service thread 1-2","log.logger":"org.jboss.as","message":"WFLYSRV0049: starting"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123 WARN  [com.x.Foo] (again) it broke",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","log.logger":"com.x.Foo","message":"(again) it broke"}"#,
    );
    plain(
        "[2026-11-20T21:45:41,656][INFO ][o.e.b.Elasticsearch      ] [vm] version[9.5.0], pid[3349]",
        r#"{"@timestamp":"2026-11-20T21:45:41.656Z","log.level":"info","log.logger":"o.e.b.Elasticsearch","message":"[vm] version[9.5.0], pid[3349]"}"#,
    );
    plain(
        "[2026-11-20T21:45:59,722][WARN ][stderr                   ] [vm] Nov 20, 2026 9:45:59 PM",
        r#"{"@timestamp":"2026-11-20T21:45:59.722Z","log.level":"warning","log.logger":"stderr","message":"[vm] Nov 20, 2026 9:45:59 PM"}"#,
    );
}

#[test]
fn spring_boot_lines_are_read() {
    plain(
        "2026-11-20T21:39:19.123+01:00  INFO 12345 --- [           main] c.e.demo.DemoApplication                 : Started in 2.1 seconds",
        r#"{"@timestamp":"2026-11-20T20:39:19.123Z","log.level":"info","process.pid":12345,"process.thread.name":"main","log.logger":"c.e.demo.DemoApplication","message":"Started in 2.1 seconds"}"#,
    );
    plain(
        "2026-11-20 21:39:19.123  WARN [orders,4bf92f3577b34da6a3ce929d0e0e4736,00f067aa0ba902b7] 1 --- [nio-8080-exec-1] c.e.OrderController : low stock",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","SERVICE":"orders","trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","span.id":"00f067aa0ba902b7",
           "process.pid":1,"process.thread.name":"nio-8080-exec-1","log.logger":"c.e.OrderController","message":"low stock"}"#,
    );
    plain(
        "2026-11-20T21:39:19.123Z  INFO 1 --- [orders] [nio-8080-exec-1] [4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7] c.e.OrderController : sold",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","SERVICE":"orders","trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","span.id":"00f067aa0ba902b7",
           "process.pid":1,"process.thread.name":"nio-8080-exec-1","log.logger":"c.e.OrderController","message":"sold"}"#,
    );
    // A second name is none of the service's.
    plain(
        "2026-11-20 21:39:19.123  WARN [orders,,,] 1 --- [rs,,,] c.e.OrderController : low stock",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","SERVICE":"orders","process.pid":1,"process.thread.name":"rs,,,",
           "log.logger":"c.e.OrderController","message":"low stock"}"#,
    );
}

#[test]
fn other_programs_lines_are_read() {
    plain(
        "2026-11-20 21:39:19.123 UTC [1234] LOG:  database system is ready",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","process.pid":1234,"log.level":"info","message":"database system is ready"}"#,
    );
    plain(
        "2026-11-20 21:39:19.123 UTC [1234] app@shop ERROR:  relation \"x\" does not exist",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","process.pid":1234,"user.name":"app","attributes.database":"shop","log.level":"error","message":"relation \"x\" does not exist"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123 - app.views - WARNING - low disk",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.logger":"app.views","log.level":"warning","message":"low disk"}"#,
    );
    plain(
        "[2026-11-20T21:39:19Z INFO  my_crate::net] listening",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","log.logger":"my_crate::net","message":"listening"}"#,
    );
    plain(
        "2026-11-20T21:39:19.123456Z  INFO my_crate::net: listening",
        r#"{"@timestamp":"2026-11-20T21:39:19.123456Z","log.level":"info","log.logger":"my_crate::net","message":"listening"}"#,
    );
    plain(
        "2026/11/20 21:39:19 [error] 12/12: *1 open() failed",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","message":"12/12: *1 open() failed"}"#,
    );
    plain(
        "2025-06-24 14:36:25 status installed libc6:amd64",
        r#"{"@timestamp":"2025-06-24T14:36:25.000Z","event.action":"status","attributes.status":"installed","attributes.package":"libc6:amd64","message":"status installed libc6:amd64"}"#,
    );
}

#[test]
fn a_time_stamp_behind_the_start_leaves_the_line_whole() {
    plain(
        "20058:M 20 Nov 2026 22:09:40.762 * Running mode=standalone, port=0.",
        r#"{"@timestamp":"2026-11-20T22:09:40.762Z","process.pid":20058,"attributes.role":"M","log.level":"notice","message":"Running mode=standalone, port=0."}"#,
    );
    plain(
        "shop: 2026-11-20 21:39:19 it broke",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"shop: 2026-11-20 21:39:19 it broke"}"#,
    );
    plain("WARNING: disk", r#"{"@timestamp":"READ","log.level":"warning","message":"WARNING: disk"}"#);
}

#[test]
fn a_level_may_stand_before_the_time() {
    plain(
        "ERROR 2026-11-20 21:39:19 it broke",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","message":"it broke"}"#,
    );
    plain(
        "INFO  [main] 2026-11-20 21:39:19,123 Gossiper.java:42 - joined",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","process.thread.name":"main","log.origin.file.name":"Gossiper.java",
            "log.origin.file.line":42,"message":"joined"}"#,
    );
    plain(
        "Info 2026-11-20 21:39:19 x",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"Info 2026-11-20 21:39:19 x"}"#,
    );
}

#[test]
fn words_that_only_look_like_levels_stay_in_the_message() {
    plain(
        "2026-11-20 21:39:19 error opening file",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"error opening file"}"#,
    );
    plain(
        "2026-11-20 21:39:19 [main] nothing certain",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"[main] nothing certain"}"#,
    );
    plain(
        "2026-11-20 21:39:19 INFO [main] no logger here",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","message":"[main] no logger here"}"#,
    );
}

#[test]
fn a_stack_trace_fills_the_error() {
    let record = "2026-11-20 21:39:19,123 ERROR [main] com.x.Foo - it broke\njava.lang.IllegalStateException: outer: x\n\tat com.x.Foo.bar(Foo.java:1)\nCaused by: java.io.IOException\n\t... 1 more";
    let trace = &record[record.find("java.lang").expect("a trace")..];
    plain(
        record,
        &format!(
            r#"{{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","process.thread.name":"main","log.logger":"com.x.Foo","message":"it broke",
                "error.type":"java.lang.IllegalStateException","error.message":"outer: x","error.stack_trace":{}}}"#,
            quoted_line(trace)
        ),
    );
}

#[test]
fn a_bare_stack_trace_is_understood() {
    let record = "Exception in thread \"main\" java.lang.Error: x\n\tat com.x.Foo.main(Foo.java:1)";
    plain(
        record,
        &format!(
            r#"{{"@timestamp":"READ","message":"Exception in thread \"main\" java.lang.Error: x","error.type":"java.lang.Error","error.message":"x","error.stack_trace":{}}}"#,
            quoted_line(record)
        ),
    );
}

#[test]
fn continuation_lines_without_a_trace_stay_in_the_message() {
    plain(
        "2026-11-20 21:39:19.123 UTC [12] LOG:  statement: SELECT\n\t  1",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","process.pid":12,"log.level":"info","message":"statement: SELECT\n\t  1"}"#,
    );
}

#[test]
fn words_are_kept_as_text() {
    for line in ["hello world", "  indented", "", "2026", "Font directories:", "at the end"] {
        check_unparsed(Format::Auto, line);
        check_unparsed(Format::Plain, line);
    }
}

#[test]
fn a_time_as_a_power_of_ten_keeps_its_digits() {
    check(
        Format::Auto,
        "1.7952107900001234567e+09\tINFO\tsetup\tstarting {x}\t{\"a\":1,\"level\":2}",
        r#"{"@timestamp":"2026-11-20T21:39:50.000123456Z","log.level":"info","log.logger":"setup","message":"starting {x}",
           "attributes.a":1,"attributes.level":2}"#,
    );
}

#[test]
fn objects_behind_a_message_are_taken_only_where_they_are_whole() {
    let check = |rest: &str, expected: &str| {
        let line = format!("[2026-11-20 21:39:19] app.INFO: {rest}");
        check(
            Format::Auto,
            &line,
            &format!(
                r#"{{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","log.logger":"app",{expected}}}"#
            ),
        );
    };
    check(r#"a {"b":1} [] "#, r#""message":"a","attributes.b":1"#);
    check(r#"a {"b":1} {"b":2}"#, r#""message":"a","attributes.b":1,"attributes.b_2":2"#);
    check(r#"a {"b":1} c"#, r#""message":"a {\"b\":1} c""#);
    check(r#"a {"b":1"#, r#""message":"a {\"b\":1""#);
    check(r#"{"b":1} []"#, r#""message":"{\"b\":1} []""#);
    check(r#"a [1] {"b":[]}"#, r#""message":"a [1]","attributes.b":[]"#);
}

#[test]
fn durations_of_all_kinds_are_lifted() {
    for (value, nanos) in
        [("1m30s", 90_000_000_000_i64), ("PT1.5S", 1_500_000_000), ("00:00:01.5000000", 1_500_000_000)]
    {
        plain(
            &format!("2026-11-20 21:39:19 INFO done duration={value}"),
            &format!(
                r#"{{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","message":"done duration={value}","event.duration":{nanos}}}"#
            ),
        );
    }
}

#[test]
fn what_was_read_of_a_damaged_header_stays_where_another_part_takes_its_place() {
    for (line, words) in [
        ("2026-11-20T21:39:19.123-08:00[America/Los_Angeles] s] INFO com.x.Shop - a", &["Los_Angeles"][..]),
        ("[2026-11-20 21:39:28.393  INFO [orders,,] 1 --- [  main] c.s.Boot : no ids", &["orders"]),
        ("[,2026-11-20T21:39:27,901][WARN ][x] 763 ERROR 9 --- [nio-2] c.s.Routes : refused", &["39:27,901"]),
        (
            "2026-11-20 21:39:37.626  WARN [gateway,0af7651916cd43dd8448eb211c80319c,b7ad6b7169203336] 9 --- [cto] [4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7] com.shop.Cart : low stock",
            &["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"],
        ),
    ] {
        let document = serde_json::Value::Object(super::super::testing::parse(Format::Auto, line.as_bytes()))
            .to_string();
        for word in words {
            assert!(document.contains(word), "{word} of {line} is not in {document}");
        }
    }
}

#[test]
fn what_is_known_of_a_job_is_read_to_its_blanks_alone() {
    plain(
        "2026-11-20T21:39:19.123Z pid=7 tid=gsu3 class=A\u{c}B elapsed=1.5 INFO: done",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","process.pid":7,"process.thread.name":"gsu3","attributes.class":"A\fB","event.duration":1500000000,
           "log.level":"info","message":"done"}"#,
    );
    plain(
        "2026-11-20T21:39:19.123Z pid=7\ttid=gsu3 INFO: up",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","attributes.pid":7,"attributes.tid":"gsu3","message":"pid=7\ttid=gsu3 INFO: up"}"#,
    );
}

#[test]
fn places_in_code_are_told_from_hosts_with_their_ports() {
    plain(
        "2026-11-20 21:39:19 ERROR db.example.com:5432 - refused",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","message":"db.example.com:5432 - refused"}"#,
    );
    plain(
        "2026-11-20T21:39:19Z [WARN] cache.shop.internal: no answer",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"warning","message":"cache.shop.internal: no answer"}"#,
    );
    plain(
        "2026-11-20 21:39:19 ERROR mail.example.pl:25 - refused",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","log.logger":"mail.example.pl","log.origin.file.line":25,"message":"refused"}"#,
    );
    plain(
        "2026-11-20 21:39:19 ERROR shop.cart:12 - refused",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","log.logger":"shop.cart","log.origin.file.line":12,"message":"refused"}"#,
    );
    plain(
        "2026-11-20 21:39:19 ERROR shop/cart.test.ts:12 - refused",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","log.origin.file.name":"shop/cart.test.ts","log.origin.file.line":12,"message":"refused"}"#,
    );
    plain(
        "2026-11-20 21:39:19.123 [DEBUG][4711] shop/cart.go 434: added item=7",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"debug","process.pid":4711,"log.origin.file.name":"shop/cart.go","log.origin.file.line":434,
           "message":"added item=7","attributes.item":7}"#,
    );
}

#[test]
fn loggers_stand_in_places_of_their_own() {
    plain(
        "[2026-11-20 21:39:19.123][shop::cart::api][ERROR] gone",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"error","log.logger":"shop::cart::api","message":"gone"}"#,
    );
    plain(
        "[2026-11-20][21:39:19][shop::cart][INFO] added",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","log.logger":"shop::cart","message":"added"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123 shop.filter         [42]: NOTICE  [web] found 192.0.2.14",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"notice","log.logger":"shop.filter","process.pid":42,"message":"[web] found 192.0.2.14"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123::WARNING::[cart:657] low",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","log.logger":"cart","log.origin.file.line":657,"message":"low"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123::INFO::shop.cart::added",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","log.logger":"shop.cart","message":"added"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123::INFO::added to cart",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","message":"added to cart"}"#,
    );
    plain(
        "2026-11-20 21:39:19 :: ERROR :: shop.cart :: failed",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"error","log.logger":"shop.cart","message":"failed"}"#,
    );
    plain(
        "2026-11-20 21:39:19,123 shop.filterpyinotify[42]: INFO    created",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"info","log.logger":"shop.filterpyinotify","process.pid":42,"message":"created"}"#,
    );
    plain(
        "[2026-11-20 21:39:19,123]  WARN {cps.web:1475} failed",
        r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","log.logger":"cps.web","log.origin.file.line":1475,"message":"failed"}"#,
    );
    // A remark is no process.
    plain(
        "2026-11-20 21:39:19 shop.filter [42]: found",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"shop.filter [42]: found"}"#,
    );
}

#[test]
fn a_time_may_end_with_a_colon_behind_its_offset() {
    plain(
        "2026-11-20T22:39:19+01:00: failed for root",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"failed for root"}"#,
    );
    plain(
        "[20261120-21:39:19] [INFO ] started",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","log.level":"info","message":"started"}"#,
    );
}
