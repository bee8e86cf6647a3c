//! `my-service | weir-shipper`: the real program, with a real pipe and a real Redis.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer as _, Consumer as _, RedisBuffer, RedisConsumer, RedisSettings};
use weir_record::frame::Decoder;

const DEADLINE: Duration = Duration::from_secs(60);

fn shipper(redis: &TestRedis, state: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_weir-shipper"))
        .args(["--to", &redis.url(), "--state"])
        .arg(state)
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("started")
}

/// Takes frames as a worker does, until so many records have come.
async fn take(
    buffer: &RedisBuffer,
    consumer: &mut RedisConsumer,
    records: &mut BTreeMap<String, Value>,
    count: usize,
) {
    let deadline = Instant::now() + DEADLINE;
    let mut decoder = Decoder::new().expect("a decoder");
    while records.len() < count {
        assert!(Instant::now() < deadline, "expected {count}, have {}", records.len());
        let claims = consumer.claim(1000, usize::MAX, Duration::from_millis(100)).await.expect("claimed");
        for claim in &claims {
            let frame = decoder.decode(&claim.bytes).expect("a frame");
            for record in frame.records() {
                let fields = frame.groups[record.group].1;
                let text = format!("{{{},{fields}}}", String::from_utf8_lossy(record.document));
                let id = String::from_utf8(frame.id(&record).to_text().to_vec()).expect("text");
                records.insert(id, serde_json::from_str(&text).expect("JSON"));
            }
        }
        let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
        buffer.acknowledge(&ids).await.expect("acknowledged");
    }
}

#[tokio::test]
async fn what_is_piped_in_is_shipped_and_the_program_ends_when_it_is_indexed() {
    let Some(redis) = TestRedis::start() else { return };
    let state = tempfile::tempdir().expect("a directory");
    let buffer = RedisBuffer::new(&RedisSettings::new(redis.url())).expect("a buffer");
    let mut consumer = buffer.consumer("test").await.expect("a consumer");
    let mut child = shipper(&redis, state.path(), &["--service", "shop"]);
    let mut pipe = child.stdin.take().expect("piped");
    for number in 0..10_000 {
        writeln!(pipe, "line {number:05}").expect("written");
    }
    pipe.write_all(b"no newline").expect("written");
    drop(pipe);
    let mut records = BTreeMap::new();
    take(&buffer, &mut consumer, &mut records, 10_001).await;
    let status = child.wait().expect("ended");
    assert!(status.success(), "{status}");
    let mut messages: Vec<_> = records.values().map(|d| d["message"].as_str().expect("text")).collect();
    messages.sort_unstable();
    assert_eq!(messages.first(), Some(&"line 00000"));
    assert_eq!(messages.last(), Some(&"no newline"));
    for document in records.values() {
        assert_eq!(document["log.file.path"], "stdin");
        assert_eq!(document["service.name"], "shop");
        assert!(document["host.name"].is_string());
    }
}

#[tokio::test]
async fn lines_that_a_killed_shipper_had_read_are_shipped_at_the_next_start() {
    let Some(mut redis) = TestRedis::start() else { return };
    let state = tempfile::tempdir().expect("a directory");
    // The buffer cannot be reached: lines come as far as the journal.
    redis.kill();
    let mut child = shipper(&redis, state.path(), &["-"]);
    let mut pipe = child.stdin.take().expect("piped");
    for number in 0..5000 {
        writeln!(pipe, "line {number:05}").expect("written");
    }
    let journal = state.path().join("journal/stdin/current.log");
    let deadline = Instant::now() + DEADLINE;
    while std::fs::read(&journal).map_or(0, |bytes| bytes.len()) < 5000 * "line 00000\n".len() {
        assert!(Instant::now() < deadline, "the journal never has all lines");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    drop(pipe);

    redis.restart();
    let buffer = RedisBuffer::new(&RedisSettings::new(redis.url())).expect("a buffer");
    let mut consumer = buffer.consumer("test").await.expect("a consumer");
    let mut child = shipper(&redis, state.path(), &["-"]);
    let mut pipe = child.stdin.take().expect("piped");
    writeln!(pipe, "line 05000").expect("written");
    drop(pipe);
    let mut records = BTreeMap::new();
    take(&buffer, &mut consumer, &mut records, 5001).await;
    assert!(child.wait().expect("ended").success());
    let mut messages: Vec<_> = records.values().map(|d| d["message"].as_str().expect("text")).collect();
    messages.sort_unstable();
    let expected: Vec<String> = (0..=5000).map(|number| format!("line {number:05}")).collect();
    assert_eq!(messages, expected);
}
