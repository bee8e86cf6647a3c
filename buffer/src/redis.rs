//! The buffer in Redis: streams, one for each lane of a partition, compare-and-push and acknowledge as scripts.
//!
//! Keys of partition `n` of buffer `logs`: see [`keys::Keys`]. Each request is one script or one command, so that
//! neither a crash of ours nor a lost answer leaves it half done; each may be repeated without harm.
//!
//! Two kinds of connection: one for requests that are answered at once, shared by all clones of a buffer, and one
//! per consumer, because a blocking read lets everything behind it wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use weir_record::stream::clean_dataset;
use weir_record::{FileKey, SourceId};

use self::keys::Keys;
pub(crate) use self::keys::LANES;
use self::link::{Link, RESPONSE_TIMEOUT};
use self::reply::PushAnswer;
use self::target::Target;
use crate::{
    Buffer, BufferError, ClaimId, DEAD_AFTER, Depth, FileLedger, Position, Push, Pushed, STALLED_AFTER,
};

mod advice;
mod consumer;
mod keys;
mod link;
mod reply;
mod scripts;
mod settings;
mod target;

pub use consumer::RedisConsumer;
pub use settings::{Password, PasswordError, RedisSettings};

/// The consumer group of all workers.
const GROUP: &str = "weir";

/// The consumer that parked frames belong to. No worker has such a name: theirs begin with a host's.
const PARKED: &str = "~parked";

/// Most frames that are sent before their answers are awaited.
const PUSH_FRAMES_MAX: usize = 32;

/// Most bytes of frames that are sent before their answers are awaited: bounds the memory of a push.
const PUSH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Pause between two round trips of pushes when the buffer is all but full.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// About how many files are read in one go by an audit: bounds how long Redis is busy with it.
const LEDGER_PAGE: u32 = 200;

/// Most frames that one call of the acknowledge script frees: bounds how long Redis is busy with it.
const ACKNOWLEDGE_MAX: usize = 128;

/// A buffer in Redis. Clones share its connection, which is made at the first request, and again when it breaks.
#[derive(Clone)]
pub struct RedisBuffer {
    shared: Arc<Shared>,
}

struct Shared {
    target: Arc<Target>,
    /// One for all partitions, or one for each where they are at different nodes of a cluster.
    links: Vec<Link>,
    partitions: Vec<Keys>,
    bytes_max: u64,
    weights: BTreeMap<String, f64>,
    timing: Timing,
    /// The last push found no room: the next one sends a single frame to see.
    full: AtomicBool,
    held: Mutex<HashMap<Entry, Held>>,
    lives: AtomicU64,
}

/// What tests shorten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) dead_after: Duration,
    pub(crate) stalled_after: Duration,
    /// How often a consumer looks for what dead and stalled ones hold, and for what got lost.
    pub(crate) reclaim_interval: Duration,
    /// A dead consumer that holds nothing is forgotten after this time.
    pub(crate) forget_consumer_after: Duration,
    /// A file that was indexed whole this long ago is forgotten.
    pub(crate) forget_after: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            dead_after: DEAD_AFTER,
            stalled_after: STALLED_AFTER,
            reclaim_interval: Duration::from_secs(1),
            forget_consumer_after: Duration::from_secs(3600),
            forget_after: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Partition, lane and stream entry.
type Entry = (u32, u32, (u64, u64));

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
        RedisBuffer::with_timing(settings, Timing::default())
    }

    pub(crate) fn with_timing(settings: &RedisSettings, timing: Timing) -> Result<RedisBuffer, BufferError> {
        let count = settings.partitions.max(1);
        let partitions: Vec<Keys> = (0..count).map(|number| Keys::new(&settings.name, number)).collect();
        let weights = settings.weights.iter();
        let target = Arc::new(Target::new(settings)?);
        let links = if target.is_cluster() { &partitions[..] } else { &partitions[..1] };
        Ok(RedisBuffer {
            shared: Arc::new(Shared {
                links: links.iter().map(|keys| Link::new(target.clone(), keys.frames())).collect(),
                target,
                partitions,
                bytes_max: settings.bytes_max,
                weights: weights.map(|(service, weight)| (clean_dataset(service), *weight)).collect(),
                timing,
                full: AtomicBool::new(false),
                held: Mutex::default(),
                lives: 0.into(),
            }),
        })
    }

    /// Where Redis is: host and port, or path of the socket.
    pub fn address(&self) -> &str {
        self.shared.target.address()
    }
}

