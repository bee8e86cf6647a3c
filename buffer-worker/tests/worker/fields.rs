//! The budget of fields against real servers: what their mappings really have.

use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use weir_buffer::MemoryBuffer;
use weir_indexer::{DocumentSettings, Elasticsearch, ElasticsearchSettings};
use weir_worker::{Worker, WorkerSettings};

use crate::outcomes::{ONCE, settings};
use crate::support::{DOCUMENTS, frames_of, push};

const BUDGET: usize = 60;

/// Fields below `attributes`, objects included, of the stream's mapping.
fn count(properties: &Value) -> usize {
    let fields = properties.as_object().into_iter().flatten();
    fields.map(|(_, field)| 1 + count(&field["properties"])).sum()
}

fn ask(url: &str, method: &str, path: &str) -> Value {
    let output = Command::new("curl").args(["-s", "-X", method, &format!("{url}/{path}")]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// A worker that starts, indexes a file of a service that invents a key for each line, and ends.
async fn life(url: &str, documents: &DocumentSettings, number: u64) {
    let index = ElasticsearchSettings {
        urls: vec![url.to_owned()],
        documents: documents.clone(),
        ..Default::default()
    };
    let index = Arc::new(Elasticsearch::connect(&index).unwrap());
    let buffer = Arc::new(MemoryBuffer::new(1 << 30));
    let invented =
        |offset| format!(r#"m","attributes.user":"ada","attributes.in{number}.k{offset}":"v{offset}"#);
    push(&*buffer, &frames_of("inventor", number, 6, invented)).await;
    let settings = WorkerSettings { field_budget: BUDGET, documents: documents.clone(), ..settings(ONCE) };
    let counts = Worker::new(buffer, index, settings).run(std::future::pending()).await.unwrap();
    // A slow server is sent some of it again.
    assert_eq!((counts.documents, counts.rejected), (6 * DOCUMENTS, 0), "{counts:?}");
}

async fn the_budget_is_kept(kind: &str, variable: &str) {
    let Ok(url) = std::env::var(variable) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{variable} is not set");
        return eprintln!("SKIPPED: {variable} is not set");
    };
    let documents =
        DocumentSettings { namespace: format!("budget{}", std::process::id()), ..Default::default() };
    let stream = documents.stream("inventor");
    let mut mapped = Vec::new();
    for number in 1..=3 {
        life(&url, &documents, number).await;
        let mapping = ask(&url, "GET", &format!("{stream}/_mapping"));
        let index = mapping.as_object().unwrap().values().next_back().unwrap();
        mapped.push(count(&index["mappings"]["properties"]["attributes"]["properties"]));
        ask(&url, "POST", &format!("{stream}/_refresh"));
        assert_eq!(ask(&url, "GET", &format!("{stream}/_count"))["count"], number * 6 * DOCUMENTS);
    }
    ask(&url, "DELETE", &format!("_data_stream/{stream}"));
    ask(&url, "DELETE", &format!("_index_template/weir-logs-{}", documents.namespace));
    ask(&url, "DELETE", &format!("_index_template/weir-dead_letter-{}", documents.namespace));
    println!("{kind}: {mapped:?} fields of attributes after each life of a worker");
    // A dotted key has objects of its own in the mapping, which the worker does not see: one for each life here.
    assert!(mapped.iter().all(|fields| (BUDGET / 2..=BUDGET + 3).contains(fields)), "{mapped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_elasticsearch_maps_no_more_than_the_budget_whatever_a_service_invents() {
    the_budget_is_kept("Elasticsearch", "WEIR_TEST_ELASTICSEARCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opensearch_maps_no_more_than_the_budget_whatever_a_service_invents() {
    the_budget_is_kept("OpenSearch", "WEIR_TEST_OPENSEARCH").await;
}
