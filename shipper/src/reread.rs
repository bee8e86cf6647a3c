//! Reading everything again, under the same identities: what an audit compares with the index.
//!
//! A shipper on a copy of the checkpoint in which nothing counts as read ships all that still exists, live files,
//! rotated ones, copies and compressed twins, with the `_id`s that the first reading gave. It never touches the
//! checkpoint of the shipper that runs, nor the journals of inputs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir_buffer::Buffer;
use weir_record::FileKey;

use crate::follow::{CheckpointError, copy_unread};
use crate::progress::Counts;
use crate::settings::{Mode, Settled, ShipSettings, Timing};
use crate::ship::{ShipError, Shipper};

/// What is gone needs no patience: it is not written to any more.
const QUIET: Duration = Duration::from_millis(500);

/// A content that the shipper knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownContent {
    /// Its key in the buffer.
    pub file: FileKey,
    /// How often the file was truncated before.
    pub generation: u32,
    /// The name that it was written under.
    pub path: PathBuf,
    /// Everything before this offset was indexed when the checkpoint was saved.
    pub indexed: u64,
}

/// All files of a shipper, ready to be read again.
pub struct Rereading {
    shipper: Shipper,
    known: Vec<KnownContent>,
}

/// Why files could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum RereadError {
    /// No shipper has worked on this state directory.
    #[error(
        "{state} holds no checkpoint: name the state directory of the shipper whose files these are, on its machine"
    )]
    NoCheckpoint {
        /// The directory.
        state: PathBuf,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The reading.
    #[error(transparent)]
    Ship(#[from] ShipError),
}

impl Rereading {
    /// Copies the checkpoint of the shipper with these settings into `scratch`, an empty directory.
    pub fn new(mut settings: ShipSettings, scratch: &Path) -> Result<Rereading, RereadError> {
        let entries = copy_unread(&settings.state, scratch)?;
        if entries.is_empty() {
            return Err(RereadError::NoCheckpoint { state: settings.state });
        }
        let journals = settings.state.clone();
        let known = entries
            .into_iter()
            .filter(|entry| !entry.path.starts_with(&journals))
            .map(|entry| KnownContent {
                file: FileKey::new(settings.source, &entry.identity),
                generation: entry.identity.generation,
                path: entry.path,
                indexed: entry.indexed,
            })
            .collect();
        settings.sources.retain(|source| source.origin.is_none());
        settings.state = scratch.to_path_buf();
        settings.mode = Mode::Once(Settled::Indexed);
        settings.timing = Timing { rotated_quiet: QUIET, copy_quiet: QUIET };
        Ok(Rereading { shipper: Shipper::new(settings)?, known })
    }

    /// The contents that the checkpoint names, with how far they were indexed; not the journals of inputs.
    pub fn known(&self) -> &[KnownContent] {
        &self.known
    }

    /// Pushes all that exists into `buffer`, an empty one whose frames the caller claims and acknowledges; returns when
    /// all of them were.
    pub async fn run<B: Buffer>(self, buffer: Arc<B>) -> Result<Counts, RereadError> {
        let progress = self.shipper.progress();
        self.shipper.run(buffer, std::future::pending()).await?;
        Ok(progress.counts())
    }
}
