//! Records by HTTP: Elasticsearch's bulk protocol as agents send it, and lines.
//!
//! | request | what |
//! |---|---|
//! | `POST /_bulk`, `/{index}/_bulk` | documents; answered item by item once they are on the disk |
//! | `POST /`, `/logs` | lines, JSON or not, or a JSON array; answered once they are on the disk |
//! | `GET /`, `/_license`, templates, policies, ... | what agents ask at their start; Weir has its own templates |

mod body;
mod bulk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use weir_config::HttpConfig;

use self::bulk::Bulk;
use super::counters::InputCounters;
use super::writer::{JournalWriter, RefusedError};
use super::{Context, InputError};
use crate::push::chain;

/// Most connections at one time; further ones wait.
const CONNECTIONS_MAX: usize = 256;

/// Bodies that are in memory at one time: with [`body::BODY_BYTES_MAX`] each, as it came, decompressed and as lines.
const BODIES_MAX: usize = 4;

/// How long a client may take to send a request's head; also how long it may stay silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long open answers may take to end once the input is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait when a connection could not be accepted: file descriptors are used up, for instance.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What agents take Weir for: the bulk protocol has been the same since 7.0, and agents refuse what is older than they.
const VERSION: &str = "9.9.0";

/// What the requests of one input share.
struct Shared {
    writer: JournalWriter,
    counters: Arc<InputCounters>,
    bodies: Semaphore,
    token: Option<String>,
}

/// Begins to listen; the task ends when the input has to. Returns the address, which is another where port 0 was asked for.
pub(super) async fn start(
    config: HttpConfig,
    context: Context,
) -> Result<(SocketAddr, JoinHandle<()>), InputError> {
    let listen = config.listen;
    let fault = |source| InputError::Listen { listen, source };
    let token = config.token.as_ref().map(weir_config::Secret::read).transpose()?;
    let listener = TcpListener::bind(listen).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((address, tokio::spawn(serve(listener, token, context))))
}

async fn serve(listener: TcpListener, token: Option<String>, mut context: Context) {
    let shared = Shared {
        writer: context.writer.clone(),
        counters: Arc::clone(&context.counters),
        bodies: Semaphore::new(BODIES_MAX),
        token,
    };
    let router = Router::new().fallback(handle).with_state(Arc::new(shared));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = context.stopped() => break,
            accepted = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                (listener.accept().await, permit)
            } => accepted,
        };
        let (stream, permit) = match accepted {
            (Ok((stream, _)), permit) => (stream, permit),
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        let counters = Arc::clone(&context.counters);
        tokio::spawn(async move {
            counters.connected();
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            counters.disconnected();
            drop(permit);
        });
    }
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::debug!("the input stops before all its answers ended");
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match refusal(&shared, &head.headers) {
        Some(refusal) => refusal,
        None => {
            let path = head.uri.path().trim_end_matches('/');
            match (&head.method, bulk_index(path)) {
                (&Method::POST | &Method::PUT, Some(index)) => {
                    bulk(&shared, &head.headers, body, index).await
                }
                (&Method::POST, None) if matches!(path, "" | "/logs") => {
                    lines(&shared, &head.headers, body).await
                }
                (method, None) => formality(method, path),
                (_, Some(_)) => fault(StatusCode::METHOD_NOT_ALLOWED, "send documents with POST"),
            }
        }
    };
    // Elastic's own agents ask for it.
    let product = (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
    response.headers_mut().insert(product.0, product.1);
    response
}

/// `/_bulk` and `/{index}/_bulk`: the index, if there is one.
fn bulk_index(path: &str) -> Option<Option<&str>> {
    let index = path.strip_suffix("/_bulk")?;
    let index = index.strip_prefix('/').unwrap_or(index);
    (!index.contains('/')).then_some(Some(index).filter(|index| !index.is_empty()))
}

/// Web pages may not send, whatever site they are of; others have to show the token, if there is one.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    if headers.contains_key(header::ORIGIN) {
        return Some(fault(StatusCode::FORBIDDEN, "web pages may not send records"));
    }
    let token = shared.token.as_ref()?;
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credential);
    if shown.is_some_and(|shown| is_equal(shown.as_bytes(), token.as_bytes())) {
        return None;
    }
    let mut refusal = fault(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN");
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(refusal)
}

/// The token of `Bearer`, or the password of `Basic`: some agents know only that.
fn credential(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let text = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(rest.trim()).ok()).flatten()?;
    String::from_utf8(text).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}

/// Takes the same time wherever the two differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

