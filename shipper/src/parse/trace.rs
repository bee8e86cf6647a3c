//! Stack traces: which lines belong to one, and what error it tells of.

use std::borrow::Cow;

use memchr::memmem;
use weir_record::schema::Field;

use super::cut::Cut;
use super::draft::Draft;
use super::json::scan::unescape;

/// A stack trace in a record's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StackTrace<'t> {
    /// Where it begins, in bytes: at the start of a line.
    pub(super) start: usize,
    error: Option<Error<'t>>,
}

/// An error and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Error<'t> {
    class: &'t str,
    message: Option<&'t str>,
    /// Whether both stand in a string of JSON, whose escapes are not undone.
    is_json: bool,
}

impl<'t> Error<'t> {
    const fn new(class: &'t str, message: Option<&'t str>) -> Error<'t> {
        Error { class, message, is_json: false }
    }

    /// What a part of it means.
    fn text(&self, part: &'t str) -> Cow<'t, str> {
        if !self.is_json {
            return Cow::Borrowed(part);
        }
        let mut text = String::new();
        unescape(part, &mut text);
        Cow::Owned(text)
    }

    /// The same, whose message goes on up to `end` of `text`, which it is a part of.
    fn said_until(self, text: &'t str, end: usize) -> Error<'t> {
        let message =
            self.message.map(|message| text.get(place(text, message)..end).map_or(message, str::trim_end));
        Error { message, ..self }
    }
}

impl StackTrace<'_> {
    /// Writes `error.type`, `error.message` and `error.stack_trace`.
    pub(super) fn write(&self, text: &str, draft: &mut Draft<'_>) {
        if let Some(error) = self.error {
            match error.is_json {
                true => draft.writer.string(Field::ErrorType, &error.class.replace("\\\\", "\\")),
                false => draft.writer.string(Field::ErrorType, error.class),
            };
            if let Some(message) = error.message.filter(|message| !message.is_empty()) {
                draft.writer.string(Field::ErrorMessage, &error.text(message));
            }
        }
        draft.writer.string(Field::ErrorStackTrace, text[self.start..].trim_end());
    }
}

/// Where `part` of `text` begins.
fn place(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// Finds the stack trace in a record of several lines: from the exception's header, or where there is none from the
/// first frame, to the end.
pub(super) fn find(text: &str) -> Option<StackTrace<'_>> {
    weir_record::scan::find(b'\n', text.as_bytes())?;
    let mut start = 0;
    let mut header_at: Option<(usize, Error<'_>)> = None;
    let mut before = "";
    for line in text.split_inclusive('\n') {
        let line_text = line.trim_end();
        if let Some(trace) = begins_trace(text, start, line_text, before) {
            return Some(trace);
        }
        if start > 0 && is_frame(line_text.as_bytes()) {
            return Some(match header_at {
                Some((at, error)) => StackTrace { start: at, error: Some(error.said_until(text, start)) },
                None => StackTrace { start, error: error_at_end(before) },
            });
        }
        if header_at.is_none()
            && let Some(error) = exception_header(line_text.trim_start())
        {
            header_at = Some((start, error));
        }
        if !line_text.is_empty() {
            before = line_text;
        }
        start += line.len();
    }
    // Kafka shows the exceptions of a protocol without frames.
    let (start, error) = header_at.filter(|(at, _)| *at > 0)?;
    Some(StackTrace { start, error: Some(error.said_until(text, text.len())) })
}

/// What a text that is a stack trace says of its error: class and message.
pub(super) fn error_of(trace: &str) -> Option<(&str, &str)> {
    let first = trace.lines().next()?.trim();
    let named = || {
        let (class, message) = first.cut(": ").unwrap_or((first, ""));
        let is_error = is_class(class) && ["Error", "Exception"].iter().any(|end| class.ends_with(end));
        is_error.then_some(Error::new(class, Some(message)))
    };
    let error = match trace.contains(TRACEBACK) {
        true => python_error(trace),
        false if is_of_monolog(first) => monolog_error(first),
        false => exception_header(first).or_else(named),
    }?;
    Some((error.class, error.message.unwrap_or_default()))
}

/// The trace that begins with this line, in the languages that say so. `before`: the line before.
fn begins_trace<'t>(text: &'t str, start: usize, line: &'t str, before: &'t str) -> Option<StackTrace<'t>> {
    let trace = |error| Some(StackTrace { start, error });
    let rest = &text[start..];
    match line.as_bytes().first()? {
        b'T' if line == TRACEBACK => trace(python_error(rest)),
        b'p' if rest.contains("\ngoroutine ") && line.starts_with("panic: ") => trace(go_error(line)),
        b'f' if rest.contains("\ngoroutine ") && line.starts_with("fatal error: ") => trace(go_error(line)),
        b'g' if line.starts_with("goroutine ") && line.contains('[') => trace(go_error(before)),
        b't' | b's' if line.starts_with("thread '") || line == "stack backtrace:" => {
            (line.contains(" panicked at ") || start > 0)
                .then_some(StackTrace { start, error: rust_error(text) })
        }
        b'S' | b'[' | b'#' if line == "Stack trace:" || line == "[stacktrace]" || line.starts_with("#0 ") => {
            let error = || php_error(before).or_else(|| monolog_error(&text[..start]));
            (start > 0).then(|| StackTrace { start, error: error() })
        }
        _ if start > 0 && is_go_function(line.as_bytes()) && rest[line.len()..].starts_with("\n\t/") => {
            trace(None)
        }
        _ if line.ends_with(TRACEBACK) => trace(python_error(rest)),
        _ if start > 0 && is_ruby_frame(line.as_bytes()) => trace(ruby_error(before)),
        _ => None,
    }
}

