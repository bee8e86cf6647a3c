//! A directory with logs, a shipper, a buffer, and an oracle of what was written.
//!
//! Everything that is done to the logs through the rig is remembered line by line; [`Rig::expect_all_exactly_once`]
//! compares that with what the index would show: every record of every frame, by its `_id`.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_buffer::{Buffer as _, ClaimId, Consumer as _, MemoryBuffer, MemoryConsumer};
use weir_record::frame::Decoder;
use weir_record::{FileKey, Query, SourceId};
use weir_shipper::parse::Format;
use weir_shipper::settings::DELETED_BYTES_MAX;
use weir_shipper::{
    Counts, Limits, Mode, Progress, Settled, ShipError, ShipSettings, Shipper, SourceSettings, Start, Timing,
};

/// How long a test waits for what has to happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// What the follower waits for in these tests.
pub const QUIET: Duration = Duration::from_millis(200);

/// See the module.
pub struct Rig {
    pub directory: TempDir,
    pub buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    running: Option<Running>,
    pub start: Start,
    pub drop: Vec<Query>,
    /// Patterns, relative to the directory of the logs.
    pub patterns: Vec<String>,
    pub timing: Timing,
    pub deleted_bytes_max: u64,
    pub remove_when_indexed: bool,
    /// `_id` to record: as the index would see it.
    pub arrived: HashMap<String, Arrived>,
    pub claims: Vec<ClaimId>,
    /// Every line that was written.
    written: Vec<String>,
    number: usize,
}

struct Running {
    /// Dropping it stops the shipper.
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ShipError>>,
    progress: Arc<Progress>,
}

/// A record, as it would stand in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub message: String,
    pub path: String,
    pub sequence: i64,
    pub truncated: bool,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
    Bzip2,
}

impl Compression {
    pub const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Bzip2];

    pub fn ending(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Zstd => "zst",
            Compression::Bzip2 => "bz2",
        }
    }

    pub fn compress(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).expect("compressed");
                encoder.finish().expect("compressed")
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).expect("compressed"),
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).expect("compressed");
                encoder.finish().expect("compressed")
            }
        }
    }
}

impl Rig {
    /// Logs in the system's directory for temporary files.
    pub async fn new() -> Rig {
        Rig::in_directory(tempfile::tempdir().expect("a directory")).await
    }

    /// Logs and state in this directory.
    pub async fn in_directory(directory: TempDir) -> Rig {
        if std::env::var_os("WEIR_LOG").is_some() {
            static LOG: std::sync::Once = std::sync::Once::new();
            LOG.call_once(weir_process::begin);
        }
        fs::create_dir(directory.path().join("logs")).expect("made");
        let buffer = Arc::new(MemoryBuffer::new(1 << 30));
        let consumer = buffer.consumer("test").await.expect("a consumer");
        Rig {
            directory,
            buffer,
            consumer,
            running: None,
            start: Start::Beginning,
            drop: Vec::new(),
            patterns: vec!["*.log".into()],
            timing: Timing { rotated_quiet: QUIET, copy_quiet: QUIET },
            deleted_bytes_max: DELETED_BYTES_MAX,
            remove_when_indexed: false,
            arrived: HashMap::new(),
            claims: Vec::new(),
            written: Vec::new(),
            number: 0,
        }
    }

    /// Where a log is.
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join("logs").join(name)
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn settings(&self, mode: Mode) -> ShipSettings {
        let patterns = self.patterns.iter().map(|pattern| self.log(pattern).display().to_string()).collect();
        let mut source = SourceSettings::new(patterns);
        source.format = Format::Plain;
        source.start = self.start;
        source.drop = self.drop.clone();
        source.remove_when_indexed = self.remove_when_indexed;
        ShipSettings {
            state: self.state(),
            source: SourceId::from_name("test"),
            host: "test".into(),
            sources: vec![source],
            mode,
            timing: self.timing,
            limits: Limits::default(),
            deleted_bytes_max: self.deleted_bytes_max,
        }
    }

    // What is done to the logs.

    /// Appends lines that no other is equal to.
    pub fn append(&mut self, name: &str, count: usize) {
        let range = self.number..self.number + count;
        self.number += count;
        append(&self.log(name), &text(range.clone()));
        self.written.extend(lines(range));
    }

