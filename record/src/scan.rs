//! Searching and copying short texts, sixteen bytes at a time and without a call: most parts of a log line are over
//! before a search for long texts, such as `memchr`'s, has begun.
//!
//! The vectors are those that every processor of the target has (`wide`: SSE2, NEON, or plain code).

use wide::u8x16;

/// Bytes that are looked at together.
pub const BLOCK_BYTES: usize = 16;

/// A block of a text.
pub type Block = [u8; BLOCK_BYTES];

/// Where the first `byte` stands.
#[inline]
pub fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let at = first(text, |block| u8x16::from(*block).simd_eq(u8x16::splat(byte)).to_bitmask());
    (at < text.len()).then_some(at)
}

/// Where the first of two bytes stands.
#[inline]
pub fn find_either(one: u8, other: u8, text: &[u8]) -> Option<usize> {
    let at = first(text, |block| {
        let block = u8x16::from(*block);
        (block.simd_eq(u8x16::splat(one)) | block.simd_eq(u8x16::splat(other))).to_bitmask()
    });
    (at < text.len()).then_some(at)
}

/// Marks where `byte` stands in a block: bit n for the nth.
#[inline]
pub fn places(byte: u8, block: &Block) -> u32 {
    u8x16::from(*block).simd_eq(u8x16::splat(byte)).to_bitmask()
}

/// Marks the bytes from `low` to `high` in a block: bit n for the nth.
#[inline]
pub fn between(low: u8, high: u8, block: &Block) -> u32 {
    !outside(block, low, high) & 0xFFFF
}

/// Length of the longest prefix of bytes between `low` and `high`.
#[inline]
pub fn span(low: u8, high: u8, text: &[u8]) -> usize {
    first(text, |block| outside(block, low, high))
}

/// Length of the longest prefix of digits, of which there mostly are only a few.
#[inline]
pub fn digits(text: &[u8]) -> usize {
    let Some(head) = text.first_chunk() else { return span(b'0', b'9', text) };
    match leading_digits(u64::from_le_bytes(*head)) {
        8 => 8 + span(b'0', b'9', &text[8..]),
        length => length,
    }
}

/// How many digits a little-endian word begins with.
/// <https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/>
#[inline]
pub(crate) const fn leading_digits(text: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let values = text ^ (ONES * b'0' as u64);
    // What is above 9 carries into its byte's highest bit: 0x76 + 10 is 0x80. Behind the first one, bits may be wrong.
    let others = (values | values.wrapping_add(ONES * 0x76)) & ONES << 7;
    (others.trailing_zeros() / 8) as usize
}

/// Length of the longest prefix without blanks, control characters, and these.
#[inline]
pub fn word<const N: usize>(ends: [u8; N], text: &[u8]) -> usize {
    first(text, |block| {
        let block = u8x16::from(*block);
        let blank = block.min(u8x16::splat(b' ')).simd_eq(block);
        ends.iter().fold(blank, |marks, end| marks | block.simd_eq(u8x16::splat(*end))).to_bitmask()
    })
}

/// Length of the longest prefix of ASCII letters, of bytes between `-` and `:`, which are digits and `-./:`, and these.
#[inline]
pub fn name<const N: usize>(also: [u8; N], text: &[u8]) -> usize {
    first(text, |block| {
        let block = u8x16::from(*block);
        let within = |block: u8x16, low: u8, high: u8| {
            block.max(u8x16::splat(low)).min(u8x16::splat(high)).simd_eq(block)
        };
        let in_name = within(block | u8x16::splat(0x20), b'a', b'z') | within(block, b'-', b':');
        let in_name = also.iter().fold(in_name, |marks, byte| marks | block.simd_eq(u8x16::splat(*byte)));
        !in_name.to_bitmask() & 0xFFFF
    })
}

/// Length of the longest prefix that JSON does not escape: no `"`, no `\`, no control character.
#[inline]
pub fn clean_prefix(text: &[u8]) -> usize {
    first(text, special)
}

/// Where a text has what JSON escapes: one bit a byte, so that all of its strings are looked through in one go.
#[derive(Debug, Default)]
pub struct Specials(Vec<u64>);

impl Specials {
    /// Looks through a text. What it was about before is forgotten.
    pub fn read(&mut self, text: &[u8]) {
        self.0.clear();
        self.0.resize(text.len().div_ceil(CHUNK_BYTES), 0);
        for (marks, chunk) in self.0.iter_mut().zip(text.chunks(CHUNK_BYTES)) {
            *marks = specials(chunk);
        }
    }

    /// One word for each 64 bytes: bit n of a word for its nth byte.
    pub fn words(&self) -> &[u64] {
        &self.0
    }
}

/// Bytes that a word has a bit for, each.
pub(crate) const CHUNK_BYTES: usize = u64::BITS as usize;

