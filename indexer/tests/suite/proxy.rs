//! A TCP proxy in front of a real server, for what real servers do not do on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What happens to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Nothing.
    Free,
    /// A request is cut in its middle, and the connection with it.
    RequestCut,
    /// A request passes, its answer is never heard: the connection ends.
    AnswerLost,
    /// Half of an answer passes, then the connection ends.
    AnswerCut,
    /// The answer's bytes are others than were sent, as many as were promised.
    AnswerGarbled,
    /// The answer comes byte by byte.
    AnswerSlow,
}

const ALL: [Passage; 6] = [
    Passage::Free,
    Passage::RequestCut,
    Passage::AnswerLost,
    Passage::AnswerCut,
    Passage::AnswerGarbled,
    Passage::AnswerSlow,
];

/// Between two bytes of a slow answer.
const BYTE_INTERVAL: Duration = Duration::from_millis(5);

/// A running proxy.
pub struct Proxy {
    pub url: String,
    passage: Arc<AtomicU8>,
}

impl Proxy {
    /// In front of `http://host:port`.
    pub async fn start(target: &str) -> Proxy {
        let target = target.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let passage = Arc::new(AtomicU8::new(Passage::Free as u8));
        let shared = Arc::clone(&passage);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&target).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(forward(from_client, to_server, Arc::clone(&shared), Direction::Request));
                tokio::spawn(forward(from_server, to_client, Arc::clone(&shared), Direction::Answer));
            }
        });
        Proxy { url, passage }
    }

    /// From now on.
    pub fn set(&self, passage: Passage) {
        self.passage.store(passage as u8, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// Until one side ends, or the passage does.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    passage: Arc<AtomicU8>,
    direction: Direction,
) {
    let mut bytes = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let some = &mut bytes[..length];
        let passage = ALL[usize::from(passage.load(Ordering::Relaxed))];
        let sent = match (passage, direction) {
            (Passage::RequestCut, Direction::Request) | (Passage::AnswerCut, Direction::Answer) => {
                drop(to.write_all(&some[..length / 2]).await);
                return;
            }
            (Passage::AnswerLost, Direction::Answer) => return,
            (Passage::AnswerGarbled, Direction::Answer) => {
                let body = some.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |end| end + 4);
                some[body..].iter_mut().for_each(|byte| *byte ^= 1);
                to.write_all(some).await
            }
            (Passage::AnswerSlow, Direction::Answer) => slowly(&mut to, some).await,
            _ => to.write_all(some).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn slowly(to: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        to.write_all(std::slice::from_ref(byte)).await?;
        tokio::time::sleep(BYTE_INTERVAL).await;
    }
    Ok(())
}
