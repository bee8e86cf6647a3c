//! A document's JSON to what tantivy indexes of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::OwnedValue;
use weir_record::schema::{ATTRIBUTES, Kind, LABELS};
use weir_record::{Field, Timestamp};

use super::schema::{Fields, date};

/// Longest keyword that is indexed, in characters, as in the templates (`ignore_above`).
const KEYWORD_CHARACTERS_MAX: usize = 1024;

/// An attribute's text that is at least so long and looks like an id is taken to be rare.
const ID_BYTES_MIN: usize = 16;

/// An attribute's text that is longer is taken to be rare whatever it looks like.
const COMMON_BYTES_MAX: usize = 100;

/// A document ready for tantivy.
pub(super) struct Indexable {
    pub document: TantivyDocument,
    /// Its `@timestamp`, nanoseconds since 1970.
    pub time: i64,
}

/// Whether an attribute's text hardly repeats: an id, or long. It is found, but not counted.
pub(super) fn is_rare(text: &str) -> bool {
    let looks_like_id = || {
        text.bytes().any(|byte| byte.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() > COMMON_BYTES_MAX || (text.len() >= ID_BYTES_MIN && looks_like_id())
}

/// Whether a keyword is short enough to be indexed.
fn is_indexed(text: &str) -> bool {
    text.len() <= KEYWORD_CHARACTERS_MAX || text.chars().count() <= KEYWORD_CHARACTERS_MAX
}

/// Reads `json`, one flat object. `id`: its `_id`; `tie`: 64 bits of it.
pub(super) fn read(
    fields: &Fields,
    id: &[u8],
    tie: u64,
    json: &[u8],
) -> Result<Indexable, serde_json::Error> {
    let mut source = Vec::with_capacity(id.len() + 1 + json.len());
    source.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
    source.extend_from_slice(id);
    source.extend_from_slice(json);
    let mut document = TantivyDocument::with_capacity(json.len() * 3);
    document.add_bytes(fields.source, &source);
    document.add_u64(fields.tie, tie);

    let reader = Reader { fields, document, time: 0, open: Open::default(), path: String::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let reader = deserializer.deserialize_map(reader)?;
    deserializer.end()?;
    Ok(reader.finish())
}

/// Splits what [`read`] stored into `_id` and document.
pub(super) fn split_source(source: &[u8]) -> Option<(&str, &str)> {
    let (length, rest) = source.split_first()?;
    let (id, document) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(id).ok()?, std::str::from_utf8(document).ok()?))
}

/// The members of the open objects, by dotted path.
#[derive(Default)]
struct Open {
    attributes: BTreeMap<String, OwnedValue>,
    rare: BTreeMap<String, OwnedValue>,
    labels: BTreeMap<String, OwnedValue>,
    inner: Vec<(Field, BTreeMap<String, OwnedValue>)>,
}

struct Reader<'f> {
    fields: &'f Fields,
    document: TantivyDocument,
    time: i64,
    open: Open,
    /// Scratch: the name that is marked as present.
    path: String,
}

/// A key without a copy where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de, 'f> Visitor<'de> for Reader<'f> {
    type Value = Reader<'f>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Reader<'f>, A::Error> {
        while let Some(Key(key)) = members.next_key()? {
            self.member(&key, members.next_value()?);
        }
        Ok(self)
    }
}

