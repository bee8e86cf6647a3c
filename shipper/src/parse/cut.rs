//! Splitting a line at short texts. The standard library prepares a two-way search for each of them, which takes longer
//! than to look through a line: here the first byte that is no blank is searched, and the others are compared. For one
//! character the standard library's search is slower than this one, too, where it is near.

use memchr::memrchr_iter;
use weir_record::scan::find;

/// What a line is split at.
pub(super) trait Cut {
    /// What stands before and behind the first `separator`, which is not empty and has a byte that is no blank.
    fn cut(&self, separator: &str) -> Option<(&str, &str)>;

    /// The same at the first byte of ASCII.
    fn cut_byte(&self, separator: u8) -> Option<(&str, &str)>;

    /// What stands before and behind the first blank.
    fn cut_word(&self) -> Option<(&str, &str)>;

    /// Whether a byte of ASCII is in it.
    fn has(&self, byte: u8) -> bool;

    /// The same at the last `separator`.
    fn cut_last(&self, separator: &str) -> Option<(&str, &str)>;
}

impl Cut for str {
    #[inline]
    fn cut(&self, separator: &str) -> Option<(&str, &str)> {
        let (offset, byte) = rare_byte(separator);
        let mut from = 0;
        loop {
            let place = from + find(byte, &self.as_bytes()[from..])?;
            if let Some(at) = place_of(self, separator, place, offset) {
                return Some((&self[..at], &self[at + separator.len()..]));
            }
            from = place + 1;
        }
    }

    #[inline]
    fn cut_byte(&self, separator: u8) -> Option<(&str, &str)> {
        let at = find(separator, self.as_bytes())?;
        Some((&self[..at], &self[at + 1..]))
    }

    #[inline]
    fn cut_word(&self) -> Option<(&str, &str)> {
        self.cut_byte(b' ')
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        find(byte, self.as_bytes()).is_some()
    }

    #[inline]
    fn cut_last(&self, separator: &str) -> Option<(&str, &str)> {
        let (offset, byte) = rare_byte(separator);
        let mut places = memrchr_iter(byte, self.as_bytes());
        let at = places.find_map(|place| place_of(self, separator, place, offset))?;
        Some((&self[..at], &self[at + separator.len()..]))
    }
}

/// The first byte that is no blank, and where it stands.
#[inline]
fn rare_byte(separator: &str) -> (usize, u8) {
    let bytes = separator.as_bytes();
    let offset = bytes.iter().position(|byte| *byte != b' ').unwrap_or_default();
    (offset, bytes.get(offset).copied().unwrap_or_default())
}

/// Where the separator begins whose byte at `offset` stands at `place`, if it is there.
#[inline]
fn place_of(text: &str, separator: &str, place: usize, offset: usize) -> Option<usize> {
    let start = place.checked_sub(offset)?;
    text.as_bytes()[start..].starts_with(separator.as_bytes()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_the_standard_library_splits_it() {
        bolero::check!().with_type::<(Vec<u8>, u8)>().for_each(|(choices, separator)| {
            const PIECES: [&str; 7] = [" ", ":", "a", "b", "é", ": ", " from "];
            const SEPARATORS: [&str; 6] = [": ", " : ", "a", "ab", " from ", "::"];
            let text: String = choices.iter().map(|choice| PIECES[usize::from(*choice) % 7]).collect();
            let separator = SEPARATORS[usize::from(*separator) % 6];
            assert_eq!(text.cut(separator), text.split_once(separator), "{text:?} at {separator:?}");
            assert_eq!(text.cut_byte(b':'), text.split_once(':'), "{text:?}");
            assert_eq!(
                (text.cut_word(), text.has(b'a')),
                (text.split_once(' '), text.contains('a')),
                "{text:?}"
            );
            assert_eq!(text.cut_last(separator), text.rsplit_once(separator), "{text:?} at {separator:?}");
        });
    }
}
