use super::*;

fn check(lines: &[&str], expected: &[usize]) {
    let mut joiner = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Auto);
    let mut records: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match records.last_mut() {
            Some((open, count)) if joiner.continues(open.as_bytes(), line.as_bytes()) => {
                open.push('\n');
                open.push_str(line);
                *count += 1;
            }
            _ => records.push(((*line).to_owned(), 1)),
        }
    }
    let counts: Vec<usize> = records.iter().map(|record| record.1).collect();
    assert_eq!(counts, expected, "{records:?}");
}

#[test]
fn a_stack_trace_goes_on_its_log_line() {
    check(
        &[
            "2026-11-20 21:39:19,123 ERROR [main] com.x.Foo - failed",
            "java.lang.IllegalStateException: outer",
            "\tat com.x.Foo.bar(Foo.java:1)",
            "\tSuppressed: java.io.IOException: close",
            "\t\tat com.x.Foo.close(Foo.java:9)",
            "Caused by: java.io.IOException: inner",
            "\tat com.x.Foo.baz(Foo.java:2)",
            "\t... 1 more",
            "2026-11-20 21:39:19,124 INFO [main] com.x.Foo - next",
        ],
        &[8, 1],
    );
}

#[test]
fn colours_are_seen_through() {
    check(
        &[
            "\x1b[2m2026-11-20 21:39:19.223\x1b[0;39m \x1b[31mERROR\x1b[0;39m gone",
            "\x1b[31mjava.io.IOException: x",
            "\tat a.B.c(B.java:1)\x1b[0m",
            "\x1b[2m2026-11-20 21:39:19.224\x1b[0;39m \x1b[32mINFO\x1b[0;39m next",
        ],
        &[3, 1],
    );
    let mut keeping = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Keep);
    assert!(!keeping.continues(b"\x1b[2m2026-11-20 21:39:19.223\x1b[0;39m gone", b"  indented"));
}

#[test]
fn a_trace_without_a_log_line_is_a_record() {
    check(
        &["Exception in thread \"main\" java.lang.Error: x", "\tat com.x.Foo.main(Foo.java:1)", "hello"],
        &[2, 1],
    );
}

#[test]
fn strangers_are_not_glued_together() {
    check(&["2026-11-20 21:39:19 INFO a", "plain words", "more words"], &[1, 1, 1]);
    check(&["{\"msg\":\"a\"}", "\tat com.x.Foo", "{\"msg\":\"b\"}"], &[1, 1, 1]);
    check(
        &["::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5", "\tat com.x.Foo", "  indented"],
        &[1, 1, 1],
    );
    check(&["Nov 20 21:39:19 host app[1]: x", "\tat com.x.Foo"], &[1, 1]);
    check(&["words", "java.lang.IllegalStateException: x", "words", "  indented"], &[1, 1, 1, 1]);
}

#[test]
fn indented_lines_go_on_a_line_with_a_time_stamp() {
    check(&["2026-11-20 21:39:19.123 UTC [12] LOG:  statement: SELECT", "\t  1", "\tFROM x"], &[3]);
}

#[test]
fn a_record_ends_at_the_limit_of_lines() {
    let mut lines = vec!["2026-11-20 21:39:19 ERROR x"];
    lines.resize(2 * LINES_MAX, "\tat com.x.Foo");
    // What follows the cut is a record of frames alone.
    check(&lines, &[LINES_MAX, LINES_MAX]);
}

#[test]
fn nothing_is_joined_where_nothing_was_asked_for() {
    for (multiline, format) in [(Preset::None, Format::Auto), (Preset::Auto, Format::Plain)] {
        let mut joiner = Joiner::new(&Multiline::Preset(multiline), format, Ansi::Auto);
        assert!(!joiner.continues(b"2026-11-20 21:39:19 ERROR x", b"\tat com.x.Foo"));
        assert!(!joiner.may_continue(b"2026-11-20 21:39:19 ERROR x"));
    }
}

