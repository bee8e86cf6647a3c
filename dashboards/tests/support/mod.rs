//! Real records in a real index behind the real page.
#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_dashboards::{PageSettings, bind, serve};
use weir_indexer::embedded::{Embedded, EmbeddedSettings};
use weir_indexer::{Batch, DocumentSettings, Elasticsearch, ElasticsearchSettings, Index, Search};
use weir_record::identity::line_hash;
use weir_record::{Decoder, FileIdentity, FileKey, Frame, FrameBuilder, Group, SourceId, Timestamp};

/// Longest wait for anything that has to happen.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Beyond 2^53: a JavaScript number cannot hold it.
pub const SEQUENCE_BASE: i64 = 9_007_199_254_740_993;

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Log files of services, as frames. Each `add` is a line.
pub struct Corpus {
    files: Vec<(String, FrameBuilder, u64)>,
    name: String,
    frames: Vec<Frame>,
}

impl Corpus {
    /// `name` makes the files' identities, and with them the records', different from others'.
    pub fn new(name: &str) -> Corpus {
        Corpus { files: Vec::new(), name: name.to_owned(), frames: Vec::new() }
    }

    /// Adds a record of `service`; `fields` are its members, dotted.
    pub fn add(&mut self, time: i64, service: &str, fields: Value) {
        let text = fields.to_string();
        self.add_fragment(time, service, &text[1..text.len() - 1]);
    }

    /// The same from text that is a fragment already.
    pub fn add_fragment(&mut self, time: i64, service: &str, fragment: &str) {
        let at = self.file(service);
        let (_, builder, offset) = &mut self.files[at];
        let group = Group {
            dataset: service.to_owned(),
            fields: format!(
                "\"service.name\":\"{service}\",\"host.name\":\"web-1\",\"log.file.path\":\"/var/log/{service}/{service}.log\""
            ),
        };
        let number = builder.group(&group);
        let timestamp = Timestamp::from_nanos(time, 6).unwrap();
        let document = builder.document();
        document.extend_from_slice(format!("\"@timestamp\":\"{timestamp}\"").as_bytes());
        if !fragment.is_empty() {
            document.push(b',');
            document.extend_from_slice(fragment.as_bytes());
        }
        builder.commit(*offset, Some(time), line_hash(fragment.as_bytes()), number);
        *offset += fragment.len() as u64 + 1;
        if builder.is_full() {
            builder.finish(*offset, time, &mut self.frames);
        }
    }

    fn file(&mut self, service: &str) -> usize {
        if let Some(at) = self.files.iter().position(|(name, ..)| name == service) {
            return at;
        }
        let inode = self.files.len() as u64 + 1;
        let identity = FileIdentity { device: 1, inode, birth_nanos: 7, generation: 0 };
        let key = FileKey::new(SourceId::from_name(&format!("{}/{service}", self.name)), &identity);
        let builder = FrameBuilder::new(key, 0, SEQUENCE_BASE).unwrap();
        self.files.push((service.to_owned(), builder, 0));
        self.files.len() - 1
    }

    /// Puts everything added since the last time into `index`; returns when it can be found there.
    pub async fn index(&mut self, index: &impl Index) {
        self.index_into(index, DocumentSettings::default()).await;
    }

    /// The same into the streams of these settings.
    pub async fn index_into(&mut self, index: &impl Index, settings: DocumentSettings) {
        for (_, builder, offset) in &mut self.files {
            if !builder.is_empty() {
                builder.finish(*offset, now(), &mut self.frames);
            }
        }
        let mut decoder = Decoder::new().unwrap();
        for frames in self.frames.chunks(32) {
            let mut batch = Batch::new(settings.clone());
            for frame in frames {
                batch.push(&decoder.decode(&frame.bytes).unwrap(), now());
            }
            let all: Vec<u32> = (0..u32::try_from(batch.len()).unwrap()).collect();
            let outcomes = index.bulk(&Arc::new(batch), &all).await.unwrap();
            assert!(outcomes.iter().all(weir_indexer::Outcome::is_stored), "{outcomes:?}");
        }
        self.frames.clear();
    }
}

/// A number generator that is the same each time (Steele, Lea, Flood: SplitMix).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

pub const STACK_TRACE: &str = "java.net.SocketTimeoutException: connect timed out\n\
    \tat java.base/java.net.Socket.connect(Socket.java:633)\n\
    \tat org.springframework.web.client.RestTemplate.doExecute(RestTemplate.java:776)\n\
    \tat com.acme.payment.CardGateway.charge(CardGateway.java:88)\n\
    \tat com.acme.payment.PaymentService.pay(PaymentService.java:41)\n\
    Caused by: java.io.IOException: stream closed\n\
    \t... 12 more";

