//! Tokens to a query, by recursive descent:
//!
//! ```text
//! any     = all { OR all }
//! all     = one { [AND] one }
//! one     = NOT one | "(" any ")" | field ":" value | field comparison value | value
//! value   = word | "phrase" | range | "(" any ")"
//! ```

use std::ops::Bound;

use super::field::FieldPath;
use super::lexer::{Comparison, Spanned, Token, tokens};
use super::pattern::{Pattern, Piece};
use super::{Query, QueryError, value};
use crate::schema::Field;

/// Deepest nesting of parentheses and NOTs: bounds the recursion here and in everything that walks a query.
const DEPTH_MAX: usize = 50;

/// Most tokens of a query: Elasticsearch refuses more than 1,024 clauses.
const TOKENS_MAX: usize = 1000;

pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    let tokens = tokens(text)?;
    if let Some(excess) = tokens.get(TOKENS_MAX) {
        return Err(error(excess.position, format!("a query has at most {TOKENS_MAX} words and signs")));
    }
    let mut parser = Parser { tokens, at: 0, end: text.chars().count(), depth: 0 };
    if parser.tokens.is_empty() {
        return Ok(Query::All);
    }
    let query = parser.any(None)?;
    match parser.tokens.get(parser.at) {
        None => Ok(query),
        Some(rest) => Err(error(rest.position, "this parenthesis closes nothing".to_owned())),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self, field: Option<&FieldPath>) -> Result<Query, QueryError> {
        let mut parts = vec![self.all(field)?];
        while self.take(&Token::Or) {
            parts.push(self.all(field)?);
        }
        Ok(joined(parts, Query::Or))
    }

    fn all(&mut self, field: Option<&FieldPath>) -> Result<Query, QueryError> {
        let mut parts = vec![self.one(field)?];
        loop {
            let explicit = self.take(&Token::And);
            let ends = matches!(self.peek(), None | Some(Token::Or | Token::Close));
            if ends && !explicit {
                parts.retain(|part| *part != Query::All);
                return Ok(if parts.is_empty() { Query::All } else { joined(parts, Query::And) });
            }
            parts.push(self.one(field)?);
        }
    }

    fn one(&mut self, field: Option<&FieldPath>) -> Result<Query, QueryError> {
        let position = self.position();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(position, format!("a query is at most {DEPTH_MAX} levels deep")));
        }
        let query = match self.next() {
            Some(Token::Not) => Query::Not(Box::new(self.one(field)?)),
            Some(Token::Open) => self.group(field, position)?,
            Some(Token::Field(name)) => self.field(&name, position)?,
            Some(Token::Phrase(text)) => at(position, phrase(field, &text))?,
            Some(Token::Word(pieces)) => at(position, word(field, pieces))?,
            Some(Token::Range(lower, upper)) => at(position, range(field, lower, upper))?,
            Some(Token::Compare(comparison)) => self.comparison(field, comparison, position)?,
            Some(Token::And | Token::Or | Token::Close) | None => {
                return Err(error(position, self.expected_here()));
            }
        };
        self.depth -= 1;
        Ok(query)
    }

    fn group(&mut self, field: Option<&FieldPath>, position: usize) -> Result<Query, QueryError> {
        let query = self.any(field)?;
        if self.take(&Token::Close) {
            return Ok(query);
        }
        Err(error(position, "this parenthesis is not closed".to_owned()))
    }

    fn field(&mut self, name: &str, position: usize) -> Result<Query, QueryError> {
        let path = at(position, FieldPath::resolve(name))?;
        match self.peek() {
            Some(Token::Field(_) | Token::And | Token::Or | Token::Not | Token::Close) | None => Err(error(
                self.position(),
                format!("expected a value for \"{name}\": {name}:value, or {name}:* where it exists"),
            )),
            Some(_) => self.one(Some(&path)),
        }
    }

    fn comparison(
        &mut self,
        field: Option<&FieldPath>,
        comparison: Comparison,
        position: usize,
    ) -> Result<Query, QueryError> {
        let value_position = self.position();
        let text = match self.next() {
            Some(Token::Phrase(text)) => text,
            Some(Token::Word(pieces)) => plain(&pieces).unwrap_or_default(),
            _ => String::new(),
        };
        if text.is_empty() {
            return Err(error(value_position, "expected one value to compare with".to_owned()));
        }
        let (lower, upper) = match comparison {
            Comparison::Greater => (Bound::Excluded(text), Bound::Unbounded),
            Comparison::GreaterOrEqual => (Bound::Included(text), Bound::Unbounded),
            Comparison::Less => (Bound::Unbounded, Bound::Excluded(text)),
            Comparison::LessOrEqual => (Bound::Unbounded, Bound::Included(text)),
        };
        at(position, range(field, lower, upper))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |spanned| spanned.position)
    }

    fn expected_here(&self) -> String {
        match self.tokens.get(self.at.wrapping_sub(1)).map(|spanned| &spanned.token) {
            Some(Token::And) => "expected something to search before AND".to_owned(),
            Some(Token::Or) => "expected something to search before OR".to_owned(),
            Some(Token::Close) => "expected something to search before this parenthesis".to_owned(),
            _ => "the query ends where something to search was expected".to_owned(),
        }
    }
}

fn joined(mut parts: Vec<Query>, join: fn(Vec<Query>) -> Query) -> Query {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => Query::All,
    }
}

fn word(field: Option<&FieldPath>, pieces: Vec<Piece>) -> Result<Query, String> {
    match (plain(&pieces), field) {
        (Some(text), _) => phrase(field, &text),
        (None, Some(path)) => value::like(path.clone(), Pattern::new(pieces)),
        (None, None) => anywhere(|path| value::like(path, Pattern::new(pieces.clone()))),
    }
}

fn phrase(field: Option<&FieldPath>, text: &str) -> Result<Query, String> {
    match field {
        Some(path) => value::equals(path.clone(), text),
        None => anywhere(|path| value::equals(path, text)),
    }
}

fn range(field: Option<&FieldPath>, lower: Bound<String>, upper: Bound<String>) -> Result<Query, String> {
    match field {
        Some(path) => value::between(path.clone(), lower, upper),
        None => Err("a comparison needs a field before it: status>=500".to_owned()),
    }
}

/// What stands without a field is searched in the human part of a record.
fn anywhere(test: impl Fn(FieldPath) -> Result<Query, String>) -> Result<Query, String> {
    let message = test(FieldPath::Schema(Field::Message))?;
    if message == Query::All || message == value::exists(FieldPath::Schema(Field::Message)) {
        return Ok(Query::All);
    }
    Ok(Query::Or(vec![message, test(FieldPath::Schema(Field::ErrorMessage))?]))
}

/// The text of a word without wildcards.
fn plain(pieces: &[Piece]) -> Option<String> {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Many => None,
        })
        .collect()
}

fn at<T>(position: usize, result: Result<T, String>) -> Result<T, QueryError> {
    result.map_err(|message| error(position, message))
}

fn error(position: usize, message: String) -> QueryError {
    QueryError { position, message }
}
