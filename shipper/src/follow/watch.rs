//! Directory events, as a wake-up only: a periodic scan finds the same.
//!
//! Only creation, removal and renaming are watched. A watch on modification would halve the speed of the program
//! that writes the log (measured), and tells nothing that polling does not.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Event;

/// Watches directories for as long as it lives.
pub struct DirectoryWatch {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl DirectoryWatch {
    /// Sends [`Event::Wake`] whenever a watched directory changes. Where the system allows no watch (limits, file
    /// systems without events), scanning goes on alone, and it is said once.
    pub fn new(events: Sender<Event>) -> DirectoryWatch {
        let kinds = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        let wake = move |_: notify::Result<notify::Event>| {
            // The follower is gone only while the process stops.
            drop(events.send(Event::Wake));
        };
        let watcher = RecommendedWatcher::new(wake, Config::default().with_event_kinds(kinds))
            .inspect_err(
                |error| tracing::warn!(%error, "no directory events: new files are found by scanning alone"),
            )
            .ok();
        DirectoryWatch { watcher, watched: HashSet::new() }
    }

    /// Watches one more directory.
    pub fn add(&mut self, directory: PathBuf) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.contains(&directory) {
            return;
        }
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            tracing::debug!(directory = %directory.display(), %error, "no directory events here: scanning finds new files");
        }
        self.watched.insert(directory);
    }
}
