//! logfmt: `key=value key="quoted value" bare`, as Go's and Ruby's loggers write it.

use weir_record::scan;
use weir_record::schema::Field;

use super::draft::{Draft, Value, is_json_scalar};
use super::format::Certainty;
use super::keys::{self, Meaning};

/// What the parser reuses from line to line.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: String,
}

/// Fills `draft` from `line`. False where the line is not logfmt: the draft has to be reset then. Where the format was
/// only guessed, every word must be a pair, and there must be two; where it was detected, the first word must be one.
pub(super) fn parse(line: &str, certainty: Certainty, draft: &mut Draft<'_>, scratch: &mut Scratch) -> bool {
    let (mut rest, mut pairs) = (line.trim_ascii_start(), 0);
    while !rest.is_empty() {
        let Some((word, after)) = next_word(rest) else { return false };
        let understood = match word {
            Word::Pair { key, value } => {
                pairs += 1;
                pair(key, value, draft, scratch);
                true
            }
            Word::Bare(key) => {
                draft.writer.attribute(key).extend_from_slice(b"true");
                match certainty {
                    Certainty::Told => true,
                    Certainty::Detected => pairs > 0,
                    Certainty::Guessed => false,
                }
            }
        };
        if !understood || draft.writer.is_full() {
            return false;
        }
        rest = after.trim_ascii_start();
    }
    let pairs_min = if certainty == Certainty::Guessed { 2 } else { 1 };
    if pairs < pairs_min {
        return false;
    }
    if !draft.writer.has(Field::Timestamp) {
        PartedTime::of(line).write(draft);
    }
    if !draft.writer.has(Field::Message) {
        draft.writer.string(Field::Message, line);
    }
    true
}

/// A time in parts, as firewalls write it: `date=2026-11-20 time=21:39:19 tz="+0100"`. They stay attributes, too.
#[derive(Default)]
struct PartedTime<'l> {
    date: &'l str,
    time: &'l str,
    zone: &'l str,
}

