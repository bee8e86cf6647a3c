//! Lines as a terminal would show them: without colours, and progress bars in their last state.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// In UTF-8, every 8-bit control of ECMA-48 (U+0080 to U+009F) begins with this byte.
const C1_LEAD: u8 = 0xc2;

/// Whether [`strip`] would change anything: only these bytes begin a sequence.
pub fn has_escapes(text: &[u8]) -> bool {
    memchr2(ESCAPE, C1_LEAD, text).is_some()
}

/// Appends `text` without its escape sequences. What begins like one and does not end like one keeps all but its
/// introducer: nothing readable is lost. Grammar: ECMA-48, 5th edition, sections 5.3, 5.4 and 5.6.
/// <https://ecma-international.org/publications-and-standards/standards/ecma-48/>
pub fn strip(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr2(ESCAPE, C1_LEAD, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match sequence_length(rest) {
            0 => {
                // A character that only shares its first byte with the 8-bit controls.
                out.push(C1_LEAD);
                rest = &rest[1..];
            }
            length => rest = &rest[length..],
        }
    }
    out.extend_from_slice(rest);
}

/// Bytes of the sequence at the start of `text`, which begins with [`ESCAPE`] or [`C1_LEAD`]; zero where it is none.
fn sequence_length(text: &[u8]) -> usize {
    // `ESC X` and its 8-bit form, U+0080 + X - 0x40, mean the same.
    let (introducer, kind) = match *text {
        [ESCAPE, kind, ..] => (2, kind),
        [ESCAPE] => return 1,
        [_, byte @ 0x80..=0x9f, ..] => (2, byte - 0x40),
        _ => return 0,
    };
    let rest = &text[introducer..];
    match kind {
        b'[' => introducer + control_sequence_length(rest),
        b']' | b'P' | b'X' | b'^' | b'_' => introducer + control_string_length(rest, kind),
        // An escape with intermediate bytes, such as the choice of a character set: `ESC ( B`.
        0x20..=0x2f => {
            let intermediates = run(rest, 0x20..=0x2f);
            introducer + intermediates + usize::from(matches!(rest.get(intermediates), Some(0x30..=0x7e)))
        }
        0x30..=0x7e => introducer,
        // Not of the grammar: only the escape itself goes.
        _ => 1,
    }
}

/// `parameters intermediates final`, behind the introducer.
fn control_sequence_length(text: &[u8]) -> usize {
    let parameters = run(text, 0x30..=0x3f);
    let length = parameters + run(&text[parameters..], 0x20..=0x2f);
    length + usize::from(matches!(text.get(length), Some(0x40..=0x7e)))
}

/// A string up to its terminator (`ESC \`, U+009C, for an operating system command also BEL); zero where it has none
/// in this line: then it is text.
fn control_string_length(text: &[u8], kind: u8) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr3(ESCAPE, C1_LEAD, BELL, rest)) {
        at += found;
        match (text[at], text.get(at + 1)) {
            (BELL, _) if kind == b']' => return at + 1,
            (ESCAPE, Some(b'\\')) | (C1_LEAD, Some(0x9c)) => return at + 2,
            // Another sequence begins: this string was never ended.
            (ESCAPE, _) => return 0,
            _ => at += 1,
        }
    }
    0
}

fn run(text: &[u8], range: std::ops::RangeInclusive<u8>) -> usize {
    text.iter().take_while(|byte| range.contains(byte)).count()
}

/// Whether [`overwrite`] would change anything.
pub fn has_carriage_returns(text: &[u8]) -> bool {
    memchr(b'\r', text).is_some()
}

/// Appends what a terminal shows of `text` in the end: a carriage return goes back to the first cell, `CSI K` erases.
/// Other sequences stay with the character behind them. `cells` is scratch space.
pub fn overwrite(text: &[u8], cells: &mut Vec<Range<usize>>, out: &mut Vec<u8>) {
    cells.clear();
    let (mut column, mut at, mut pending) = (0, 0, 0);
    while at < text.len() {
        if text[at] == b'\r' {
            (column, at) = (0, at + 1);
            pending = at;
            continue;
        }
        let length = if has_escapes(&text[at..=at]) { sequence_length(&text[at..]) } else { 0 };
        if length > 0 && !has_carriage_returns(&text[at..at + length]) {
            if erase(&text[at..at + length], column, cells) {
                pending = at + length;
            }
            at += length;
            continue;
        }
        at += character_length(text, at);
        if cells.len() < column {
            cells.resize(column, 0..0);
        }
        match cells.get_mut(column) {
            Some(cell) => *cell = pending..at,
            None => cells.push(pending..at),
        }
        (column, pending) = (column + 1, at);
    }
    for cell in cells.iter() {
        out.extend_from_slice(if cell.is_empty() { b" " } else { &text[cell.clone()] });
    }
    out.extend_from_slice(&text[pending..]);
}

