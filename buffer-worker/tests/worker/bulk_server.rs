//! A server that speaks as much of Elasticsearch as a worker needs, and does what real ones do on bad days.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
}

/// More than this is too much for a server that is overloaded by much.
pub const MUCH_BYTES: usize = 2 * 1024 * 1024;

/// Documents with this in them are refused for good.
pub const REFUSED: &str = "refuse me";

/// The address, and what the server holds.
#[derive(Clone)]
pub struct BulkServer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    behave: Box<dyn FnMut(usize) -> Behaviour + Send>,
    bulks: usize,
    is_up: bool,
    turned_away: usize,
    /// Documents by `_id`.
    stored: BTreeMap<String, Value>,
    letters: BTreeMap<String, Value>,
    /// How often a document came that was stored already.
    repeats: usize,
}

impl BulkServer {
    /// A server that asks `behave` what to do with each bulk, by its number.
    pub async fn start(behave: impl FnMut(usize) -> Behaviour + Send + 'static) -> BulkServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            behave: Box::new(behave),
            bulks: 0,
            is_up: true,
            turned_away: 0,
            stored: BTreeMap::new(),
            letters: BTreeMap::new(),
            repeats: 0,
        };
        let server = BulkServer { url, state: Arc::new(Mutex::new(state)) };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.connection(stream).await });
            }
        });
        server
    }

    pub fn stored(&self) -> BTreeMap<String, Value> {
        self.state().stored.clone()
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

    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// While it is down, every connection is closed at once.
    pub fn set_up(&self, is_up: bool) {
        self.state().is_up = is_up;
    }

    pub fn turned_away(&self) -> usize {
        self.state().turned_away
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn connection(self, mut stream: TcpStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let Some((head, body)) = read_request(&mut stream, &mut bytes).await? else { return Ok(()) };
            if !self.state().is_up {
                self.state().turned_away += 1;
                return Ok(());
            }
            let (slow, answer) = self.handle(&head, &body);
            if slow {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            let Some((status, answer)) = answer else { return Ok(()) };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// Whether to take its time; status and body, none for a broken connection.
    fn handle(&self, head: &str, body: &str) -> (bool, Option<(u16, String)>) {
        let target = head.split(' ').nth(1).unwrap();
        if target == "/" {
            return (false, Some((200, json!({"version": {"number": "9.5.0"}}).to_string())));
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
        match behaviour {
            Behaviour::Unavailable => return (false, Some((503, "{}".to_owned()))),
            Behaviour::Overloaded => return (false, Some((429, "{}".to_owned()))),
            Behaviour::Cut => return (false, None),
            Behaviour::OverloadedByMuch if body.len() > MUCH_BYTES => {
                return (false, Some((429, "{}".to_owned())));
            }
            _ => {}
        }
        let lines: Vec<&str> = body.lines().collect();
        let mut items: Vec<Value> = lines
            .chunks_exact(2)
            .enumerate()
            .map(|(place, pair)| {
                state.store(pair[0], pair[1], behaviour == Behaviour::SomeLater && place % 3 == 0)
            })
            .collect();
        let answer = |items: &[Value]| {
            let errors = items.iter().any(|item| item["create"].get("error").is_some());
            json!({"errors": errors, "items": items}).to_string()
        };
        match behaviour {
            Behaviour::CutAfterwards => (false, None),
            Behaviour::Garbled => (false, Some((200, answer(&items).replace("status", "\u{0}")))),
            Behaviour::Short => {
                items.pop();
                (false, Some((200, answer(&items))))
            }
            _ => (behaviour == Behaviour::Slow, Some((200, answer(&items)))),
        }
    }
}

impl State {
    fn store(&mut self, action: &str, document: &str, later: bool) -> Value {
        let error = |status: u16, kind: &str| json!({"create": {"status": status, "error": {"type": kind, "reason": "as asked"}}});
        let action: Value = serde_json::from_str(action).unwrap();
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        let parsed: Value = serde_json::from_str(document).unwrap();
        let is_letter = action["create"]["_index"].as_str().unwrap().contains("dead_letter");
        let place = if is_letter { &mut self.letters } else { &mut self.stored };
        if later {
            return error(429, "es_rejected_execution_exception");
        }
        if !is_letter && document.contains(REFUSED) {
            return error(400, "document_parsing_exception");
        }
        if place.contains_key(&id) {
            self.repeats += 1;
            return error(409, "version_conflict_engine_exception");
        }
        place.insert(id, parsed);
        json!({"create": {"status": 201}})
    }
}

/// One request: its head, and its body by its content length. None at the end of the connection.
async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<(String, String)>> {
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
                if stream.read_buf(bytes).await? == 0 {
                    return Ok(None);
                }
            }
            let rest = bytes.split_off(body_start + length);
            let body = String::from_utf8(bytes[body_start..].to_vec()).unwrap();
            *bytes = rest;
            return Ok(Some((head, body)));
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}
