//! What happens to Redis, and between it and us: killed, emptied, cut, full, shut, misconfigured.

use redis::Value;

use super::*;
use crate::testing::TestRedis;
use crate::{BufferError, RedisBuffer, RedisSettings, STALLED_AFTER};

fn buffer(server: &TestRedis) -> RedisBuffer {
    RedisBuffer::new(&RedisSettings::new(server.url())).unwrap()
}

const FRAMES: &str = "weir:{logs:0}:frames";

/// Repeats until it works, as shippers and workers do.
async fn persist<T>(mut attempt: impl AsyncFnMut() -> Result<T, BufferError>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                assert!(std::time::Instant::now() < deadline, "still {error:?}");
            }
        }
    }
}

async fn push_persistently(buffer: &RedisBuffer, frame: &Frame) -> Pushed {
    persist(async || buffer.push(&[Push { frame, safe: 0 }]).await).await[0]
}

#[tokio::test]
async fn an_emptied_redis_knows_nothing_and_takes_the_file_from_its_safe_offset() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let claims = claim(&mut consumer, 2).await;
    acknowledge(&buffer, &claims[..1]).await;
    server.command(&["FLUSHALL"]);
    assert_eq!(push(&buffer, &[frame(1, 20, 30)]).await, [Pushed::Expected(None)]);
    // Late, and of another life of the buffer: it moves nothing.
    acknowledge(&buffer, &claims[1..]).await;
    assert_eq!(indexed(&buffer, 1).await, None);
    let again = frame(1, 10, 20);
    let safe = Push { frame: &again, safe: 10 };
    assert_eq!(buffer.push(&[safe]).await.unwrap(), [Pushed::Accepted]);
    let claims = persist(async || consumer.claim(1, usize::MAX, PATIENCE).await).await;
    assert_eq!(starts(&claims), [10], "the group was made again");
    acknowledge(&buffer, &claims).await;
    assert_eq!(indexed(&buffer, 1).await, Some(20));
}

#[tokio::test]
async fn a_killed_redis_without_disk_comes_back_knowing_nothing() {
    let Some(mut server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    fill(&buffer, &[frame(1, 0, 10)]).await;
    claim(&mut consumer, 1).await;
    server.restart();
    assert_eq!(push_persistently(&buffer, &frame(1, 10, 20)).await, Pushed::Expected(None));
    assert_eq!(push_persistently(&buffer, &frame(1, 0, 10)).await, Pushed::Accepted);
    let claims = persist(async || consumer.claim(1, usize::MAX, PATIENCE).await).await;
    assert_eq!(starts(&claims), [0]);
}

#[tokio::test]
async fn a_killed_redis_with_its_log_goes_on_where_it_was() {
    let Some(mut server) = TestRedis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]) else {
        return;
    };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let first = consumer.claim(1, usize::MAX, PATIENCE).await.unwrap();
    server.restart();
    let duplicate = push_persistently(&buffer, &frame(1, 10, 20)).await;
    assert_eq!(duplicate, Pushed::Expected(Some(20)));
    let second = persist(async || consumer.claim(10, usize::MAX, PATIENCE).await).await;
    assert_eq!(starts(&second), [10], "what the consumer holds already does not come again");
    acknowledge(&buffer, &first).await;
    acknowledge(&buffer, &second).await;
    assert_eq!(indexed(&buffer, 1).await, Some(20));
}

#[tokio::test]
async fn a_redis_that_lost_its_tail_answers_a_lower_offset() {
    let Some(mut server) = TestRedis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]) else {
        return;
    };
    let buffer = buffer(&server);
    let frames: Vec<Frame> = (0..4).map(|n| frame(1, n * 10, n * 10 + 10)).collect();
    fill(&buffer, &frames[..2]).await;
    let log = std::fs::read_dir(server.append_only_directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .unwrap();
    let length = std::fs::metadata(&log).unwrap().len();
    fill(&buffer, &frames[2..]).await;
    server.kill();
    // In the middle of the third push.
    std::fs::File::options().write(true).open(&log).unwrap().set_len(length + 30).unwrap();
    server.restart();
    assert_eq!(push_persistently(&buffer, &frame(1, 40, 50)).await, Pushed::Expected(Some(20)));
    fill(&buffer, &frames[2..]).await;
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_answered_with_a_higher_offset() {
    let Some(server) = TestRedis::start() else { return };
    let (landed, repeating) = (buffer(&server), buffer(&server));
    fill(&repeating, &[frame(1, 0, 10)]).await;
    fill(&landed, &[frame(1, 10, 20), frame(1, 20, 30)]).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(push_persistently(&repeating, &frame(1, 10, 20)).await, Pushed::Expected(Some(30)));
}

#[tokio::test]
async fn a_claim_that_waits_survives_the_end_of_redis() {
    let Some(mut server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    assert!(glance(&mut consumer).await.is_empty());
    let claiming = tokio::spawn(async move {
        loop {
            match consumer.claim(1, usize::MAX, PATIENCE).await {
                Ok(claims) => return claims,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    });
    server.kill();
    server.restart();
    assert_eq!(push_persistently(&buffer, &frame(1, 0, 10)).await, Pushed::Accepted);
    assert_eq!(starts(&claiming.await.unwrap()), [0]);
}

#[tokio::test]
async fn a_lost_group_and_lost_scripts_are_made_again() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    fill(&buffer, &[frame(1, 0, 10)]).await;
    claim(&mut consumer, 1).await;
    server.command(&["XGROUP", "DESTROY", FRAMES, "weir"]);
    server.command(&["SCRIPT", "FLUSH"]);
    fill(&buffer, &[frame(1, 10, 20), frame(1, 20, 30)]).await;
    let claims = claim(&mut consumer, 3).await;
    assert_eq!(starts(&claims), [0, 10, 20], "a group begins at the first entry");
    acknowledge(&buffer, &claims).await;
    assert_eq!(indexed(&buffer, 1).await, Some(30));
}

#[tokio::test]
async fn a_consumer_that_dies_without_a_word_is_taken_over() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let url = server.url();
    // Its runtime ends with all its tasks, as in a crash: nobody tells Redis.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let buffer = RedisBuffer::new(&RedisSettings::new(url)).unwrap();
            let mut consumer = buffer.consumer("dies").await.unwrap();
            claim(&mut consumer, 1).await;
            std::mem::forget(consumer);
        });
    })
    .join()
    .unwrap();
    let mut other = buffer.consumer("other").await.unwrap();
    assert!(glance(&mut other).await.is_empty());
    let claims = claim(&mut other, 1).await;
    assert_eq!((starts(&claims), claims[0].deliveries), (vec![0], 2));
}

