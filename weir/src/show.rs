//! Records on a terminal: one line each, coloured by level, harmless whatever they contain.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

/// How records are printed.
pub struct Printer {
    json: bool,
    raw: bool,
    colours: bool,
}

impl Printer {
    /// `json`: whole documents. `raw`: control characters as they are. Colours only on a terminal, and not where
    /// `NO_COLOR` is set.
    pub fn new(json: bool, raw: bool) -> Printer {
        Printer { json, raw, colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Prints one document.
    pub fn print(&self, out: &mut dyn Write, document: &str) -> io::Result<()> {
        let line = match serde_json::from_str::<Value>(document) {
            Ok(read) if !self.json => self.line(&read),
            _ => document.to_owned(),
        };
        writeln!(out, "{line}").or_else(ignore_closed)
    }

    fn line(&self, document: &Value) -> String {
        let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or("");
        let level = text("log.level");
        let (on, off) = if self.colours { (colour(level), "\x1b[0m") } else { ("", "") };
        let (service, message) = (self.safe(text("service.name")), self.safe(text("message")));
        let mut line = format!("{} {on}{level:<8}{off} {service}  {message}", text("@timestamp"));
        let stack = text("error.stack_trace");
        if !stack.is_empty() {
            let stack = stack.lines().map(|line| self.safe(line));
            for frame in stack {
                write!(line, "\n    {frame}").expect("a String takes everything");
            }
        }
        line
    }

    /// Control characters, and those that turn the direction of writing, never reach a terminal.
    fn safe(&self, text: &str) -> String {
        if self.raw { text.to_owned() } else { safe(text) }
    }
}

/// Control characters, and those that turn the direction of writing, are escaped.
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let turns =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match character {
            '\t' => safe.push(' '),
            _ if character.is_control() || turns => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Whoever reads our output may stop early: that is no fault, and there is nothing left to do.
pub fn ignore_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { std::process::exit(0) } else { Err(error) }
}

fn colour(level: &str) -> &'static str {
    match level {
        "emergency" | "alert" | "critical" | "fatal" | "error" => "\x1b[31m",
        "warning" => "\x1b[33m",
        "notice" | "info" => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let printer = Printer { json: false, raw: false, colours: false };
        let document = "{\"@timestamp\":\"T\",\"log.level\":\"error\",\"service.name\":\"s\",\"message\":\"a\\u001b[2Jb\\u0007\\u202ec\\nd\"}";
        let mut out = Vec::new();
        printer.print(&mut out, document).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "T error    s  a\\u{1b}[2Jb\\u{7}\\u{202e}c\\nd\n"
        );
    }
}
