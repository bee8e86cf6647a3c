//! Dead letters: documents that were refused for good, kept with everything that is needed to send them again.
//!
//! They are documents of a stream of their own, `logs-dead_letter-<namespace>`, to which things are only added: that a
//! letter was sent again is one more document, which names it.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use weir_record::Timestamp;

use crate::index::Outcome;
use crate::search::{Order, Search, SearchError, SearchRequest, dead_letters};

/// Dataset of the stream of dead letters.
pub const DEAD_LETTER_DATASET: &str = "dead_letter";

/// What stands for the target of a frame that could not be read: it is kept whole, in base64.
pub const FRAME_TARGET: &str = "frame";

/// Letters that are asked for at once.
const PAGE: usize = 1000;

/// Most letters that are looked at: a bound of memory.
const LETTERS_MAX: usize = 100_000;

/// A document that was refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its own `_id`.
    pub id: String,
    /// The data stream that it was meant for.
    pub target: String,
    /// The ingest pipeline that it was to go through, if any.
    pub pipeline: Option<String>,
    /// The document as it was sent.
    pub document: Bytes,
    /// HTTP status of the last try.
    pub status: u16,
    /// Why it was refused.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first, nanoseconds since 1970.
    pub first_time: i64,
    /// When it was given up, nanoseconds since 1970.
    pub time: i64,
    /// How often it was a dead letter before: sent again on demand, and refused again.
    pub replays: u32,
}

impl DeadLetter {
    /// The `_id` of the letter: the document's own, so that it is stored once, and once more for each replay.
    pub fn letter_id(&self) -> String {
        match self.replays {
            0 => self.id.clone(),
            replays => format!("{}.{replays}", self.id),
        }
    }

    /// The kind of refusal, by which letters are grouped: what stands before the colon, as servers name their errors.
    pub fn kind(&self) -> &str {
        let kind = self.reason.split_once(": ").map_or(&*self.reason, |(kind, _)| kind);
        if kind.is_empty() || kind.contains(' ') { "other" } else { kind }
    }

    /// Whether it is a document that can be sent again; else it is a frame.
    pub fn is_document(&self) -> bool {
        self.target != FRAME_TARGET
    }

    /// The letter as a document of its stream. What was refused stands in `event.original`, as text, so that nothing of
    /// it can be refused again.
    pub fn to_document(&self, namespace: &str) -> String {
        let (original, encoding) = match std::str::from_utf8(&self.document) {
            Ok(text) => (text.to_owned(), "utf8"),
            Err(_) => (STANDARD.encode(&self.document), "base64"),
        };
        let mut document = letter_document(namespace, self.time);
        for (name, value) in [
            ("message", format!("refused by {}: {}", self.target, self.reason)),
            ("log.level", "error".to_owned()),
            ("error.type", self.kind().to_owned()),
            ("error.message", self.reason.clone()),
            ("error.code", self.status.to_string()),
            ("event.original", original),
            ("labels.encoding", encoding.to_owned()),
            ("labels.id", self.id.clone()),
            ("labels.target", self.target.clone()),
            ("labels.attempts", self.attempts.to_string()),
            ("labels.first_time", self.first_time.to_string()),
            ("labels.time", self.time.to_string()),
            ("labels.replays", self.replays.to_string()),
        ] {
            document[name] = Value::from(value);
        }
        if let Some(pipeline) = &self.pipeline {
            document["labels.pipeline"] = Value::from(pipeline.clone());
        }
        document.to_string()
    }

    /// Reads what [`to_document`](Self::to_document) wrote; none where it is something else.
    pub fn from_document(document: &Value) -> Option<DeadLetter> {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let original = text("event.original")?;
        let bytes = match text("labels.encoding") {
            Some("base64") => STANDARD.decode(original).ok()?,
            _ => original.as_bytes().to_vec(),
        };
        Some(DeadLetter {
            id: text("labels.id")?.to_owned(),
            target: text("labels.target")?.to_owned(),
            pipeline: text("labels.pipeline").map(str::to_owned),
            document: bytes.into(),
            status: text("error.code")?.parse().ok()?,
            reason: text("error.message")?.to_owned(),
            attempts: text("labels.attempts")?.parse().ok()?,
            first_time: text("labels.first_time")?.parse().ok()?,
            time: text("labels.time")?.parse().ok()?,
            replays: text("labels.replays")?.parse().ok()?,
        })
    }
}

fn letter_document(namespace: &str, time: i64) -> Value {
    let time = Timestamp::from_nanos(time.max(0), Timestamp::DIGITS_MAX);
    json!({
        "@timestamp": time.map(|time| time.to_string()),
        "event.dataset": DEAD_LETTER_DATASET,
        "data_stream.type": "logs",
        "data_stream.dataset": DEAD_LETTER_DATASET,
        "data_stream.namespace": namespace,
    })
}

