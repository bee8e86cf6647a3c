//! Sending a selection of a batch, in as many requests as it takes.
//!
//! A request that is too large (413) is halved. A request that is refused as a whole (400) is halved too, until the
//! document is alone that is to blame. What clashes with a mapping in its attributes is sent once more without them
//! being mapped.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::json;
use weir_record::schema::ATTRIBUTES;

use super::nodes::{Content, Nodes, Request};
use super::outcome::{self, Verdicts};
use super::server::{Distribution, Server};
use crate::batch::{Batch, Item};
use crate::fields::{is_attribute, unmapped};
use crate::index::{IndexError, Outcome};
use crate::letter::DeadLetter;

/// A bulk that has no answer by then is sent again.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `items.*.status` has to be among them: an item of which nothing is selected is left out, and all others move up.
const FILTER: &str =
    "errors,took,items.*.status,items.*.error.type,items.*.error.reason,items.*.failure_store";

/// What became of one request.
enum Sent {
    Items(Verdicts),
    /// To be sent in halves; alone, the document is rejected with this status and reason.
    Refused {
        status: u16,
        reason: String,
    },
}

/// Sends the items of `batch` that `selection` names; one outcome for each.
pub(super) async fn send(
    nodes: &Nodes,
    server: &Server,
    batch: &Arc<Batch>,
    selection: &[u32],
) -> Result<Vec<Outcome>, IndexError> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; selection.len()];
    let mut waiting = Vec::from([Range { start: 0, end: selection.len() }]);
    while let Some(range) = waiting.pop() {
        let chosen = selection.get(range.clone()).unwrap_or_default();
        if chosen.is_empty() {
            continue;
        }
        let sent = match request(nodes, server, body_of(batch, chosen), chosen.len()).await {
            Ok(sent) => sent,
            // What earlier requests said stays true; the rest is unknown.
            Err(error) if outcomes.iter().any(Option::is_some) => {
                tracing::debug!(%error, "a part of a bulk has no answer");
                break;
            }
            Err(error) => return Err(error),
        };
        match sent {
            Sent::Items(verdicts) => {
                for (place, outcome) in outcomes.iter_mut().skip(range.start).zip(verdicts.outcomes) {
                    *place = Some(outcome);
                }
            }
            Sent::Refused { status, reason } if range.len() == 1 => {
                if let Some(place) = outcomes.get_mut(range.start) {
                    *place = Some(Outcome::Rejected { status, reason });
                }
            }
            Sent::Refused { .. } => waiting.extend(halves(range)),
        }
    }
    let unknown = || Outcome::Retry { reason: "the request had no answer".to_owned() };
    let mut outcomes: Vec<Outcome> =
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect();
    heal(nodes, server, batch, selection, &mut outcomes).await;
    Ok(outcomes)
}

fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [middle..range.end, range.start..middle]
}

/// Sends one body of `count` items.
pub(super) async fn send_body(
    nodes: &Nodes,
    server: &Server,
    body: Bytes,
    count: usize,
) -> Result<Vec<Outcome>, IndexError> {
    match request(nodes, server, body, count).await? {
        Sent::Items(verdicts) => Ok(verdicts.outcomes),
        Sent::Refused { status, reason } => Ok(vec![Outcome::Rejected { status, reason }; count]),
    }
}

