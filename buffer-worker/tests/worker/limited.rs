//! Real servers that take less at once than a worker wants to send: started for these tests, with limits that the shared
//! ones do not have.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use weir_buffer::MemoryBuffer;
use weir_buffer::testing::free_port;
use weir_indexer::{Elasticsearch, ElasticsearchSettings};
use weir_worker::{Worker, WorkerSettings};

use crate::outcomes::{ONCE, settings};
use crate::support::{DOCUMENTS, end, frames_of, indexed, push};

/// Stopped when it is dropped.
struct Limited {
    kind: &'static str,
    port: String,
    url: String,
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/search-server")
}

impl Limited {
    /// None, said loudly, where the tests run without search servers.
    fn start(kind: &'static str, variable: &str, limits: &[&str]) -> Option<Limited> {
        if std::env::var_os(variable).is_none() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{variable} is not set");
            eprintln!("SKIPPED: {variable} is not set: no search servers are wanted");
            return None;
        }
        let port = free_port().to_string();
        let mut command = Command::new(script());
        command.args(["start", kind, "--port", &port, "--heap", "256m"]);
        for limit in limits {
            command.args(["-E", limit]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Limited { kind, url: format!("http://127.0.0.1:{port}"), port })
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        let url = format!("{}/{path}", self.url);
        let output = Command::new("curl").args(["-s", "-X", method, &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        drop(Command::new(script()).args(["stop", self.kind, "--port", &self.port]).output());
    }
}

/// Sends bulks that are larger than the server takes: first as a request (413), then in all that is under way (429).
async fn everything_arrives(kind: &'static str, variable: &str) {
    let limits = ["http.max_content_length=4mb", "indexing_pressure.memory.limit=3mb"];
    let Some(server) = Limited::start(kind, variable, &limits) else { return };
    let buffer = MemoryBuffer::new(1 << 30);
    // 50 documents of 20 kB a frame, 30 MB in all.
    let text = |offset: u64| format!("{offset} {}", "a line of many words ".repeat(1000));
    push(&buffer, &frames_of("large", 1, 30, text)).await;
    let settings_of_index =
        ElasticsearchSettings { urls: vec![server.url.clone()], ..ElasticsearchSettings::default() };
    let index = Arc::new(Elasticsearch::connect(&settings_of_index).unwrap());
    // Half of a bulk that is refused with 413 is refused with 429, and half of that is taken.
    let settings = WorkerSettings { bulk_bytes: 64 << 20, in_flight: 4, ..settings(ONCE) };
    let worker = Worker::new(Arc::new(buffer.clone()), index, settings);
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!((counts.documents, counts.rejected), (30 * DOCUMENTS, 0), "{counts:?}");
    assert_eq!(indexed(&buffer, 1).await, end(30));
    server.ask("POST", "logs-large-default/_refresh");
    assert_eq!(server.ask("GET", "logs-large-default/_count")["count"], 30 * DOCUMENTS);
    eprintln!("{kind}: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_elasticsearch_that_takes_little_at_once_gets_everything() {
    everything_arrives("elasticsearch9", "WEIR_TEST_ELASTICSEARCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opensearch_that_takes_little_at_once_gets_everything() {
    everything_arrives("opensearch3", "WEIR_TEST_OPENSEARCH").await;
}
