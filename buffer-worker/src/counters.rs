//! What a worker has done so far, and what it does now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_indexer::{Index, IndexHealth};

use crate::breaker::BreakerState;
use crate::depth::Waiting;
use crate::gate::Gate;
use crate::limits::Limits;
use crate::shed::{ShedSettings, Shedding};
use crate::streams::{BlockedStream, Streams};

/// Most pairs of stream and field, and most streams, that are counted one by one: the rest are counted as `other`.
const NAMES_MAX: usize = 500;

/// Counted while the worker runs; shared with whoever shows it.
pub struct Counters {
    pub(crate) frames: Counter,
    pub(crate) bytes: Counter,
    pub(crate) documents: Counter,
    pub(crate) indexed: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) retried: Counter,
    pub(crate) rejected: Counter,
    pub(crate) covered_frames: Counter,
    pub(crate) poison_frames: Counter,
    pub(crate) bulks: Counter,
    healed: Mutex<BTreeMap<(String, String), u64>>,
    diverted: Mutex<BTreeMap<String, u64>>,
    waiting: Mutex<Option<Waiting>>,
    unmapped: Mutex<BTreeMap<String, u64>>,
    shed: Mutex<BTreeMap<(String, String), u64>>,
    pub(crate) shedding: Shedding,
    pub(crate) buffer_is_up: Arc<AtomicBool>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) streams: Arc<Streams>,
    health: Box<dyn Fn() -> Option<IndexHealth> + Send + Sync>,
}

/// Documents of one stream that were stored without one attribute being mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The data stream.
    pub stream: String,
    /// The attribute, or `attributes` where there were too many fields.
    pub field: String,
    /// How many.
    pub documents: u64,
}

/// How a worker delivers now.
#[derive(Clone, Debug)]
pub struct Delivering {
    /// The breaker of the index as a whole.
    pub index: BreakerState,
    /// How often it opened.
    pub index_openings: u64,
    /// Data streams that take nothing, by name. All others flow.
    pub blocked: Vec<BlockedStream>,
    /// How often a stream's breaker opened.
    pub stream_openings: u64,
    /// How often a frame was parked.
    pub parked: u64,
    /// Bulks that may be under way at once, as it adapts; none where the index decides.
    pub in_flight: Option<usize>,
    /// Bytes that a bulk may have, as it adapts.
    pub bulk_bytes: usize,
    /// Whether records are shed, because the buffer is nearly full.
    pub is_shedding: bool,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that were acknowledged.
    pub frames: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// Documents that have a final outcome: indexed, duplicates and rejected.
    pub documents: u64,
    /// Documents that were stored.
    pub indexed: u64,
    /// Documents that had been stored before.
    pub duplicates: u64,
    /// Times that a document was sent again.
    pub retried: u64,
    /// Documents that went to the dead letters.
    pub rejected: u64,
    /// Frames that were indexed before, and acknowledged without being sent.
    pub covered_frames: u64,
    /// Frames that could not be decoded, and went to the dead letters.
    pub poison_frames: u64,
    /// Bulks that were answered.
    pub bulks: u64,
}

impl Counters {
    pub(crate) fn new<I: Index>(limits: Limits, index: &Arc<I>, shed: Option<ShedSettings>) -> Counters {
        let index = Arc::clone(index);
        let index_is_up = Arc::<AtomicBool>::default();
        Counters {
            frames: Counter::default(),
            bytes: Counter::default(),
            documents: Counter::default(),
            indexed: Counter::default(),
            duplicates: Counter::default(),
            retried: Counter::default(),
            rejected: Counter::default(),
            covered_frames: Counter::default(),
            poison_frames: Counter::default(),
            bulks: Counter::default(),
            healed: Mutex::default(),
            diverted: Mutex::default(),
            waiting: Mutex::default(),
            unmapped: Mutex::default(),
            shed: Mutex::default(),
            shedding: Shedding::new(shed),
            buffer_is_up: Arc::default(),
            gate: Arc::new(Gate::new(&index_is_up)),
            limits: Arc::new(limits),
            streams: Arc::default(),
            health: Box::new(move || index.health()),
        }
    }

    /// What is wrong with the index's files; none where they are somebody else's.
    pub fn index_health(&self) -> Option<IndexHealth> {
        (self.health)()
    }

