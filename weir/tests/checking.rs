//! `weir check`: tests of a configuration go the whole way of a source, and each fault is shown where it stands.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::{Ended, run, text, write};

fn check(content: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    run(&["check", "-c", text(&write(directory.path(), "weir.toml", content))])
}

const SOURCE: &str = r#"[[source]]
service = "shop"
paths = ["/var/log/shop.log"]
redact = ["secrets", "email"]
drop = ['level:debug']
[[source.shape]]
rename = { "attributes.client" = "source.ip" }
[[source.shape]]
when = 'attributes.path:/health'
drop = true
"#;

/// What each case expects, and what `weir check` says where it fails.
const CASES: [(&str, &str, &str); 8] = [
    (
        r#"level=info msg="mail to ann@example.org" client=1.2.3.4"#,
        r#"expect = { "source.ip" = "1.2.3.4", "tags" = "redacted" }"#,
        "",
    ),
    (
        r#"level=info msg=a client=1.2.3.4"#,
        r#"expect = { "attributes.client" = "1.2.3.4" }"#,
        "got      no such field (this value is in source.ip)",
    ),
    (
        r#"level=info msg="mail to ann@example.org""#,
        r#"expect = { "message" = "mail to ann@example.org" }"#,
        "- message: expected \"mail to ann@example.org\"\n  + message: got      \"mail to ",
    ),
    (r#"level=debug msg=a"#, "dropped = true", ""),
    (
        r#"level=debug msg=a"#,
        r#"expect = { "message" = "a" }"#,
        "got       none: a rule of drop has dropped it",
    ),
    (
        r#"level=info msg=a path=/health"#,
        r#"expect = { "message" = "a" }"#,
        "got       none: a step of shape has cut it",
    ),
    (r#"level=info msg=kept"#, "dropped = true", "- expected  no record: dropped\n  + got       \"kept\""),
    (
        "level=info msg=a\nlevel=info msg=b",
        r#"expect = { "message" = "a" }"#,
        "2 records, which multiline does not join:\n  +           \"a\"",
    ),
];

#[test]
fn a_test_of_a_source_goes_through_redaction_parsing_shaping_and_dropping() {
    for (input, expectation, difference) in CASES {
        let ended = check(&format!("{SOURCE}[[source.test]]\ninput = '''{input}'''\n{expectation}\n"));
        let what = format!("{input} {expectation}: {}{}", ended.stdout, ended.stderr);
        if difference.is_empty() {
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{what}");
            assert!(ended.stdout.contains("1 tests passed, 0 failed"), "{what}");
        } else {
            assert_eq!(ended.code, Some(1), "{what}");
            assert!(ended.stderr.contains("a test of shop fails"), "{what}");
            assert!(ended.stderr.contains("weir.toml:12:"), "{what}");
            assert!(ended.stderr.contains(difference), "{what}");
        }
    }
}

#[test]
fn lines_of_one_event_are_joined_in_a_test_too() {
    let ended = check(
        "[[source]]\npaths = [\"/x.log\"]\nmultiline = { start = '^[0-9]{4}-' }\n[[source.test]]\n\
         input = '''2026-11-20 10:00:00 ERROR a\nb\n  c'''\nexpect = { \"log.level\" = \"error\", message = \"a\\nb\\n  c\" }\n",
    );
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{}", ended.stdout);
}

#[test]
fn every_fault_of_patterns_queries_and_steps_is_shown_where_it_stands() {
    let ended = check(
        r#"[[source]]
paths = ["/x.log"]
format = ['grok:%{IP:source.ip} .*',
          'grok:%{NOSUCH:a}', 'regex:(']
multiline = { start = '(' }
timezone = "Mars/Olympus"
encoding = "utf-9"
redact_patterns = ['a',
  '[']
drop = ['level:(']
[[source.shape]]
set = { "no such field" = "{" }
[[source.shape]]
when = 'level:('
drop = true
[[input]]
stdin = true
drop = ['status:>=(']
"#,
    );
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
    for line in [4, 5, 6, 7, 9, 10, 11, 13, 18] {
        assert!(ended.stderr.contains(&format!("weir.toml:{line}:")), "{line}: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches("-->").count(), 10, "{}", ended.stderr);
}

#[test]
fn what_suggest_proposes_is_accepted_by_check_and_reads_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let users = ["ann", "bob", "eve"];
    let lines: String = (0..300)
        .map(|n| format!("2026-11-20 10:00:{:02};till-{};{};{n} EUR\n", n % 60, n % 4, users[n % 3]))
        .collect();
    let log = write(directory.path(), "till.log", lines + "boom\n");
    let proposed = run(&["parse", "--suggest", text(&log)]);
    assert_eq!(proposed.code, Some(0), "{}", proposed.stderr);
    assert!(
        proposed.stderr.contains("1 pattern covers 99.7 % of them\n1 records of 1 shapes are not covered:\n"),
        "{}",
        proposed.stderr
    );
    assert!(proposed.stdout.contains("%{TIMESTAMP_ISO8601:timestamp};"), "{}", proposed.stdout);
    let config = write(directory.path(), "weir.toml", &proposed.stdout);
    let checked = run(&["check", "-c", text(&config)]);
    assert_eq!((checked.code, &*checked.stderr), (Some(0), ""), "{}", proposed.stdout);
    assert!(checked.stdout.contains("1 tests passed, 0 failed"), "{}", checked.stdout);
    let parsed = run(&["parse", "-c", text(&config), text(&log)]);
    assert!(parsed.stderr.ends_with("1 not parsed\n"), "{}", parsed.stderr);
}
