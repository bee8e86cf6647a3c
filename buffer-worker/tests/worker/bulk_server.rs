//! A server that speaks as much of Elasticsearch as a worker needs, and does what real ones do on bad days.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What becomes of one bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should be.
    Good,
    /// Every third document is put off with 429, the others are stored.
    SomeLater,
    /// Nothing is stored, HTTP 503.
    Unavailable,
    /// Nothing is stored, HTTP 429.
    Overloaded,
    /// Nothing is stored, the connection breaks.
    Cut,
    /// All is stored, the connection breaks before the answer.
    CutAfterwards,
    /// All is stored, the answer is no JSON.
    Garbled,
    /// All is stored, the answer lacks an item.
    Short,
    /// As it should be, slowly.
    Slow,
    /// Bulks of more than [`MUCH_BYTES`] are answered 429, others are stored.
    OverloadedByMuch,
    /// Bulks of more than [`LITTLE_BYTES`] are answered 429, others are stored.
    OverloadedByLittle,
    /// Bulks of more than [`MUCH_BYTES`] are answered 413, others are stored.
    TooLarge,
    /// As above, but the connection breaks instead of the 413.
    TooLargeCut,
    /// Nothing is stored, HTTP 401.
    Unauthorized,
    /// All is stored, the answer ends in the middle and the connection with it.
    Truncated,
    /// Every third document meets an error of the server, 500, the others are stored.
    SomeBroken,
    /// The whole bulk is 400, as long as [`POISON`] is in it.
    PoisonRefusesAll,
    /// Every item of the bulk is a 400, as long as [`POISON`] is in it, as OpenSearch does it.
    PoisonBlamesAll,
}

/// More than this is too much for a server that is overloaded by much.
pub const MUCH_BYTES: usize = 2 * 1024 * 1024;

/// More than this is too much for a server that is overloaded by little: less than the smallest bulk.
pub const LITTLE_BYTES: usize = 200 * 1024;

/// Documents with this in them are refused for good.
pub const REFUSED: &str = "refuse me";

/// Documents with this in them poison a whole bulk, where the server is of that kind.
pub const POISON: &str = "poison for all";

/// Documents with this in them go to the failure store.
pub const DIVERTED: &str = "divert me";

/// Documents with this in them clash with the mapping, in an attribute, unless that is unmapped.
pub const CLASHING: &str = "clash with me";

/// The address, and what the server holds.
#[derive(Clone)]
pub struct BulkServer {
    pub url: String,
    state: Arc<Mutex<State>>,
    node: Arc<Node>,
}

/// What several nodes of one cluster have each for itself.
#[derive(Default)]
struct Node {
    is_down: AtomicBool,
    bulks: AtomicUsize,
    turned_away: AtomicUsize,
    /// Bytes in a second that the way to it lets through; 0 for all there are.
    width: AtomicUsize,
}

struct State {
    behave: Box<dyn FnMut(usize) -> Behaviour + Send>,
    bulks: usize,
    /// Documents by `_id`.
    stored: BTreeMap<String, Value>,
    letters: BTreeMap<String, Value>,
    /// The streams of the documents, in the order in which they were stored.
    order: Vec<String>,
    /// How often a document came that was stored already.
    repeats: usize,
    /// Status and type that all documents of a stream get.
    blocked: BTreeMap<String, (u16, &'static str)>,
    /// Bodies that came, in bytes, and how many requests are there at the same time.
    bodies: Vec<usize>,
    under_way: usize,
    under_way_max: usize,
    /// How long each bulk takes.
    delay: Duration,
    /// For each bulk, whether it came compressed.
    compressed: Vec<bool>,
    is_opensearch: bool,
    /// What the header `authorization` has to be.
    authorization: Option<String>,
    unauthorized: usize,
}

impl BulkServer {
    /// A server that asks `behave` what to do with each bulk, by its number.
    pub async fn start(behave: impl FnMut(usize) -> Behaviour + Send + 'static) -> BulkServer {
        BulkServer::start_with(None, behave).await
    }

    /// The same over TLS, by the name localhost.
    pub async fn start_tls(acceptor: TlsAcceptor) -> BulkServer {
        let mut server = BulkServer::start_with(Some(acceptor), |_| Behaviour::Good).await;
        server.url = server.url.replace("127.0.0.1", "localhost");
        server
    }

    async fn start_with(
        tls: Option<TlsAcceptor>,
        behave: impl FnMut(usize) -> Behaviour + Send + 'static,
    ) -> BulkServer {
        let state = State {
            behave: Box::new(behave),
            bulks: 0,
            stored: BTreeMap::new(),
            letters: BTreeMap::new(),
            order: Vec::new(),
            repeats: 0,
            blocked: BTreeMap::new(),
            bodies: Vec::new(),
            under_way: 0,
            under_way_max: 0,
            delay: Duration::ZERO,
            compressed: Vec::new(),
            is_opensearch: false,
            authorization: None,
            unauthorized: 0,
        };
        BulkServer::listen(tls, Arc::new(Mutex::new(state))).await
    }

