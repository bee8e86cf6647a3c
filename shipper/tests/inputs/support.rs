//! Inputs, a shipper and the buffer in memory in one process, and everything that arrived.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_buffer::{Buffer as _, Consumer as _, MemoryBuffer, MemoryConsumer};
use weir_config::Config;
use weir_record::SourceId;
use weir_record::frame::Decoder;
use weir_shipper::input::counters::InputCounts;
use weir_shipper::input::{InputSettings, Inputs};
use weir_shipper::settings::{Limits, Timing};
use weir_shipper::{Mode, ShipError, ShipSettings, Shipper};

/// Programs and disks may be slow when many tests run.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Rig {
    pub directory: TempDir,
    config: String,
    buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    running: Option<Running>,
    arrived: HashMap<String, (i64, Value)>,
    pub address: SocketAddr,
    counters: Vec<(String, Arc<weir_shipper::input::counters::InputCounters>)>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ShipError>>,
}

impl Rig {
    /// A running shipper with this `[[input]]`.
    pub async fn new(input: &str) -> Rig {
        let mut rig = Rig::stopped(input).await;
        rig.start().await;
        rig
    }

    /// The same, not started yet. `{dir}` stands for the test's directory.
    pub async fn stopped(input: &str) -> Rig {
        let buffer = Arc::new(MemoryBuffer::new(1 << 30));
        let consumer = buffer.consumer("test").await.expect("a consumer");
        Rig {
            directory: tempfile::tempdir().expect("a directory"),
            config: input.to_owned(),
            buffer,
            consumer,
            running: None,
            arrived: HashMap::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            counters: Vec::new(),
        }
    }

    pub async fn start(&mut self) {
        let state = self.directory.path().join("state");
        let config = self.config.replace("{dir}", &self.directory.path().display().to_string());
        let config = Config::from_toml(&format!("[[input]]\n{config}\n"), Path::new("test.toml"), &|_| None)
            .unwrap_or_else(|error| panic!("{error}"));
        let inputs: Vec<_> =
            config.inputs.iter().map(|input| InputSettings::new(input, &state).expect("resolved")).collect();
        let settings = ShipSettings {
            state: state.clone(),
            source: SourceId::from_name("test"),
            host: "shipper-host".into(),
            sources: inputs.iter().map(|input| input.source.clone()).collect(),
            mode: Mode::Follow,
            timing: Timing { rotated_quiet: Duration::from_millis(200), ..Timing::default() },
            limits: Limits::default(),
            deleted_bytes_max: 1 << 30,
        };
        let shipper = Shipper::new(settings).expect("started");
        let inputs = Inputs::start(inputs, &state).await.expect("started");
        self.address = inputs.addresses()[0].unwrap_or(self.address);
        self.counters = inputs.counters();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(shipper.run(Arc::clone(&self.buffer), async {
            drop(stopped.await);
            inputs.stop().await;
        }));
        self.running = Some(Running { stop, task });
    }

    pub async fn stop(&mut self) {
        let Running { stop, task } = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
    }

    pub fn counts(&self) -> InputCounts {
        self.counters[0].1.counts()
    }

    async fn claim(&mut self) {
        let mut decoder = Decoder::new().expect("a decoder");
        loop {
            let claims =
                self.consumer.claim(1000, usize::MAX, Duration::from_millis(1)).await.expect("claimed");
            if claims.is_empty() {
                return;
            }
            for claim in &claims {
                let frame = decoder.decode(&claim.bytes).expect("a frame");
                for record in frame.records() {
                    let fields = frame.groups[record.group].1;
                    let text = format!("{{{},{fields}}}", String::from_utf8_lossy(record.document));
                    let document: Value = serde_json::from_str(&text).expect("JSON");
                    let id = String::from_utf8(frame.id(&record).to_text().to_vec()).expect("text");
                    let sequence = frame.header.sequence_base + record.offset as i64;
                    self.arrived.insert(id, (sequence, document));
                }
            }
            let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
            self.buffer.acknowledge(&ids).await.expect("acknowledged");
        }
    }

    /// All documents, in the order of `event.sequence`.
    pub fn documents(&self) -> Vec<Value> {
        let mut documents: Vec<_> = self.arrived.values().cloned().collect();
        documents.sort_by_key(|(sequence, _)| *sequence);
        documents.into_iter().map(|(_, document)| document).collect()
    }

    pub fn messages(&self) -> Vec<String> {
        let text = |document: &Value| document["message"].as_str().expect("a message").to_owned();
        self.documents().iter().map(text).collect()
    }

    /// Waits until exactly this many documents have arrived, and no more come for a moment.
    pub async fn expect_count(&mut self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.claim().await;
            if self.arrived.len() == count {
                return;
            }
            let messages = self.messages();
            assert!(
                Instant::now() < deadline && messages.len() <= count,
                "expected {count}, have {}: {:.2000}; {:?}",
                messages.len(),
                format!("{messages:?}"),
                self.counts()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until exactly these messages have arrived, each once, in this order.
    pub async fn expect(&mut self, expected: &[&str]) {
        self.expect_count(expected.len()).await;
        assert_eq!(self.messages(), expected);
    }

    /// Waits until so many documents of a process have arrived.
    pub async fn expect_of(&mut self, process: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.claim().await;
            let mut documents = self.documents();
            documents.retain(|document| document["process.name"] == process);
            if documents.len() == count {
                return documents;
            }
            assert!(Instant::now() < deadline, "expected {count}, have {documents:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn until(&self, what: &str, mut is_so: impl FnMut(InputCounts) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self.counts()) {
            assert!(Instant::now() < deadline, "never {what}: {:?}", self.counts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether a program can be run; says so where it cannot.
pub fn has(test: &str, program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if let Err(error) = found {
        let reason = format!("SKIPPED: {test}: {program} cannot be run: {error}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
        eprintln!("{reason}");
        return false;
    }
    true
}

/// Runs a program to its end, with `input` on its standard input.
pub async fn run(program: &str, arguments: &[&str], input: &str) {
    let (program, input) = (program.to_owned(), input.to_owned());
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(&program)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("written");
        drop(stdin);
        let mut errors = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut errors).expect("read");
        assert!(child.wait().expect("ended").success(), "{program} {arguments:?}: {errors}");
    });
    running.await.expect("no panic");
}
