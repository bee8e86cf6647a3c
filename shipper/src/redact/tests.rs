//! The corpus, the shapes of replacements, and what a clean line costs in allocations: none.

use super::*;

const CORPUS: &str = include_str!("corpus.txt");

/// Of what has to go, this share goes; of what goes, this share had to.
const RECALL_MIN: f64 = 0.99;
const PRECISION_MIN: f64 = 0.99;

fn everything() -> RedactSettings {
    RedactSettings { secrets: true, email: true, card: true, ..RedactSettings::default() }
}

/// A line of the corpus without its marks, and what they mark.
fn read_marks(marked: &str) -> (String, Vec<Finding>) {
    let (mut line, mut findings, mut rest) = (String::new(), Vec::new(), marked);
    while let Some((before, after)) = rest.split_once('⟦') {
        line.push_str(before);
        let (inside, behind) = after.split_once('⟧').expect("a closed mark");
        let (kind, text) = inside.split_once(':').expect("a kind");
        let kind = match kind {
            "s" => Kind::Secret,
            "e" => Kind::Email,
            "c" => Kind::Card,
            other => panic!("unknown kind {other}"),
        };
        findings.push(Finding::new(kind, line.len()..line.len() + text.len()));
        line.push_str(text);
        rest = behind;
    }
    line.push_str(rest);
    (line, findings)
}

fn corpus() -> impl Iterator<Item = (String, Vec<Finding>)> {
    CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(read_marks)
}

