//! A TCP proxy that does to connections what networks do, and to HTTP requests what overloaded servers do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Bytes that are passed on at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// A slow network passes on so many times a second.
const SLOW_PARTS: u32 = 20;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are reset, new ones too.
    Cut,
    /// Nothing goes through, and nobody is told.
    Silence,
    /// Everything takes so much longer.
    Latency(Duration),
    /// Every byte comes alone.
    Trickle,
    /// So many bytes a second, each way.
    Slow(u32),
    /// A connection is reset in the middle of an answer, after so many bytes of answers.
    ResetAnswer(u64),
    /// Every HTTP request is answered so, and goes nowhere.
    Answer(Answer),
}

/// What is answered in the server's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status.
    Status(u16),
    /// 200, and half of the answer to a bulk.
    Garbled,
    /// A bulk each of whose documents has this status.
    Items(u16),
}

/// What becomes of the connections of before when a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heal {
    /// They go on.
    Resume,
    /// They are reset.
    Reset,
    /// Nothing ever comes through them again, as when something in between has forgotten them: the server is told, the
    /// client is not.
    Forget,
}

/// Passes connections on to one port, until it is dropped with its runtime.
pub struct Proxy {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    fault: Option<Fault>,
    /// Connections with lower numbers are reset.
    reset_below: u64,
    /// Connections with lower numbers are dead without knowing it.
    forgotten_below: u64,
    /// The number of the next connection.
    next: u64,
}

impl State {
    fn is_reset(&self, number: u64) -> bool {
        number < self.reset_below || matches!(self.fault, Some(Fault::Cut))
    }
}

impl Proxy {
    /// Listens on a port of its own for a server on port `upstream`.
    pub fn start(runtime: &Handle, upstream: u16) -> io::Result<Proxy> {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(watch::Sender::new(State::default()));
        runtime.spawn(accept(listener, upstream, Arc::clone(&state)));
        Ok(Proxy { port, state })
    }

    /// Where to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A fault begins.
    pub fn begin(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = Some(fault);
            if matches!(fault, Fault::Answer(_)) {
                state.reset_below = state.next;
            }
        });
    }

    /// It is over.
    pub fn end(&self, heal: Heal) {
        self.state.send_modify(|state| {
            let answers_itself = matches!(state.fault, Some(Fault::Answer(_)));
            state.fault = None;
            match heal {
                Heal::Reset => state.reset_below = state.next,
                _ if answers_itself => state.reset_below = state.next,
                Heal::Forget => state.forgotten_below = state.next,
                Heal::Resume => {}
            }
        });
    }
}

async fn accept(listener: TcpListener, upstream: u16, state: Arc<watch::Sender<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut number = 0;
        state.send_modify(|state| {
            number = state.next;
            state.next += 1;
        });
        tokio::spawn(serve(client, upstream, number, state.subscribe()));
    }
}

async fn serve(mut client: TcpStream, upstream: u16, number: u64, mut state: watch::Receiver<State>) {
    // What a connection that is gone says about it does not matter: both ends know.
    drop(client.set_nodelay(true));
    let now = *state.borrow_and_update();
    if let Some(Fault::Answer(answer)) = now.fault {
        tokio::select! {
            _ = answer_requests(&mut client, answer) => {}
            () = reset(state, number) => drop(client.set_zero_linger()),
        }
        return;
    }
    let upstream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], upstream))).await;
    let Ok(mut server) = upstream else {
        drop(client.set_zero_linger());
        return;
    };
    drop(server.set_nodelay(true));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = Pump { state: state.clone(), is_answer: false, passed: 0 };
        let answers = Pump { state: state.clone(), is_answer: true, passed: 0 };
        tokio::select! {
            end = requests.run(from_client, to_server) => end,
            end = answers.run(from_server, to_client) => end,
            () = reset(state.clone(), number) => Ok(End::Reset),
            () = forgotten(state, number) => Ok(End::Forgotten),
        }
    };
    match end {
        Ok(End::Closed) => {}
        Ok(End::Forgotten) => {
            drop(server);
            // Whatever it still sends, until it gives up.
            drop(tokio::io::copy(&mut client, &mut tokio::io::sink()).await);
        }
        Ok(End::Reset) | Err(_) => {
            drop(client.set_zero_linger());
            drop(server.set_zero_linger());
        }
    }
}

/// Resolves when this connection has to be reset.
async fn reset(mut state: watch::Receiver<State>, number: u64) {
    if state.wait_for(|state| state.is_reset(number)).await.is_err() {
        std::future::pending().await
    }
}

/// Resolves when this connection is dead without knowing it.
async fn forgotten(mut state: watch::Receiver<State>, number: u64) {
    if state.wait_for(|state| number < state.forgotten_below).await.is_err() {
        std::future::pending().await
    }
}

/// One direction of a connection.
struct Pump {
    state: watch::Receiver<State>,
    is_answer: bool,
    /// Bytes that were passed on since a reset in the middle of an answer was due.
    passed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Closed in order.
    Closed,
    Reset,
    Forgotten,
}

