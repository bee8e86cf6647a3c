//! Who the worker is, and whom it trusts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use weir_buffer::MemoryBuffer;
use weir_config::Config;
use weir_indexer::{Elasticsearch, Index};
use weir_worker::cli::elasticsearch_settings;
use weir_worker::{Mode, Worker};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::outcomes::{ONCE, settings};
use crate::support::{DOCUMENTS, end, frames, indexed, push, until};

fn connect(server: &BulkServer, index: &str) -> Elasticsearch {
    let text = format!("[index]\nelasticsearch = \"{}\"\n{index}\n", server.url);
    let config = Config::from_toml(&text, Path::new("test"), &|_| None).unwrap();
    let settings = elasticsearch_settings(None, &config.index).unwrap().unwrap();
    Elasticsearch::connect(&settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_credentials_is_sent_as_the_server_wants_it() {
    for (index, header) in [
        ("api_key = \"aWQ6a2V5\"", "ApiKey aWQ6a2V5"),
        ("username = \"ada\"\npassword = \"geheim\"", "Basic YWRhOmdlaGVpbQ=="),
        ("bearer = \"AAEAAWVs\"", "Bearer AAEAAWVs"),
    ] {
        let server = BulkServer::start(|_| Behaviour::Good).await;
        server.demand(header);
        connect(&server, index).ensure_setup().await.expect(header);
        let error = connect(&server, "").ensure_setup().await.expect_err("nobody");
        assert!(error.to_string().contains("401"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_changed_in_its_file_while_it_is_refused_is_used_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "b2xk\n").unwrap();
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.demand("ApiKey b2xk");
    let buffer = MemoryBuffer::new(1 << 30);
    push(&buffer, &frames(1, 5)).await;
    let index = connect(&server, &format!("api_key = {{ file = \"{}\" }}", key.display()));
    let worker = Worker::new(Arc::new(buffer.clone()), Arc::new(index), settings(Mode::Forever));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    until("the first are indexed", async || indexed(&buffer, 1).await == end(5)).await;

    server.demand("ApiKey bmV3");
    push(&buffer, &frames(2, 5)).await;
    until("the old key is refused", async || server.unauthorized() >= 3).await;
    assert_eq!(indexed(&buffer, 2).await, 0);
    std::fs::write(&key, "bmV3\n").unwrap();
    until("the rest is indexed with the new one", async || indexed(&buffer, 2).await == end(5)).await;
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(server.stored_count() as u64, 10 * DOCUMENTS);
}

/// An authority, a server's certificate that it signed, and a client's.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn make() -> Option<Certificates> {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"
            set -e
            key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            openssl req -x509 $key -days 30 -subj "/CN=test authority" -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem
            for name in server client; do
                openssl req $key -subj /CN=$name -keyout $name.key -out $name.csr
                echo "subjectAltName=DNS:localhost" > $name.ext
                openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile $name.ext -out $name.pem
            done
            cat ca.pem >> server.pem
        "#;
        let made = Command::new("sh").args(["-c", script]).current_dir(directory.path()).output().unwrap();
        if !made.status.success() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "openssl: {made:?}");
            eprintln!("SKIPPED: no openssl to make certificates with");
            return None;
        }
        Some(Certificates(directory))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fingerprint(&self) -> String {
        let arguments = ["x509", "-noout", "-fingerprint", "-sha256", "-in", "ca.pem"];
        let output = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().rsplit_once('=').unwrap().1.to_owned()
    }

    fn acceptor(&self, wants_clients: bool) -> TlsAcceptor {
        let chain = CertificateDer::pem_file_iter(self.path("server.pem")).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match wants_clients {
            true => config.with_client_cert_verifier(clients.build().unwrap()),
            false => config.with_no_client_auth(),
        };
        TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_its_authority_or_the_fingerprint_of_it_and_else_not() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let Some(certificates) = Certificates::make() else { return };
    let server = BulkServer::start_tls(certificates.acceptor(false)).await;
    let by_file = format!("ca = \"{}\"", certificates.path("ca.pem").display());
    let by_fingerprint = format!("ca_fingerprint = \"{}\"", certificates.fingerprint());
    for index in [&by_file, &by_fingerprint] {
        let buffer = MemoryBuffer::new(1 << 30);
        push(&buffer, &frames(1, 5)).await;
        let worker = Worker::new(Arc::new(buffer.clone()), Arc::new(connect(&server, index)), settings(ONCE));
        worker.run(std::future::pending()).await.unwrap();
        assert_eq!(indexed(&buffer, 1).await, end(5), "{index}");
    }
    let wrong = format!("ca_fingerprint = \"{}\"", "00".repeat(32));
    for (index, words) in [("", "UnknownIssuer"), (&*wrong, "fingerprint")] {
        let error = connect(&server, index).ensure_setup().await.expect_err("trusted whom it should not");
        assert!(error.to_string().contains(words), "{error}");
    }
    // The authority alone is not enough: the certificate has to be for this name.
    let mut elsewhere = server.clone();
    elsewhere.url = server.url.replace("localhost", "127.0.0.1");
    let error = connect(&elsewhere, &by_fingerprint).ensure_setup().await.expect_err("another name");
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let Some(certificates) = Certificates::make() else { return };
    let server = BulkServer::start_tls(certificates.acceptor(true)).await;
    let trust = format!("ca_fingerprint = \"{}\"", certificates.fingerprint());
    let path = |name| certificates.path(name).display().to_string();
    let ours = format!("{trust}\ncert = \"{}\"\nkey = \"{}\"", path("client.pem"), path("client.key"));
    connect(&server, &ours).ensure_setup().await.expect("our certificate");
    connect(&server, &trust).ensure_setup().await.expect_err("a server that lets anybody in");
}
