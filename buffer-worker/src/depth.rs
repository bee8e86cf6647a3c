//! How much waits in the buffer, asked now and then for those who look from outside.

use std::sync::Arc;
use std::time::Duration;

use weir_buffer::{Buffer, Depth};

use crate::worker::Shared;

/// Two short requests each time.
const INTERVAL: Duration = Duration::from_secs(2);

/// What the buffer said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How much waits, of all shippers and for all workers.
    pub depth: Depth,
    /// Gaps that were ever found in it.
    pub gaps: u64,
}

/// Asks for as long as it is polled. What cannot be answered keeps its last value: whoever claims says what is wrong.
pub(crate) async fn observe<B: Buffer, I>(shared: Arc<Shared<B, I>>) {
    loop {
        let depth = shared.buffer.depth().await;
        let gaps = shared.buffer.gaps().await;
        if let (Ok(depth), Ok(gaps)) = (depth, gaps) {
            let gaps = gaps.iter().map(|(_, count)| count).sum();
            shared.counters.note_waiting(Waiting { depth, gaps });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