impl Buffer for RedisBuffer {
    type Consumer = RedisConsumer;

    async fn push(&self, frames: &[Push<'_>]) -> Result<Vec<Pushed>, BufferError> {
        let mut pushed = Vec::with_capacity(frames.len());
        while let Some(rest) = frames.get(pushed.len()..).filter(|rest| !rest.is_empty()) {
            let waiting = self.shared.push_some(rest, &mut pushed).await?;
            tokio::time::sleep(pause(waiting, self.shared.bytes_max)).await;
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
            let answers = shared.link(number as u32).query("HMGET", &commands, RESPONSE_TIMEOUT).await?;
            let columns: Option<Vec<_>> = answers.iter().map(reply::optional_numbers).collect();
            let Some([pushed, indexed]) = columns.and_then(|columns| <[_; 2]>::try_from(columns).ok()) else {
                return Err(shared.link(number as u32).unexpected("HMGET", &Value::Array(answers)));
            };
            for ((index, pushed), indexed) in of_partition.into_iter().zip(pushed).zip(indexed) {
                positions[index] = Position { pushed, indexed };
            }
        }
        Ok(positions)
    }

    async fn rewind(&self, file: &FileKey, seen: u64, to: u64) -> Result<bool, BufferError> {
        let partition = self.shared.partition_of(file);
        let keys = &self.shared.partitions[partition as usize];
        let mut command = scripts::REWIND.call(&keys.all(), 128);
        command.arg(GROUP).arg(&keys.alive_prefix);
        command.arg(&file.to_bytes()[..]).arg(seen).arg(to);
        let answer = self.shared.query_one(partition, "rewind", command).await?;
        Ok(answer == Value::Int(1))
    }

    async fn depth(&self) -> Result<Depth, BufferError> {
        let mut depth = Depth::default();
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let mut commands = redis::pipe();
            commands.cmd("GET").arg(&keys.bytes);
            keys.frames.iter().for_each(|lane| {
                commands.cmd("XLEN").arg(lane);
            });
            let answers = self.shared.link(partition).query("XLEN", &commands, RESPONSE_TIMEOUT).await?;
            let mut numbers = answers.iter().map(|answer| reply::number(answer).unwrap_or(0));
            let (bytes, frames) = (numbers.next().unwrap_or(0), numbers.sum::<u64>());
            depth.frames += frames;
            if frames > 0 {
                depth.bytes += bytes;
            }
        }
        Ok(depth)
    }

