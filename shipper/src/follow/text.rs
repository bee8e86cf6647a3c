//! The encoding of a file, and what its lines are turned into before they are parsed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use memchr::memchr;
use weir_config::{Ansi, CarriageReturn};
use weir_record::limits::LINE_BYTES_MAX;

use super::clean;

/// How a file's bytes are text: a label of the WHATWG Encoding Standard, such as `utf-8`, `utf-16le`, `latin1`,
/// `windows-1251`, `shift_jis` or `gbk`. <https://encoding.spec.whatwg.org/#names-and-labels>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

/// The label is none of an encoding.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding {0:?}: use utf-8, utf-16le, utf-16be, latin1, windows-1252, shift_jis, gbk, ...")]
pub struct EncodingError(String);

impl Encoding {
    /// The default.
    pub const UTF_8: Encoding = Encoding(encoding_rs::UTF_8);

    /// The encoding that the first bytes of a file state, else this one.
    pub fn or_of_mark(self, head: &[u8]) -> Encoding {
        encoding_rs::Encoding::for_bom(head).map_or(self, |(encoding, _)| Encoding(encoding))
    }

    /// Whether text may hold NUL bytes by design.
    pub fn is_wide(self) -> bool {
        self.newlines() != Newlines::Byte
    }

    /// How lines end.
    pub fn newlines(self) -> Newlines {
        if self.0 == encoding_rs::UTF_16LE {
            Newlines::Utf16Le
        } else if self.0 == encoding_rs::UTF_16BE {
            Newlines::Utf16Be
        } else {
            Newlines::Byte
        }
    }
}

impl Default for Encoding {
    fn default() -> Encoding {
        Encoding::UTF_8
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(label: &str) -> Result<Encoding, EncodingError> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .map(Encoding)
            .ok_or_else(|| EncodingError(label.to_owned()))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0.name().to_ascii_lowercase())
    }
}

/// Where lines end. In every encoding but UTF-16 a byte 0x0A is a newline and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newlines {
    /// One byte.
    Byte,
    /// `0A 00`, aligned to the file.
    Utf16Le,
    /// `00 0A`, aligned to the file.
    Utf16Be,
}

impl Newlines {
    /// The first newline of `bytes`, which begin at `offset` of the file.
    pub fn find(self, bytes: &[u8], offset: u64) -> Option<Range<usize>> {
        let mut from = 0;
        loop {
            let at = from + memchr(b'\n', bytes.get(from..)?)?;
            let is_aligned = (offset + at as u64).is_multiple_of(2);
            match self {
                Newlines::Byte => return Some(at..at + 1),
                Newlines::Utf16Le if is_aligned && bytes.get(at + 1) == Some(&0) => return Some(at..at + 2),
                Newlines::Utf16Be if !is_aligned && at > 0 && bytes[at - 1] == 0 => {
                    return Some(at - 1..at + 1);
                }
                _ => from = at + 1,
            }
        }
    }

    /// So many of `length` bytes are whole units: a newline that is cut between two reads is seen by the second.
    pub const fn whole_units(self, length: usize) -> usize {
        match self {
            Newlines::Byte => length,
            Newlines::Utf16Le | Newlines::Utf16Be => length & !1,
        }
    }
}

/// What lines are turned into. With every default this is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRules {
    /// What the bytes are.
    pub encoding: Encoding,
    /// What becomes of escape sequences.
    pub ansi: Ansi,
    /// What becomes of carriage returns.
    pub carriage_return: CarriageReturn,
}

/// Buffers of a [`TextRules::apply`].
#[derive(Debug, Default)]
pub struct TextScratch {
    decoded: Vec<u8>,
    shown: Vec<u8>,
    stripped: Vec<u8>,
    cells: Vec<Range<usize>>,
}

/// A line as it is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Line<'t> {
    /// UTF-8, as far as the file said the truth.
    pub text: &'t [u8],
    /// Whether bytes could not be decoded, and were replaced. What is no UTF-8 in UTF-8 is not meant: the parser
    /// sees that itself.
    pub is_damaged: bool,
}

impl TextRules {
    /// Whether lines are parsed as they stand in the file.
    pub fn change_nothing(&self) -> bool {
        *self == TextRules::default()
    }

