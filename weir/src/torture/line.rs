//! The lines that torture writes, and how they are known again wherever a shipper puts them.
//!
//! ```text
//! 2026-11-21T10:00:00.123456Z INFO torture run=1f2e scenario=rename n=123 at=1795221600123456 sum=0a1b2c3d words
//! ```
//! `at` is the time of writing in microseconds, `sum` the CRC-32 of everything from `run=` to the blank before it. No
//! character needs escaping in JSON, so that the text is whole in any shipper's output.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a line of ours begins, after what a log line begins with.
const MARK: &str = "torture run=";

/// What of a line says which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Which run of the program.
    pub run: &'a str,
    /// Which scenario.
    pub scenario: &'a str,
    /// Which line of the scenario, from zero.
    pub number: u64,
    /// When it was written, microseconds since 1970.
    pub at: u64,
}

/// What a text says of lines of ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// Nothing: it is somebody else's.
    Foreign,
    /// One line, whole.
    Line(Token<'a>),
    /// A line of ours that was cut, changed, or glued to another.
    Corrupted,
}

/// Microseconds since 1970.
pub fn micros_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Appends line `number`, newline included. `padding`: words that make lines of different lengths.
pub fn write_line(out: &mut String, run: &str, scenario: &str, number: u64, padding: usize) {
    let at = micros_now();
    let time = jiff::Timestamp::from_microsecond(at as i64).unwrap_or_default();
    let body = format!("run={run} scenario={scenario} n={number} at={at}");
    let sum = crc32fast::hash(body.as_bytes());
    write!(out, "{time:.6} INFO torture {body} sum={sum:08x}").expect("a String takes everything");
    for word in 0..padding {
        out.push_str(["alpha", "bravo", "charlie", "delta"].get(word % 4).copied().unwrap_or_default());
        out.push(' ');
    }
    out.push('\n');
}

/// Finds a line of ours in one record of a shipper's output.
pub fn read_line(text: &str) -> Reading<'_> {
    let mut parts = text.split(MARK);
    parts.next();
    let Some(found) = parts.next() else { return Reading::Foreign };
    if parts.next().is_some() {
        return Reading::Corrupted;
    }
    parse(found).map_or(Reading::Corrupted, Reading::Line)
}

fn parse(found: &str) -> Option<Token<'_>> {
    let (body, rest) = found.split_once(" sum=")?;
    let sum = u32::from_str_radix(rest.get(..8)?, 16).ok()?;
    if crc32fast::hash(format!("run={body}").as_bytes()) != sum {
        return None;
    }
    let (run, rest) = body.split_once(" scenario=")?;
    let (scenario, rest) = rest.split_once(" n=")?;
    let (number, at) = rest.split_once(" at=")?;
    Some(Token { run, scenario, number: number.parse().ok()?, at: at.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_again_inside_whatever_a_shipper_makes_of_it() {
        let mut line = String::new();
        write_line(&mut line, "1f", "rename", 12, 3);
        let wrapped = format!("{{\"message\":\"{}\",\"host\":\"a\"}}", line.trim_end());
        let Reading::Line(token) = read_line(&wrapped) else { panic!("{wrapped}") };
        assert_eq!((token.run, token.scenario, token.number), ("1f", "rename", 12));
    }

    #[test]
    fn cut_changed_and_glued_lines_are_corrupted_and_other_texts_foreign() {
        let mut line = String::new();
        write_line(&mut line, "1f", "rename", 12, 0);
        assert_eq!(read_line("hello"), Reading::Foreign);
        assert_eq!(read_line(&line[..line.len() - 6]), Reading::Corrupted);
        assert_eq!(read_line(&line.replace("n=12", "n=13")), Reading::Corrupted);
        assert_eq!(read_line(&format!("{}{line}", line.trim_end())), Reading::Corrupted);
    }
}
