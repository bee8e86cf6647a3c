//! Every line exactly once: from a file that is still written and rotated, through real servers, while whatever takes
//! part is killed.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use weir_buffer::testing::{TestRedis, free_port};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::search_server::SearchServer;
use support::{Program, Random, found, get, run, text, until_or, weir, write};

/// Lines of each of the two files.
const LINES: u64 = 12_000;

/// Written at a time, then a pause: together about four seconds.
const CHUNK_LINES: u64 = 60;
const CHUNK_PAUSE: Duration = Duration::from_millis(20);

/// A file is rotated by renaming after so many lines.
const ROTATE_LINES: u64 = 2_500;

/// Pauses between kills are random, up to this.
const KILL_PAUSE_MAX: u64 = 700;

/// A service that writes two log files, rotates them, and knows nothing of Weir.
struct Writer {
    thread: JoinHandle<()>,
    /// Its other end is dropped when all is written.
    ended: Receiver<()>,
}

impl Writer {
    fn start(directory: &Path) -> Writer {
        let (sender, ended) = sync_channel::<()>(0);
        let directory = directory.to_owned();
        let thread = std::thread::spawn(move || {
            write_lines(&directory);
            drop(sender);
        });
        Writer { thread, ended }
    }

    /// Lets it write for a random while. False: it has written everything.
    fn writes_for_a_while(&self, random: &mut Random) -> bool {
        let pause = Duration::from_millis(random.below(KILL_PAUSE_MAX));
        self.ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }

    fn finish(self) {
        self.thread.join().unwrap();
    }
}

fn write_lines(directory: &Path) {
    let (orders, access) = (directory.join("orders.log"), directory.join("gateway.log"));
    let mut files = [append(&orders), append(&access)];
    for number in 0..LINES {
        writeln!(files[0], "{}", order_line(number)).unwrap();
        writeln!(files[1], "{}", access_line(number)).unwrap();
        if number % ROTATE_LINES == ROTATE_LINES - 1 {
            rotate(&orders);
            rotate(&access);
            files = [append(&orders), append(&access)];
        }
        if number % CHUNK_LINES == 0 {
            // Nothing is waited for: a service does not write all its lines at once.
            std::thread::sleep(CHUNK_PAUSE);
        }
    }
}

fn order_line(number: u64) -> String {
    format!(
        r#"{{"time":"{}","level":"info","msg":"order {number} is paid","number":{number}}}"#,
        time(number)
    )
}

fn access_line(number: u64) -> String {
    let second = number / 1000;
    format!(
        "10.0.0.1 - - [20/Nov/2026:12:00:{second:02} +0000] \"GET /item/{number} HTTP/1.1\" 200 {number} \"-\" \"curl/8\""
    )
}

fn time(number: u64) -> String {
    format!("2026-11-20T12:00:{:02}.{:03}Z", number / 1000, number % 1000)
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// As logrotate does: the names of all older ones move up.
fn rotate(path: &Path) {
    let named = |number: u64| PathBuf::from(format!("{}.{number}", path.display()));
    let count = (1..).take_while(|&number| named(number).exists()).count() as u64;
    for number in (1..=count).rev() {
        fs::rename(named(number), named(number + 1)).unwrap();
    }
    fs::rename(path, named(1)).unwrap();
}

/// How often each number occurs in the documents.
fn occurrences(documents: &[Value], number: impl Fn(&Value) -> Option<u64>) -> BTreeMap<u64, u64> {
    let mut occurrences = BTreeMap::new();
    for document in documents {
        let number = number(document).unwrap_or_else(|| panic!("no number in {document}"));
        *occurrences.entry(number).or_default() += 1;
    }
    occurrences
}

fn order_number(document: &Value) -> Option<u64> {
    document["attributes.number"].as_u64()
}

fn access_number(document: &Value) -> Option<u64> {
    document["url.path"].as_str()?.strip_prefix("/item/")?.parse().ok()
}

fn check_exactly_once(what: &str, documents: &[Value], number: impl Fn(&Value) -> Option<u64>) {
    let occurrences = occurrences(documents, number);
    let lost: Vec<u64> = (0..LINES).filter(|number| !occurrences.contains_key(number)).collect();
    let repeated: Vec<_> = occurrences.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty(), "{what}: {} lines are lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    assert!(
        repeated.is_empty(),
        "{what}: {} lines are there twice: {:?}",
        repeated.len(),
        &repeated[..repeated.len().min(20)]
    );
    assert_eq!(documents.len() as u64, LINES, "{what}");
}

/// Shipper and worker over a real Redis into a real index.
struct Pipeline {
    directory: tempfile::TempDir,
    configuration: PathBuf,
    redis: String,
    server: SearchServer,
}

impl Pipeline {
    fn new(variable: &str, redis: &TestRedis) -> Option<Pipeline> {
        let server = SearchServer::of(variable)?;
        let directory = tempfile::tempdir().unwrap();
        let configuration = server.configuration(directory.path());
        Some(Pipeline { directory, configuration, redis: redis.url(), server })
    }

    fn ship(&self, more: &[&str]) -> Program {
        let logs = format!("{}/*.log", text(self.directory.path()));
        let state = self.directory.path().join("state");
        let told = ["ship", "--to", &self.redis, "--state", text(&state), &logs];
        Program::start(weir(told.iter().chain(more)))
    }

    fn work(&self) -> Program {
        Program::start(weir(["work", "-c", text(&self.configuration), "--from", &self.redis]))
    }

