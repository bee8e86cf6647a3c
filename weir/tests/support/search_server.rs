//! A real Elasticsearch or OpenSearch, of which a test uses a namespace of its own.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{get_json, request, skip, unique, write};

/// Documents of one answer.
const PAGE: usize = 5000;

/// The data streams of one namespace of a server; removed with the test, as far as it can.
pub struct SearchServer {
    pub url: String,
    pub namespace: String,
}

impl SearchServer {
    /// The server that an environment variable names; none, after saying so, where it names none.
    pub fn of(variable: &str) -> Option<SearchServer> {
        let Ok(url) = std::env::var(variable) else {
            skip(&format!("{variable} is not set"));
            return None;
        };
        Some(SearchServer { url, namespace: format!("e2e{}", unique()) })
    }

    /// A configuration that writes here.
    pub fn configuration(&self, directory: &Path) -> PathBuf {
        let SearchServer { url, namespace } = self;
        write(
            directory,
            "weir.toml",
            format!("[index]\nelasticsearch = \"{url}\"\nnamespace = \"{namespace}\"\n"),
        )
    }

    /// Every document of a dataset.
    pub fn documents(&self, dataset: &str) -> Vec<Value> {
        let stream = format!("{}/logs-{dataset}-{}", self.url, self.namespace);
        let (status, refreshed) = request("POST", &format!("{stream}/_refresh"), None).unwrap();
        if status == 404 {
            return Vec::new();
        }
        assert_eq!(status, 200, "{refreshed}");
        let mut documents = Vec::new();
        let mut answer = self.ask(&format!("{stream}/_search?scroll=1m"), &json!({ "size": PAGE }));
        loop {
            let hits = answer["hits"]["hits"].as_array().unwrap();
            if hits.is_empty() {
                return documents;
            }
            documents.extend(hits.iter().map(|hit| hit["_source"].clone()));
            let next = json!({ "scroll": "1m", "scroll_id": answer["_scroll_id"] });
            answer = self.ask(&format!("{}/_search/scroll", self.url), &next);
        }
    }

    /// Documents whose writing was refused.
    pub fn dead_letters(&self) -> Vec<Value> {
        self.documents("dead_letter")
    }

    /// How many documents a dataset has, as far as searches see them already.
    pub fn count(&self, dataset: &str) -> u64 {
        let stream = format!("{}/logs-{dataset}-{}", self.url, self.namespace);
        get_json(&format!("{stream}/_count?ignore_unavailable=true&allow_no_indices=true"))["count"]
            .as_u64()
            .unwrap()
    }

    fn ask(&self, url: &str, body: &Value) -> Value {
        let (status, answer) = request("POST", url, Some(&body.to_string())).unwrap();
        assert_eq!(status, 200, "{url}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for SearchServer {
    fn drop(&mut self) {
        let resolved =
            request("GET", &format!("{}/_resolve/index/logs-*-{}", self.url, self.namespace), None);
        let resolved: Value =
            resolved.and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default();
        let streams = resolved["data_streams"].as_array().cloned().unwrap_or_default();
        let streams = streams.iter().filter_map(|stream| stream["name"].as_str());
        let streams = streams.map(|name| format!("_data_stream/{name}"));
        let templates =
            ["logs", "dead_letter"].map(|name| format!("_index_template/weir-{name}-{}", self.namespace));
        for path in streams.chain(templates) {
            // A test server may not know how; its data goes with it.
            drop(request("DELETE", &format!("{}/{path}", self.url), None));
        }
    }
}
