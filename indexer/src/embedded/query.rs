//! A [`Query`] as tantivy runs it.

use std::fmt::Write as _;
use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, InvertedIndexRangeQuery, Occur, PhraseQuery,
    Query as TantivyQuery, RangeQuery, RegexQuery, TermQuery,
};
use tantivy::schema::{Field as Handle, IndexRecordOption};
use weir_record::Field;
use weir_record::query::{FieldPath, Pattern, Piece, Query, Test, words};

use super::document::is_rare;
use super::schema::{Fields, date};

type Boxed = Box<dyn TantivyQuery>;

/// Translates `query`, limited to event times in `[from, until)`.
pub(super) fn translate(
    fields: &Fields,
    query: &Query,
    from: Option<i64>,
    until: Option<i64>,
) -> tantivy::Result<Boxed> {
    let query = query_of(fields, query)?;
    let Some(handle) = fields.get(Field::Timestamp).filter(|_| from.is_some() || until.is_some()) else {
        return Ok(query);
    };
    let lower = from.map_or(Bound::Unbounded, Bound::Included);
    let upper = until.map_or(Bound::Unbounded, Bound::Excluded);
    Ok(all(vec![moments(handle, lower, upper), query]))
}

fn query_of(fields: &Fields, query: &Query) -> tantivy::Result<Boxed> {
    Ok(match query {
        Query::All => Box::new(AllQuery),
        Query::And(parts) => {
            all(parts.iter().map(|part| query_of(fields, part)).collect::<Result<_, _>>()?)
        }
        Query::Or(parts) => any(parts.iter().map(|part| query_of(fields, part)).collect::<Result<_, _>>()?),
        Query::Not(part) => Box::new(BooleanQuery::new(vec![
            (Occur::Must, Box::new(AllQuery)),
            (Occur::MustNot, query_of(fields, part)?),
        ])),
        Query::Test(path, Test::Exists) => exists(fields, path)?,
        Query::Test(FieldPath::Schema(field), test) => match fields.get(*field) {
            Some(handle) => schema_test(handle, test)?,
            None => Box::new(EmptyQuery),
        },
        Query::Test(FieldPath::Attribute(path), test) => attribute_test(fields, path, test)?,
        Query::Test(FieldPath::Label(path), test) => json_test(fields.labels, path, test)?,
        Query::Test(FieldPath::Inner(parent, path), test) => match fields.inner.get(parent) {
            Some(handle) => json_test(*handle, path, test)?,
            None => Box::new(EmptyQuery),
        },
    })
}

/// A column of the field itself or of any below it; or, for what has none, its name.
fn exists(fields: &Fields, path: &FieldPath) -> tantivy::Result<Boxed> {
    let name = path.to_string();
    let below = Pattern::new([Piece::Text(format!("{name}.")), Piece::Many]);
    let column = || -> Boxed { Box::new(ExistsQuery::new(Fields::column(path), true)) };
    let mut ways: Vec<Boxed> = vec![
        term(Term::from_field_text(fields.present, &name)),
        Box::new(RegexQuery::from_pattern(&regex(&below), fields.present)?),
    ];
    match path {
        FieldPath::Schema(field) if Fields::is_counted(*field) => return Ok(column()),
        FieldPath::Attribute(_) | FieldPath::Label(_) => ways.push(column()),
        FieldPath::Schema(_) | FieldPath::Inner(..) => {}
    }
    Ok(any(ways))
}

fn schema_test(handle: Handle, test: &Test) -> tantivy::Result<Boxed> {
    Ok(match test {
        Test::Words(text) => phrase(handle, text),
        Test::WordPattern(pattern) | Test::Like(pattern) => {
            Box::new(RegexQuery::from_pattern(&regex(pattern), handle)?)
        }
        Test::Is(text) => term(Term::from_field_text(handle, text)),
        Test::Between(lower, upper) => {
            let bound =
                |bound: &Bound<String>| bound.as_ref().map(|text| Term::from_field_text(handle, text));
            range(bound(lower), bound(upper))
        }
        Test::Integers(lower, upper) => {
            let term = |number| Term::from_field_i64(handle, number);
            range(lower.map(term), upper.map(term))
        }
        Test::Moments(lower, upper) => moments(handle, *lower, *upper),
        Test::Addresses(first, last) => {
            let bound = |address| Bound::Included(Term::from_field_ip_addr(handle, address));
            range(bound(*first), bound(*last))
        }
        Test::Exists => Box::new(AllQuery),
    })
}

/// An attribute is text, common or rare, or a number, or a flag.
fn attribute_test(fields: &Fields, path: &str, test: &Test) -> tantivy::Result<Boxed> {
    let handle = fields.attributes;
    Ok(match test {
        Test::Is(text) => {
            let text_handle = if is_rare(text) { fields.rare } else { handle };
            let mut terms = vec![json_text(text_handle, path, text)];
            terms.extend(number_terms(handle, path, text));
            if let Ok(flag) = text.parse::<bool>() {
                terms.push(with_value(handle, path, |term| term.append_type_and_fast_value(flag)));
            }
            any(terms.into_iter().map(term).collect())
        }
        Test::Between(lower, upper) => {
            let mut ranges = vec![json_test(handle, path, test)?, json_test(fields.rare, path, test)?];
            if let (Some(lower), Some(upper)) = (number(lower), number(upper)) {
                let term =
                    |number: f64| with_value(handle, path, |term| term.append_type_and_fast_value(number));
                ranges.push(range(lower.map(term), upper.map(term)));
            }
            any(ranges)
        }
        _ => any(vec![json_test(handle, path, test)?, json_test(fields.rare, path, test)?]),
    })
}

