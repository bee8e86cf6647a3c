//! Both ways of looking see the same, and what is no sign of anything is taken for none.

use super::*;
use crate::redact::secret::GROUPS;
use crate::redact::{Finding, card};

/// Lengths of lines around those of one block and of two.
const BYTES_MAX: usize = 70;

fn texts() -> Vec<&'static str> {
    GROUPS.concat().into_iter().map(|(text, _)| text).collect()
}

/// None on a processor without AVX2: nothing is to be tried there.
fn scanner() -> Option<Scan> {
    Some(Scan::new(&GROUPS).expect("literals")).filter(|scan| matches!(scan, Scan::Vectors(_)))
}

fn look(scan: &Scan, line: &[u8]) -> (Vec<Literal>, Signs) {
    let mut literals = Vec::new();
    let signs = scan.look(line, &mut literals);
    (literals, signs)
}

fn cards(line: &[u8], from: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    card::find(line, from, &mut findings);
    findings
}

/// What is seen with vectors, after a comparison with what is there.
fn check(vectors: &Scan, automaton: &Scan, line: &[u8]) -> Signs {
    let (literals, signs) = look(vectors, line);
    let (expected, others) = look(automaton, line);
    assert_eq!(literals, expected, "{}", line.escape_ascii());
    assert_eq!(signs.has_at, others.has_at, "{}", line.escape_ascii());
    let found = signs.row.map(|row| cards(line, row)).unwrap_or_default();
    assert_eq!(found, cards(line, 0), "{}", line.escape_ascii());
    signs
}

#[test]
fn what_is_there_is_seen_at_every_place_of_a_line() {
    let Some(vectors) = scanner() else { return };
    let automaton = Scan::automaton(&GROUPS).expect("literals");
    let others = ["@", "4222222222222", "4111-1111-1111-1111", "378 282 246 310 005"];
    for text in texts().into_iter().chain(others) {
        for bytes in text.len()..=BYTES_MAX {
            for before in 0..=bytes - text.len() {
                let mut line = vec![b'.'; bytes];
                if before > 0 {
                    line[before - 1] = b' ';
                }
                line[before..before + text.len()].copy_from_slice(text.as_bytes());
                let signs = check(&vectors, &automaton, &line);
                let is_row = text.starts_with(|first: char| first.is_ascii_digit());
                assert_eq!(signs.row, is_row.then_some(before), "{}", line.escape_ascii());
            }
        }
    }
}

#[test]
fn what_is_no_row_of_a_card_is_taken_for_none() {
    let Some(vectors) = scanner() else { return };
    for line in [
        "2026-11-20 21:39:22,123 INFO order 123456",
        "2026-11-20T21:39:22.123456Z",
        r#"203.0.113.255 - - [20/Nov/2026:21:39:22 +0100] "GET / HTTP/1.1" 200 1234567 "-""#,
        "- - - - - - - - - - - - - - - -",
        "123456789012",
        "123-45-6789 12 34 56 78 90 12",
        "1234  5678  9012  3456",
        "+49 30 1234567, 0800-12-34",
    ] {
        for before in 0..BYTES_MAX {
            let line = format!("{}{line}", ".".repeat(before));
            assert_eq!(look(&vectors, line.as_bytes()), (Vec::new(), Signs::default()), "{line}");
        }
    }
}

#[test]
fn any_line_looks_the_same_in_both_ways() {
    let Some(vectors) = scanner() else { return };
    let automaton = Scan::automaton(&GROUPS).expect("literals");
    let texts = texts();
    let pieces = ["@", " ", "-", "\0", "é", "4", "411", "4111", "4222222222222", "1234567", "xx", "\u{80}"];
    bolero::check!().with_type::<Vec<[u8; 3]>>().for_each(|choices| {
        let mut line = Vec::new();
        for [what, which, times] in choices.iter().copied() {
            let text = texts[usize::from(which) % texts.len()].as_bytes();
            match what % 4 {
                0 => line.extend_from_slice(text),
                // A literal that is cut.
                1 => line.extend_from_slice(&text[..1 + usize::from(times) % text.len()]),
                2 => line.extend_from_slice(&[which].repeat(usize::from(times) % BYTES_MAX)),
                _ => {
                    let piece = pieces[usize::from(which) % pieces.len()];
                    line.extend_from_slice(piece.repeat(1 + usize::from(times) % 5).as_bytes());
                }
            }
        }
        check(&vectors, &automaton, &line);
    });
}