    /// Turns one line (no newline) into what is parsed.
    pub fn apply<'t>(&self, line: &'t [u8], scratch: &'t mut TextScratch) -> Line<'t> {
        let TextScratch { decoded, shown, stripped, cells } = scratch;
        let (mut text, mut is_damaged) = (line, false);
        if self.encoding != Encoding::UTF_8 {
            decoded.clear();
            is_damaged = decode(self.encoding.0, line, decoded);
            text = decoded.strip_suffix(b"\r").unwrap_or(decoded);
        }
        if self.carriage_return == CarriageReturn::Last && clean::has_carriage_returns(text) {
            shown.clear();
            clean::overwrite(text, cells, shown);
            text = shown;
        }
        if self.ansi == Ansi::Strip && clean::has_escapes(text) {
            stripped.clear();
            clean::strip(text, stripped);
            text = stripped;
        }
        Line { text, is_damaged }
    }
}

/// Appends the UTF-8 of `bytes`. True: some were no text, and are U+FFFD. The end of a line that was cut inside a
/// character is left out.
fn decode(encoding: &'static encoding_rs::Encoding, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(3 * LINE_BYTES_MAX);
    out.resize(room, 0);
    let is_whole = bytes.len() <= LINE_BYTES_MAX;
    let (_, _, written, damaged) = decoder.decode_to_utf8(bytes, out, is_whole);
    out.truncate(written);
    damaged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn newlines_of_utf_16_are_aligned_pairs() {
        // U+0A0A, U+0A00 and U+000A: only the last is a newline.
        let text = "\u{0a0a}\u{0a00}a\nb";
        for (newlines, bytes) in [
            (Newlines::Utf16Le, utf16(text, u16::to_le_bytes)),
            (Newlines::Utf16Be, utf16(text, u16::to_be_bytes)),
        ] {
            assert_eq!(newlines.find(&bytes, 0), Some(6..8), "{newlines:?}");
            assert_eq!(newlines.find(&bytes[2..], 2), Some(4..6), "{newlines:?}");
            assert_eq!(newlines.find(&bytes[..7], 0), None, "{newlines:?}: the pair is cut");
            assert_eq!(newlines.find(&bytes[8..], 8), None, "{newlines:?}");
        }
        assert_eq!(Newlines::Byte.find(b"ab\nc", 7), Some(2..3));
    }

    #[test]
    fn labels_are_those_of_the_standard() {
        let read = |label: &str| label.parse::<Encoding>().map(|encoding| encoding.to_string());
        assert_eq!(read("latin1"), Ok("windows-1252".into()));
        assert_eq!(read("UTF-16LE"), Ok("utf-16le".into()));
        assert_eq!(read("Shift_JIS"), Ok("shift_jis".into()));
        assert_eq!(read("utf8"), Ok("utf-8".into()));
        assert!(read("klingon").is_err());
        assert!(read("hz-gb-2312").is_err(), "an encoding that is only refused");
    }

    #[test]
    fn lines_are_decoded_and_damage_is_told() {
        let check = |label: &str, bytes: &[u8], expected: &str, damaged: bool| {
            let rules = TextRules { encoding: label.parse().expect("known"), ..TextRules::default() };
            let mut scratch = TextScratch::default();
            let line = rules.apply(bytes, &mut scratch);
            assert_eq!((String::from_utf8_lossy(line.text).as_ref(), line.is_damaged), (expected, damaged));
        };
        check("latin1", b"gr\xf6\xdfe", "größe", false);
        check("windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет", false);
        check("shift_jis", b"\x83\x5c\x95\x5c", "ソ表", false);
        check("gbk", b"\xc4\xe3\xba\xc3", "你好", false);
        check("utf-16le", &utf16("größe 😀\r", u16::to_le_bytes), "größe 😀", false);
        check("utf-16be", &utf16("größe", u16::to_be_bytes), "größe", false);
        check("shift_jis", b"a\xff\xffb", "a\u{fffd}\u{fffd}b", true);
        check("utf-16le", b"a\0b", "a\u{fffd}", true);
    }

    #[test]
    fn a_mark_at_the_start_tells_the_encoding() {
        let of = |head: &[u8]| Encoding::UTF_8.or_of_mark(head).to_string();
        assert_eq!(of(b"\xff\xfea\0"), "utf-16le");
        assert_eq!(of(b"\xfe\xff\0a"), "utf-16be");
        assert_eq!(of(b"\xef\xbb\xbfa"), "utf-8");
        assert_eq!(of(b"plain"), "utf-8");
        assert_eq!(of(b""), "utf-8");
    }
}