#[test]
fn only_plain_records_may_go_on() {
    let mut joiner = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Auto);
    assert!(joiner.may_continue(b"2026-11-20 21:39:19 ERROR x"));
    assert!(!joiner.may_continue(b"{\"msg\":\"a\"}"));
    assert!(!joiner.may_continue(b"::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5"));
}

/// Asserts that all lines are one record, and that another one after them is not of it.
#[track_caller]
fn one(event: &str) {
    let lines: Vec<&str> = event.lines().chain(["2026-11-20 21:39:20 INFO next"]).collect();
    let mut joined = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Auto);
    let mut open = lines[0].to_owned();
    for (at, line) in lines.iter().enumerate().skip(1) {
        let expected = at + 1 < lines.len();
        let mut fresh = Joiner::new(&Multiline::default(), Format::Auto, Ansi::Auto);
        let goes_on = joined.continues(open.as_bytes(), line.as_bytes());
        assert_eq!(goes_on, expected, "line {at}: {line:?} of\n{event}");
        assert_eq!(
            fresh.continues(open.as_bytes(), line.as_bytes()),
            goes_on,
            "a joiner that saw nothing before"
        );
        assert!(!expected || fresh.may_continue(open.as_bytes()), "may go on: {open}");
        open.push('\n');
        open.push_str(line);
    }
}

#[test]
fn pythons_tracebacks_are_one_event_chained_ones_too() {
    one(
        "2026-11-20 21:39:19,123 ERROR app it broke\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 3, in f\n    g()\n    ~^^\n  File \"/srv/app.py\", line 9, in g\n    raise KeyError('a')\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 5, in f\n    raise ValueError('b')\nValueError: b",
    );
    one(
        "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\npydantic.ValidationError: 1 validation error\n  Input should be a number",
    );
    one(
        "2026-11-20 21:39:19 [ERROR] Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\nKeyboardInterrupt",
    );
}

#[test]
fn gos_panics_and_dumps_of_goroutines_are_one_event() {
    one(
        "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:9 +0x1d\n\ngoroutine 18 [chan receive, 2 minutes]:\nnet/http.(*Server).Serve(0xc0000a2000, {0x6f8e20, 0xc00000e0c0})\n\t/usr/lib/go/src/net/http/server.go:3056 +0x364\ncreated by main.start in goroutine 1\n\t/srv/main.go:30 +0x65\nexit status 2",
    );
    one(
        "2026/11/20 21:39:19 http: panic serving 127.0.0.1:5501: oops\ngoroutine 19 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/lib/go/src/net/http/server.go:1868 +0xb9\npanic({0x5f1340?, 0x6c5e50?})\n\t/usr/lib/go/src/runtime/panic.go:920 +0x270",
    );
    one(
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/srv/main.go:5 +0x1d",
    );
}

#[test]
fn javascripts_errors_are_one_event() {
    one(
        "/srv/app.js:10\n    throw new TypeError('x');\n    ^\n\nTypeError: x\n    at f (/srv/app.js:10:11)\n    at Module._compile (node:internal/modules/cjs/loader:1254:14) {\n  code: 'E_X',\n  [cause]: Error: y\n      at g (/srv/app.js:4:9)\n}\n\nNode.js v20.1.0",
    );
    one(
        "request failed: Error: connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {\n  errno: -111,\n  code: 'ECONNREFUSED'\n}",
    );
}

