//! The servers of one cluster, and single requests to them. A server that failed rests for a while.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::auth::ClientCertificate;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;

use super::credentials::Authorization;
use super::fingerprint::{self, Fingerprint};
use super::link::Link;
use super::{ConnectError, Credentials, ElasticsearchSettings, outcome};
use crate::index::IndexError;

/// How long a server rests after its first failure; doubled by each further one.
const REST_MIN: Duration = Duration::from_millis(500);

/// How long a server rests at most.
const REST_MAX: Duration = Duration::from_secs(30);

/// Longest part of an answer that goes into an error, in bytes.
const REASON_BYTES_MAX: usize = 300;

/// What a body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Json,
    Lines,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

/// One request.
pub(super) struct Request<'a> {
    pub method: Method,
    pub path: &'a str,
    pub parameters: &'a [(&'a str, &'a str)],
    pub body: Option<(Content, Bytes)>,
    pub timeout: Duration,
}

/// What a server answered, whatever the status.
#[derive(Debug)]
pub(super) struct Answer {
    pub node: String,
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

impl Answer {
    /// What is wrong, as the server says it.
    pub fn reason(&self) -> String {
        let error: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let told = error.as_ref().and_then(|error| {
            let cause = error.pointer("/error/root_cause/0").or_else(|| error.get("error"))?;
            let kind = cause.get("type").and_then(serde_json::Value::as_str)?;
            let reason = cause.get("reason").and_then(serde_json::Value::as_str).unwrap_or_default();
            Some(format!("{kind}: {reason}"))
        });
        let text = told.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let text = text.trim();
        match text {
            "" => format!("HTTP {} without a reason", self.status),
            _ => text.get(..text.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default().to_owned(),
        }
    }

    /// The error that this answer is, where it is none that the caller handles.
    pub fn into_error(self) -> IndexError {
        let reason = self.reason();
        let Answer { node, status, retry_after, .. } = self;
        match status {
            429 | 503 => IndexError::Overloaded { node, reason, retry_after },
            400..=499 => IndexError::Refused { node, status, reason },
            _ => IndexError::Unreachable { node, reason: format!("HTTP {status}: {reason}") },
        }
    }
}

/// All servers of a cluster.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    next: AtomicUsize,
    /// Whether bulks are compressed; none: as the link needs it.
    gzip: Option<bool>,
    link: Mutex<Link>,
}

#[derive(Debug)]
struct Node {
    /// Without credentials: it is shown.
    name: String,
    url: Url,
    tls: Tls,
    /// Made when it is needed first: an authority that is known by its fingerprint has to be asked for.
    transport: OnceCell<Transport>,
    authorization: Option<Arc<Authorization>>,
    health: Mutex<Health>,
}

/// How connections are verified.
#[derive(Clone, Debug)]
struct Tls {
    authority: Option<Vec<u8>>,
    fingerprint: Option<Fingerprint>,
    certificate: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Nodes {
    /// Makes ready to talk to them; nothing is sent.
    pub fn new(settings: &ElasticsearchSettings) -> Result<Nodes, ConnectError> {
        let authorization = settings.credentials.clone().map(|source| Arc::new(Authorization::new(source)));
        let node = |url: &String| Node::new(url, settings, authorization.clone());
        let nodes = settings.urls.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ConnectError::NoUrl);
        }
        Ok(Nodes { nodes, next: AtomicUsize::new(0), gzip: settings.gzip, link: Mutex::default() })
    }

    /// Sends one request to one server, and reads all of the answer.
    pub async fn send(&self, mut request: Request<'_>) -> Result<Answer, IndexError> {
        let mut encoding = Encoding::Identity;
        if let Some((Content::Lines, body)) = &mut request.body
            && self.gzip.unwrap_or_else(|| self.link().is_slow())
        {
            *body = compress(body.clone()).await?;
            encoding = Encoding::Gzip;
        }
        let node = self.pick();
        let bytes = request.body.as_ref().map_or(0, |(_, body)| body.len());
        let began = Instant::now();
        let answer = node.send(request, encoding).await;
        node.note(answer.is_ok());
        if let Ok(Some(took)) = answer.as_ref().map(|answer| outcome::took(&answer.body)) {
            self.link().note(bytes, began.elapsed(), took);
        }
        answer
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().expect("no panic while it is held")
    }

    /// The next that does not rest, else the one that has rested most.
    fn pick(&self) -> &Node {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let in_turn = || (0..self.nodes.len()).map(|step| &self.nodes[(first + step) % self.nodes.len()]);
        in_turn()
            .find(|node| node.health().rests_until.is_none_or(|until| until <= now))
            .or_else(|| in_turn().min_by_key(|node| node.health().rests_until))
            .expect("there is a node")
    }
}

impl Node {
    fn new(
        url: &str,
        settings: &ElasticsearchSettings,
        authorization: Option<Arc<Authorization>>,
    ) -> Result<Node, ConnectError> {
        let bad_url = |reason: String| ConnectError::Url { url: without_password(url), reason };
        let mut parsed = Url::parse(url).map_err(|error| bad_url(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad_url("it has to begin with http:// or https://".to_owned()));
        }
        let in_url = take_credentials(&mut parsed);
        if !parsed.path().ends_with('/') {
            let path = format!("{}/", parsed.path());
            parsed.set_path(&path);
        }
        let is_tls = parsed.scheme() == "https";
        let tls = Tls {
            authority: settings.certificate_authority.clone(),
            fingerprint: settings.authority_fingerprint.filter(|_| is_tls),
            certificate: settings.certificate.clone(),
        };
        // What cannot work is said at once.
        let transport = OnceCell::new_with(match tls.fingerprint {
            None => Some(transport(&parsed, &tls, None)?),
            Some(_) => None,
        });
        let from_url = in_url.map(|credentials| Arc::new(Authorization::new(credentials.into())));
        Ok(Node {
            name: parsed.as_str().trim_end_matches('/').to_owned(),
            url: parsed,
            tls,
            transport,
            authorization: authorization.or(from_url),
            health: Mutex::new(Health::default()),
        })
    }