    async fn gaps(&self) -> Result<Vec<(SourceId, u64)>, BufferError> {
        let mut sum = BTreeMap::new();
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let mut command = redis::cmd("HGETALL");
            command.arg(&keys.gaps);
            let answer = self.shared.query_one(partition, "HGETALL", command).await?;
            let unexpected = || self.shared.link(partition).unexpected("HGETALL", &Value::Nil);
            for (source, count) in reply::counts(answer).ok_or_else(unexpected)? {
                *sum.entry(source).or_default() += count;
            }
        }
        Ok(sum.into_iter().collect())
    }

    async fn ledger(&self) -> Result<Vec<FileLedger>, BufferError> {
        // A file comes twice where the hash grows meanwhile: the later is as good.
        let mut files = HashMap::new();
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let mut cursor = b"0".to_vec();
            loop {
                let names = [&*keys.pushed, &keys.indexed, &keys.waiting, &keys.done];
                let mut command = scripts::LEDGER.call(&names, 16);
                command.arg(&cursor).arg(LEDGER_PAGE);
                let answer = self.shared.query_one(partition, "ledger", command).await?;
                let unexpected = || self.shared.link(partition).unexpected("ledger", &Value::Nil);
                let (next, page) = reply::ledger(answer).ok_or_else(unexpected)?;
                files.extend(page.into_iter().map(|ledger| (ledger.file, ledger)));
                if next == b"0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(files.into_values().collect())
    }

    async fn consumer(&self, name: &str) -> Result<RedisConsumer, BufferError> {
        RedisConsumer::new(self.shared.clone(), name).await
    }

    async fn acknowledge(&self, claims: &[ClaimId]) -> Result<(), BufferError> {
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let of_partition: Vec<&ClaimId> =
                claims.iter().filter(|claim| claim.partition == partition).collect();
            for some in of_partition.chunks(ACKNOWLEDGE_MAX) {
                let mut command = scripts::ACKNOWLEDGE.call(&keys.all(), some.len() * 128);
                command.arg(GROUP);
                some.iter().for_each(|claim| add_acknowledged(&mut command, claim));
                self.shared.query_one(partition, "acknowledge", command).await?;
            }
        }
        self.shared.forget_held(claims);
        Ok(())
    }

    async fn renew(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.shared.set_idle(consumer, claims, 0).await
    }

    async fn park(&self, consumer: &str, claims: &[ClaimId], wait: Duration) -> Result<(), BufferError> {
        let idle_ms = self.shared.stalled_ms().saturating_sub(wait.as_millis() as u64);
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let of_partition: Vec<&ClaimId> =
                claims.iter().filter(|claim| claim.partition == partition).collect();
            let alive = format!("{}{PARKED}", keys.alive_prefix);
            for some in of_partition.chunks(ACKNOWLEDGE_MAX) {
                let mut command = scripts::PARK.call(&[keys.frames(), &alive], some.len() * 32);
                command.arg(GROUP).arg(consumer).arg(PARKED).arg(idle_ms);
                command.arg(2 * self.shared.stalled_ms());
                some.iter().for_each(|claim| {
                    command.arg(entry_name(claim));
                });
                self.shared.query_one(partition, "park", command).await?;
            }
        }
        self.shared.forget_held(claims);
        Ok(())
    }

    async fn release(&self, consumer: &str, claims: &[ClaimId]) -> Result<(), BufferError> {
        self.shared.set_idle(consumer, claims, self.shared.stalled_ms()).await?;
        self.shared.forget_held(claims);
        Ok(())
    }
}

