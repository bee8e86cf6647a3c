//! What an input has received, counted where it happens and read by whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use weir_process::metrics::Metric;

/// The counters of one input.
#[derive(Debug, Default)]
pub struct InputCounters {
    /// Lines that are in the journal.
    received: AtomicU64,
    /// Lines or messages that were not taken, and whose sender was told so or cannot be told.
    refused: AtomicU64,
    /// Datagrams that the system dropped before they could be read.
    dropped: AtomicU64,
    /// Failed writes and syncs of the journal, broken connections, dead children.
    faults: AtomicU64,
    connections: AtomicU64,
    journal_bytes: AtomicU64,
}

impl InputCounters {
    /// Lines are in the journal.
    pub fn received(&self, lines: u64) {
        self.received.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines were not taken.
    pub fn refused(&self, lines: u64) {
        self.refused.fetch_add(lines, Ordering::Relaxed);
    }

    /// The system says that it has dropped this many datagrams since the socket was opened.
    pub fn dropped_in_all(&self, datagrams: u64) {
        self.dropped.fetch_max(datagrams, Ordering::Relaxed);
    }

    /// Something failed, and was recovered from.
    pub fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was opened.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed.
    pub fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The journal has this many bytes.
    pub fn journal_bytes(&self, bytes: u64) {
        self.journal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The counters at this moment.
    pub fn counts(&self) -> InputCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        InputCounts {
            received: read(&self.received),
            refused: read(&self.refused),
            dropped: read(&self.dropped),
            faults: read(&self.faults),
            connections: read(&self.connections),
            journal_bytes: read(&self.journal_bytes),
        }
    }
}

/// The counters at one moment; see [`InputCounters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Lines in the journal.
    pub received: u64,
    /// Lines not taken.
    pub refused: u64,
    /// Datagrams dropped by the system.
    pub dropped: u64,
    /// Failures that were recovered from.
    pub faults: u64,
    /// Open connections.
    pub connections: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
}

/// The metrics of all inputs, each with the input's name as a label.
pub fn metrics<'a>(inputs: impl Iterator<Item = (&'a str, InputCounts)> + Clone) -> Vec<Metric> {
    type Read = fn(&InputCounts) -> u64;
    let counters: [(&'static str, &'static str, Read); 4] = [
        ("weir_input_received_lines_total", "Lines received into the journal.", |counts| counts.received),
        ("weir_input_refused_lines_total", "Lines or messages that were not taken.", |counts| counts.refused),
        ("weir_input_dropped_datagrams_total", "Datagrams that the system dropped.", |counts| counts.dropped),
        ("weir_input_faults_total", "Failures that were recovered from.", |counts| counts.faults),
    ];
    let gauges: [(&'static str, &'static str, Read); 2] = [
        ("weir_input_connections", "Open connections.", |counts| counts.connections),
        ("weir_input_journal_bytes", "Bytes received that are not yet removed.", |counts| {
            counts.journal_bytes
        }),
    ];
    let mut out = Vec::new();
    for (name, help, read) in counters {
        let one = |(input, counts): (&str, InputCounts)| {
            Metric::counter(name, help, read(&counts)).with_label("input", input)
        };
        out.extend(inputs.clone().map(one));
    }
    for (name, help, read) in gauges {
        let one = |(input, counts): (&str, InputCounts)| {
            Metric::gauge(name, help, read(&counts)).with_label("input", input)
        };
        out.extend(inputs.clone().map(one));
    }
    out
}
