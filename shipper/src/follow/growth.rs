//! Growth of idle files, told by the kernel instead of asked for: thousands of them cost nothing.
//!
//! A watch on modification halves the speed of a program that writes much. So only a file that is idle is watched,
//! and the kernel takes the watch back with the first write: a writer pays for one event in a while.

use std::collections::{HashMap, HashSet};
use std::io::{self, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::fs::statfs;
use weir_record::FileKey;

use super::Event;
use crate::progress::Progress;
use crate::settings::POLL_INTERVAL_MAX;

/// One idle file without a watch costs a look this often, times the number of them: so all of them together cost less
/// than a hundredth of a core.
const POLL_SHARE: Duration = Duration::from_micros(500);

/// But each is looked at this often.
const POLL_INTERVAL_BOUND: Duration = Duration::from_secs(10);

/// Bytes for events of one read.
const EVENT_BYTES: usize = 16 * 1024;

/// File systems whose files nobody can change behind this machine's back: there the kernel tells of every write.
/// From `linux/magic.h`, and of file systems outside the kernel's tree.
const LOCAL_FILE_SYSTEMS: [u32; 11] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x5265_4973, // reiserfs
    0x3153_464a, // jfs
];

/// Watches on idle files.
pub struct GrowthWatch {
    kernel: Option<Kernel>,
    watches_max: usize,
    by_watch: HashMap<i32, FileKey>,
    by_file: HashMap<FileKey, i32>,
    /// Idle files without a watch.
    polled: HashSet<FileKey>,
    /// Whether a device's writes are all told.
    local: HashMap<u64, bool>,
    complained: bool,
    progress: Arc<Progress>,
}

struct Kernel {
    inotify: Arc<OwnedFd>,
    /// The thread ends when this is closed.
    _alive: PipeWriter,
}

impl GrowthWatch {
    /// Sends [`Event::Grown`] when a watched file is written to. At most `watches_max` files are watched.
    pub fn new(events: Sender<Event>, progress: Arc<Progress>, watches_max: usize) -> GrowthWatch {
        let kernel = Kernel::start(events);
        let mut watch = GrowthWatch {
            kernel: None,
            watches_max,
            by_watch: HashMap::new(),
            by_file: HashMap::new(),
            polled: HashSet::new(),
            local: HashMap::new(),
            complained: false,
            progress,
        };
        match kernel {
            Ok(kernel) => watch.kernel = Some(kernel),
            Err(error) => watch.complain(&error),
        }
        watch
    }

    /// Watches a file on `device`, until it is written to or forgotten. False: it has to be polled.
    pub fn watch(&mut self, file: FileKey, path: &Path, device: u64) -> bool {
        if self.by_file.contains_key(&file) {
            return true;
        }
        let watched = self.is_told(path, device) && self.try_watch(file, path);
        if watched {
            self.polled.remove(&file);
        } else {
            self.polled.insert(file);
        }
        self.progress.idle(self.by_file.len(), self.polled.len());
        watched
    }

    fn try_watch(&mut self, file: FileKey, path: &Path) -> bool {
        let Some(kernel) = &self.kernel else { return false };
        let added = if self.by_file.len() < self.watches_max {
            inotify::add_watch(&kernel.inotify, path, WatchFlags::MODIFY | WatchFlags::ONESHOT)
        } else {
            Err(rustix::io::Errno::NOSPC)
        };
        match added {
            Ok(watch) => {
                // The same file under another key: the later one is told.
                if let Some(before) = self.by_watch.insert(watch, file) {
                    self.by_file.remove(&before);
                }
                self.by_file.insert(file, watch);
                true
            }
            // It is gone, or was never readable: whoever looks at it will see.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => false,
            Err(error) => {
                self.complain(&error.into());
                false
            }
        }
    }

    /// The file whose watch this was; it has none any more.
    pub fn take(&mut self, watch: i32) -> Option<FileKey> {
        let file = self.by_watch.remove(&watch)?;
        self.by_file.remove(&file);
        Some(file)
    }

    /// The file is not idle any more, or not followed.
    pub fn forget(&mut self, file: &FileKey) {
        self.polled.remove(file);
        if let Some(watch) = self.by_file.remove(file) {
            self.by_watch.remove(&watch);
            if let Some(kernel) = &self.kernel {
                // It may be gone already: with its file, or by an event that is on its way.
                inotify::remove_watch(&kernel.inotify, watch).ok();
            }
        }
    }

