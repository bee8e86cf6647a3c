//! Many files, and very unequal ones: nobody waits for the others.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_buffer::{Buffer as _, Consumer as _, MemoryBuffer, MemoryConsumer};
use weir_record::SourceId;
use weir_record::frame::Decoder;
use weir_shipper::parse::Format;
use weir_shipper::{Mode, ShipError, ShipSettings, Shipper, SourceSettings, Timing};

const DEADLINE: Duration = Duration::from_secs(60);

/// A shipper on a directory, and the end of the buffer where its frames come out.
struct Rig {
    directory: TempDir,
    buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    decoder: Decoder,
    running: Option<Running>,
}

struct Running {
    /// Dropping it stops the shipper.
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ShipError>>,
}

/// A frame that came out.
struct Arrived {
    path: String,
    end: u64,
}

impl Rig {
    async fn new() -> Rig {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("logs")).expect("made");
        let buffer = Arc::new(MemoryBuffer::new(1 << 30));
        let consumer = buffer.consumer("test").await.expect("a consumer");
        Rig { directory, buffer, consumer, decoder: Decoder::new().expect("a decoder"), running: None }
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("logs").join(name)
    }

    fn start(&mut self, pattern: &str) {
        let mut source = SourceSettings::new(vec![self.log(pattern).display().to_string()]);
        source.format = Format::Plain;
        let settings = ShipSettings {
            state: self.directory.path().join("state"),
            source: SourceId::from_name("test"),
            host: "test".into(),
            sources: vec![source],
            mode: Mode::Follow,
            timing: Timing::default(),
            deleted_bytes_max: 1 << 30,
        };
        let shipper = Shipper::new(settings).expect("started");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(shipper.run(Arc::clone(&self.buffer), async {
            drop(stopped.await);
        }));
        self.running = Some(Running { stop, task });
    }

    async fn stop(&mut self) {
        let Running { stop, task } = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
    }

    /// Takes what has come, and says that it is indexed.
    async fn take(&mut self) -> Vec<Arrived> {
        let claims = self.consumer.claim(64, usize::MAX, Duration::from_millis(1)).await.expect("claimed");
        let arrived = claims.iter().map(|claim| decode(&mut self.decoder, &claim.bytes)).collect();
        let ids: Vec<_> = claims.into_iter().map(|claim| claim.id).collect();
        self.buffer.acknowledge(&ids).await.expect("acknowledged");
        arrived
    }
}

fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Arrived {
    let frame = decoder.decode(bytes).expect("a frame");
    let mut path = String::new();
    for record in frame.records() {
        let text =
            format!("{{{},{}}}", String::from_utf8_lossy(record.document), frame.groups[record.group].1);
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        path = document["log.file.path"].as_str().expect("a path").to_owned();
    }
    Arrived { path, end: frame.header.end }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooding_file_does_not_keep_a_quiet_one_waiting() {
    const FLOOD_MIB: u64 = 256;
    let mut rig = Rig::new().await;
    let line = format!("{}\n", "flood ".repeat(170));
    let block = line.repeat(1024 * 1024 / line.len() + 1);
    let mut flood = File::create(rig.log("flood.log")).expect("created");
    for _ in 0..FLOOD_MIB {
        flood.write_all(block.as_bytes()).expect("written");
    }
    append(&rig.log("quiet.log"), "quiet\n");
    rig.start("*.log");

    // As soon as one line of the quiet file has arrived, the next is written.
    let (mut lags, mut flooded, mut written) = (Vec::new(), 0, Instant::now());
    while lags.len() < 10 {
        for arrived in rig.take().await {
            if arrived.path.ends_with("flood.log") {
                flooded = arrived.end;
            } else {
                lags.push(written.elapsed());
                append(&rig.log("quiet.log"), "quiet\n");
                written = Instant::now();
            }
        }
        assert!(written.elapsed() < DEADLINE, "{} lines of the quiet file in time", lags.len());
    }
    eprintln!("lag of the quiet file: {lags:?}; {} MB of the flood had arrived", flooded / 1_000_000);
    assert!(flooded > 0, "the flood was on");
    assert!(
        flooded < FLOOD_MIB * 1024 * 1024 / 2,
        "ten quiet lines came while most of the flood was still to come"
    );
    rig.stop().await;
}
