//! Many files, and very unequal ones: nobody waits for the others.

use std::collections::HashSet;
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
use weir_shipper::settings::SCAN_INTERVAL;
use weir_shipper::{
    Counts, Limits, Mode, Progress, ShipError, ShipSettings, Shipper, SourceSettings, Timing,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A shipper on a directory, and the end of the buffer where its frames come out.
struct Rig {
    directory: TempDir,
    buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    decoder: Decoder,
    running: Option<Running>,
    limits: Limits,
}

struct Running {
    /// Dropping it stops the shipper.
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ShipError>>,
    progress: Arc<Progress>,
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
        Rig {
            directory,
            buffer,
            consumer,
            decoder: Decoder::new().expect("a decoder"),
            running: None,
            limits: Limits::default(),
        }
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
            limits: self.limits,
            deleted_bytes_max: 1 << 30,
        };
        let shipper = Shipper::new(settings).expect("started");
        let progress = shipper.progress();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(shipper.run(Arc::clone(&self.buffer), async {
            drop(stopped.await);
        }));
        self.running = Some(Running { stop, task, progress });
    }

    async fn stop(&mut self) {
        let Running { stop, task, .. } = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
    }

    fn counts(&self) -> Counts {
        self.running.as_ref().expect("running").progress.counts()
    }

    /// Waits until the counters are as they should be.
    async fn until(&self, what: &str, is_so: impl Fn(&Counts) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(&self.counts()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.counts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until something of this file has come.
    async fn expect_from(&mut self, name: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.take().await.iter().any(|arrived| arrived.path.ends_with(name)) {
            assert!(Instant::now() < deadline, "nothing of {name}: {:?}", self.counts());
        }
    }

    /// Waits until so many files are read and indexed.
    async fn expect_files(&mut self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        let mut paths = HashSet::new();
        while paths.len() < count {
            paths.extend(self.take().await.into_iter().map(|arrived| arrived.path));
            assert!(Instant::now() < deadline, "{} of {count} files", paths.len());
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn many_files_are_read_with_few_handles() {
    const HANDLES: usize = 16;
    let mut rig = Rig::new().await;
    rig.limits.handles = HANDLES;
    for number in 0..300 {
        append(&rig.log(&format!("{number}.log")), "a line\n");
    }
    rig.start("*.log");
    rig.expect_files(300).await;
    assert!(rig.counts().files_open <= HANDLES as u64, "{:?}", rig.counts());
    // One that was closed is read on.
    append(&rig.log("0.log"), "another\n");
    rig.expect_from("/0.log").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_files_that_nobody_touched_are_not_opened_at_a_start_and_their_growth_is_told() {
    let mut rig = Rig::new().await;
    for number in 0..500 {
        append(&rig.log(&format!("{number}.log")), "a line\n");
    }
    rig.start("*.log");
    rig.expect_files(500).await;
    rig.stop().await;

    let begin = Instant::now();
    rig.start("*.log");
    rig.until("all are watched", |counts| counts.idle_watched == 500).await;
    eprintln!("500 known files in {:?}", begin.elapsed());
    assert_eq!((rig.counts().files_open, rig.counts().bytes_read), (0, 0));
    let begin = Instant::now();
    append(&rig.log("77.log"), "another\n");
    rig.expect_from("/77.log").await;
    let lag = begin.elapsed();
    eprintln!("the growth of an idle file came after {lag:?}");
    assert!(lag < SCAN_INTERVAL, "the kernel told of it, not a scan");
    // What changed while nobody ran is read; what was rotated away meanwhile, too.
    rig.stop().await;
    append(&rig.log("78.log"), "another\n");
    append(&rig.log("79.log"), "another\n");
    fs::rename(rig.log("79.log"), rig.log("79.log.1")).expect("renamed");
    rig.start("*.log");
    let deadline = Instant::now() + DEADLINE;
    let mut missing = HashSet::from(["/78.log", "/79.log"]);
    while !missing.is_empty() {
        for arrived in rig.take().await {
            missing.retain(|name| !arrived.path.ends_with(name));
        }
        assert!(Instant::now() < deadline, "{missing:?} have not come");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_watches_idle_files_are_polled_and_that_is_counted() {
    let mut rig = Rig::new().await;
    rig.limits.watches = 1;
    for number in 0..5 {
        append(&rig.log(&format!("{number}.log")), "a line\n");
    }
    rig.start("*.log");
    rig.expect_files(5).await;
    rig.stop().await;
    rig.start("*.log");
    rig.until("one is watched, four are polled", |counts| {
        (counts.idle_watched, counts.idle_polled) == (1, 4)
    })
    .await;
    for number in 0..5 {
        append(&rig.log(&format!("{number}.log")), "another\n");
    }
    rig.expect_files(5).await;
    rig.stop().await;
}
