//! Logs of containers, files in other encodings, and years of rotated files, followed on a real file system with the
//! buffer in memory: each line arrives once, whole, and with the names of who wrote it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_buffer::{Buffer as _, Consumer as _, MemoryBuffer, MemoryConsumer};
use weir_record::SourceId;
use weir_record::frame::Decoder;
use weir_shipper::settings::DELETED_BYTES_MAX;
use weir_shipper::{Counts, Mode, Settled, ShipError, ShipSettings, Shipper, SourceSettings, Timing};

const DEADLINE: Duration = Duration::from_secs(20);
const POD: &str = "shop_checkout-7d9f8b6c5d-x2x9z_8f4f3b0e-5b1c-4f0e-9d58-0f2f3c9a1b7d";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Dropping the sender stops the shipper.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), ShipError>>);

/// A directory with logs, a shipper, a buffer, and everything that arrived.
struct Rig {
    directory: TempDir,
    buffer: Arc<MemoryBuffer>,
    consumer: MemoryConsumer,
    source: SourceSettings,
    running: Option<Running>,
    /// `_id` to offset and document.
    arrived: BTreeMap<String, (i64, Value)>,
    /// Messages as they came.
    order: Vec<String>,
    datasets: Vec<String>,
}

impl Rig {
    async fn new(pattern: &str) -> Rig {
        let directory = tempfile::tempdir().expect("a directory");
        let buffer = Arc::new(MemoryBuffer::new(1 << 30));
        let consumer = buffer.consumer("test").await.expect("a consumer");
        let source = SourceSettings::new(vec![directory.path().join(pattern).display().to_string()]);
        Rig {
            directory,
            buffer,
            consumer,
            source,
            running: None,
            arrived: BTreeMap::new(),
            order: Vec::new(),
            datasets: Vec::new(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        path
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.log(name)).expect("opened");
        file.write_all(text.as_ref()).expect("written");
    }

    fn shipper(&self, mode: Mode) -> Shipper {
        let quiet = Duration::from_millis(300);
        Shipper::new(ShipSettings {
            state: self.directory.path().join("state"),
            source: SourceId::from_name("test"),
            host: "test".into(),
            sources: vec![self.source.clone()],
            mode,
            timing: Timing { rotated_quiet: quiet, copy_quiet: quiet },
            deleted_bytes_max: DELETED_BYTES_MAX,
            limits: Default::default(),
        })
        .expect("a shipper")
    }

    fn start(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let run = self.shipper(Mode::Follow).run(Arc::clone(&self.buffer), async {
            drop(stopped.await);
        });
        self.running = Some((stop, tokio::spawn(run)));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("running");
        drop(stop);
        task.await.expect("no panic").expect("a clean end");
    }

    async fn once(&mut self) -> Counts {
        let shipper = self.shipper(Mode::Once(Settled::Pushed));
        let progress = shipper.progress();
        shipper.run(Arc::clone(&self.buffer), std::future::pending()).await.expect("a clean end");
        self.claim().await;
        progress.counts()
    }

    /// As after FLUSHALL, and without the shipper's state: everything is read again.
    async fn forget_everything(&mut self) {
        fs::remove_dir_all(self.directory.path().join("state")).expect("removed");
        self.buffer = Arc::new(MemoryBuffer::new(1 << 30));
        self.consumer = self.buffer.consumer("test").await.expect("a consumer");
    }

    async fn claim(&mut self) {
        let mut decoder = Decoder::new().expect("a decoder");
        loop {
            let wait = Duration::from_millis(1);
            let claims = self.consumer.claim(1000, usize::MAX, wait).await.expect("claimed");
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                let frame = decoder.decode(&claim.bytes).expect("a frame");
                for record in frame.records() {
                    let (dataset, fields) = frame.groups[record.group];
                    let text = format!("{{{},{fields}}}", String::from_utf8_lossy(record.document));
                    let document: Value = serde_json::from_str(&text).expect("JSON");
                    let id = String::from_utf8_lossy(&frame.id(&record).to_text()).into_owned();
                    self.order.push(document["message"].as_str().expect("a message").to_owned());
                    self.datasets.push(dataset.to_owned());
                    let sequence = frame.header.sequence_base + record.offset as i64;
                    self.arrived.insert(id, (sequence, document));
                }
            }
        }
    }

