//! The worker: claims flow in, bulks flow out, and what both sides share.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use weir_buffer::{Buffer, BufferError, Claim, ClaimId, STALLED_AFTER};
use weir_indexer::fields::{FIELD_BUDGET, FieldBudget};
use weir_indexer::{Batch, DocumentSettings, Index, SetupError};

use crate::backoff::Backoff;
use crate::counters::{Counters, Counts};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::load::Loader;
use crate::shed::{LOOK_INTERVAL, ShedSettings};
use crate::streams::Streams;
use crate::watch::Watch;
use crate::{claim, deliver, depth, poison};

/// What was begun may take so long to finish after a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the buffer is told that claims are still worked on: twice may fail.
const RENEW_INTERVAL: Duration = Duration::from_secs(STALLED_AFTER.as_secs() / 3);

/// How often an idle worker looks whether the buffer is still empty.
const IDLE_INTERVAL: Duration = Duration::from_millis(50);

/// What a worker does, and how much at once.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Name in the buffer: no two living workers may have the same.
    pub name: String,
    /// Names of the data streams.
    pub documents: DocumentSettings,
    /// Bytes of documents in one bulk, about.
    pub bulk_bytes: usize,
    /// Bulks under way at the same time, unless the index knows better.
    pub in_flight: usize,
    /// Attributes of one stream that are mapped, where the index has a limit of that at all.
    pub field_budget: usize,
    /// What is not indexed while the buffer is nearly full.
    pub shed: Option<ShedSettings>,
    /// When to end.
    pub mode: Mode,
}

impl WorkerSettings {
    /// The defaults for a worker of this name: 8 MiB, two at a time, for ever.
    pub fn new(name: impl Into<String>) -> WorkerSettings {
        WorkerSettings {
            name: name.into(),
            documents: DocumentSettings::default(),
            bulk_bytes: 8 * 1024 * 1024,
            in_flight: 2,
            field_budget: FIELD_BUDGET,
            shed: None,
            mode: Mode::Forever,
        }
    }
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Never.
    Forever,
    /// When the buffer has been empty for so long, with nothing claimed by anybody.
    UntilIdle(Duration),
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The buffer cannot be used, and waiting does not help.
    #[error(transparent)]
    Buffer(#[from] BufferError),
    /// The index cannot be used, and waiting does not help.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A decoder could not be made.
    #[error("cannot make a decoder")]
    Decoder(#[source] std::io::Error),
}

/// Drains a buffer into an index.
pub struct Worker<B, I> {
    shared: Arc<Shared<B, I>>,
}

/// What all tasks of a worker share.
pub(crate) struct Shared<B, I> {
    pub(crate) buffer: Arc<B>,
    pub(crate) index: Arc<I>,
    pub(crate) settings: WorkerSettings,
    pub(crate) counters: Arc<Counters>,
    pub(crate) buffer_watch: Watch,
    pub(crate) gate: Arc<Gate>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) streams: Arc<Streams>,
    /// Claimed, and neither acknowledged nor given back.
    held: Mutex<HashSet<ClaimId>>,
}

impl<B, I> Shared<B, I> {
    pub(crate) fn held(&self) -> MutexGuard<'_, HashSet<ClaimId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self, claims: &[ClaimId]) {
        let mut held = self.held();
        claims.iter().for_each(|claim| {
            held.remove(claim);
        });
    }
}

impl<B: Buffer, I: Index> Worker<B, I> {
    /// A worker that has not begun.
    pub fn new(buffer: Arc<B>, index: Arc<I>, settings: WorkerSettings) -> Worker<B, I> {
        let limits = match index.in_flight() {
            Some(_) => Limits::fixed(settings.bulk_bytes),
            None => Limits::adaptive(settings.in_flight, settings.bulk_bytes),
        };
        let counters = Arc::new(Counters::new(limits, &index, settings.shed.clone()));
        Worker {
            shared: Arc::new(Shared {
                buffer,
                index,
                settings,
                buffer_watch: Watch::new("the buffer", &counters.buffer_is_up),
                gate: Arc::clone(&counters.gate),
                limits: Arc::clone(&counters.limits),
                streams: Arc::clone(&counters.streams),
                counters,
                held: Mutex::default(),
            }),
        }
    }