impl Pump {
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<End> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = from.read(&mut chunk).await?;
            if length == 0 {
                to.shutdown().await?;
                return Ok(End::Closed);
            }
            if self.pass(&chunk[..length], &mut to).await? == End::Reset {
                return Ok(End::Reset);
            }
        }
    }

    async fn pass(&mut self, mut rest: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> io::Result<End> {
        while !rest.is_empty() {
            let state = *self.state.borrow_and_update();
            let (part, pause) = match state.fault {
                Some(Fault::Silence) => {
                    // Its other end lives as long as the proxy.
                    drop(self.state.changed().await);
                    continue;
                }
                Some(Fault::Latency(latency)) => {
                    tokio::time::sleep(latency).await;
                    (rest.len(), Duration::ZERO)
                }
                Some(Fault::Trickle) => (1, Duration::ZERO),
                Some(Fault::Slow(rate)) => {
                    ((rate / SLOW_PARTS) as usize, Duration::from_secs(1) / SLOW_PARTS)
                }
                Some(Fault::ResetAnswer(bytes)) if self.is_answer => {
                    if self.passed >= bytes {
                        return Ok(End::Reset);
                    }
                    let part = (bytes - self.passed).min(rest.len() as u64);
                    self.passed += part;
                    (part as usize, Duration::ZERO)
                }
                _ => (rest.len(), Duration::ZERO),
            };
            let (now, later) = rest.split_at(part.clamp(1, rest.len()));
            to.write_all(now).await?;
            rest = later;
            tokio::time::sleep(pause).await;
        }
        Ok(End::Closed)
    }
}

/// Reads requests of HTTP/1.1 with the lengths of their bodies, and answers each.
async fn answer_requests(client: &mut TcpStream, answer: Answer) -> io::Result<()> {
    let (from, mut to) = client.split();
    let mut from = BufReader::new(from);
    loop {
        let mut first = String::new();
        if from.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        to.write_all(response(answer, first.contains("_bulk"), &body).as_bytes()).await?;
    }
}

fn response(answer: Answer, is_bulk: bool, body: &[u8]) -> String {
    let refusal = |status: u16| {
        (status, format!(r#"{{"error":{{"type":"chaos","reason":"refused by chaos"}},"status":{status}}}"#))
    };
    let (status, text) = match answer {
        Answer::Status(status) => refusal(status),
        Answer::Garbled => {
            (200, r#"{"took":1,"errors":false,"items":[{"create":{"_id":"x","stat"#.to_owned())
        }
        Answer::Items(status) if is_bulk => (200, refused_items(status, body)),
        Answer::Items(_) => refusal(503),
    };
    format!(
        "HTTP/1.1 {status} Chaos\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\n\
         content-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// An action and a document are two lines each.
fn refused_items(status: u16, body: &[u8]) -> String {
    let item = format!(
        r#"{{"create":{{"_index":"x","_id":"x","status":{status},"error":{{"type":"es_rejected_execution_exception","reason":"refused by chaos"}}}}}}"#
    );
    let documents = body.iter().filter(|&&byte| byte == b'\n').count() / 2;
    format!(r#"{{"took":1,"errors":true,"items":[{}]}}"#, vec![item; documents].join(","))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::support::PATIENCE;

    /// A server that answers "pong" to every byte, behind a proxy.
    fn behind() -> (tokio::runtime::Runtime, Proxy) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while client.read_u8().await.is_ok() {
                        client.write_all(b"pong").await.unwrap();
                    }
                });
            }
        });
        let proxy = Proxy::start(runtime.handle(), port).unwrap();
        (runtime, proxy)
    }

    fn ping(stream: &mut std::net::TcpStream) -> io::Result<[u8; 4]> {
        let mut answer = [0; 4];
        stream.write_all(b"1")?;
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn connect(proxy: &Proxy) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    #[test]
    fn every_fault_does_what_it_says_and_ends() {
        let (_runtime, proxy) = behind();
        let mut stream = connect(&proxy);
        assert_eq!(ping(&mut stream).unwrap(), *b"pong");
        for fault in [Fault::Trickle, Fault::Slow(1000), Fault::Latency(Duration::from_millis(3))] {
            proxy.begin(fault);
            assert_eq!(ping(&mut stream).unwrap(), *b"pong", "{fault:?}");
            proxy.end(Heal::Resume);
        }
        proxy.begin(Fault::ResetAnswer(2));
        assert_eq!(ping(&mut stream).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        proxy.end(Heal::Resume);
        let mut stream = connect(&proxy);
        assert_eq!(ping(&mut stream).unwrap(), *b"pong");
        proxy.begin(Fault::Cut);
        assert!(ping(&mut stream).is_err());
        assert!(ping(&mut connect(&proxy)).is_err());
        proxy.end(Heal::Resume);
        assert_eq!(ping(&mut connect(&proxy)).unwrap(), *b"pong");
    }

    #[test]
    fn a_forgotten_connection_stays_silent_while_new_ones_work() {
        let (_runtime, proxy) = behind();
        let mut forgotten = connect(&proxy);
        ping(&mut forgotten).unwrap();
        proxy.begin(Fault::Silence);
        proxy.end(Heal::Forget);
        assert_eq!(ping(&mut connect(&proxy)).unwrap(), *b"pong");
        forgotten.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(ping(&mut forgotten).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_refused_bulk_has_an_answer_for_each_document() {
        let (_runtime, proxy) = behind();
        proxy.begin(Fault::Answer(Answer::Items(429)));
        let mut stream = connect(&proxy);
        let body = "{\"create\":{}}\n{\"a\":1}\n{\"create\":{}}\n{\"a\":2}\n";
        let head = format!("POST /_bulk HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert_eq!(answer.matches("\"status\":429").count(), 2, "{answer}");
    }
}