#[tokio::test]
async fn a_stalled_claim_is_taken_over_though_its_consumer_lives() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let mut stalled = buffer.consumer("stalled").await.unwrap();
    let mut other = buffer.consumer("other").await.unwrap();
    let held = claim(&mut stalled, 1).await;
    let entry = format!("{}-{}", held[0].id.entry.0, held[0].id.entry.1);
    let idle = (STALLED_AFTER.as_millis() + 1).to_string();
    server.command(&["XCLAIM", FRAMES, "weir", "stalled", "0", &entry, "IDLE", &idle, "JUSTID"]);
    assert_eq!(starts(&claim(&mut other, 1).await), [0]);
    acknowledge(&buffer, &held).await;
    assert_eq!(indexed(&buffer, 1).await, Some(10));
}

#[tokio::test]
async fn frames_that_somebody_deleted_are_pushed_again_after_a_rewind() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20), frame(2, 0, 10)]).await;
    server.command(&["XTRIM", FRAMES, "MAXLEN", "1"]);
    let mut consumer = buffer.consumer("a").await.unwrap();
    assert!(buffer.rewind(&file(1), 20, 0).await.unwrap());
    fill(&buffer, &[frame(1, 0, 20)]).await;
    let claims = claim(&mut consumer, 2).await;
    acknowledge(&buffer, &claims).await;
    assert_eq!((indexed(&buffer, 1).await, indexed(&buffer, 2).await), (Some(20), Some(10)));
    assert_eq!(
        buffer.depth().await.unwrap(),
        crate::Depth::default(),
        "and its bytes are not counted for ever"
    );
}

#[tokio::test]
async fn what_others_put_into_the_stream_can_be_claimed_and_freed() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    server.command(&["XADD", FRAMES, "*", "something", "else"]);
    server.command(&["XADD", FRAMES, "*", "file", "short", "start", "x", "end", "-1", "frame", "junk"]);
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 2).await;
    assert!(claims.iter().all(|claim| claim.id.range().is_none()));
    assert_eq!(&claims[1].bytes[..], b"junk");
    acknowledge(&buffer, &claims).await;
    assert_eq!(buffer.depth().await.unwrap().frames, 0);
}

#[tokio::test]
async fn a_redis_out_of_memory_refuses_frames_and_can_still_be_drained() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    let mut consumer = buffer.consumer("a").await.unwrap();
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let first = consumer.claim(1, usize::MAX, PATIENCE).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = buffer.push(&[Push { frame: &frame(1, 20, 30), safe: 0 }]).await.unwrap_err();
    assert!(refused.is_transient());
    assert!(refused.to_string().contains("out of memory; raise its maxmemory"), "{refused}");
    // A worker that starts only now, one that goes on, and what they finish.
    let mut second_consumer = buffer.consumer("b").await.unwrap();
    let second = claim(&mut second_consumer, 1).await;
    acknowledge(&buffer, &second).await;
    acknowledge(&buffer, &first).await;
    assert_eq!(indexed(&buffer, 1).await, Some(20));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    fill(&buffer, &[frame(1, 20, 30)]).await;
}

#[tokio::test]
async fn a_buffer_that_was_filled_to_the_brim_before_the_first_worker_came_can_be_drained() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 1).await;
    acknowledge(&buffer, &claims).await;
    assert_eq!(indexed(&buffer, 1).await, Some(10));
}

