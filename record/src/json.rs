//! Writing JSON by appending to a byte buffer: strings with their escapes, and numbers.

use crate::scan::{BLOCK_BYTES, CHUNK_BYTES, push, push_clean_block, push_head, specials};

/// Appends `text` as a JSON string, with its quotes (RFC 8259 §7).
#[inline]
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends the inside of a JSON string. `text` must be UTF-8; only `"`, `\` and control characters change.
#[inline]
pub fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() > BLOCK_BYTES || !push_clean_block(out, text) {
        push_escaped_text(out, text);
    }
}

/// As [`push_escaped`], for texts that are longer than a block, or not clean: what is escaped is known for many
/// bytes before any of them is copied, so that no copy waits for the one before.
fn push_escaped_text(out: &mut Vec<u8>, text: &[u8]) {
    let (mut start, mut chunk_start) = (0, 0);
    while let Some(rest) = text.get(chunk_start..).filter(|rest| !rest.is_empty()) {
        let chunk = rest.get(..CHUNK_BYTES).unwrap_or(rest);
        let mut marks = specials(chunk);
        while marks != 0 {
            let at = chunk_start + marks.trailing_zeros() as usize;
            push_head(out, &text[start..], at - start);
            match text[at] {
                byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
                byte => push_control(out, byte),
            }
            marks &= marks - 1;
            start = at + 1;
        }
        chunk_start += CHUNK_BYTES;
    }
    push_head(out, &text[start..], text.len() - start);
}

fn push_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => {
            let (high, low) = (HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

/// Appends a decimal number.
#[inline]
pub fn push_i64(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_u64(out, number.unsigned_abs());
}

/// Appends a decimal number.
pub fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [0u8; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    while number >= 100 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    start -= 2;
    digits[start..start + 2].copy_from_slice(&PAIRS[number as usize]);
    start += usize::from(number < 10);
    push(out, &digits[start..]);
}

/// `00` to `99`.
pub(crate) const PAIRS: [[u8; 2]; 100] = {
    let (mut pairs, mut number) = ([[b'0'; 2]; 100], 0);
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(text in "\\PC*|[\u{0}-\u{7f}]*|(ab\"c\\\\de\u{1}f){0,9}|[a-z]{14,18}[\"\\\\]{0,3}[a-z\"]{0,40}") {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("valid JSON"), text);
        }

        #[test]
        fn any_number_reads_back_as_itself(number: i64) {
            let mut out = Vec::new();
            push_i64(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).expect("digits"), number.to_string());
        }
    }
}