/// Sends the documents of letters to their streams. One that poisons the whole request is found by sending them alone.
pub(super) async fn replay(
    nodes: &Nodes,
    server: &Server,
    letters: &[DeadLetter],
) -> Result<Vec<Outcome>, IndexError> {
    let mut body = Vec::new();
    for letter in letters {
        let mut action = json!({"create": {"_index": letter.target, "_id": letter.id}});
        if let Some(pipeline) = &letter.pipeline {
            action["create"]["pipeline"] = json!(pipeline);
        }
        body.extend_from_slice(action.to_string().as_bytes());
        body.push(b'\n');
        // Newlines within would part the request; JSON has none but between its tokens.
        body.extend(letter.document.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        body.push(b'\n');
    }
    match request(nodes, server, body.into(), letters.len()).await? {
        Sent::Items(verdicts) => Ok(verdicts.outcomes),
        Sent::Refused { status, reason } if letters.len() == 1 => {
            Ok(vec![Outcome::Rejected { status, reason }])
        }
        Sent::Refused { .. } => {
            let mut outcomes = Vec::with_capacity(letters.len());
            for letter in letters {
                outcomes.extend(Box::pin(replay(nodes, server, std::slice::from_ref(letter))).await?);
            }
            Ok(outcomes)
        }
    }
}

async fn request(nodes: &Nodes, server: &Server, body: Bytes, count: usize) -> Result<Sent, IndexError> {
    let mut parameters = vec![("filter_path", FILTER)];
    if server.has_require_data_stream() {
        parameters.push(("require_data_stream", "true"));
    }
    let request = Request {
        method: Method::Post,
        path: "_bulk",
        parameters: &parameters,
        body: Some((Content::Lines, body)),
        timeout: TIMEOUT,
    };
    let answer = nodes.send(request).await?;
    match answer.status {
        200 => {
            let verdicts = outcome::read(&answer.body, count)
                .map_err(|reason| IndexError::Unusable { node: answer.node.clone(), reason })?;
            let is_blame_shared =
                verdicts.is_refused_as_a_whole && server.distribution == Distribution::OpenSearch;
            match verdicts.outcomes.first() {
                Some(Outcome::Rejected { status, reason }) if is_blame_shared => {
                    Ok(Sent::Refused { status: *status, reason: reason.clone() })
                }
                _ => Ok(Sent::Items(verdicts)),
            }
        }
        status @ 413 => {
            Ok(Sent::Refused { status, reason: "the document is larger than the server accepts".to_owned() })
        }
        status @ 400 => Ok(Sent::Refused { status, reason: answer.reason() }),
        _ => Err(answer.into_error()),
    }
}

/// The bytes of these items: a slice of the batch where they are neighbours, else a copy.
fn body_of(batch: &Arc<Batch>, selection: &[u32]) -> Bytes {
    let items = batch.items();
    let chosen = || selection.iter().filter_map(|index| items.get(*index as usize));
    let neighbours = selection.array_windows().all(|[one, next]| *next == *one + 1);
    if let (true, Some(first), Some(last)) = (neighbours, chosen().next(), chosen().next_back()) {
        return Bytes::from_owner(Slice { batch: Arc::clone(batch), range: first.action_start..last.end });
    }
    let mut body = Vec::with_capacity(chosen().map(|item| item.end - item.action_start).sum());
    for item in chosen() {
        body.extend_from_slice(batch.body().get(item.action_start..item.end).unwrap_or_default());
    }
    body.into()
}

/// A part of a batch's body that keeps the batch.
struct Slice {
    batch: Arc<Batch>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self.batch.body().get(self.range.clone()).unwrap_or_default()
    }
}

/// Sends documents once more whose attributes clashed with the mapping, with their attributes moved to where
/// nothing can clash. A document that is refused again keeps its first verdict.
async fn heal(nodes: &Nodes, server: &Server, batch: &Batch, selection: &[u32], outcomes: &mut [Outcome]) {
    let (mut places, mut body) = (Vec::new(), Vec::new());
    for (place, (outcome, index)) in outcomes.iter().zip(selection).enumerate() {
        let Some(item) = batch.items().get(*index as usize).filter(|_| is_clash(outcome)) else { continue };
        let Some(document) = unmapped(batch.document(item), |_, _| true) else { continue };
        body.extend_from_slice(action_of(batch, item));
        body.extend_from_slice(document.as_bytes());
        body.push(b'\n');
        places.push(place);
    }
    if places.is_empty() {
        return;
    }
    let healed = send_body(nodes, server, body.into(), places.len()).await;
    // Without an answer they are sent again whole, and healed then.
    let unknown = |error: &IndexError| Outcome::Retry { reason: error.to_string() };
    for (at, place) in places.iter().enumerate() {
        let verdict = match &healed {
            Ok(verdicts) => verdicts.get(at).cloned(),
            Err(error) => Some(unknown(error)),
        };
        let Some(outcome) = outcomes.get_mut(*place) else { continue };
        match (verdict, &outcome) {
            (Some(Outcome::Indexed), Outcome::Rejected { reason, .. }) => {
                *outcome = Outcome::Healed { field: clashing_field(reason) };
            }
            // A second rejection speaks of a document that no shipper sent: the first one stands.
            (Some(Outcome::Rejected { .. }) | None, _) => {}
            (Some(verdict), _) => *outcome = verdict,
        }
    }
}

/// The attribute that a rejection names in brackets; where it names none, there were too many fields.
fn clashing_field(reason: &str) -> String {
    let mut names = reason.split(['[', ']']).skip(1).step_by(2);
    names.find(|name| is_attribute(name)).unwrap_or(ATTRIBUTES).to_owned()
}

fn action_of<'a>(batch: &'a Batch, item: &Item) -> &'a [u8] {
    batch.body().get(item.action_start..item.document_start).unwrap_or_default()
}

/// Whether a rejection is for an attribute, or for there being too many fields.
fn is_clash(outcome: &Outcome) -> bool {
    let Outcome::Rejected { status: 400, reason } = outcome else { return false };
    reason.contains(ATTRIBUTES) || reason.contains("total fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clash_is_counted_by_the_attribute_that_the_server_names() {
        let parsing =
            "document_parsing_exception: [1:77] failed to parse field [attributes.user.id] of type [long]";
        assert_eq!(clashing_field(parsing), "attributes.user.id");
        let object = "document_parsing_exception: [1:9] object mapping for [attributes.cart] tried to parse field \
                      [cart] as object, but found a concrete value";
        assert_eq!(clashing_field(object), "attributes.cart");
        let limit = "illegal_argument_exception: Limit of total fields [1000] has been exceeded";
        assert_eq!(clashing_field(limit), "attributes");
    }
}
