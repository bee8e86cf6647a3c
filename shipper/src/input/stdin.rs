//! Standard input: what a service writes into a pipe.
//!
//! Reading is the acknowledgement of a pipe: what was read is in the journal before more than [`CHUNKS_WAITING`] further
//! reads, and when the journal is full nothing is read, and the service waits.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;

use super::Context;
use super::line::Lines;

/// Bytes of one read: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// Reads that wait to be written.
const CHUNKS_WAITING: usize = 4;

/// A line longer than this becomes several.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Receives until the input ends or has to. True: it ended, and all of it is in the journal.
pub(super) async fn run(context: Context) -> bool {
    let (chunks, received) = mpsc::channel(CHUNKS_WAITING);
    // A read of a pipe cannot be broken off: its thread ends with the process.
    let reader = thread::Builder::new().name("stdin".into()).spawn(move || read(io::stdin().lock(), &chunks));
    if let Err(error) = reader {
        tracing::error!(%error, "cannot start a thread: standard input is not read");
        return false;
    }
    receive(received, context).await
}

fn read(mut input: impl Read, chunks: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let chunk = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || is_over {
            return;
        }
    }
}

async fn receive(mut chunks: mpsc::Receiver<io::Result<Vec<u8>>>, mut context: Context) -> bool {
    let mut lines = Lines::new(LINE_BYTES_MAX);
    let has_ended = loop {
        let chunk = tokio::select! {
            biased;
            chunk = chunks.recv() => chunk,
            () = context.stopped() => break false,
        };
        let Some(chunk) = chunk else { break true };
        let whole = match chunk {
            Ok(chunk) => lines.take(&chunk),
            Err(error) => {
                context.counters.fault();
                tracing::warn!(%error, "standard input cannot be read any more");
                break true;
            }
        };
        if !whole.is_empty() && context.writer.push(whole).await.is_err() {
            break false;
        }
    };
    let last = lines.end();
    let is_written = context.writer.append(last, None).await.is_ok();
    has_ended && is_written
}