const TRACEBACK: &str = "Traceback (most recent call last):";

/// The exception that came out in the end: of a chain the last one.
fn python_error(trace: &str) -> Option<Error<'_>> {
    let mut lines = trace.lines();
    let mut error = None;
    while lines.any(|line| line.ends_with(TRACEBACK)) {
        let line = lines.find(|line| !line.starts_with([' ', '\t']))?;
        error = Some(match line.cut(": ") {
            Some((class, message)) => {
                let start = place(trace, message);
                let end = trace[start..].find("\n\n").map_or(trace.len(), |blank| start + blank);
                Error::new(class, Some(message)).said_until(trace, end)
            }
            None => Error::new(line, None),
        });
    }
    error.filter(|error| is_python_error(error.class.as_bytes()))
}

/// Whether a line is a Python exception: `ValueError: x`, `pkg.Error`, `KeyboardInterrupt`.
pub(super) fn is_python_error(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"._".contains(byte));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && (rest.is_empty() || rest.starts_with(b": ") || rest == b":")
}

/// `panic: x`, `fatal error: x`, `http: panic serving 127.0.0.1:1: x`.
fn go_error(line: &str) -> Option<Error<'_>> {
    if let Some(message) = line.strip_prefix("fatal error: ") {
        return Some(Error::new("fatal error", Some(message)));
    }
    let message = match line.strip_prefix("panic: ") {
        Some(message) => message,
        None => line.cut("panic serving ")?.1.cut(": ")?.1,
    };
    Some(Error::new("panic", Some(message.trim_end_matches(" [recovered]"))))
}

/// `thread 'main' panicked at src/main.rs:4:5:` and the message in the line below.
fn rust_error(text: &str) -> Option<Error<'_>> {
    let mut lines = text.lines().skip_while(|line| !line.contains(" panicked at "));
    lines.next()?;
    Some(Error::new("panic", lines.next()))
}

/// `PHP Fatal error:  Uncaught RuntimeException: gone in /srv/a.php:3`.
fn php_error(line: &str) -> Option<Error<'_>> {
    let (_, uncaught) = line.cut("Uncaught ")?;
    let (class, message) = uncaught.cut(": ")?;
    let message = message.cut_last(" in ").map_or(message, |(message, _)| message);
    (!class.contains(' ')).then_some(Error::new(class, Some(message)))
}

/// Whether a text begins as Monolog's of an exception.
pub(super) fn is_of_monolog(text: &str) -> bool {
    text.starts_with(MONOLOG)
}

const MONOLOG: &str = "[object] (";

/// `{"exception":"[object] (App\\Gone(code: 0): gone at /srv/a.php:3)`, as Monolog shows an exception in what stands
/// behind a message.
fn monolog_error(text: &str) -> Option<Error<'_>> {
    let (class, rest) = text.cut_last(MONOLOG)?.1.cut("(code: ")?;
    let (message, _) = rest.cut("): ")?.1.cut_last(" at ")?;
    let is_name = class.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_\\".contains(&byte));
    is_name.then_some(Error { class, message: Some(message), is_json: true })
}

/// ``a.rb:3:in `f': gone (RuntimeError)``, `RuntimeError (gone):`.
fn ruby_error(line: &str) -> Option<Error<'_>> {
    if let Some((class, message)) = line.strip_suffix("):").and_then(|line| line.cut(" (")) {
        let class = class.rsplit(' ').next()?;
        return is_class(class).then_some(Error::new(class, Some(message)));
    }
    let (message, class) = line.strip_suffix(')')?.cut_last(" (")?;
    let message = message.cut("': ").map_or(message, |(_, message)| message);
    is_class(class).then_some(Error::new(class, Some(message)))
}

