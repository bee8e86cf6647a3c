//! Pushing frames: the buffer says where each file stands, and one rule covers retry, restart, crash and failover.
//!
//! A push names the offset its frame starts at. The buffer accepts it only if that is where the file stands, else it
//! answers where it does: the follower goes there. See the design of the buffer's scripts in `weir_buffer`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use weir_buffer::{Buffer, BufferError, Position, Push, Pushed};
use weir_record::{FileKey, Frame};

use crate::follow::{Event, Order};
use crate::progress::Progress;

/// Frames of one round trip.
const PUSH_FRAMES_MAX: usize = 32;

/// How often the indexed offsets are read back.
const POSITIONS_INTERVAL: Duration = Duration::from_millis(500);

/// Files whose offsets are asked for together: an answer that takes long would hold up the pushes.
const POSITIONS_FILES_MAX: usize = 1000;

/// After an `indexed` has stood still this long, the buffer is asked whether it still holds anything of the file: else
/// its frames were removed behind our back.
const REPAIR_AFTER: Duration = Duration::from_secs(30);

/// Most files that the buffer is asked about at once: while the index is away, all of them stand still.
const REPAIR_FILES_MAX: usize = 64;

/// Reasons that are said of one spell of trouble: one whose reason changes (refused, then a wrong password) is worth
/// another line, one whose reason always changes is not.
const REASONS_MAX: usize = 8;

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const BACKOFF_FULL_MAX: Duration = Duration::from_millis(500);

/// Pushes what the follower sends.
pub struct Pusher<B> {
    buffer: Arc<B>,
    events: Sender<Event>,
    progress: Arc<Progress>,
    /// Files that the index does not have whole yet.
    unsettled: HashMap<FileKey, Unsettled>,
}

struct Unsettled {
    pushed: u64,
    indexed: Option<u64>,
    /// Since when `indexed` has not moved.
    since: Instant,
}

struct Outgoing {
    frame: Frame,
    safe: u64,
    epoch: u32,
}

impl<B: Buffer> Pusher<B> {
    /// A pusher into `buffer` that reports to the follower.
    pub fn new(buffer: Arc<B>, events: Sender<Event>, progress: Arc<Progress>) -> Pusher<B> {
        Pusher { buffer, events, progress, unsettled: HashMap::new() }
    }

