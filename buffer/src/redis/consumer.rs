//! Claiming from Redis, on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::keys::Keys;
use super::link::{Link, RESPONSE_TIMEOUT, is_unknown_group};
use super::reply::{self, StreamEntry};
use super::{GROUP, Held, Shared, query_one, scripts};
use crate::{BufferError, Claim, ClaimId, Consumer, DELIVERIES_TOGETHER_MAX, FileRange};

mod upkeep;

/// A consumer tells this often within the time after which it counts as dead: two of these may get lost.
const LIVE_PARTS: u32 = 3;

/// How often it looks whether it may have a suspect now.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(50);

/// Most frames of one read: bounds by how much a claim may exceed its bytes.
const READ_MAX: usize = 16;

/// Most pending entries that are looked through for lost ones.
const PENDING_MAX: usize = 10_000;

/// Where partitions are at different nodes of a cluster, a claim waits at one of them at a time, and this long before it
/// looks at the others again. With many, longer, so that idle workers do not keep the cluster busy.
const WAIT_AT_ONE: Duration = Duration::from_millis(20);
const WAIT_FOR_EACH: Duration = Duration::from_millis(5);

/// Claims from a [`RedisBuffer`](super::RedisBuffer).
pub struct RedisConsumer {
    shared: Arc<Shared>,
    /// One for all partitions, or one for each; blocking reads need connections of their own.
    links: Vec<Link>,
    name: String,
    life: u64,
    upkeep: Vec<Upkeep>,
    /// Frames that were claimed, and not yet looked at for gaps before them.
    unchecked: Vec<FileRange>,
    /// The link that the next claim waits at.
    turn: usize,
    /// What others held was claimed last: new entries are next, however much comes back all the time because the
    /// index does not take it.
    is_turn_of_new: bool,
    /// Ends the task that tells that this consumer lives.
    _alive: oneshot::Sender<()>,
}

/// When the tasks are due that come with claiming from one partition.
struct Upkeep {
    /// Dead and stalled consumers are looked for.
    reclaim_at: Instant,
    /// Frames that somebody deleted are looked for.
    mend_at: Instant,
    /// Files are forgotten.
    prune_at: Instant,
    /// The connection for which entries that were lost on the way have been looked for.
    recovered: Option<u64>,
}

/// What a consumer may have next.
enum Next {
    /// These, which were claimed before.
    Claims(Vec<Claim>),
    /// Entries that nobody claimed yet.
    New,
    /// Nothing: there is an entry that only comes alone, and this consumer still holds others, or the suspect itself.
    Wait,
}

impl RedisConsumer {
    pub(super) async fn new(shared: Arc<Shared>, name: &str) -> Result<RedisConsumer, BufferError> {
        tell_alive(&shared, name).await?;
        let (alive, dropped) = oneshot::channel();
        tokio::spawn(keep_alive(shared.clone(), name.to_owned(), dropped));
        let now = Instant::now();
        let upkeep = || Upkeep { reclaim_at: now, mend_at: now, prune_at: now, recovered: None };
        Ok(RedisConsumer {
            links: shared.links.iter().map(Link::another).collect(),
            life: shared.lives.fetch_add(1, Ordering::Relaxed),
            upkeep: shared.partitions.iter().map(|_| upkeep()).collect(),
            shared,
            name: name.to_owned(),
            unchecked: Vec::new(),
            turn: 0,
            is_turn_of_new: false,
            _alive: alive,
        })
    }

    fn link(&self, partition: u32) -> &Link {
        &self.links[self.shared.link_of(partition)]
    }

