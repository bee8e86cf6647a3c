//! What needs a second look at a JSON line: Serilog's message templates, and OpenTelemetry's lists of attributes. The
//! line is valid: it has been passed over before.

use super::super::draft::Value;
use super::scan::Cursor;

/// Most holes of a template that are filled: each costs a look at the line.
const HOLES_MAX: usize = 32;

/// Fills the holes of `template` (`{Name}`, `{@Name}`, `{Name,8:000}`) with the values of `line`'s members. What has no
/// member stays as it is. Both are the insides of JSON strings, and so is what is returned.
pub(super) fn render(template: &str, line: &str) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    for _ in 0..HOLES_MAX {
        let Some(open) = rest.find('{') else { break };
        let (before, hole) = rest.split_at(open);
        out.push_str(before);
        if let Some(after) = hole.strip_prefix("{{") {
            out.push('{');
            rest = after;
            continue;
        }
        let Some(close) = hole.find('}') else {
            rest = hole;
            break;
        };
        let name = hole[1..close].trim_start_matches(['@', '$']);
        let name = name.split([',', ':']).next().unwrap_or_default();
        match member(line, name) {
            Some(value) => push_inside(value, &mut out),
            None => out.push_str(&hole[..=close]),
        }
        rest = &hole[close + 1..];
    }
    out.push_str(&rest.replace("}}", "}"));
    out
}

/// The value of a member of the line, or of its `Properties`, as it stands.
fn member<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let mut members = Members::new(line);
    members.find_map(|(key, value)| match key {
        _ if key == name => Some(value),
        "Properties" => member(value, name),
        _ => None,
    })
}

/// A string without its quotes; other JSON with its quotes escaped.
fn push_inside(value: &str, out: &mut String) {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inside) => out.push_str(inside),
        None => {
            for char in value.chars() {
                if matches!(char, '"' | '\\') {
                    out.push('\\');
                }
                out.push(char);
            }
        }
    }
}

/// The members of a valid object: keys without escapes undone, values as they stand.
struct Members<'l> {
    cursor: Option<Cursor<'l>>,
    keys: Vec<u64>,
}

impl<'l> Members<'l> {
    fn new(object: &'l str) -> Members<'l> {
        let mut cursor = Cursor::new(object);
        cursor.blanks();
        Members { cursor: cursor.expect(b'{').map(|()| cursor), keys: Vec::new() }
    }
}

impl<'l> Iterator for Members<'l> {
    type Item = (&'l str, &'l str);

    fn next(&mut self) -> Option<(&'l str, &'l str)> {
        let cursor = self.cursor.as_mut()?;
        let (key, member) = cursor.member(&mut self.keys)?;
        let value = cursor.between(member.value_start, cursor.position());
        if !cursor.has_another() {
            self.cursor = None;
        }
        Some((key.inside, value))
    }
}

/// The pairs of `[{"key":"a","value":{"stringValue":"b"}}]` (OTLP/JSON); none for an element that is no such pair.
pub(super) fn key_values(list: &str) -> impl Iterator<Item = Option<(&str, Value<'_>)>> {
    let mut cursor = Cursor::new(list);
    let mut is_open = cursor.expect(b'[').is_some();
    let mut keys = Vec::new();
    std::iter::from_fn(move || {
        cursor.blanks();
        if !is_open || cursor.expect(b']').is_some() {
            return None;
        }
        let start = cursor.position();
        cursor.value(0, &mut keys)?;
        let element = cursor.between(start, cursor.position());
        cursor.blanks();
        is_open = cursor.expect(b',').is_some();
        Some(key_value(element))
    })
}

fn key_value(element: &str) -> Option<(&str, Value<'_>)> {
    let mut members = Members::new(element);
    let ("key", key) = members.next()? else { return None };
    let ("value", value) = members.next()? else { return None };
    let key = key.strip_prefix('"')?.strip_suffix('"')?;
    if key.contains('\\') || members.next().is_some() {
        return None;
    }
    let mut typed = Members::new(value);
    let (kind, json) = typed.next()?;
    if typed.next().is_some() {
        return None;
    }
    let value = match kind {
        // 64-bit integers are strings in protobuf's JSON.
        "intValue" => {
            let number = json.trim_matches('"');
            let digits = number.strip_prefix('-').unwrap_or(number);
            let is_number =
                !digits.is_empty() && digits.len() < 19 && !digits.starts_with('0') || digits == "0";
            let is_number = is_number && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { Value::Number(number) } else { typed_value(json)? }
        }
        "stringValue" | "doubleValue" | "boolValue" | "bytesValue" => typed_value(json)?,
        // Lists of values keep their types' names.
        _ => Value::Other(json),
    };
    Some((key, value))
}

fn typed_value(json: &str) -> Option<Value<'_>> {
    Cursor::new(json).value(0, &mut Vec::new()).map(|passed| passed.value(json, 0, json.len()))
}
