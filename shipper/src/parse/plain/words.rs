//! A line that is read word by word, from left to right.

use super::super::cut::Cut;

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'l> {
    line: &'l str,
    at: usize,
}

impl<'l> Words<'l> {
    pub(super) fn at(line: &'l str, at: usize) -> Words<'l> {
        Words { line, at }
    }

    /// What has not been read, in bytes from the line's start.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'l str {
        self.line.get(self.at..).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Passes over `prefix`, and says whether it was there.
    pub(super) fn skip(&mut self, prefix: &str) -> bool {
        let is_there = self.rest().starts_with(prefix);
        self.at += if is_there { prefix.len() } else { 0 };
        is_there
    }

    /// A word and the blanks around it; none at the end.
    pub(super) fn word(&mut self) -> Option<&'l str> {
        self.blanks();
        let word = self.rest().split([' ', '\t']).next().filter(|word| !word.is_empty())?;
        self.at += word.len();
        if !self.skip(" ") {
            return Some(word);
        }
        self.blanks();
        Some(word)
    }

    /// A word that is a number; nothing is passed over where it is none.
    pub(super) fn number(&mut self) -> Option<u32> {
        let before = *self;
        let read = self.word().and_then(number);
        if read.is_none() {
            *self = before;
        }
        read
    }

    /// The digits at this place.
    pub(super) fn number_prefix(&mut self) -> Option<u32> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let read = number(self.rest().get(..digits)?)?;
        self.at += digits;
        Some(read)
    }

    /// What stands before `end`, which is passed over; nothing where it is not there.
    pub(super) fn until(&mut self, end: &str) -> Option<&'l str> {
        let (before, _) = self.rest().cut(end)?;
        self.at += before.len() + end.len();
        Some(before)
    }
}

/// Digits as a number.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}
