//! Looking for damage: partitions are read and compared with their checksums, beside everything else.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::Shared;
use super::partition::Partition;

/// The thread that looks. It ends by itself when the index is closed.
pub(super) struct Checker {
    /// None where the thread could not be started.
    asks: Option<SyncSender<()>>,
}

impl Checker {
    /// Looks at everything once, and then whenever it is asked.
    pub fn start(shared: Weak<Shared>) -> Checker {
        // One that waits is enough for all who ask meanwhile.
        let (asks, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("weir-index-check".to_owned());
        match thread.spawn(move || run(&shared, &asked)) {
            Ok(_) => Checker { asks: Some(asks) },
            Err(error) => {
                tracing::warn!(%error, "cannot look for damage of the index");
                Checker { asks: None }
            }
        }
    }

    /// Something could not be read.
    pub fn ask(&self) {
        if self.asks.as_ref().is_some_and(|asks| asks.try_send(()).is_err()) {
            tracing::trace!("somebody asked already");
        }
    }
}

fn run(shared: &Weak<Shared>, asked: &Receiver<()>) {
    loop {
        let Some(mut partitions) = shared.upgrade().map(|shared| shared.partitions()) else { return };
        // The active one changes, and was read when it was opened.
        partitions.pop();
        for partition in partitions {
            if !check(shared, &partition) {
                return;
            }
        }
        if asked.recv().is_err() {
            return;
        }
    }
}

/// False: the index is closed. Nothing keeps it open meanwhile.
fn check(shared: &Weak<Shared>, partition: &Arc<Partition>) -> bool {
    let began = Instant::now();
    let mut verified = partition.verify();
    if verified.is_err() {
        // Segments that are merged meanwhile disappear; damage stays.
        let again = partition.verify();
        verified = if again == verified { again } else { Ok(()) };
    }
    // Half of the time others may read undisturbed.
    std::thread::sleep(began.elapsed());
    let Some(shared) = shared.upgrade() else { return false };
    if let Err(reason) = verified {
        shared.set_aside(partition, &reason);
    }
    true
}