/// Does what `CSI Ps K` (erase in line) says. False: the sequence is another.
fn erase(sequence: &[u8], column: usize, cells: &mut Vec<Range<usize>>) -> bool {
    let sequence = sequence.strip_prefix(b"\x1b[").or(sequence.strip_prefix(b"\xc2\x9b"));
    match sequence {
        Some(b"K" | b"0K") => cells.truncate(column),
        Some(b"1K") => cells.iter_mut().take(column + 1).for_each(|cell| *cell = 0..0),
        Some(b"2K") => cells.clear(),
        _ => return false,
    }
    true
}

/// Bytes of the UTF-8 character at `at`; one where it is none.
fn character_length(text: &[u8], at: usize) -> usize {
    let expected = match text[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = text.get(at..at + expected);
    if whole.is_some_and(|bytes| std::str::from_utf8(bytes).is_ok()) { expected } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        let mut out = Vec::new();
        strip(text.as_bytes(), &mut out);
        String::from_utf8(out).expect("still UTF-8")
    }

    #[test]
    fn colours_links_titles_and_character_sets_are_removed() {
        let check = |text: &str, expected: &str| assert_eq!(stripped(text), expected, "{text:?}");
        check("plain größe ©", "plain größe ©");
        check("\x1b[31mred\x1b[0m", "red");
        check("\x1b[1;38;5;208morange\x1b[m \x1b[38:2::1:2:3mtrue\x1b[39m", "orange true");
        check("\x1b[?25l\x1b[2K\x1b[3 qx", "x");
        check("\x1b]0;title\x07a\x1b]8;;https://x.org/\x1b\\link\x1b]8;;\x1b\\b", "alinkb");
        check("\x1bP1$r0m\x1b\\a\x1b_apc\x1b\\b\x1b^pm\u{9c}c", "abc");
        check("\x1b(Ba\x1b7b\x1b8c\x1b=\x1bM", "abc");
        check("\u{9b}31mred\u{9b}0m \u{9d}0;title\u{9c}x", "red x");
    }

    #[test]
    fn what_does_not_end_like_a_sequence_keeps_its_text() {
        let check = |text: &str, expected: &str| assert_eq!(stripped(text), expected, "{text:?}");
        check("cut \x1b", "cut ");
        check("cut \x1b[", "cut ");
        check("cut \x1b[31", "cut ");
        check("\x1b[31ü", "ü");
        check("\x1b]0;no end of the title", "0;no end of the title");
        check("\x1b]0;no end \x1b[31mred", "0;no end red");
        check("\x1b\u{1}x", "\u{1}x");
        check("\x1bü", "ü");
        check("\x1b\x1b[31mx", "x");
    }

    #[test]
    fn stripping_leaves_no_escape_and_every_other_byte_of_plain_text() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes: &Vec<u8>| {
            let mut out = Vec::new();
            strip(bytes, &mut out);
            assert!(!out.contains(&ESCAPE) && out.len() <= bytes.len());
            if !has_escapes(bytes) {
                assert_eq!(&out, bytes);
            }
            out.clear();
            overwrite(bytes, &mut Vec::new(), &mut out);
            assert!(!out.contains(&b'\r'));
        });
    }

    #[test]
    fn a_progress_bar_is_shown_as_a_terminal_shows_it_in_the_end() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            overwrite(text.as_bytes(), &mut Vec::new(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text:?}");
        };
        check("10%\r50%\r100%", "100%");
        check("a long line\rshort", "shortg line");
        check("a long line\r\x1b[Kshort", "short");
        check("a long line\x1b[2K\rdone", "done");
        check("größe\rGR", "GRöße");
        check("\x1b[32m#  \x1b[0m\r\x1b[32m## \x1b[0m", "\x1b[32m## \x1b[0m");
        check("text\r", "text");
        check("abc\x1b[1Kd", "   d");
    }
}
