//! The index, as whoever searches it sees it.

use serde_json::{Value, json};

use super::support::{each_found, get, request};

/// Documents of one answer.
const PAGE: usize = 5_000;

/// The namespace of all data streams.
pub const NAMESPACE: &str = "chaos";

/// Where to look.
pub enum Index {
    /// At Elasticsearch or OpenSearch, past the network that is disturbed.
    Server {
        /// Its address.
        url: String,
    },
    /// At the page of `weir up`, whose index is embedded.
    Page {
        /// Its address.
        url: String,
    },
}

impl Index {
    /// How many documents a service has; none where nobody answers.
    pub fn count(&self, service: &str) -> Option<u64> {
        match self {
            Index::Server { url } => {
                let stream = stream(service);
                number(&format!("{url}/{stream}/_count?ignore_unavailable=true&allow_no_indices=true"))
            }
            Index::Page { url } => number(&format!("{url}/api/search?limit=0&q=service:{service}")),
        }
    }

    /// What answers how many documents there are, of all services.
    pub fn count_url(&self) -> String {
        match self {
            Index::Server { url } => format!("{url}/{}/_count", stream("*")),
            Index::Page { url } => format!("{url}/api/search?limit=0"),
        }
    }

    /// The messages of all documents of a service.
    pub fn messages(&self, service: &str, mut see: impl FnMut(&str)) {
        let message = |document: &Value| document["message"].as_str().unwrap_or_default().to_owned();
        match self {
            Index::Server { url } => scroll(url, &stream(service), |document| see(&message(document))),
            Index::Page { url } => {
                each_found(url, &format!("service:{service}"), |document| see(&message(document)));
            }
        }
    }
}

/// The data stream of a service.
pub fn stream(service: &str) -> String {
    format!("logs-{service}-{NAMESPACE}")
}

/// The number in an answer to a question for a count.
pub fn number_in(answer: &str) -> Option<u64> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer["count"].as_u64().or(answer["total"].as_u64())
}

fn number(url: &str) -> Option<u64> {
    get(url).filter(|(status, _)| *status == 200).and_then(|(_, body)| number_in(&body))
}

fn scroll(url: &str, stream: &str, mut see: impl FnMut(&Value)) {
    let ask = |path: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string());
        let (status, answer) = request("POST", &format!("{url}/{path}"), body.as_deref())
            .unwrap_or_else(|| panic!("the index does not answer {path}"));
        assert!(status == 200 || status == 404, "{path}: {status} {answer}");
        (status == 200).then(|| serde_json::from_str::<Value>(&answer).expect("an answer is JSON"))
    };
    if ask(&format!("{stream}/_refresh"), None).is_none() {
        return;
    }
    let first = json!({ "size": PAGE, "_source": ["message"], "sort": ["_doc"] });
    let mut answer = ask(&format!("{stream}/_search?scroll=5m"), Some(first));
    while let Some(page) = &answer {
        let hits = page["hits"]["hits"].as_array().expect("an answer has hits");
        if hits.is_empty() {
            return;
        }
        hits.iter().for_each(|hit| see(&hit["_source"]));
        let next = json!({ "scroll": "5m", "scroll_id": page["_scroll_id"] });
        answer = ask("_search/scroll", Some(next));
    }
}
