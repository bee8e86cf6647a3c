//! Directory events, as a wake-up only: a periodic scan finds the same.
//!
//! Only creation, removal and renaming are watched. A watch on modification would halve the speed of the program
//! that writes the log (measured), and tells nothing that polling does not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Event;
use crate::progress::Progress;

/// Watches directories for as long as it lives.
pub struct DirectoryWatch {
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of each: another directory of the same name is to be watched anew.
    watched: HashMap<PathBuf, (u64, u64)>,
    complained: bool,
    progress: Arc<Progress>,
}

impl DirectoryWatch {
    /// Sends [`Event::Wake`] whenever a watched directory changes. Where the system allows no watch (limits, file
    /// systems without events), scanning goes on alone, and it is said once.
    pub fn new(events: Sender<Event>, progress: Arc<Progress>) -> DirectoryWatch {
        let kinds = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        let wake = move |_: notify::Result<notify::Event>| {
            // The follower is gone only while the process stops.
            drop(events.send(Event::Wake));
        };
        let watcher = RecommendedWatcher::new(wake, Config::default().with_event_kinds(kinds));
        let mut watch =
            DirectoryWatch { watcher: None, watched: HashMap::new(), complained: false, progress };
        match watcher {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => watch.complain(&error),
        }
        watch
    }

    /// Watches these directories, each given with its device and inode, and no others.
    pub fn keep<'a>(&mut self, directories: impl Iterator<Item = (&'a Path, (u64, u64))>) {
        let Some(mut watcher) = self.watcher.take() else { return };
        let mut before = std::mem::take(&mut self.watched);
        for (path, who) in directories {
            let is_watched = before.remove(path) == Some(who);
            if !is_watched && let Err(error) = watcher.watch(or_here(path), RecursiveMode::NonRecursive) {
                // Taken as watched all the same: the limit that was reached is not asked about at every scan.
                self.progress.directory_unwatched();
                self.complain(&error);
            }
            self.watched.insert(path.to_path_buf(), who);
        }
        for path in before.into_keys() {
            // Its watch went with it, if it was removed.
            drop(watcher.unwatch(or_here(&path)));
        }
        self.watcher = Some(watcher);
    }

    fn complain(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(%error, "no directory events for some or all directories: new files are found by scanning alone");
        }
    }
}

fn or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}
