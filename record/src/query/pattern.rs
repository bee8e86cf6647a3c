//! Patterns with `*`: any run of characters.

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Text(String),
    /// `*`: any run of characters, also none.
    Many,
}

/// A pattern that the whole value has to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// From its pieces; neighbours that mean the same are joined.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Pattern {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
                (Some(Piece::Many), Piece::Many) => {}
                (_, piece) => joined.push(piece),
            }
        }
        Pattern { pieces: joined }
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it is `*` alone.
    pub fn is_any(&self) -> bool {
        self.pieces == [Piece::Many]
    }

    /// The text before the first wildcard.
    pub fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The same in lower case.
    pub fn to_lowercase(&self) -> Pattern {
        Pattern::new(self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(text.to_lowercase()),
            other => other.clone(),
        }))
    }

    /// Whether all of `value` matches. Each piece of text is searched once: what stands between two `*` may as well
    /// be found at its first place.
    pub fn matches(&self, value: &str) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return value.is_empty() };
        let mut rest = match first {
            Piece::Text(text) => match value.strip_prefix(text.as_str()) {
                Some(rest) => rest,
                None => return false,
            },
            Piece::Many => value,
        };
        for (index, piece) in others.iter().enumerate() {
            let Piece::Text(text) = piece else { continue };
            if index + 1 == others.len() {
                return rest.ends_with(text.as_str());
            }
            match rest.find(text.as_str()) {
                Some(at) => rest = rest.get(at + text.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.is_empty() || self.pieces.last() == Some(&Piece::Many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        let pieces = pattern.chars().map(|character| match character {
            '*' => Piece::Many,
            other => Piece::Text(other.to_string()),
        });
        assert_eq!(Pattern::new(pieces).matches(value), expected, "{pattern} on {value}");
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("abc*", "abc", true);
        check("abc*", "abcdef", true);
        check("abc*", "xabc", false);
        check("*abc", "xabc", true);
        check("*abc", "abcx", false);
        check("*a*b*", "xaxbx", true);
        check("*a*b*", "xbxax", false);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("a*bc*bc", "abcbc", true);
        check("a*bc*bc", "abc", false);
        check("*", "", true);
        check("", "", true);
        check("**ä**", "xäx", true);
    }
}
