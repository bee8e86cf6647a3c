//! The templates that data streams are made from: generated from the one table of fields, in the types that the
//! server has.
//!
//! | name | what |
//! |---|---|
//! | `weir@mappings`, `weir@settings` | component templates |
//! | `weir-<streams>` | index template of the log streams, such as `weir-logs-default` |
//! | `weir-<streams>` | where `retention` is set and data streams have no lifecycle of their own: a policy of ILM or ISM |
//! | `weir-dead_letter-<namespace>` | index template of the dead-letter stream: nothing in it can be refused |
//!
//! Priority 150: above Elastic's own `logs` (100), below its integrations (200). A component template `logs@custom`
//! is respected, as Elastic's own template does; on OpenSearch only if it is there when Weir's is installed.
//!
//! Where the server has LogsDB it is used, with the source stored as it was sent: about a fifth smaller at the same
//! speed, and a document comes back as it went in.

use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Map, Value, json};
use weir_record::Field;
use weir_record::schema::Kind;

use super::nodes::{Answer, Content, Nodes, Request};
use super::server::Server;
use super::{ElasticsearchSettings, dead_letter_stream, stream_pattern};
use crate::index::{IndexError, SetupError};

mod difference;
mod lifecycle;

/// Raised by every change of what is below; an older one on the server is replaced.
const VERSION: u64 = 3;

const PRIORITY: u64 = 150;
const MAPPINGS: &str = "weir@mappings";
const SETTINGS: &str = "weir@settings";
const CUSTOM: &str = "logs@custom";

/// Longest keyword that is indexed, in characters.
const KEYWORD_CHARACTERS_MAX: u64 = 1024;

/// Most fields of one stream's mapping.
const FIELDS_MAX: u64 = 1000;

const TIMEOUT: Duration = Duration::from_secs(30);

/// One thing to install: its path, and its body.
pub(super) struct Template {
    pub path: String,
    pub body: Value,
}

/// Everything to install, in order. `has_custom`: whether `logs@custom` is there.
pub(super) fn templates(
    server: &Server,
    settings: &ElasticsearchSettings,
    has_custom: bool,
) -> Vec<Template> {
    let mut templates: Vec<Template> = lifecycle::policy(server, settings).into_iter().collect();
    templates.extend([
        component(MAPPINGS, json!({"mappings": mappings(server)})),
        component(SETTINGS, json!({"settings": index_settings(server)})),
        Template { path: logs_path(settings), body: logs_template(server, settings, has_custom) },
        Template {
            path: format!("_index_template/weir-dead_letter-{}", settings.documents.namespace),
            body: dead_letter_template(settings),
        },
    ]);
    templates
}

/// What an installation would change: for each thing that is not as it should be, its path and the differences.
pub(super) async fn plan(
    nodes: &Nodes,
    server: &Server,
    settings: &ElasticsearchSettings,
) -> Result<Vec<Change>, IndexError> {
    let has_custom = get(nodes, &format!("_component_template/{CUSTOM}")).await?.status == 200;
    let mut changes = Vec::new();
    for template in templates(server, settings, has_custom) {
        let answer = get(nodes, &template.path).await?;
        let existing = match answer.status {
            200 => Some(serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
            404 => None,
            _ if lifecycle::is_missing(&template, &answer) => continue,
            _ => return Err(answer.into_error()),
        };
        let differences = difference::between(existing.as_ref(), &template.body);
        if !differences.is_empty() {
            changes.push(Change { path: template.path, is_new: existing.is_none(), differences });
        }
    }
    Ok(changes)
}

/// Something that an installation would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stands on the server: `_index_template/weir-logs-default`.
    pub path: String,
    /// Whether the server has nothing there yet.
    pub is_new: bool,
    /// One line each: `+ name: value`, `- name: value`, `~ name: old -> new`.
    pub differences: Vec<String>,
}

/// Installs all of them, in any case.
pub(super) async fn install(
    nodes: &Nodes,
    server: &Server,
    settings: &ElasticsearchSettings,
) -> Result<(), SetupError> {
    let has_custom = get(nodes, &format!("_component_template/{CUSTOM}")).await?.status == 200;
    for template in templates(server, settings, has_custom) {
        let answer = put(nodes, &template).await?;
        if lifecycle::is_missing(&template, &answer) {
            tracing::warn!("this OpenSearch has no index state management: nothing removes old records");
            continue;
        }
        if !matches!(answer.status, 200 | 201) {
            return Err(refusal(&template.path, answer));
        }
    }
    Ok(())
}

/// Installs them unless the server has this version or a later one. A user who may not is no error where they are
/// there, or where that cannot be seen: a bulk for a stream without a template fails loudly, and loses nothing.
pub(super) async fn ensure(
    nodes: &Nodes,
    server: &Server,
    settings: &ElasticsearchSettings,
) -> Result<(), SetupError> {
    let path = logs_path(settings);
    let answer = get(nodes, &path).await?;
    let installed = match answer.status {
        200 => installed_version(&answer.body),
        404 => None,
        401 | 403 => {
            let reason = answer.reason();
            tracing::warn!(reason, "this user may not read index templates; taking them to be installed");
            return Ok(());
        }
        _ => return Err(answer.into_error().into()),
    };
    if installed.is_some_and(|version| version >= VERSION) {
        return Ok(());
    }
    match install(nodes, server, settings).await {
        Err(SetupError::Missing { reason, .. }) if installed.is_some() => {
            tracing::warn!(reason, "an older index template is installed, and this user may not update it");
            Ok(())
        }
        other => other,
    }
}

