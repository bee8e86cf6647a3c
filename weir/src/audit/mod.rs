//! The audit: every file of a shipper is read again, and each record is looked for in the index.
//!
//! What the buffer and the checkpoint call indexed *before* the reading begins has to be in the index; what was pushed
//! later may wait, and what was written later may be unread. Reading gives each record the `_id` that its first reading
//! gave it, so that equal lines are told apart.
//!
//! ```text
//!  checkpoint (a copy, nothing read) ──▶ shipper ──▶ buffer of the audit's own ──▶ compare ◀── index
//!  ledger of the real buffer ─────────────────────────────────────────────────────────┘
//! ```

mod compare;
mod judge;
mod report;
mod standing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use weir_buffer::{Buffer, Consumer as _, MemoryBuffer};
use weir_indexer::{Search, SearchError};
use weir_process::bad_use;
use weir_record::frame::Decoder;
use weir_shipper::ShipSettings;
use weir_shipper::reread::{RereadError, Rereading};

use self::judge::Judge;
pub use self::report::Report;
use self::standing::Standings;

/// What was read again and is not compared yet, in bytes of frames.
const READ_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Frames that are compared one after the other before they are acknowledged.
const FRAMES_MAX: usize = 16;

/// How long to wait for the next frame.
const CLAIM_WAIT: Duration = Duration::from_millis(100);

/// An index shows what it stored only after its refresh interval: what is missing is looked for again for this long,
/// unless a plan says otherwise. Longer than the intervals that people set.
pub const SETTLE: Duration = Duration::from_secs(35);

/// Pause before each further look.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

const SEARCH: &str = "cannot search the index";

/// What is audited.
pub struct Plan {
    /// The shipper: its state directory, its sources.
    pub shipper: ShipSettings,
    /// Files that were last written before are left alone.
    pub since: Option<SystemTime>,
    /// Levels of records that a worker may leave out while the buffer is nearly full.
    pub shed: Vec<String>,
    /// How long the index may take to show what it stored.
    pub settle: Duration,
}

/// Reads all files of the shipper again and compares.
pub async fn audit<B: Buffer, S: Search>(plan: Plan, buffer: &B, index: &S) -> anyhow::Result<Report> {
    let scratch = tempfile::Builder::new()
        .prefix("weir-audit-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let (source, settle) = (plan.shipper.source, plan.settle);
    let from_end = from_end(&plan.shipper);
    let rereading = Rereading::new(plan.shipper, scratch.path()).map_err(|error| match error {
        RereadError::NoCheckpoint { .. } => bad_use(error),
        other => other.into(),
    })?;
    let ledger = buffer.ledger().await.context("cannot ask the buffer where the files stand")?;
    let standings = Standings::new(rereading.known(), ledger, source);
    let mut judge = Judge::new(index, standings, plan.since, plan.shed, from_end);
    let again = Arc::new(MemoryBuffer::new(READ_BYTES_MAX));
    tokio::select! {
        read = rereading.run(Arc::clone(&again)) => drop(read?),
        // Ends only with an error: whatever is read has to be compared before the reading ends.
        error = compare_all(&again, &mut judge) => return Err(error),
    }
    let deadline = tokio::time::Instant::now() + settle;
    while judge.has_open() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_PAUSE).await;
        judge.look_again().await.context(SEARCH)?;
    }
    judge.finish().await.context(SEARCH)
}

async fn compare_all<S: Search>(again: &MemoryBuffer, judge: &mut Judge<'_, S>) -> anyhow::Error {
    match compare_without_end(again, judge).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn compare_without_end<S: Search>(
    again: &MemoryBuffer,
    judge: &mut Judge<'_, S>,
) -> anyhow::Result<std::convert::Infallible> {
    let mut consumer = again.consumer("audit").await?;
    let mut decoder = Decoder::new().context("cannot set up decompression")?;
    loop {
        let claims = consumer.claim(FRAMES_MAX, usize::MAX, CLAIM_WAIT).await?;
        for claim in &claims {
            let frame = decoder.decode(&claim.bytes).context("cannot decode what was read")?;
            judge.take(&frame).await.context(SEARCH)?;
        }
        let ids: Vec<_> = claims.into_iter().map(|claim| claim.id).collect();
        again.acknowledge(&ids).await?;
    }
}

/// Whether a path belongs to a source that is read from the end of its files.
fn from_end(settings: &ShipSettings) -> impl Fn(&std::path::Path) -> bool + use<> {
    let sources: Vec<_> =
        settings.sources.iter().filter(|source| source.start == weir_shipper::Start::End).cloned().collect();
    move |path| sources.iter().any(|source| source.names(path))
}

/// The `_id`s of the documents that the index refused for good.
async fn dead<S: Search>(index: &S) -> Result<HashSet<String>, SearchError> {
    let letters = weir_indexer::letter::open_letters(index).await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}
