//! Frames become a bulk: decoding and splicing, the part of the work that costs CPU time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_buffer::{Claim, ClaimId};
use weir_indexer::fields::FieldBudget;
use weir_indexer::{Batch, DocumentSettings, Reshaped};
use weir_record::{DecodedFrame, Decoder, FrameError};

use crate::counters::Counters;

/// A bulk and the claims of its frames: `claims[i]` is `batch.frames()[i]`.
pub(crate) struct Load {
    pub(crate) batch: Batch,
    pub(crate) claims: Vec<ClaimId>,
}

/// A claim that cannot be turned into documents.
pub(crate) struct Poison {
    pub(crate) claim: Claim,
    pub(crate) reason: PoisonReason,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoisonReason {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the frame covers other bytes than the buffer says")]
    Range,
    #[error("each of {0} workers that tried it alone ended without a word")]
    Deadly(u32),
}

/// Deliveries after which a frame that ended its workers each time, alone at last, is not tried again.
const DELIVERIES_MAX: u32 = 2 * weir_buffer::DELIVERIES_TOGETHER_MAX;

/// Makes loads of about `bulk_bytes`.
pub(crate) struct Loader {
    settings: DocumentSettings,
    bulk_bytes: usize,
    counters: Arc<Counters>,
    /// None where the index bears any number of fields.
    budget: Option<FieldBudget>,
    decoder: Decoder,
    waiting: VecDeque<Claim>,
    load: Load,
    poison: Vec<Poison>,
    /// Frames of streams that take nothing, and how long they are to wait.
    parked: Vec<(ClaimId, Duration)>,
    /// Emptied batches, whose memory is used again.
    spare: Vec<Batch>,
}

impl Loader {
    pub(crate) fn new(
        settings: DocumentSettings,
        bulk_bytes: usize,
        counters: Arc<Counters>,
        budget: Option<FieldBudget>,
    ) -> std::io::Result<Loader> {
        Ok(Loader {
            load: Load { batch: Batch::new(settings.clone()), claims: Vec::new() },
            settings,
            bulk_bytes,
            counters,
            budget,
            decoder: Decoder::new()?,
            waiting: VecDeque::new(),
            poison: Vec::new(),
            parked: Vec::new(),
            spare: Vec::new(),
        })
    }

    /// From the next load on.
    pub(crate) fn set_bulk_bytes(&mut self, bulk_bytes: usize) {
        self.bulk_bytes = bulk_bytes;
    }

    /// Whether more claims have a place now.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.load.batch.bytes() < self.bulk_bytes
    }

    /// Whether there is something to send, or at least to acknowledge.
    pub(crate) fn has_load(&self) -> bool {
        !self.load.claims.is_empty()
    }

    /// Takes claims in, and decodes them as far as the load has room. Costs CPU time.
    pub(crate) fn add(&mut self, claims: Vec<Claim>) {
        self.waiting.extend(claims);
        while self.load.batch.bytes() < self.bulk_bytes
            && let Some(claim) = self.waiting.pop_front()
        {
            if let Err(reason) = self.decode(&claim) {
                self.poison.push(Poison { claim, reason });
            }
        }
    }

    /// The load so far; the next one begins empty. What still waits has to be [`add`](Self::add)ed, with nothing new.
    pub(crate) fn take_load(&mut self) -> Load {
        let batch = self.spare.pop().unwrap_or_else(|| Batch::new(self.settings.clone()));
        std::mem::replace(&mut self.load, Load { batch, claims: Vec::new() })
    }

    /// What turned out to be no frame.
    pub(crate) fn take_poison(&mut self) -> Vec<Poison> {
        std::mem::take(&mut self.poison)
    }

    /// What is not to be sent now.
    pub(crate) fn take_parked(&mut self) -> Vec<(ClaimId, Duration)> {
        std::mem::take(&mut self.parked)
    }

    /// A batch that nobody uses any more.
    pub(crate) fn recycle(&mut self, batch: Arc<Batch>) {
        if let Ok(mut batch) = Arc::try_unwrap(batch) {
            batch.clear();
            self.spare.push(batch);
        }
    }

    fn decode(&mut self, claim: &Claim) -> Result<(), PoisonReason> {
        if claim.deliveries > DELIVERIES_MAX {
            return Err(PoisonReason::Deadly(DELIVERIES_MAX - weir_buffer::DELIVERIES_TOGETHER_MAX));
        }
        let file = claim.id.range().map(|range| range.file);
        if let Some(wait) = file.and_then(|file| self.counters.streams.park_file(&file)) {
            self.parked.push((claim.id.clone(), wait));
            return Ok(());
        }
        let frame = self.decoder.decode(&claim.bytes)?;
        let header = &frame.header;
        // An entry that no shipper wrote says nothing about a range, and advances nothing.
        if claim.id.range().is_some_and(|range| {
            (range.file, range.start, range.end) != (header.file, header.start, header.end)
        }) {
            return Err(PoisonReason::Range);
        }
        if !self.counters.streams.are_all_closed() {
            let datasets = frame.groups.iter().map(|(dataset, _)| self.settings.stream(dataset));
            if let Some(wait) = self.counters.streams.park(&header.file, &datasets.collect::<Vec<_>>()) {
                self.parked.push((claim.id.clone(), wait));
                return Ok(());
            }
        }
        splice(&mut self.load.batch, &frame, self.budget.as_mut(), &self.counters);
        self.load.claims.push(claim.id.clone());
        Ok(())
    }
}

/// Adds the records of a frame, but for those that are shed, and within the budget of fields.
fn splice(
    batch: &mut Batch,
    frame: &DecodedFrame<'_>,
    mut budget: Option<&mut FieldBudget>,
    counters: &Counters,
) {
    let is_shedding = counters.shedding.is_on();
    batch.push_reshaped(frame, now(), |dataset, document| {
        if is_shedding && let Some(level) = counters.shedding.level_of(document) {
            counters.note_shed(dataset, level);
            return Reshaped::Shed;
        }
        match budget.as_mut().and_then(|budget| budget.fit(dataset, document)) {
            Some(document) => {
                counters.note_unmapped(dataset);
                Reshaped::To(document)
            }
            None => Reshaped::AsItIs,
        }
    });
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
