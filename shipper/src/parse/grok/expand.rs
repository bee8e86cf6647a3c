//! From a grok pattern to one regular expression: names are replaced by what they stand for, and what only other
//! engines have is rewritten or refused.

use super::library::PatternLibrary;
use super::{Capture, Kind, PatternError};

/// Levels of patterns that name each other.
pub(super) const DEPTH_MAX: usize = 24;

/// Bytes of the regular expression. The largest of the library has a tenth.
pub(super) const EXPANDED_BYTES_MAX: usize = 256 << 10;

/// Returns the regular expression, and what its groups stand for. Groups without a name do not capture. `library`:
/// none where `%{` has no meaning.
pub(super) fn expand(
    pattern: &str,
    library: Option<&PatternLibrary>,
) -> Result<(String, Vec<Capture>), PatternError> {
    let mut expansion = Expansion { library, out: String::new(), captures: Vec::new() };
    expansion.add(pattern, 0)?;
    Ok((expansion.out, expansion.captures))
}

struct Expansion<'l> {
    library: Option<&'l PatternLibrary>,
    out: String,
    captures: Vec<Capture>,
}

impl Expansion<'_> {
    fn add(&mut self, pattern: &str, depth: usize) -> Result<(), PatternError> {
        let (mut rest, mut class_depth) = (pattern, 0usize);
        while let Some(first) = rest.chars().next() {
            if self.out.len() > EXPANDED_BYTES_MAX {
                return Err(PatternError::Length);
            }
            let in_class = class_depth > 0;
            rest = match first {
                '\\' => self.escape(rest, in_class),
                '[' => {
                    class_depth += 1;
                    self.class_start(rest, in_class, &mut class_depth)
                }
                ']' if in_class => {
                    class_depth -= 1;
                    self.copy(rest, 1)
                }
                '%' if !in_class && self.library.is_some() && rest.starts_with("%{") => {
                    self.reference(rest, depth)?
                }
                '(' if !in_class => self.group(rest)?,
                _ => self.copy(rest, first.len_utf8()),
            };
        }
        Ok(())
    }

    fn copy<'p>(&mut self, rest: &'p str, length: usize) -> &'p str {
        self.out.push_str(&rest[..length]);
        &rest[length..]
    }

    /// A backslash and what it escapes. `\h` is a hexadecimal digit to Oniguruma, `\Z` the end.
    fn escape<'p>(&mut self, rest: &'p str, in_class: bool) -> &'p str {
        let Some(escaped) = rest[1..].chars().next() else { return self.copy(rest, 1) };
        match escaped {
            'h' if in_class => self.out.push_str("0-9a-fA-F"),
            'h' => self.out.push_str("[0-9a-fA-F]"),
            'Z' if !in_class => self.out.push_str("\\z"),
            _ => return self.copy(rest, 1 + escaped.len_utf8()),
        }
        &rest[2..]
    }

    /// An opening bracket; a closing one right behind it (or behind `^`) is a member.
    fn class_start<'p>(&mut self, rest: &'p str, in_class: bool, class_depth: &mut usize) -> &'p str {
        if in_class && rest.starts_with("[:") {
            // `[:alnum:]`, with its own end.
            *class_depth -= 1;
            return match rest.find(":]") {
                Some(end) => self.copy(rest, end + 2),
                None => self.copy(rest, 1),
            };
        }
        let length = if rest[1..].starts_with('^') { 2 } else { 1 };
        let rest = self.copy(rest, length);
        match rest.strip_prefix(']') {
            Some(after) => {
                self.out.push_str("\\]");
                after
            }
            None => rest,
        }
    }

    /// `%{NAME}`, `%{NAME:field}`, `%{NAME:field:type}`.
    fn reference<'p>(&mut self, rest: &'p str, depth: usize) -> Result<&'p str, PatternError> {
        let inside = rest[2..].split('}').next().unwrap_or_default();
        let fault = || PatternError::Reference { text: inside.to_owned() };
        let after = rest.get(inside.len() + 3..).ok_or_else(fault)?;
        let mut parts = inside.splitn(3, ':');
        let (name, field, kind) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_name {
            return Err(fault());
        }
        if depth >= DEPTH_MAX {
            return Err(PatternError::Depth { name: name.to_owned() });
        }
        let library = self.library.ok_or_else(fault)?;
        let Some(pattern) = library.get(name).map(str::to_owned) else {
            return Err(PatternError::Unknown { name: name.to_owned(), nearest: library.nearest(name) });
        };
        let capture = match field {
            Some(field) if !field.is_empty() => Capture::new(field, kind_of(kind)?),
            _ => None,
        };
        self.open(capture);
        self.add(&pattern, depth + 1)?;
        self.out.push(')');
        Ok(after)
    }

    fn open(&mut self, capture: Option<Capture>) {
        match capture {
            Some(capture) => {
                self.out.push('(');
                self.captures.push(capture);
            }
            None => self.out.push_str("(?:"),
        }
    }

    /// The start of a group. Atomic groups only save work that a linear engine does not have.
    fn group<'p>(&mut self, rest: &'p str) -> Result<&'p str, PatternError> {
        let Some(inside) = rest.strip_prefix("(?") else {
            self.open(None);
            return Ok(&rest[1..]);
        };
        if let Some(after) = inside.strip_prefix('>') {
            self.open(None);
            return Ok(after);
        }
        if let Some(comment) = inside.strip_prefix('#') {
            return Ok(comment.split_once(')').map_or("", |(_, after)| after));
        }
        if inside.starts_with(['=', '!']) || inside.starts_with("<=") || inside.starts_with("<!") {
            let text = rest.chars().take(12).collect();
            return Err(PatternError::LookAround { text });
        }
        let named = inside.strip_prefix("P<").or_else(|| inside.strip_prefix('<'));
        match named.and_then(|named| named.split_once('>')) {
            Some((name, after)) if !name.is_empty() => {
                self.open(Capture::new(name, Kind::Text));
                Ok(after)
            }
            _ => Ok(self.copy(rest, 2)),
        }
    }
}

fn kind_of(name: Option<&str>) -> Result<Kind, PatternError> {
    Ok(match name {
        None | Some("string") => Kind::Text,
        Some("int" | "integer" | "long") => Kind::Integer,
        Some("float" | "double") => Kind::Float,
        Some("boolean" | "bool") => Kind::Boolean,
        Some(other) => return Err(PatternError::Type { name: other.to_owned() }),
    })
}