async fn bulk(shared: &Shared, headers: &HeaderMap, body: axum::body::Body, index: Option<&str>) -> Response {
    let began = Instant::now();
    let index = index.map(str::to_owned);
    let read = receive(shared, headers, body, move |body| Bulk::read(&body, index.as_deref())).await;
    let mut bulk = match read {
        Ok(Ok(bulk)) => bulk,
        Ok(Err(error)) => return fault(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(refusal) => return refusal,
    };
    let lines = std::mem::take(&mut bulk.lines);
    if let Err(error) = shared.writer.append(lines, None).await {
        return busy(&error);
    }
    shared.counters.refused(bulk.refused());
    Json(bulk.answer(began.elapsed().as_millis() as u64)).into_response()
}

async fn lines(shared: &Shared, headers: &HeaderMap, body: axum::body::Body) -> Response {
    let lines = match receive(shared, headers, body, |body| body::lines(&body)).await {
        Ok(lines) => lines,
        Err(refusal) => return refusal,
    };
    let count = memchr::memchr_iter(b'\n', &lines).count();
    match shared.writer.append(lines, None).await {
        Ok(()) => Json(json!({ "received": count })).into_response(),
        Err(error) => busy(&error),
    }
}

/// Reads, decompresses and takes a body apart, the latter two beside the other requests.
async fn receive<T: Send + 'static>(
    shared: &Shared,
    headers: &HeaderMap,
    body: axum::body::Body,
    take_apart: impl FnOnce(Vec<u8>) -> T + Send + 'static,
) -> Result<T, Response> {
    let refuse = |error: body::BodyError| {
        shared.counters.fault();
        fault(error.status(), &error.to_string())
    };
    // The semaphore is never closed.
    let _room = shared.bodies.acquire().await;
    let body = body::read(headers, body).await.map_err(refuse)?;
    let headers = headers.clone();
    let taken = tokio::task::spawn_blocking(move || body::decode(&headers, body).map(take_apart)).await;
    match taken {
        Ok(taken) => taken.map_err(refuse),
        Err(_) => Err(fault(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read")),
    }
}

/// Nothing of the request may be taken for received: the sender sends it again.
fn busy(error: &RefusedError) -> Response {
    let status = match error {
        RefusedError::Journal(_) => StatusCode::TOO_MANY_REQUESTS,
        RefusedError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = fault(status, &chain(error));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// As Elasticsearch words it.
fn fault(status: StatusCode, reason: &str) -> Response {
    let error = json!({ "type": "weir_exception", "reason": reason });
    (status, Json(json!({ "error": error, "status": status.as_u16() }))).into_response()
}

/// What agents ask before they send: Filebeat the version, the license, templates, policies and pipelines; Logstash and
/// Fluent Bit the version. What they would set up is answered as there: Weir has its own.
fn formality(method: &Method, path: &str) -> Response {
    const SETUP: [&str; 8] = [
        "/_index_template/",
        "/_template/",
        "/_component_template/",
        "/_ilm/policy/",
        "/_ingest/pipeline/",
        "/_data_stream/",
        "/_alias/",
        "/_cat/templates/",
    ];
    let answer: Value = match path {
        "" => json!({
            "name": "weir", "cluster_name": "weir", "cluster_uuid": "weir",
            "version": {
                "number": VERSION, "build_flavor": "default", "build_type": "weir", "build_snapshot": false,
                "lucene_version": "10.0.0", "minimum_wire_compatibility_version": "8.19.0",
                "minimum_index_compatibility_version": "8.0.0"
            },
            "tagline": "You Know, for Search"
        }),
        "/_license" | "/_xpack/license" => {
            json!({ "license": { "status": "active", "uid": "weir", "type": "basic", "mode": "basic" } })
        }
        "/_xpack" => json!({ "features": { "ilm": { "available": true, "enabled": true } } }),
        "/_cluster/health" => json!({ "cluster_name": "weir", "status": "green", "timed_out": false }),
        _ if SETUP.iter().any(|setup| path.starts_with(setup)) => json!({ "acknowledged": true }),
        _ => return fault(StatusCode::NOT_FOUND, "Weir takes POST /_bulk, /{index}/_bulk, / and /logs here"),
    };
    if method == Method::GET || method == Method::HEAD || (method == Method::PUT && path.len() > 1) {
        Json(answer).into_response()
    } else {
        fault(StatusCode::METHOD_NOT_ALLOWED, "Weir takes POST /_bulk, /{index}/_bulk, / and /logs here")
    }
}
