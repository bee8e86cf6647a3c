//! Java stack traces: which lines belong to one, and what error it tells of.

use weir_record::schema::Field;

use super::draft::Draft;

/// A stack trace in a record's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StackTrace<'t> {
    /// Where it begins, in bytes: at the start of a line.
    pub(super) start: usize,
    error: Option<ExceptionHeader<'t>>,
}

/// `com.example.FooException: message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExceptionHeader<'t> {
    class: &'t str,
    message: Option<&'t str>,
}

impl StackTrace<'_> {
    /// Writes `error.type`, `error.message` and `error.stack_trace`.
    pub(super) fn write(&self, text: &str, draft: &mut Draft<'_>) {
        if let Some(error) = self.error {
            draft.writer.string(Field::ErrorType, error.class);
            if let Some(message) = error.message {
                draft.writer.string(Field::ErrorMessage, message);
            }
        }
        draft.writer.string(Field::ErrorStackTrace, &text[self.start..]);
    }
}

/// Finds the stack trace in a record of several lines: from the exception's header, or where there is none from the
/// first frame, to the end.
pub(super) fn find(text: &str) -> Option<StackTrace<'_>> {
    memchr::memchr(b'\n', text.as_bytes())?;
    let mut start = 0;
    let mut header_at = None;
    for line in text.split_inclusive('\n') {
        let line_text = line.trim_end();
        if start > 0 && is_frame(line_text.as_bytes()) {
            let header = header_at.map(|(at, error)| StackTrace { start: at, error: Some(error) });
            return Some(header.unwrap_or(StackTrace { start, error: None }));
        }
        if header_at.is_none()
            && let Some(error) = exception_header(line_text)
        {
            header_at = Some((start, error));
        }
        start += line.len();
    }
    None
}

/// Reads an exception's header: a line, or the end of one that begins with `Exception in thread "main"`.
pub(super) fn exception_header(line: &str) -> Option<ExceptionHeader<'_>> {
    let line = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.split_once("\" ")?.1,
        None => line,
    };
    let (class, message) = match line.split_once(": ") {
        Some((class, message)) => (class, Some(message)),
        None => (line.strip_suffix(':').unwrap_or(line), None),
    };
    is_exception_class(class).then_some(ExceptionHeader { class, message })
}

/// Whether a text is the name of an exception's class with its package: `com.example.FooException`.
fn is_exception_class(class: &str) -> bool {
    const ENDS: [&str; 7] = ["Exception", "Error", "Throwable", "Failure", "Fault", "Interrupt", "Death"];
    let Some((package, name)) = class.rsplit_once('.') else { return false };
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
        [b'C', ..] => text.starts_with(b"Caused by: "),
        [b'S', ..] => is_indented && text.starts_with(b"Suppressed: "),
        [b'W', ..] => text.starts_with(b"Wrapped by: "),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_known_by_their_class() {
        let class = |line| exception_header(line).map(|error| (error.class, error.message));
        assert_eq!(
            class("java.lang.IllegalStateException: a: b"),
            Some(("java.lang.IllegalStateException", Some("a: b")))
        );
        assert_eq!(class("java.lang.OutOfMemoryError"), Some(("java.lang.OutOfMemoryError", None)));
        assert_eq!(class("com.x.Outer$InnerException:"), Some(("com.x.Outer$InnerException", None)));
        assert_eq!(
            class("Exception in thread \"main\" java.io.IOException: gone"),
            Some(("java.io.IOException", Some("gone")))
        );
        for line in [
            "Error: it broke",
            "the.end Exception: x",
            "com.x.foo: bar",
            "www.example.com: down",
            "",
            "a..Error",
        ] {
            assert_eq!(class(line), None, "{line}");
        }
    }

    #[test]
    fn frames_are_known_by_their_shape() {
        for line in [
            "\tat com.x.Foo.bar(Foo.java:1)",
            "    at x",
            "\t... 12 more",
            "\t... 2 common frames omitted",
            "Caused by: x",
            "\tSuppressed: x",
        ] {
            assert!(is_frame(line.as_bytes()), "{line}");
        }
        for line in ["at the end", "... 12 more", "caused by: x", "  and so on", "", "\t"] {
            assert!(!is_frame(line.as_bytes()), "{line}");
        }
    }
}
