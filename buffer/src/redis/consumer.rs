//! Claiming from Redis, on a connection of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::lanes::Lanes;
use super::keys::{Keys, LANES};
use super::link::{Link, RESPONSE_TIMEOUT, is_unknown_group};
use super::reply::{self, StreamEntry};
use super::{GROUP, Held, Shared, query_one, scripts};
use crate::{BufferError, Claim, ClaimId, Consumer, DELIVERIES_TOGETHER_MAX, FileRange};

mod lanes;
mod upkeep;

/// A consumer tells this often within the time after which it counts as dead: two of these may get lost.
const LIVE_PARTS: u32 = 3;

/// How often it looks whether it may have a suspect now.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(50);

/// Most frames that are taken over from others in one go.
const RECLAIM_MAX: usize = 16;

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
    /// Of all partitions, one after the other.
    lanes: Lanes,
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
    /// How often dead and stalled consumers were looked for.
    reclaims: u32,
    /// The connection for which entries that were lost on the way have been looked for.
    recovered: Option<u64>,
}

/// What lanes gave that were asked for this many frames each.
struct Answer {
    lanes: Vec<usize>,
    asked: usize,
    streams: HashMap<Vec<u8>, Vec<StreamEntry>>,
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
        let upkeep = || Upkeep { reclaim_at: now, mend_at: now, prune_at: now, reclaims: 0, recovered: None };
        Ok(RedisConsumer {
            links: shared.links.iter().map(Link::another).collect(),
            life: shared.lives.fetch_add(1, Ordering::Relaxed),
            upkeep: shared.partitions.iter().map(|_| upkeep()).collect(),
            lanes: Lanes::new(shared.partitions.len() * LANES as usize, shared.weights.clone()),
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
        let (keys, link) = (&self.shared.partitions[partition as usize], self.link(partition));
        let mut command = scripts::PENDING.call(&[keys.frames()], 64);
        command.arg(GROUP).arg(&self.name).arg(PENDING_MAX);
        let answer = query_one(link, "pending", command).await?;
        let pending = reply::pending(answer).ok_or_else(|| link.unexpected("pending", &Value::Nil))?;
        let claims: Vec<ClaimId> = {
            let held = self.shared.held();
            let lost = pending.into_iter().filter(|(lane, id)| !held.contains_key(&(partition, *lane, *id)));
            lost.map(|(lane, entry)| ClaimId { partition, lane, entry, range: None, bytes: 0 }).collect()
        };
        self.shared.set_idle(&self.name, &claims, self.shared.stalled_ms()).await
    }

    async fn reclaim(&mut self, partition: u32, frames_max: usize) -> Result<Next, BufferError> {
        let keys = &self.shared.partitions[partition as usize];
        let mut command = scripts::RECLAIM.call(&[keys.frames()], 128);
        command.arg(GROUP).arg(&self.name).arg(&keys.alive_prefix).arg(self.shared.stalled_ms());
        command.arg(DELIVERIES_TOGETHER_MAX).arg(frames_max.min(RECLAIM_MAX));
        command.arg(self.shared.timing.forget_consumer_after.as_millis() as u64);
        let calls = &mut self.upkeep[partition as usize].reclaims;
        command.arg(*calls);
        *calls = calls.wrapping_add(1);
        let answer = query_one(self.link(partition), "reclaim", command).await?;
        self.reclaimed(partition, answer)
    }

    fn reclaimed(&self, partition: u32, answer: Value) -> Result<Next, BufferError> {
        let parts = match answer {
            Value::Array(parts) => parts,
            other => return Err(self.link(partition).unexpected("reclaim", &other)),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (
                Some(Value::Int(1)),
                Some(entries),
                Some(Value::Array(deliveries)),
                Some(Value::Array(lanes)),
            ) => {
                let unexpected = || self.link(partition).unexpected("reclaim", &Value::Nil);
                let entries = reply::entries(entries).ok_or_else(unexpected)?;
                let deliveries = deliveries.iter().filter_map(reply::number);
                let deliveries = deliveries.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
                let lanes = lanes.iter().filter_map(reply::number).map(|lane| lane as u32);
                let entries = entries.into_iter().zip(deliveries).zip(lanes);
                let entries = entries.map(|((entry, deliveries), lane)| (entry, lane, deliveries));
                Ok(Next::Claims(self.take(partition, entries)))
            }
            (Some(Value::Int(2)), ..) => Ok(Next::Wait),
            _ => Ok(Next::New),
        }
    }

    /// Entries that nobody claimed before, of all lanes that are not busy, and one round of those that are.
    async fn read(&mut self, frames_max: usize, bytes_max: usize) -> Result<Vec<Claim>, BufferError> {
        let round = self.lanes.next_round(frames_max, bytes_max);
        let quiet = self.lanes.frames_of_quiet(frames_max, bytes_max);
        self.read_at_once(&round, Some(quiet)).await
    }

    /// Waits for entries, where no lane is known to have any.
    async fn wait_for_entries(
        &mut self,
        frames_max: usize,
        bytes_max: usize,
        block: Duration,
    ) -> Result<Vec<Claim>, BufferError> {
        let count = self.lanes.frames_of_quiet(frames_max, bytes_max);
        if self.links.len() == 1 {
            let answer = self.ask(0, &[], Some(count), Some(block)).await;
            return self.take_answer(0, answer).await;
        }
        let claims = self.read_at_once(&[], Some(count)).await?;
        if !claims.is_empty() {
            return Ok(claims);
        }
        self.next_turn().await;
        let longest = WAIT_AT_ONE.max(WAIT_FOR_EACH * self.links.len() as u32);
        let answer = self.ask(self.turn, &[], Some(count), Some(block.min(longest))).await;
        self.take_answer(self.turn, answer).await
    }

    /// Reads through all links, without waiting for entries.
    async fn read_at_once(
        &mut self,
        round: &[(usize, usize)],
        quiet: Option<usize>,
    ) -> Result<Vec<Claim>, BufferError> {
        let all = (0..self.links.len()).map(async |link| {
            // One node that is away must not keep the others waiting.
            if self.links.len() > 1 && self.links[link].is_broken().await {
                return Ok(Vec::new());
            }
            self.ask(link, round, quiet, None).await
        });
        let (mut claims, mut trouble) = (Vec::new(), None);
        for (link, answer) in join_all(all).await.into_iter().enumerate() {
            match self.take_answer(link, answer).await {
                Ok(more) => claims.extend(more),
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(error) if claims.is_empty() => Err(error),
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

    /// Asks the lanes behind one link: each busy one of `round` for its number of frames, each other for `quiet`.
    async fn ask(
        &self,
        link: usize,
        round: &[(usize, usize)],
        quiet: Option<usize>,
        block: Option<Duration>,
    ) -> Result<Vec<Answer>, BufferError> {
        let is_here = |lane: &usize| self.shared.link_of(partition_of(*lane)) == link;
        let busy = round.iter().filter(|(lane, _)| is_here(lane));
        let mut asked: Vec<(Vec<usize>, usize)> = busy.map(|&(lane, count)| (vec![lane], count)).collect();
        if let Some(count) = quiet {
            let all = 0..self.shared.partitions.len() * LANES as usize;
            let lanes = all.filter(|lane| is_here(lane) && !self.lanes.is_busy(*lane));
            asked.push((lanes.collect(), count));
        }
        asked.retain(|(lanes, _)| !lanes.is_empty());
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = redis::pipe();
        for (lanes, count) in &asked {
            commands.add_command(self.read_command(lanes, *count, block));
        }
        let watchdog = block.unwrap_or_default() + RESPONSE_TIMEOUT;
        let answers = self.links[link].query("XREADGROUP", &commands, watchdog).await?;
        let answers = asked.into_iter().zip(answers).map(|((lanes, asked), answer)| {
            let unexpected = || self.links[link].unexpected("XREADGROUP", &Value::Nil);
            let streams = reply::streams(answer).ok_or_else(unexpected)?;
            Ok(Answer { lanes, asked, streams: streams.into_iter().collect() })
        });
        answers.collect()
    }

    /// Makes claims of what was answered through one link.
    async fn take_answer(
        &mut self,
        link: usize,
        answer: Result<Vec<Answer>, BufferError>,
    ) -> Result<Vec<Claim>, BufferError> {
        match answer {
            Ok(answers) => Ok(answers.into_iter().flat_map(|answer| self.take_lanes(answer)).collect()),
            Err(error) => {
                let partitions: Vec<u32> = (0..self.shared.partitions.len() as u32)
                    .filter(|&partition| self.shared.link_of(partition) == link)
                    .collect();
                // Beside the error there may have been entries.
                partitions.iter().for_each(|&partition| self.upkeep[partition as usize].recovered = None);
                if !is_unknown_group(&error) {
                    return Err(error);
                }
                self.create_groups(&partitions).await?;
                Ok(Vec::new())
            }
        }
    }

    fn read_command(&self, lanes: &[usize], count: usize, block: Option<Duration>) -> redis::Cmd {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(count);
        if let Some(block) = block {
            // Zero would mean for ever.
            command.arg("BLOCK").arg(block.as_millis().max(1) as u64);
        }
        command.arg("STREAMS");
        lanes.iter().for_each(|&lane| {
            command.arg(self.shared.stream(lane));
        });
        lanes.iter().for_each(|_| {
            command.arg(">");
        });
        command
    }

    fn take_lanes(&mut self, answer: Answer) -> Vec<Claim> {
        let Answer { lanes, asked, mut streams } = answer;
        let mut claims = Vec::new();
        for lane in lanes {
            let entries = streams.remove(self.shared.stream(lane).as_bytes()).unwrap_or_default();
            let bytes: Vec<usize> = entries.iter().map(|entry| entry.frame.len()).collect();
            let service = entries.last().map(|entry| String::from_utf8_lossy(&entry.service));
            self.lanes.note(lane, asked, &bytes, service.as_deref());
            let number = lane as u32 % LANES;
            claims.extend(self.take(partition_of(lane), entries.into_iter().map(|entry| (entry, number, 1))));
        }
        claims
    }

    async fn create_groups(&self, partitions: &[u32]) -> Result<(), BufferError> {
        for &partition in partitions {
            let mut command = scripts::GROUP.call(&[self.shared.partitions[partition as usize].frames()], 8);
            command.arg(GROUP);
            query_one(self.link(partition), "XGROUP CREATE", command).await?;
        }
        Ok(())
    }

    /// Makes claims of entries, and remembers that this consumer holds them.
    fn take(&self, partition: u32, entries: impl Iterator<Item = (StreamEntry, u32, u32)>) -> Vec<Claim> {
        let mut held = self.shared.held();
        entries
            .map(|(entry, lane, deliveries)| {
                held.insert((partition, lane, entry.id), Held { life: self.life, deliveries });
                let bytes = entry.frame.len() as u64;
                let id = ClaimId { partition, lane, entry: entry.id, range: entry.range, bytes };
                Claim { id, bytes: entry.frame, deliveries }
            })
            .collect()
    }

    /// Reads more of the lanes that are busy, up to the limits.
    async fn read_on(&mut self, mut claims: Vec<Claim>, frames_max: usize, bytes_max: usize) -> Vec<Claim> {
        let mut bytes: usize = claims.iter().map(|claim| claim.bytes.len()).sum();
        while self.lanes.any_is_busy() && claims.len() < frames_max && bytes < bytes_max {
            let round = self.lanes.next_round(frames_max - claims.len(), bytes_max - bytes);
            // What was read before must not get lost with an error: the next claim will meet the error again.
            let Ok(more) = self.read_at_once(&round, None).await else { break };
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
            let reclaims = self.upkeep[number].reclaims;
            self.upkeep[number] =
                Upkeep { reclaim_at: now, mend_at: now, prune_at: now, reclaims, recovered };
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

/// The partition of a lane, counted over all of them.
fn partition_of(lane: usize) -> u32 {
    lane as u32 / LANES
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
            let claims = self.read(frames_max, bytes_max).await?;
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
                    let mut claims = Vec::new();
                    if self.lanes.any_is_busy() {
                        claims = self.read(frames_max, bytes_max).await?;
                    }
                    // A lane that is busy is not among those that are waited for.
                    if claims.is_empty() && !self.lanes.any_is_busy() {
                        claims = self.wait_for_entries(frames_max, bytes_max, block).await?;
                    }
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