    pub(crate) fn note_healed(&self, stream: &str, field: String) {
        let other = ("other".to_owned(), "other".to_owned());
        add_one(&mut lock(&self.healed), (stream.to_owned(), field), other);
    }

    /// Counts a document that the stream's failure store took, and says so once for each stream.
    pub(crate) fn note_diverted(&self, stream: &str) {
        if add_one(&mut lock(&self.diverted), stream.to_owned(), "other".to_owned()) == 1 {
            tracing::warn!(stream, "documents go to the failure store; search {stream}::failures for them");
        }
    }

    pub(crate) fn note_waiting(&self, waiting: Waiting) {
        *lock(&self.waiting) = Some(waiting);
    }

    /// What waits in the buffer; none before it has answered.
    pub fn waiting(&self) -> Option<Waiting> {
        *lock(&self.waiting)
    }

    /// Counts a document whose new attributes were beyond the budget of its stream, and says so once for each.
    pub(crate) fn note_unmapped(&self, service: &str) {
        if add_one(&mut lock(&self.unmapped), service.to_owned(), "other".to_owned()) == 1 {
            tracing::warn!(
                service,
                "a service has more fields than are mapped: new ones are stored below unmapped"
            );
        }
    }

    /// Counts a record that was not indexed, because the buffer is nearly full.
    pub(crate) fn note_shed(&self, service: &str, level: &str) {
        let other = ("other".to_owned(), level.to_owned());
        add_one(&mut lock(&self.shed), (service.to_owned(), level.to_owned()), other);
    }

    /// Documents whose new attributes were beyond the budget of their stream, by service.
    pub fn unmapped(&self) -> Vec<(String, u64)> {
        lock(&self.unmapped).iter().map(|(service, documents)| (service.clone(), *documents)).collect()
    }

    /// Records that were not indexed because the buffer was nearly full, by service and level.
    pub fn shed(&self) -> Vec<((String, String), u64)> {
        lock(&self.shed).iter().map(|(name, records)| (name.clone(), *records)).collect()
    }

    /// Documents that were stored without an attribute being mapped, by stream and attribute.
    pub fn healed(&self) -> Vec<Healed> {
        let healed = lock(&self.healed);
        let one = |((stream, field), documents): (&(String, String), &u64)| Healed {
            stream: stream.clone(),
            field: field.clone(),
            documents: *documents,
        };
        healed.iter().map(one).collect()
    }

    /// Documents that went to the failure store of their stream, by stream.
    pub fn diverted(&self) -> Vec<(String, u64)> {
        lock(&self.diverted).iter().map(|(stream, documents)| (stream.clone(), *documents)).collect()
    }

    /// How the worker delivers now.
    pub fn delivering(&self) -> Delivering {
        Delivering {
            index: self.gate.state(),
            index_openings: self.gate.openings(),
            blocked: self.streams.blocked(),
            stream_openings: self.streams.openings.get(),
            parked: self.streams.parked.get(),
            in_flight: self.limits.is_adaptive().then(|| self.limits.in_flight()),
            bulk_bytes: self.limits.bulk_bytes(),
            is_shedding: self.shedding.is_on(),
        }
    }

    /// The numbers now.
    pub fn counts(&self) -> Counts {
        Counts {
            frames: self.frames.get(),
            bytes: self.bytes.get(),
            documents: self.documents.get(),
            indexed: self.indexed.get(),
            duplicates: self.duplicates.get(),
            retried: self.retried.get(),
            rejected: self.rejected.get(),
            covered_frames: self.covered_frames.get(),
            poison_frames: self.poison_frames.get(),
            bulks: self.bulks.get(),
        }
    }

    /// Whether both the buffer and the index did what they were asked last.
    pub fn is_ready(&self) -> bool {
        self.buffer_is_up.load(Ordering::Relaxed) && self.gate.is_up()
    }
}

fn lock<T>(names: &Mutex<T>) -> MutexGuard<'_, T> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts one by its name, or as `other` where there are too many names. Answers what the count is.
fn add_one<N: Ord>(counts: &mut BTreeMap<N, u64>, name: N, other: N) -> u64 {
    let is_known = counts.len() < NAMES_MAX || counts.contains_key(&name);
    let count = counts.entry(if is_known { name } else { other }).or_default();
    *count += 1;
    *count
}