#[test]
fn exceptions_of_ruby_php_and_dotnet_are_one_event() {
    one("app.rb:3:in `f': gone (RuntimeError)\n\tfrom app.rb:7:in `<main>'");
    one(
        "E, [2026-11-20T21:39:19.123456 #42] ERROR -- : gone (RuntimeError)\napp.rb:3:in 'Foo#f'\n/usr/lib/ruby/x.rb:12:in 'block in g'",
    );
    one(
        "[20-Nov-2026 21:39:19 UTC] PHP Fatal error:  Uncaught RuntimeException: gone in /srv/a.php:3\nStack trace:\n#0 /srv/b.php(12): f()\n#1 {main}\n  thrown in /srv/a.php on line 3",
    );
    one(
        "[2026-11-20 21:39:19] production.ERROR: gone {\"exception\":\"[object] (RuntimeException(code: 0): gone at /srv/a.php:3)\n[stacktrace]\n#0 /srv/b.php(12): f()\n#1 {main}\n\"}",
    );
    one(
        "fail: Microsoft.AspNetCore.Server.Kestrel[13]\n      Connection id \"0HM\", Request id \"0HM:1\": An unhandled exception was thrown.\n      System.InvalidOperationException: gone\n         at Shop.Cart.Add() in /src/Cart.cs:line 12\n         --- End of inner exception stack trace ---",
    );
    one(
        "Unhandled exception. System.AggregateException: One or more errors ---> System.IO.IOException: gone\n   at Shop.Program.Main() in /src/Program.cs:line 5\n   --- End of inner exception stack trace ---\n   at Shop.Program.<Main>(String[] args)",
    );
}

