//! What workers do for the buffer beside claiming: find what got lost, count gaps, forget what is long done.

use std::collections::HashSet;
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;
use weir_record::FileKey;

use super::super::{GROUP, query_one, reply, scripts};
use super::RedisConsumer;
use crate::{BufferError, FileRange};

/// How often it looks for files that may be forgotten.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// Most files that are forgotten in one go: bounds how long Redis is busy with it.
const PRUNE_MAX: u32 = 200;

/// About how many waiting frames are looked at in one go for lost ones: Redis reads each, a few milliseconds in all.
const MEND_PAGE: u32 = 128;

/// After a search that found nothing though entries are gone: a living consumer holds the missing ones.
const MEND_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl RedisConsumer {
    /// Finds frames that somebody deleted, so that they are pushed again. Returns when to look again.
    pub(super) async fn mend(&self, partition: u32) -> Result<Instant, BufferError> {
        let keys = &self.shared.partitions[partition as usize];
        let link = self.link(partition);
        let (mut cursor, mut pages, mut lost) = (b"0".to_vec(), 0, 0);
        loop {
            let mut command = scripts::MEND.call(&keys.all(), 128);
            command.arg(GROUP).arg(&keys.alive_prefix).arg(&cursor).arg(MEND_PAGE);
            let answer = query_one(link, "mend", command).await?;
            let page = reply::mended(answer).ok_or_else(|| link.unexpected("mend", &Value::Nil))?;
            pages += u32::from(page.looked);
            lost += page.lost;
            if page.cursor == b"0" {
                break;
            }
            cursor = page.cursor;
        }
        if lost > 0 {
            tracing::warn!(
                frames = lost,
                "frames were deleted from redis before they were indexed: their shippers send them again"
            );
        }
        let again =
            if pages > 0 && lost == 0 { MEND_AGAIN_AFTER } else { self.shared.timing.reclaim_interval };
        Ok(Instant::now() + again)
    }

    /// Forgets files that were indexed whole long ago. Returns when to look again.
    pub(super) async fn prune(&self, partition: u32) -> Result<Instant, BufferError> {
        let keys = &self.shared.partitions[partition as usize];
        let names = [&*keys.pushed, &keys.indexed, &keys.waiting, &keys.done, &keys.settled];
        let mut command = scripts::PRUNE.call(&names, 16);
        command.arg(self.shared.timing.forget_after.as_secs()).arg(PRUNE_MAX);
        let again = match query_one(self.link(partition), "prune", command).await {
            // Without memory for its notes Redis cannot do this now; nothing else needs it.
            Err(BufferError::Refused { .. }) => PRUNE_INTERVAL,
            // There are more.
            Ok(Value::Int(count)) if count == i64::from(PRUNE_MAX) => self.shared.timing.reclaim_interval,
            answer => answer.map(|_| PRUNE_INTERVAL)?,
        };
        Ok(Instant::now() + again)
    }

    /// Looks for gaps before frames that were claimed; those that follow another one of the same claim have none.
    pub(super) async fn check(&mut self) -> Result<(), BufferError> {
        let ends: HashSet<(FileKey, u64)> =
            self.unchecked.iter().map(|range| (range.file, range.end)).collect();
        let first: Vec<FileRange> = self
            .unchecked
            .iter()
            .filter(|range| !ends.contains(&(range.file, range.start)))
            .copied()
            .collect();
        for (partition, keys) in (0..).zip(&self.shared.partitions) {
            let names = [&*keys.pushed, &keys.indexed, &keys.waiting, &keys.done, &keys.gaps];
            let mut command = scripts::CHECK.call(&names, first.len() * 64);
            let mut is_empty = true;
            for range in first.iter().filter(|range| self.shared.partition_of(&range.file) == partition) {
                command.arg(&range.file.to_bytes()[..]).arg(range.start);
                is_empty = false;
            }
            if is_empty {
                continue;
            }
            let answer = query_one(self.link(partition), "check", command).await?;
            if let Some(gaps @ 1..) = reply::number(&answer) {
                tracing::warn!(
                    gaps,
                    "frames came that begin beyond what is known of their files: what is between is sent again"
                );
            }
        }
        self.unchecked.clear();
        Ok(())
    }
}