/// What four services wrote within `span` nanoseconds before `end`.
pub fn add_shop(corpus: &mut Corpus, count: u64, end: i64, span: i64) {
    let mut random = Random(42);
    for number in 0..count {
        let time = end - span + span / i64::try_from(count).unwrap() * i64::try_from(number).unwrap();
        let trace = format!("{:016x}{:016x}", random.below(u64::MAX), number / 4);
        match random.below(20) {
            0 => corpus.add(
                time,
                "payment",
                json!({"message": "Charge failed for order 4711, will be retried", "log.level": "error",
                    "log.logger": "com.acme.payment.CardGateway", "process.thread.name": "http-nio-8080-exec-4",
                    "error.type": "java.net.SocketTimeoutException", "error.message": "connect timed out",
                    "error.stack_trace": STACK_TRACE, "trace.id": trace, "tags": ["retried", "redacted"]}),
            ),
            1 | 2 => corpus.add(
                time,
                "inventory",
                json!({"message": format!("stock of sku-{} is low: {} left", random.below(900), random.below(9)),
                    "log.level": "warning", "attributes": {"warehouse": random.pick(&["north", "south"]), "price": 12.5}}),
            ),
            3..=7 => {
                let path = random.pick(&["/", "/cart", "/health", "/api/orders/7", "/static/logo.svg"]);
                let status = if random.below(30) == 0 { 503 } else { 200 };
                corpus.add(
                    time,
                    "nginx",
                    json!({"message": format!("10.0.3.{} - - \"GET {path} HTTP/1.1\" {status} {}", random.below(250), random.below(90_000)),
                        "http.request.method": "GET", "http.response.status_code": status, "url.path": path,
                        "source.ip": "10.0.3.7", "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)"}),
                );
            }
            8 | 9 => corpus.add(
                time,
                "checkout",
                json!({"message": "cache miss, loading the price list", "log.level": "debug", "trace.id": trace}),
            ),
            _ => corpus.add(
                time,
                "checkout",
                json!({"message": format!("order {} placed by customer {}", 40_000 + number, random.below(5_000)),
                    "log.level": "info", "trace.id": trace, "span.id": format!("{:016x}", random.below(u64::MAX)),
                    "event.duration": 1_000_000 + random.below(90_000_000),
                    "attributes": {"order_id": 40_000 + number, "items": random.below(7), "coupon": null}}),
            ),
        }
    }
}

pub struct EmbeddedIndex {
    pub index: Arc<Embedded>,
    _directory: tempfile::TempDir,
}

/// A namespace of its own on a running search server.
pub struct Cluster {
    pub index: Elasticsearch,
    url: String,
    namespace: String,
}

impl Cluster {
    /// The server whose address stands in `variable`; none where it is not set, which is reported, and a failure where
    /// `CI` is `true`.
    pub async fn connect(variable: &str, test: &str) -> Option<Cluster> {
        let Ok(url) = std::env::var(variable) else {
            eprintln!("SKIPPED: {test}: {variable} is not set");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI runs every test");
            return None;
        };
        let namespace = format!("page{}_{}", std::process::id(), variable.to_lowercase());
        let settings = ElasticsearchSettings {
            urls: vec![url.clone()],
            documents: DocumentSettings { namespace: namespace.clone(), ..DocumentSettings::default() },
            ..ElasticsearchSettings::default()
        };
        let index = Elasticsearch::connect(&settings).unwrap();
        index.ensure_setup().await.unwrap();
        Some(Cluster { index, url, namespace })
    }

    /// How its documents are named.
    pub fn documents(&self) -> DocumentSettings {
        DocumentSettings { namespace: self.namespace.clone(), ..DocumentSettings::default() }
    }

    /// Makes what was indexed visible at once.
    pub async fn refresh(&self) {
        let refresh = format!("{}/logs-*-{}/_refresh", self.url, self.namespace);
        reqwest::Client::new().post(refresh).send().await.unwrap();
    }

    /// Removes all that this test made.
    pub async fn remove(self) {
        let namespace = &self.namespace;
        let client = reqwest::Client::new();
        let streams = format!("{}/_resolve/index/logs-*-{namespace}", self.url);
        let found: Value = client.get(streams).send().await.unwrap().json().await.unwrap();
        // By name: servers may refuse to delete by pattern.
        let streams = found["data_streams"].as_array().unwrap().iter();
        let streams = streams.map(|stream| format!("_data_stream/{}", stream["name"].as_str().unwrap()));
        let templates =
            ["logs", "dead_letter"].map(|name| format!("_index_template/weir-{name}-{namespace}"));
        for path in streams.chain(templates) {
            // A test server may not know how; its data goes with it.
            client.delete(format!("{}/{path}", self.url)).send().await.unwrap();
        }
    }
}

/// An embedded index in a directory that goes away with it.
pub fn embedded() -> EmbeddedIndex {
    let directory = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings {
        data: directory.path().to_owned(),
        retention: Duration::from_secs(365 * 86_400),
        max_bytes: u64::MAX,
        namespace: "default".to_owned(),
    };
    EmbeddedIndex { index: Arc::new(Embedded::open(&settings).unwrap()), _directory: directory }
}

/// The page, served on a port of its own until dropped.
pub struct Page {
    pub url: String,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    pub served: Option<JoinHandle<()>>,
}

impl Page {
    pub async fn serve<S: Search>(search: Arc<S>) -> Page {
        Page::serve_with(search, |settings| settings).await
    }

    pub async fn serve_with<S: Search>(
        search: Arc<S>,
        change: impl FnOnce(PageSettings) -> PageSettings,
    ) -> Page {
        let settings = change(PageSettings::new(([127, 0, 0, 1], 0).into()));
        let listener = bind(&settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, search, settings, async {
            stopped.await.ok();
        }));
        Page { url: format!("http://{address}"), address, stop: Some(stop), served: Some(served) }
    }

    /// Tells it to stop.
    pub fn stop(&mut self) {
        self.stop = None;
    }
}

/// Polls until the condition holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "this did not happen within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
