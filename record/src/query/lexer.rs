//! Text to tokens.

use std::ops::Bound;

use super::QueryError;
use super::pattern::Piece;

/// A token and the characters before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spanned {
    pub position: usize,
    pub token: Token,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A name before a colon or a comparison.
    Field(String),
    Compare(Comparison),
    Phrase(String),
    Word(Vec<Piece>),
    Range(Bound<String>, Bound<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, QueryError> {
    let mut lexer = Lexer { characters: text.chars().collect(), at: 0, after_field: false, group_depth: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
    /// Whether a field's value comes next: there, colons and words such as `or` are plain text.
    after_field: bool,
    /// How many parentheses are open inside a field's value: there, all words are values of that field.
    group_depth: usize,
}

impl Lexer {
    fn next(&mut self) -> Result<Option<Spanned>, QueryError> {
        self.skip_blanks();
        let position = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let after_field = std::mem::take(&mut self.after_field);
        let is_value = after_field || self.group_depth > 0;
        let token = match first {
            '(' => {
                self.group_depth += usize::from(is_value);
                self.single(Token::Open)
            }
            ')' => {
                self.group_depth = self.group_depth.saturating_sub(1);
                self.single(Token::Close)
            }
            '"' => Token::Phrase(self.quoted()?),
            '[' | '{' if is_value => self.range()?,
            '>' | '<' if is_value => self.comparison(),
            _ if after_field => Token::Word(self.word()),
            '-' | '!' if self.begins_a_term(1) => self.single(Token::Not),
            _ => match if is_value { None } else { self.field() } {
                Some(name) => Token::Field(name),
                None => operator_or_word(self.word()),
            },
        };
        Ok(Some(Spanned { position, token }))
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, distance: usize) -> Option<char> {
        self.characters.get(self.at + distance).copied()
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn begins_a_term(&self, distance: usize) -> bool {
        self.peek_at(distance).is_some_and(|next| !next.is_whitespace() && !matches!(next, '-' | '!' | ')'))
    }

    /// A field's name with its colon or `==`, or with a comparison behind it, which stays for the next token.
    fn field(&mut self) -> Option<String> {
        let is_first = |first: char| first.is_alphabetic() || matches!(first, '_' | '@');
        let is_inner =
            |inner: char| inner.is_alphanumeric() || matches!(inner, '_' | '@' | '.' | '-' | '/' | '*');
        self.peek().filter(|first| is_first(*first))?;
        let length = (0..).take_while(|distance| self.peek_at(*distance).is_some_and(is_inner)).count();
        let name: String = self.characters.get(self.at..self.at + length)?.iter().collect();
        let blanks = (length..)
            .take_while(|distance| self.peek_at(*distance).is_some_and(char::is_whitespace))
            .count();
        match (self.peek_at(length), self.peek_at(length + blanks)) {
            (Some(':'), _)
                if self.peek_at(length + 1) != Some('/') || self.peek_at(length + 2) != Some('/') =>
            {
                self.at += length + 1;
            }
            (_, Some('=')) if self.peek_at(length + blanks + 1) == Some('=') && !is_operator(&name) => {
                self.at += length + blanks + 2;
            }
            (_, Some('>' | '<')) if blanks == 0 || !is_operator(&name) => self.at += length + blanks,
            _ => return None,
        }
        self.after_field = true;
        Some(name)
    }

    fn comparison(&mut self) -> Token {
        let greater = self.peek() == Some('>');
        let or_equal = self.peek_at(1) == Some('=');
        self.at += 1 + usize::from(or_equal);
        self.after_field = true;
        Token::Compare(match (greater, or_equal) {
            (true, true) => Comparison::GreaterOrEqual,
            (true, false) => Comparison::Greater,
            (false, true) => Comparison::LessOrEqual,
            (false, false) => Comparison::Less,
        })
    }

    /// Up to a blank, a parenthesis or a quotation mark.
    fn word(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(next) = self.peek() {
            if next.is_whitespace() || matches!(next, '(' | ')' | '"') {
                break;
            }
            self.at += 1;
            pieces.push(match next {
                '*' => Piece::Many,
                '\\' => Piece::Text(self.escaped().to_string()),
                other => Piece::Text(other.to_string()),
            });
        }
        pieces
    }

    /// The character after a backslash; a backslash at the end stands for itself.
    fn escaped(&mut self) -> char {
        let Some(next) = self.peek() else { return '\\' };
        self.at += 1;
        next
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let position = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(next) = self.peek() {
            self.at += 1;
            match next {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()),
                other => text.push(other),
            }
        }
        let message =
            "this quotation mark has no partner: close it, or write \\\" for the character".to_owned();
        Err(QueryError { position, message })
    }

    /// `[a TO b]`, `{a TO b}`, or one of each.
    fn range(&mut self) -> Result<Token, QueryError> {
        let position = self.at;
        let lower_included = self.peek() == Some('[');
        self.at += 1;
        let lower = self.bound()?;
        self.skip_blanks();
        let to: String = [self.peek_at(0), self.peek_at(1)].into_iter().flatten().collect();
        let message = "a range is written [a TO b], or {a TO b} without its bounds; * leaves a side open";
        let error = QueryError { position, message: message.to_owned() };
        if !to.eq_ignore_ascii_case("to") {
            return Err(error);
        }
        self.at += 2;
        let upper = self.bound()?;
        self.skip_blanks();
        let upper_included = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(error),
        };
        self.at += 1;
        if lower.as_deref() == Some("") || upper.as_deref() == Some("") {
            return Err(error);
        }
        let bound = |text: Option<String>, included| match (text, included) {
            (None, _) => Bound::Unbounded,
            (Some(text), true) => Bound::Included(text),
            (Some(text), false) => Bound::Excluded(text),
        };
        Ok(Token::Range(bound(lower, lower_included), bound(upper, upper_included)))
    }

    /// One side of a range; none for `*`.
    fn bound(&mut self) -> Result<Option<String>, QueryError> {
        self.skip_blanks();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let mut text = String::new();
        while let Some(next) = self.peek() {
            if next.is_whitespace() || matches!(next, ']' | '}') {
                break;
            }
            self.at += 1;
            text.push(if next == '\\' { self.escaped() } else { next });
        }
        Ok(Some(text).filter(|text| text != "*"))
    }
}

fn is_operator(name: &str) -> bool {
    ["and", "or", "not"].iter().any(|operator| operator.eq_ignore_ascii_case(name))
}

fn operator_or_word(pieces: Vec<Piece>) -> Token {
    let text: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Many => "*",
        })
        .collect();
    match text.to_ascii_lowercase().as_str() {
        "and" | "&&" => Token::And,
        "or" | "||" => Token::Or,
        "not" => Token::Not,
        _ => Token::Word(pieces),
    }
}
