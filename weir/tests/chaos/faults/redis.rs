//! Faults of Redis: the process, its memory, its disk, and foreign hands.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use weir_buffer::testing::TestRedis;

use super::Play;
use crate::round::Weather;
use crate::stage::lock;

/// The streams of the buffer: one for each lane of its one partition.
const LANES: usize = 16;

/// A power cut takes up to so many bytes that were not on the disk yet.
const TAIL_BYTES_MAX: u64 = 64 * 1024;

/// Services write hundreds of lines in so long.
const BACKLOG_TIME: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Fault {
    /// With this appendfsync.
    Kill(&'static str),
    /// A power cut: the last bytes were on no disk.
    CutTail,
    /// It comes back with what it held a while ago, as a replica that lags and is promoted.
    Stale,
    /// It comes back with nothing.
    KillEmpty,
    Flush,
    DeleteStream,
    DestroyGroup,
    Trim,
    DeleteEntries,
    ForgetScripts,
    KillClients,
    PauseClients,
    Pause,
    OutOfMemory,
    ReadOnly,
}

const HARMLESS: [Fault; 11] = [
    Fault::Kill("always"),
    Fault::DeleteStream,
    Fault::DestroyGroup,
    Fault::Trim,
    Fault::DeleteEntries,
    Fault::ForgetScripts,
    Fault::KillClients,
    Fault::PauseClients,
    Fault::Pause,
    Fault::OutOfMemory,
    Fault::ReadOnly,
];

/// Those after which it may not know what it knew.
const FORGETTING: [Fault; 3] = [Fault::Kill("everysec"), Fault::Kill("no"), Fault::CutTail];

/// Those after which it knows nothing, or what it knew long ago.
const EMPTYING: [Fault; 3] = [Fault::KillEmpty, Fault::Flush, Fault::Stale];

/// One fault of Redis.
pub fn fault(play: &mut Play<'_>) {
    let mut faults = HARMLESS.to_vec();
    if play.weather != Weather::LoseState {
        faults.extend(FORGETTING);
    }
    if play.weather == Weather::EmptyBuffer {
        faults.extend(EMPTYING);
        faults.extend(EMPTYING);
    }
    let fault = play.random.choose(&faults);
    let stage = play.stage;
    let mut redis = lock(&stage.redis);
    match fault {
        Fault::Kill(policy) => kill(play, &mut redis, policy),
        Fault::CutTail => cut_tail(play, &mut redis),
        Fault::Stale => stale(play, &mut redis),
        Fault::KillEmpty => {
            play.begin("redis killed, its disk lost", "");
            redis.kill();
            fs::remove_dir_all(redis.append_only_directory()).expect("it can be removed");
            restart(play, &mut redis);
        }
        Fault::Flush => once(play, &redis, "redis flushed", &["FLUSHALL"]),
        Fault::DeleteStream => on_streams(play, &redis, "streams deleted", "redis.call('DEL', key)"),
        Fault::DestroyGroup => {
            on_streams(play, &redis, "groups destroyed", "redis.call('XGROUP', 'DESTROY', key, 'weir')");
        }
        Fault::Trim => {
            on_streams(play, &redis, "streams trimmed", "redis.call('XTRIM', key, 'MAXLEN', 2)");
        }
        // Some entries, wherever they are, claimed or not.
        Fault::DeleteEntries => on_streams(
            play,
            &redis,
            "entries deleted",
            "for _, entry in ipairs(redis.call('XRANGE', key, '-', '+', 'COUNT', 40)) do \
             if math.random(2) == 1 then redis.call('XDEL', key, entry[1]) end end",
        ),
        Fault::ForgetScripts => once(play, &redis, "scripts forgotten", &["SCRIPT", "FLUSH"]),
        Fault::KillClients => {
            once(play, &redis, "clients killed", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        Fault::PauseClients => {
            let millis = play.length().as_millis().to_string();
            once(play, &redis, "clients paused", &["CLIENT", "PAUSE", &millis]);
        }
        Fault::Pause => {
            play.begin("redis stopped", "");
            redis.signal("STOP");
            play.hold();
            redis.signal("CONT");
            play.tell("goes on");
        }
        Fault::OutOfMemory => {
            let set = ["CONFIG", "SET", "maxmemory", "100000"];
            while_set(play, &redis, "redis out of memory", &set, &["CONFIG", "SET", "maxmemory", "0"]);
        }
        Fault::ReadOnly => {
            let set = ["REPLICAOF", "127.0.0.1", "1"];
            while_set(play, &redis, "redis read-only", &set, &["REPLICAOF", "NO", "ONE"]);
        }
    }
}

/// The workers stop, the services go on writing, and Redis loses what waits in it.
pub fn lose_backlog(play: &mut Play<'_>) {
    let signal = |signal| play.stage.workers.iter().for_each(|worker| lock(worker).signal(signal));
    signal(Signal::STOP);
    play.tell("all workers stopped");
    play.clock.wait(BACKLOG_TIME);
    let redis = lock(&play.stage.redis);
    once(play, &redis, "redis flushed", &["FLUSHALL"]);
    signal(Signal::CONT);
    play.tell("all workers go on");
}

fn once(play: &Play<'_>, redis: &TestRedis, name: &'static str, command: &[&str]) {
    play.begin(name, &command.join(" "));
    tell_of(play, redis.try_command(command));
}

fn tell_of<T>(play: &Play<'_>, done: Result<T, impl std::fmt::Display>) {
    if let Err(error) = done {
        play.tell(format!("nothing happens: {error}"));
    }
}

fn while_set(play: &mut Play<'_>, redis: &TestRedis, name: &'static str, set: &[&str], unset: &[&str]) {
    play.begin(name, "");
    redis.command(set);
    play.hold();
    redis.command(unset);
    play.tell("takes writes");
}

/// A foreign hand does something with each stream that is there, or with each second one.
fn on_streams(play: &mut Play<'_>, redis: &TestRedis, name: &'static str, what: &str) {
    let step = 1 + play.random.below(2) as usize;
    let frames = |lane| match lane {
        0 => "weir:{logs:0}:frames".to_owned(),
        _ => format!("weir:{{logs:0}}:frames:{lane}"),
    };
    let streams: Vec<String> = (0..LANES).step_by(step).map(frames).collect();
    let script =
        format!("for _, key in ipairs(KEYS) do if redis.call('EXISTS', key) == 1 then {what} end end");
    let count = streams.len().to_string();
    let mut command = vec!["EVAL", &script, &count];
    command.extend(streams.iter().map(String::as_str));
    play.begin(name, &format!("{count} lanes"));
    tell_of(play, redis.try_command(&command));
}

fn kill(play: &mut Play<'_>, redis: &mut TestRedis, policy: &'static str) {
    redis.command(&["CONFIG", "SET", "appendfsync", policy]);
    play.hold();
    let name = match policy {
        "always" => "redis killed, fsync always",
        "no" => "redis killed, fsync never",
        _ => "redis killed, fsync every second",
    };
    play.begin(name, "");
    redis.kill();
    restart(play, redis);
}

fn restart(play: &mut Play<'_>, redis: &mut TestRedis) {
    play.hold();
    redis.restart();
    play.tell("started");
}

fn cut_tail(play: &mut Play<'_>, redis: &mut TestRedis) {
    redis.kill();
    let path = newest(&redis.append_only_directory());
    let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let cut = play.random.below(TAIL_BYTES_MAX).min(length);
    play.begin("redis killed, its last bytes lost", &format!("{cut} of {length} bytes"));
    let file = OpenOptions::new().write(true).open(&path).expect("it can be written");
    file.set_len(length - cut).expect("it can be cut");
    restart(play, redis);
}

/// The file that Redis appends to.
fn newest(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("a directory of append-only files");
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .max_by_key(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
        .expect("it appends to a file")
}

fn stale(play: &mut Play<'_>, redis: &mut TestRedis) {
    let (now, then) = (redis.append_only_directory(), redis.directory().join("then"));
    drop(fs::remove_dir_all(&then));
    let copied = Command::new("cp").arg("-r").args([&now, &then]).status();
    assert!(copied.is_ok_and(|status| status.success()), "its files can be copied");
    let length = play.length();
    play.clock.wait(length);
    play.begin("redis goes back", &format!("{length:.1?}"));
    redis.kill();
    fs::remove_dir_all(&now).and_then(|()| fs::rename(&then, &now)).expect("its files can be moved");
    restart(play, redis);
}