fn json_test(handle: Handle, path: &str, test: &Test) -> tantivy::Result<Boxed> {
    Ok(match test {
        Test::Is(text) => term(json_text(handle, path, text)),
        Test::Like(pattern) => {
            // The dictionary of a JSON field holds `path 00 type value`, with 01 for the dots and `s` for text.
            let mut whole = escaped(&path.replace('.', "\u{1}"));
            whole.push_str("\\x00s");
            whole.push_str(&regex(pattern));
            Box::new(RegexQuery::from_pattern(&whole, handle)?)
        }
        Test::Between(lower, upper) => json_range(handle, path, lower, upper),
        _ => Box::new(EmptyQuery),
    })
}

/// A range of texts. Open sides end with the texts of this path, not with those of the next.
fn json_range(handle: Handle, path: &str, lower: &Bound<String>, upper: &Bound<String>) -> Boxed {
    const AFTER_TEXT: &[u8] = b"t"; // the type of text is `s`
    let bound = |bound: &Bound<String>| bound.as_ref().map(|text| json_text(handle, path, text));
    let lower = match lower {
        Bound::Unbounded => Bound::Included(json_text(handle, path, "")),
        other => bound(other),
    };
    let upper = match upper {
        Bound::Unbounded => Bound::Excluded(with_value(handle, path, |term| {
            term.append_bytes(AFTER_TEXT);
        })),
        other => bound(other),
    };
    Box::new(InvertedIndexRangeQuery::new(lower, upper))
}

fn json_text(handle: Handle, path: &str, text: &str) -> Term {
    with_value(handle, path, |term| term.append_type_and_str(text))
}

fn number_terms(handle: Handle, path: &str, text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    if let Ok(number) = text.parse::<i64>() {
        terms.push(with_value(handle, path, |term| term.append_type_and_fast_value(number)));
    } else if let Ok(number) = text.parse::<u64>() {
        terms.push(with_value(handle, path, |term| term.append_type_and_fast_value(number)));
    }
    if let Ok(number) = text.parse::<f64>() {
        terms.push(with_value(handle, path, |term| term.append_type_and_fast_value(number)));
    }
    terms
}

fn with_value(handle: Handle, path: &str, append: impl FnOnce(&mut Term)) -> Term {
    let mut term = Term::from_field_json_path(handle, path, true);
    append(&mut term);
    term
}

fn number(bound: &Bound<String>) -> Option<Bound<f64>> {
    Some(match bound {
        Bound::Included(text) => Bound::Included(text.parse().ok()?),
        Bound::Excluded(text) => Bound::Excluded(text.parse().ok()?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

fn moments(handle: Handle, lower: Bound<i64>, upper: Bound<i64>) -> Boxed {
    let term = |nanos| Term::from_field_date(handle, date(nanos));
    range(lower.map(term), upper.map(term))
}

fn range(lower: Bound<Term>, upper: Bound<Term>) -> Boxed {
    if matches!((&lower, &upper), (Bound::Unbounded, Bound::Unbounded)) {
        return Box::new(AllQuery);
    }
    Box::new(RangeQuery::new(lower, upper))
}

fn phrase(handle: Handle, text: &str) -> Boxed {
    let mut terms: Vec<Term> = words(text).map(|word| Term::from_field_text(handle, &word.text)).collect();
    match terms.pop() {
        None => Box::new(EmptyQuery),
        Some(only) if terms.is_empty() => term(only),
        Some(last) => {
            terms.push(last);
            Box::new(PhraseQuery::new(terms))
        }
    }
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn all(mut parts: Vec<Boxed>) -> Boxed {
    match parts.len() {
        0 => Box::new(AllQuery),
        1 => parts.remove(0),
        _ => Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Must, part)).collect())),
    }
}

fn any(mut parts: Vec<Boxed>) -> Boxed {
    match parts.len() {
        0 => Box::new(EmptyQuery),
        1 => parts.remove(0),
        _ => Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Should, part)).collect())),
    }
}

fn regex(pattern: &Pattern) -> String {
    pattern.pieces().iter().fold(String::new(), |mut regex, piece| {
        match piece {
            Piece::Text(text) => regex.push_str(&escaped(text)),
            Piece::Many => regex.push_str("(?s:.*)"),
        }
        regex
    })
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len() * 2), |mut regex, character| {
        if character.is_alphanumeric() || character == '_' {
            regex.push(character);
        } else {
            write!(regex, "\\x{{{:x}}}", u32::from(character)).expect("a string takes everything");
        }
        regex
    })
}
