//! What the following thread and the pushing task say to each other.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};

use tokio::sync::mpsc;
use weir_buffer::Position;
use weir_record::{FileKey, Frame};

use crate::settings::FRAMES_IN_FLIGHT;

/// What the follower is told.
#[derive(Debug)]
pub enum Event {
    /// A directory changed: look for new files now.
    Wake,
    /// The buffer has a file's bytes up to `end`.
    Pushed {
        /// Which file.
        file: FileKey,
        /// Of the frame.
        epoch: u32,
        /// Where the frame ended.
        end: u64,
    },
    /// The buffer is at another offset than the frames: go there. None: it knows nothing of the file.
    Rewind {
        /// Which file.
        file: FileKey,
        /// Of the frame.
        epoch: u32,
        /// What the buffer has.
        to: Option<u64>,
    },
    /// The buffer has lost the end of what it had of a file: go back there, whatever was sent meanwhile. None: it knows
    /// nothing of the file.
    Lost {
        /// Which file.
        file: FileKey,
        /// What the buffer has.
        to: Option<u64>,
    },
    /// The index has a file's bytes up to `offset`.
    Indexed {
        /// Which file.
        file: FileKey,
        /// The buffer's `indexed`.
        offset: u64,
    },
    /// A watched file was written to.
    Grown {
        /// The number of its watch.
        watch: i32,
    },
    /// The pushing task has ended.
    Drained,
}

/// What the follower asks of the pushing task.
pub enum Order {
    /// Push a frame.
    Push {
        /// The frame.
        frame: Frame,
        /// Where the file may be started when the buffer knows nothing of it.
        safe: u64,
        /// The file's epoch.
        epoch: u32,
    },
    /// Answer where files stand.
    Locate {
        /// Which files.
        files: Vec<FileKey>,
        /// One position each, in order.
        reply: SyncSender<Vec<Position>>,
    },
}

/// The follower's ends of its two channels.
pub struct Channels {
    /// To the pushing task.
    pub orders: mpsc::Sender<Order>,
    /// Into the follower.
    pub event_sender: Sender<Event>,
    /// Out of the follower's queue.
    pub events: Receiver<Event>,
}

impl Channels {
    /// Both channels, and the pushing task's end of the first.
    pub fn new() -> (Channels, mpsc::Receiver<Order>) {
        let (orders, orders_end) = mpsc::channel(FRAMES_IN_FLIGHT);
        #[expect(
            clippy::disallowed_methods,
            reason = "the follower may wait for room in the other channel while it is told something: a bound on both \
                      could lock them up; what is told is bounded by the frames in flight and the files"
        )]
        let (event_sender, events) = channel();
        (Channels { orders, event_sender, events }, orders_end)
    }
}