fn refusal(path: &str, answer: Answer) -> SetupError {
    let (reason, status) = (answer.reason(), answer.status);
    let node = answer.node.clone();
    match status {
        401 | 403 => SetupError::Missing { template: path.to_owned(), node, reason },
        400..=499 => SetupError::Refused { node, what: path.to_owned(), reason },
        _ => answer.into_error().into(),
    }
}

fn logs_path(settings: &ElasticsearchSettings) -> String {
    format!("_index_template/{}", logs_name(settings))
}

/// `weir-logs-default`
fn logs_name(settings: &ElasticsearchSettings) -> String {
    let streams: String = stream_pattern(settings)
        .split(['*', '-'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    format!("weir-{streams}")
}

fn installed_version(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer.pointer("/index_templates/0/index_template/version")?.as_u64()
}

async fn get(nodes: &Nodes, path: &str) -> Result<Answer, IndexError> {
    nodes.send(Request { method: Method::Get, path, parameters: &[], body: None, timeout: TIMEOUT }).await
}

async fn put(nodes: &Nodes, template: &Template) -> Result<Answer, IndexError> {
    let body = Bytes::from(template.body.to_string());
    let place = lifecycle::place(nodes, template).await?;
    let parameters: Vec<(&str, &str)> = place.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request {
        method: Method::Put,
        path: &template.path,
        parameters: &parameters,
        body: Some((Content::Json, body)),
        timeout: TIMEOUT,
    };
    nodes.send(request).await
}

fn component(name: &str, template: Value) -> Template {
    let body = json!({"template": template, "version": VERSION, "_meta": meta()});
    Template { path: format!("_component_template/{name}"), body }
}

fn meta() -> Value {
    json!({"managed_by": "weir", "description": "Logs that Weir ships. Own settings belong into logs@custom."})
}

fn logs_template(server: &Server, settings: &ElasticsearchSettings, has_custom: bool) -> Value {
    let mut body = json!({
        "index_patterns": [stream_pattern(settings)],
        "data_stream": {},
        "priority": PRIORITY,
        "version": VERSION,
        "composed_of": [MAPPINGS, SETTINGS],
        "template": {},
        "_meta": meta(),
    });
    if (has_custom || server.may_miss_components())
        && let Some(components) = body["composed_of"].as_array_mut()
    {
        components.push(json!(CUSTOM));
    }
    if server.may_miss_components() {
        body["ignore_missing_component_templates"] = json!([CUSTOM]);
    }
    lifecycle::apply(&mut body, server, settings);
    body
}

/// Only what is searched is mapped, and as types that take any text; the rest is stored unseen.
fn dead_letter_template(settings: &ElasticsearchSettings) -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": KEYWORD_CHARACTERS_MAX});
    json!({
        "index_patterns": [dead_letter_stream(settings)],
        "data_stream": {},
        "priority": PRIORITY + 1,
        "version": VERSION,
        "_meta": meta(),
        "template": {"mappings": {
            "dynamic": false,
            "date_detection": false,
            "properties": {
                "@timestamp": {"type": "date_nanos"},
                "message": {"type": "text"},
                "error.message": {"type": "text"},
                "error.code": keyword,
                "log.level": keyword,
                "error.type": keyword,
                "labels.id": keyword,
                "labels.replayed": keyword,
                "labels.replays": keyword,
                "labels.target": keyword,
                "labels.attempts": keyword,
                "data_stream.dataset": keyword,
                "event.original": {"type": "keyword", "index": false, "doc_values": false},
            },
        }},
    })
}

fn index_settings(server: &Server) -> Value {
    let mut index = json!({
        "codec": "best_compression",
        "mapping.ignore_malformed": true,
        "mapping.total_fields.limit": FIELDS_MAX,
    });
    if server.ignores_fields_beyond_limit() {
        index["mapping.total_fields.ignore_dynamic_beyond_limit"] = json!(true);
    }
    if server.has_logsdb() {
        index["mode"] = json!("logsdb");
        index["mapping.source.mode"] = json!("stored");
    }
    json!({"index": index})
}

fn mappings(server: &Server) -> Value {
    let properties: Map<String, Value> =
        Field::ALL.iter().map(|field| (field.name().to_owned(), mapping(server, *field))).collect();
    let text = json!({"text": {
        "match_mapping_type": "string",
        "mapping": {"type": "keyword", "ignore_above": KEYWORD_CHARACTERS_MAX},
    }});
    json!({
        "date_detection": false,
        "numeric_detection": false,
        "dynamic_templates": [text],
        "properties": properties,
    })
}

fn mapping(server: &Server, field: Field) -> Value {
    let keyword = || json!({"type": "keyword", "ignore_above": KEYWORD_CHARACTERS_MAX});
    match field.kind() {
        // A stream's documents are placed by it: a wrong one cannot be ignored.
        Kind::DateNanos if field == Field::Timestamp => {
            json!({"type": "date_nanos", "ignore_malformed": false})
        }
        Kind::DateNanos => json!({"type": "date_nanos"}),
        Kind::Text if server.has_match_only_text() => json!({"type": "match_only_text"}),
        Kind::Text => json!({"type": "text", "norms": false}),
        Kind::Stored => json!({"type": "keyword", "index": false, "doc_values": false}),
        Kind::ConstantKeyword if server.has_constant_keyword() => json!({"type": "constant_keyword"}),
        Kind::Keyword | Kind::ConstantKeyword => keyword(),
        Kind::Long => json!({"type": "long"}),
        Kind::Ip => json!({"type": "ip"}),
        Kind::GeoPoint => json!({"type": "geo_point"}),
        Kind::Flattened => match server.flattened_type() {
            Some("flattened") => json!({"type": "flattened", "ignore_above": KEYWORD_CHARACTERS_MAX}),
            Some(other) => json!({"type": other}),
            None => json!({"type": "object", "enabled": false}),
        },
    }
}
