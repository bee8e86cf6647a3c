//! The follower on a real file system, with the buffer in memory: what is written is what arrives, once.

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
use weir_shipper::{Counts, Mode, Settled, ShipError, ShipSettings, Shipper, SourceSettings, Start};

const DEADLINE: Duration = Duration::from_secs(20);

/// A directory with logs, a shipper, a buffer, and everything that arrived.
struct Rig {
    directory: TempDir,
    buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    running: Option<Running>,
    start: Start,
    drop: Vec<Query>,
    /// `_id` to message: as the index would see it.
    arrived: HashMap<String, Arrived>,
    claims: Vec<ClaimId>,
}

/// Dropping the sender stops the shipper.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), ShipError>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrived {
    message: String,
    path: String,
    sequence: i64,
    truncated: bool,
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
            running: None,
            start: Start::Beginning,
            drop: Vec::new(),
            arrived: HashMap::new(),
            claims: Vec::new(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join("logs").join(name)
    }

    fn settings(&self, mode: Mode) -> ShipSettings {
        let mut source = SourceSettings::new(vec![self.log("*.log").display().to_string()]);
        source.format = Format::Plain;
        source.start = self.start;
        source.drop = self.drop.clone();
        ShipSettings {
            state: self.directory.path().join("state"),
            source: SourceId::from_name("test"),
            host: "test".into(),
            sources: vec![source],
            mode,
        }
    }

    fn start(&mut self) {
        let shipper = Shipper::new(self.settings(Mode::Follow)).expect("started");
        let (stop, stopped) = oneshot::channel::<()>();
        let buffer = Arc::clone(&self.buffer);
        let task = tokio::spawn(shipper.run(buffer, async {
            drop(stopped.await);
        }));
        self.running = Some((stop, task));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
    }

    async fn once(&mut self) -> Counts {
        let shipper = Shipper::new(self.settings(Mode::Once(Settled::Pushed))).expect("started");
        let progress = shipper.progress();
        shipper.run(Arc::clone(&self.buffer), std::future::pending()).await.expect("a clean end");
        progress.counts()
    }

    /// Takes what is in the buffer, without acknowledging.
    async fn claim(&mut self) {
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
            assert!(before.is_none_or(|before| before == arrived), "one id, two records: {arrived:?}");
        }
    }

    /// As after FLUSHALL, or a stale copy of the buffer that was put back.
    async fn replace_buffer(&mut self, buffer: MemoryBuffer) {
        self.buffer = Arc::new(buffer);
        self.consumer = self.buffer.consumer("test").await.expect("a consumer");
        self.arrived.clear();
        self.claims.clear();
    }

    async fn acknowledge(&mut self) {
        let claims = std::mem::take(&mut self.claims);
        self.buffer.acknowledge(&claims).await.expect("acknowledged");
    }

    /// The messages in the order of `event.sequence`.
    fn messages(&self) -> Vec<String> {
        let mut records: Vec<&Arrived> = self.arrived.values().collect();
        records.sort_by_key(|record| record.sequence);
        records.iter().map(|record| record.message.clone()).collect()
    }

    /// Waits until exactly these messages have arrived, each once, in this order.
    async fn expect(&mut self, expected: &[String]) {
        self.expect_as(expected, |_| {}).await;
    }

    /// The same, in any order: files that were made within one tick of the file system's clock are born together.
    async fn expect_in_any_order(&mut self, expected: &[String]) {
        self.expect_as(expected, <[String]>::sort).await;
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
            assert!(
                Instant::now() < deadline,
                "expected {} messages, have {}: {:?}",
                expected.len(),
                messages.len(),
                messages.iter().take(20).collect::<Vec<_>>()
            );
            tokio::task::yield_now().await;
        }
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number:05}")).collect()
}