    /// Entries that Redis has given to this name, though this consumer never saw them: of an earlier life, or in an
    /// answer that was lost. They become free to claim.
    async fn recover(&self, partition: u32) -> Result<(), BufferError> {
        let keys = &self.shared.partitions[partition as usize];
        let mut pending = redis::cmd("XPENDING");
        pending.arg(&keys.frames).arg(GROUP).arg("-").arg("+").arg(PENDING_MAX).arg(&self.name);
        let link = self.link(partition);
        let answer = match query_one(link, "XPENDING", pending).await {
            Err(error) if is_unknown_group(&error) => return Ok(()),
            answer => answer?,
        };
        let ids = reply::pending_ids(answer).ok_or_else(|| link.unexpected("XPENDING", &Value::Nil))?;
        let lost = {
            let held = self.shared.held();
            let is_lost = |entry: &(u64, u64)| !held.contains_key(&(partition, *entry));
            ids.into_iter().filter(is_lost).collect::<Vec<_>>()
        };
        let claims: Vec<ClaimId> =
            lost.into_iter().map(|entry| ClaimId { partition, entry, range: None, bytes: 0 }).collect();
        self.shared.set_idle(&self.name, &claims, self.shared.stalled_ms()).await
    }

    async fn reclaim(&self, partition: u32, frames_max: usize) -> Result<Next, BufferError> {
        let keys = &self.shared.partitions[partition as usize];
        let mut command = scripts::RECLAIM.call(&[&keys.frames], 128);
        command.arg(GROUP).arg(&self.name).arg(&keys.alive_prefix).arg(self.shared.stalled_ms());
        command.arg(DELIVERIES_TOGETHER_MAX).arg(frames_max.min(READ_MAX));
        command.arg(self.shared.timing.forget_consumer_after.as_millis() as u64);
        let answer = query_one(self.link(partition), "reclaim", command).await?;
        self.reclaimed(partition, answer)
    }

