//! Claiming from Redis, on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::link::{Link, RESPONSE_TIMEOUT, is_unknown_group};
use super::reply::{self, StreamEntry};
use super::{GROUP, Held, Shared, query_one, scripts};
use crate::{BufferError, Claim, ClaimId, Consumer, DEAD_AFTER, DELIVERIES_TOGETHER_MAX, STALLED_AFTER};

/// How often a consumer tells that it lives: two of these may get lost.
const LIVE_INTERVAL: Duration = Duration::from_millis(1500);

/// How often it looks for what dead and stalled consumers hold.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// How often it looks whether it may have a suspect now.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(50);

/// Most frames of one read: bounds by how much a claim may exceed its bytes.
const READ_MAX: usize = 16;

/// Most pending entries that are looked through for lost ones.
const PENDING_MAX: usize = 10_000;

/// Claims from a [`RedisBuffer`](super::RedisBuffer).
pub struct RedisConsumer {
    shared: Arc<Shared>,
    link: Link,
    name: String,
    life: u64,
    /// When dead and stalled consumers are looked for next.
    reclaim_at: Instant,
    /// The connection for which entries that were lost on the way have been looked for.
    recovered: Option<u64>,
    /// Ends the task that tells that this consumer lives.
    _alive: oneshot::Sender<()>,
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
        Ok(RedisConsumer {
            link: shared.link.another(),
            life: shared.lives.fetch_add(1, Ordering::Relaxed),
            shared,
            name: name.to_owned(),
            reclaim_at: Instant::now(),
            recovered: None,
            _alive: alive,
        })
    }

    /// Entries that Redis has given to this name, though this consumer never saw them: of an earlier life, or in an
    /// answer that was lost. They become free to claim.
    async fn recover(&mut self) -> Result<(), BufferError> {
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let mut pending = redis::cmd("XPENDING");
            pending.arg(&keys.frames).arg(GROUP).arg("-").arg("+").arg(PENDING_MAX).arg(&self.name);
            let answer = match query_one(&self.link, "XPENDING", pending).await {
                Err(error) if is_unknown_group(&error) => continue,
                answer => answer?,
            };
            let ids =
                reply::pending_ids(answer).ok_or_else(|| self.link.unexpected("XPENDING", &Value::Nil))?;
            let lost = {
                let held = self.shared.held();
                let is_lost = |entry: &(u64, u64)| !held.contains_key(&(partition, *entry));
                ids.into_iter().filter(is_lost).collect::<Vec<_>>()
            };
            let claims: Vec<ClaimId> =
                lost.into_iter().map(|entry| ClaimId { partition, entry, range: None, bytes: 0 }).collect();
            self.shared.set_idle(&self.name, &claims, STALLED_AFTER.as_millis() as u64).await?;
        }
        self.recovered = Some(self.link.generation().await);
        Ok(())
    }

    async fn reclaim(&mut self, frames_max: usize) -> Result<Next, BufferError> {
        let mut found = Next::New;
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let mut command = scripts::RECLAIM.call(&[&keys.frames], 128);
            command.arg(GROUP).arg(&self.name).arg(&keys.alive_prefix).arg(STALLED_AFTER.as_millis() as u64);
            command.arg(DELIVERIES_TOGETHER_MAX).arg(frames_max.min(READ_MAX));
            let answer = query_one(&self.link, "reclaim", command).await?;
            match self.reclaimed(partition, answer)? {
                Next::New => {}
                Next::Wait => found = Next::Wait,
                claims @ Next::Claims(_) => return Ok(claims),
            }
        }
        Ok(found)
    }

    fn reclaimed(&self, partition: u32, answer: Value) -> Result<Next, BufferError> {
        let parts = match answer {
            Value::Array(parts) => parts,
            other => return Err(self.link.unexpected("reclaim", &other)),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(Value::Int(1)), Some(entries), Some(Value::Array(deliveries))) => {
                let entries =
                    reply::entries(entries).ok_or_else(|| self.link.unexpected("reclaim", &Value::Nil))?;
                let deliveries = deliveries.iter().filter_map(reply::number).filter(|&count| count > 0);
                let deliveries = deliveries.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
                Ok(Next::Claims(self.take(partition, entries.into_iter().zip(deliveries))))
            }
            (Some(Value::Int(2)), ..) => Ok(Next::Wait),
            _ => Ok(Next::New),
        }
    }

    /// Entries that nobody claimed before. `block`: none does not wait.
    async fn read(&self, frames_max: usize, block: Option<Duration>) -> Result<Vec<Claim>, BufferError> {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(frames_max.clamp(1, READ_MAX));
        if let Some(block) = block {
            // Zero would mean for ever.
            command.arg("BLOCK").arg(block.as_millis().max(1) as u64);
        }
        command.arg("STREAMS");
        self.shared.partitions.iter().for_each(|keys| {
            command.arg(&keys.frames);
        });
        self.shared.partitions.iter().for_each(|_| {
            command.arg(">");
        });
        let mut commands = redis::pipe();
        commands.add_command(command);
        let watchdog = block.unwrap_or_default() + RESPONSE_TIMEOUT;
        let answer = match self.link.query("XREADGROUP", &commands, watchdog).await {
            Err(error) if is_unknown_group(&error) => {
                self.create_groups().await?;
                return Ok(Vec::new());
            }
            answers => answers?.into_iter().next().unwrap_or_default(),
        };
        let streams =
            reply::streams(answer).ok_or_else(|| self.link.unexpected("XREADGROUP", &Value::Nil))?;
        let mut claims = Vec::new();
        for (name, entries) in streams {
            let is_it = |keys: &super::Keys| keys.frames.as_bytes() == name;
            if let Some(partition) = self.shared.partitions.iter().position(is_it) {
                claims.extend(self.take(partition as u32, entries.into_iter().zip(std::iter::repeat(1))));
            }
        }
        Ok(claims)
    }

    /// The groups begin at the stream's first entry: nothing that was pushed before is passed over.
    async fn create_groups(&self) -> Result<(), BufferError> {
        for keys in &self.shared.partitions {
            let mut command = redis::cmd("XGROUP");
            command.arg("CREATE").arg(&keys.frames).arg(GROUP).arg("0").arg("MKSTREAM");
            match query_one(&self.link, "XGROUP CREATE", command).await {
                Err(BufferError::Refused { source, .. }) if source.code() == Some("BUSYGROUP") => {}
                answer => drop(answer?),
            }
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
    async fn read_on(&self, mut claims: Vec<Claim>, frames_max: usize, bytes_max: usize) -> Vec<Claim> {
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

    /// Looks for what comes before new entries.
    async fn claim_again(&mut self, frames_max: usize) -> Result<Next, BufferError> {
        if self.holds_suspect() {
            return Ok(Next::Wait);
        }
        if self.recovered != Some(self.link.generation().await) {
            self.recover().await?;
            self.reclaim_at = Instant::now();
        }
        if self.reclaim_at > Instant::now() {
            return Ok(Next::New);
        }
        let next = self.reclaim(frames_max).await?;
        if let Next::New = next {
            self.reclaim_at = Instant::now() + RECLAIM_INTERVAL;
        }
        Ok(next)
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
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.claim_again(frames_max).await? {
                Next::Claims(claims) => return Ok(claims),
                Next::Wait => tokio::time::sleep(left.min(SUSPECT_INTERVAL)).await,
                Next::New => {
                    let claims = self.read(frames_max, Some(left.min(RECLAIM_INTERVAL))).await?;
                    if !claims.is_empty() {
                        return Ok(self.read_on(claims, frames_max, bytes_max).await);
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

async fn tell_alive(shared: &Shared, name: &str) -> Result<(), BufferError> {
    for keys in &shared.partitions {
        let key = format!("{}{name}", keys.alive_prefix);
        let mut command = scripts::LIVE.call(&[&key], 8);
        command.arg(DEAD_AFTER.as_millis() as u64);
        shared.query_one("live", command).await?;
    }
    Ok(())
}

/// Tells that the consumer lives until it is dropped, and then that it does not.
async fn keep_alive(shared: Arc<Shared>, name: String, mut dropped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut dropped => break,
            () = tokio::time::sleep(LIVE_INTERVAL) => {
                // Whoever claims or acknowledges meets the same trouble, and reports it.
                if let Err(error) = tell_alive(&shared, &name).await {
                    tracing::debug!(%error, "could not tell that the consumer lives");
                }
            }
        }
    }
    for keys in &shared.partitions {
        let mut command = redis::cmd("DEL");
        command.arg(format!("{}{name}", keys.alive_prefix));
        if let Err(error) = shared.query_one("DEL", command).await {
            tracing::debug!(%error, "could not tell that the consumer ended");
        }
    }
}
