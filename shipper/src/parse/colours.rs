//! Colours: what programs write for a terminal also where their lines go to a file or a container. They are no part of
//! what a line says, and stand in the midst of it:
//!
//! ```text
//! ESC [ 32 m INFO ESC [ 0 m        ECMA-48, 8.3.117, Select Graphic Rendition: digits, semicolons, colons, then m
//! ```

use memchr::memchr;

const ESCAPE: u8 = 0x1b;

/// `text` without its colours, made in `scratch` where it has any; other escape sequences stay.
#[inline]
pub fn without_colours<'t>(text: &'t [u8], scratch: &'t mut Vec<u8>) -> &'t [u8] {
    match memchr(ESCAPE, text) {
        None => text,
        Some(first) => remove(text, first, scratch),
    }
}

#[cold]
fn remove<'t>(text: &'t [u8], first: usize, scratch: &'t mut Vec<u8>) -> &'t [u8] {
    scratch.clear();
    let (mut kept_to, mut next) = (0, Some(first));
    while let Some(at) = next {
        let length = colour_length(&text[at..]);
        if length > 0 {
            scratch.extend_from_slice(&text[kept_to..at]);
            kept_to = at + length;
        }
        let from = at + length.max(1);
        next = memchr(ESCAPE, &text[from..]).map(|found| from + found);
    }
    if kept_to == 0 {
        return text;
    }
    scratch.extend_from_slice(&text[kept_to..]);
    scratch
}

/// Whether a line shows nothing: blanks, and colours without text.
pub fn is_blank(line: &[u8]) -> bool {
    let mut rest = line;
    loop {
        // Nearly every line is decided by its first byte.
        rest = &rest[rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()..];
        match rest.first() {
            None => return true,
            Some(&ESCAPE) => match colour_length(rest) {
                0 => return false,
                length => rest = &rest[length..],
            },
            Some(_) => return false,
        }
    }
}

/// Bytes of the colour at the start of `text`, which begins with [`ESCAPE`]; zero where it is something else.
fn colour_length(text: &[u8]) -> usize {
    let Some(parameters) = text.strip_prefix(b"\x1b[") else { return 0 };
    let length = parameters.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    if parameters.get(length) == Some(&b'm') { length + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut scratch = Vec::new();
        let plain = without_colours(text.as_bytes(), &mut scratch);
        assert_eq!(String::from_utf8_lossy(plain), expected, "{text:?}");
    }

    #[test]
    fn colours_go_and_all_else_stays() {
        check("plain größe", "plain größe");
        check("\x1b[2m2026\x1b[0m \x1b[1;38;5;208mWARN\x1b[m \x1b[38:2::1:2:3mx", "2026 WARN x");
        check("\x1b[0m", "");
        check("\x1b[2K\x1b[3 qx\x1b]0;m\x07", "\x1b[2K\x1b[3 qx\x1b]0;m\x07");
        check("cut \x1b[31", "cut \x1b[31");
        check("\x1b\x1b[31mx\x1b", "\x1bx\x1b");
    }

    #[test]
    fn a_line_of_nothing_but_colours_is_blank() {
        for line in ["", " \t", "\x1b[0m", " \x1b[0m \x1b[1;2m\r"] {
            assert!(is_blank(line.as_bytes()), "{line:?}");
        }
        for line in ["x", "\x1b[0mx", "\x1b", "\x1b[2K"] {
            assert!(!is_blank(line.as_bytes()), "{line:?}");
        }
    }
}
