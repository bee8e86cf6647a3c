//! A parsed record as members that can be changed: what no configured step needs, nobody pays for.

use std::net::IpAddr;

use serde_json::{Map, Number, Value};
use weir_record::json::push_string;
use weir_record::query::FieldPath;
use weir_record::schema::Kind;
use weir_record::time::Timestamp;
use weir_record::{Field, Level};

/// The members of one fragment, by their dotted names, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    members: Vec<(String, Value)>,
}

/// What a value is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A whole number of 64 bits.
    Long,
    /// A number.
    Double,
    /// `true` or `false`; also from `yes`, `no`, `on`, `off`, 1 and 0.
    Boolean,
    /// Text.
    String,
}

impl Document {
    /// Reads a fragment (`"a":1,"b":"x"`). None: it is none.
    pub fn read(fragment: &[u8]) -> Option<Document> {
        let mut text = Vec::with_capacity(fragment.len() + 2);
        text.push(b'{');
        text.extend_from_slice(fragment);
        text.push(b'}');
        let members: Map<String, Value> = serde_json::from_slice(&text).ok()?;
        Some(Document { members: members.into_iter().collect() })
    }

    /// Appends it as a fragment.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (at, (name, value)) in self.members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_string(out, name);
            out.push(b':');
            out.extend_from_slice(value.to_string().as_bytes());
        }
    }

    /// All of it as one JSON object, the shared `fields` of its group included: what a query is asked about.
    pub fn with_shared(&self, shared: &Document) -> Value {
        Value::Object(shared.members.iter().chain(&self.members).cloned().collect())
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.members.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// The value of a field as text, whatever it is.
    pub fn text(&self, field: &str) -> Option<String> {
        self.get(field).map(as_text)
    }

    /// Sets a field, in place where it was.
    pub fn set(&mut self, field: &str, value: Value) {
        match self.members.iter_mut().find(|(name, _)| name == field) {
            Some((_, old)) => *old = value,
            None => self.members.push((field.to_owned(), value)),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        let at = self.members.iter().position(|(name, _)| name == field)?;
        Some(self.members.remove(at).1)
    }

    /// Keeps the fields that `wanted` names.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.members.retain(|(name, _)| wanted(name));
    }

    /// The members.
    pub fn into_members(self) -> Vec<(String, Value)> {
        self.members
    }
}

/// A value as a template or another field shows it.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `value` as `field` takes it: a level is one of the ten, a number a number, an address one. None: it cannot be.
pub fn fit(field: &FieldPath, value: &Value) -> Option<Value> {
    if *field == FieldPath::Schema(Field::LogLevel) {
        let level = Level::from_name(as_text(value).as_bytes())?;
        return Some(Value::from(level.as_str()));
    }
    match field.kind() {
        None => Some(value.clone()),
        Some(Kind::Long) => convert(value, Type::Long),
        Some(Kind::Ip) => as_text(value).parse::<IpAddr>().ok().map(|ip| Value::from(ip.to_string())),
        Some(Kind::DateNanos) => {
            let mut text = Vec::new();
            Timestamp::parse_rfc3339(as_text(value).as_bytes())?.push_rfc3339(&mut text);
            String::from_utf8(text).ok().map(Value::from)
        }
        Some(Kind::Text | Kind::Stored | Kind::Keyword | Kind::ConstantKeyword) => match value {
            Value::Array(_) if *field == FieldPath::Schema(Field::Tags) => Some(value.clone()),
            other => Some(Value::from(as_text(other))),
        },
        Some(Kind::Flattened | Kind::GeoPoint) => value.is_object().then(|| value.clone()),
    }
}

/// `value` as another type. None: it says nothing of the kind.
pub fn convert(value: &Value, to: Type) -> Option<Value> {
    let text = as_text(value);
    let text = text.trim();
    match to {
        Type::String => Some(Value::from(text)),
        Type::Long => {
            let whole = text.parse::<i64>().ok();
            // 1e3 and 5.0 are whole, 5.5 is not.
            let exact = || text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < 2_f64.powi(53));
            whole.or_else(|| exact().map(|number| number as i64)).map(Value::from)
        }
        Type::Double => text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number),
        Type::Boolean => match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fragment_reads_back_as_itself_after_a_change() {
        let mut document =
            Document::read(br#""message":"a\"b","attributes.n":1.50,"tags":["x"]"#).expect("read");
        document.set("attributes.n", json!(2));
        assert_eq!(document.remove("tags"), Some(json!(["x"])));
        let mut out = Vec::new();
        document.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), r#""attributes.n":2,"message":"a\"b""#);
        assert_eq!(Document::read(b"broken"), None);
    }

    #[test]
    fn a_field_takes_only_what_it_is_mapped_as() {
        let check = |field: &str, value: Value, expected: Option<Value>| {
            let path = FieldPath::resolve(field).expect("a field");
            assert_eq!(fit(&path, &value), expected, "{field} {value}");
        };
        check("level", json!("WARN"), Some(json!("warning")));
        check("level", json!("loud"), None);
        check("pid", json!("17"), Some(json!(17)));
        check("pid", json!("x"), None);
        check("source.ip", json!("::1"), Some(json!("::1")));
        check("source.ip", json!("here"), None);
        check("@timestamp", json!("2026-11-21T10:00:00Z"), Some(json!("2026-11-21T10:00:00.000Z")));
        check("user", json!(7), Some(json!("7")));
        check("anything", json!({"a": 1}), Some(json!({"a": 1})));
    }

    #[test]
    fn values_convert_where_they_can() {
        let check =
            |value: Value, to, expected: Option<Value>| assert_eq!(convert(&value, to), expected, "{value}");
        check(json!("5.0"), Type::Long, Some(json!(5)));
        check(json!("5.5"), Type::Long, None);
        check(json!("5.5"), Type::Double, Some(json!(5.5)));
        check(json!("NaN"), Type::Double, None);
        check(json!(" Yes "), Type::Boolean, Some(json!(true)));
        check(json!(2), Type::Boolean, None);
        check(json!(2), Type::String, Some(json!("2")));
    }
}