#[tokio::test]
async fn a_policy_that_evicts_is_refused_with_the_command_that_mends_it() {
    let Some(server) = TestRedis::start_with(&["--maxmemory-policy", "allkeys-lru"]) else { return };
    let error = buffer(&server).depth().await.unwrap_err();
    assert!(!error.is_transient());
    assert!(error.to_string().contains("redis-cli CONFIG SET maxmemory-policy noeviction"), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    buffer(&server).depth().await.unwrap();
}

#[tokio::test]
async fn a_password_is_asked_for_used_and_never_shown() {
    let Some(server) = TestRedis::start_with(&["--requirepass", "geheim"]) else { return };
    let with = |user: &str| {
        let url = server.url().replace("redis://", &format!("redis://{user}"));
        RedisBuffer::new(&RedisSettings::new(url)).unwrap()
    };
    with(":geheim@").depth().await.unwrap();
    for (user, advice) in [("", "wants a password"), (":falsch@", "does not take this user and password")] {
        let error = with(user).depth().await.unwrap_err();
        assert!(error.is_transient(), "somebody may set it right");
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!format!("{error:?}").contains("falsch"), "{error:?}");
    }
    let settings = RedisSettings::new("redis://:geheim@localhost");
    assert!(!format!("{settings:?}").contains("geheim"));
}

#[tokio::test]
async fn a_replica_is_named_as_such() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = buffer.push(&[Push { frame: &frame(1, 10, 20), safe: 0 }]).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("read-only replica"), "{error}");
    server.command(&["REPLICAOF", "NO", "ONE"]);
    fill(&buffer, &[frame(1, 10, 20)]).await;
}

#[tokio::test]
async fn an_unreachable_redis_is_named_with_its_address() {
    let buffer = RedisBuffer::new(&RedisSettings::new("redis://:geheim@127.0.0.1:1/")).unwrap();
    let error = buffer.depth().await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "cannot connect to Redis at 127.0.0.1:1; is it running there?");
    assert!(!format!("{error:?}").contains("geheim"));
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = RedisBuffer::new(&RedisSettings::new(server.unix_url())).unwrap();
    fill(&buffer, &[frame(1, 0, 10)]).await;
    assert_eq!(server.command(&["XLEN", FRAMES]), Value::Int(1));
}

#[tokio::test]
async fn the_keys_have_the_names_that_the_documentation_gives() {
    let Some(server) = TestRedis::start() else { return };
    fill(&buffer(&server), &[frame(1, 0, 10)]).await;
    for key in ["frames", "pushed", "indexed", "bytes"] {
        assert_eq!(server.command(&["EXISTS", &format!("weir:{{logs:0}}:{key}")]), Value::Int(1), "{key}");
    }
}

#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() {
    // A snapshot in front of the log, each key of which takes its time to load.
    let slow = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"];
    let arguments = [&["--appendonly", "yes", "--rdbcompression", "no"], &slow[..]].concat();
    let Some(mut server) = TestRedis::start_with(&arguments) else { return };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    for number in 0..100 {
        server.command(&["SET", &format!("filler-{number}"), &"x".repeat(4096)]);
    }
    server.command(&["BGREWRITEAOF"]);
    let is_written = || match server.command(&["INFO", "persistence"]) {
        Value::BulkString(text) => String::from_utf8_lossy(&text).contains("aof_rewrite_in_progress:0"),
        other => panic!("{other:?}"),
    };
    persist_until("the log is rewritten", is_written).await;
    server.restart_without_waiting();
    let mut said = Vec::new();
    let answer = persist(async || {
        let answer = buffer.push(&[Push { frame: &frame(1, 20, 30), safe: 0 }]).await;
        said.extend(answer.as_ref().err().map(ToString::to_string));
        answer
    })
    .await;
    assert_eq!(answer, [Pushed::Expected(Some(10))]);
    assert!(said.iter().any(|error| error.contains("is loading its data")), "{said:?}");
}

#[tokio::test]
async fn a_redis_that_cannot_write_to_its_disk_refuses_frames_until_it_can() {
    let Some(server) = TestRedis::start_with(&["--enable-protected-configs", "yes", "--save", "3600 1"])
    else {
        return;
    };
    let buffer = buffer(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let place = server.directory().join("snapshots");
    std::fs::create_dir(&place).unwrap();
    server.command(&["CONFIG", "SET", "dir", &place.display().to_string()]);
    std::fs::remove_dir(&place).unwrap();
    server.command(&["BGSAVE"]);
    let has_failed = || match server.command(&["INFO", "persistence"]) {
        Value::BulkString(text) => String::from_utf8_lossy(&text).contains("rdb_last_bgsave_status:err"),
        other => panic!("{other:?}"),
    };
    persist_until("the snapshot fails", has_failed).await;
    let error = buffer.push(&[Push { frame: &frame(1, 10, 20), safe: 0 }]).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("cannot write to its disk"), "{error}");
    server.command(&["CONFIG", "SET", "dir", &server.directory().display().to_string()]);
    server.command(&["SAVE"]);
    assert_eq!(push_persistently(&buffer, &frame(1, 10, 20)).await, Pushed::Accepted);
}

/// Waits for something of the server itself.
async fn persist_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
