//! One `[[source.test]]`: its lines go the whole way of a source, and every field is compared with what was expected.

use std::fmt::Write as _;
use std::io::Cursor;

use serde_json::{Map, Value};
use weir_config::{Scalar, SourceTest};
use weir_shipper::SourceSettings;
use weir_shipper::shape::Cut;

use crate::commands::lines::{self, Summary};
use crate::show::safe;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Most characters of a value that are shown.
const SHOWN_CHARACTERS_MAX: usize = 300;

/// What a test has shown.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// One record, as it had to be; its fields.
    Fields(Vec<FieldOutcome>),
    /// No record where one was expected: why.
    Nothing(String),
    /// A record where none was expected: its message.
    Kept(String),
    /// Several records: their messages.
    Several(Vec<String>),
    /// A record was dropped, as it had to be.
    Dropped,
}

/// A field that a test expects something of.
#[derive(Debug, PartialEq)]
pub struct FieldOutcome {
    name: String,
    expected: Value,
    /// None: the document has no such field.
    found: Option<Value>,
    /// Where the expected value stands instead.
    elsewhere: Option<String>,
}

impl FieldOutcome {
    fn new(name: &str, expected: Value, document: &Map<String, Value>) -> FieldOutcome {
        let found = document.get(name).cloned();
        let mut others =
            document.iter().filter(|(other, value)| *other != name && is_alike(value, &expected));
        let elsewhere = others.next().map(|(other, _)| other.clone());
        FieldOutcome { name: name.to_owned(), expected, found, elsewhere }
    }

    fn has_passed(&self) -> bool {
        self.found.as_ref().is_some_and(|found| is_alike(found, &self.expected))
    }
}

/// Numbers are compared by value, and an array by whether it holds the value, as a search would.
fn is_alike(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(items), expected) => items.iter().any(|item| is_alike(item, expected)),
        (Value::Number(found), Value::Number(expected)) => {
            found == expected || found.as_f64() == expected.as_f64() && (found.is_f64() || expected.is_f64())
        }
        _ => found == expected,
    }
}