    fn unreachable(&self, reason: impl ToString) -> IndexError {
        IndexError::Unreachable { node: self.name.clone(), reason: reason.to_string() }
    }

    async fn transport(&self) -> Result<&Transport, IndexError> {
        let make = async || {
            let presented = match self.tls.fingerprint {
                Some(fingerprint) => fingerprint::authority(&self.url, fingerprint)
                    .await
                    .map(Some)
                    .map_err(|error| self.unreachable(innermost(&error)))?,
                None => None,
            };
            transport(&self.url, &self.tls, presented).map_err(|error| self.unreachable(error))
        };
        self.transport.get_or_try_init(make).await
    }

    async fn send(&self, request: Request<'_>, encoding: Encoding) -> Result<Answer, IndexError> {
        let Request { method, path, parameters, body, timeout } = request;
        let mut headers = HeaderMap::new();
        let content_type = match body {
            Some((Content::Lines, _)) => "application/x-ndjson",
            Some((Content::Json, _)) | None => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if encoding == Encoding::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(authorization) = &self.authorization {
            let header = authorization.header().map_err(|reason| self.unreachable(reason))?;
            headers.insert(AUTHORIZATION, header);
        }
        let body = body.map(|(_, bytes)| bytes);
        let unreachable = |error: &elasticsearch::Error| IndexError::Unreachable {
            node: self.name.clone(),
            reason: if error.is_timeout() {
                format!("nothing within {} s", timeout.as_secs())
            } else {
                innermost(error)
            },
        };
        let response = self
            .transport()
            .await?
            .send(method, path, headers, Some(parameters), body, Some(timeout))
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status_code().as_u16();
        if let (401, Some(authorization)) = (status, &self.authorization) {
            authorization.forget();
        }
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = response.bytes().await.map_err(|error| unreachable(&error))?;
        Ok(Answer { node: self.name.clone(), status, retry_after, body })
    }

    fn note(&self, answered: bool) {
        let mut health = self.health();
        if answered {
            *health = Health::default();
            return;
        }
        let rest = REST_MIN.saturating_mul(1 << health.failures.min(10)).min(REST_MAX);
        health.failures += 1;
        health.rests_until = Some(Instant::now() + rest);
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().expect("no panic while it is held")
    }
}

/// Compresses a body on a thread for blocking work: 5 MB take about 10 ms, too long for the reactor. Level 1: a link
/// on which the other levels pay is too slow for logs.
async fn compress(body: Bytes) -> Result<Bytes, IndexError> {
    let compressed = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish()
    });
    match compressed.await {
        Ok(Ok(bytes)) => Ok(Bytes::from(bytes)),
        Ok(Err(error)) => Err(IndexError::Write(error.to_string())),
        Err(_) => Err(IndexError::Closed),
    }
}

fn take_credentials(url: &mut Url) -> Option<Credentials> {
    let password = url.password()?.to_owned();
    let user = url.username().to_owned();
    // Both can only fail for URLs without a host, which were refused.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(Credentials::Basic { user, password })
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

fn transport(url: &Url, tls: &Tls, presented: Option<Vec<u8>>) -> Result<Transport, ConnectError> {
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()))
        .disable_proxy()
        .enable_meta_header(false);
    if let Some(pem) = &tls.certificate {
        builder = builder.auth(ClientCertificate::Pem(pem.clone()).into());
    }
    let trusted: Vec<u8> = [tls.authority.clone(), presented].into_iter().flatten().flatten().collect();
    if !trusted.is_empty() {
        let certificate = Certificate::from_pem(&trusted)
            .map_err(|error| ConnectError::Certificate { reason: error.to_string() })?;
        builder = builder.cert_validation(CertificateValidation::Full(certificate));
    }
    builder.build().map_err(|error| ConnectError::Client { reason: error.to_string() })
}

/// The outer errors only say that a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_failed_rests_while_another_is_there() {
        let urls = ["http://a:1", "http://b:1"].map(str::to_owned).to_vec();
        let nodes =
            Nodes::new(&ElasticsearchSettings { urls, ..ElasticsearchSettings::default() }).expect("nodes");
        nodes.nodes[0].note(false);
        for _ in 0..4 {
            assert_eq!(nodes.pick().name, "http://b:1");
        }
        nodes.nodes[1].note(false);
        assert_eq!(nodes.pick().name, "http://a:1", "it has rested more");
        nodes.nodes[0].note(true);
        nodes.nodes[1].note(true);
        let picked = [nodes.pick(), nodes.pick()].map(|node| node.name.as_str());
        assert_ne!(picked[0], picked[1], "in turn");
    }

    #[test]
    fn a_password_is_never_shown() {
        let settings = |url: &str| ElasticsearchSettings { urls: vec![url.to_owned()], ..Default::default() };
        let nodes = Nodes::new(&settings("https://me:secret@host:9200/es")).expect("nodes");
        assert_eq!(nodes.nodes[0].name, "https://host:9200/es");
        let error = Nodes::new(&settings("ftp://me:secret@host")).expect_err("no HTTP");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