impl Reader<'_> {
    fn member(&mut self, name: &str, value: Value) {
        if let Some(field) = Field::from_name(name.as_bytes()) {
            self.schema_field(field, &value);
            return;
        }
        for (root, collect) in
            [(ATTRIBUTES, Reader::attribute as fn(&mut Self, &str, &Value)), (LABELS, Reader::label)]
        {
            if let Some(path) = below(name, root) {
                self.walk(&mut path.to_owned(), &value, collect);
                return;
            }
        }
        if let Value::Object(members) = value {
            for (key, member) in members {
                self.member(&format!("{name}.{key}"), member);
            }
        } else {
            self.mark(name, "");
        }
    }

    /// Calls `collect` for each leaf at or below `path`.
    fn walk(&mut self, path: &mut String, value: &Value, collect: fn(&mut Self, &str, &Value)) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.walk(path, item, collect)),
            Value::Object(members) => {
                for (key, member) in members {
                    let length = path.len();
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                    self.walk(path, member, collect);
                    path.truncate(length);
                }
            }
            leaf => collect(self, path, leaf),
        }
    }

    fn attribute(&mut self, path: &str, value: &Value) {
        let text = match value {
            Value::String(text) if !is_rare(text) => {
                return insert(&mut self.open.attributes, path, OwnedValue::Str(text.clone()));
            }
            Value::String(text) => text,
            other => return insert(&mut self.open.attributes, path, number_or_flag(other)),
        };
        if is_indexed(text) {
            insert(&mut self.open.rare, path, OwnedValue::Str(text.clone()));
        }
        self.mark(ATTRIBUTES, path);
    }

    fn label(&mut self, path: &str, value: &Value) {
        let text = leaf_text(value);
        if is_indexed(&text) {
            insert(&mut self.open.labels, path, OwnedValue::Str(text.into_owned()));
        } else {
            self.mark(LABELS, path);
        }
    }

    fn schema_field(&mut self, field: Field, value: &Value) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.schema_field(field, item)),
            Value::Object(_) if field.kind() == Kind::Flattened => self.flattened(field, value),
            Value::Object(_) if field.kind() == Kind::GeoPoint => self.mark(field.name(), ""),
            Value::Object(_) => {}
            leaf => {
                self.leaf(field, leaf);
                if !Fields::is_counted(field) {
                    self.mark(field.name(), "");
                }
            }
        }
    }

    fn leaf(&mut self, field: Field, value: &Value) {
        if field == Field::EventDataset {
            return; // always equal to data_stream.dataset, which is indexed for both
        }
        let Some(handle) = self.fields.get(field) else { return };
        match field.kind() {
            Kind::DateNanos => {
                let moment = value.as_str().and_then(|text| Timestamp::parse_rfc3339(text.as_bytes()));
                let Some(moment) = moment else { return };
                if field == Field::Timestamp {
                    self.time = moment.nanos();
                }
                self.document.add_date(handle, date(moment.nanos()));
            }
            Kind::Text => self.document.add_text(handle, leaf_text(value)),
            Kind::Keyword | Kind::ConstantKeyword => {
                let text = leaf_text(value);
                if is_indexed(&text) {
                    self.document.add_text(handle, text);
                }
            }
            Kind::Long => {
                let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                if let Some(number) = number {
                    self.document.add_i64(handle, number);
                }
            }
            Kind::Ip => {
                if let Some(address) = value.as_str().and_then(|text| text.parse().ok()) {
                    self.document.add_ip_addr(handle, mapped(address));
                }
            }
            Kind::Flattened | Kind::GeoPoint | Kind::Stored => {}
        }
    }

    fn flattened(&mut self, field: Field, value: &Value) {
        self.open.inner.push((field, BTreeMap::new()));
        self.walk(&mut String::new(), value, Reader::inner_leaf);
        self.mark(field.name(), "");
    }

    fn inner_leaf(&mut self, path: &str, value: &Value) {
        let Some((field, map)) = self.open.inner.last_mut() else { return };
        let text = leaf_text(value);
        if is_indexed(&text) {
            insert(map, path, OwnedValue::Str(text.into_owned()));
        }
        let name = field.name();
        self.mark(name, path);
    }

    /// Notes that the document has this field, of which no column tells.
    fn mark(&mut self, root: &str, path: &str) {
        self.path.clear();
        self.path.push_str(root);
        if !path.is_empty() {
            self.path.push('.');
            self.path.push_str(path);
        }
        self.document.add_text(self.fields.present, &self.path);
    }

    fn finish(mut self) -> Indexable {
        let Open { attributes, rare, labels, inner } = self.open;
        for (handle, map) in
            [(self.fields.attributes, attributes), (self.fields.rare, rare), (self.fields.labels, labels)]
        {
            if !map.is_empty() {
                self.document.add_object(handle, map);
            }
        }
        for (field, map) in inner {
            if let Some(handle) = self.fields.inner.get(&field) {
                self.document.add_object(*handle, map);
            }
        }
        Indexable { document: self.document, time: self.time }
    }
}

/// The path of `name` below `root`; empty for the root itself.
fn below<'a>(name: &'a str, root: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(root)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
}

/// Adds a value; several at one path become an array.
fn insert(map: &mut BTreeMap<String, OwnedValue>, path: &str, value: OwnedValue) {
    match map.get_mut(path) {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some(OwnedValue::Array(values)) => values.push(value),
        Some(other) => {
            let first = std::mem::replace(other, OwnedValue::Null);
            *other = OwnedValue::Array(vec![first, value]);
        }
    }
}

fn number_or_flag(value: &Value) -> OwnedValue {
    match value {
        Value::Bool(flag) => OwnedValue::Bool(*flag),
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                OwnedValue::I64(number)
            } else if let Some(number) = number.as_u64() {
                OwnedValue::U64(number)
            } else {
                OwnedValue::F64(number.as_f64().unwrap_or_default())
            }
        }
        _ => OwnedValue::Null,
    }
}

fn leaf_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
