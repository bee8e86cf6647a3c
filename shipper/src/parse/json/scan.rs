//! A cursor over one JSON text: what it passes over is valid (RFC 8259), or it says so.

use super::super::draft::Value;
use super::super::keys::{Lead, holds_known_members};
use weir_record::limits::{DEPTH_MAX, FIELDS_MAX, KEY_BYTES_MAX};
use weir_record::scan::{Specials, clean_prefix, digits};

/// The inside of a string, between its quotes.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) struct Text<'l> {
    pub(in crate::parse) inside: &'l str,
    /// Whether a backslash is in it.
    pub(in crate::parse) escaped: bool,
}

/// A member that a cursor has passed, and now stands behind.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) struct Member<'l> {
    /// No escapes are in it.
    pub(in crate::parse) key: &'l [u8],
    /// Where the inside of the key begins.
    pub(in crate::parse) start: usize,
    pub(in crate::parse) value_start: usize,
    pub(in crate::parse) passed: Passed,
}

/// What a value is, once it has been passed over.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) enum Passed {
    /// `escaped`: a backslash is in it.
    Text {
        escaped: bool,
    },
    Number,
    /// A literal, an array, an object. `usable`: as it stands, an index takes it.
    Other {
        usable: bool,
    },
}

impl Passed {
    /// Whether an index takes the value as it stands.
    #[inline]
    pub(in crate::parse) const fn is_usable(self) -> bool {
        !matches!(self, Passed::Other { usable: false })
    }

    /// The value that was passed: what stands from `start` to `end` in `text`.
    #[inline]
    pub(in crate::parse) fn value(self, text: &str, start: usize, end: usize) -> Value<'_> {
        let quote = usize::from(matches!(self, Passed::Text { .. }));
        let value = text.get(start + quote..end - quote).unwrap_or_default();
        match self {
            Passed::Text { escaped: false } => Value::Clean(value),
            Passed::Text { escaped: true } => Value::Escaped(value),
            Passed::Number => Value::Number(value),
            Passed::Other { .. } => Value::Other(value),
        }
    }
}

/// Reads a JSON text from its start to its end. Each step answers `None` where the text is not valid, or over a limit.
///
/// Its usual steps are inlined, and the others work on a copy: a cursor in a local variable stays in registers.
#[derive(Clone, Copy)]
pub(in crate::parse) struct Cursor<'l> {
    line: &'l str,
    /// Where strings of the line end, or have to be looked at: [`Specials`], or nothing.
    specials: &'l [u64],
    at: usize,
    fields: usize,
    /// Whether a newline stands between two tokens: the values cannot be copied as they are.
    pub(in crate::parse) has_newline: bool,
}

impl<'l> Cursor<'l> {
    pub(in crate::parse) fn new(line: &'l str) -> Cursor<'l> {
        Cursor { line, specials: &[], at: 0, fields: 0, has_newline: false }
    }

    /// Over a line that was looked through before: its strings cost less.
    pub(in crate::parse) fn seen(line: &'l str, specials: &'l Specials) -> Cursor<'l> {
        Cursor { specials: specials.words(), ..Cursor::new(line) }
    }

    /// Where the cursor stands, in bytes.
    pub(in crate::parse) fn position(&self) -> usize {
        self.at
    }

