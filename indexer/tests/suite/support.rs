//! Frames and documents for the tests of all indexes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use elasticsearch::http::Method;
use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::Transport;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use weir_indexer::{Batch, DocumentSettings, Elasticsearch, ElasticsearchSettings};
use weir_record::{Decoder, FileIdentity, FileKey, FrameBuilder, Group, SourceId, Timestamp};

/// 2026-11-20T00:00:00Z in nanoseconds since 1970.
pub const DAY: i64 = 1_795_132_800_000_000_000;
pub const SECOND: i64 = 1_000_000_000;

/// The file number `number` of the test machine.
pub fn file(number: u64) -> FileKey {
    let identity = FileIdentity { device: 1, inode: number, birth_nanos: 0, generation: 0 };
    FileKey::new(SourceId::from_name("test"), &identity)
}

/// Bytes that each record of [`frame`] takes in its file.
pub const RECORD_BYTES: u64 = 100;

/// A frame of `file` from byte `start` on, one record each [`RECORD_BYTES`], with these fragments. The event times
/// are read from the fragments.
pub fn frame(file: FileKey, start: u64, service: &str, fragments: &[String]) -> Vec<u8> {
    frame_through(file, start, service, None, fragments)
}

/// As [`frame`], of records that go through an ingest pipeline.
pub fn frame_through(
    file: FileKey,
    start: u64,
    service: &str,
    pipeline: Option<&str>,
    fragments: &[String],
) -> Vec<u8> {
    let mut builder = FrameBuilder::new(file, start, 1_000_000).expect("a compressor");
    let mut group = Group {
        dataset: service.to_owned(),
        fields: format!(
            "\"service.name\":\"{service}\",\"host.name\":\"web-1\",\"log.file.path\":\"/var/log/{service}.log\""
        ),
    };
    if let Some(pipeline) = pipeline {
        group.set_pipeline(pipeline);
    }
    let group = builder.group(&group);
    for (index, fragment) in fragments.iter().enumerate() {
        builder.document().extend_from_slice(fragment.as_bytes());
        let offset = start + index as u64 * RECORD_BYTES;
        builder.commit(offset, time_of(fragment), index as u64, group);
    }
    let end = start + fragments.len() as u64 * RECORD_BYTES;
    let mut frames = Vec::new();
    builder.finish(end, DAY, &mut frames);
    assert_eq!(frames.len(), 1, "the test wants one frame");
    frames.remove(0).bytes
}

fn time_of(fragment: &str) -> Option<i64> {
    let document: Map<String, Value> = serde_json::from_str(&format!("{{{fragment}}}")).ok()?;
    let text = document.get("@timestamp")?.as_str()?;
    Some(Timestamp::parse_rfc3339(text.as_bytes())?.nanos())
}

/// A batch of these frames.
pub fn batch(settings: DocumentSettings, frames: &[Vec<u8>]) -> Arc<Batch> {
    let mut decoder = Decoder::new().expect("a decompressor");
    let mut batch = Batch::new(settings);
    for frame in frames {
        batch.push(&decoder.decode(frame).expect("a whole frame"), DAY + SECOND);
    }
    Arc::new(batch)
}

/// Every item of a batch.
pub fn everything(batch: &Batch) -> Vec<u32> {
    (0..batch.len() as u32).collect()
}

/// `@timestamp` and `message`.
pub fn plain(seconds: i64, message: &str) -> String {
    let time = Timestamp::from_nanos(DAY + seconds * SECOND, 3).expect("after 1970");
    format!("\"@timestamp\":\"{time}\",\"message\":{}", Value::from(message))
}

/// Random numbers (SplitMix64, Steele et al. 2014) from a seed that is printed; WEIR_TEST_SEED repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let told = std::env::var("WEIR_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        let seed = told.unwrap_or(now);
        println!("WEIR_TEST_SEED={seed}");
        Random(seed)
    }

    /// One of `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A running search server, and a namespace on it that is this test's own; removed at the end.
pub struct SearchServer {
    pub url: String,
    pub namespace: String,
}

impl SearchServer {
    /// The server whose address stands in `variable`; none, said loudly, where it is not set.
    pub fn from_environment(variable: &str, test: &str) -> Option<SearchServer> {
        let Ok(url) = std::env::var(variable) else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{variable} is not set");
            eprintln!("SKIPPED: {test}: {variable} is not set");
            return None;
        };
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("t{}_{number}", std::process::id());
        Some(SearchServer { url, namespace })
    }

    pub fn settings(&self) -> ElasticsearchSettings {
        ElasticsearchSettings {
            urls: vec![self.url.clone()],
            documents: DocumentSettings { namespace: self.namespace.clone(), ..DocumentSettings::default() },
            ..ElasticsearchSettings::default()
        }
    }

    pub fn connect(&self) -> Elasticsearch {
        Elasticsearch::connect(&self.settings()).expect("a usable URL")
    }

    /// Makes what was indexed visible.
    pub async fn refresh(&self) {
        self.request(Method::Post, &format!("logs-*-{}/_refresh", self.namespace), None).await;
    }

    /// One request, and the answer as JSON; null where it is none.
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let transport = Transport::single_node(&self.url).expect("a usable URL");
        let body = body.map(|body| body.to_string());
        let answer = transport
            .send(method, path, HeaderMap::new(), None::<&()>, body, None)
            .await
            .expect("the server answers");
        let text = answer.text().await.expect("a whole answer");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Removes streams and templates of this test.
    pub async fn clean(&self) {
        let namespace = &self.namespace;
        for stream in self.streams().await {
            self.request(Method::Delete, &format!("_data_stream/{stream}"), None).await;
        }
        for template in ["logs", "dead_letter"] {
            self.request(Method::Delete, &format!("_index_template/weir-{template}-{namespace}"), None).await;
        }
    }

    /// Names of this test's data streams.
    pub async fn streams(&self) -> Vec<String> {
        let answer =
            self.request(Method::Get, &format!("_resolve/index/logs-*-{}", self.namespace), None).await;
        let streams = answer["data_streams"].as_array().cloned().unwrap_or_default();
        streams.iter().filter_map(|stream| Some(stream["name"].as_str()?.to_owned())).collect()
    }
}

/// A request as a [`fake_server`] sees it.
pub struct FakeRequest {
    pub method: String,
    pub path: String,
    pub body: String,
    /// Items of a bulk.
    pub items: usize,
}

/// An HTTP server on a port of its own that says it is OpenSearch, and answers all else as told. Returns its address.
pub async fn fake_server(answer: impl Fn(FakeRequest) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move { serve(stream, &*answer).await });
        }
    });
    format!("http://{address}")
}

async fn serve(stream: TcpStream, answer: &(impl Fn(FakeRequest) -> (u16, String) + Sync)) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .and_then(|length| length.trim().parse().ok())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let mut words = head.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?);
        let (status, text) = if path == "/" {
            (200, r#"{"version":{"number":"3.0.0","distribution":"opensearch"}}"#.to_owned())
        } else {
            answer(FakeRequest { method, path: path.to_owned(), items: body.lines().count() / 2, body })
        };
        let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}