fn text(range: std::ops::Range<usize>) -> String {
    lines(range).iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn what_is_there_what_is_appended_and_what_appears_later_all_arrive() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    append(&rig.log("a.log"), &text(10..20));
    rig.expect(&lines(0..20)).await;
    append(&rig.log("b.log"), &text(20..30));
    rig.expect(&lines(0..30)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_line_waits_for_its_newline_even_when_its_bytes_come_one_by_one() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..1));
    rig.start();
    rig.expect(&lines(0..1)).await;
    for byte in text(1..2).chars() {
        append(&rig.log("a.log"), &byte.to_string());
        rig.claim().await;
    }
    rig.expect(&lines(0..2)).await;
    append(&rig.log("a.log"), "no newline");
    rig.stop().await;
    rig.expect(&lines(0..2)).await;
    rig.once().await;
    let mut all = lines(0..2);
    all.push("no newline".into());
    rig.expect(&all).await;
}

#[tokio::test]
async fn renamed_files_are_read_to_their_end_and_their_successors_from_the_beginning() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    for round in 1..6 {
        let mut writer = OpenOptions::new().append(true).open(&path).expect("opened");
        fs::rename(&path, rig.log(&format!("a.log.{round}"))).expect("renamed");
        // The writer keeps its old handle for a while.
        writer.write_all(text(round * 10..round * 10 + 5).as_bytes()).expect("written");
        append(&path, &text(round * 10 + 5..round * 10 + 10));
        rig.expect(&lines(0..round * 10 + 10)).await;
    }
    assert!(
        rig.arrived.values().all(|record| record.path.ends_with("/a.log")),
        "the name it was written under"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_life_ended_and_reads_what_was_rotated_meanwhile() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.acknowledge().await;
    rig.stop().await;

    append(&path, &text(10..15));
    fs::rename(&path, rig.log("a.log.2")).expect("renamed");
    append(&rig.log("a.log.1"), &text(15..20));
    append(&path, &text(20..25));
    rig.start();
    rig.expect_in_any_order(&lines(0..25)).await;
    rig.stop().await;
    let frames = rig.buffer.depth().await.expect("depth").frames;
    assert!(frames <= 6, "nothing was sent twice: {frames} frames");
}

#[tokio::test]
async fn a_buffer_that_lost_everything_gets_what_was_not_indexed_again() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.acknowledge().await;
    append(&rig.log("a.log"), &text(10..20));
    rig.expect(&lines(0..20)).await;
    rig.stop().await;

    // The second ten were never acknowledged.
    rig.replace_buffer(MemoryBuffer::new(1 << 30)).await;
    rig.start();
    append(&rig.log("a.log"), &text(20..25));
    rig.expect(&lines(10..25)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_state_directory_costs_no_line_and_no_visible_duplicate() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.stop().await;
    fs::remove_dir_all(rig.directory.path().join("state")).expect("removed");
    append(&rig.log("a.log"), &text(10..20));
    rig.start();
    rig.expect(&lines(0..20)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_truncated_file_is_read_again_from_its_beginning_under_another_identity() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    OpenOptions::new().write(true).open(&path).expect("opened").set_len(0).expect("truncated");
    append(&path, &text(0..3));
    let mut all = lines(0..10);
    all.extend(lines(0..3));
    rig.expect(&all).await;
    rig.stop().await;

    // Truncated and grown past the old offset while nobody looked.
    OpenOptions::new().write(true).open(&path).expect("opened").set_len(0).expect("truncated");
    append(&path, &text(100..200));
    rig.start();
    all.extend(lines(100..200));
    rig.expect(&all).await;
    rig.stop().await;
}

#[tokio::test]
async fn ten_thousand_identical_lines_all_stay_visible() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &"same\n".repeat(5000));
    rig.start();
    let same = |count| vec!["same".to_owned(); count];
    rig.expect(&same(5000)).await;
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).expect("renamed");
    append(&rig.log("a.log"), &"same\n".repeat(5000));
    rig.expect(&same(10_000)).await;
    rig.stop().await;
}

#[tokio::test]
async fn the_same_file_under_two_names_arrives_once() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    fs::hard_link(rig.log("a.log"), rig.log("b.log")).expect("linked");
    std::os::unix::fs::symlink(rig.log("a.log"), rig.log("c.log")).expect("linked");
    rig.once().await;
    rig.expect(&lines(0..10)).await;
    assert_eq!(rig.arrived.len(), 10);
}

