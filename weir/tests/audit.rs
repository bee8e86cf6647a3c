//! `weir audit`: what is whole is called whole, and what was removed behind everybody's back is named. `weir top` beside it.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_buffer::testing::{TestRedis, free_port};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::search_server::SearchServer;
use support::{Ended, Program, get, request, run, text, until_or, weir, write};

/// Lines of one file; each has the same length.
const LINES: u64 = 400;

fn line(number: u64) -> String {
    format!(
        "{{\"time\":\"2026-11-20T12:00:00.{number:03}Z\",\"level\":\"info\",\"msg\":\"order\",\"n\":{}}}\n",
        10_000 + number
    )
}

fn line_bytes() -> u64 {
    line(0).len() as u64
}

fn lines(from: u64, until: u64) -> String {
    (from..until).map(line).collect()
}

/// A shipper's files in every form that they take: live, rotated, compressed.
struct Stage {
    directory: TempDir,
    configuration: PathBuf,
    redis: TestRedis,
    server: SearchServer,
}

impl Stage {
    fn new(variable: &str) -> Option<Stage> {
        let redis = TestRedis::start()?;
        let server = SearchServer::of(variable)?;
        let directory = tempfile::tempdir().unwrap();
        let configuration = server.configuration(directory.path());
        let more = format!("[buffer]\nredis = \"{}\"\n", redis.url());
        fs::OpenOptions::new().append(true).open(&configuration).unwrap().write_all(more.as_bytes()).unwrap();
        Some(Stage { directory, configuration, redis, server })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn logs(&self) -> String {
        format!("{}/*.log", text(self.directory.path()))
    }

    fn told<'a>(&'a self, words: &[&'a str], logs: &'a str, state: &'a str) -> Vec<&'a str> {
        let common = ["-c", text(&self.configuration), "--state", state, logs];
        words.iter().copied().chain(common).collect()
    }

    /// Ships everything that there is, to where `--wait` says.
    fn ship(&self, wait: &str) {
        let (logs, state) = (self.logs(), self.path("state"));
        let ended = run(&self.told(&["ship", "--once", "--wait", wait], &logs, text(&state)));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    fn work(&self) -> Program {
        Program::start(weir(["work", "-c", text(&self.configuration)]))
    }

    fn audit(&self, more: &[&str]) -> Ended {
        let (logs, state) = (self.logs(), self.path("state"));
        let words: Vec<&str> = ["audit", "--settle", "3s"].iter().chain(more).copied().collect();
        run(&self.told(&words, &logs, text(&state)))
    }

    fn stream(&self) -> String {
        format!("{}/logs-shop-{}", self.server.url, self.server.namespace)
    }

    /// The documents with these numbers, with their index and `_id`, in order.
    fn hits(&self, from: u64, until: u64) -> Vec<Value> {
        let stream = self.stream();
        assert_eq!(request("POST", &format!("{stream}/_refresh"), None).unwrap().0, 200);
        let range = json!({"range": {"attributes.n": {"gte": 10_000 + from, "lt": 10_000 + until}}});
        let body = json!({"query": range, "size": 1000, "sort": ["event.sequence"]}).to_string();
        let (status, answer) = request("POST", &format!("{stream}/_search"), Some(&body)).unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["hits"]["hits"].as_array().unwrap().clone()
    }

    fn remove(&self, from: u64, until: u64) {
        let hits = self.hits(from, until);
        assert_eq!(hits.len() as u64, until - from);
        for hit in hits {
            let (index, id) = (hit["_index"].as_str().unwrap(), hit["_id"].as_str().unwrap());
            let url = format!("{}/{index}/_doc/{id}?refresh=true", self.server.url);
            assert_eq!(request("DELETE", &url, None).unwrap().0, 200);
        }
    }

    fn store_again(&self, number: u64) {
        let hit = self.hits(number, number + 1).remove(0);
        let url = format!("{}/_create/another?refresh=true", self.stream());
        let (status, answer) = request("PUT", &url, Some(&hit["_source"].to_string())).unwrap();
        assert_eq!(status, 201, "{answer}");
    }
}

fn compress(path: &Path) {
    assert!(std::process::Command::new("gzip").arg(path).status().unwrap().success());
}

/// One file in three pieces: compressed, rotated, live; and equal lines without a time.
fn write_pieces(stage: &Stage) {
    let live = stage.path("shop.log");
    write(stage.directory.path(), "shop.log", lines(0, 100));
    write(stage.directory.path(), "same.log", "the same line\n".repeat(300));
    stage.ship("indexed");
    fs::rename(&live, stage.path("shop.log.1")).unwrap();
    write(stage.directory.path(), "shop.log", lines(100, 250));
    stage.ship("indexed");
    fs::rename(stage.path("shop.log.1"), stage.path("shop.log.2")).unwrap();
    compress(&stage.path("shop.log.2"));
    fs::rename(&live, stage.path("shop.log.1")).unwrap();
    write(stage.directory.path(), "shop.log", lines(250, LINES));
    stage.ship("indexed");
}

fn totals(report: &str, what: &str) -> u64 {
    let report: Value = serde_json::from_str(report).unwrap();
    report["files"].as_array().unwrap().iter().map(|file| file[what].as_u64().unwrap()).sum()
}

fn names_what_was_removed(variable: &str) {
    let Some(stage) = Stage::new(variable) else { return };
    let mut worker = stage.work();
    write_pieces(&stage);
    let whole = stage.audit(&["--json"]);
    assert_eq!(whole.code, Some(0), "{}{}", whole.stdout, whole.stderr);
    for (what, count) in
        [("records", LINES + 300), ("indexed", LINES + 300), ("missing", 0), ("duplicated", 0)]
    {
        assert_eq!(totals(&whole.stdout, what), count, "{what}: {}", whole.stdout);
    }
    assert!(stage.audit(&[]).stdout.ends_with("0 missing, 0 duplicated\n"));

    stage.remove(10, 13);
    stage.remove(260, 261);
    stage.store_again(130);
    let amiss = stage.audit(&[]);
    assert_eq!(amiss.code, Some(1), "{}", amiss.stdout);
    assert!(amiss.stdout.ends_with("4 missing, 1 duplicated\n"), "{}", amiss.stdout);
    let live = stage.path("shop.log");
    let span = |what: &str, first: u64, bytes: u64, records: u64| {
        let start = first * line_bytes();
        let end = start + bytes;
        (format!("{what}: {} since ", text(&live)), format!(", bytes {start} to {end} (records: {records})"))
    };
    // In the compressed piece and in the live one; in the rotated one a document is one too many.
    for expected in [
        span("missing", 10, 3 * line_bytes(), 3),
        span("missing", 10, line_bytes(), 1),
        span("duplicated", 30, 1, 1),
    ] {
        let is_it = |line: &str| line.starts_with(&expected.0) && line.ends_with(&expected.1);
        assert!(amiss.stdout.lines().any(is_it), "{expected:?}\n{}", amiss.stdout);
    }
    assert_eq!(worker.stop(), Some(0), "{}", worker.stderr());
}

#[test]
fn what_was_removed_from_elasticsearch_is_named() {
    names_what_was_removed("WEIR_TEST_ELASTICSEARCH");
}

#[test]
fn what_was_removed_from_opensearch_is_named() {
    names_what_was_removed("WEIR_TEST_OPENSEARCH");
}

#[test]
fn what_waits_is_no_loss_and_what_the_buffer_has_lost_is_one() {
    let Some(stage) = Stage::new("WEIR_TEST_ELASTICSEARCH") else { return };
    write(stage.directory.path(), "shop.log", lines(0, 50));
    stage.ship("pushed");
    let waiting = stage.audit(&["--json"]);
    assert_eq!(waiting.code, Some(0), "{}{}", waiting.stdout, waiting.stderr);
    assert_eq!((totals(&waiting.stdout, "waiting"), totals(&waiting.stdout, "records")), (50, 50));

    for key in ["frames", "waiting"] {
        stage.redis.command(&["DEL", &format!("weir:{{logs:0}}:{key}")]);
    }
    let lost = stage.audit(&[]);
    assert_eq!(lost.code, Some(1), "{}", lost.stdout);
    let expected =
        format!("missing: {}, bytes 0 to {} (records: 50)", text(&stage.path("shop.log")), 50 * line_bytes());
    assert!(lost.stdout.lines().any(|line| line == expected), "{}", lost.stdout);
}

#[test]
fn what_the_index_refused_for_good_is_counted_as_such() {
    let Some(stage) = Stage::new("WEIR_TEST_OPENSEARCH") else { return };
    let pipeline = format!("{}/_ingest/pipeline/{}", stage.server.url, stage.server.namespace);
    let fail = json!({"fail": {"if": "ctx.message == 'poison'", "message": "no"}});
    let (status, answer) =
        request("PUT", &pipeline, Some(&json!({"processors": [fail]}).to_string())).unwrap();
    assert_eq!(status, 200, "{answer}");
    let source =
        format!("[[source]]\npaths = [\"{}\"]\npipeline = \"{}\"\n", stage.logs(), stage.server.namespace);
    let mut configuration = fs::OpenOptions::new().append(true).open(&stage.configuration).unwrap();
    configuration.write_all(source.as_bytes()).unwrap();
    let poison = line(7).replace("\"msg\":\"order\"", "\"msg\":\"poison\"");
    write(stage.directory.path(), "shop.log", format!("{}{poison}{}", lines(0, 5), lines(5, 10)));
    let mut worker = stage.work();
    let state = stage.path("state");
    let told = ["-c", text(&stage.configuration), "--state", text(&state)];
    let ended = run(&["ship", "--once"].iter().chain(&told).copied().collect::<Vec<_>>());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let audit = run(&["audit", "--settle", "3s", "--json"].iter().chain(&told).copied().collect::<Vec<_>>());
    assert_eq!(audit.code, Some(0), "{}{}", audit.stdout, audit.stderr);
    let counts = ["records", "indexed", "dead", "missing"].map(|what| totals(&audit.stdout, what));
    assert_eq!(counts, [11, 10, 1, 0], "{}", audit.stdout);
    assert_eq!(worker.stop(), Some(0), "{}", worker.stderr());
    request("DELETE", &pipeline, None);
}

#[test]
fn weir_up_audits_itself() {
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "shop.log", lines(0, 200));
    let page = format!("http://127.0.0.1:{}", free_port());
    let data = directory.path().join("data");
    let listen = page.trim_start_matches("http://").to_owned();
    let mut up = Program::start(weir(["up", "--data", text(&data), "--listen", &listen, text(&log)]));
    let mut answer = None;
    let mut indexed = 0;
    until_or(
        "all is indexed",
        || {
            let told = get(&page).is_some().then(|| run(&["audit", "--server", &page, "--json"]));
            if let Some(told) = told.filter(|told| told.code == Some(0)) {
                indexed = totals(&told.stdout, "indexed");
                answer = Some(told.stdout);
            }
            indexed == 200
        },
        || up.stderr(),
    );
    let answer = answer.unwrap();
    let counts = ["records", "missing", "duplicated"].map(|what| totals(&answer, what));
    assert_eq!(counts, [200, 0, 0], "{answer}");

    let top = run(&["top", "--once", "--interval", "100ms", &page]);
    assert_eq!(top.code, Some(0), "{}", top.stderr);
    for words in ["records/s", "0 frames", "indexed/s", "0 dead letters", "breaker closed"] {
        assert!(top.stdout.contains(words), "{words}: {}", top.stdout);
    }
    let nobody = run(&["top", "--once", "--interval", "10ms", "http://127.0.0.1:1"]);
    assert_eq!((nobody.code, &*nobody.stdout), (Some(1), "http://127.0.0.1:1: does not answer\n"));
    assert_eq!(up.stop(), Some(0), "{}", up.stderr());
}

#[test]
fn without_a_checkpoint_there_is_nothing_to_compare_and_the_way_out_is_said() {
    let Some(stage) = Stage::new("WEIR_TEST_ELASTICSEARCH") else { return };
    write(stage.directory.path(), "shop.log", lines(0, 5));
    let ended = stage.audit(&[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("name the state directory of the shipper"), "{}", ended.stderr);
}