/// Runs one test.
///
/// # Errors
/// A line is too long for this command.
pub fn run(source: &SourceSettings, test: &SourceTest) -> anyhow::Result<Outcome> {
    let mut documents: Vec<Map<String, Value>> = Vec::new();
    let mut input = Cursor::new(test.input.value.as_bytes());
    let summary = lines::documents(&mut input, source, None, None, &mut |document| {
        documents.push(serde_json::from_slice(document)?);
        Ok(())
    })?;
    let message = |document: &Map<String, Value>| {
        document.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(match &documents[..] {
        [] if test.dropped && summary.records > 0 => Outcome::Dropped,
        [] => Outcome::Nothing(why_nothing(&summary)),
        [document] if test.dropped => Outcome::Kept(message(document)),
        [document] => {
            let fields = test.expect.iter();
            let compare =
                |(name, expected): (&String, &Scalar)| FieldOutcome::new(name, to_json(expected), document);
            Outcome::Fields(fields.map(compare).collect())
        }
        several => Outcome::Several(several.iter().map(message).collect()),
    })
}

fn why_nothing(summary: &Summary) -> String {
    let cut = Cut::ALL.iter().zip(summary.cut).find(|(_, count)| *count > 0);
    match cut {
        Some((cut, _)) => format!("a step of shape has cut it ({})", cut.name()),
        None if summary.dropped > 0 => "a rule of drop has dropped it".to_owned(),
        None => "the input holds no line".to_owned(),
    }
}

impl Outcome {
    /// Whether all is as the test says.
    pub fn has_passed(&self) -> bool {
        match self {
            Outcome::Fields(fields) => fields.iter().all(FieldOutcome::has_passed),
            Outcome::Dropped => true,
            Outcome::Nothing(_) | Outcome::Kept(_) | Outcome::Several(_) => false,
        }
    }

    /// What was expected and what was found, a line each; nothing in it can harm a terminal.
    pub fn render(&self, colours: bool) -> String {
        let paint = |colour: &str, line: &str| {
            if colours { format!("{colour}{line}{PLAIN}\n") } else { format!("{line}\n") }
        };
        let mut out = String::new();
        match self {
            Outcome::Fields(fields) => fields.iter().for_each(|field| field.render(&paint, &mut out)),
            Outcome::Dropped => out.push_str(&paint(DIM, "  = dropped")),
            Outcome::Nothing(why) => {
                out.push_str(&paint(GREEN, "  - expected  one record"));
                out.push_str(&paint(RED, &format!("  + got       none: {why}")));
            }
            Outcome::Kept(message) => {
                out.push_str(&paint(GREEN, "  - expected  no record: dropped"));
                out.push_str(&paint(RED, &format!("  + got       {}", shown(&message.as_str().into()))));
            }
            Outcome::Several(messages) => {
                out.push_str(&paint(GREEN, "  - expected  one record"));
                let got = format!("  + got       {} records, which multiline does not join:", messages.len());
                out.push_str(&paint(RED, &got));
                for message in messages {
                    out.push_str(&paint(RED, &format!("  +           {}", shown(&message.as_str().into()))));
                }
            }
        }
        out.truncate(out.trim_end_matches('\n').len());
        out
    }
}

impl FieldOutcome {
    fn render(&self, paint: &dyn Fn(&str, &str) -> String, out: &mut String) {
        let (name, expected) = (safe(&self.name), shown(&self.expected));
        if self.has_passed() {
            out.push_str(&paint(DIM, &format!("  = {name}: {expected}")));
            return;
        }
        let mut got = self.found.as_ref().map_or_else(|| "no such field".to_owned(), shown);
        if let Some(elsewhere) = &self.elsewhere {
            write!(got, " (this value is in {})", safe(elsewhere)).expect("a String takes everything");
        }
        out.push_str(&paint(GREEN, &format!("  - {name}: expected {expected}")));
        out.push_str(&paint(RED, &format!("  + {name}: got      {got}")));
    }
}

/// As JSON, cut, harmless.
fn shown(value: &Value) -> String {
    let text = safe(&value.to_string());
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn to_json(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Integer(number) => (*number).into(),
        Scalar::Float(number) => (*number).into(),
        Scalar::Boolean(yes) => (*yes).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(fields: &[(&str, Value)], document: &Value) -> Outcome {
        let document = document.as_object().expect("an object");
        Outcome::Fields(
            fields.iter().map(|(name, value)| FieldOutcome::new(name, value.clone(), document)).collect(),
        )
    }

    #[test]
    fn a_difference_names_expected_and_found_in_colours_and_escapes_what_a_terminal_would_obey() {
        let document = json!({"a": "x\u{1b}[2J", "b": 5, "c": [1, "t"]});
        let failed =
            outcome(&[("a", json!("y")), ("b", json!(5.0)), ("c", json!("t")), ("d", json!(5))], &document);
        assert!(!failed.has_passed());
        let plain = "  - a: expected \"y\"\n  + a: got      \"x\\u001b[2J\"\n  = b: 5.0\n  = c: \"t\"\n\
                     \x20 - d: expected 5\n  + d: got      no such field (this value is in b)";
        assert_eq!(failed.render(false), plain);
        let coloured = failed.render(true);
        assert!(coloured.contains("\x1b[32m  - a: expected \"y\"\x1b[0m"), "{coloured}");
        assert!(coloured.contains("\x1b[31m  + a: got      \"x\\u001b[2J\"\x1b[0m"), "{coloured}");
    }

    #[test]
    fn an_integer_is_not_equal_to_its_text() {
        assert!(!outcome(&[("a", json!("5"))], &json!({"a": 5})).has_passed());
        assert!(outcome(&[("a", json!(5))], &json!({"a": 5})).has_passed());
    }
}