impl Shared {
    /// Pushes as many of `frames` as go in one round trip, one at least. Returns how much waits, where it was told.
    async fn push_some(&self, frames: &[Push<'_>], pushed: &mut Vec<Pushed>) -> Result<u64, BufferError> {
        // Megabytes would be sent again and again for nothing while the index is away.
        let count = if self.full.load(Ordering::Relaxed) { 1 } else { frames_of_one_trip(frames) };
        let frames = &frames[..count];
        let pushes = (0..self.links.len()).map(|link| self.push_through(link, frames));
        let answered: Vec<_> = join_all(pushes).await.into_iter().collect::<Result<_, _>>()?;
        let mut answers = vec![None; frames.len()];
        for (index, answer) in answered.into_iter().flatten() {
            answers[index] = Some(answer);
        }
        let mut waiting = 0;
        for answer in answers.into_iter().flatten() {
            match answer {
                PushAnswer::Accepted { bytes } => {
                    waiting = bytes;
                    pushed.push(Pushed::Accepted);
                }
                PushAnswer::Expected(place) => pushed.push(Pushed::Expected(place)),
                PushAnswer::Full { bytes } => {
                    self.full.store(true, Ordering::Relaxed);
                    return Err(BufferError::Full { bytes, bytes_max: self.bytes_max });
                }
            }
        }
        self.full.store(false, Ordering::Relaxed);
        Ok(waiting)
    }

    /// Pushes those of `frames` whose partition is behind this link; answers with their indexes.
    async fn push_through(
        &self,
        link: usize,
        frames: &[Push<'_>],
    ) -> Result<Vec<(usize, PushAnswer)>, BufferError> {
        let mut commands = redis::pipe();
        let mut indexes = Vec::with_capacity(frames.len());
        for (index, push) in frames.iter().enumerate() {
            if self.link_of(self.partition_of(&push.frame.header.file)) == link {
                indexes.push(index);
                commands.add_command(self.push_command(push));
            }
        }
        if indexes.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.links[link].query("push", &commands, RESPONSE_TIMEOUT).await?;
        let answers = indexes.into_iter().zip(answers).map(|(index, answer)| {
            let unexpected = || self.links[link].unexpected("push", &Value::Nil);
            Ok((index, reply::push_answer(answer).ok_or_else(unexpected)?))
        });
        answers.collect()
    }

    fn push_command(&self, push: &Push<'_>) -> redis::Cmd {
        let header = &push.frame.header;
        let keys = &self.partitions[self.partition_of(&header.file) as usize];
        let mut command = scripts::PUSH.call(&keys.of_push(), push.frame.bytes.len());
        command.arg(&header.file.to_bytes()[..]).arg(header.start).arg(header.end);
        command.arg(push.safe).arg(self.bytes_max).arg(&push.frame.bytes[..]);
        command.arg(&push.frame.dataset);
        command
    }

    async fn set_idle(&self, consumer: &str, claims: &[ClaimId], idle_ms: u64) -> Result<(), BufferError> {
        for (partition, keys) in (0..).zip(&self.partitions) {
            let of_partition: Vec<&ClaimId> =
                claims.iter().filter(|claim| claim.partition == partition).collect();
            for some in of_partition.chunks(ACKNOWLEDGE_MAX) {
                let mut command = scripts::HOLD.call(&[keys.frames()], some.len() * 32);
                command.arg(GROUP).arg(consumer).arg(idle_ms);
                for claim in some {
                    command.arg(entry_name(claim));
                }
                self.query_one(partition, "hold", command).await?;
            }
        }
        Ok(())
    }

    async fn query_one(
        &self,
        partition: u32,
        request: &'static str,
        command: redis::Cmd,
    ) -> Result<Value, BufferError> {
        query_one(self.link(partition), request, command).await
    }

    fn partition_of(&self, file: &FileKey) -> u32 {
        keys::partition_of(file, self.partitions.len() as u32)
    }

    /// The stream of a lane, counted over all partitions.
    fn stream(&self, lane: usize) -> &str {
        let lanes = LANES as usize;
        &self.partitions[lane / lanes].frames[lane % lanes]
    }

    fn link_of(&self, partition: u32) -> usize {
        if self.links.len() == 1 { 0 } else { partition as usize }
    }

    fn link(&self, partition: u32) -> &Link {
        &self.links[self.link_of(partition)]
    }

    /// An entry that was left alone this long counts as stalled.
    fn stalled_ms(&self) -> u64 {
        self.timing.stalled_after.as_millis() as u64
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Entry, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_held(&self, claims: &[ClaimId]) {
        let mut held = self.held();
        for claim in claims {
            held.remove(&(claim.partition, claim.lane, claim.entry));
        }
    }
}

/// How many of the frames go in one round trip.
fn frames_of_one_trip(frames: &[Push<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |push: &&Push<'_>| {
        bytes += push.frame.bytes.len();
        bytes <= PUSH_BYTES_MAX
    };
    frames.iter().take(PUSH_FRAMES_MAX).take_while(fits).count().clamp(1, frames.len())
}

/// Near the bound a shipper slows down, rather than running into it again and again.
fn pause(waiting: u64, bytes_max: u64) -> Duration {
    let slow_from = bytes_max / 8 * 7;
    let over = waiting.saturating_sub(slow_from) as f64 / (bytes_max - slow_from).max(1) as f64;
    PAUSE_MAX.mul_f64(over.min(1.0))
}

async fn query_one(link: &Link, request: &'static str, command: redis::Cmd) -> Result<Value, BufferError> {
    let mut commands = redis::Pipeline::with_capacity(1);
    commands.add_command(command);
    let answers = link.query(request, &commands, RESPONSE_TIMEOUT).await?;
    Ok(answers.into_iter().next().unwrap_or_default())
}

fn add_acknowledged(command: &mut redis::Cmd, claim: &ClaimId) {
    command.arg(entry_name(claim));
    match &claim.range {
        Some(range) => command.arg(&range.file.to_bytes()[..]).arg(range.start).arg(range.end),
        None => command.arg("").arg(0).arg(0),
    };
    command.arg(claim.bytes);
}

/// An entry as scripts name it.
fn entry_name(claim: &ClaimId) -> String {
    let (time, number) = claim.entry;
    match claim.lane {
        0 => format!("{time}-{number}"),
        lane => format!("{time}-{number}/{lane}"),
    }
}
