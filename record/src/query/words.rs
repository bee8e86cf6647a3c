//! The words of a text: what is searched one by one.
//!
//! A word is a run of letters, digits and `_`, in lower case. Where a script writes no spaces (Chinese, Japanese,
//! and Korean, whose words carry their particles) the words are pairs of neighbouring characters, each at a position
//! of its own, so that any part of a compound is found as a phrase of its pairs.

/// Words that are longer are not indexed, in bytes: nobody types them, and a base64 blob would be one.
pub const WORD_BYTES_MAX: usize = 255;

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// In lower case.
    pub text: String,
    /// Number of words before it.
    pub position: usize,
    /// First byte in the text.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

/// Cuts text into words, one after the other; `Words::next_into` uses the caller's buffer.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    /// Next byte to look at.
    at: usize,
    position: usize,
    /// Whether the character before `at` was the second of a pair, so that `at - 1 character` begins another.
    pair: Option<usize>,
}

/// The words of `text`.
pub fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let mut words = Words::new(text);
    std::iter::from_fn(move || {
        let mut word = Word { text: String::new(), position: 0, start: 0, end: 0 };
        words.next_into(&mut word).then_some(word)
    })
}

impl<'a> Words<'a> {
    /// Begins at the start of `text`.
    pub fn new(text: &'a str) -> Words<'a> {
        Words { text, at: 0, position: 0, pair: None }
    }

    /// Puts the next word into `word`; false at the end.
    pub fn next_into(&mut self, word: &mut Word) -> bool {
        loop {
            let Some((start, end)) = self.next_range() else { return false };
            word.position = self.position;
            self.position += 1;
            if end - start <= WORD_BYTES_MAX {
                word.start = start;
                word.end = end;
                word.text.clear();
                push_lowercase(&mut word.text, self.text.get(start..end).unwrap_or_default());
                return true;
            }
        }
    }

    fn next_range(&mut self) -> Option<(usize, usize)> {
        if let Some(range) = self.next_pair() {
            return Some(range);
        }
        self.skip_separators();
        let start = self.at;
        let first = self.peek()?;
        self.at += first.len_utf8();
        if is_unspaced(first) {
            return Some(match self.peek() {
                Some(second) if is_unspaced(second) => {
                    self.pair = Some(self.at);
                    self.at += second.len_utf8();
                    (start, self.at)
                }
                _ => (start, self.at),
            });
        }
        self.skip_word();
        Some((start, self.at))
    }

    /// After a pair: the pair that begins with its second character.
    fn next_pair(&mut self) -> Option<(usize, usize)> {
        let start = self.pair.take()?;
        let next = self.peek().filter(|next| is_unspaced(*next))?;
        self.pair = Some(self.at);
        self.at += next.len_utf8();
        Some((start, self.at))
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn skip_separators(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii() {
                if is_word_byte(byte) {
                    return;
                }
                self.at += 1;
            } else {
                match self.peek() {
                    Some(other) if !other.is_alphanumeric() => self.at += other.len_utf8(),
                    _ => return,
                }
            }
        }
    }

    fn skip_word(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii() {
                if !is_word_byte(byte) {
                    return;
                }
                self.at += 1;
            } else {
                match self.peek() {
                    Some(other) if other.is_alphanumeric() && !is_unspaced(other) => {
                        self.at += other.len_utf8();
                    }
                    _ => return,
                }
            }
        }
    }
}

fn push_lowercase(out: &mut String, text: &str) {
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Han, Hiragana, Katakana, Hangul.
const fn is_unspaced(character: char) -> bool {
    matches!(character as u32,
        0x1100..=0x11FF | 0x3040..=0x30FF | 0x3130..=0x318F | 0x31F0..=0x31FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<Word> = words(text).collect();
        let texts: Vec<&str> = found.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, expected, "{text}");
        for (position, word) in found.iter().enumerate() {
            assert_eq!(word.position, position);
            assert_eq!(word.text, text[word.start..word.end].to_lowercase());
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        check("", &[]);
        check(" ,.; ", &[]);
        check("GET /api/v1/Cart?user_id=7", &["get", "api", "v1", "cart", "user_id", "7"]);
        check(
            "java.net.SocketTimeoutException: connect",
            &["java", "net", "sockettimeoutexception", "connect"],
        );
        check("naïve Ärger—ok", &["naïve", "ärger", "ok"]);
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        check("데이터베이스", &["데이", "이터", "터베", "베이", "이스"]);
        check("DB연결 실패", &["db", "연결", "실패"]);
        check("错", &["错"]);
        check("接続エラー1件", &["接続", "続エ", "エラ", "ラー", "1", "件"]);
    }

    #[test]
    fn a_word_that_is_too_long_is_left_out_and_keeps_its_position() {
        let text = format!("a {} b", "x".repeat(WORD_BYTES_MAX + 1));
        let found: Vec<(String, usize)> = words(&text).map(|word| (word.text, word.position)).collect();
        assert_eq!(found, [("a".to_owned(), 0), ("b".to_owned(), 2)]);
    }
}