/// What is to be written after a replay, each with its `_id`: that it was, and the new letter where it was refused again.
pub(crate) fn after_replay(
    letter: &DeadLetter,
    outcome: &Outcome,
    namespace: &str,
    now: i64,
) -> Vec<(String, String)> {
    let mut done = letter_document(namespace, now);
    done["labels.replayed"] = Value::from(letter.letter_id());
    done["labels.target"] = Value::from(letter.target.clone());
    let told = |text: &str| Value::from(format!("{text} by {}: {}", letter.target, letter.reason));
    let done_id = format!("{}.done", letter.letter_id());
    match outcome {
        Outcome::Retry { .. } | Outcome::Blocked { .. } => Vec::new(),
        Outcome::Rejected { status, reason } => {
            done["message"] = told("sent again, and refused again");
            let again = DeadLetter {
                status: *status,
                reason: reason.clone(),
                attempts: letter.attempts.saturating_add(1),
                time: now,
                replays: letter.replays.saturating_add(1),
                ..letter.clone()
            };
            vec![(again.letter_id(), again.to_document(namespace)), (done_id, done.to_string())]
        }
        _ => {
            done["message"] = told("stored at last; it had been refused");
            vec![(done_id, done.to_string())]
        }
    }
}

/// The letters of these documents that were not sent again, the oldest first.
pub fn open_among(documents: &[Value]) -> Vec<DeadLetter> {
    let replayed: HashSet<&str> =
        documents.iter().filter_map(|document| document.get("labels.replayed")?.as_str()).collect();
    let mut letters: Vec<DeadLetter> = documents
        .iter()
        .filter_map(DeadLetter::from_document)
        .filter(|letter| !replayed.contains(&*letter.letter_id()))
        .collect();
    letters.sort_by_key(|letter| letter.time);
    letters
}

/// The dead letters of an index that were not sent again since, the oldest first.
///
/// # Errors
/// The index cannot be searched.
pub async fn open_letters(index: &impl Search) -> Result<Vec<DeadLetter>, SearchError> {
    let mut documents = Vec::new();
    let mut after = None;
    while documents.len() < LETTERS_MAX {
        let request = SearchRequest {
            order: Order::NewestFirst,
            limit: PAGE,
            after,
            ..SearchRequest::new(dead_letters())
        };
        let hits = index.search(&request).await?.hits;
        let is_last = hits.len() < PAGE;
        after = hits.last().map(|hit| hit.cursor.clone());
        documents.extend(hits.iter().filter_map(|hit| serde_json::from_str(hit.document.get()).ok()));
        if is_last {
            break;
        }
    }
    Ok(open_among(&documents))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(document: &'static [u8]) -> DeadLetter {
        DeadLetter {
            id: "an-id".to_owned(),
            target: "logs-shop-default".to_owned(),
            pipeline: Some("geo".to_owned()),
            document: Bytes::from_static(document),
            status: 400,
            reason: "document_parsing_exception: no".to_owned(),
            attempts: 2,
            first_time: 1_795_132_800_000_000_001,
            time: 1_795_132_800_000_000_007,
            replays: 0,
        }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_letter_comes_back_whole_whatever_its_bytes() {
        for document in [&b"{\"a\":1}"[..], b"", b"\xff\x00\"", "\u{1f4a9}\n\0".as_bytes()] {
            let letter = letter(document);
            assert_eq!(DeadLetter::from_document(&read(&letter.to_document("default"))), Some(letter));
        }
        assert_eq!(DeadLetter::from_document(&json!({"message": "something else"})), None);
    }

    #[test]
    fn letters_are_grouped_by_what_the_server_calls_the_error() {
        let kind = |reason: &str| DeadLetter { reason: reason.to_owned(), ..letter(b"") }.kind().to_owned();
        assert_eq!(kind("document_parsing_exception: [1:2] failed"), "document_parsing_exception");
        assert_eq!(kind("the document is larger than the server accepts"), "other");
        assert_eq!(kind(""), "other");
    }

    #[test]
    fn what_was_sent_again_is_open_only_where_it_was_refused_again() {
        let first = letter(b"{}");
        let mut documents = vec![read(&first.to_document("default"))];
        assert_eq!(open_among(&documents), std::slice::from_ref(&first));
        let refused = Outcome::Rejected { status: 400, reason: "still_no: no".to_owned() };
        documents.extend(
            after_replay(&first, &refused, "default", first.time + 1).iter().map(|(_, text)| read(text)),
        );
        let again = open_among(&documents);
        assert_eq!((again.len(), again[0].replays, again[0].attempts), (1, 1, 3));
        assert_eq!((&*again[0].id, &*again[0].letter_id()), ("an-id", "an-id.1"));
        let put_off = Outcome::Retry { reason: String::new() };
        assert!(after_replay(&again[0], &put_off, "default", 0).is_empty(), "nothing is decided");
        let stored = after_replay(&again[0], &Outcome::Duplicate, "default", first.time + 2);
        documents.extend(stored.iter().map(|(_, text)| read(text)));
        assert_eq!(open_among(&documents), []);
    }
}
