//! The program `weir-worker`: killed, stopped, and misused.

use std::collections::BTreeSet;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer, Depth};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::support::{DOCUMENTS, buffer, end, frames, ids, indexed, push, until};

const FRAMES: u64 = 300;

/// What a worker says is written there.
const LOG: &str = "worker.stderr";

struct Program {
    process: Child,
    directory: tempfile::TempDir,
}

impl Program {
    /// The worker with small bulks, so that it takes its time.
    fn start(redis: &TestRedis, server: &BulkServer, more: &[&str]) -> Program {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("weir.toml");
        let text = format!(
            "[buffer]\nredis = \"{}\"\n[index]\nelasticsearch = \"{}\"\nbulk_bytes = \"64KiB\"\n",
            redis.url(),
            server.url
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(directory.path().join(LOG)).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_weir-worker"))
            .arg("-c")
            .arg(&config)
            .args(more)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Program { process, directory }
    }

    /// What it has said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join(LOG)).unwrap()
    }

    fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.process.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    async fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the worker ends", async || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Slow).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, FRAMES)).await;
    for part in 1..=3 {
        let mut program = Program::start(&redis, &server, &[]);
        let enough = part * FRAMES * DOCUMENTS / 5;
        until("a part is stored", async || server.stored_count() as u64 >= enough).await;
        program.signal("KILL");
        program.end().await;
    }
    assert!(indexed(&buffer, 1).await < end(FRAMES));
    let mut program = Program::start(&redis, &server, &["--once"]);
    assert!(program.end().await.success());
    let stored: BTreeSet<String> = server.stored().into_keys().collect();
    assert_eq!(stored, ids(1, end(FRAMES)));
    assert_eq!(indexed(&buffer, 1).await, end(FRAMES));
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_stop_finishes_what_it_began_and_leaves_the_rest() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Slow).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, FRAMES)).await;
    for signal in ["TERM", "INT"] {
        let before = server.stored_count();
        let mut program = Program::start(&redis, &server, &[]);
        until("it works", async || server.stored_count() > before).await;
        program.signal(signal);
        assert_eq!(program.end().await.code(), Some(0));
        let left = buffer.depth().await.unwrap().frames;
        assert!(left > 0, "the test is too slow: all was indexed before the signal");
        assert_eq!(
            left * DOCUMENTS + server.stored_count() as u64,
            FRAMES * DOCUMENTS,
            "stored means acknowledged"
        );
    }
    assert_eq!(server.repeats(), 0);
    let mut program = Program::start(&redis, &server, &["--once"]);
    assert!(program.end().await.success());
    assert_eq!(server.stored_count() as u64, FRAMES * DOCUMENTS);
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir-worker")).args(arguments).output().unwrap()
}

#[test]
fn bad_use_is_one_clear_line_and_exit_code_2() {
    let redis = "redis://127.0.0.1:1";
    for (arguments, words) in [
        (&["--from", redis][..], "--to http://HOST:9200"),
        (&["--to", "http://127.0.0.1:1"], "--from redis://HOST:6379"),
        (&["--from", "http://:geheim@host", "--to", "http://127.0.0.1:1"], "redis://"),
        (&["--from", redis, "--to", "redis://:geheim@host"], "https://127.0.0.1:9200"),
        (&["-c", "/does/not/exist.toml"], "/does/not/exist.toml"),
    ] {
        let output = run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words) && !text.contains("geheim"), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    }
    assert_eq!(run(&["--wrong"]).status.code(), Some(2));
    assert_eq!(run(&["--idle", "1s"]).status.code(), Some(2), "--idle belongs to --once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_not_there_are_waited_for_and_named_once() {
    let Some(mut redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    redis.kill();
    server.set_up(false);
    let mut program = Program::start(&redis, &server, &[]);
    until("it asked for the index", async || server.turned_away() >= 2).await;
    server.set_up(true);
    // The index is there, the buffer is not yet: it goes on asking.
    until("it asked for the buffer", async || program.said().contains("the buffer is not usable")).await;
    redis.restart();
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, 2)).await;
    until("it found both", async || indexed(&buffer, 1).await == end(2)).await;
    program.signal("TERM");
    assert_eq!(program.end().await.code(), Some(0));
    let text = program.said();
    let lines = |words: &str| text.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("the index is not usable"), lines("the index is back")), (1, 1), "{text}");
    assert_eq!((lines("the buffer is not usable"), lines("the buffer is back")), (1, 1), "{text}");
}