    fn reclaimed(&self, partition: u32, answer: Value) -> Result<Next, BufferError> {
        let parts = match answer {
            Value::Array(parts) => parts,
            other => return Err(self.link(partition).unexpected("reclaim", &other)),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(Value::Int(1)), Some(entries), Some(Value::Array(deliveries))) => {
                let unexpected = || self.link(partition).unexpected("reclaim", &Value::Nil);
                let entries = reply::entries(entries).ok_or_else(unexpected)?;
                let deliveries = deliveries.iter().filter_map(reply::number);
                let deliveries = deliveries.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
                Ok(Next::Claims(self.take(partition, entries.into_iter().zip(deliveries))))
            }
            (Some(Value::Int(2)), ..) => Ok(Next::Wait),
            _ => Ok(Next::New),
        }
    }

    /// Entries that nobody claimed before, of all partitions. `block`: none does not wait.
    async fn read(&mut self, frames_max: usize, block: Option<Duration>) -> Result<Vec<Claim>, BufferError> {
        if self.links.len() == 1 {
            return self.read_through(0, frames_max, block).await;
        }
        let mut claims = Vec::new();
        let mut trouble = None;
        let all = (0..self.links.len()).map(async |link| {
            // One node that is away must not keep the others waiting.
            if self.links[link].is_broken().await {
                return Ok(Vec::new());
            }
            self.read_through(link, frames_max, None).await
        });
        for result in join_all(all).await {
            match result {
                Ok(more) => claims.extend(more),
                Err(error) => trouble = Some(error),
            }
        }
        match (trouble, block) {
            (Some(error), _) if claims.is_empty() => Err(error),
            (None, Some(block)) if claims.is_empty() => {
                self.next_turn().await;
                let longest = WAIT_AT_ONE.max(WAIT_FOR_EACH * self.links.len() as u32);
                self.read_through(self.turn, frames_max, Some(block.min(longest))).await
            }
            _ => Ok(claims),
        }
    }

    /// The next link whose node is there; the same again where none is.
    async fn next_turn(&mut self) {
        for step in 1..=self.links.len() {
            let turn = (self.turn + step) % self.links.len();
            if !self.links[turn].is_broken().await {
                self.turn = turn;
                return;
            }
        }
    }

    /// The same as [`read`](Self::read), of the partitions that are behind one link.
    async fn read_through(
        &self,
        link: usize,
        frames_max: usize,
        block: Option<Duration>,
    ) -> Result<Vec<Claim>, BufferError> {
        let partitions: Vec<u32> = (0..self.shared.partitions.len() as u32)
            .filter(|&partition| self.shared.link_of(partition) == link)
            .collect();
        let stream = |&partition: &u32| &self.shared.partitions[partition as usize].frames;
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(frames_max.clamp(1, READ_MAX));
        if let Some(block) = block {
            // Zero would mean for ever.
            command.arg("BLOCK").arg(block.as_millis().max(1) as u64);
        }
        command.arg("STREAMS");
        partitions.iter().map(stream).for_each(|stream| {
            command.arg(stream);
        });
        partitions.iter().for_each(|_| {
            command.arg(">");
        });
        let mut commands = redis::pipe();
        commands.add_command(command);
        let watchdog = block.unwrap_or_default() + RESPONSE_TIMEOUT;
        let link = &self.links[link];
        let answer = match link.query("XREADGROUP", &commands, watchdog).await {
            Err(error) if is_unknown_group(&error) => {
                self.create_groups(&partitions).await?;
                return Ok(Vec::new());
            }
            answers => answers?.into_iter().next().unwrap_or_default(),
        };
        let streams = reply::streams(answer).ok_or_else(|| link.unexpected("XREADGROUP", &Value::Nil))?;
        let mut claims = Vec::new();
        for (name, entries) in streams {
            let is_it = |partition: &&u32| stream(partition).as_bytes() == name;
            if let Some(&partition) = partitions.iter().find(is_it) {
                claims.extend(self.take(partition, entries.into_iter().zip(std::iter::repeat(1))));
            }
        }
        Ok(claims)
    }

    async fn create_groups(&self, partitions: &[u32]) -> Result<(), BufferError> {
        for &partition in partitions {
            let mut command = scripts::GROUP.call(&[&self.shared.partitions[partition as usize].frames], 8);
            command.arg(GROUP);
            query_one(self.link(partition), "XGROUP CREATE", command).await?;
        }
        Ok(())
    }

    /// Makes claims of entries, and remembers that this consumer holds them.
    fn take(&self, partition: u32, entries: impl Iterator<Item = (StreamEntry, u32)>) -> Vec<Claim> {
        let mut held = self.shared.held();
        entries
            .map(|(entry, deliveries)| {
                held.insert((partition, entry.id), Held { life: self.life, deliveries });
                let bytes = entry.frame.len() as u64;
                let id = ClaimId { partition, entry: entry.id, range: entry.range, bytes };
                Claim { id, bytes: entry.frame, deliveries }
            })
            .collect()
    }

    /// Reads more of what is there, up to the limits.
    async fn read_on(&mut self, mut claims: Vec<Claim>, frames_max: usize, bytes_max: usize) -> Vec<Claim> {
        let mut asked = frames_max.min(READ_MAX);
        let mut got = claims.len();
        let mut bytes: usize = claims.iter().map(|claim| claim.bytes.len()).sum();
        while got >= asked && claims.len() < frames_max && bytes < bytes_max {
            asked = (frames_max - claims.len()).min(READ_MAX);
            // What was read before must not get lost with an error: the next claim will meet the error again.
            let Ok(more) = self.read(asked, None).await else { break };
            got = more.len();
            bytes += more.iter().map(|claim| claim.bytes.len()).sum::<usize>();
            claims.extend(more);
        }
        claims
    }

    fn holds_suspect(&self) -> bool {
        let held = self.shared.held();
        held.values().any(|held| held.life == self.life && held.deliveries > DELIVERIES_TOGETHER_MAX)
    }

    /// Looks for what comes before new entries, and does what is due.
    async fn claim_again(&mut self, frames_max: usize) -> Result<Next, BufferError> {
        if self.holds_suspect() {
            return Ok(Next::Wait);
        }
        let mut found = Next::New;
        for partition in 0..self.shared.partitions.len() as u32 {
            match self.claim_again_from(partition, frames_max).await {
                Ok(Next::New) => {}
                Ok(Next::Wait) => found = Next::Wait,
                Ok(Next::Claims(claims)) => return Ok(Next::Claims(claims)),
                // The node of this partition is away; reading from it says so where nothing else comes.
                Err(error) if self.links.len() > 1 => {
                    tracing::debug!(%error, partition, "cannot look for what others left behind");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn claim_again_from(&mut self, partition: u32, frames_max: usize) -> Result<Next, BufferError> {
        let link = self.link(partition);
        if self.links.len() > 1 && link.is_broken().await {
            return Ok(Next::New);
        }
        let number = partition as usize;
        if self.upkeep[number].recovered != Some(link.generation().await) {
            self.recover(partition).await?;
            let now = Instant::now();
            let recovered = Some(self.link(partition).generation().await);
            self.upkeep[number] = Upkeep { reclaim_at: now, mend_at: now, prune_at: now, recovered };
        }
        let now = Instant::now();
        if self.upkeep[number].mend_at <= now {
            self.upkeep[number].mend_at = self.mend(partition).await?;
        }
        if self.upkeep[number].prune_at <= now {
            self.upkeep[number].prune_at = self.prune(partition).await?;
        }
        if self.upkeep[number].reclaim_at > now {
            return Ok(Next::New);
        }
        let next = self.reclaim(partition, frames_max).await?;
        if let Next::New = next {
            self.upkeep[number].reclaim_at = now + self.shared.timing.reclaim_interval;
        }
        Ok(next)
    }

    /// Hands out claims. Those that cannot be looked at for gaps now are looked at before the next claim.
    async fn hand_out(&mut self, claims: Vec<Claim>) -> Vec<Claim> {
        self.unchecked.extend(claims.iter().filter_map(|claim| claim.id.range));
        if let Err(error) = self.check().await {
            tracing::debug!(%error, "cannot look for gaps now");
        }
        claims
    }
}

impl Consumer for RedisConsumer {
    async fn claim(
        &mut self,
        frames_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Claim>, BufferError> {
        let deadline = Instant::now() + wait;
        if !self.unchecked.is_empty() {
            self.check().await?;
        }
        if std::mem::take(&mut self.is_turn_of_new) && !self.holds_suspect() {
            let claims = self.read(frames_max, None).await?;
            if !claims.is_empty() {
                let claims = self.read_on(claims, frames_max, bytes_max).await;
                return Ok(self.hand_out(claims).await);
            }
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.claim_again(frames_max).await? {
                // Empty: all of them were deleted.
                Next::Claims(claims) if claims.is_empty() => {}
                Next::Claims(claims) => {
                    self.is_turn_of_new = true;
                    return Ok(self.hand_out(claims).await);
                }
                Next::Wait => tokio::time::sleep(left.min(SUSPECT_INTERVAL)).await,
                Next::New => {
                    let block = left.min(self.shared.timing.reclaim_interval);
                    let claims = self.read(frames_max, Some(block)).await?;
                    if !claims.is_empty() {
                        let claims = self.read_on(claims, frames_max, bytes_max).await;
                        return Ok(self.hand_out(claims).await);
                    }
                }
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
        }
    }
}

impl Drop for RedisConsumer {
    fn drop(&mut self) {
        self.shared.held().retain(|_, held| held.life != self.life);
    }
}

/// Tells every partition; a node that is away must not make this consumer look dead at the others.
async fn tell_alive(shared: &Shared, name: &str) -> Result<(), BufferError> {
    let tell = async |(partition, keys): (u32, &Keys)| {
        let key = format!("{}{name}", keys.alive_prefix);
        let mut command = scripts::LIVE.call(&[&key], 8);
        command.arg(shared.timing.dead_after.as_millis() as u64);
        shared.query_one(partition, "live", command).await
    };
    join_all((0..).zip(&shared.partitions).map(tell))
        .await
        .into_iter()
        .try_for_each(|answer| answer.map(drop))
}

/// Tells that the consumer lives until it is dropped, and then that it does not.
async fn keep_alive(shared: Arc<Shared>, name: String, mut dropped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut dropped => break,
            () = tokio::time::sleep(shared.timing.dead_after / LIVE_PARTS) => {
                // Whoever claims or acknowledges meets the same trouble, and reports it.
                if let Err(error) = tell_alive(&shared, &name).await {
                    tracing::debug!(%error, "could not tell that the consumer lives");
                }
            }
        }
    }
    for (partition, keys) in (0..).zip(&shared.partitions) {
        let mut command = redis::cmd("DEL");
        command.arg(format!("{}{name}", keys.alive_prefix));
        if let Err(error) = shared.query_one(partition, "DEL", command).await {
            tracing::debug!(%error, "could not tell that the consumer ended");
        }
    }
}