#[test]
fn rusts_panics_are_one_event() {
    one(
        "thread 'main' panicked at src/main.rs:4:5:\nindex out of bounds: the len is 3\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/x/library/std/src/panicking.rs:645:5\nnote: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
    );
    one(
        "thread 'tokio-runtime-worker' (4711) panicked at src/main.rs:4:5:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    );
    one(
        "Error: cannot read the file\n\nCaused by:\n    0: open\n    1: No such file or directory (os error 2)",
    );
}

#[test]
fn objects_statements_and_pairs_of_lines_are_one_event() {
    one("{\n  \"a\": [\n    1,\n    \"}\"\n  ],\n  \"b\": { \"c\": \"\\\"{\" }\n}");
    one(
        "2026-11-20 21:39:19.123 UTC [42] LOG:  duration: 12 ms  statement: SELECT *\n\tFROM orders\n\tWHERE id = 1",
    );
    one(
        "# Time: 2026-11-20T21:39:19.123456Z\n# User@Host: app[app] @ localhost []  Id:     8\n# Query_time: 2.000202  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 0\nuse shop;\nSET timestamp=1795210759;\nSELECT *\nFROM orders;",
    );
    one(
        "Nov 20, 2026 9:39:19 PM org.apache.catalina.startup.HostConfig deployWAR\nSEVERE: gone\njava.io.IOException: disk\n\tat com.x.Foo.bar(Foo.java:1)",
    );
}

#[test]
fn two_writers_of_one_file_are_kept_apart() {
    check(
        &[
            "Traceback (most recent call last):",
            "  File \"x.py\", line 1",
            "2026-11-20 21:39:19 INFO a",
            "KeyError: 'a'",
        ],
        &[2, 1, 1],
    );
    check(&["panic: x", "", "{\"msg\":\"a\"}", "goroutine 1 [running]:"], &[2, 1, 1]);
    check(&["{", "  \"a\": 1", "2026-11-20 21:39:19 INFO a", "}"], &[2, 1, 1]);
    check(
        &[
            "# Time: 2026-11-20T21:39:19Z",
            "# User@Host: a",
            "SELECT 1;",
            "# Time: 2026-11-20T21:39:20Z",
            "# User@Host: b",
            "SELECT 2;",
        ],
        &[3, 3],
    );
    check(&["2026-11-20 21:39:19 INFO a", "panic: x", "", "goroutine 1 [running]:"], &[1, 3]);
    check(
        &[
            "info: Shop.Pay[0]",
            "      a",
            "Unhandled exception. System.Exception: b",
            "   at C.D() in e.cs:line 5",
        ],
        &[2, 2],
    );
    check(
        &[
            "2026-11-20 21:39:19 INFO a",
            "Exception in thread \"main\" java.io.IOException: b",
            "\tat c.D.e(D.java:1)",
        ],
        &[1, 2],
    );
    check(&["Nov 20, 2026 9:39:19 PM a.B c", "hello", "INFO: d"], &[1, 1, 1]);
    check(&["thread 'main' panicked at src/main.rs:4:5:", "{\"msg\":\"a\"}", "note: x"], &[1, 1, 1]);
}

#[test]
fn frames_behind_a_line_that_tells_of_no_error_are_of_another_writer() {
    check(&["2026-11-20 21:39:19 INFO fine", "\tat c.D.e(D.java:1)", "\tat c.D.f(D.java:2)"], &[1, 2]);
    check(&["level=info msg=fine", "    at f (/srv/app.js:1:2)"], &[1, 1]);
    check(&["2026-11-20 21:39:19 INFO stack trace:", "\tat c.D.e(D.java:1)"], &[2]);
    check(&["2026-11-20 21:39:19 WARN slow", "\tat c.D.e(D.java:1)"], &[2]);
    check(&["Trace: here", "    at f (/srv/app.js:1:2)"], &[2]);
}

#[test]
fn what_an_exception_says_may_go_on_over_lines_of_any_text() {
    one(
        "2026-11-20 21:39:19,123 ERROR app it broke\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 3, in f\n    raise error\npydantic.error_wrappers.ValidationError: 2 validation errors for Order\nprice\n  value is not a valid float (type=type_error.float)\ncount\n  field required (type=value_error.missing)",
    );
    one(
        "2026-11-20 21:39:19,123 ERROR db it broke\nTraceback (most recent call last):\n  File \"/srv/db.py\", line 3, in f\n    run(sql)\npsycopg2.errors.UndefinedTable: relation \"orders\" does not exist\nLINE 1: SELECT * FROM orders\n                      ^\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"/srv/db.py\", line 9, in g\n    raise\nsqlalchemy.exc.ProgrammingError: relation \"orders\" does not exist\nLINE 1: SELECT * FROM orders\n\n[SQL: SELECT * FROM orders]\n(Background on this error at: https://sqlalche.me/e/20/f405)",
    );
    one(
        "2026-11-20 21:39:19.123 ERROR [main] a.B - gone\njava.lang.IllegalStateException: one\ntwo\n  Position: 3\nfour: five\n\tat a.B.c(B.java:1)\nCaused by: java.sql.SQLException: six\nseven\n\tat d.E.f(E.java:2)\n\t... 2 more",
    );
    one(
        "2026-11-20 21:39:19.123 ERROR a.B - gone: java.io.IOException: one\n\tat a.B.c(B.java:1)\nCaused by: java.sql.SQLException: two\nthree\n\tat d.E.f(E.java:2)",
    );
    one(
        "2026-11-20 21:39:19.123 [ERR] A.B: gone\nSystem.AggregateException: one\n(two)\n ---> System.IO.IOException: three\nfour\n   at A.B.C() in /a.cs:line 1\n   --- End of inner exception stack trace ---\n   at A.D()",
    );
}

#[test]
fn what_an_exception_says_ends_where_another_event_begins() {
    const HEAD: [&str; 2] = ["2026-11-20 21:39:19 ERROR a.B - gone", "java.io.IOException: one"];
    for other in [
        "{\"msg\":\"a\"}",
        "INFO words",
        "level=info msg=words",
        "Traceback (most recent call last):",
        "panic: x",
        "java.io.IOException: two",
        "I1120 21:39:19.123456       1 a.go:77] x",
        "::1 - - [20/Nov/2026:21:39:19 +0000] \"GET / HTTP/1.0\" 200 5",
        "",
    ] {
        check(&[HEAD[0], HEAD[1], "said", other], &[3, 1]);
    }
    // Endless text is another writer's.
    let mut lines = HEAD.to_vec();
    lines.resize(100, "words");
    let mut expected = vec![52];
    expected.resize(49, 1);
    check(&lines, &expected);
    // So is what follows an exception that nobody has told of.
    check(
        &["Traceback (most recent call last):", "  File \"x.py\", line 1", "KeyError: 'a'", "words"],
        &[3, 1],
    );
}

#[test]
fn a_report_behind_a_line_without_a_text_is_of_it() {
    one(
        "2026-11-20T21:39:19.123Z ERROR 7 --- [main] o.s.b.d.LoggingFailureAnalysisReporter   : \n\n***************************\nAPPLICATION FAILED TO START\n***************************\n\nDescription:\n\nWeb server failed to start. Port 8080 was already in use.\n\nAction:\n\nStop the process that listens on port 8080.\n",
    );
    check(&["2026-11-20 21:39:19 INFO a :", "words"], &[1, 1]);
    check(&["2026-11-20 21:39:19 INFO a : b", "", "words"], &[1, 1, 1]);
}

#[test]
fn objects_may_begin_with_a_member_or_behind_text() {
    one("{ \"a\": 1,\n  \"b\": 2\n}");
    one("2026-11-20 21:39:19 INFO response: {\n  \"a\": [\n    1\n  ]\n}");
    one("response {\n  a: 1\n}");
    // What cannot stand inside of an object is of another writer.
    check(&["{\"a\": 1,", "hello", "{\"b\": 2}"], &[1, 1, 1]);
    check(&["{", "{\"b\": 2}", "words"], &[1, 1, 1]);
}

#[test]
fn a_statement_goes_on_with_its_clauses() {
    one("2026-11-20 21:39:19 DEBUG sql - SELECT *\nFROM orders\nWHERE id = 1\nAND x = 2\nORDER BY id");
    one("Hibernate: \n    select\n        id\n    from\n        orders");
    check(&["2026-11-20 21:39:19 INFO a", "AND so on", "from here"], &[1, 1, 1]);
    let mut told = Joiner::new(&Multiline::Preset(Preset::Sql), Format::Auto, Ansi::Auto);
    let mut open = String::from("2026-11-20T21:39:19.123456Z\t    8 Query\tSELECT");
    for line in ["id,", "name", "from orders"] {
        assert!(told.continues(open.as_bytes(), line.as_bytes()), "{line}");
        open = format!("{open}\n{line}");
    }
    assert!(!told.continues(open.as_bytes(), b"2026-11-20T21:39:20.123456Z\t    8 Quit"));
}

#[test]
fn traces_of_zap_klog_and_dumps_of_java_are_one_event() {
    one(
        "2026-11-20T21:39:19.123Z\tERROR\ta.go:3\tgone\t{\"a\": 1}\nsigs.k8s.io/a/b.(*Controller).Start.func2.2\n\t/go/pkg/mod/a@v0.14/b.go:235\nmain.main\n\t/srv/main.go:9",
    );
    check(&["\"GC Thread\" os_prio=0", "System.InvalidOperationException: x"], &[1, 1]);
    check(&["2026-11-20T21:39:19.123Z\tINFO\ta.go:3\tfine", "main.main", "\t/srv/main.go:9"], &[1, 1, 1]);
    check(&["2026-11-20T21:39:19.123Z\tERROR\ta.go:3\tgone", "words of another"], &[1, 1]);
    one(
        "E1120 21:39:19.123456       1 runtime.go:77] Observed a panic: x\ngoroutine 12 [running]:\nmain.f({0x1, 0x2})\n\t/go/x.go:75 +0x85",
    );
    one(
        "\"main\" #1 prio=5 os_prio=0 tid=0x1 waiting on condition\n   java.lang.Thread.State: TIMED_WAITING (sleeping)\n\tat java.lang.Thread.sleep(Native Method)\n\t- waiting on <0x1> (a java.lang.Object)\n\tat A.main(A.java:1)",
    );
    one(
        "System.InvalidOperationException: x\n ---> System.IO.IOException: inner\n   at A.B() in /a.cs:line 1\n   --- End of inner exception stack trace ---\n   at C.D()",
    );
    one("terminate called after throwing an instance of 'std::runtime_error'\n  what():  x");
}

#[test]
fn own_patterns_tell_where_events_begin_and_go_on() {
    let joined = |start: Option<&str>, continues: Option<&str>, lines: &[&str]| {
        let own = OwnLines::new(start, continues).expect("patterns");
        let mut joiner = Joiner::new(&Multiline::Own(Arc::new(own)), Format::Json, Ansi::Auto);
        let mut open = lines[0].to_owned();
        let goes_on = |line: &&&str| {
            let goes_on = joiner.continues(open.as_bytes(), line.as_bytes());
            open = if goes_on { format!("{open}\n{line}") } else { (**line).to_owned() };
            goes_on
        };
        lines[1..].iter().filter(goes_on).count()
    };
    assert_eq!(joined(Some("^BEGIN"), None, &["BEGIN 1", "a", "b", "BEGIN 2", "c"]), 3);
    assert_eq!(joined(None, Some(r"^\+"), &["a", "+b", "c", "+d"]), 2);
    assert_eq!(joined(Some("^BEGIN"), Some("^[a-z]"), &["BEGIN", "a", "1", "b"]), 2);
    assert_eq!(joined(Some("^BEGIN"), None, &vec!["a"; LINES_MAX + 5]), LINES_MAX + 3);
    assert!(OwnLines::new(Some("("), None).is_err());
}

#[test]
fn monologs_chain_of_exceptions_is_one_event() {
    check(
        &[
            r#"[2026-11-20 21:43:05] production.ERROR: Order lost {"exception":"[object] (Lost(code: 0): x at /srv/a.php:12)"#,
            "[stacktrace]",
            "#0 /srv/b.php(12): f()",
            "#1 {main}",
            "",
            "[previous exception] [object] (PDOException(code: 2002): Connection refused at /srv/c.php:41)",
            "[stacktrace]",
            "#0 {main}",
            "\"} ",
            "[2026-11-20 21:43:06] production.INFO: found again",
        ],
        &[9, 1],
    );
}

#[test]
fn a_trace_goes_on_a_line_that_a_script_has_dated() {
    check(
        &[
            "Fri Nov 20 21:39:19 CET 2026 import failed",
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1, in <module>",
            "ValueError: x",
            "Fri 20 Nov 2026 09:39:20 PM CET done",
        ],
        &[4, 1],
    );
}

#[test]
fn what_vmware_writes_behind_an_arrow_goes_on() {
    check(
        &[
            "2026-11-20T21:39:19.498Z warning vpxd[47756] [Originator@6876 sub=drm] Exception was thrown: (Fault cause",
            "--> )",
            "-->",
            "2026-11-20T21:39:20.498Z info vpxd[47756] [Originator@6876 sub=drm] next",
        ],
        &[3, 1],
    );
}

#[test]
fn lines_below_a_bare_time_are_of_it() {
    check(
        &[
            "2026-11-20T21:39:19.123456+01:00",
            "Thread 1 advanced to log sequence 42",
            "",
            "ORA-00600: internal error",
            "Fri Nov 20 21:39:20 2026",
            "Archived Log entry 7",
            "Fri Nov 20 21:39:21 CET 2026",
            "backup started",
            "{\"msg\":\"of another\"}",
            "2026-11-20 21:39:22 INFO",
            "whose is this",
        ],
        &[4, 2, 2, 1, 1, 1],
    );
}

#[test]
fn a_trace_of_clickhouse_goes_on_its_log_line() {
    check(
        &[
            "2026.11.20 21:39:19.123456 [ 847 ] {} <Error> cart: Code: 60. DB::Exception: gone, Stack trace (when copying this message, always include the lines below):",
            "",
            "0. DB::Exception::Exception(int, bool) @ 0x000000000c61ff37 in /usr/bin/clickhouse",
            "1. ? @ 0x00000000070b8ea7 in /usr/bin/clickhouse",
            " (version 23.8.2.7 (official build))",
            "2026.11.20 21:39:19.123457 [ 848 ] {} <Information> Application: ready",
        ],
        &[5, 1],
    );
}

#[test]
fn a_value_of_postgresqls_csvlog_may_have_several_lines() {
    check(
        &[
            r#"2026-11-20 21:39:19.123 UTC,"app","shop",42,,65f1.2a,1,"SELECT",,3/7,0,ERROR,42P01,"gone",,,,,,"select *"#,
            "",
            r#"from "carts"",15,,"psql""#,
            r#"2026-11-20 21:39:19.124 UTC,,,1,,65f1.1,1,,,,0,LOG,00000,"ready",,,,,,,,,"""#,
        ],
        &[3, 1],
    );
}
