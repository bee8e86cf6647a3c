//! The buffer in Redis: one stream per partition, compare-and-push and acknowledge as scripts.
//!
//! Keys of partition `n` of buffer `logs`: see [`keys::Keys`]. Each request is one script or one command, so that
//! neither a crash of ours nor a lost answer leaves it half done; each may be repeated without harm.
//!
//! Two kinds of connection: one for requests that are answered at once, shared by all clones of a buffer, and one
//! per consumer, because a blocking read lets everything behind it wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use weir_record::FileKey;

use self::keys::Keys;
use self::link::{Link, RESPONSE_TIMEOUT};
use self::reply::PushAnswer;
use crate::{Buffer, BufferError, ClaimId, Depth, Position, Push, Pushed, STALLED_AFTER};

mod consumer;
mod keys;
mod link;
mod reply;
mod scripts;

pub use consumer::RedisConsumer;

/// The consumer group of all workers.
const GROUP: &str = "weir";

/// Most frames that are sent before their answers are awaited.
const PUSH_FRAMES_MAX: usize = 32;

/// Most bytes of frames that are sent before their answers are awaited: bounds the memory of a push.
const PUSH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most frames that one call of the acknowledge script frees: bounds how long Redis is busy with it.
const ACKNOWLEDGE_MAX: usize = 128;

/// How to reach a buffer in Redis.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://`, `rediss://` or `unix://`. It may hold a password, and is never printed.
    pub url: String,
    /// Name of the buffer: part of each key.
    pub name: String,
    /// Number of streams that the files are spread over. The same for everybody who uses the buffer.
    pub partitions: u32,
    /// Frames that may wait, in encoded bytes, per partition.
    pub bytes_max: u64,
}

impl RedisSettings {
    /// The default buffer at `url`: `logs`, one partition, 1 GiB.
    pub fn new(url: impl Into<String>) -> RedisSettings {
        RedisSettings {
            url: url.into(),
            name: "logs".to_owned(),
            partitions: 1,
            bytes_max: 1024 * 1024 * 1024,
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RedisSettings { url: _, name, partitions, bytes_max } = self;
        let mut shown = formatter.debug_struct("RedisSettings");
        shown.field("name", name).field("partitions", partitions).field("bytes_max", bytes_max);
        shown.finish_non_exhaustive()
    }
}

/// A buffer in Redis. Clones share its connection, which is made at the first request, and again when it breaks.
#[derive(Clone)]
pub struct RedisBuffer {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    partitions: Vec<Keys>,
    bytes_max: u64,
    held: Mutex<HashMap<Entry, Held>>,
    lives: AtomicU64,
}

/// Partition and stream entry.
type Entry = (u32, (u64, u64));

/// A frame that a consumer of this process holds: what Redis counts as its own beyond these was lost on the way.
struct Held {
    /// Number of the consumer.
    life: u64,
    deliveries: u32,
}

impl RedisBuffer {
    /// A buffer that is not connected yet.
    ///
    /// # Errors
    /// [`BufferError::Url`].
    pub fn new(settings: &RedisSettings) -> Result<RedisBuffer, BufferError> {
        let partitions = (0..settings.partitions.max(1)).map(|number| Keys::new(&settings.name, number));
        Ok(RedisBuffer {
            shared: Arc::new(Shared {
                link: Link::new(&settings.url)?,
                partitions: partitions.collect(),
                bytes_max: settings.bytes_max,
                held: Mutex::default(),
                lives: 0.into(),
            }),
        })
    }

    /// Where Redis is: host and port, or path of the socket.
    pub fn address(&self) -> &str {
        self.shared.link.address()
    }
}

impl Buffer for RedisBuffer {
    type Consumer = RedisConsumer;