/// Marks the bytes that JSON escapes in a text not longer than a chunk.
#[inline]
pub(crate) fn specials(text: &[u8]) -> u64 {
    let joined = |blocks: &[Block]| {
        blocks.iter().rev().fold(0, |marks, block| marks << BLOCK_BYTES | u64::from(special(block)))
    };
    if let Some(chunk) = text.first_chunk::<CHUNK_BYTES>() {
        return joined(chunk.as_chunks().0);
    }
    let (blocks, rest) = text.as_chunks();
    let marks = joined(blocks);
    let last = match text.last_chunk() {
        Some(last) => special(last) >> (BLOCK_BYTES - rest.len()),
        None => special(&padded(rest)) & !(u32::MAX << rest.len()),
    };
    marks | u64::from(last) << (BLOCK_BYTES * blocks.len())
}

/// Marks the bytes that JSON escapes: bit n for the nth.
#[inline]
fn special(block: &Block) -> u32 {
    let block = u8x16::from(*block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    let control = block.min(u8x16::splat(0x1F)).simd_eq(block);
    (quote | backslash | control).to_bitmask()
}

/// Marks the bytes below `low` or above `high`.
#[inline]
fn outside(block: &Block, low: u8, high: u8) -> u32 {
    let block = u8x16::from(*block);
    let inside = block.max(u8x16::splat(low)).min(u8x16::splat(high)).simd_eq(block);
    !inside.to_bitmask() & 0xFFFF
}

/// Marks what is no plain part of a key, dots among it, in a text of so many bytes that stands in two words.
#[inline]
pub(crate) fn odd_or_dots(low: u64, high: u64, length: usize) -> u32 {
    let block = block_of(low, high);
    let dot = u8x16::from(block).simd_eq(u8x16::splat(b'.')).to_bitmask();
    (outside(&block, b'!', b'~') | special(&block) | dot) & !(u32::MAX << length)
}

#[inline]
fn block_of(low: u64, high: u64) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let (first, second) = block.split_at_mut(8);
    first.copy_from_slice(&low.to_le_bytes());
    second.copy_from_slice(&high.to_le_bytes());
    block
}

/// Where the first byte stands that `marks` marks in its block; the text's length where none is.
#[inline(always)]
fn first(text: &[u8], marks: impl Fn(&Block) -> u32) -> usize {
    let mut at = 0;
    while let Some((one, two)) = text.get(at..).and_then(two_blocks) {
        let marked = marks(one) | marks(two) << BLOCK_BYTES;
        if marked != 0 {
            return at + marked.trailing_zeros() as usize;
        }
        at += 2 * BLOCK_BYTES;
    }
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        let marked = marks(block);
        if marked != 0 {
            return at + marked.trailing_zeros() as usize;
        }
    }
    match text.last_chunk() {
        // In what was looked at before, nothing is marked.
        Some(last) => (text.len() - BLOCK_BYTES + trailing(marks(last))).min(text.len()),
        None => trailing(marks(&padded(text))).min(text.len()),
    }
}

#[inline]
fn two_blocks(text: &[u8]) -> Option<(&Block, &Block)> {
    let (one, rest) = text.split_first_chunk()?;
    Some((one, rest.first_chunk()?))
}

/// Where the first mark is; a block's length where there is none.
#[inline]
fn trailing(marks: u32) -> usize {
    (marks | 1 << BLOCK_BYTES).trailing_zeros() as usize
}

/// A text not longer than a block, with zeros behind it.
#[inline]
pub fn padded(text: &[u8]) -> Block {
    let (low, high) = words(text);
    block_of(low, high)
}

/// The two words, little-endian, of a text not longer than a block, with zeros behind it; of a longer one the first is its
/// first eight bytes.
#[inline]
pub const fn words(text: &[u8]) -> (u64, u64) {
    let length = text.len();
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        let (head, tail) = (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
        // As many of the last word's bytes are in the first one.
        let both = (2 * size_of::<u64>()).saturating_sub(length);
        return (head, tail.unbounded_shr(8 * both as u32));
    }
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head) as u64, u32::from_le_bytes(*tail) as u64);
        return (head | tail << (8 * (length - 4)), 0);
    }
    let low = match *text {
        [a, b, c] => a as u64 | (b as u64) << 8 | (c as u64) << 16,
        [a, b] => a as u64 | (b as u64) << 8,
        [a] => a as u64,
        _ => 0,
    };
    (low, 0)
}

