//! One shipper: the following thread and the pushing task, from start to stop.

use std::convert::Infallible;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::oneshot;
use weir_buffer::Buffer;

use crate::follow::{Channels, Event, FollowError, Follower};
use crate::progress::Progress;
use crate::push::Pusher;
use crate::settings::{STOP_DEADLINE, ShipSettings};

/// Why a shipper could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The state directory cannot be used.
    #[error("cannot use the state directory {path}: name another with --state")]
    State {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another shipper runs on the same state.
    #[error(
        "another shipper uses the state directory {path}: stop it, or give this one its own with --state"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The following thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Following failed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The following thread ended by a bug; its message is in the log.
    #[error("the following thread has crashed")]
    Crashed,
}

/// A shipper that is ready to run: it holds the lock of its state directory.
pub struct Shipper {
    settings: ShipSettings,
    progress: Arc<Progress>,
    _lock: File,
}

impl Shipper {
    /// Takes the state directory for itself; makes it where it is missing.
    pub fn new(settings: ShipSettings) -> Result<Shipper, ShipError> {
        let _lock = lock(&settings.state)?;
        Ok(Shipper { settings, progress: Arc::new(Progress::default()), _lock })
    }

    /// The counters.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Ships into `buffer` until `stop` resolves, or with `--once` until all is done. What was read is pushed before
    /// this returns, within [`STOP_DEADLINE`]; what was not is read again by the next start.
    pub async fn run<B: Buffer>(
        self,
        buffer: Arc<B>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ShipError> {
        self.run_until(buffer, stop, std::future::pending()).await
    }

    /// The same, and with [`Mode::Input`](crate::Mode::Input) until all is done that came before `ended` resolved.
    pub async fn run_until<B: Buffer>(
        self,
        buffer: Arc<B>,
        stop: impl Future<Output = ()>,
        ended: impl Future<Output = ()>,
    ) -> Result<(), ShipError> {
        let (channels, orders) = Channels::new();
        let events = channels.event_sender.clone();
        let stopping = Arc::new(AtomicBool::new(false));
        let ending = Arc::new(AtomicBool::new(false));
        let follower = Follower::new(
            self.settings,
            channels,
            Arc::clone(&self.progress),
            Arc::clone(&stopping),
            Arc::clone(&ending),
        )?;
        let (follower_ended, mut follower_end) = oneshot::channel();
        thread::Builder::new()
            .name("follow".into())
            .spawn(move || {
                follower.run();
                follower_ended.send(())
            })
            .map_err(ShipError::Thread)?;

        let mut pusher = tokio::spawn(Pusher::new(buffer, events.clone(), self.progress).run(orders));
        let tell_end = async {
            ended.await;
            ending.store(true, Ordering::Relaxed);
            drop(events.send(Event::Wake));
            std::future::pending::<Infallible>().await
        };
        let result = tokio::select! {
            result = &mut follower_end => result,
            never = tell_end => match never {},
            () = stop => {
                stopping.store(true, Ordering::Relaxed);
                // Wakes the follower; it is gone only if it has just ended by itself.
                drop(events.send(Event::Wake));
                let result = tokio::time::timeout(STOP_DEADLINE, &mut pusher).await;
                if result.is_err() {
                    tracing::warn!("the buffer did not take everything in time: the rest is read again at the next start");
                    pusher.abort();
                    drop(events.send(Event::Drained));
                }
                follower_end.await
            }
        };
        result.map_err(|_| ShipError::Crashed)
    }
}

fn lock(state: &Path) -> Result<File, ShipError> {
    let fault = |source| ShipError::State { path: state.to_path_buf(), source };
    fs::create_dir_all(state).map_err(fault)?;
    let file = File::options().create(true).append(true).open(state.join("lock")).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ShipError::Locked { path: state.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}
