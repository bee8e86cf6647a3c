use super::*;

#[test]
fn exceptions_are_known_by_their_class() {
    let class = |line| exception_header(line).map(|error| (error.class, error.message));
    assert_eq!(
        class("java.lang.IllegalStateException: a: b"),
        Some(("java.lang.IllegalStateException", Some("a: b")))
    );
    assert_eq!(class("java.lang.OutOfMemoryError"), Some(("java.lang.OutOfMemoryError", None)));
    assert_eq!(class("com.x.Outer$InnerException:"), Some(("com.x.Outer$InnerException", None)));
    assert_eq!(
        class("Exception in thread \"main\" java.io.IOException: gone"),
        Some(("java.io.IOException", Some("gone")))
    );
    for line in
        ["Error: it broke", "the.end Exception: x", "com.x.foo: bar", "www.example.com: down", "", "a..Error"]
    {
        assert_eq!(class(line), None, "{line}");
    }
}

#[test]
fn frames_are_known_by_their_shape() {
    for line in [
        "\tat com.x.Foo.bar(Foo.java:1)",
        "    at x",
        "\t... 12 more",
        "\t... 2 common frames omitted",
        "Caused by: x",
        "\tSuppressed: x",
    ] {
        assert!(is_frame(line.as_bytes()), "{line}");
    }
    for line in ["at the end", "... 12 more", "caused by: x", "  and so on", "", "\t"] {
        assert!(!is_frame(line.as_bytes()), "{line}");
    }
}

/// Asserts what error a record tells of, and where its trace begins.
#[track_caller]
fn check(record: &str, class: &str, message: &str, start: &str) {
    let trace = find(record).expect("a trace");
    let error = trace.error.expect("an error");
    assert_eq!((error.class, error.message.unwrap_or_default()), (class, message), "{record}");
    assert!(record[trace.start..].starts_with(start), "the trace begins at {:?}", &record[trace.start..]);
}

#[test]
fn errors_of_many_languages_are_read() {
    check(
        "it broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 2, in f\napp.BadError: b",
        "app.BadError",
        "b",
        "Traceback",
    );
    check("panic: oops [recovered]\n\ngoroutine 1 [running]:\nmain.main()", "panic", "oops", "panic: ");
    check(
        "http: panic serving 127.0.0.1:5501: oops\ngoroutine 1 [running]:\nmain.main()",
        "panic",
        "oops",
        "goroutine 1",
    );
    check("fatal error: all asleep\n\ngoroutine 1 [select]:", "fatal error", "all asleep", "fatal error");
    check(
        "thread 'main' panicked at src/main.rs:4:5:\nthe len is 3\nnote: x",
        "panic",
        "the len is 3",
        "thread",
    );
    check("failed: TypeError [ERR_X]: x\n    at f (/srv/a.js:1:2)", "TypeError", "x", "    at f");
    check("failed: TypeError: x\n    at f (/srv/a.js:1:2)", "TypeError", "x", "    at f");
    check(
        "app.rb:3:in `f': gone (RuntimeError)\n\tfrom app.rb:7:in `<main>'",
        "RuntimeError",
        "gone",
        "\tfrom",
    );
    check(
        "ActionController::RoutingError (No route matches \"/x\"):\napp/x.rb:3:in 'f'",
        "ActionController::RoutingError",
        "No route matches \"/x\"",
        "app/x.rb",
    );
    check(
        "PHP Fatal error:  Uncaught RuntimeException: gone in /srv/a.php:3\nStack trace:\n#0 {main}\n  thrown in /srv/a.php on line 3",
        "RuntimeException",
        "gone",
        "Stack trace:",
    );
    check(
        "An unhandled exception was thrown.\n      System.InvalidOperationException: gone\n         at Shop.Cart.Add()",
        "System.InvalidOperationException",
        "gone",
        "      System",
    );
}

#[test]
fn text_of_several_lines_is_no_trace() {
    for record in
        ["a\nb", "statement: SELECT\n\tFROM x", "panic: x\nat last", "goroutine\nwork", "see\nStack overflow"]
    {
        assert_eq!(find(record), None, "{record}");
    }
}
