//! What the answer to a bulk says of each item.
//!
//! The error's type decides first, the status second: OpenSearch gives 500 to documents that an ingest pipeline will
//! always refuse. An answer that cannot be read, or counts other items than were sent, says nothing.

use std::borrow::Cow;
use std::time::Duration;

use memchr::memmem;
use serde::Deserialize;

use crate::index::Outcome;

/// Errors that will be the same next time, whatever the status.
const FOR_GOOD: &[&str] = &[
    "document_parsing_exception",
    "mapper_parsing_exception",
    "parse_exception",
    "parsing_exception",
    "json_parse_exception",
    "x_content_parse_exception",
    "strict_dynamic_mapping_exception",
    "fail_processor_exception",
];

/// Errors that go away by themselves, whatever the status.
const FOR_NOW: &[&str] = &[
    "es_rejected_execution_exception",
    "rejected_execution_exception",
    "circuit_breaking_exception",
    "unavailable_shards_exception",
    "process_cluster_event_timeout_exception",
    "master_not_discovered_exception",
    "cluster_manager_not_discovered_exception",
];

/// Errors that an operator has to make go away, whatever the status: a full disk is a `cluster_block_exception` with
/// 429.
const UNTIL_MENDED: &[&str] =
    &["cluster_block_exception", "index_not_found_exception", "index_closed_exception", "security_exception"];

/// What stands in an answer before its items: `{"errors":false,"took":30,`, or the other way round.
const BEFORE_ITEMS_MAX: usize = 100;
const ITEMS: &[u8] = b"\"items\":[";
const TOOK: &[u8] = b"\"took\":";

/// What the items of an answer say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub outcomes: Vec<Outcome>,
    /// Whether every item has the same error for a reason that may be just one of them.
    pub is_refused_as_a_whole: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    items: Vec<Row<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    create: Item<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    status: u16,
    #[serde(borrow)]
    error: Option<ItemError<'a>>,
    #[serde(borrow)]
    failure_store: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ItemError<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

/// Reads the answer to a bulk of `sent` items. The error says why it cannot be used.
pub(super) fn read(answer: &[u8], sent: usize) -> Result<Verdicts, String> {
    if all_created(answer, sent) {
        let outcomes = vec![Outcome::Indexed; sent];
        return Ok(Verdicts { outcomes, is_refused_as_a_whole: false });
    }
    let answer: Answer<'_> =
        serde_json::from_slice(answer).map_err(|error| format!("it cannot be read: {error}"))?;
    if answer.items.len() != sent {
        return Err(format!("it has {} items, and {sent} were sent", answer.items.len()));
    }
    let items = answer.items.iter().map(|row| &row.create);
    let whole = sent > 1 && items.clone().all(|item| is_parse_error_of_the_request(item));
    let outcomes = items.map(outcome).collect();
    Ok(Verdicts { outcomes, is_refused_as_a_whole: whole })
}

fn before_items(answer: &[u8]) -> Option<&[u8]> {
    let head = &answer[..answer.len().min(BEFORE_ITEMS_MAX)];
    memmem::find(head, ITEMS).map(|end| &head[..end])
}

