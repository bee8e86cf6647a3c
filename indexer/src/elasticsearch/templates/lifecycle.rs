//! How old records go, as the server offers it.
//!
//! | server | how |
//! |---|---|
//! | Elasticsearch 8.11 and later | the lifecycle of data streams, in the index template |
//! | Elasticsearch before that | a policy of index lifecycle management (ILM), named in the index template |
//! | OpenSearch | a policy of index state management (ISM), which names the streams |

use std::time::Duration;

use serde_json::{Value, json};

use super::super::server::{Distribution, Server};
use super::super::{ElasticsearchSettings, stream_pattern};
use super::{Answer, Nodes, PRIORITY, Template, get, logs_name};
use crate::index::IndexError;

/// Indices roll over at this age or size: what is removed is removed by whole indices.
const ROLLOVER_AGE: &str = "1d";
const ROLLOVER_SIZE: &str = "50gb";

const ISM: &str = "_plugins/_ism/policies/";
const ILM: &str = "_ilm/policy/";

/// The policy to install, where one is needed beside the templates.
pub(super) fn policy(server: &Server, settings: &ElasticsearchSettings) -> Option<Template> {
    let retention = text(settings.retention?);
    let name = logs_name(settings);
    if server.has_lifecycle() {
        return None;
    }
    Some(match server.distribution {
        Distribution::OpenSearch => {
            Template { path: format!("{ISM}{name}"), body: ism(&retention, &stream_pattern(settings)) }
        }
        Distribution::Elasticsearch => Template { path: format!("{ILM}{name}"), body: ilm(&retention) },
    })
}

/// Names the retention, or the policy, in the index template.
pub(super) fn apply(template: &mut Value, server: &Server, settings: &ElasticsearchSettings) {
    let Some(retention) = settings.retention else { return };
    if server.has_lifecycle() {
        template["template"]["lifecycle"] = json!({"data_retention": text(retention)});
    } else if server.distribution == Distribution::Elasticsearch {
        template["template"]["settings"]["index.lifecycle.name"] = json!(logs_name(settings));
    }
}

/// Parameters of an update: ISM wants to know which version of the policy is replaced.
pub(super) async fn place(
    nodes: &Nodes,
    template: &Template,
) -> Result<Vec<(&'static str, String)>, IndexError> {
    if !template.path.starts_with(ISM) {
        return Ok(Vec::new());
    }
    let answer = get(nodes, &template.path).await?;
    let existing: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let number = |name: &str| existing.get(name).and_then(Value::as_u64).map(|number| number.to_string());
    Ok(match (number("_seq_no"), number("_primary_term")) {
        (Some(number), Some(term)) => vec![("if_seq_no", number), ("if_primary_term", term)],
        _ => Vec::new(),
    })
}

/// Whether the server says that it has no ISM: a distribution without that plugin.
pub(super) fn is_missing(template: &Template, answer: &Answer) -> bool {
    template.path.starts_with(ISM)
        && matches!(answer.status, 400 | 404 | 405)
        && answer.reason().contains("no handler found")
}

fn text(retention: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match retention.as_secs() {
        seconds if seconds.is_multiple_of(DAY) => format!("{}d", seconds / DAY),
        seconds => format!("{seconds}s"),
    }
}

fn ilm(retention: &str) -> Value {
    let rollover = json!({"max_age": ROLLOVER_AGE, "max_primary_shard_size": ROLLOVER_SIZE});
    json!({"policy": {"phases": {
        "hot": {"actions": {"rollover": rollover}},
        "delete": {"min_age": retention, "actions": {"delete": {}}},
    }}})
}

fn ism(retention: &str, pattern: &str) -> Value {
    let rollover =
        json!({"rollover": {"min_index_age": ROLLOVER_AGE, "min_primary_shard_size": ROLLOVER_SIZE}});
    let remove = json!({"state_name": "delete", "conditions": {"min_rollover_age": retention}});
    json!({"policy": {
        "description": "Logs that Weir ships.",
        "default_state": "hot",
        "states": [
            {"name": "hot", "actions": [rollover], "transitions": [remove]},
            {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
        ],
        "ism_template": [{"index_patterns": [pattern], "priority": PRIORITY}],
    }})
}
