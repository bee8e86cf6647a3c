//! Writing JSON by appending to a byte buffer: strings with their escapes, and numbers.

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
    /// Shorter texts are done before wider steps pay.
    const LONG: usize = 64;
    if text.len() >= LONG && !has_control(text) {
        return push_quotes_escaped(out, text);
    }
    let mut rest = text;
    loop {
        let clean = clean_prefix(rest);
        let (copied, tail) = rest.split_at(clean);
        out.extend_from_slice(copied);
        let Some((&byte, after)) = tail.split_first() else { return };
        push_escape(out, byte);
        rest = after;
    }
}

/// Whether a text has control characters; most have none.
pub fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |any, &byte| any | (byte < 0x20))
}

/// As [`push_escaped`], for a text without control characters.
pub fn push_quotes_escaped(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len());
    let mut done = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', text) {
        out.extend_from_slice(text.get(done..at).unwrap_or_default());
        out.push(b'\\');
        // The character itself comes with what follows it.
        done = at;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
}

/// Length of the longest prefix that needs no escape.
#[inline]
pub fn clean_prefix(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(word) = text.get(length..length + 8) {
        let word = u64::from_le_bytes(word.try_into().expect("the slice has eight bytes"));
        let special = special_bytes(word);
        if special != 0 {
            return length + (special.trailing_zeros() / 8) as usize;
        }
        length += 8;
        // Short texts end in the first words; long ones are worth wider steps, which the compiler makes vectors of.
        if length == 16 {
            length += clean_blocks(text.get(length..).unwrap_or_default());
        }
    }
    let tail = text.get(length..).unwrap_or_default();
    length + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

/// Length of the blocks at the start of `text` that need no escape.
fn clean_blocks(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let is_clean =
        |block: &&[u8; BLOCK]| block.iter().fold(0, |any, &byte| any | u8::from(is_special(byte))) == 0;
    BLOCK * blocks.iter().take_while(is_clean).count()
}

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Marks (high bit) the bytes of a word that are `"`, `\` or below 0x20; exact up to the first mark, which is
/// all that is read. <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGH
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
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
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(text in "\\PC*|[\u{0}-\u{7f}]*|(ab\"c\\\\de\u{1}f){0,9}") {
            let mut out = Vec::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("valid JSON"), text);
        }

        #[test]
        fn the_clean_prefix_ends_at_the_first_byte_that_needs_an_escape(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let expected = bytes.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\').unwrap_or(bytes.len());
            prop_assert_eq!(clean_prefix(&bytes), expected);
        }

        #[test]
        fn any_number_reads_back_as_itself(number: i64) {
            let mut out = Vec::new();
            push_i64(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).expect("digits"), number.to_string());
        }
    }
}