    /// All of it.
    pub(in crate::parse) const fn whole(&self) -> &'l str {
        self.line
    }

    /// The text between two positions.
    #[inline]
    pub(in crate::parse) fn between(&self, start: usize, end: usize) -> &'l str {
        self.line.get(start..end).unwrap_or_default()
    }

    /// The bytes between two positions.
    #[inline]
    pub(in crate::parse) fn bytes_between(&self, start: usize, end: usize) -> &'l [u8] {
        self.line.as_bytes().get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(in crate::parse) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// Passes over blanks.
    #[inline]
    pub(in crate::parse) fn blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.peek() {
            self.has_newline |= byte == b'\n';
            self.at += 1;
        }
    }

    /// Passes over this byte.
    #[inline]
    pub(in crate::parse) fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found.then_some(())
    }

    /// Whether nothing but blanks follows.
    pub(in crate::parse) fn is_at_end(&mut self) -> bool {
        self.blanks();
        self.at == self.line.len()
    }

    /// Passes over a member that is written as nearly all are: a key without escapes, text without escapes or a number,
    /// at most one blank before each. None, and nothing passed, where it may be something else.
    #[inline(always)]
    pub(in crate::parse) fn usual_member(&mut self) -> Option<Member<'l>> {
        let bytes = self.line.as_bytes();
        let start = self.at + usize::from(bytes.get(self.at) == Some(&b' ')) + 1;
        let key_end = self.special_from(start)?;
        let is_key = bytes.get(start - 1) == Some(&b'"') && bytes.get(key_end..key_end + 2) == Some(b"\":");
        is_key.then(|| self.usual_value(start, key_end)).flatten()
    }

    /// As [`usual_member`](Self::usual_member), for a key that is expected: the search for its end is spared.
    #[inline(always)]
    pub(in crate::parse) fn expected_member(&mut self, lead: &Lead) -> Option<Member<'l>> {
        let bytes = self.line.as_bytes();
        let start = self.at + usize::from(bytes.get(self.at) == Some(&b' ')) + 1;
        let found = lead.is_at(bytes.get(start - 1..)?.first_chunk()?);
        found.then(|| self.usual_value(start, start + lead.key_length())).flatten()
    }

    /// Passes over the value of a key that stands from `start` to `key_end`, its colon, and itself.
    #[inline(always)]
    fn usual_value(&mut self, start: usize, key_end: usize) -> Option<Member<'l>> {
        let bytes = self.line.as_bytes();
        let value_start = key_end + 2 + usize::from(bytes.get(key_end + 2) == Some(&b' '));
        let (passed, end) = match bytes.get(value_start)? {
            b'"' => {
                let end = self.special_from(value_start + 1)?;
                (Passed::Text { escaped: false }, (bytes.get(end) == Some(&b'"')).then_some(end + 1)?)
            }
            b'-' | b'0'..=b'9' => (Passed::Number, number_end(bytes, value_start)?),
            _ => return None,
        };
        let key = bytes.get(start..key_end)?;
        self.count_key()?;
        self.at = end;
        Some(Member { key, start, value_start, passed })
    }

    /// Passes over any member and the blanks before it, up to the end of its value.
    pub(in crate::parse) fn member(&mut self, keys: &mut Vec<u64>) -> Option<(Text<'l>, Member<'l>)> {
        self.blanks();
        let start = self.at + 1;
        let key = self.key()?;
        let value_start = self.at;
        let passed = self.value(1, keys)?;
        Some((key, Member { key: key.inside.as_bytes(), start, value_start, passed }))
    }

    /// Whether another member follows: its comma is passed over then.
    pub(in crate::parse) fn has_another(&mut self) -> bool {
        self.blanks();
        self.expect(b',').is_some()
    }

    /// Counts the keys anew: what follows is a line of its own.
    pub(in crate::parse) fn forget_keys(&mut self) {
        self.fields = 0;
    }

    #[inline]
    fn count_key(&mut self) -> Option<()> {
        self.fields += 1;
        (self.fields <= FIELDS_MAX).then_some(())
    }

    /// Passes over a key and its colon, up to its value.
    #[inline(always)]
    pub(in crate::parse) fn key(&mut self) -> Option<Text<'l>> {
        self.count_key()?;
        self.expect(b'"')?;
        let key = self.text()?;
        self.blanks();
        self.expect(b':')?;
        self.blanks();
        Some(key)
    }

    /// Passes over the rest of a string, whose opening quote is behind the cursor.
    #[inline(always)]
    pub(in crate::parse) fn text(&mut self) -> Option<Text<'l>> {
        let start = self.at;
        let escaped = self.rest_of_text()?;
        Some(Text { inside: self.line.get(start..self.at - 1)?, escaped })
    }

    /// As [`text`](Self::text); whether there is a backslash in it.
    #[inline(always)]
    fn rest_of_text(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            self.at = self.special_from(self.at)?;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.at = escape_end(self.line.as_bytes(), self.at)?;
                }
                _control => return None,
            }
        }
    }

    /// Where the first byte from `at` on stands that ends a string, or has to be looked at.
    #[inline(always)]
    fn special_from(&self, at: usize) -> Option<usize> {
        const WORD_BITS: usize = u64::BITS as usize;
        let mut word = at / WORD_BITS;
        let Some(marks) = self.specials.get(word) else {
            return Some(at + clean_prefix(self.line.as_bytes().get(at..)?));
        };
        let marks = marks >> (at % WORD_BITS);
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        loop {
            word += 1;
            let marks = *self.specials.get(word)?;
            if marks != 0 {
                return Some(word * WORD_BITS + marks.trailing_zeros() as usize);
            }
        }
    }

    /// Passes over a value. `depth`: how many objects and arrays it stands in. `keys`: hashes of the keys of the
    /// objects that are open.
    #[inline(always)]
    pub(in crate::parse) fn value(&mut self, depth: usize, keys: &mut Vec<u64>) -> Option<Passed> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.rest_of_text().map(|escaped| Passed::Text { escaped })
            }
            b'-' | b'0'..=b'9' => {
                self.at = number_end(self.line.as_bytes(), self.at)?;
                Some(Passed::Number)
            }
            _ => {
                let mut copy = *self;
                let passed = copy.other(depth, keys);
                *self = copy;
                passed
            }
        }
    }

    fn other(&mut self, depth: usize, keys: &mut Vec<u64>) -> Option<Passed> {
        match self.peek()? {
            b'{' => self.object(depth + 1, keys),
            b'[' => self.array(depth + 1, keys),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => None,
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Option<Passed> {
        let found = self.line.as_bytes().get(self.at..)?.starts_with(literal);
        self.at += literal.len();
        found.then_some(Passed::Other { usable: true })
    }

    fn array(&mut self, depth: usize, keys: &mut Vec<u64>) -> Option<Passed> {
        (depth <= DEPTH_MAX).then_some(())?;
        self.at += 1;
        let mut all_usable = true;
        self.blanks();
        if self.expect(b']').is_some() {
            return Some(Passed::Other { usable: true });
        }
        loop {
            self.blanks();
            if let Passed::Other { usable } = self.value(depth, keys)? {
                all_usable &= usable;
            }
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(Passed::Other { usable: all_usable })
    }

    fn object(&mut self, depth: usize, keys: &mut Vec<u64>) -> Option<Passed> {
        (depth <= DEPTH_MAX).then_some(())?;
        self.at += 1;
        let first_key = keys.len();
        let mut all_usable = true;
        self.blanks();
        if self.expect(b'}').is_some() {
            return Some(Passed::Other { usable: true });
        }
        loop {
            self.blanks();
            let key = self.key()?;
            all_usable &= is_usable_key(key) && is_new_key(keys, first_key, key.inside.as_bytes());
            if let Passed::Other { usable } = self.value(depth, keys)? {
                all_usable &= usable;
            }
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        keys.truncate(first_key);
        Some(Passed::Other { usable: all_usable })
    }

    /// Whether the value is an object that may hold members with a meaning.
    #[inline]
    pub(in crate::parse) fn is_known_object(&self, path: &[u8]) -> bool {
        self.peek() == Some(b'{') && holds_known_members(path)
    }
}

/// Where an escape ends. Half a surrogate pair is refused: it is no character.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let end = at + 6;
            match hex(bytes.get(at + 2..end)?)? {
                0xD800..=0xDBFF => {
                    let low = hex(bytes.get(end..end + 6)?.strip_prefix(b"\\u")?)?;
                    (0xDC00..=0xDFFF).contains(&low).then_some(end + 6)
                }
                0xDC00..=0xDFFF => None,
                _ => Some(end),
            }
        }
        _ => None,
    }
}