    /// Another node of the same cluster: what one stores, both have.
    pub async fn another_node(&self) -> BulkServer {
        BulkServer::listen(None, Arc::clone(&self.state)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) -> BulkServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = BulkServer { url, state, node: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (accepting.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => server.connection(tls.accept(stream).await?).await,
                        None => server.connection(stream).await,
                    }
                });
            }
        });
        server
    }

    pub fn stored(&self) -> BTreeMap<String, Value> {
        self.state().stored.clone()
    }

    /// The streams of all documents, in the order in which they were stored.
    pub fn order(&self) -> Vec<String> {
        self.state().order.clone()
    }

    pub fn stored_count(&self) -> usize {
        self.state().stored.len()
    }

    pub fn letters(&self) -> Vec<Value> {
        self.state().letters.values().cloned().collect()
    }

    pub fn bulks(&self) -> usize {
        self.state().bulks
    }

    /// Bulks that this node handled.
    pub fn bulks_of_node(&self) -> usize {
        self.node.bulks.load(Ordering::Relaxed)
    }

    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// All documents of a stream get this status and type of error, until it is none.
    pub fn block(&self, stream: &str, error: Option<(u16, &'static str)>) {
        match error {
            Some(error) => self.state().blocked.insert(stream.to_owned(), error),
            None => self.state().blocked.remove(stream),
        };
    }

    /// So many bytes in a second come through to this node.
    pub fn set_width(&self, width: usize) {
        self.node.width.store(width, Ordering::Relaxed);
    }

    /// For each bulk that came, whether it was compressed.
    pub fn compressed(&self) -> Vec<bool> {
        self.state().compressed.clone()
    }

    /// It takes so long for each bulk.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Requests without this header `authorization` are answered 401.
    pub fn demand(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    pub fn unauthorized(&self) -> usize {
        self.state().unauthorized
    }

    /// It says that it is OpenSearch.
    pub fn be_opensearch(&self) {
        self.state().is_opensearch = true;
    }

    /// Sizes of the bulks that came, in bytes.
    pub fn bodies(&self) -> Vec<usize> {
        self.state().bodies.clone()
    }

    /// Most bulks that were there at the same time, since this was asked last.
    pub fn take_under_way_max(&self) -> usize {
        std::mem::take(&mut self.state().under_way_max)
    }

    /// While it is down, every connection is closed at once.
    pub fn set_up(&self, is_up: bool) {
        self.node.is_down.store(!is_up, Ordering::Relaxed);
    }

    pub fn turned_away(&self) -> usize {
        self.node.turned_away.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn connection(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let width = self.node.width.load(Ordering::Relaxed);
            let Some((head, body)) = read_request(&mut stream, &mut bytes, width).await? else {
                return Ok(());
            };
            let began = Instant::now();
            if self.node.is_down.load(Ordering::Relaxed) {
                self.node.turned_away.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            let delay = self.begin();
            tokio::time::sleep(delay).await;
            let (slow, answer) = self.handle(&head, &body);
            if slow {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            self.state().under_way -= 1;
            self.node.bulks.fetch_add(usize::from(head.contains(" /_bulk")), Ordering::Relaxed);
            // It died over it: whether it is stored, nobody is told.
            if self.node.is_down.load(Ordering::Relaxed) {
                return Ok(());
            }
            let Some((status, mut answer)) = answer else { return Ok(()) };
            if head.contains(" /_bulk") && answer.starts_with('{') && answer.len() > 2 {
                answer.insert_str(1, &format!("\"took\":{},", began.elapsed().as_millis()));
            }
            if let Some(half) = answer.strip_suffix(CUT) {
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", half.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&half.as_bytes()[..half.len() / 2]).await?;
                return Ok(());
            }
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn begin(&self) -> Duration {
        let mut state = self.state();
        state.under_way += 1;
        state.under_way_max = state.under_way_max.max(state.under_way);
        state.delay
    }

    /// Whether to take its time; status and body, none for a broken connection.
    fn handle(&self, head: &str, body: &str) -> (bool, Option<(u16, String)>) {
        let target = head.split(' ').nth(1).unwrap();
        let header = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        if self.state().authorization.as_deref().is_some_and(|demanded| header != Some(demanded)) {
            self.state().unauthorized += 1;
            let error = json!({"type": "security_exception", "reason": "who are you"});
            return (false, Some((401, json!({"error": error, "status": 401}).to_string())));
        }
        if target == "/" {
            let distribution = if self.state().is_opensearch { "opensearch" } else { "" };
            let version = json!({"number": "9.5.0", "distribution": distribution});
            return (false, Some((200, json!({"version": version}).to_string())));
        }
        if head.starts_with("PUT ") {
            return (false, Some((200, json!({"acknowledged": true}).to_string())));
        }
        if !target.starts_with("/_bulk") {
            return (false, Some((404, json!({"error": "none", "status": 404}).to_string())));
        }
        let mut state = self.state();
        let number = state.bulks;
        state.bulks += 1;
        let behaviour = (state.behave)(number);
        state.bodies.push(body.len());
        state.compressed.push(head.contains(GZIP));
        let poisons = body.contains(POISON) && !body.contains("dead_letter");
        let is_much = body.len() > MUCH_BYTES;
        match behaviour {
            Behaviour::Unauthorized => return (false, Some((401, "{}".to_owned()))),
            Behaviour::TooLarge if is_much => return (false, Some((413, String::new()))),
            Behaviour::TooLargeCut if is_much => return (false, None),
            Behaviour::PoisonRefusesAll if poisons => {
                let error = json!({"type": "parse_exception", "reason": "a pipeline cannot read it"});
                return (false, Some((400, json!({"error": error, "status": 400}).to_string())));
            }
            Behaviour::PoisonBlamesAll if poisons => {
                let items = vec![failed(400, "parse_exception"); body.lines().count() / 2];
                return (false, Some((200, json!({"errors": true, "items": items}).to_string())));
            }
            Behaviour::Unavailable => return (false, Some((503, "{}".to_owned()))),
            Behaviour::Overloaded => return (false, Some((429, "{}".to_owned()))),
            Behaviour::Cut => return (false, None),
            Behaviour::OverloadedByMuch if is_much => {
                return (false, Some((429, "{}".to_owned())));
            }
            Behaviour::OverloadedByLittle if body.len() > LITTLE_BYTES => {
                return (false, Some((429, "{}".to_owned())));
            }
            _ => {}
        }
        let lines: Vec<&str> = body.lines().collect();
        let mut items: Vec<Value> = lines
            .chunks_exact(2)
            .enumerate()
            .map(|(place, pair)| {
                let error = match behaviour {
                    Behaviour::SomeLater if place % 3 == 0 => Some((429, "es_rejected_execution_exception")),
                    Behaviour::SomeBroken if place % 3 == 0 => Some((500, "null_pointer_exception")),
                    _ => None,
                };
                state.store(pair[0], pair[1], error)
            })
            .collect();
        let answer = |items: &[Value]| {
            let errors = items.iter().any(|item| item["create"].get("error").is_some());
            json!({"errors": errors, "items": items}).to_string()
        };
        match behaviour {
            Behaviour::CutAfterwards => (false, None),
            Behaviour::Garbled => (false, Some((200, answer(&items).replace("status", "\u{0}")))),
            Behaviour::Truncated => (false, Some((200, answer(&items) + CUT))),
            Behaviour::Short => {
                items.pop();
                (false, Some((200, answer(&items))))
            }
            _ => (behaviour == Behaviour::Slow, Some((200, answer(&items)))),
        }
    }
}

/// A header of requests.
const GZIP: &str = "content-encoding: gzip";

/// Ends an answer of which half is sent.
const CUT: &str = "\u{1}";

fn failed(status: u16, kind: &str) -> Value {
    json!({"create": {"status": status, "error": {"type": kind, "reason": "as asked"}}})
}

impl State {
    /// Stores a document, or gives it the error that it has to have.
    fn store(&mut self, action: &str, document: &str, error: Option<(u16, &str)>) -> Value {
        let action: Value = serde_json::from_str(action).unwrap();
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        let stream = action["create"]["_index"].as_str().unwrap();
        let parsed: Value = serde_json::from_str(document).unwrap();
        if let Some((status, kind)) = self.blocked.get(stream).copied().or(error) {
            return failed(status, kind);
        }
        let is_letter = stream.contains("dead_letter");
        let place = if is_letter { &mut self.letters } else { &mut self.stored };
        if !is_letter && document.contains(REFUSED) {
            return failed(400, "document_parsing_exception");
        }
        if !is_letter && document.contains(CLASHING) && parsed.get("unmapped").is_none() {
            let reason = "[1:7] failed to parse field [attributes.user] of type [long]";
            let error = json!({"type": "document_parsing_exception", "reason": reason});
            return json!({"create": {"status": 400, "error": error}});
        }
        if place.contains_key(&id) {
            self.repeats += 1;
            return failed(409, "version_conflict_engine_exception");
        }
        place.insert(id, parsed);
        self.order.push(stream.to_owned());
        if !is_letter && document.contains(DIVERTED) {
            return json!({"create": {"status": 201, "failure_store": "used"}});
        }
        json!({"create": {"status": 201}})
    }
}

/// One request: its head, and its body by its content length. None at the end of the connection.
async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    width: usize,
) -> io::Result<Option<(String, String)>> {
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0usize);
            let body_start = end + 4;
            while bytes.len() < body_start + length {
                let count = stream.read_buf(bytes).await?;
                if count == 0 {
                    return Ok(None);
                }
                if width > 0 {
                    tokio::time::sleep(Duration::from_secs_f64(count as f64 / width as f64)).await;
                }
            }
            let rest = bytes.split_off(body_start + length);
            let mut body = bytes[body_start..].to_vec();
            if head.contains(GZIP) {
                let mut plain = Vec::new();
                GzDecoder::new(&body[..]).read_to_end(&mut plain)?;
                body = plain;
            }
            let body = String::from_utf8(body).unwrap();
            *bytes = rest;
            return Ok(Some((head, body)));
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}
