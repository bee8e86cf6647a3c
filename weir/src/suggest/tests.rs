//! Made-up formats, from lines to a configuration that reads them.

use super::*;

fn suggestion(text: &str) -> Suggestion {
    let sample = Sample { bytes: text.as_bytes().to_vec(), is_whole: true };
    suggest(&sample, Some(Path::new("/var/log/made-up.log")), None).expect("a proposal")
}

/// The proposal's own test was run before it was returned; here: what it says, and its share.
#[track_caller]
fn check(text: &str, format: &str, share: &str) {
    let Suggestion { configuration, report } = suggestion(text);
    assert!(configuration.contains(format), "{configuration}\n{report}");
    assert!(report.contains(share), "{configuration}\n{report}");
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

const USERS: [&str; 5] = ["ann", "bob", "eve", "joe", "sue"];

#[test]
fn a_format_that_is_known_is_proposed_alone() {
    check(
        &lines(50, |n| format!("{{\"level\":\"info\",\"msg\":\"n {n}\"}}")),
        "format = \"json\"",
        "100.0 %",
    );
    check(
        &lines(50, |n| {
            format!("10.0.0.{n} - - [20/Nov/2026:21:39:19 +0000] \"GET /{n} HTTP/1.1\" 200 {n} \"-\" \"x\"")
        }),
        "format = \"combined\"",
        "the format combined covers 100.0 %",
    );
}

#[test]
fn lines_with_bars_become_one_pattern_with_names_that_the_types_tell() {
    let text = lines(60, |n| {
        format!(
            "2026-11-20 10:00:{:02}|10.0.0.{n}|{}|GET|/cart/{n}|{}|{n}.5ms",
            n % 60,
            USERS[n % 5],
            200 + n % 3
        )
    });
    check(
        &text,
        r"format = 'grok:^%{TIMESTAMP_ISO8601:timestamp}\|%{IP:source.ip}\|(?<field>[^\|\s]+)\|(?<http.request.method>[^\|\s]+)\|(?<url.path>[^\|\s]+)\|%{INT:http.response.status_code:int}\|%{NOTSPACE:duration}$'",
        "1 pattern covers 100.0 %",
    );
}

#[test]
fn colours_are_no_part_of_a_pattern() {
    check(
        &lines(60, |n| format!("\x1b[36m@{n}\x1b[0m till\x1b[1m {n} sold\x1b[0m {n} pears")),
        r"format = 'grok:^@%{INT:number:int} till %{INT:till:int} sold %{INT:sold:int} pears$'",
        "1 pattern covers 100.0 %",
    );
}

#[test]
fn versions_and_amounts_are_one_value() {
    check(
        &lines(60, |n| format!("till {n} sold sum={n}.00EUR by fw {}.{}.{n}", n % 3, n % 5)),
        r"format = 'grok:^till %{INT:till:int} sold sum=%{NOTSPACE:sum} by fw %{NOTSPACE:fw}$'",
        "1 pattern covers 100.0 %",
    );
}

#[test]
fn a_few_messages_become_a_pattern_each_and_keys_give_names() {
    let text = lines(90, |n| match n % 3 {
        0 => format!("~{n}~ login user={} from 10.1.1.{n}", USERS[n % 5]),
        1 => format!("~{n}~ job {n} finished in {n}ms"),
        _ => format!("~{n}~ cache evicted {n} entries"),
    });
    let Suggestion { configuration, report } = suggestion(&text);
    assert!(report.contains("3 patterns cover 100.0 %"), "{configuration}\n{report}");
    for part in [
        "login user=%{NOTSPACE:user.name} from %{IP:source.ip}$",
        "job %{INT:job:int} finished in %{NOTSPACE:",
    ] {
        assert!(configuration.contains(part), "{part}: {configuration}");
    }
}

#[test]
fn free_text_behind_a_regular_header_stays_the_message() {
    let texts = [
        "it rains",
        "three men in a boat",
        "to say nothing: of the dog",
        "all is 5 well",
        "x",
        "who knows, who cares",
    ];
    let text = lines(120, |n| {
        format!(
            "#{n} [worker-{}] {} {{{}}} {}",
            n % 7,
            ["INFO", "WARN"][n % 2],
            USERS[n % 5],
            texts[n % 6].repeat(1 + n % 11)
        )
    });
    let Suggestion { configuration, report } = suggestion(&text);
    assert!(configuration.contains("%{GREEDYDATA:message}$"), "{configuration}\n{report}");
    assert!(configuration.contains("%{LOGLEVEL:log.level}"), "{configuration}\n{report}");
    assert!(report.contains("100.0 %"), "{configuration}\n{report}");
}

#[test]
fn what_is_not_covered_is_shown_with_its_count_and_harmless() {
    let mut text = lines(200, |n| format!("10.0.0.1 ;; {n} ;; {}", USERS[n % 5]));
    text.push_str("!!\u{1b}[2J boom\n");
    let report = suggestion(&text).report;
    assert!(report.contains("1 records of 1 shapes are not covered:"), "{report}");
    assert!(report.contains("      1  !!?[<word> <word>\n         !!\\u{1b}[2J boom\n"), "{report}");
}

#[test]
fn text_without_any_order_is_left_to_the_generic_parser() {
    let words =
        "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore";
    let words: Vec<&str> = words.split(' ').collect();
    let text = lines(80, |n| {
        (0..1 + n % 9).map(|w| words[(n * 7 + w * w) % words.len()]).collect::<Vec<_>>().join(" ")
    });
    let Suggestion { configuration, .. } = suggestion(&text);
    assert!(configuration.contains("format = \"auto\""), "{configuration}");
}

#[test]
fn the_proposal_for_a_made_up_format_is_as_it_was() {
    let sample = include_str!("golden/turnstile.log");
    assert_eq!(suggestion(sample).configuration, include_str!("golden/turnstile.toml"));
}