/// Where a number ends.
#[inline]
fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = match bytes.get(at)? {
        b'0' => at + 1,
        _ => end_of_digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = end_of_digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = end_of_digits(bytes, at)?;
    }
    Some(at)
}

/// Where the digits at `at` end; none where there is none.
#[inline]
fn end_of_digits(bytes: &[u8], at: usize) -> Option<usize> {
    let length = digits(bytes.get(at..)?);
    (length > 0).then_some(at + length)
}

/// Whether an index takes the key inside a copied object: no empty part between dots, not over the limit. An escaped
/// one could be anything.
fn is_usable_key(key: Text<'_>) -> bool {
    let name = key.inside;
    let is_odd = key.escaped || name.len() > KEY_BYTES_MAX || name.starts_with(' ') || name.contains('.');
    !name.is_empty() && (!is_odd || !key.escaped && name.len() <= KEY_BYTES_MAX && has_no_blank_part(name))
}

fn has_no_blank_part(name: &str) -> bool {
    name.split('.').all(|part| !part.trim().is_empty())
}

/// Adds a key to those of the innermost open object; false where it is there already.
fn is_new_key(keys: &mut Vec<u64>, first_key: usize, key: &[u8]) -> bool {
    let hash = hash(key);
    let is_new = keys.get(first_key..).is_some_and(|open| !open.contains(&hash));
    keys.push(hash);
    is_new
}

/// A quick hash of a key. Two keys that meet in it only cost their object its structure.
fn hash(key: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = key.len() as u64;
    for chunk in key.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(state ^ u64::from_le_bytes(word)) * u128::from(FACTOR);
        state = (product as u64) ^ (product >> 64) as u64;
    }
    state
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

/// Appends the text that the inside of a valid JSON string means.
pub(in crate::parse) fn unescape(inside: &str, out: &mut String) {
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => chars = unescape_unit(chars.as_str(), out).chars(),
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// `text` follows `\u`: appends the character, and returns what follows it.
fn unescape_unit<'t>(text: &'t str, out: &mut String) -> &'t str {
    let unit = |text: &str| text.as_bytes().get(..4).and_then(hex);
    let first = unit(text).unwrap_or(0xFFFD);
    let rest = text.get(4..).unwrap_or_default();
    let low = rest.strip_prefix("\\u").and_then(unit).filter(|low| (0xDC00..=0xDFFF).contains(low));
    match low {
        Some(low) if (0xD800..=0xDBFF).contains(&first) => {
            let code = 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest.get(6..).unwrap_or_default()
        }
        _ => {
            out.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest
        }
    }
}