impl<'l> PartedTime<'l> {
    /// Of a line that has no time in one piece: hardly any.
    fn of(line: &'l str) -> PartedTime<'l> {
        let (mut parted, mut rest) = (PartedTime::default(), line.trim_ascii_start());
        while let Some((word, after)) = next_word(rest).filter(|_| !rest.is_empty()) {
            if let Word::Pair { key, value } = word {
                parted.note(key, value);
            }
            rest = after.trim_ascii_start();
        }
        parted
    }

    fn note(&mut self, key: &str, value: RawValue<'l>) {
        let place = match key {
            "date" => &mut self.date,
            "time" => &mut self.time,
            "tz" | "timezone" => &mut self.zone,
            _ => return,
        };
        if let RawValue::Bare(text) | RawValue::Quoted { inside: text, escaped: false } = value {
            *place = text;
        }
    }

    fn write(&self, draft: &mut Draft<'_>) {
        if self.date.is_empty() || self.time.is_empty() {
            return;
        }
        let local = [self.date, self.time].join(" ");
        let zoned = [&local, self.zone].join(" ");
        let moment = draft.clock.read_all(zoned.trim_end().as_bytes());
        if let Some(moment) = moment.or_else(|| draft.clock.read_all(local.as_bytes())) {
            draft.time(moment);
        }
    }
}

enum Word<'l> {
    Pair { key: &'l str, value: RawValue<'l> },
    Bare(&'l str),
}

#[derive(Clone, Copy)]
enum RawValue<'l> {
    Bare(&'l str),
    /// Between quotes, escapes not undone.
    Quoted {
        inside: &'l str,
        escaped: bool,
    },
}

/// Splits off the first word; none where it is no word of logfmt.
fn next_word(text: &str) -> Option<(Word<'_>, &str)> {
    let (key, tail) = text.split_at(scan::word([b'=', b'"'], text.as_bytes()));
    if key.is_empty() {
        return None;
    }
    let Some(value) = tail.strip_prefix('=') else {
        return (!tail.starts_with('"')).then_some((Word::Bare(key), tail));
    };
    if let Some(quoted) = value.strip_prefix('"') {
        let (inside, escaped) = quoted_inside(quoted)?;
        let after = &quoted[inside.len() + 1..];
        let ends = after.bytes().next().is_none_or(|byte| byte <= b' ');
        return ends.then_some((Word::Pair { key, value: RawValue::Quoted { inside, escaped } }, after));
    }
    let (value, after) = value.split_at(scan::word([], value.as_bytes()));
    Some((Word::Pair { key, value: RawValue::Bare(value) }, after))
}

/// The inside of a string whose opening quote was passed, and whether a backslash is in it.
fn quoted_inside(text: &str) -> Option<(&str, bool)> {
    let (bytes, mut at, mut escaped) = (text.as_bytes(), 0, false);
    loop {
        at += scan::find_either(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((&text[..at], escaped));
        }
        escaped = true;
        at += 2;
    }
}

fn pair(key: &str, value: RawValue<'_>, draft: &mut Draft<'_>, scratch: &mut Scratch) {
    let text = match value {
        RawValue::Bare(text) | RawValue::Quoted { inside: text, escaped: false } => text,
        RawValue::Quoted { inside, escaped: true } => {
            scratch.text.clear();
            unquote(inside, &mut scratch.text);
            &scratch.text
        }
    };
    let placed = match keys::lookup(key.as_bytes()) {
        // Only a key that says so is taken for the message: the line shows it whole otherwise.
        None | Some(Meaning::WeakMessage | Meaning::WeakLogger) => false,
        Some(meaning) => draft.assign(meaning, Value::Plain(text)),
    };
    if placed {
        return;
    }
    match value {
        RawValue::Bare(literal) if is_json_scalar(literal) => {
            draft.writer.attribute(key).extend_from_slice(literal.as_bytes());
        }
        _ => draft.writer.attribute_string(key, text),
    }
}

/// Appends what a quoted value means: Go's escapes. Those that make no text stay as they are.
pub(super) fn unquote(inside: &str, out: &mut String) {
    let mut rest = inside;
    while let Some(at) = scan::find(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (char, length) = match rest.as_bytes().get(1) {
            Some(b'n') => (Some('\n'), 2),
            Some(b't') => (Some('\t'), 2),
            Some(b'r') => (Some('\r'), 2),
            Some(b'"') => (Some('"'), 2),
            Some(b'\\') => (Some('\\'), 2),
            Some(b'x') => (code_point(rest, 4).filter(char::is_ascii), 4),
            Some(b'u') => (code_point(rest, 6), 6),
            Some(b'U') => (code_point(rest, 10), 10),
            _ => (None, 1),
        };
        match char {
            Some(char) => {
                out.push(char);
                rest = &rest[length..];
            }
            None => {
                out.push('\\');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

/// The character of `\xHH`, `\uHHHH` or `\UHHHHHHHH`, which is `length` bytes long.
fn code_point(escape: &str, length: usize) -> Option<char> {
    let digits = escape.get(2..length)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed};

    #[test]
    fn pairs_become_fields_and_attributes() {
        check(
            Format::Logfmt,
            r#"time=2026-11-20T21:39:19.123Z level=warn msg="low \"disk\"\n" logger=fs trace_id=4bf92f3577b34da6a3ce929d0e0e4736 free=12.5 ok=true id=007 note= elapsed=1.5ms"#,
            r#"{"@timestamp":"2026-11-20T21:39:19.123Z","log.level":"warning","message":"low \"disk\"\n","log.logger":"fs",
               "trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","attributes.free":12.5,"attributes.ok":true,"attributes.id":"007",
               "attributes.note":"","event.duration":1500000}"#,
        );
    }

    #[test]
    fn heroku_router_lines_are_requests() {
        check(
            Format::Auto,
            r#"at=info method=GET path="/cart?id=7" host=shop.example.org request_id=8601b555 fwd="204.204.204.204" dyno=web.1 connect=4ms service=22ms status=200 bytes=999"#,
            r#"{"@timestamp":"READ","message":"at=info method=GET path=\"/cart?id=7\" host=shop.example.org request_id=8601b555 fwd=\"204.204.204.204\" dyno=web.1 connect=4ms service=22ms status=200 bytes=999",
               "log.level":"info","http.request.method":"GET","url.original":"/cart?id=7","url.path":"/cart","url.query":"id=7","attributes.host":"shop.example.org","attributes.request_id":"8601b555",
               "attributes.fwd":"204.204.204.204","attributes.dyno":"web.1","attributes.connect":"4ms","attributes.service":"22ms","http.response.status_code":200,"attributes.bytes":999}"#,
        );
    }

    #[test]
    fn a_told_format_takes_bare_words_and_a_guess_does_not() {
        let line = "level=info started msg=ready";
        check(
            Format::Logfmt,
            line,
            r#"{"@timestamp":"READ","log.level":"info","attributes.started":true,"message":"ready"}"#,
        );
        check_unparsed(Format::Auto, "level=info started quickly");
        check_unparsed(Format::Logfmt, "no pair at all");
        check_unparsed(Format::Logfmt, r#"a="open"#);
        check_unparsed(Format::Logfmt, r#"a="x"y b=1"#);
        check_unparsed(Format::Logfmt, "=1 a=2");
    }

    #[test]
    fn repeated_keys_keep_all_their_values() {
        check(
            Format::Logfmt,
            "a=1 a=2 level=info level=loud msg=x msg=y",
            r#"{"@timestamp":"READ","attributes.a":1,"attributes.a_2":2,"log.level":"info","attributes.level":"loud","message":"x","attributes.msg":"y"}"#,
        );
    }

    #[test]
    fn escapes_that_make_no_text_stay_as_they_are() {
        check(
            Format::Logfmt,
            r#"msg="\u00e9 \x41 \xff \ud800 \q" b=1"#,
            r#"{"@timestamp":"READ","message":"é A \\xff \\ud800 \\q","attributes.b":1}"#,
        );
    }
}
