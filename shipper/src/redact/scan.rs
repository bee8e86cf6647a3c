//! Tells in one pass what there is in a line that a secret, an address or a card's number could be at. In nearly all
//! lines there is nothing, and nothing more is looked for.
//!
//! The pass takes AVX2. Without it an automaton finds the literals, and rows are left to [`super::card`].

#[cfg(target_arch = "x86_64")]
mod avx2;

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};

use super::secret::Groups;

/// A literal in a line. No two begin at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) start: usize,
    /// Counted through all groups.
    pub(super) number: usize,
}

/// What there is in a line beside literals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub(super) has_at: bool,
    /// No row of digits that could be a card's number begins before it; none: nowhere.
    pub(super) row: Option<usize>,
}

/// Looks at lines as well as the processor can.
#[derive(Debug)]
pub(super) enum Scan {
    Vectors(Box<avx2::Scanner>),
    Automaton(AhoCorasick),
}

impl Scan {
    /// For literals in ASCII, 64 at most, each of three bytes or more.
    pub(super) fn new(groups: &Groups) -> Result<Scan, BuildError> {
        avx2::Scanner::new(groups)
            .map_or_else(|| Scan::automaton(groups), |scanner| Ok(Scan::Vectors(Box::new(scanner))))
    }

    /// For any processor.
    pub(super) fn automaton(groups: &Groups) -> Result<Scan, BuildError> {
        let literals = groups.iter().copied().flatten().map(|(text, _)| text);
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(literals).map(Scan::Automaton)
    }

    /// Adds the literals of a line to `literals`, in its order.
    pub(super) fn look(&self, line: &[u8], literals: &mut Vec<Literal>) -> Signs {
        match self {
            Scan::Vectors(scanner) => scanner.look(line, literals),
            Scan::Automaton(automaton) => {
                add_literals(automaton, line, literals);
                Signs { has_at: memchr::memchr(b'@', line).is_some(), row: Some(0) }
            }
        }
    }
}

fn add_literals(automaton: &AhoCorasick, line: &[u8], literals: &mut Vec<Literal>) {
    let mut from = 0;
    while let Some(found) = automaton.find(Input::new(line).range(from..)) {
        literals.push(Literal { start: found.start(), number: found.pattern().as_usize() });
        from = found.start() + 1;
    }
}

/// Processors of other kinds have no AVX2.
#[cfg(not(target_arch = "x86_64"))]
mod avx2 {
    use super::{Groups, Literal, Signs};

    #[derive(Debug)]
    pub(in crate::redact) enum Scanner {}

    impl Scanner {
        pub(super) const fn new(_: &Groups) -> Option<Scanner> {
            None
        }

        pub(super) const fn look(&self, _: &[u8], _: &mut Vec<Literal>) -> Signs {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests;
