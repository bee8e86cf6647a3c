//! Which server it is, and what it can do.

use std::time::Duration;

use elasticsearch::http::Method;
use serde::Deserialize;

use super::nodes::{Nodes, Request};
use crate::index::IndexError;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Elastic's.
    Elasticsearch,
    /// The fork.
    OpenSearch,
}

/// A kind of server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whose.
    pub distribution: Distribution,
    /// `9.5.0`
    pub version: String,
    major: u32,
    minor: u32,
    is_serverless: bool,
}

#[derive(Deserialize)]
struct Root {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    distribution: Option<String>,
    build_flavor: Option<String>,
}

impl Server {
    /// Asks one.
    pub(super) async fn detect(nodes: &Nodes) -> Result<Server, IndexError> {
        let request =
            Request { method: Method::Get, path: "", parameters: &[], body: None, timeout: TIMEOUT };
        let answer = nodes.send(request).await?;
        if answer.status != 200 {
            return Err(answer.into_error());
        }
        Server::read(&answer.body).ok_or_else(|| IndexError::Unusable {
            node: answer.node.clone(),
            reason: "it is neither Elasticsearch nor OpenSearch".to_owned(),
        })
    }

    fn read(body: &[u8]) -> Option<Server> {
        let Root { version } = serde_json::from_slice(body).ok()?;
        let mut parts = version.number.split('.').map(|part| part.parse().unwrap_or(0));
        // OpenSearch can be told to report 7.10.2: its name is what counts.
        let distribution = match version.distribution.as_deref() {
            Some("opensearch") => Distribution::OpenSearch,
            _ => Distribution::Elasticsearch,
        };
        let (major, minor) = (parts.next()?, parts.next().unwrap_or(0));
        let is_serverless = version.build_flavor.as_deref() == Some("serverless");
        Some(Server { distribution, version: version.number, major, minor, is_serverless })
    }

    fn is_elasticsearch_since(&self, major: u32, minor: u32) -> bool {
        self.distribution == Distribution::Elasticsearch
            && (self.is_serverless || (self.major, self.minor) >= (major, minor))
    }

    fn is_opensearch_since(&self, major: u32, minor: u32) -> bool {
        self.distribution == Distribution::OpenSearch && (self.major, self.minor) >= (major, minor)
    }

    /// `_bulk?require_data_stream`; OpenSearch refuses what it does not know.
    pub(super) fn has_require_data_stream(&self) -> bool {
        self.is_elasticsearch_since(8, 13)
    }

    /// `ignore_missing_component_templates` in index templates.
    pub(super) fn may_miss_components(&self) -> bool {
        self.is_elasticsearch_since(8, 7)
    }

    /// The field type `match_only_text`.
    pub(super) fn has_match_only_text(&self) -> bool {
        self.is_elasticsearch_since(7, 14) || self.is_opensearch_since(2, 12)
    }

    /// The field type `constant_keyword` that takes its value from the first document.
    pub(super) fn has_constant_keyword(&self) -> bool {
        self.is_elasticsearch_since(7, 7)
    }

    /// The field type for objects that are indexed as one field.
    pub(super) fn flattened_type(&self) -> Option<&'static str> {
        if self.is_elasticsearch_since(7, 3) {
            Some("flattened")
        } else if self.is_opensearch_since(2, 7) {
            Some("flat_object")
        } else {
            None
        }
    }

    /// `index.mode: logsdb`, and `index.mapping.source.mode`.
    pub(super) fn has_logsdb(&self) -> bool {
        self.is_elasticsearch_since(8, 17)
    }

    /// `index.mapping.total_fields.ignore_dynamic_beyond_limit`.
    pub(super) fn ignores_fields_beyond_limit(&self) -> bool {
        self.is_elasticsearch_since(8, 14)
    }

    /// `lifecycle.data_retention` in templates.
    pub(super) fn has_lifecycle(&self) -> bool {
        self.is_elasticsearch_since(8, 11)
    }

    /// `_field_caps?include_empty_fields`.
    pub(super) fn knows_empty_fields(&self) -> bool {
        self.is_elasticsearch_since(8, 13)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_counts_more_than_the_number() {
        let opensearch = Server::read(br#"{"version":{"number":"7.10.2","distribution":"opensearch"}}"#)
            .expect("a server");
        assert_eq!(opensearch.distribution, Distribution::OpenSearch);
        assert!(!opensearch.has_require_data_stream());
        let serverless = Server::read(br#"{"version":{"number":"8.11.0","build_flavor":"serverless"}}"#)
            .expect("a server");
        assert!(serverless.has_logsdb());
        assert_eq!(Server::read(b"<html>"), None);
    }
}