    /// Pushes until the follower closes its end and all it sent is in the buffer.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut ticks = interval(POSITIONS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(PUSH_FRAMES_MAX);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => self.read_positions().await,
                count = orders.recv_many(&mut batch, PUSH_FRAMES_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.execute(&mut batch).await;
                }
            }
        }
        // The checkpoint that follows should know as much as the buffer does.
        self.read_positions().await;
        self.tell(Event::Drained);
    }

    async fn execute(&mut self, batch: &mut Vec<Order>) {
        let mut outgoing = Vec::with_capacity(batch.len());
        for order in batch.drain(..) {
            match order {
                Order::Push { frame, safe, epoch } => outgoing.push(Outgoing { frame, safe, epoch }),
                Order::Locate { files, reply } => {
                    self.push_all(std::mem::take(&mut outgoing)).await;
                    let positions = self.locate(&files).await;
                    // The follower is gone only while the process stops.
                    drop(reply.send(positions));
                }
            }
        }
        self.push_all(outgoing).await;
    }

    /// Pushes frames until the buffer has answered, however long that takes: the same frames again after a failure,
    /// because the buffer tells which of them it has.
    async fn push_all(&mut self, outgoing: Vec<Outgoing>) {
        if outgoing.is_empty() {
            return;
        }
        let pushes: Vec<Push<'_>> =
            outgoing.iter().map(|out| Push { frame: &out.frame, safe: out.safe }).collect();
        let mut trouble = Trouble::default();
        let answers = loop {
            match self.buffer.push(&pushes).await {
                Ok(answers) => break answers,
                Err(error) => self.wait(&mut trouble, &error).await,
            }
        };
        self.over(&trouble);
        for (out, answer) in outgoing.iter().zip(answers) {
            self.settle(out, &answer);
        }
    }

    fn settle(&mut self, out: &Outgoing, answer: &Pushed) {
        let (file, epoch, end) = (out.frame.header.file, out.epoch, out.frame.header.end);
        match *answer {
            Pushed::Accepted => {
                self.progress.pushed(out.frame.bytes.len());
                self.note(file, end);
                self.tell(Event::Pushed { file, epoch, end });
            }
            // A timed-out push that did land: the next frame fits.
            Pushed::Expected(Some(at)) if at == end => {
                self.note(file, end);
                self.tell(Event::Pushed { file, epoch, end });
            }
            Pushed::Expected(to) => {
                // Perhaps the follower has nothing to send from there on: what is there is watched all the same.
                if let Some(at) = to {
                    self.note(file, at);
                }
                self.progress.rewound();
                self.tell(Event::Rewind { file, epoch, to });
            }
        }
    }

    /// The buffer has so much of a file.
    fn note(&mut self, file: FileKey, pushed: u64) {
        let fresh = Unsettled { pushed, indexed: None, since: Instant::now() };
        self.unsettled.entry(file).or_insert(fresh).pushed = pushed;
    }

    async fn locate(&mut self, files: &[FileKey]) -> Vec<Position> {
        let mut trouble = Trouble::default();
        loop {
            match self.buffer.positions(files).await {
                Ok(positions) => {
                    self.over(&trouble);
                    for (file, position) in files.iter().zip(&positions) {
                        if let Some(pushed) =
                            position.pushed.filter(|pushed| Some(*pushed) != position.indexed)
                        {
                            self.note(*file, pushed);
                        }
                    }
                    return positions;
                }
                Err(error) => self.wait(&mut trouble, &error).await,
            }
        }
    }

    async fn wait(&self, trouble: &mut Trouble, error: &BufferError) {
        self.progress.connected(false);
        trouble.wait(error).await;
    }

    fn over(&self, trouble: &Trouble) {
        self.progress.connected(true);
        trouble.over();
    }

    /// Reads back what the index has, and notices what the buffer has lost.
    async fn read_positions(&mut self) {
        let files: Vec<FileKey> = self.unsettled.keys().copied().collect();
        let mut stalled = Vec::new();
        for chunk in files.chunks(POSITIONS_FILES_MAX) {
            // The next push says what is wrong with the buffer; here it is only tried again.
            let Ok(positions) = self.buffer.positions(chunk).await else { break };
            for (file, position) in chunk.iter().zip(positions) {
                if self.compare(*file, position) {
                    stalled.push(*file);
                }
            }
        }
        if !stalled.is_empty() {
            self.repair(stalled).await;
        }
    }

    /// Takes one file's position. True: its `indexed` has stood still for long.
    fn compare(&mut self, file: FileKey, position: Position) -> bool {
        let Some(known) = self.unsettled.get_mut(&file) else { return false };
        let before = known.pushed;
        if let Some(pushed) = position.pushed {
            known.pushed = pushed;
        }
        if position.indexed != known.indexed {
            known.indexed = position.indexed;
            known.since = Instant::now();
        }
        let stalled = known.since.elapsed() >= REPAIR_AFTER;
        if position.pushed.is_none_or(|pushed| pushed < before) {
            self.progress.rewound();
            self.tell(Event::Lost { file, to: position.pushed });
        }
        if let Some(offset) = position.indexed {
            self.tell(Event::Indexed { file, offset });
        }
        if position.pushed.is_none_or(|pushed| position.indexed >= Some(pushed)) {
            self.unsettled.remove(&file);
            return false;
        }
        stalled
    }

    /// Rewinds files whose frames are gone from the buffer although they were never indexed. The buffer finds most of
    /// them itself; it refuses where it holds something of the file.
    async fn repair(&mut self, stalled: Vec<FileKey>) {
        for file in stalled.into_iter().take(REPAIR_FILES_MAX) {
            let Some(known) = self.unsettled.get_mut(&file) else { continue };
            // Asked again only after it has stood still for as long once more.
            known.since = Instant::now();
            let pushed = known.pushed;
            let Some(indexed) = known.indexed else { continue };
            if self.buffer.rewind(&file, pushed, indexed).await.is_ok_and(|done| done) {
                tracing::warn!(
                    from = pushed,
                    to = indexed,
                    "frames are gone from the buffer before they were indexed: sending them again"
                );
                self.unsettled.remove(&file);
                self.progress.rewound();
                self.tell(Event::Lost { file, to: Some(indexed) });
            }
        }
    }

    fn tell(&self, event: Event) {
        // The follower is gone only while the process stops.
        drop(self.events.send(event));
    }
}

/// One spell of trouble with the buffer: said when it begins, when its reason changes and when it is over, waited for in between.
#[derive(Default)]
struct Trouble {
    backoff: Option<Duration>,
    /// The reasons that were told.
    said: Vec<String>,
}

impl Trouble {
    async fn wait(&mut self, error: &BufferError) {
        let reason = chain(error);
        if self.said.len() < REASONS_MAX && !self.said.contains(&reason) {
            tracing::warn!(error = %reason, "the buffer does not take frames: waiting, the log files keep everything");
            self.said.push(reason);
        }
        // A buffer that is full has room again soon, and who asks too seldom gets less of it than others.
        let backoff_max = if error.retry_after().is_some() { BACKOFF_FULL_MAX } else { BACKOFF_MAX };
        let backoff = self.backoff.map_or(BACKOFF_MIN, |backoff| (backoff * 2).min(backoff_max));
        self.backoff = Some(backoff);
        sleep(backoff).await;
    }

    fn over(&self) {
        if self.backoff.is_some() {
            tracing::info!("the buffer takes frames again");
        }
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
