//! Files at rest: what has not grown for a while costs no handle and no look.

use std::time::{Duration, Instant};

use weir_record::FileKey;

use super::Follower;
use super::file::{Followed, Presence};
use super::records::Assembler;
use crate::settings::IDLE_CLOSE;

/// A file that did not grow for this long is at rest.
const REST_AFTER: Duration = Duration::from_secs(5);

/// A file whose growth the kernel tells is looked at by itself this rarely. (Scans compare sizes, too.)
const REST_INTERVAL: Duration = Duration::from_secs(600);

impl Follower {
    /// When a file that was read to its end is looked at next; none: as a busy one.
    pub(super) fn rest(&mut self, key: FileKey, now: Instant) -> Option<Instant> {
        let is_following = self.once().is_none();
        let file = self.files.get_mut(&key)?;
        let place = file.place.as_ref().filter(|_| is_following && is_resting(file, now));
        let Some(place) = place else {
            self.growth.forget(&key);
            return None;
        };
        if !self.growth.watch(key, &place.path, place.inode.device) {
            return Some(now + self.growth.poll_interval());
        }
        if !file.is_as_seen() {
            self.growth.forget(&key);
            if file.has_its_name() {
                // What was written before there was a watch is seen now.
                return Some(now);
            }
            // It was renamed: to look at it again and again would not tell to what.
            self.look_for_others_soon(now);
            return None;
        }
        let close = file.handle.is_some().then(|| now + IDLE_CLOSE.saturating_sub(file.quiet_for(now)));
        Some(close.unwrap_or(now + REST_INTERVAL).max(now + REST_AFTER))
    }

    /// Closes files until no more are open than should be: one that has been read to its end if possible, and never
    /// one that has no name any more.
    pub(super) fn bound_handles(&mut self, key: FileKey) {
        self.handles.used(key, self.files.get(&key).is_some_and(|file| file.handle.is_some()));
        while self.handles.is_over() {
            let may_close = |key: &FileKey| self.files.get(key).is_none_or(|file| file.place.is_some());
            let has_rest = |key: &FileKey| self.files.get(key).is_some_and(Followed::has_rest);
            let victim = self.handles.oldest().filter(may_close).find(|key| !has_rest(key));
            let Some(victim) = victim.or_else(|| self.handles.oldest().find(may_close)) else { break };
            if let Some(file) = self.files.get_mut(&victim) {
                file.close();
            }
            self.handles.used(victim, false);
        }
        self.progress.open_files(self.handles.count());
    }

    /// A file is not followed under this key any more.
    pub(super) fn release(&mut self, key: &FileKey) {
        self.schedule.remove(key);
        self.growth.forget(key);
        self.handles.forget(key);
    }
}

fn is_resting(file: &Followed, now: Instant) -> bool {
    let is_quiet = file.handle.is_none() || file.quiet_for(now) >= REST_AFTER;
    let waits = file.holds_record() || file.assembler.as_ref().is_some_and(Assembler::waits_for_piece);
    file.presence == Presence::Listed && is_quiet && !waits
}