    /// What it has done so far; goes on counting.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Works until `shutdown`, or as its mode says. Both the buffer and the index are waited for when they are not
    /// there. After a stop, what was begun has 10 seconds to finish; all else goes back to the buffer.
    ///
    /// # Errors
    /// What no waiting mends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Counts, WorkError> {
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            result = self.prepare_index() => result?,
            () = &mut shutdown => return Ok(self.shared.counters.counts()),
        }
        let (stop, stopped) = watch::channel(false);
        let (sender, receiver) = mpsc::channel(1);
        let claiming = tokio::spawn(claim::run(Arc::clone(&self.shared), sender, stopped));
        let mut observing = JoinSet::new();
        observing.spawn(depth::observe(Arc::clone(&self.shared)));
        let end = async {
            match self.shared.settings.mode {
                Mode::Forever => shutdown.await,
                Mode::UntilIdle(idle) => tokio::select! {
                    () = shutdown => {}
                    () = self.idle(idle) => {}
                },
            }
        };
        let mut pump = Pump::new(&self.shared)?;
        pump.run(receiver, end).await;
        stop.send_replace(true);
        pump.finish().await;
        match claiming.await {
            Ok(result) => result?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        Ok(self.shared.counters.counts())
    }

    async fn prepare_index(&self) -> Result<(), WorkError> {
        let mut backoff = Backoff::new();
        loop {
            match self.shared.index.ensure_setup().await {
                Ok(()) => break,
                Err(SetupError::Index(error)) if error.is_transient() => {
                    self.shared.gate.fails(&error);
                    tokio::time::sleep(backoff.next(error.retry_after())).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.shared.gate.works();
        Ok(())
    }

    /// Resolves when the buffer has been empty for `idle`.
    async fn idle(&self, idle: Duration) {
        let mut since = None;
        loop {
            match self.shared.buffer.depth().await {
                Ok(depth) if depth.frames == 0 => {
                    if since.get_or_insert_with(Instant::now).elapsed() >= idle {
                        return;
                    }
                }
                // Whoever claims reports an error.
                Ok(_) | Err(_) => since = None,
            }
            tokio::time::sleep(IDLE_INTERVAL.min(idle)).await;
        }
    }
}

/// Asks for the attributes that a stream's mapping has, of the thread that decodes: it may block, and what it waits for is
/// what its next document needs. Once for each stream.
fn ask_mapping<B: Buffer, I: Index>(shared: Arc<Shared<B, I>>) -> impl FnMut(&str) -> Option<Vec<String>> {
    let runtime = Handle::current();
    move |dataset| {
        if !shared.gate.is_up() {
            return None;
        }
        let stream = shared.settings.documents.stream(dataset);
        let mapped = runtime.block_on(shared.index.mapped_attributes(&stream));
        mapped.inspect_err(|error| tracing::debug!(%error, stream, "cannot read a mapping")).ok()
    }
}

/// Moves claims into bulks and bulks to the index.
struct Pump<'a, B, I> {
    shared: &'a Arc<Shared<B, I>>,
    /// None only while it is on the blocking thread.
    loader: Option<Loader>,
    slots: Arc<Semaphore>,
    /// Deliveries give their batch back, disposals of poison nothing.
    tasks: JoinSet<Option<Arc<Batch>>>,
}

impl<'a, B: Buffer, I: Index> Pump<'a, B, I> {
    fn new(shared: &'a Arc<Shared<B, I>>) -> Result<Pump<'a, B, I>, WorkError> {
        let settings = &shared.settings;
        // The embedded index maps nothing.
        let budget = shared
            .limits
            .is_adaptive()
            .then(|| FieldBudget::new(settings.field_budget, ask_mapping(Arc::clone(shared))));
        let (documents, bulk_bytes) = (settings.documents.clone(), shared.limits.bulk_bytes());
        let loader = Loader::new(documents, bulk_bytes, Arc::clone(&shared.counters), budget)
            .map_err(WorkError::Decoder)?;
        let in_flight = shared.index.in_flight().unwrap_or(settings.in_flight).max(1);
        Ok(Pump {
            shared,
            loader: Some(loader),
            slots: Arc::new(Semaphore::new(in_flight)),
            tasks: JoinSet::new(),
        })
    }

    /// Until `end`, or until there is nobody who claims. Claims have precedence over a bulk that is not full: it is
    /// sent when nothing more is there, or nothing more fits.
    async fn run(&mut self, mut claims: mpsc::Receiver<Vec<Claim>>, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        let mut renew = tokio::time::interval(RENEW_INTERVAL);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let may_shed = self.shared.counters.shedding.is_configured();
        loop {
            let (has_room, has_load) =
                self.loader.as_ref().map_or((false, false), |loader| (loader.has_room(), loader.has_load()));
            tokio::select! {
                biased;
                () = &mut end => return,
                _ = renew.tick() => self.renew(),
                _ = look.tick(), if may_shed => self.look_at_depth(),
                Some(ended) = self.tasks.join_next() => self.reap(ended),
                more = claims.recv(), if has_room => match more {
                    Some(more) => self.load(more).await,
                    None => return,
                },
                Ok(slot) = Arc::clone(&self.slots).acquire_owned(), if has_load => {
                    self.dispatch(slot);
                    self.load(Vec::new()).await;
                }
            }
        }
    }

    /// Decodes on a thread that may block, away from the sockets.
    async fn load(&mut self, claims: Vec<Claim>) {
        let Some(mut loader) = self.loader.take() else { return };
        loader.set_bulk_bytes(self.shared.limits.bulk_bytes());
        let loading = tokio::task::spawn_blocking(move || {
            loader.add(claims);
            loader
        });
        let mut loader = loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        for found in loader.take_poison() {
            let shared = Arc::clone(self.shared);
            self.tasks.spawn(async move {
                poison::dispose(shared, found).await;
                None
            });
        }
        let (parked, waits): (Vec<_>, Vec<_>) = loader.take_parked().into_iter().unzip();
        if let Some(wait) = waits.into_iter().max() {
            let shared = Arc::clone(self.shared);
            self.tasks.spawn(async move {
                deliver::park(&shared, &parked, wait).await;
                None
            });
        }
        self.loader = Some(loader);
    }

    fn dispatch(&mut self, slot: tokio::sync::OwnedSemaphorePermit) {
        let Some(loader) = &mut self.loader else { return };
        let load = loader.take_load();
        let batch = Arc::new(load.batch);
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        // Called here, before it is spawned: the embedded index takes bulks in the order of these calls.
        let first = self.shared.index.bulk(&batch, &all);
        let delivery = deliver::run(Arc::clone(self.shared), batch, load.claims, first);
        self.tasks.spawn(async move {
            let batch = delivery.await;
            drop(slot);
            Some(batch)
        });
    }

    fn reap(&mut self, ended: Result<Option<Arc<Batch>>, tokio::task::JoinError>) {
        match ended {
            Ok(Some(batch)) => {
                if let Some(loader) = &mut self.loader {
                    loader.recycle(batch);
                }
            }
            Ok(None) => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Tells the buffer that this worker has not stalled: it waits for the index.
    fn renew(&mut self) {
        let claims: Vec<ClaimId> = self.shared.held().iter().cloned().collect();
        if claims.is_empty() {
            return;
        }
        let shared = Arc::clone(self.shared);
        self.tasks.spawn(async move {
            if let Err(error) = shared.buffer.renew(&shared.settings.name, &claims).await {
                tracing::debug!(%error, "cannot renew claims");
            }
            None
        });
    }

    /// Finds out whether the buffer is nearly full.
    fn look_at_depth(&mut self) {
        let shared = Arc::clone(self.shared);
        self.tasks.spawn(async move {
            // Whoever claims reports an error.
            if let Ok(depth) = shared.buffer.depth().await {
                shared.counters.shedding.note_depth(depth.bytes);
            }
            None
        });
    }

    /// What was sent gets its outcomes and is acknowledged, within the time there is.
    async fn finish(&mut self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
            self.reap(ended);
        }
        if !self.tasks.is_empty() {
            tracing::warn!(
                bulks = self.tasks.len(),
                "stopped before all was indexed; it is still in the buffer"
            );
            self.tasks.shutdown().await;
        }
    }
}