/// Appends a text.
#[inline]
pub fn push(out: &mut Vec<u8>, text: &[u8]) {
    let (start, length) = (out.len(), text.len());
    if length < BLOCK_BYTES {
        out.extend_from_slice(&padded(text));
        out.truncate(start + length);
    } else if length <= PAIR_BYTES {
        push_overlapping::<BLOCK_BYTES>(out, text);
    } else if length <= CHUNK_BYTES {
        push_overlapping::<PAIR_BYTES>(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

/// Two blocks.
const PAIR_BYTES: usize = 2 * BLOCK_BYTES;

/// Appends a text of `N` to twice as many bytes: its first `N`, and over them its last `N`.
#[inline]
fn push_overlapping<const N: usize>(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    if let (Some(head), Some(tail)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
        out.extend_from_slice(head);
        out.truncate(start + text.len() - N);
        out.extend_from_slice(tail);
    }
}

/// Appends the first `length` bytes of a text. Where enough stands behind them, more is copied, and what is too
/// much is cut off again: there is no branch for each length, which could not be foreseen.
#[inline]
pub(crate) fn push_head(out: &mut Vec<u8>, text: &[u8], length: usize) {
    let start = out.len();
    match (text.first_chunk::<PAIR_BYTES>(), text.first_chunk::<CHUNK_BYTES>()) {
        (Some(pair), _) if length <= PAIR_BYTES => out.extend_from_slice(pair),
        (_, Some(chunk)) if length <= CHUNK_BYTES => out.extend_from_slice(chunk),
        _ => return push_long(out, &text[..length]),
    }
    out.truncate(start + length);
}

/// As [`push`], out of the way of the short ones.
#[inline(never)]
fn push_long(out: &mut Vec<u8>, text: &[u8]) {
    push(out, text);
}

/// Appends a text not longer than a block, if JSON escapes nothing in it: looked at and copied in one go.
#[inline]
pub(crate) fn push_clean_block(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let block = padded(text);
    let is_clean = special(&block) & !(u32::MAX << text.len()) == 0;
    if is_clean {
        let start = out.len();
        out.extend_from_slice(&block);
        out.truncate(start + text.len());
    }
    is_clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts over a few bytes, of any length up to a few blocks.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..140),
            prop::collection::vec(prop::sample::select(b"0123456789.:/".as_slice()), 0..30),
            prop::collection::vec(
                prop::sample::select(b"aaaaaaaaz09 \"\\\x1f\x00\x80\xff".as_slice()),
                0..70
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_found_is_the_first(text in texts(), one: u8, other: u8) {
            for byte in [one, b'z', 0, 0xFF] {
                prop_assert_eq!(find(byte, &text), text.iter().position(|&found| found == byte));
                let either = text.iter().position(|&found| found == byte || found == other);
                prop_assert_eq!(find_either(byte, other, &text), either);
            }
        }

        #[test]
        fn a_prefix_ends_at_the_first_byte_that_is_not_of_it(text in texts(), one: u8, other: u8) {
            let (low, high) = (one.min(other), one.max(other));
            let is_outside = |byte: &u8| *byte < low || *byte > high;
            prop_assert_eq!(span(low, high, &text), text.iter().position(is_outside).unwrap_or(text.len()));
            let is_other = |byte: &u8| !byte.is_ascii_digit();
            prop_assert_eq!(digits(&text), text.iter().position(is_other).unwrap_or(text.len()));
            let is_end = |byte: &u8| *byte <= b' ' || *byte == b'z';
            prop_assert_eq!(word([b'z'], &text), text.iter().position(is_end).unwrap_or(text.len()));
            let is_strange = |byte: &u8| !(byte.is_ascii_alphabetic() || (b'-'..=b':').contains(byte) || *byte == b'"');
            prop_assert_eq!(name([b'"'], &text), text.iter().position(is_strange).unwrap_or(text.len()));
            let is_special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
            prop_assert_eq!(clean_prefix(&text), text.iter().position(is_special).unwrap_or(text.len()));
        }

        #[test]
        fn all_that_is_special_is_marked_and_nothing_else(one in texts(), other in texts(), third in texts()) {
            let mut specials = Specials::default();
            for text in [[one, other.clone(), third].concat(), other] {
                specials.read(&text);
                let is_marked = |at: usize| specials.words()[at / 64] >> (at % 64) & 1 == 1;
                for (at, byte) in text.iter().enumerate() {
                    prop_assert_eq!(is_marked(at), *byte < 0x20 || matches!(*byte, b'"' | b'\\'), "{}", at);
                }
                let all: u32 = specials.words().iter().map(|word| word.count_ones()).sum();
                prop_assert_eq!(all as usize, (0..text.len()).filter(|at| is_marked(*at)).count());
            }
        }

        #[test]
        fn what_is_appended_stands_there(text in texts(), before in texts()) {
            let mut out = before.clone();
            push(&mut out, &text);
            prop_assert_eq!(out, [before, text].concat());
        }

        #[test]
        fn the_head_of_a_text_is_appended(text in texts(), before in texts(), length: prop::sample::Index) {
            let length = length.index(text.len() + 1);
            let mut out = before.clone();
            push_head(&mut out, &text, length);
            prop_assert_eq!(out, [before.as_slice(), &text[..length]].concat());
        }

        #[test]
        fn a_short_text_is_padded_with_zeros(text in prop::collection::vec(any::<u8>(), 0..16)) {
            let mut expected = text.clone();
            expected.resize(BLOCK_BYTES, 0);
            prop_assert_eq!(padded(&text).to_vec(), expected);
        }
    }
}