    async fn push(&self, frames: &[Push<'_>]) -> Result<Vec<Pushed>, BufferError> {
        let mut pushed = Vec::with_capacity(frames.len());
        while let Some(rest) = frames.get(pushed.len()..).filter(|rest| !rest.is_empty()) {
            self.shared.push_some(rest, &mut pushed).await?;
        }
        Ok(pushed)
    }

    async fn positions(&self, files: &[FileKey]) -> Result<Vec<Position>, BufferError> {
        let shared = &*self.shared;
        let mut positions = vec![Position::default(); files.len()];
        for (number, keys) in shared.partitions.iter().enumerate() {
            let of_partition: Vec<usize> = (0..files.len())
                .filter(|&index| shared.partition_of(&files[index]) as usize == number)
                .collect();
            if of_partition.is_empty() {
                continue;
            }
            let names: Vec<_> = of_partition.iter().map(|&index| files[index].to_bytes()).collect();
            let mut commands = redis::pipe();
            for key in [&keys.pushed, &keys.indexed] {
                let command = commands.cmd("HMGET").arg(key);
                names.iter().for_each(|name| {
                    command.arg(&name[..]);
                });
            }
            let answers = shared.link.query("HMGET", &commands, RESPONSE_TIMEOUT).await?;
            let columns: Option<Vec<_>> = answers.iter().map(reply::optional_numbers).collect();
            let Some([pushed, indexed]) = columns.and_then(|columns| <[_; 2]>::try_from(columns).ok()) else {
                return Err(shared.link.unexpected("HMGET", &Value::Array(answers)));
            };
            for ((index, pushed), indexed) in of_partition.into_iter().zip(pushed).zip(indexed) {
                positions[index] = Position { pushed, indexed };
            }
        }
        Ok(positions)
    }

    async fn rewind(&self, file: &FileKey, seen: u64, to: u64) -> Result<bool, BufferError> {
        let keys = self.shared.keys_of(file);
        let mut command = scripts::REWIND.call(&[&keys.frames, &keys.pushed, &keys.newest, &keys.gaps], 64);
        command.arg(&file.to_bytes()[..]).arg(seen).arg(to);
        let answer = self.shared.query_one("rewind", command).await?;
        Ok(answer == Value::Int(1))
    }

    async fn depth(&self) -> Result<Depth, BufferError> {
        let mut depth = Depth::default();
        for keys in &self.shared.partitions {
            let mut commands = redis::pipe();
            commands.cmd("XLEN").arg(&keys.frames).cmd("GET").arg(&keys.bytes);
            let answers = self.shared.link.query("XLEN", &commands, RESPONSE_TIMEOUT).await?;
            let frames = answers.first().and_then(reply::number).unwrap_or(0);
            depth.frames += frames;
            if frames > 0 {
                depth.bytes += answers.get(1).and_then(reply::number).unwrap_or(0);
            }
        }
        Ok(depth)
    }

    async fn gaps(&self) -> Result<u64, BufferError> {
        let mut commands = redis::pipe();
        for keys in &self.shared.partitions {
            commands.cmd("GET").arg(&keys.gaps);
        }
        let answers = self.shared.link.query("GET", &commands, RESPONSE_TIMEOUT).await?;
        Ok(answers.iter().filter_map(reply::number).sum())
    }

    async fn consumer(&self, name: &str) -> Result<RedisConsumer, BufferError> {
        RedisConsumer::new(self.shared.clone(), name).await
    }

    async fn acknowledge(&self, claims: &[ClaimId]) -> Result<(), BufferError> {
        for (number, keys) in self.shared.partitions.iter().enumerate() {
            let of_partition: Vec<&ClaimId> =
                claims.iter().filter(|claim| claim.partition as usize == number).collect();
            for some in of_partition.chunks(ACKNOWLEDGE_MAX) {
                let names = [&*keys.frames, &keys.bytes, &keys.indexed, &keys.done];
                let mut command = scripts::ACKNOWLEDGE.call(&names, some.len() * 128);
                command.arg(GROUP);
                some.iter().for_each(|claim| add_acknowledged(&mut command, claim));
                self.shared.query_one("acknowledge", command).await?;
            }
        }
        self.shared.forget_held(claims);
        Ok(())
    }

    async fn renew(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.shared.set_idle(consumer, claims, 0).await
    }

    async fn release(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.shared.set_idle(consumer, claims, STALLED_AFTER.as_millis() as u64).await?;
        self.shared.forget_held(claims);
        Ok(())
    }
}

impl Shared {
    /// Pushes as many of `frames` as go in one round trip, one at least.
    async fn push_some(&self, frames: &[Push<'_>], pushed: &mut Vec<Pushed>) -> Result<(), BufferError> {
        let mut commands = redis::pipe();
        let mut bytes = 0;
        for push in frames.iter().take(PUSH_FRAMES_MAX) {
            bytes += push.frame.bytes.len();
            if bytes > PUSH_BYTES_MAX && !commands.is_empty() {
                break;
            }
            commands.add_command(self.push_command(push));
        }
        let answers = self.link.query("push", &commands, RESPONSE_TIMEOUT).await?;
        for answer in answers {
            match reply::push_answer(answer) {
                Some(PushAnswer::Decided(answer)) => pushed.push(answer),
                Some(PushAnswer::Full { bytes }) => {
                    return Err(BufferError::Full { bytes, bytes_max: self.bytes_max });
                }
                None => return Err(self.link.unexpected("push", &Value::Nil)),
            }
        }
        Ok(())
    }

    fn push_command(&self, push: &Push<'_>) -> redis::Cmd {
        let header = &push.frame.header;
        let keys = self.keys_of(&header.file);
        let names = [&*keys.frames, &keys.pushed, &keys.indexed, &keys.bytes, &keys.newest];
        let mut command = scripts::PUSH.call(&names, push.frame.bytes.len());
        command.arg(&header.file.to_bytes()[..]).arg(header.start).arg(header.end);
        command.arg(push.safe).arg(self.bytes_max).arg(&push.frame.bytes[..]);
        command
    }

    async fn set_idle(&self, consumer: &str, claims: &[ClaimId], idle_ms: u64) -> Result<(), BufferError> {
        for (number, keys) in self.partitions.iter().enumerate() {
            let of_partition: Vec<&ClaimId> =
                claims.iter().filter(|claim| claim.partition as usize == number).collect();
            for some in of_partition.chunks(ACKNOWLEDGE_MAX) {
                let mut command = scripts::HOLD.call(&[&keys.frames], some.len() * 32);
                command.arg(GROUP).arg(consumer).arg(idle_ms);
                for claim in some {
                    command.arg(entry_text(claim.entry));
                }
                self.query_one("hold", command).await?;
            }
        }
        Ok(())
    }

    async fn query_one(&self, request: &'static str, command: redis::Cmd) -> Result<Value, BufferError> {
        query_one(&self.link, request, command).await
    }

    fn partition_of(&self, file: &FileKey) -> u32 {
        keys::partition_of(file, self.partitions.len() as u32)
    }

    fn keys_of(&self, file: &FileKey) -> &Keys {
        &self.partitions[self.partition_of(file) as usize]
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Entry, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_held(&self, claims: &[ClaimId]) {
        let mut held = self.held();
        for claim in claims {
            held.remove(&(claim.partition, claim.entry));
        }
    }
}

async fn query_one(link: &Link, request: &'static str, command: redis::Cmd) -> Result<Value, BufferError> {
    let mut commands = redis::Pipeline::with_capacity(1);
    commands.add_command(command);
    let answers = link.query(request, &commands, RESPONSE_TIMEOUT).await?;
    Ok(answers.into_iter().next().unwrap_or_default())
}

fn add_acknowledged(command: &mut redis::Cmd, claim: &ClaimId) {
    command.arg(entry_text(claim.entry));
    match &claim.range {
        Some(range) => command.arg(&range.file.to_bytes()[..]).arg(range.start).arg(range.end),
        None => command.arg("").arg(0).arg(0),
    };
    command.arg(claim.bytes);
}

/// An entry's id as Redis writes it.
fn entry_text((time, number): (u64, u64)) -> String {
    format!("{time}-{number}")
}