    /// Everything that was written is in the index, or in the dead letters.
    fn finish(&self, mut worker: Program) {
        let mut rest = self.ship(&["--once"]);
        let mut end = None;
        until_or(
            "the rest is indexed",
            || {
                end = (!rest.is_running()).then(|| rest.end());
                end.is_some()
            },
            || format!("worker: {}", worker.stderr()),
        );
        assert!(end.unwrap().success(), "{}", rest.stderr());
        assert_eq!(worker.stop(), Some(0), "{}", worker.stderr());
    }

    fn check(&self) {
        check_exactly_once("orders", &self.server.documents("orders"), order_number);
        check_exactly_once("gateway", &self.server.documents("gateway"), access_number);
        let dead = self.server.dead_letters();
        assert!(dead.is_empty(), "{dead:?}");
    }
}

fn survives_kills_of_worker_and_shipper(variable: &str) {
    let Some(redis) = TestRedis::start() else { return };
    let Some(pipeline) = Pipeline::new(variable, &redis) else { return };
    let mut random = Random::new();
    let writer = Writer::start(pipeline.directory.path());
    let (mut shipper, mut worker) = (pipeline.ship(&[]), pipeline.work());
    let mut kills = 0;
    while writer.writes_for_a_while(&mut random) {
        kills += 1;
        if random.below(2) == 0 {
            shipper.kill();
            shipper = pipeline.ship(&[]);
        } else {
            worker.kill();
            worker = pipeline.work();
        }
    }
    writer.finish();
    assert!(kills >= 3, "only {kills} kills");
    shipper.kill();
    pipeline.finish(worker);
    pipeline.check();
}

#[test]
fn elasticsearch_has_every_line_once_although_worker_and_shipper_are_killed() {
    survives_kills_of_worker_and_shipper("WEIR_TEST_ELASTICSEARCH");
}

#[test]
fn opensearch_has_every_line_once_although_worker_and_shipper_are_killed() {
    survives_kills_of_worker_and_shipper("WEIR_TEST_OPENSEARCH");
}

#[test]
fn every_line_is_there_once_although_redis_is_killed_and_comes_back_empty() {
    let Some(mut redis) = TestRedis::start() else { return };
    let Some(pipeline) = Pipeline::new("WEIR_TEST_ELASTICSEARCH", &redis) else { return };
    let mut random = Random::new();
    let writer = Writer::start(pipeline.directory.path());
    let (mut shipper, mut worker) = (pipeline.ship(&[]), pipeline.work());
    let mut kills = 0;
    while writer.writes_for_a_while(&mut random) {
        kills += 1;
        // Without a worker, Redis holds what nobody has indexed.
        worker.kill();
        writer.writes_for_a_while(&mut random);
        redis.restart();
        worker = pipeline.work();
    }
    writer.finish();
    assert!(kills >= 2, "only {kills} kills");
    shipper.kill();
    pipeline.finish(worker);
    pipeline.check();
}

#[test]
fn a_line_that_clashes_with_the_mapping_hurts_no_other() {
    let Some(redis) = TestRedis::start() else { return };
    let Some(pipeline) = Pipeline::new("WEIR_TEST_ELASTICSEARCH", &redis) else { return };
    let lines = (0..LINES).map(|number| {
        let poison = match number {
            0..100 => r#","odd":1"#,
            500 => r#","odd":{"is":"an object"}"#,
            501 => r#","odd":"a text""#,
            502 => r#","odd":[1,{"mixed":true}]"#,
            _ => "",
        };
        format!("{}{poison}}}\n", order_line(number).trim_end_matches('}'))
    });
    write(pipeline.directory.path(), "orders.log", lines.collect::<String>());
    let worker = pipeline.work();
    pipeline.finish(worker);

    let mut documents = pipeline.server.documents("orders");
    let dead = pipeline.server.dead_letters();
    let healed = documents.iter().filter(|document| document.get("unmapped").is_some()).count();
    assert!(healed + dead.len() > 0, "nothing has clashed: this test shows nothing");
    for letter in &dead {
        assert!(letter["error.message"].as_str().is_some_and(|reason| !reason.is_empty()), "{letter}");
        let original = letter["event.original"].as_str().unwrap_or_else(|| panic!("{letter}"));
        documents.push(serde_json::from_str(original).unwrap());
    }
    let number = |document: &Value| order_number(document).or(document["unmapped"]["number"].as_u64());
    check_exactly_once("orders", &documents, number);
}

#[test]
fn weir_up_has_every_line_once_although_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (data, port) = (directory.path().join("data"), free_port());
    let logs = format!("{}/*.log", text(directory.path()));
    let listen = format!("127.0.0.1:{port}");
    let start = || Program::start(weir(["up", &logs, "--data", text(&data), "--listen", &listen]));
    let page = format!("http://{listen}");
    let mut random = Random::new();
    let writer = Writer::start(directory.path());
    let mut up = start();
    let mut kills = 0;
    while writer.writes_for_a_while(&mut random) {
        kills += 1;
        up.kill();
        up = start();
    }
    writer.finish();
    assert!(kills >= 3, "only {kills} kills");
    let total = || {
        let (_, body) = get(&format!("{page}/api/search?limit=0"))?;
        serde_json::from_str::<Value>(&body).ok()?["total"].as_u64()
    };
    until_or(
        "all is found",
        || total() >= Some(2 * LINES),
        || format!("{:?} of {}; {}", total(), 2 * LINES, up.stderr()),
    );
    check_exactly_once("orders", &found(&page, "service:orders"), order_number);
    check_exactly_once("gateway", &found(&page, "service:gateway"), access_number);
    assert_eq!(total(), Some(2 * LINES));
    assert_eq!(up.stop(), Some(0), "{}", up.stderr());
    let again = run(&["search", "order", "--server", &page]);
    assert_eq!(again.code, Some(1), "it has stopped");
}
