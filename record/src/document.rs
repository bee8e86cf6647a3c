//! One record as the inside of a JSON object: flat, dotted members, appended in one pass.
//!
//! A *fragment* is a list of members without the braces: `"message":"x","log.level":"error"`. The fields that all
//! records of a frame share are another fragment; the bulk body is made by splicing the two. A key stands once in a
//! document, always: Elasticsearch refuses repeats. So the writer knows which fields it has written, and which are
//! reserved for the shared fragment.

use crate::json::{push_escaped, push_i64, push_string};
use crate::level::Level;
use crate::limits::FIELDS_MAX;
use crate::scan::{push, push_head};
use crate::schema::{ATTRIBUTES, Field, Opening};
use crate::time::{Day, Timestamp};

mod fields;
mod keys;

pub use self::fields::FieldSet;
pub use self::keys::AttributeKey;
use self::keys::{hash_of, push_clean_key};

/// What happened to a record on its way, shown in `tags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// The line was cut at its limit.
    Truncated,
    /// No parser understood the line; all of it is in `message`.
    Unparsed,
    /// Bytes that are no UTF-8 were replaced; the line's own are in `event.original`.
    InvalidUtf8,
    /// A container's line of several pieces, whose last piece is not part of this record.
    Partial,
    /// Something was taken out of the line before it left its host.
    Redacted,
}

impl Tag {
    const ALL: [Tag; 5] = [Tag::Truncated, Tag::Unparsed, Tag::InvalidUtf8, Tag::Partial, Tag::Redacted];

    /// The tag as indexed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tag::Truncated => "truncated",
            Tag::Unparsed => "unparsed",
            Tag::InvalidUtf8 => "invalid_utf8",
            Tag::Redacted => "redacted",
            Tag::Partial => "partial",
        }
    }
}

/// What a writer remembers about one document; kept between documents so that nothing is allocated per record.
#[derive(Debug, Default)]
pub struct DocumentScratch {
    /// Hashes of the attributes' keys.
    attributes: Vec<u64>,
    /// One bit for each hash's upper six: where it is clear, the hash is new.
    attribute_filter: u64,
    key: Vec<u8>,
    line_tags: Vec<u8>,
    /// Of the last time stamp.
    day: Day,
}

impl DocumentScratch {
    /// Adds an attribute's hash; false where it is there already.
    fn remember(&mut self, hash: u64) -> bool {
        let bit = 1u64 << (hash >> 58);
        let fresh = self.attribute_filter & bit == 0 || !self.attributes.contains(&hash);
        if fresh {
            self.attribute_filter |= bit;
            self.attributes.push(hash);
        }
        fresh
    }
}

/// Members that stand in many documents, ready to be appended together.
#[derive(Debug)]
pub struct Members {
    /// With their values, which are JSON.
    fields: Vec<(Field, String)>,
    /// The fields alone.
    set: FieldSet,
    /// All of them, each behind a comma.
    text: Vec<u8>,
}

impl Members {
    /// Fields and their values, which are valid JSON.
    pub fn new(fields: impl IntoIterator<Item = (Field, String)>) -> Members {
        let fields: Vec<_> = fields.into_iter().collect();
        let mut text = Vec::new();
        for (field, value) in &fields {
            text.extend_from_slice(format!(",\"{}\":{value}", field.name()).as_bytes());
        }
        let set = fields.iter().map(|(field, _)| *field).collect();
        Members { fields, set, text }
    }
}

/// Appends one document's fragment to a buffer.
pub struct DocumentWriter<'a> {
    out: &'a mut Vec<u8>,
    scratch: &'a mut DocumentScratch,
    /// What the document is made of.
    record: &'a [u8],
    start: usize,
    reserved: FieldSet,
    written: FieldSet,
    members: usize,
    tags: u8,
}