#[tokio::test]
async fn a_line_over_the_limit_is_cut_and_counted_and_the_file_goes_on() {
    let mut rig = Rig::new().await;
    let mut file = File::create(rig.log("a.log")).expect("created");
    file.write_all(b"before\n").expect("written");
    for _ in 0..5 {
        file.write_all(&vec![b'x'; 1024 * 1024]).expect("written");
    }
    file.write_all(b"\nafter\n").expect("written");
    let counts = rig.once().await;
    assert_eq!((counts.records, counts.records_truncated), (3, 1));
    rig.claim().await;
    let messages = rig.messages();
    assert_eq!(messages.len(), 3);
    assert_eq!(
        (messages[0].as_str(), messages[1].len(), messages[2].as_str()),
        ("before", 1024 * 1024, "after")
    );
    assert!(rig.arrived.values().any(|record| record.truncated));
}

#[tokio::test]
async fn start_at_the_end_leaves_out_only_what_was_there_before() {
    let mut rig = Rig::new().await;
    rig.start = Start::End;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    // The first file has to be met before it grows: the buffer learns of it with the first new line.
    let deadline = Instant::now() + DEADLINE;
    let mut number = 10;
    while rig.arrived.is_empty() {
        append(&rig.log("a.log"), &text(number..number + 1));
        number += 1;
        rig.claim().await;
        assert!(Instant::now() < deadline, "nothing arrived");
    }
    append(&rig.log("b.log"), &text(90_000..90_010));
    let deadline = Instant::now() + DEADLINE;
    while !rig.messages().contains(&"line 90009".to_owned()) {
        rig.claim().await;
        assert!(Instant::now() < deadline, "the new file was not read");
    }
    assert!(
        rig.messages().contains(&"line 90000".to_owned()),
        "a file that appears later is read from its beginning"
    );
    assert!(!rig.messages().contains(&"line 00000".to_owned()), "what was there before is left out");
    rig.stop().await;
}

#[tokio::test]
async fn records_that_a_rule_drops_are_not_shipped_and_their_bytes_count_as_done() {
    let mut rig = Rig::new().await;
    rig.drop = vec![Query::parse("message:noise").expect("a query")];
    append(&rig.log("a.log"), "noise 1\nline 00000\nnoise 2\nline 00001\nnoise 3\n");
    let counts = rig.once().await;
    assert_eq!((counts.records, counts.records_dropped), (5, 3));
    rig.expect(&lines(0..2)).await;
    let file = rig.claims[0].range().expect("a range").file;
    assert_eq!(position(&rig.buffer, file).await.0, Some(46), "the dropped lines at both ends are covered");
}

#[tokio::test]
async fn a_second_shipper_on_the_same_state_is_refused() {
    let rig = Rig::new().await;
    let first = Shipper::new(rig.settings(Mode::Follow)).expect("started");
    let second = Shipper::new(rig.settings(Mode::Follow)).map(|_| ()).expect_err("refused");
    assert!(second.to_string().contains("another shipper uses the state directory"), "{second}");
    drop(first);
    Shipper::new(rig.settings(Mode::Follow)).expect("free again");
}

#[tokio::test]
async fn frames_that_vanish_from_the_buffer_are_sent_again() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    let file = rig.claims[0].range().expect("a range").file;
    // A stale copy of the buffer was put back: it knows less than it had acknowledged.
    let lost = MemoryBuffer::with_positions(1 << 30, [(file, 0)]);
    assert_eq!(position(&lost, file).await, (Some(0), Some(0)));
    rig.stop().await;
    rig.replace_buffer(lost).await;
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.stop().await;
}

async fn position(buffer: &MemoryBuffer, file: FileKey) -> (Option<u64>, Option<u64>) {
    let position = buffer.positions(&[file]).await.expect("positions")[0];
    (position.pushed, position.indexed)
}
