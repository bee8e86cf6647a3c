//! What the mapping of a stream has already.

use std::time::Duration;

use elasticsearch::http::Method;
use serde_json::{Map, Value};

use super::nodes::{Nodes, Request};
use crate::fields::is_attribute;
use crate::index::IndexError;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The paths of all attributes that the newest index of a stream maps; none where there is no such stream. Needs the right
/// `view_index_metadata`.
pub(super) async fn attributes(nodes: &Nodes, stream: &str) -> Result<Vec<String>, IndexError> {
    let request = Request {
        method: Method::Get,
        path: &format!("{stream}/_mapping"),
        parameters: &[("filter_path", "*.mappings.properties")],
        body: None,
        timeout: TIMEOUT,
    };
    let answer = nodes.send(request).await?;
    match answer.status {
        200 => {}
        404 => return Ok(Vec::new()),
        _ => return Err(answer.into_error()),
    }
    let unusable = |error: serde_json::Error| IndexError::Unusable {
        node: answer.node.clone(),
        reason: error.to_string(),
    };
    let mappings: Map<String, Value> = serde_json::from_slice(&answer.body).map_err(unusable)?;
    // Their names end in a date and a number that grow.
    let newest = mappings.iter().max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, mapping)| mapping);
    let mut names = Vec::new();
    if let Some(properties) = newest.and_then(|mapping| mapping.pointer("/mappings/properties")) {
        collect("", properties, &mut names);
    }
    Ok(names)
}

/// Objects count as their members do.
fn collect(above: &str, properties: &Value, names: &mut Vec<String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if !is_attribute(&path) {
            continue;
        }
        if let Some(properties) = field.get("properties") {
            collect(&path, properties, names);
        }
        names.push(path);
    }
}