    /// Appends lines that are all the same, and have no time.
    pub fn append_same(&mut self, name: &str, count: usize) {
        append(&self.log(name), &"same\n".repeat(count));
        self.written.extend(std::iter::repeat_n("same".to_owned(), count));
    }

    /// Appends text; `line` is what arrives when it is whole.
    pub fn append_text(&mut self, name: &str, text: &str, line: Option<&str>) {
        append(&self.log(name), text);
        self.written.extend(line.map(str::to_owned));
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.log(from), self.log(to)).expect("renamed");
    }

    /// As `logrotate` does with `copytruncate`.
    pub fn copytruncate(&self, from: &str, to: &str) {
        self.copy(from, to);
        self.truncate(from);
    }

    pub fn copy(&self, from: &str, to: &str) {
        fs::copy(self.log(from), self.log(to)).expect("copied");
    }

    pub fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.log(name)).expect("opened").set_len(0).expect("truncated");
    }

    /// As `gzip` and its kin do: writes the compressed file, gives it the times of the plain one, removes that.
    /// Returns the new name.
    pub fn compress(&self, name: &str, how: Compression) -> String {
        let compressed = self.compress_and_keep(name, how);
        self.delete(name);
        compressed
    }

    /// As `gzip --keep`.
    pub fn compress_and_keep(&self, name: &str, how: Compression) -> String {
        let target = format!("{name}.{}", how.ending());
        let plain = fs::read(self.log(name)).expect("read");
        let modified = fs::metadata(self.log(name)).expect("there").modified().expect("a time");
        let mut file = File::create(self.log(&target)).expect("created");
        file.write_all(&how.compress(&plain)).expect("written");
        file.set_modified(modified).expect("set");
        target
    }

    pub fn delete(&self, name: &str) {
        fs::remove_file(self.log(name)).expect("removed");
    }

    // What is done to the shipper.

    pub fn start(&mut self) {
        let shipper = Shipper::new(self.settings(Mode::Follow)).expect("started");
        let progress = shipper.progress();
        let (stop, stopped) = oneshot::channel::<()>();
        let buffer = Arc::clone(&self.buffer);
        let task = tokio::spawn(shipper.run(buffer, async {
            drop(stopped.await);
        }));
        self.running = Some(Running { stop, task, progress });
    }

    pub async fn stop(&mut self) -> Counts {
        let Running { stop, task, progress } = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
        progress.counts()
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    /// Stops, and leaves the state as it was some time before: as after a `kill -9`.
    pub async fn crash(&mut self) {
        let checkpoint = self.state().join("checkpoint");
        let before = fs::read(&checkpoint).ok();
        self.stop().await;
        match before {
            Some(before) => fs::write(&checkpoint, before).expect("written"),
            None => drop(fs::remove_file(&checkpoint)),
        }
    }

    /// The shipper must not run.
    pub fn lose_state(&self) {
        assert!(self.running.is_none(), "the shipper runs");
        fs::remove_dir_all(self.state()).expect("removed");
    }

    pub async fn once(&mut self) -> Counts {
        let shipper = Shipper::new(self.settings(Mode::Once(Settled::Pushed))).expect("started");
        let progress = shipper.progress();
        shipper.run(Arc::clone(&self.buffer), std::future::pending()).await.expect("a clean end");
        progress.counts()
    }

    /// What the running shipper has counted.
    pub fn counts(&self) -> Counts {
        self.running.as_ref().expect("running").progress.counts()
    }

    // What arrives.

    /// Takes what is in the buffer, without acknowledging.
    pub async fn claim(&mut self) {
        let mut decoder = Decoder::new().expect("a decoder");
        loop {
            let claims =
                self.consumer.claim(1000, usize::MAX, Duration::from_millis(1)).await.expect("claimed");
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                self.take_frame(&mut decoder, &claim.bytes);
                self.claims.push(claim.id);
            }
        }
    }

    fn take_frame(&mut self, decoder: &mut Decoder, bytes: &[u8]) {
        let frame = decoder.decode(bytes).expect("a frame");
        for record in frame.records() {
            let fields = frame.groups[record.group].1;
            let text = format!("{{{},{fields}}}", String::from_utf8_lossy(record.document));
            let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let id = String::from_utf8(frame.id(&record).to_text().to_vec()).expect("text");
            let arrived = Arrived {
                message: document["message"].as_str().expect("a message").to_owned(),
                path: document["log.file.path"].as_str().expect("a path").to_owned(),
                sequence: frame.header.sequence_base + record.offset as i64,
                truncated: document["tags"]
                    .as_array()
                    .is_some_and(|tags| tags.iter().any(|tag| tag == "truncated")),
            };
            let before = self.arrived.insert(id, arrived.clone());
            assert!(
                before.is_none_or(|before| before.message == arrived.message),
                "one id, two records: {arrived:?}"
            );
        }
    }

    /// As after FLUSHALL, or a stale copy of the buffer that was put back.
    pub async fn replace_buffer(&mut self, buffer: MemoryBuffer) {
        self.buffer = Arc::new(buffer);
        self.consumer = self.buffer.consumer("test").await.expect("a consumer");
        self.arrived.clear();
        self.claims.clear();
    }

    /// Everything that was claimed is indexed.
    pub async fn acknowledge(&mut self) {
        let claims = std::mem::take(&mut self.claims);
        self.buffer.acknowledge(&claims).await.expect("acknowledged");
    }

    /// The messages in the order of `event.sequence`.
    pub fn messages(&self) -> Vec<String> {
        let mut records: Vec<&Arrived> = self.arrived.values().collect();
        records.sort_by_key(|record| record.sequence);
        records.iter().map(|record| record.message.clone()).collect()
    }

    /// Waits until exactly these messages have arrived, each once, in this order.
    pub async fn expect(&mut self, expected: &[String]) {
        self.expect_as(expected, |_| {}).await;
    }

    /// The same, in any order: files that were made within one tick of the file system's clock are born together.
    pub async fn expect_in_any_order(&mut self, expected: &[String]) {
        self.expect_as(expected, <[String]>::sort).await;
    }

    /// Waits until every line that was written is visible, and none twice.
    pub async fn expect_all_exactly_once(&mut self) {
        let mut expected = self.written.clone();
        expected.sort();
        self.expect_as(&expected, <[String]>::sort).await;
    }

    /// The same, and that it stays so: a duplicate may come late.
    pub async fn expect_all_exactly_once_for_good(&mut self) {
        self.expect_all_exactly_once().await;
        let end = Instant::now() + QUIET * 4;
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.claim().await;
        }
        self.expect_all_exactly_once().await;
    }

    async fn expect_as(&mut self, expected: &[String], arrange: impl Fn(&mut [String])) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.claim().await;
            let mut messages = self.messages();
            arrange(&mut messages);
            if messages == expected {
                return;
            }
            let (missing, extra) = difference(expected, &messages);
            assert!(
                Instant::now() < deadline && extra.is_empty(),
                "expected {} messages, have {}; {} missing: {:?}; {} too many: {:?}",
                expected.len(),
                messages.len(),
                missing.len(),
                &missing[..missing.len().min(10)],
                extra.len(),
                &extra[..extra.len().min(10)],
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a condition holds.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&Rig) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.claim().await;
        }
    }
}

/// What is missing of the expected lines, and what is there too often.
fn difference(expected: &[String], have: &[String]) -> (Vec<String>, Vec<String>) {
    let mut counts: HashMap<&String, i64> = HashMap::new();
    expected.iter().for_each(|line| *counts.entry(line).or_default() += 1);
    have.iter().for_each(|line| *counts.entry(line).or_default() -= 1);
    let repeat = |sign: i64| {
        let mut lines: Vec<String> = counts
            .iter()
            .flat_map(|(line, count)| std::iter::repeat_n((*line).clone(), (sign * count).max(0) as usize))
            .collect();
        lines.sort();
        lines
    };
    (repeat(1), repeat(-1))
}

pub fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

pub fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number:05}")).collect()
}

pub fn text(range: std::ops::Range<usize>) -> String {
    lines(range).iter().map(|line| format!("{line}\n")).collect()
}

/// Where the buffer stands with a file: pushed and indexed.
pub async fn position(buffer: &MemoryBuffer, file: FileKey) -> (Option<u64>, Option<u64>) {
    let position = buffer.positions(&[file]).await.expect("positions")[0];
    (position.pushed, position.indexed)
}