    /// Messages with their streams, sorted.
    fn lines(&self) -> Vec<String> {
        let line = |(_, document): &(i64, Value)| {
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("log.iostream"), text("message"))
        };
        let mut lines: Vec<String> = self.arrived.values().map(line).collect();
        lines.sort();
        lines
    }

    async fn expect(&mut self, expected: &[String]) {
        let mut expected = expected.to_vec();
        expected.sort();
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.claim().await;
            let lines = self.lines();
            if lines == expected {
                return;
            }
            let missing: Vec<_> = expected.iter().filter(|line| !lines.contains(line)).take(5).collect();
            let strange: Vec<_> = lines.iter().filter(|line| !expected.contains(line)).take(5).collect();
            assert!(Instant::now() < deadline, "missing {missing:?}, strange {strange:?}");
            tokio::task::yield_now().await;
        }
    }

    fn documents(&self) -> impl Iterator<Item = &Value> {
        self.arrived.values().map(|(_, document)| document)
    }
}

/// Lines of one round in a container's log, two of them in pieces among each other, and what has to arrive of them.
fn round(number: usize) -> (String, Vec<String>) {
    let line = |stream: &str, tag: &str, text: &str| {
        format!("2026-11-21T10:{:02}:{:02}.000000001Z {stream} {tag} {text}\n", number / 60, number % 60)
    };
    let wrapped = [
        line("stdout", "F", &format!(r#"{{"msg":"json {number}"}}"#)),
        line("stdout", "P", &format!(r#"{{"msg":"out {number} "#)),
        line("stderr", "P", &format!(r#"{{"msg":"err {number} "#)),
        line("stdout", "P", "goes on"),
        line("stderr", "F", r#"ends"}"#),
        line("stdout", "F", r#" and ends"}"#),
    ];
    let expected = vec![
        format!("stdout json {number}"),
        format!("stdout out {number} goes on and ends"),
        format!("stderr err {number} ends"),
    ];
    (wrapped.concat(), expected)
}

fn gzip(path: &Path) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&fs::read(path).expect("read")).expect("compressed");
    // As the kubelet does it: under another name first.
    let temporary =
        path.with_file_name(format!("{}.tmp", path.file_name().expect("a name").to_string_lossy()));
    fs::write(&temporary, encoder.finish().expect("compressed")).expect("written");
    let target = path.with_file_name(format!("{}.gz", path.file_name().expect("a name").to_string_lossy()));
    fs::rename(&temporary, target).expect("renamed");
    fs::remove_file(path).expect("removed");
}

#[tokio::test]
async fn a_pods_lines_all_arrive_once_through_the_kubelets_rotation_and_name_their_pod() {
    let mut rig = Rig::new("pods/*/*/*.log").await;
    let log = format!("pods/{POD}/api/0.log");
    let mut expected = Vec::new();
    rig.start();
    for number in 0..12 {
        let (text, lines) = round(number);
        rig.append(&log, text);
        expected.extend(lines);
        if number % 3 == 2 {
            // While it is behind, and while it is not.
            if number % 2 == 0 {
                rig.expect(&expected).await;
            }
            let rotated = rig.log(&format!("{log}.20261121-1000{number:02}"));
            fs::rename(rig.log(&log), &rotated).expect("renamed");
            if number == 5 {
                rig.expect(&expected).await;
                gzip(&rotated);
            }
        }
    }
    let (text, lines) = round(12);
    rig.append(&format!("pods/{POD}/api/1.log"), text);
    expected.extend(lines);
    rig.expect(&expected).await;
    rig.stop().await;
    for document in rig.documents() {
        let field = |name: &str| document[name].as_str().unwrap_or_default();
        assert_eq!(field("kubernetes.namespace"), "shop", "{document}");
        assert_eq!(field("kubernetes.pod.name"), "checkout-7d9f8b6c5d-x2x9z");
        assert_eq!(field("kubernetes.container.name"), "api");
        assert_eq!(field("service.name"), "api");
        assert!(field("@timestamp").starts_with("2026-11-21T10:00:"), "{document}");
    }
    assert!(rig.datasets.iter().all(|dataset| dataset == "kubernetes.container_logs"));
}

#[tokio::test]
async fn docker_lines_all_arrive_once_through_its_rotation_and_name_their_container() {
    let mut rig = Rig::new("containers/*/*-json.log").await;
    let log = format!("containers/{ID}/{ID}-json.log");
    let config = r#"{"Name":"/shop-api-1","Config":{"Image":"shop/api:7","Labels":{"com.docker.compose.service":"api"}}}"#;
    rig.append(&format!("containers/{ID}/config.v2.json"), config);
    let line = |stream: &str, text: &str| {
        format!("{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"2026-11-21T10:00:00.5Z\"}}\n")
    };
    rig.start();
    let mut expected = Vec::new();
    for number in 0..9 {
        rig.append(&log, line("stdout", &format!("out {number} ")));
        rig.append(&log, line("stderr", &format!("err {number}\\n")));
        rig.append(&log, line("stdout", "ends\\n"));
        expected.extend([format!("stdout out {number} ends"), format!("stderr err {number}")]);
        if number % 3 == 2 {
            rig.expect(&expected).await;
            for old in (0..2).rev() {
                let from = if old == 0 { log.clone() } else { format!("{log}.{old}") };
                drop(fs::rename(rig.log(&from), rig.log(&format!("{log}.{}", old + 1))));
            }
        }
    }
    rig.expect(&expected).await;
    rig.stop().await;
    for document in rig.documents() {
        let field = |name: &str| document[name].as_str().unwrap_or_default();
        assert_eq!(field("container.id"), ID);
        assert_eq!(field("container.name"), "shop-api-1");
        assert_eq!(field("container.image.name"), "shop/api:7");
        assert_eq!(field("service.name"), "api");
        assert_eq!(field("@timestamp"), "2026-11-21T10:00:00.500Z");
    }
}

#[tokio::test]
async fn a_line_in_pieces_survives_restarts_and_is_the_same_record_when_everything_is_read_again() {
    let mut rig = Rig::new("*.log").await;
    let (text, expected) = round(0);
    rig.start();
    for (at, byte) in text.bytes().enumerate() {
        rig.append("app.log", [byte]);
        if at % 60 == 59 {
            rig.stop().await;
            rig.claim().await;
            rig.start();
        }
    }
    rig.expect(&expected).await;
    rig.stop().await;
    let ids: Vec<String> = rig.arrived.keys().cloned().collect();
    rig.forget_everything().await;
    rig.once().await;
    assert_eq!(rig.arrived.keys().cloned().collect::<Vec<_>>(), ids, "other records on the second reading");
}

#[tokio::test]
async fn a_line_whose_last_piece_does_not_come_is_shown_in_the_end_and_says_so() {
    let mut rig = Rig::new("*.log").await;
    let now = weir_record::Timestamp::from_nanos(weir_shipper::follow::nanos_now(), 9).expect("now");
    rig.start();
    rig.append("app.log", format!("{now} stderr P panicked without a newline\n"));
    rig.expect(&["stderr panicked without a newline".into()]).await;
    rig.stop().await;
    assert!(rig.documents().all(|document| document["tags"].to_string().contains("partial")));
}

#[tokio::test]
async fn lines_in_utf_16_and_latin_1_are_read_wherever_they_are_cut_and_a_huge_one_is_cut_at_the_limit() {
    for (label, mark) in [("utf-16le", true), ("utf-16be", false), ("latin1", false)] {
        let mut rig = Rig::new("*.log").await;
        let encode = |text: &str| -> Vec<u8> {
            match label {
                "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                _ => text.chars().map(|c| c as u8).collect(),
            }
        };
        if mark {
            rig.append("app.log", encode("\u{feff}"));
        } else {
            rig.source.text.encoding = label.parse().expect("known");
        }
        rig.start();
        for byte in encode("größe\r\nzwei\n") {
            rig.append("app.log", [byte]);
        }
        rig.expect(&[" größe".into(), " zwei".into()]).await;
        rig.append("app.log", encode(&"ü".repeat(5 << 20)));
        rig.append("app.log", encode("\nnach der langen\n"));
        let deadline = Instant::now() + DEADLINE;
        while rig.arrived.len() < 4 {
            rig.claim().await;
            assert!(Instant::now() < deadline, "{label}: {} records", rig.arrived.len());
            tokio::task::yield_now().await;
        }
        rig.stop().await;
        assert!(rig.lines().contains(&" nach der langen".to_owned()), "{label}");
        let long =
            rig.documents().find(|document| document["log.truncated_bytes"].is_i64()).expect("a cut line");
        assert!(long["message"].as_str().expect("text").chars().all(|c| c == 'ü'), "{label}");
        assert!(long["message"].as_str().expect("text").len() <= 1 << 20, "{label}");
    }
}

/// Files of five days, the older ones compressed; each has two lines.
fn write_history(rig: &Rig) -> Vec<String> {
    let mut expected = Vec::new();
    // The newest is made first: the order of birth is not that of the lines.
    for (age, day) in (1..=5).zip((10..15).rev()) {
        let lines: Vec<String> =
            (0..2).map(|hour| format!("2026-11-{day} 0{hour}:00:00Z INFO line of {day}")).collect();
        let name = if age == 1 { "app.log".to_owned() } else { format!("app.log.{}", age - 1) };
        rig.append(&name, lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        let written =
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_794_268_800 + (day - 10) * 86_400 + 3600);
        let file = OpenOptions::new().write(true).open(rig.log(&name)).expect("opened");
        file.set_modified(written).expect("set");
        drop(file);
        if age > 2 {
            gzip(&rig.log(&name));
            let file = OpenOptions::new().write(true).open(rig.log(&format!("{name}.gz"))).expect("opened");
            file.set_modified(written).expect("set");
        }
        expected.extend(lines);
    }
    expected
}

fn days(order: &[String]) -> Vec<String> {
    order.iter().map(|message| message.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn rotated_files_are_read_oldest_first_compressed_ones_too_and_once() {
    let mut rig = Rig::new("app.log*").await;
    let expected = write_history(&rig);
    let counts = rig.once().await;
    assert_eq!(counts.records as usize, expected.len());
    assert_eq!(counts.bytes_found, counts.bytes_read);
    let order = days(&rig.order);
    assert!(order.is_sorted() && order.len() == expected.len(), "{order:?}");
    // Again: nothing is left to do.
    assert_eq!(rig.once().await.records, 0);
    assert_eq!(rig.order.len(), expected.len());
}

#[tokio::test]
async fn events_outside_of_the_wanted_times_are_left_out_and_counted_and_files_too_old_are_not_read() {
    let mut rig = Rig::new("app.log*").await;
    write_history(&rig);
    rig.append("app.log", "without a time, as the line before it\n");
    let moment = |text: &str| weir_shipper::backfill::moment(text, SystemTime::now()).expect("a moment");
    rig.source.period.from = Some(moment("2026-11-12T00:30:00Z"));
    rig.source.period.to = Some(moment("2026-11-14T00:30:00Z"));
    let counts = rig.once().await;
    assert_eq!(days(&rig.order), ["12", "13", "13", "14"], "{:?}", rig.order);
    assert_eq!((counts.files_too_old, counts.records_skipped), (2, 3));
}