    /// How often an idle file without a watch is to be looked at.
    pub fn poll_interval(&self) -> Duration {
        let count = u32::try_from(self.polled.len()).unwrap_or(u32::MAX);
        POLL_SHARE.saturating_mul(count).clamp(POLL_INTERVAL_MAX, POLL_INTERVAL_BOUND)
    }

    fn is_told(&mut self, path: &Path, device: u64) -> bool {
        let look = || statfs(path).is_ok_and(|found| LOCAL_FILE_SYSTEMS.contains(&(found.f_type as u32)));
        *self.local.entry(device).or_insert_with(look)
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(%error, "no more watches on idle files: the others are polled (fs.inotify.max_user_watches, fs.inotify.max_user_instances)");
        }
    }
}

impl Kernel {
    fn start(events: Sender<Event>) -> io::Result<Kernel> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        let (ends, alive) = io::pipe()?;
        let watched = Arc::clone(&inotify);
        thread::Builder::new().name("growth".into()).spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
            let mut waiting = [PollFd::new(&*watched, PollFlags::IN), PollFd::new(&ends, PollFlags::empty())];
            let mut reader = Reader::new(&*watched, &mut buffer);
            loop {
                let interrupted = poll(&mut waiting, None) == Err(rustix::io::Errno::INTR);
                if !interrupted && !waiting[1].revents().is_empty() {
                    return;
                }
                while let Ok(event) = reader.next() {
                    // The follower is gone only while the process stops.
                    drop(events.send(Event::Grown { watch: event.wd() }));
                }
            }
        })?;
        Ok(Kernel { inotify, _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::mpsc::Receiver;

    use weir_record::{FileIdentity, SourceId};

    use super::*;
    use crate::follow::Channels;

    fn key(inode: u64) -> FileKey {
        let identity = FileIdentity { device: 1, inode, birth_nanos: 0, generation: 0 };
        FileKey::new(SourceId([0; 16]), &identity)
    }

    fn grown(watch: &mut GrowthWatch, events: &Receiver<Event>) -> FileKey {
        loop {
            match events.recv_timeout(Duration::from_secs(10)).expect("an event") {
                Event::Grown { watch: number } => {
                    if let Some(file) = watch.take(number) {
                        return file;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_first_write_to_an_idle_file_is_told_once_and_the_next_when_it_is_idle_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        let mut writer = File::create(&path).expect("created");
        let device = fs::metadata(&path).expect("there").dev();
        let channels = Channels::new().0;
        let mut watch = GrowthWatch::new(channels.event_sender.clone(), Arc::default(), 10);
        assert!(watch.watch(key(1), &path, device));
        writer.write_all(b"x\n").expect("written");
        assert_eq!(grown(&mut watch, &channels.events), key(1));
        // Nobody watches now.
        writer.write_all(b"x\n").expect("written");
        assert!(watch.watch(key(1), &path, device));
        OpenOptions::new().append(true).open(&path).expect("opened").set_len(0).expect("cut");
        assert_eq!(grown(&mut watch, &channels.events), key(1));
    }

    #[test]
    fn beyond_the_limit_files_are_polled_the_more_rarely_the_more_there_are_and_that_is_counted() {
        let directory = tempfile::tempdir().expect("a directory");
        let device = fs::metadata(directory.path()).expect("there").dev();
        let progress: Arc<Progress> = Arc::default();
        let mut watch = GrowthWatch::new(Channels::new().0.event_sender, Arc::clone(&progress), 2);
        for number in 0..5 {
            let path = directory.path().join(number.to_string());
            File::create(&path).expect("created");
            assert_eq!(watch.watch(key(number), &path, device), number < 2);
        }
        assert_eq!((progress.counts().idle_watched, progress.counts().idle_polled), (2, 3));
        assert_eq!(watch.poll_interval(), POLL_INTERVAL_MAX);
        watch.polled.extend((0..5000).map(|number| key(100 + number)));
        assert!(watch.poll_interval() > Duration::from_secs(2));
        watch.polled.extend((0..50_000).map(|number| key(100 + number)));
        assert_eq!(watch.poll_interval(), POLL_INTERVAL_BOUND);
        // One that is let go makes room.
        watch.forget(&key(0));
        assert!(watch.watch(key(2), &directory.path().join("2"), device));
    }

    #[test]
    fn a_file_system_that_others_can_write_to_is_polled() {
        let channels = Channels::new().0;
        let mut watch = GrowthWatch::new(channels.event_sender, Arc::default(), 10);
        // The nearest thing to a network file system that is everywhere.
        assert!(!watch.watch(key(1), Path::new("/proc/self/status"), 77));
    }
}
