//! A secured Elasticsearch: `eval "$(scripts/search-server start elasticsearch9 --security --port 9219)"`, with its
//! address and what else it prints in WEIR_TEST_SECURED_URL, .._USER, .._PASSWORD and .._CA_SHA256.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;
use weir_buffer::MemoryBuffer;
use weir_config::Config;
use weir_indexer::{Elasticsearch, Index, SetupError};
use weir_worker::cli::elasticsearch_settings;
use weir_worker::{Mode, Worker};

use crate::outcomes::{ONCE, settings};
use crate::support::{DOCUMENTS, end, frames_of, indexed, push, until};

/// All that a worker needs: it makes streams from templates that are there, and adds documents to them.
const WORKER_RIGHTS: &str = r#"{"name":"worker","role_descriptors":{"worker":{"cluster":["monitor"],
    "indices":[{"names":["logs-*"],"privileges":["auto_configure","create_doc"]}]}}}"#;

/// All that `weir setup` needs.
const SETUP_RIGHTS: &str =
    r#"{"name":"setup","role_descriptors":{"setup":{"cluster":["monitor","manage_index_templates"]}}}"#;

struct Secured {
    url: String,
    user: String,
    password: String,
    fingerprint: String,
}

impl Secured {
    fn from_environment() -> Option<Secured> {
        let read = |name: &str| std::env::var(format!("WEIR_TEST_SECURED_{name}")).ok();
        let server = (|| {
            let (url, user) = (read("URL")?, read("USER")?);
            Some(Secured { url, user, password: read("PASSWORD")?, fingerprint: read("CA_SHA256")? })
        })();
        if server.is_none() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "WEIR_TEST_SECURED_URL is not set");
            eprintln!("SKIPPED: WEIR_TEST_SECURED_URL is not set");
        }
        server
    }

    /// Asks as the administrator. Its certificate is of no interest here.
    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let output = Command::new("curl")
            .args(["-sk", "-X", method, "-u", &format!("{}:{}", self.user, self.password)])
            .args(["-H", "content-type: application/json", "-d", body])
            .arg(format!("{}/{path}", self.url))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn connect(&self, namespace: &str, auth: &str) -> Elasticsearch {
        let text = format!(
            "[index]\nelasticsearch = \"{}\"\nca_fingerprint = \"{}\"\nnamespace = \"{namespace}\"\n{auth}\n",
            self.url, self.fingerprint
        );
        let config = Config::from_toml(&text, Path::new("test"), &|_| None).unwrap();
        let settings = elasticsearch_settings(None, &config.index).unwrap().unwrap();
        Elasticsearch::connect(&settings).unwrap()
    }

    fn key(&self, rights: &str) -> String {
        format!("api_key = \"{}\"", self.new_key(rights).1)
    }

    /// Its name for the server, and what it is sent as.
    fn new_key(&self, rights: &str) -> (String, String) {
        let key = self.ask("POST", "_security/api_key", rights);
        (key["id"].as_str().unwrap().to_owned(), key["encoded"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_are_enough_to_set_up_and_to_deliver_and_no_more_are_needed() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let Some(server) = Secured::from_environment() else { return };
    let namespace = format!("t{}", std::process::id());
    let (setup, work) = (server.key(SETUP_RIGHTS), server.key(WORKER_RIGHTS));
    server.connect(&namespace, &setup).setup().await.expect("these rights are enough to set up");
    let error =
        server.connect(&namespace, &work).setup().await.expect_err("a worker's key is no administrator's");
    assert!(matches!(error, SetupError::Missing { .. }), "{error}");
    server.connect(&namespace, &work).ensure_setup().await.expect("a worker need not see templates");

    let buffer = MemoryBuffer::new(1 << 30);
    let message = |offset| if offset == 30 { "\u{0}".to_owned() } else { format!("line {offset}") };
    // A document that is no JSON: its dead letter is delivered with the same rights.
    push(&buffer, &frames_of("rights", 1, 4, message)).await;
    let mut all = settings(ONCE);
    all.documents.namespace.clone_from(&namespace);
    let index = Arc::new(server.connect(&namespace, &work));
    let worker = Worker::new(Arc::new(buffer.clone()), index, all);
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!((counts.indexed, counts.rejected), (4 * DOCUMENTS - 1, 1));
    assert_eq!(indexed(&buffer, 1).await, end(4));
    server.ask("POST", "logs-*/_refresh", "");
    let count =
        |stream: &str| server.ask("GET", &format!("logs-{stream}-{namespace}/_count"), "")["count"].clone();
    assert_eq!((count("rights"), count("dead_letter")), (Value::from(4 * DOCUMENTS - 1), Value::from(1)));
    server.ask("DELETE", &format!("_data_stream/logs-*-{namespace}"), "");

    let stranger = server.connect(&namespace, "api_key = \"bm86Ym9keQ==\"");
    let error = stranger.ensure_setup().await.expect_err("nobody knows this key");
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_stops_everything_until_its_file_has_another() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let Some(server) = Secured::from_environment() else { return };
    let namespace = format!("t{}r", std::process::id());
    server.connect(&namespace, &server.key(SETUP_RIGHTS)).setup().await.expect("set up");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let (id, key) = server.new_key(WORKER_RIGHTS);
    std::fs::write(&file, key).unwrap();
    let buffer = MemoryBuffer::new(1 << 30);
    let message = |offset| format!("line {offset}");
    push(&buffer, &frames_of("revoked", 1, 2, message)).await;
    let mut all = settings(Mode::Forever);
    all.documents.namespace.clone_from(&namespace);
    let index = server.connect(&namespace, &format!("api_key = {{ file = \"{}\" }}", file.display()));
    let worker = Worker::new(Arc::new(buffer.clone()), Arc::new(index), all);
    let counters = worker.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    until("the first are indexed", async || indexed(&buffer, 1).await == end(2)).await;

    server.ask("DELETE", "_security/api_key", &format!("{{\"ids\":[\"{id}\"]}}"));
    push(&buffer, &frames_of("revoked", 2, 2, message)).await;
    until("the key is refused", async || !counters.is_ready()).await;
    assert_eq!(indexed(&buffer, 2).await, 0);
    std::fs::write(&file, server.new_key(WORKER_RIGHTS).1).unwrap();
    until("the rest is indexed with another", async || indexed(&buffer, 2).await == end(2)).await;
    drop(stop);
    let counts = running.await.unwrap().unwrap();
    assert_eq!((counts.documents, counts.rejected), (4 * DOCUMENTS, 0));
    server.ask("DELETE", &format!("_data_stream/logs-*-{namespace}"), "");
}