fn redact(settings: &RedactSettings, line: &str) -> Option<String> {
    let redactor = Redactor::new(settings).expect("compiled");
    let mut out = Vec::new();
    redactor.redact(line.as_bytes(), &mut out).map(|_| String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn a_card_is_found_wherever_it_stands() {
    let settings = RedactSettings { card: true, ..RedactSettings::default() };
    for card in
        ["4222222222222", "378282246310005", "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"]
    {
        for before in 0..40 {
            for after in ["", " end", "\"}"] {
                let head = "x".repeat(before);
                let redacted = redact(&settings, &format!("{head} {card}{after}"));
                assert_eq!(
                    redacted,
                    Some(format!("{head} [redacted:card]{after}")),
                    "{before} bytes before {card}"
                );
            }
        }
    }
}

#[test]
fn precision_and_recall_on_the_corpus() {
    let redactor = Redactor::new(&everything()).expect("compiled");
    let (mut right, mut missed, mut wrong, mut lines) = (0, 0, 0, 0);
    for (line, expected) in corpus() {
        lines += 1;
        let mut found = Vec::new();
        redactor.find(&json::Layout::new(line.as_bytes()), &mut found);
        found.retain(|finding| !found_inside_another(finding, &expected));
        for finding in &expected {
            if found.contains(finding) {
                right += 1;
            } else {
                missed += 1;
                eprintln!(
                    "missed {:?} {:?} of {line}: found {found:?}",
                    finding.kind,
                    &line[finding.bytes.clone()]
                );
            }
        }
        for finding in found.iter().filter(|finding| !expected.contains(finding)) {
            wrong += 1;
            eprintln!("wrong {:?} {:?} of {line}", finding.kind, &line[finding.bytes.clone()]);
        }
    }
    let recall = f64::from(right) / f64::from(right + missed);
    let precision = f64::from(right) / f64::from(right + wrong);
    println!("{lines} lines, {} findings: recall {recall:.3}, precision {precision:.3}", right + missed);
    assert!(lines > 100 && right > 60);
    assert!(recall >= RECALL_MIN && precision >= PRECISION_MIN, "recall {recall}, precision {precision}");
}

#[test]
fn a_processor_without_vectors_finds_the_same() {
    let fast = Redactor::new(&everything()).expect("compiled");
    let mut slow = Redactor::new(&everything()).expect("compiled");
    slow.scan = Scan::automaton(&secret::GROUPS).expect("built");
    let check = |line: &[u8]| {
        let [fast, slow] = [&fast, &slow].map(|redactor| {
            let mut findings = Vec::new();
            redactor.find(&json::Layout::new(line), &mut findings);
            findings
        });
        assert_eq!(fast, slow, "{}", line.escape_ascii());
    };
    let lines: Vec<String> = corpus().map(|(line, _)| line).collect();
    for line in &lines {
        check(line.as_bytes());
    }
    // Parts of the lines, one behind the other.
    bolero::check!().with_type::<Vec<[u16; 3]>>().for_each(|choices| {
        let mut parts = Vec::new();
        for [which, from, bytes] in choices.iter().copied().map(|choice| choice.map(usize::from)) {
            let line = lines[which % lines.len()].as_bytes();
            let rest = &line[from % line.len()..];
            parts.extend_from_slice(&rest[..bytes % (rest.len() + 1)]);
        }
        check(&parts);
    });
}

/// Two rules may find parts of one thing: an address that is a password's host.
fn found_inside_another(finding: &Finding, expected: &[Finding]) -> bool {
    expected.iter().any(|other| {
        other != finding && other.bytes.start <= finding.bytes.start && finding.bytes.end <= other.bytes.end
    })
}

#[test]
fn a_json_line_stays_json_and_no_marked_byte_is_left() {
    let redactor = Redactor::new(&everything()).expect("compiled");
    let mut out = Vec::new();
    for (line, expected) in corpus().filter(|(line, _)| line.starts_with('{') && line.ends_with('}')) {
        let changed = redactor.redact(line.as_bytes(), &mut out).is_some();
        assert_eq!(changed, !expected.is_empty(), "{line}");
        if changed {
            let text = std::str::from_utf8(&out).expect("UTF-8");
            let read = serde_json::from_str::<serde_json::Value>(text);
            assert!(read.is_ok(), "{text}");
        }
    }
}

#[test]
fn all_around_a_finding_stays_as_it_was() {
    assert_eq!(
        redact(&everything(), "a password=x1 b alice@example.com c 4111111111111111 d").as_deref(),
        Some("a password=[redacted:secret] b [redacted:email] c [redacted:card] d")
    );
    assert_eq!(redact(&everything(), "nothing here"), None);
    assert_eq!(redact(&RedactSettings::default(), "password=x1"), None);
}

#[test]
fn each_kind_is_looked_for_alone_and_counted() {
    let line = "password=x1 alice@example.com 4111111111111111";
    let only = |email| RedactSettings { email, ..RedactSettings::default() };
    assert_eq!(redact(&only(true), line).as_deref(), Some("password=x1 [redacted:email] 4111111111111111"));
    let redactor = Redactor::new(&everything()).expect("compiled");
    assert_eq!(redactor.redact(line.as_bytes(), &mut Vec::new()), Some([1, 1, 1, 0]));
}

#[test]
fn own_fields_and_patterns_go_too() {
    let settings = RedactSettings {
        fields: vec!["user.ssn".into(), "iban".into()],
        patterns: vec!["ticket-([0-9]+)".into(), "zz+".into()],
        ..RedactSettings::default()
    };
    assert_eq!(
        redact(&settings, r#"{"ssn":"123-45-6789","IBAN":"DE89","n":1,"m":"ticket-77 zzz","mission":"x"}"#)
            .as_deref(),
        Some(
            r#"{"ssn":"[redacted:own]","IBAN":"[redacted:own]","n":1,"m":"ticket-[redacted:own] [redacted:own]","mission":"x"}"#
        )
    );
    assert_eq!(
        redact(&settings, "user.ssn=1 x.iban=2").as_deref(),
        Some("user.ssn=[redacted:own] x.iban=[redacted:own]")
    );
    let broken = RedactSettings { patterns: vec!["(".into()], ..RedactSettings::default() };
    assert!(Redactor::new(&broken).is_err());
}

#[test]
fn a_keyed_hash_is_the_same_for_the_same_value_and_key_alone() {
    let with = |key: &[u8]| RedactSettings {
        replacement: Replacement::Hash(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key))),
        ..everything()
    };
    let first = redact(&with(b"one"), "a@example.com a@example.com b@example.com").expect("found");
    let words: Vec<&str> = first.split(' ').collect();
    assert_eq!(words[0], words[1]);
    assert_ne!(words[0], words[2]);
    assert!(words[0].starts_with("[email:") && words[0].len() == "[email:]".len() + 12);
    assert_ne!(redact(&with(b"two"), "a@example.com").expect("found"), words[0]);
    assert!(!format!("{:?}", with(b"one")).contains("one"));
}

#[test]
fn what_is_taken_out_of_json_leaves_json() {
    for (line, expected) in [
        (r#"{"pan":4111111111111111,"n":1}"#, r#"{"pan":"[redacted:card]","n":1}"#),
        (r#"{"password": 12345 }"#, r#"{"password": "[redacted:secret]" }"#),
        (r#"{"password":["a1","b2"],"n":1}"#, r#"{"password":"[redacted:secret]","n":1}"#),
        (r#"{"m":"to\nbob@example.com now"}"#, r#"{"m":"to\n[redacted:email] now"}"#),
        (
            r#"{"m":"password='abc","password":"x1"}"#,
            r#"{"m":"password='[redacted:secret]","password":"[redacted:secret]"}"#,
        ),
        (
            r#"{"m":"{\"token\":\"abc123","password":"x1"}"#,
            r#"{"m":"{\"token\":\"[redacted:secret]","password":"[redacted:secret]"}"#,
        ),
        (r#"web {"m":"pwd='a"} pwd='b"c'"#, r#"web {"m":"pwd='[redacted:secret]"} pwd='[redacted:secret]'"#),
        // No JSON.
        (r#"{password='a"b', n=1}"#, r#"{password='[redacted:secret]', n=1}"#),
    ] {
        assert_eq!(redact(&everything(), line).as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn the_literals_fit_the_scan() {
    let literals = secret::GROUPS.concat();
    // It knows each by a bit of 64, candidates by three bytes, and leaves alone what is no ASCII.
    assert!(literals.len() <= 64);
    assert!(literals.iter().all(|(text, _)| text.len() >= 3 && text.is_ascii()));
    // Of two literals in one place only one would be found.
    for (at, (one, _)) in literals.iter().enumerate() {
        let begins = |(_, (other, _)): &(usize, &(&str, _))| other.starts_with(one);
        let others = literals.iter().enumerate().filter(|(other, _)| *other != at);
        assert_eq!(others.filter(begins).count(), 0, "a literal begins with {one}");
    }
}

#[test]
fn any_bytes_are_taken_and_what_is_left_over_is_the_lines_own() {
    let redactor =
        Redactor::new(&RedactSettings { fields: vec!["ssn".into()], ..everything() }).expect("compiled");
    bolero::check!().for_each(|noise: &[u8]| {
        let mut line = b"password=".to_vec();
        line.extend_from_slice(noise);
        for input in [noise, &line] {
            let (mut out, mut again) = (Vec::new(), Vec::new());
            if redactor.redact(input, &mut out).is_some() {
                assert!(out.len() <= input.len() + 20 * (1 + input.len()));
                // What was replaced once is not replaced again: a replay redacts alike.
                redactor.redact(input, &mut again);
                assert_eq!(out, again);
            } else {
                assert!(out.is_empty());
            }
        }
    });
}
