//! The table of outcomes on real servers: a row is a fault, how it is made, and what must become of each document, while
//! it lasts and when all are sent again after it.
//!
//! Elsewhere: 429 and 413 by a server's own limits in the worker's tests (`limited.rs`), a revoked key in its
//! `secured.rs`, answers that no real server gives (a short one, 502, 503, a circuit breaker's 429, an item's 429) in
//! `elasticsearch.rs` and in the worker's `outcomes.rs`, attributes that clash in `elasticsearch.rs`.

use std::sync::Arc;

use elasticsearch::http::Method;
use serde_json::{Value, json};
use weir_indexer::elasticsearch::Distribution;
use weir_indexer::{Batch, DocumentSettings, Elasticsearch, ElasticsearchSettings, Index, Outcome};

use crate::elasticsearch::{on_both, total};
use crate::proxy::{Passage, Proxy};
use crate::support::*;

/// What must become of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Indexed,
    Duplicate,
    Diverted,
    Blocked,
    Rejected,
    /// Nothing is known: the whole bulk is sent again.
    Unknown,
}

use Fate::{Blocked, Diverted, Duplicate, Indexed, Rejected, Unknown};

/// How a fault is made.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    /// A setting of the stream.
    Setting(&'static str, &'static str),
    /// The stream's default pipeline: processors of Elasticsearch (the one of the tests has few), and of OpenSearch.
    Pipeline(&'static str, &'static str),
    /// The stream has a failure store.
    FailureStore,
    /// Something happens on the way.
    Passage(Passage),
    /// No template makes a data stream of this name.
    NoTemplate,
}

/// One row. Documents that are stored are found once, all others not at all.
struct Row {
    name: &'static str,
    fault: Fault,
    documents: &'static [&'static str],
    fates: &'static [Fate],
    /// When the fault is gone, and all are sent again.
    afterwards: &'static [Fate],
}

const GOOD: &str = r#""@timestamp":"2026-11-20T00:00:00.000Z","message":"good one""#;
const ALSO_GOOD: &str = r#""@timestamp":"2026-11-20T00:00:01.000Z","message":"good two""#;
const NO_TIME: &str = r#""@timestamp":"never","message":"bad""#;
const NO_JSON: &str = r#""@timestamp":"2026-11-20T00:00:00.000Z","message":bad"#;
const TWO_OF_A_KEY: &str = r#""@timestamp":"2026-11-20T00:00:00.000Z","message":"bad","message":"bad""#;

/// A pipeline that changes nothing that counts here.
const HARMLESS: &str = r#"{"set":{"field":"labels.seen","value":"yes"}}"#;

const ROWS: &[Row] = &[
    Row {
        name: "created",
        fault: Fault::Nothing,
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Indexed, Indexed],
        afterwards: &[Duplicate, Duplicate],
    },
    Row {
        name: "mapping",
        fault: Fault::Nothing,
        documents: &[GOOD, NO_TIME, ALSO_GOOD],
        fates: &[Indexed, Rejected, Indexed],
        afterwards: &[Duplicate, Rejected, Duplicate],
    },
    Row {
        name: "no_json",
        fault: Fault::Nothing,
        documents: &[GOOD, NO_JSON, ALSO_GOOD],
        fates: &[Indexed, Rejected, Indexed],
        afterwards: &[Duplicate, Rejected, Duplicate],
    },
    Row {
        name: "no_json_in_a_pipeline",
        fault: Fault::Pipeline(HARMLESS, HARMLESS),
        documents: &[GOOD, NO_JSON, ALSO_GOOD],
        fates: &[Indexed, Rejected, Indexed],
        afterwards: &[Duplicate, Rejected, Duplicate],
    },
    Row {
        name: "two_of_a_key_in_a_pipeline",
        fault: Fault::Pipeline(HARMLESS, HARMLESS),
        documents: &[GOOD, TWO_OF_A_KEY, ALSO_GOOD],
        fates: &[Indexed, Rejected, Indexed],
        afterwards: &[Duplicate, Rejected, Duplicate],
    },
    Row {
        name: "pipeline_refuses",
        fault: Fault::Pipeline(
            r#"{"set":{"field":"message.inner","value":"a text has nothing in it"}}"#,
            r#"{"fail":{"message":"not these"}}"#,
        ),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Rejected, Rejected],
        afterwards: &[Indexed, Indexed],
    },
    Row {
        name: "write_block",
        fault: Fault::Setting("index.blocks.write", "true"),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Blocked, Blocked],
        afterwards: &[Indexed, Indexed],
    },
    Row {
        name: "full_disk_of_the_server",
        fault: Fault::Setting("index.blocks.read_only_allow_delete", "true"),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Blocked, Blocked],
        afterwards: &[Indexed, Indexed],
    },
    Row {
        name: "no_template",
        fault: Fault::NoTemplate,
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Blocked, Blocked],
        afterwards: &[Indexed, Indexed],
    },
    Row {
        name: "failure_store",
        fault: Fault::FailureStore,
        documents: &[GOOD, NO_TIME],
        fates: &[Indexed, Diverted],
        // It is not idempotent: who sends a document twice has it there twice.
        afterwards: &[Duplicate, Diverted],
    },
    Row {
        name: "request_cut",
        fault: Fault::Passage(Passage::RequestCut),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Unknown, Unknown],
        afterwards: &[Indexed, Indexed],
    },
    Row {
        name: "answer_lost",
        fault: Fault::Passage(Passage::AnswerLost),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Unknown, Unknown],
        afterwards: &[Duplicate, Duplicate],
    },
    Row {
        name: "answer_cut",
        fault: Fault::Passage(Passage::AnswerCut),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Unknown, Unknown],
        afterwards: &[Duplicate, Duplicate],
    },
    Row {
        name: "answer_garbled",
        fault: Fault::Passage(Passage::AnswerGarbled),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Unknown, Unknown],
        afterwards: &[Duplicate, Duplicate],
    },
    Row {
        name: "answer_slow",
        fault: Fault::Passage(Passage::AnswerSlow),
        documents: &[GOOD, ALSO_GOOD],
        fates: &[Indexed, Indexed],
        afterwards: &[Duplicate, Duplicate],
    },
];

