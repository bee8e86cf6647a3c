//! Elasticsearch's bulk protocol, from a body to journal lines and an honest answer for each item.
//!
//! ```text
//! {"create":{"_index":"logs-nginx-default"}}    the action: create and index; update and delete are refused
//! {"@timestamp":"...","message":"..."}          its document, one line
//! ```
//! <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};
use weir_record::json::push_string;

use crate::service::service_of;

/// What a body means.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    /// A document a line.
    pub(super) lines: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    action: &'static str,
    index: Option<String>,
    id: Option<String>,
    fault: Option<String>,
}

/// The body is not of this protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the body is no action: {reason}")]
pub(super) struct BulkError {
    line: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action<'a> {
    #[serde(borrow)]
    index: Option<Target<'a>>,
    #[serde(borrow)]
    create: Option<Target<'a>>,
    #[serde(borrow)]
    update: Option<Target<'a>>,
    #[serde(borrow)]
    delete: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    _index: Option<Cow<'a, str>>,
    #[serde(borrow)]
    _id: Option<Cow<'a, str>>,
}

impl Bulk {
    /// Reads a body. `index`: of the path, for actions that name none.
    pub(super) fn read(body: &[u8], index: Option<&str>) -> Result<Bulk, BulkError> {
        let mut bulk = Bulk::default();
        let mut lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
        while let Some((number, line)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let fault = |reason: String| BulkError { line: number + 1, reason };
            let action: Action<'_> =
                serde_json::from_slice(line).map_err(|error| fault(error.to_string()))?;
            let (name, target, refusal) = match action {
                Action { index: Some(target), .. } => ("index", target, None),
                Action { create: Some(target), .. } => ("create", target, None),
                Action { update: Some(target), .. } => ("update", target, Some("update")),
                Action { delete: Some(target), .. } => ("delete", target, Some("delete")),
                _ => return Err(fault("it names none of create, index, update, delete".to_owned())),
            };
            let document = if name == "delete" { None } else { lines.next().map(|(_, document)| document) };
            let index = target._index.as_deref().or(index);
            let fault = match (refusal, document) {
                (Some(action), _) => {
                    Some(format!("{action} is not possible: records stay as they were written"))
                }
                (None, document) => bulk.push(document.unwrap_or_default(), index).err(),
            };
            let id = target._id.map(Cow::into_owned);
            bulk.items.push(Item { action: name, index: index.map(str::to_owned), id, fault });
        }
        Ok(bulk)
    }

    fn push(&mut self, document: &[u8], index: Option<&str>) -> Result<(), String> {
        let fields: Fields = serde_json::from_slice(document).map_err(|error| error.to_string())?;
        let inside = document.strip_suffix(b"}").unwrap_or(document);
        self.lines.extend_from_slice(inside);
        if let Some(service) = index.map(service_of_index).filter(|_| !fields.has_service) {
            if !fields.is_empty {
                self.lines.push(b',');
            }
            self.lines.extend_from_slice(b"\"service.name\":");
            push_string(&mut self.lines, &service);
        }
        self.lines.extend_from_slice(b"}\n");
        Ok(())
    }

    /// The answer once the lines are on the disk.
    pub(super) fn answer(&self, took_millis: u64) -> Value {
        let items: Vec<Value> = self.items.iter().map(Item::answer).collect();
        let errors = self.items.iter().any(|item| item.fault.is_some());
        json!({ "took": took_millis, "errors": errors, "items": items })
    }

    /// How many items were refused.
    pub(super) fn refused(&self) -> u64 {
        self.items.iter().filter(|item| item.fault.is_some()).count() as u64
    }
}

impl Item {
    fn answer(&self) -> Value {
        let mut answer = match &self.fault {
            None => json!({
                "status": 201, "result": "created", "_version": 1, "_seq_no": 0, "_primary_term": 1,
                "_shards": { "total": 1, "successful": 1, "failed": 0 }
            }),
            Some(reason) => {
                let kind = match self.action {
                    "update" | "delete" => "action_request_validation_exception",
                    _ => "document_parsing_exception",
                };
                json!({ "status": 400, "error": { "type": kind, "reason": reason } })
            }
        };
        answer["_index"] = self.index.clone().unwrap_or_default().into();
        answer["_id"] = self.id.clone().into();
        json!({ self.action: answer })
    }
}

/// `logs-nginx-default` -> `nginx`, `filebeat-9.1.0` -> `filebeat`, `logstash-2026.11.20` -> `logstash`.
fn service_of_index(index: &str) -> String {
    // Data streams: type, dataset, namespace.
    let of_stream = index.strip_prefix("logs-").and_then(|rest| rest.rsplit_once('-'));
    of_stream.map_or_else(|| service_of(Path::new(index)), |(dataset, _)| dataset.to_owned())
}

/// What has to be known of a document; reading it checks that it is one.
struct Fields {
    is_empty: bool,
    has_service: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let mut fields = Fields { is_empty: true, has_service: false };
        while let Some((key, _)) = members.next_entry::<Cow<'de, str>, IgnoredAny>()? {
            fields.is_empty = false;
            fields.has_service |= matches!(&*key, "service" | "service.name" | "application" | "app");
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_lines_and_name_a_service() {
        let body = concat!(
            "{\"create\":{\"_index\":\"logs-nginx-default\"}}\n{\"message\":\"a\"}\n",
            "{\"index\":{\"_id\":\"7\"}}\n{\"service\":{\"name\":\"own\"}}\r\n\n",
            "{\"index\":{}}\n{}"
        );
        let bulk = Bulk::read(body.as_bytes(), Some("filebeat-9.1.0")).expect("read");
        let lines = String::from_utf8(bulk.lines.clone()).expect("text");
        assert_eq!(
            lines,
            "{\"message\":\"a\",\"service.name\":\"nginx\"}\n{\"service\":{\"name\":\"own\"}}\n{\"service.name\":\"filebeat\"}\n"
        );
        let answer = bulk.answer(3);
        assert_eq!(answer["errors"], false);
        assert_eq!(answer["items"][0]["create"]["status"], 201);
        assert_eq!(answer["items"][1]["index"]["_id"], "7");
        assert_eq!(answer["items"][1]["index"]["_index"], "filebeat-9.1.0");
    }

    #[test]
    fn what_cannot_be_kept_is_refused_item_by_item() {
        let body = concat!(
            "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"delete\":{\"_id\":\"1\"}}\n",
            "{\"create\":{}}\n{\"message\":\n{\"create\":{}}\n[1]\n{\"create\":{}}\n{\"m\":1}\n"
        );
        let bulk = Bulk::read(body.as_bytes(), None).expect("read");
        assert_eq!(bulk.lines, b"{\"m\":1}\n");
        let answer = bulk.answer(0);
        assert_eq!((answer["errors"].as_bool(), bulk.refused()), (Some(true), 4));
        let statuses: Vec<_> = answer["items"]
            .as_array()
            .expect("items")
            .iter()
            .flat_map(|item| {
                item.as_object().expect("an item").values().map(|value| value["status"].as_u64())
            })
            .collect();
        assert_eq!(statuses, [Some(400), Some(400), Some(400), Some(400), Some(201)]);
    }

    #[test]
    fn a_body_of_another_protocol_is_refused_whole() {
        let line = |body: &str| Bulk::read(body.as_bytes(), None).expect_err("refused").line;
        assert_eq!(line("hello\n"), 1);
        assert_eq!(line("{\"create\":{}}\n{}\n{\"message\":\"x\"}\n"), 3);
        assert_eq!(line("{}\n"), 1);
    }
}
