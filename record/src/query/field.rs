//! Which field a name means.

use std::fmt;

use crate::schema::{ATTRIBUTES, Field, Kind, LABELS};

/// A field of documents: one of the schema, or a path below one of the open objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldPath {
    /// A field of the schema.
    Schema(Field),
    /// `attributes.<path>`: whatever structured lines carry; its type is the value's own.
    Attribute(String),
    /// `labels.<name>`: keywords of the configuration.
    Label(String),
    /// A path below an object that is indexed as one field: keywords.
    Inner(Field, String),
}

/// Short names, and names that other tools use, for fields of the schema.
const ALIASES: &[(&str, Field)] = &[
    ("timestamp", Field::Timestamp),
    ("time", Field::Timestamp),
    ("msg", Field::Message),
    ("level", Field::LogLevel),
    ("severity", Field::LogLevel),
    ("logger", Field::LogLogger),
    ("file", Field::LogFilePath),
    ("offset", Field::LogOffset),
    ("service", Field::ServiceName),
    ("environment", Field::ServiceEnvironment),
    ("env", Field::ServiceEnvironment),
    ("version", Field::ServiceVersion),
    ("host", Field::HostName),
    ("container", Field::ContainerName),
    ("stream", Field::LogIostream),
    ("pod", Field::KubernetesPodName),
    ("trace", Field::TraceId),
    ("trace_id", Field::TraceId),
    ("span", Field::SpanId),
    ("span_id", Field::SpanId),
    ("error", Field::ErrorType),
    ("exception", Field::ErrorType),
    ("method", Field::HttpRequestMethod),
    ("status", Field::HttpResponseStatusCode),
    ("bytes", Field::HttpResponseBodyBytes),
    ("referrer", Field::HttpRequestReferrer),
    ("url", Field::UrlOriginal),
    ("path", Field::UrlPath),
    ("agent", Field::UserAgentOriginal),
    ("user_agent", Field::UserAgentOriginal),
    ("user", Field::UserName),
    ("ip", Field::SourceIp),
    ("client", Field::SourceAddress),
    ("pid", Field::ProcessPid),
    ("process", Field::ProcessName),
    ("thread", Field::ProcessThreadName),
    ("duration", Field::EventDuration),
    ("ingested", Field::EventIngested),
    ("dataset", Field::DataStreamDataset),
    ("namespace", Field::DataStreamNamespace),
    ("tag", Field::Tags),
];

impl FieldPath {
    /// The field that `name` means: a schema name, an alias, `labels.x`, a path below a flattened object, and else
    /// an attribute. The error says what is wrong with the name.
    pub fn resolve(name: &str) -> Result<FieldPath, String> {
        if let Some(field) = Field::from_name(name.as_bytes()) {
            return Ok(FieldPath::Schema(field));
        }
        if let Some((_, field)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            return Ok(FieldPath::Schema(*field));
        }
        if let Some((parent, path)) = split_inner(name) {
            return Ok(FieldPath::Inner(parent, checked(path)?));
        }
        if let Some(label) = name.strip_prefix(LABELS).and_then(|rest| rest.strip_prefix('.')) {
            return Ok(FieldPath::Label(checked(label)?));
        }
        let path = name.strip_prefix(ATTRIBUTES).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
        Ok(FieldPath::Attribute(checked(path)?))
    }

    /// How its values are indexed. Attributes: none, it depends on the value.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            FieldPath::Schema(field) => Some(field.kind()),
            FieldPath::Attribute(_) => None,
            FieldPath::Label(_) | FieldPath::Inner(..) => Some(Kind::Keyword),
        }
    }
}

/// The full dotted name, as in the document.
impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldPath::Schema(field) => formatter.write_str(field.name()),
            FieldPath::Attribute(path) => write!(formatter, "{ATTRIBUTES}.{path}"),
            FieldPath::Label(path) => write!(formatter, "{LABELS}.{path}"),
            FieldPath::Inner(parent, path) => write!(formatter, "{}.{path}", parent.name()),
        }
    }
}

fn split_inner(name: &str) -> Option<(Field, &str)> {
    let flattened = Field::ALL.iter().filter(|field| field.kind() == Kind::Flattened);
    flattened.copied().find_map(|field| {
        let path = name.strip_prefix(field.name())?.strip_prefix('.')?;
        Some((field, path))
    })
}

fn checked(path: &str) -> Result<String, String> {
    if path.contains('*') {
        return Err(
            "a field's name cannot have a wildcard: write one field, or words without a field".to_owned()
        );
    }
    if path.split('.').any(|part| part.trim().is_empty()) {
        return Err(format!("\"{path}\" is no field name: something has to stand on both sides of a dot"));
    }
    Ok(path.to_owned())
}