impl<'a> DocumentWriter<'a> {
    /// Begins a document at the end of `out`. `record`: where most of what is written stands; it may be empty.
    /// `reserved`: the fields that stand in the shared fragment; see [`FieldSet::weir_only`].
    pub fn new(
        out: &'a mut Vec<u8>,
        scratch: &'a mut DocumentScratch,
        record: &'a [u8],
        reserved: FieldSet,
    ) -> DocumentWriter<'a> {
        let start = out.len();
        let mut writer =
            DocumentWriter { out, scratch, record, start, reserved, written: reserved, members: 0, tags: 0 };
        writer.reset();
        writer
    }

    /// Forgets what was written: the line turned out to be something else.
    pub fn reset(&mut self) {
        self.out.truncate(self.start);
        self.scratch.attributes.clear();
        self.scratch.attribute_filter = 0;
        self.scratch.line_tags.clear();
        self.written = self.reserved;
        self.members = 0;
        self.tags = 0;
    }

    /// Whether this field is taken: written already, or reserved.
    pub fn has(&self, field: Field) -> bool {
        self.written.contains(field)
    }

    /// Whether the document has as many members as it may ([`FIELDS_MAX`]).
    pub fn is_full(&self) -> bool {
        self.members >= FIELDS_MAX
    }

    /// How many members were written.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Writes text. False, and nothing written, where the field is taken.
    #[inline]
    pub fn string(&mut self, field: Field, value: &str) -> bool {
        self.text_member(field, |out| push_escaped(out, value.as_bytes()))
    }

    /// Writes text from bytes; what is no UTF-8 becomes U+FFFD, and the document is tagged.
    pub fn text(&mut self, field: Field, value: &[u8]) -> bool {
        match std::str::from_utf8(value) {
            Ok(value) => self.string(field, value),
            Err(_) => {
                let fresh = self.string(field, &String::from_utf8_lossy(value));
                if fresh {
                    self.tag(Tag::InvalidUtf8);
                }
                fresh
            }
        }
    }

    /// Writes text whose JSON escapes are already made: the inside of a string of a valid JSON line.
    #[inline]
    pub fn escaped(&mut self, field: Field, value: &[u8]) -> bool {
        let text = in_record(self.record, value);
        self.text_member(field, |out| push_head(out, text, value.len()))
    }

    /// Writes text. `is_clean`: it is known that JSON escapes nothing in it.
    #[inline]
    pub fn string_or_clean(&mut self, field: Field, value: &str, is_clean: bool) -> bool {
        match is_clean {
            true => self.escaped(field, value.as_bytes()),
            false => self.string(field, value),
        }
    }

    /// Writes a number.
    #[inline]
    pub fn integer(&mut self, field: Field, value: i64) -> bool {
        self.member(field, |out| push_i64(out, value))
    }

    /// Writes a value that is valid JSON already.
    pub fn raw(&mut self, field: Field, value: &[u8]) -> bool {
        let text = in_record(self.record, value);
        self.member(field, |out| push_head(out, text, value.len()))
    }

    /// Writes a number of digits with zeros, or others, behind them.
    pub fn digits(&mut self, field: Field, digits: &[u8], more: &[u8]) -> bool {
        self.member(field, |out| {
            push(out, digits);
            push(out, more);
        })
    }

    /// Writes members that are always the same, but those that are taken.
    pub fn prepared(&mut self, members: &Members) {
        let is_first = self.out.len() == self.start;
        if is_first || self.written.meets(members.set) {
            for (field, value) in &members.fields {
                self.raw(*field, value.as_bytes());
            }
            return;
        }
        push(self.out, &members.text);
        self.members += members.fields.len();
        self.written = self.written.and(members.set);
    }

    /// Writes `@timestamp`.
    pub fn timestamp(&mut self, value: Timestamp) -> bool {
        self.moment(Field::Timestamp, value)
    }

    /// Writes a moment.
    pub fn moment(&mut self, field: Field, value: Timestamp) -> bool {
        let fresh = self.written.insert(field);
        if fresh {
            self.members += 1;
            append(self.out, self.start, field.member(), 1, |out| {
                value.push_on(&mut self.scratch.day, out);
                out.push(b'"');
            });
        }
        fresh
    }

    /// Writes `log.level`.
    pub fn level(&mut self, level: Level) -> bool {
        self.escaped(Field::LogLevel, level.as_str().as_bytes())
    }

    /// Opens the member `attributes.<key>` and returns the buffer to append its JSON value to. `key` is plain UTF-8,
    /// not escaped. A repeated key gets a number, an unusable one (empty, odd dots, too long) is mended.
    pub fn attribute(&mut self, key: &str) -> &mut Vec<u8> {
        if self.is_new_plain_key(key.as_bytes()) {
            self.attribute_behind_prefix(|out| {
                push(out, key.as_bytes());
                out.extend_from_slice(b"\":");
            });
            return self.out;
        }
        let mut mended = std::mem::take(&mut self.scratch.key);
        mended.clear();
        push_clean_key(&mut mended, key);
        self.number_repeated_key(&mut mended);
        self.attribute_behind_prefix(|out| {
            push_escaped(out, &mended);
            out.extend_from_slice(b"\":");
        });
        self.scratch.key = mended;
        self.out
    }

    /// Writes an attribute from a member of a valid JSON object, as it stands there without the first quote:
    /// `key":value`. False, and nothing written, where the key cannot stand as it is, or is repeated: then
    /// [`DocumentWriter::attribute`] mends it.
    #[inline]
    pub fn attribute_member(&mut self, key: Option<AttributeKey>, member: &[u8]) -> bool {
        let is_new = key.is_some_and(|key| self.scratch.remember(key.hash()));
        if is_new {
            let text = in_record(self.record, member);
            self.attribute_behind_prefix(|out| push_head(out, text, member.len()));
        }
        is_new
    }

    /// Whether a key can be written as it is; it is remembered then.
    #[inline]
    fn is_new_plain_key(&mut self, key: &[u8]) -> bool {
        AttributeKey::new(key).is_some_and(|key| self.scratch.remember(key.hash()))
    }

    /// Writes the attribute `key` as text.
    pub fn attribute_string(&mut self, key: &str, value: &str) {
        push_string(self.attribute(key), value);
    }

    /// Adds a tag.
    pub fn tag(&mut self, tag: Tag) {
        self.tags |= 1 << tag as u8;
    }

    /// Adds tags of the line itself: JSON strings, separated by commas.
    pub fn line_tags(&mut self, strings: &[u8]) {
        if !self.scratch.line_tags.is_empty() && !strings.is_empty() {
            self.scratch.line_tags.push(b',');
        }
        self.scratch.line_tags.extend_from_slice(strings);
    }

    /// Whether the tag was added.
    pub fn is_tagged(&self, tag: Tag) -> bool {
        self.tags & (1 << tag as u8) != 0
    }

    /// Ends the document; returns the fragment's length.
    pub fn finish(mut self) -> usize {
        if self.tags != 0 || !self.scratch.line_tags.is_empty() {
            self.push_tags();
        }
        self.out.len() - self.start
    }

    fn push_tags(&mut self) {
        let (tags, line_tags) = (self.tags, std::mem::take(&mut self.scratch.line_tags));
        self.member(Field::Tags, |out| {
            out.push(b'[');
            out.extend_from_slice(&line_tags);
            for tag in Tag::ALL.into_iter().filter(|tag| tags & (1 << *tag as u8) != 0) {
                if out.last() != Some(&b'[') {
                    out.push(b',');
                }
                push_string(out, tag.as_str());
            }
            out.push(b']');
        });
        self.scratch.line_tags = line_tags;
    }

    /// Writes a member whose value is appended by `push`, unless the field is taken.
    #[inline(always)]
    fn member(&mut self, field: Field, push: impl FnOnce(&mut Vec<u8>)) -> bool {
        let fresh = self.written.insert(field);
        if fresh {
            self.members += 1;
            append(self.out, self.start, field.member(), 0, push);
        }
        fresh
    }

    /// As [`member`](Self::member), for the inside of a text.
    #[inline(always)]
    fn text_member(&mut self, field: Field, push: impl FnOnce(&mut Vec<u8>)) -> bool {
        let fresh = self.written.insert(field);
        if fresh {
            self.members += 1;
            append(self.out, self.start, field.member(), 1, |out| {
                push(out);
                out.push(b'"');
            });
        }
        fresh
    }

    /// Writes an attribute, of which `push` appends all behind the prefix.
    #[inline(always)]
    fn attribute_behind_prefix(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        self.members += 1;
        append(self.out, self.start, &ATTRIBUTE_MEMBER, 0, push);
    }

    fn number_repeated_key(&mut self, key: &mut Vec<u8>) {
        let length = key.len();
        let mut number = 1u32;
        while !self.scratch.remember(hash_of(key)) {
            number += 1;
            key.truncate(length);
            key.push(b'_');
            push_i64(key, i64::from(number));
        }
    }
}

/// A text with all that stands behind it, if it stands in the record.
#[inline]
fn in_record<'t>(record: &'t [u8], text: &'t [u8]) -> &'t [u8] {
    let offset = text.as_ptr().addr().wrapping_sub(record.as_ptr().addr());
    match record.get(offset..) {
        Some(rest) if rest.len() >= text.len() => rest,
        _ => text,
    }
}

static ATTRIBUTE_MEMBER: Opening = Opening::new(",\"attributes.");

const _: () = assert!(
    ATTRIBUTE_MEMBER.length() == ATTRIBUTES.len() + 3,
    "the prefix, behind a comma and a quote, before a dot"
);

/// Appends a member to a document that begins at `start`: its opening, with so many bytes of the quote behind it, and what
/// `push` appends.
#[inline(always)]
fn append(out: &mut Vec<u8>, start: usize, opening: &Opening, quote: usize, push: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len();
    let comma = usize::from(end == start);
    out.extend_from_slice(if comma == 0 { opening.behind_another() } else { opening.first() });
    out.truncate(end + opening.length() + quote - comma);
    push(out);
}

#[cfg(test)]
mod tests;