fn fate(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Indexed => Indexed,
        Outcome::Duplicate => Duplicate,
        Outcome::Diverted => Diverted,
        Outcome::Blocked { .. } => Blocked,
        Outcome::Rejected { .. } => Rejected,
        Outcome::Healed { .. } | Outcome::Retry { .. } => Unknown,
    }
}

/// A row on one server.
struct Played<'a> {
    row: &'a Row,
    server: &'a SearchServer,
    index: Elasticsearch,
    is_opensearch: bool,
}

impl Played<'_> {
    /// What each document is sent as.
    fn batch(&self, documents: &DocumentSettings) -> Arc<Batch> {
        let fragments: Vec<String> = self.row.documents.iter().map(|text| (*text).to_owned()).collect();
        batch(documents.clone(), &[frame(file(1), 0, self.row.name, &fragments)])
    }

    async fn send(&self, index: &Elasticsearch, batch: &Arc<Batch>) -> (Vec<Fate>, String) {
        let answer = index.bulk(batch, &everything(batch)).await;
        let fates = match &answer {
            Ok(outcomes) => outcomes.iter().map(fate).collect(),
            Err(_) => vec![Unknown; batch.len()],
        };
        (fates, format!("{answer:?}"))
    }

    async fn put(&self, path: &str, body: Value) {
        let answer = self.server.request(Method::Put, path, Some(body)).await;
        assert_eq!(answer["acknowledged"], true, "{path}: {answer}");
    }

    fn stream(&self) -> String {
        format!("logs-{}-{}", self.row.name, self.server.namespace)
    }

    /// Makes the stream, by a document of another file that no query here finds.
    async fn make_stream(&self) {
        let first = r#""@timestamp":"2026-11-20T00:00:00.000Z","message":"first""#.to_owned();
        let batch = batch(self.server.settings().documents, &[frame(file(2), 0, self.row.name, &[first])]);
        let outcomes = self.index.bulk(&batch, &[0]).await.expect("an answer");
        assert_eq!(outcomes, [Outcome::Indexed], "{}", self.row.name);
    }

    /// Sends while the fault lasts, ends it, and sends again. None, said loudly: the server lacks what it takes.
    async fn play(&self) -> Option<[(Vec<Fate>, String); 2]> {
        let batch = self.batch(&self.server.settings().documents);
        Some(match self.row.fault {
            Fault::Nothing => [self.send(&self.index, &batch).await, self.send(&self.index, &batch).await],
            Fault::Setting(name, value) => self.under_setting(name, json!(value), &batch).await,
            Fault::Pipeline(elasticsearch, opensearch) => {
                let processor = if self.is_opensearch { opensearch } else { elasticsearch };
                let processor: Value = serde_json::from_str(processor).expect("JSON");
                let name = format!("{}-{}", self.row.name, self.server.namespace);
                let path = format!("_ingest/pipeline/{name}");
                let body = json!({"processors": [processor]});
                let answer = self.server.request(Method::Put, &path, Some(body)).await;
                if answer.to_string().contains("No processor type exists") {
                    let reason = format!("SKIPPED: {}: this server has no such processor", self.row.name);
                    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
                    eprintln!("{reason}");
                    return None;
                }
                let sent = self.under_setting("index.default_pipeline", json!(name), &batch).await;
                self.server.request(Method::Delete, &path, None).await;
                sent
            }
            Fault::FailureStore => {
                let path = format!("_index_template/weir-logs-{}", self.server.namespace);
                let answer = self.server.request(Method::Get, &path, None).await;
                let mut template = answer["index_templates"][0]["index_template"].clone();
                for added in ["created_date", "created_date_millis", "modified_date", "modified_date_millis"]
                {
                    template.as_object_mut().expect("a template").remove(added);
                }
                template["template"]["data_stream_options"] = json!({"failure_store": {"enabled": true}});
                self.put(&path, template).await;
                let sent = [self.send(&self.index, &batch).await, self.send(&self.index, &batch).await];
                self.index.setup().await.expect("mended");
                sent
            }
            Fault::Passage(passage) => {
                let proxy = Proxy::start(&self.server.url).await;
                let settings =
                    ElasticsearchSettings { urls: vec![proxy.url.clone()], ..self.server.settings() };
                let behind = Elasticsearch::connect(&settings).expect("a usable URL");
                behind.server().await.expect("it passes");
                proxy.set(passage);
                let first = self.send(&behind, &batch).await;
                proxy.set(Passage::Free);
                [first, self.send(&behind, &batch).await]
            }
            Fault::NoTemplate => self.without_template().await,
        })
    }

    async fn under_setting(&self, name: &str, value: Value, batch: &Arc<Batch>) -> [(Vec<Fate>, String); 2] {
        self.make_stream().await;
        let path = format!("{}/_settings", self.stream());
        self.put(&path, json!({ name: value })).await;
        let first = self.send(&self.index, batch).await;
        // A fault that is no fault for good documents stays: they are duplicates then.
        if first.0.contains(&Indexed) {
            let second = self.send(&self.index, batch).await;
            self.put(&path, json!({ name: Value::Null })).await;
            return [first, second];
        }
        self.put(&path, json!({ name: Value::Null })).await;
        [first, self.send(&self.index, batch).await]
    }

    async fn without_template(&self) -> [(Vec<Fate>, String); 2] {
        let namespace = &self.server.namespace;
        let documents = DocumentSettings {
            data_stream: "logs.none-{service}-{namespace}".to_owned(),
            namespace: namespace.clone(),
        };
        let batch = self.batch(&documents);
        let settings = ElasticsearchSettings { documents, ..self.server.settings() };
        let index = Elasticsearch::connect(&settings).expect("a usable URL");
        let first = self.send(&index, &batch).await;
        let path = format!("_index_template/none-{namespace}");
        let pattern = format!("logs.none-*-{namespace}");
        self.put(&path, json!({"index_patterns": [pattern], "data_stream": {}, "priority": 1000})).await;
        let second = self.send(&index, &batch).await;
        let stream = format!("logs.none-{}-{namespace}", self.row.name);
        self.server.request(Method::Delete, &format!("_data_stream/{stream}"), None).await;
        self.server.request(Method::Delete, &path, None).await;
        [first, second]
    }
}