/// Whether a line is a frame of Ruby: ``a.rb:3:in `f'``, ``\tfrom a.rb:3:in 'f'``.
pub(super) fn is_ruby_frame(line: &[u8]) -> bool {
    let Some(at) = memmem::find(line, b":in ") else { return false };
    let Some(colon) = memchr::memrchr(b':', &line[..at]) else { return false };
    let file = line[..colon].trim_ascii_start();
    let file = file.strip_prefix(b"from ").unwrap_or(file);
    matches!(line.get(at + 4), Some(b'`' | b'\''))
        && line.last() == Some(&b'\'')
        && colon + 1 < at
        && line[colon + 1..at].iter().all(u8::is_ascii_digit)
        && memchr::memchr(b' ', file).is_none()
}

/// An error named at the end of a line of text: `request failed: TypeError: x`.
fn error_at_end(line: &str) -> Option<Error<'_>> {
    const NAMES: [&str; 2] = ["Error: ", "Exception: "];
    // Node's own have a code: `TypeError [ERR_INVALID_ARG_TYPE]: x`.
    if let Some((class, rest)) = line.cut("Error [ERR_") {
        let start = class.rfind([' ', '(', '[']).map_or(0, |blank| blank + 1);
        let class = &line[start..class.len() + "Error".len()];
        let (_, message) = rest.cut("]: ")?;
        return is_class(class).then_some(Error::new(class, Some(message)));
    }
    let (at, name) = NAMES.iter().filter_map(|name| Some((line.find(name)?, *name))).min()?;
    let start = line[..at].rfind([' ', '(', '[']).map_or(0, |blank| blank + 1);
    let class = &line[start..at + name.len() - 2];
    is_class(class).then_some(Error::new(class, Some(&line[at + name.len()..])))
}

/// Whether a line is nothing but the name of a function of Go, with its package: `main.main`,
/// `k8s.io/a/b.(*Controller).Start.func2`.
pub(super) fn is_go_function(line: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./@*()[]".contains(byte);
    let name = &line[memchr::memrchr(b'/', line).map_or(0, |slash| slash + 1)..];
    line.first().is_some_and(u8::is_ascii_alphabetic)
        && memchr::memchr(b'.', name).is_some_and(|dot| dot > 0 && dot + 1 < name.len())
        && line.iter().all(is_part)
}

/// Whether a text is the name of a class: words with dots or colons between.
fn is_class(name: &str) -> bool {
    name.starts_with(|first: char| {
        first.is_ascii_uppercase() || first.is_ascii_lowercase() && name.contains('.')
    }) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:$".contains(&byte))
}

/// Reads an exception's header: a line, or the end of one that says that nobody caught it.
pub(super) fn exception_header(line: &str) -> Option<Error<'_>> {
    let line = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.cut("\" ")?.1,
        None => line.strip_prefix("Unhandled exception. ").unwrap_or(line),
    };
    let (class, message) = match line.cut(": ") {
        Some((class, message)) => (class, Some(message)),
        None => (line.strip_suffix(':').unwrap_or(line), None),
    };
    is_exception_class(class).then_some(Error::new(class, message))
}

/// Whether a text is the name of an exception's class with its package: `com.example.FooException`, or without one
/// where nothing else is called so: `EndOfStreamException`.
fn is_exception_class(class: &str) -> bool {
    const ENDS: [&str; 7] = ["Exception", "Error", "Throwable", "Failure", "Fault", "Interrupt", "Death"];
    let Some((package, name)) = class.rsplit_once('.') else {
        return class.strip_suffix("Exception").is_some_and(|name| {
            name.len() > 3
                && name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    };
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
    };
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && ENDS.iter().any(|end| name.contains(end))
        && is_part(name)
        && package.split('.').all(is_part)
}

/// Whether a line can only be inside a stack trace: `at com.x.Foo(Foo.java:1)`, `... 3 more`, `Caused by: ...`.
pub(super) fn is_frame(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let is_indented = text.len() < line.len();
    match text {
        [b'a', b't', b' ', ..] => is_indented,
        [b'.', b'.', b'.', b' ', digit, ..] => is_indented && digit.is_ascii_digit(),
        [b'-', b'-', b'-', ..] => {
            is_indented && (text.starts_with(b"--- End of ") || text.starts_with(b"---> "))
        }
        [b'C', ..] => text.starts_with(b"Caused by: "),
        [b'S', ..] => is_indented && text.starts_with(b"Suppressed: "),
        [b'W', ..] => text.starts_with(b"Wrapped by: "),
        [b'[', ..] => is_indented && text.starts_with(b"[CIRCULAR REFERENCE"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