/// How long the server worked on the bulk, where the answer says so: before its items.
pub(super) fn took(answer: &[u8]) -> Option<Duration> {
    let head = before_items(answer)?;
    let number = head.get(memmem::find(head, TOOK)? + TOOK.len()..)?;
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let milliseconds = std::str::from_utf8(number.get(..digits)?).ok()?.parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

/// Whether it says, in the plain words of an answer without errors, that all were stored: nothing has to be walked.
fn all_created(answer: &[u8], sent: usize) -> bool {
    const STATUS: &[u8] = b"\"status\":20";
    before_items(answer).is_some_and(|head| memmem::find(head, b"\"errors\":false").is_some())
        && answer.trim_ascii_end().ends_with(b"]}")
        && memmem::find(answer, b"\"failure_store\"").is_none()
        && memmem::find_iter(answer, STATUS).count() == sent
}

/// OpenSearch with an ingest pipeline gives the error of one unreadable document to all.
fn is_parse_error_of_the_request(item: &Item<'_>) -> bool {
    item.status == 400 && item.error.as_ref().is_some_and(|error| error.kind == "parse_exception")
}

fn outcome(item: &Item<'_>) -> Outcome {
    let kind = item.error.as_ref().map(|error| error.kind.as_ref());
    let reason = || match &item.error {
        Some(error) => format!("{}: {}", error.kind, error.reason.as_deref().unwrap_or_default()),
        None => format!("HTTP {}", item.status),
    };
    match (item.status, kind) {
        (200..=299, None) if item.failure_store.as_deref() == Some("used") => Outcome::Diverted,
        (200..=299, None) => Outcome::Indexed,
        (409, _) | (_, Some("version_conflict_engine_exception")) => Outcome::Duplicate,
        (_, Some(kind)) if FOR_NOW.contains(&kind) => Outcome::Retry { reason: reason() },
        (_, Some(kind)) if UNTIL_MENDED.contains(&kind) => Outcome::Blocked { reason: reason() },
        (status, Some(kind)) if FOR_GOOD.contains(&kind) => Outcome::Rejected { status, reason: reason() },
        (401 | 403 | 404, _) => Outcome::Blocked { reason: reason() },
        (429 | 500.., _) => Outcome::Retry { reason: reason() },
        (status @ 400..=499, _) => Outcome::Rejected { status, reason: reason() },
        _ => Outcome::Retry { reason: reason() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16, kind: &str) -> Outcome {
        let answer = format!(
            r#"{{"errors":true,"items":[{{"create":{{"status":{status},"error":{{"type":"{kind}","reason":"r"}}}}}}]}}"#
        );
        read(answer.as_bytes(), 1).expect("readable").outcomes.remove(0)
    }

    #[test]
    fn the_type_of_an_error_decides_before_its_status() {
        let retry =
            |status, kind| assert!(matches!(item(status, kind), Outcome::Retry { .. }), "{status} {kind}");
        let reject =
            |status, kind| assert!(matches!(item(status, kind), Outcome::Rejected { .. }), "{status} {kind}");
        let blocked =
            |status, kind| assert!(matches!(item(status, kind), Outcome::Blocked { .. }), "{status} {kind}");
        assert_eq!(item(409, "version_conflict_engine_exception"), Outcome::Duplicate);
        retry(429, "es_rejected_execution_exception");
        blocked(429, "cluster_block_exception");
        blocked(403, "cluster_block_exception");
        retry(503, "unavailable_shards_exception");
        blocked(404, "index_not_found_exception");
        blocked(403, "security_exception");
        blocked(400, "index_closed_exception");
        blocked(401, "whatever_exception");
        retry(500, "whatever_exception");
        retry(429, "whatever_exception");
        retry(302, "whatever_exception");
        reject(500, "fail_processor_exception");
        reject(400, "document_parsing_exception");
        reject(400, "illegal_argument_exception");
        reject(413, "whatever_exception");
    }

    #[test]
    fn an_answer_without_errors_is_not_walked_but_counted() {
        let answer = br#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        assert!(all_created(answer, 2));
        assert_eq!(read(answer, 2).expect("readable").outcomes, [Outcome::Indexed, Outcome::Indexed]);
        assert!(read(answer, 3).is_err(), "one is missing");
        assert!(read(answer, 1).is_err(), "one is too many");
        for cut in 0..answer.len() {
            assert!(read(&answer[..cut], 2).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_failure_store_is_storage_only_where_it_was_used() {
        let item = |more: &str| {
            let answer = format!(r#"{{"errors":false,"items":[{{"create":{{{more}}}}}]}}"#);
            read(answer.as_bytes(), 1).expect("readable").outcomes.remove(0)
        };
        assert_eq!(item(r#""status":201,"failure_store":"used""#), Outcome::Diverted);
        assert_eq!(item(r#""status":201,"failure_store":"not_applicable_or_unknown""#), Outcome::Indexed);
        let error = |kind: &str| format!(r#""error":{{"type":"{kind}","reason":"r"}}"#);
        let clash = error("document_parsing_exception");
        for store in ["failed", "not_enabled"] {
            let more = format!(r#""status":400,{clash},"failure_store":"{store}""#);
            assert!(matches!(item(&more), Outcome::Rejected { status: 400, .. }), "{store}");
        }
        let conflict = error("version_conflict_engine_exception");
        assert_eq!(
            item(&format!(r#""status":409,{conflict},"failure_store":"not_enabled""#)),
            Outcome::Duplicate
        );
    }
}