#[tokio::test]
async fn each_document_meets_the_fate_that_the_table_names() {
    on_both("the table of outcomes", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let is_opensearch = index.server().await.expect("a server").distribution == Distribution::OpenSearch;
        for row in ROWS {
            // OpenSearch has neither: without a template it makes a plain index, which is why it is asked for at the start.
            if is_opensearch && matches!(row.fault, Fault::FailureStore | Fault::NoTemplate) {
                continue;
            }
            let played = Played { row, server: &server, index: index.clone(), is_opensearch };
            let Some([(first, told), (second, told_again)]) = played.play().await else { continue };
            assert_eq!(first, row.fates, "{}, while it lasts: {told}", row.name);
            assert_eq!(second, row.afterwards, "{}, afterwards: {told_again}", row.name);
            let stored = |fates: &[Fate]| fates.iter().filter(|fate| **fate == Indexed).count();
            let is_elsewhere = matches!(row.fault, Fault::NoTemplate);
            let is_lost_answer = first.iter().all(|fate| *fate == Unknown) && stored(&second) == 0;
            let expected = if is_lost_answer { second.len() } else { stored(&first) + stored(&second) };
            server.refresh().await;
            let found = total(&index, &format!("dataset:{} AND good", row.name)).await as usize;
            assert!(is_elsewhere || found == expected, "{}: {found} of {expected} are found", row.name);
        }
    })
    .await;
}
